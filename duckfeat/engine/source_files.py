"""Files that bulk work reads: Parquet in place, CSV and NDJSON copied once into a temporary table."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from csv import Error as CsvError
from csv import reader
from glob import glob
from itertools import groupby
from operator import itemgetter
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckfeat.engine.base import Engine
from duckfeat.engine.paths import literal
from duckfeat.engine.source_arrow import of_stream, parts_of
from duckfeat.engine.source_frames import check_unique
from duckfeat.engine.source_tables import INPUT, Source, copied, described, ids_of
from duckfeat.errors import InvalidArgument, MissingFile, QueryError
from duckfeat.model.canonical import pointer
from duckfeat.model.sql_types import NDJSON, NULL, RAW, Column
from duckfeat.model.statement import Statement

if TYPE_CHECKING:
    import pyarrow as pa

_FILES = "$files::VARCHAR[]"
_Opener = Callable[[Engine, list[str], ExitStack], Source]


def of_files(engine: Engine, data: Any, stack: ExitStack) -> Source:
    """Return what the files of a path or glob hold, by the ending of their names."""
    path = fspath(data)
    for suffixes, opener in _BY_SUFFIX.items():
        if _unpacked(path).endswith(suffixes):
            return _read(opener, engine, path, stack)
    known = ", ".join(suffix for suffixes in _BY_SUFFIX for suffix in suffixes)
    raise InvalidArgument(
        f"{path} has none of the endings that tell what it holds ({known}); a folder is given as a glob, such as "
        "'folder/*.parquet'",
        path=path,
    )


def _unpacked(path: str) -> str:
    """Return the name of a file in lower case without the ending of a compression.

    >>> _unpacked("A.TSV.gz")
    'a.tsv'
    """
    name = path.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return name


_PACKED = {".gz": "gzip", ".zst": "zstd"}
"""The endings of compressed files, and what compresses them."""
_CHUNK = 2**20


def _read(opener: _Opener, engine: Engine, path: str, stack: ExitStack) -> Source:
    files = _found(path)
    for file in files:
        _check_packed(_plain(file))
    try:
        return opener(engine, files, stack)
    except QueryError as error:
        reason = _brief(error.reason)
        remedy = next((told for sign, told in _REMEDIES.items() if sign in reason), "")
        raise InvalidArgument(f"{path} cannot be read: {reason}{remedy}", path=path, reason=reason) from error


def _check_packed(file: str) -> None:
    """Raise `InvalidArgument` for a compressed file that is cut off or damaged: not every DuckDB notices that."""
    codec = next((codec for ending, codec in _PACKED.items() if file.lower().endswith(ending)), None)
    if codec is None or "://" in file:
        return
    import pyarrow

    try:
        with pyarrow.input_stream(file, compression=codec) as stream:
            while stream.read(_CHUNK):
                pass
    except OSError as error:
        raise InvalidArgument(f"{file} cannot be read: {error}", path=file, reason=str(error)) from error


def _brief(reason: str) -> str:
    r"""Return what the engine says is wrong, without its advice, and not all of a line of the file that is long.

    >>> told = _brief("Line: " + "x" * 500 + "\nIt is long\n\nPossible fixes:\n* none")
    >>> print(told.replace("x" * 190, "x"))
    Line: xxxxx... (506 characters)
    It is long
    """
    lines = re.split("\n(?:Possible|Try) ", reason)[0].strip().splitlines()
    return "\n".join(
        line if len(line) <= _LONGEST_TOLD else f"{line[:_LONGEST_TOLD]}... ({len(line):,} characters)"
        for line in lines
    )


_LONGEST_TOLD = 200


_REMEDIES = {
    "not utf-8 encoded": "\nSave it as UTF-8, or read it as what it is and give the frame: "
    "pandas.read_csv(path, encoding='utf-16'), or 'latin-1'",
    "byte order mark": "\nSave it as UTF-8 without a byte order mark, or read it and give the frame: "
    "pandas.read_json(path, lines=True, encoding='utf-8-sig')",
    "reached an invalid state": "\nSave it with one ending for all of its lines, or read it and give the frame: "
    "pandas.read_csv(path)",
}
"""What to do about a file, by what the engine says of it."""


def _found(path: str) -> list[str]:
    """Return the files of a path or glob, in order, as DuckDB names them.

    Raises `MissingFile` for a file or a link's target that is not there, `InvalidArgument` for a folder.
    """
    if "://" in path:
        return [path]
    files = [path] if Path(path).exists() else sorted(glob(path, recursive=True))  # noqa: PTH207  # `path` may be absolute
    missing = [file for file in files or [path] if not Path(file).exists()]
    if missing:
        raise MissingFile(f"there is no file {missing[0]}", path=missing[0])
    folder = next((file for file in files if Path(file).is_dir()), None)
    if folder is not None:
        raise InvalidArgument(f"{folder} is a folder; its files are given as a glob: '{folder}/*'", path=folder)
    return [literal(file) for file in files]


def _plain(path: str) -> str:
    """Return the path that `literal` was given.

    >>> _plain(literal("a[1]*.csv"))
    'a[1]*.csv'
    """
    return re.sub(r"\[([\[*?])\]", r"\1", path)


def of_parquet(engine: Engine, files: list[str], stack: ExitStack) -> Source:
    """Return what Parquet files hold."""
    declared = f"SELECT file_name, name, logical_type, num_children, type FROM parquet_schema({_FILES})"
    schema = engine.rows(Statement(declared, {"files": files}))
    fine = any("isAdjustedToUTC=1" in str(type_) and "NanoSeconds" in str(type_) for _, _, type_, *_ in schema)
    if (
        fine
        or _NUMBERS_OF_ROWS & {name.lower() for _, name, *_ in schema}
        or _differ(schema)
        or _changed(schema)
        or _durations(engine, files)
    ):
        # Arrow reads what DuckDB would change, or not every DuckDB reads.
        return _parquet_by_arrow(engine, files, stack)
    read = f"read_parquet({_FILES}, hive_partitioning = false)"
    # DuckDB would give a number to a name that another one has in other case.
    first = list(_top_level(_by_file(schema)[0]))
    nothing = {place: NULL for place, (_, type_) in enumerate(first) if (type_ or "").startswith("Null")}
    columns = described(engine, f"SELECT * FROM {read}", [name for name, _ in first], nothing, {"files": files})
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


def _changed(schema: Sequence[tuple[Any, ...]]) -> bool:
    """Tell whether DuckDB would make floats of decimals, or give another name to a part of a struct.

    >>> parts = [("f", "schema", None, 1), ("f", "s", None, 2), ("f", "x", None, None), ("f", "X", None, None)]
    >>> _changed(parts), _changed(parts[:3])
    (True, False)
    """
    digits = (re.search(r"^DecimalType.*precision=(\d+)", type_ or "") for _, _, type_, *_ in schema)
    if any(found and int(found[1]) > _DIGITS for found in digits):
        return True
    parts = Counter((file, above, name.lower()) for above, (file, name, *_) in _placed(schema) if len(above) > 1)
    return any(times > 1 for times in parts.values())


_DIGITS = 38
"""A decimal of more digits is a float in DuckDB."""


def _durations(engine: Engine, files: list[str]) -> bool:
    """Tell whether a column was a duration when it was written, for which Parquet has numbers only."""
    written = f"SELECT DISTINCT value FROM parquet_kv_metadata({_FILES}) WHERE key = 'ARROW:schema'"
    return any(_has_durations(value) for (value,) in engine.rows(Statement(written, {"files": files})))


def _has_durations(written: bytes) -> bool:
    """Tell whether an Arrow schema, as Parquet files have it, has a duration; not if it cannot be read."""
    import pyarrow

    try:
        schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(b64decode(written)))
    except (pyarrow.ArrowException, ValueError, OSError):
        return False
    return any(pyarrow.types.is_duration(part) for column in schema for part in parts_of(column.type))


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
    return ((name, type_) for above, (_, name, type_, *_) in _placed(schema) if len(above) == 1)


def _placed(schema: Sequence[tuple[Any, ...]]) -> Iterator[tuple[tuple[int, ...], tuple[Any, ...]]]:
    """Yield the rows of schemas, each with the numbers of the rows that it is a part of."""
    for rows in _by_file(schema):
        left: list[list[int]] = []
        for number, row in enumerate(rows):
            yield tuple(above for above, _ in left), row
            if left:
                left[-1][1] -= 1
            left += [[number, row[3]]] if row[3] else []
            while left and not left[-1][1]:
                left.pop()


def _parquet_by_arrow(engine: Engine, files: list[str], stack: ExitStack) -> Source:
    import pyarrow.dataset

    paths = [_plain(file) for file in files]
    dataset = pyarrow.dataset.dataset(paths, schema=_united(paths), format="parquet")
    return of_stream(engine, dataset.scanner().to_reader(), stack)


# --- text files ----------------------------------------------------------------------------------

# Nothing of a file is guessed but what separates its cells, and that by its header alone. Every cell is read as the
# text it is: a feature's dtype decides what it means, not its looks.
_DIALECT = "header = true, quote = '\"', escape = '\"', allow_quoted_nulls = false"
# A row may be as long as what DuckDB reads of a file at a time; its own limit is a sixteenth of that.
_ROOM = "max_line_size = 32_000_000, buffer_size = 32_000_000"
# Lines are cut wherever one may end, as a quoted cell may have other breaks than lines end in; nothing separates cells.
_LINES = (
    f"SELECT line FROM read_csv({_FILES}, auto_detect = false, header = false, delim = '\x1f\x1e\x1f\x1e', quote = '', "
    f"escape = '', strict_mode = false, {_ROOM}, hive_partitioning = false, columns = {{'line': 'VARCHAR'}}) LIMIT 20"
)
_DELIMITERS = ",\t;|"


def _csv(engine: Engine, files: list[str], _stack: ExitStack) -> Source:
    headers = {file: _header(engine, file) for file in files}
    names = list(dict.fromkeys(name for _, header in headers.values() for name in header))
    places = {name: place for place, name in enumerate(names)}
    columns = tuple(Column(name, id_, RAW) for name, id_ in zip(names, ids_of(len(names)), strict=True))
    engine.write(f"CREATE OR REPLACE TEMP TABLE {INPUT} ({', '.join(['row BIGINT', *_declared(columns)])})", {})
    total = 0
    for (delimiter, header), alike in groupby((file for file in files if headers[file][1]), headers.__getitem__):
        types = ", ".join(f"'{id_}': 'VARCHAR'" for id_ in ids_of(len(header)))
        options = f"auto_detect = false, delim = $delimiter, columns = {{{types}}}, hive_partitioning = false"
        read = f"read_csv({_FILES}, {options}, {_DIALECT}, {_ROOM})"
        targets = ", ".join(["row", *(columns[places[name]].id for name in header)])
        # The window reads the files from beginning to end, whatever the engine's order of insertion is.
        numbered = f"SELECT row_number() OVER () - 1 + $offset, * FROM {read}"
        given = {"files": list(alike), "delimiter": delimiter, "offset": total}
        total += engine.write(f"INSERT INTO {INPUT} ({targets}) {numbered}", given)
    return Source(INPUT, columns)


def _header(engine: Engine, file: str) -> tuple[str, tuple[str, ...]]:
    """Return what separates the cells of a CSV file, and the names of its columns.

    Raises `InvalidArgument` for two columns of one name.
    """
    lines = [line or "" for (line,) in engine.rows(Statement(_LINES, {"files": [file]}))]
    first = re.sub(r'"(""|[^"])*"', "", lines[0]) if lines else ""
    delimiter = "\t" if _unpacked(file).endswith(".tsv") else max(_DELIMITERS, key=first.count)
    try:
        names = next(reader([f"{line}\n" for line in lines], delimiter=delimiter), [])
    except CsvError as error:
        raise InvalidArgument(f"the header of {_plain(file)} cannot be read: {error}", path=_plain(file)) from error
    check_unique(names)
    return delimiter, tuple(names)


def _declared(columns: Iterable[Column]) -> list[str]:
    return [f"{column.id} {column.type.text}" for column in columns]


_Shapes = Sequence[tuple[Any, ...]]
_SHAPES = (
    "SELECT json_type(json), CASE WHEN json_type(json) = 'OBJECT' THEN json_keys(json) END AS keys "
    f"FROM read_ndjson_objects({_FILES}) GROUP BY ALL ORDER BY count(*) DESC, keys"
)


def _ndjson(engine: Engine, files: list[str], _stack: ExitStack) -> Source:
    shapes = engine.rows(Statement(_SHAPES, {"files": files}))
    names = _keys(shapes)
    columns = tuple(Column(name, id_, NDJSON) for name, id_ in zip(names, ids_of(len(names)), strict=True))
    if columns:
        told_apart = "" not in names and len({name.lower() for name in names}) == len(names)
        rows, given = _records(columns) if told_apart else _objects(columns, shapes)
        copied(engine, f"SELECT row_number() OVER () - 1 AS row, {rows}", {"files": files, **given})
    return Source(INPUT, columns)


def _records(columns: Sequence[Column]) -> tuple[str, dict[str, Any]]:
    """Return what selects the values of keys, as DuckDB does it at once."""
    options = "format = 'newline_delimited', records = true, columns = $columns, hive_partitioning = false"
    read = f"read_json({_FILES}, {options}) AS bulk_text({', '.join(column.id for column in columns)})"
    return f"* FROM {read}", {"columns": {column.name: column.type.text for column in columns}}


def _objects(columns: Sequence[Column], shapes: _Shapes) -> tuple[str, dict[str, Any]]:
    """Return what selects the values of keys one by one, which takes longer: DuckDB takes keys alike in case for one.

    Raises `InvalidArgument` for an object that has a key twice, as DuckDB does where it takes them at once.
    """
    twice = [name for _, keys in shapes for name, count in Counter(keys or ()).items() if count > 1]
    if twice:
        raise InvalidArgument(f"the file has an object with two keys {twice[0]!r}", key=twice[0])
    values = [f"nullif(json_extract(json, ${column.id}), 'null'::JSON) AS {column.id}" for column in columns]
    pointers = {column.id: pointer((column.name,)) for column in columns}
    return f"{', '.join(values)} FROM read_ndjson_objects({_FILES})", pointers


def _keys(shapes: _Shapes) -> list[str]:
    """Return the keys of the objects of NDJSON files, those of the commonest objects first.

    Raises `InvalidArgument` for lines that are no objects.
    """
    other = sorted({str(type_) for type_, keys in shapes if keys is None})
    if other:
        raise InvalidArgument(f"every line of an NDJSON file is an object; there are others ({', '.join(other)})")
    return list(dict.fromkeys(name for _, keys in shapes for name in keys or ()))


_BY_SUFFIX: Mapping[tuple[str, ...], _Opener] = {
    (".parquet", ".pq"): of_parquet,
    (".csv", ".tsv"): _csv,
    (".ndjson", ".jsonl"): _ndjson,
}
