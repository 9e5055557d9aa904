"""Files that bulk work reads: Parquet in place, CSV and NDJSON copied once into a temporary table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from glob import glob
from itertools import groupby
from operator import itemgetter
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckfeat.engine.base import Engine
from duckfeat.engine.source_arrow import of_stream
from duckfeat.engine.source_tables import INPUT, Source, copied, described
from duckfeat.errors import InvalidArgument, MissingFile, QueryError
from duckfeat.model.sql_types import NDJSON, NULL, RAW, SqlType
from duckfeat.model.statement import Statement

if TYPE_CHECKING:
    import pyarrow as pa

_FILES = "$files::VARCHAR[]"
_Opener = Callable[[Engine, list[str], ExitStack], Source]


def of_files(engine: Engine, data: Any, stack: ExitStack) -> Source:
    """Return what the files of a path or glob hold, by the ending of their names."""
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


def of_parquet(engine: Engine, files: list[str], stack: ExitStack) -> Source:
    """Return what Parquet files hold."""
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
        for column in described(engine, plain, None, {}, {"files": files})
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
    return of_stream(engine, dataset.scanner().to_reader(), stack)


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
        replace(column, type=type_) for column in described(engine, f"SELECT * FROM {read}", None, {}, params)
    )
    aliases = ", ".join(column.id for column in columns)
    casts = ", ".join(f"{column.id}::{type_.text} AS {column.id}" for column in columns)
    # The window reads the file from its beginning to its end, whatever the engine's order of insertion is.
    numbered = f"SELECT row_number() OVER () - 1 AS row, {casts} FROM {read} AS bulk_text({aliases})"
    copied(engine, numbered, params)
    return Source(INPUT, columns)


_BY_SUFFIX: Mapping[tuple[str, ...], _Opener] = {
    (".parquet", ".pq"): of_parquet,
    (".csv", ".tsv"): _csv,
    (".ndjson", ".jsonl"): _ndjson,
}
