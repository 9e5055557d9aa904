"""What bulk work reads: frames, Arrow data, relations and files, offered to DuckDB as one relation.

Whatever the input is, it becomes rows with the columns `c0`, `c1`, ... and `row`, the number of the input row
from 0 on. Data in memory and Parquet files are scanned in place, as often as needed; a stream, CSV and NDJSON
are copied once into a temporary table, which spills to disk.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from glob import glob
from itertools import groupby
from operator import itemgetter
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import duckdb

from duckfeat.engine.base import Engine
from duckfeat.engine.failures import translated
from duckfeat.engine.source_frames import Tabled, check_unique, pandas_table, polars_table
from duckfeat.engine.version import MAJOR
from duckfeat.errors import IntegrityError, InvalidArgument, MissingFile, QueryError, ValidationError
from duckfeat.model.sql_types import JSON, NDJSON, NULL, RAW, Column, SqlType
from duckfeat.model.statement import Statement

if TYPE_CHECKING:
    import pyarrow as pa

INPUT = "bulk_input"
_BATCH = 100_000
_FILES = "$files::VARCHAR[]"


@dataclass(frozen=True, slots=True)
class Source:
    """An input that can be scanned: `sql` stands after FROM and needs `params`."""

    sql: str
    columns: tuple[Column, ...]
    params: Mapping[str, Any] = field(default_factory=dict)


class _Connected(Protocol):
    def connection(self) -> duckdb.DuckDBPyConnection: ...


@contextmanager
def opened(engine: Engine, data: Any) -> Iterator[Source]:
    """Offer `data` as a `Source` while the block runs; the writer's transaction must be open.

    Raises `InvalidArgument` for data of another kind and for two columns of one name, `MissingFile` for a file
    or glob that is not there, `ValidationError` for a column of Python objects that have no type.
    """
    with ExitStack() as stack:
        stack.callback(dropped, engine)
        source = _opener(data)(engine, data, stack)
        names = [column.name for column in source.columns]
        if not names:
            raise InvalidArgument("the input has no column", columns=names)
        check_unique(names)
        yield source


# --- kinds of input ------------------------------------------------------------------------------

_Opener = Callable[[Engine, Any, ExitStack], Source]


def _opener(data: Any) -> _Opener:
    """Return what opens data of this kind."""
    if isinstance(data, duckdb.DuckDBPyRelation):
        return _relation
    if isinstance(data, str | PathLike):
        return _file
    for kind in type(data).__mro__:
        opener = _BY_TYPE.get((kind.__module__.partition(".")[0], kind.__name__))
        if opener is not None:
            return opener
    raise InvalidArgument(
        f"a {type(data).__name__} cannot be annotated from. Taken are: a Polars DataFrame or LazyFrame, a pandas "
        "DataFrame, a pyarrow Table, RecordBatch or RecordBatchReader, a DuckDB relation, and the path or glob of "
        "Parquet (.parquet), CSV (.csv, .tsv) or NDJSON (.ndjson, .jsonl) files",
        value=data,
    )


def _polars(engine: Engine, data: Any, stack: ExitStack) -> Source:
    return _arrow(engine, polars_table(data), stack)


def _pandas(engine: Engine, data: Any, stack: ExitStack) -> Source:
    return _arrow(engine, pandas_table(data), stack)


def _lazy(engine: Engine, data: Any, stack: ExitStack) -> Source:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="duckfeat-"))
    path = Path(folder) / "input.parquet"
    data.sink_parquet(path)
    source = _parquet(engine, [str(path)], stack)
    # Parquet has no type for a duration: it would come back as a number.
    lost = {name for name, dtype in data.collect_schema().items() if str(dtype).startswith("Duration")}
    typed = [replace(c, type=SqlType("interval", "INTERVAL")) if c.name in lost else c for c in source.columns]
    return replace(source, columns=tuple(typed))


def _table(engine: Engine, data: Any, stack: ExitStack) -> Source:
    return _arrow(engine, (data, ()), stack)


def _record_batch(engine: Engine, data: Any, stack: ExitStack) -> Source:
    import pyarrow

    return _arrow(engine, (pyarrow.Table.from_batches([data]), ()), stack)


def _arrow(engine: Engine, tabled: Tabled, stack: ExitStack) -> Source:
    """Register an Arrow table under positional names, with its rows numbered."""
    import pyarrow

    table, json = tabled
    if not table.column_names:
        return Source(INPUT, ())
    typed = [_readable(*named) for named in zip(table.column_names, table.itercolumns(), strict=True)]
    known = {position: JSON for position, name in enumerate(table.column_names) if name in json}
    known |= {position: type_ for position, (_, type_) in enumerate(typed) if type_}
    instants = {
        position
        for position, (column, _) in enumerate(typed)
        if pyarrow.types.is_timestamp(column.type) and column.type.tz is not None
    }
    ids = _ids(len(typed))
    columns = [_in_utc(column) if position in instants else column for position, (column, _) in enumerate(typed)]
    numbered = pyarrow.Table.from_arrays([*columns, _numbers(0, table.num_rows)], names=[*ids, "row"])
    stack.enter_context(engine.registered(INPUT, numbered))
    shown = [_INSTANT if position in instants else _CELL for position in range(len(ids))]
    sql = INPUT
    if any(cell != "{id}" for cell in shown):
        listed = ", ".join(f"{cell.format(id=id_)} AS {id_}" for cell, id_ in zip(shown, ids, strict=True))
        sql = f"(SELECT row, {listed} FROM {INPUT}) AS bulk_arrow"
    return Source(sql, _described(engine, f"SELECT {', '.join(ids)} FROM {sql}", table.column_names, known))


# DuckDB 1.5 has Arrow filter what it scans, also by the least and greatest value of a join's other side. Arrow takes no
# NaN for less than any number, and asks for `pytz` at moments of a time zone. What is computed is not filtered there.
_CELL = "{id}" if MAJOR > 1 else "CASE WHEN row >= 0 THEN {id} END"
_INSTANT = "timezone('UTC', {id}::TIMESTAMP)"


def _in_utc(column: Any) -> Any:
    """Return an Arrow column of instants as naive moments in UTC."""
    import pyarrow

    unit = column.type.unit
    return column.cast(pyarrow.timestamp(unit, "UTC")).cast(pyarrow.int64()).cast(pyarrow.timestamp(unit))


def _no_rows(column: pa.Field) -> pa.ChunkedArray:
    import pyarrow

    return pyarrow.chunked_array([], column.type)


_KNOWN_EXTENSIONS = frozenset({"arrow.uuid", "arrow.json", "arrow.bool8"})


def _readable(name: str, column: Any) -> tuple[Any, SqlType | None]:
    """Return an Arrow column as every DuckDB reads it, and its type where that would not show.

    Raises `ValidationError` for an extension type, such as a period: what it stores is not what it means.
    """
    import pyarrow

    type_ = column.type
    if isinstance(type_, pyarrow.BaseExtensionType) and type_.extension_name not in _KNOWN_EXTENSIONS:
        raise ValidationError(
            f"column {name!r} has the type {type_.extension_name}, which no dtype covers: convert the column first",
            feature=name,
            type=type_.extension_name,
        )
    if pyarrow.types.is_null(type_):
        return column.cast(pyarrow.string()), NULL
    if pyarrow.types.is_float16(type_):
        return column.cast(pyarrow.float32()), None
    if pyarrow.types.is_timestamp(type_) and type_.unit in {"s", "ms"}:
        return _in_microseconds(name, column), None
    if pyarrow.types.is_timestamp(type_) and type_.unit == "ns" and type_.tz is not None:
        return _in_utc(column), SqlType("timestamptz_ns", "TIMESTAMP_NS")
    return column, None


def _in_microseconds(name: str, column: Any) -> Any:
    """Return an Arrow column of moments of whole seconds or milliseconds as DuckDB's own.

    DuckDB 2.0 gives the whole database up when it converts one that has no microseconds in 64 bits.
    """
    import pyarrow

    try:
        return column.cast(pyarrow.timestamp("us", column.type.tz))
    except pyarrow.ArrowInvalid as error:
        raise ValidationError(
            f"column {name!r} holds a date outside the years 1 to 9999", feature=name, reason=str(error)
        ) from None


def _numbers(start: int, count: int) -> Any:
    import polars

    return polars.int_range(start, start + count, eager=True).to_arrow()


def _ids(count: int) -> list[str]:
    return [f"c{position}" for position in range(count)]


def _reader(engine: Engine, data: Any, _stack: ExitStack) -> Source:
    """Copy a stream of batches into a temporary table."""
    import pyarrow

    names = list(data.schema.names)
    ids = _ids(len(names))
    empty = [_readable(column.name, _no_rows(column)) for column in data.schema]
    fields = [pyarrow.field(id_, column.type) for id_, (column, _) in zip(ids, empty, strict=True)]
    schema = pyarrow.schema([*fields, pyarrow.field("row", pyarrow.int64())])

    def numbered() -> Iterator[Any]:
        start = 0
        for batch in data:
            columns = [_readable(*named)[0] for named in zip(names, batch.columns, strict=True)]
            arrays = [*columns, _numbers(start, batch.num_rows)]
            yield pyarrow.RecordBatch.from_arrays(arrays, schema=schema)
            start += batch.num_rows

    stream = pyarrow.RecordBatchReader.from_batches(schema, numbered())
    with engine.registered("bulk_stream", stream):
        _copied(engine, "SELECT * FROM bulk_stream", {})
    known = {position: type_ for position, (_, type_) in enumerate(empty) if type_}
    return Source(INPUT, _described(engine, f"SELECT {', '.join(ids)} FROM {INPUT}", names, known))


def _relation(engine: Engine, data: Any, stack: ExitStack) -> Source:
    with translated(engine.url):
        reader = data.to_arrow_reader(_BATCH)
    return _reader(engine, reader, stack)


_BY_TYPE: Mapping[tuple[str, str], _Opener] = {
    ("polars", "DataFrame"): _polars,
    ("polars", "LazyFrame"): _lazy,
    ("pandas", "DataFrame"): _pandas,
    ("pyarrow", "Table"): _table,
    ("pyarrow", "RecordBatch"): _record_batch,
    ("pyarrow", "RecordBatchReader"): _reader,
}


# --- files ---------------------------------------------------------------------------------------


def _file(engine: Engine, data: Any, stack: ExitStack) -> Source:
    path = fspath(data)
    name = path.lower()
    for packed in (".gz", ".zst"):
        name = name.removesuffix(packed)
    for suffixes, opener in _BY_SUFFIX.items():
        if name.endswith(suffixes):
            return _read(opener, engine, path, stack)
    known = ", ".join(suffix for suffixes in _BY_SUFFIX for suffix in suffixes)
    raise InvalidArgument(
        f"{path} has none of the endings that tell what it holds ({known}); a folder is given as a glob, such as "
        "'folder/*.parquet'",
        path=path,
    )


def _read(opener: _Opener, engine: Engine, path: str, stack: ExitStack) -> Source:
    try:
        return opener(engine, _found(path), stack)
    except QueryError as error:
        raise InvalidArgument(f"{path} cannot be read: {error.reason}", path=path, reason=error.reason) from error


def _found(path: str) -> list[str]:
    """Return the files of a path or glob, in order, as DuckDB names them."""
    if "://" in path:
        return [path]
    files = [path] if Path(path).exists() else sorted(glob(path, recursive=True))  # noqa: PTH207  # `path` may be absolute
    if not files:
        raise MissingFile(f"there is no file {path}", path=path)
    return [_literal(file) for file in files]


def _literal(path: str) -> str:
    """Return a file's path with what would be a pattern taken as it stands.

    >>> _literal("a[1]*.csv")
    'a[[]1][*].csv'
    """
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in path)


def _plain(path: str) -> str:
    """Return the path that `_literal` was made of.

    >>> _plain(_literal("a[1]*.csv"))
    'a[1]*.csv'
    """
    return re.sub(r"\[([\[*?])\]", r"\1", path)


def _parquet(engine: Engine, files: list[str], stack: ExitStack) -> Source:
    declared = f"SELECT file_name, name, logical_type, num_children, type FROM parquet_schema({_FILES})"
    schema = engine.rows(Statement(declared, {"files": files}))
    types = dict(_top_level(schema))
    if any("isAdjustedToUTC=1" in str(type_) and "NanoSeconds" in str(type_) for _, _, type_, *_ in schema):
        # Not every DuckDB tells the nanoseconds of an instant.
        return _parquet_by_arrow(engine, files, stack)
    if _NUMBERS_OF_ROWS & {name.lower() for name in types} or _differ(schema):
        return _parquet_by_arrow(engine, files, stack)
    read = f"read_parquet({_FILES}, hive_partitioning = false)"
    plain = f"SELECT * FROM {read}"
    columns = tuple(
        replace(column, type=NULL) if (types.get(column.name) or "").startswith("Null") else column
        for column in _described(engine, plain, None, {}, {"files": files})
    )
    sizes = f"SELECT num_rows FROM parquet_file_metadata({_FILES})"
    counts = [count for (count,) in engine.rows(Statement(sizes, {"files": files}))] if len(files) > 1 else [0]
    offsets = [sum(counts[:position]) for position in range(len(counts))]
    aliases = ", ".join(["row", *(column.id for column in columns)])
    row = "file_row_number + $offsets[(file_index + 1)::BIGINT]" if len(files) > 1 else "file_row_number"
    sql = f"(SELECT {row} AS row, * FROM {read}) AS bulk_parquet({aliases})"
    params = {"files": files, "offsets": offsets} if len(files) > 1 else {"files": files}
    return Source(sql, columns, params)


def _united(paths: Sequence[str]) -> pa.Schema:
    """Return the columns that Parquet files have together.

    Raises `InvalidArgument` for a column whose types have none in common that changes no value.
    """
    import pyarrow
    import pyarrow.parquet

    columns: dict[str, tuple[pa.DataType, str]] = {}
    for path in paths:
        for column in pyarrow.parquet.ParquetFile(path).schema.to_arrow_schema():
            known, where = columns.get(column.name, (column.type, path))
            common = _wider(known, column.type)
            if common is None:
                raise InvalidArgument(
                    f"column {column.name!r} is {known} in {where} and {column.type} in {path}: annotate from each "
                    "file by itself, or bring them to one type",
                    column=column.name,
                )
            columns[column.name] = (common, where if common == known else path)
    return pyarrow.schema([(name, type_) for name, (type_, _) in columns.items()])


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the one of two types that holds all values of both as they are, None if neither does."""
    from pyarrow import types

    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if any(alike(one) and alike(other) for alike in (types.is_signed_integer, types.is_floating)):
        return max(one, other, key=lambda type_: type_.bit_width)
    return None


_NUMBERS_OF_ROWS = frozenset({"file_row_number", "file_index"})
"""What DuckDB tells of a row of a file, unless the file has a column of that name."""


def _by_file(schema: Sequence[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    return [list(rows) for _, rows in groupby(sorted(schema, key=itemgetter(0)), itemgetter(0))]


def _differ(schema: Sequence[tuple[Any, ...]]) -> bool:
    """Tell whether files have other columns, or types of them, than the first has."""
    first, *others = [[row[1:] for row in rows[1:]] for rows in _by_file(schema)]
    return any(other != first for other in others)


def _top_level(schema: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, str | None]]:
    """Yield name and logical type of the columns of Parquet files, whose schemas are listed depth first.

    >>> rows = [("f", "schema", None, 2), ("f", "m", None, 1), ("f", "x", "Null", None), ("f", "x", None, None)]
    >>> list(_top_level(rows))
    [('m', None), ('x', None)]
    """
    for rows in _by_file(schema):
        left: list[int] = []
        for _, name, type_, children, *_ in rows:
            if len(left) == 1:
                yield name, type_
            if left:
                left[-1] -= 1
            left += [children] if children else []
            while left and not left[-1]:
                left.pop()


def _parquet_by_arrow(engine: Engine, files: list[str], stack: ExitStack) -> Source:
    import pyarrow.dataset

    paths = [_plain(file) for file in files]
    dataset = pyarrow.dataset.dataset(paths, schema=_united(paths), format="parquet")
    return _reader(engine, dataset.scanner().to_reader(), stack)


def _csv(engine: Engine, files: list[str], _stack: ExitStack) -> Source:
    # Every cell is read as the text it is: a feature's dtype decides what it means, not its looks.
    quoted = """quote = '"', escape = '"', hive_partitioning = false, union_by_name = true"""
    read = f"read_csv({_FILES}, all_varchar = true, header = true, allow_quoted_nulls = false, {quoted})"
    return _text_file(engine, read, files, RAW)


def _ndjson(engine: Engine, files: list[str], _stack: ExitStack) -> Source:
    options = (
        "format = 'newline_delimited', maximum_depth = 1, sample_size = -1, hive_partitioning = false, "
        f"union_by_name = true, maximum_sample_files = {len(files)}"
    )
    read = f"read_json({_FILES}, {options})"
    return _text_file(engine, read, files, NDJSON)


def _text_file(engine: Engine, read: str, files: list[str], type_: SqlType) -> Source:
    """Copy the rows of text files into a temporary table."""
    params = {"files": files}
    columns = tuple(
        replace(column, type=type_) for column in _described(engine, f"SELECT * FROM {read}", None, {}, params)
    )
    aliases = ", ".join(column.id for column in columns)
    casts = ", ".join(f"{column.id}::{type_.text} AS {column.id}" for column in columns)
    # The window reads the file from its beginning to its end, whatever the engine's order of insertion is.
    numbered = f"SELECT row_number() OVER () - 1 AS row, {casts} FROM {read} AS bulk_text({aliases})"
    _copied(engine, numbered, params)
    return Source(INPUT, columns)


_BY_SUFFIX: Mapping[tuple[str, ...], _Opener] = {
    (".parquet", ".pq"): _parquet,
    (".csv", ".tsv"): _csv,
    (".ndjson", ".jsonl"): _ndjson,
}


# --- talking to the engine -----------------------------------------------------------------------


def _copied(engine: Engine, sql: str, params: Mapping[str, Any]) -> None:
    engine.write(f"CREATE OR REPLACE TEMP TABLE {INPUT} AS {sql}", params)


def dropped(engine: Engine) -> None:
    """Drop the temporary tables of bulk work, as far as the transaction still takes statements."""
    mine = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'temp' AND starts_with(table_name, 'bulk_')"
    try:
        for (table,) in engine.rows(Statement(mine, {})):
            engine.write(f"DROP TABLE IF EXISTS temp.{table}")
    except (QueryError, IntegrityError):
        return  # the transaction has failed: it takes its tables with it


def _described(
    engine: Engine,
    sql: str,
    names: Sequence[str] | None,
    known: Mapping[int, SqlType],
    params: Mapping[str, Any] | None = None,
) -> tuple[Column, ...]:
    """Return the columns a query gives, under `names` where the engine would change them, with `known` types.

    It is asked for no rows: DuckDB 1.5 would read them all where there are parameters.
    """
    connection = cast("_Connected", engine).connection()
    with translated(engine.url):
        relation = connection.sql(f"{sql} LIMIT 0", params=dict(params or {}) or None)
        types = [known.get(position) or sql_type(type_) for position, type_ in enumerate(relation.types)]
        names = names or list(relation.columns)
    return tuple(Column(*facts) for facts in zip(names, _ids(len(names)), types, strict=True))


def sql_type(type_: Any) -> SqlType:
    """Return a DuckDB type as plain data."""
    text = str(type_)
    if text == "JSON":
        return JSON
    if type_.id == "decimal":
        sizes = dict(type_.children)
        return SqlType("decimal", text, scale=sizes["scale"], width=sizes["precision"])
    if type_.id not in {"list", "array", "struct", "map"}:
        return SqlType(type_.id, text)
    children = [(name, sql_type(child)) for name, child in type_.children if not isinstance(child, int)]
    return SqlType(type_.id, text, tuple(children))
