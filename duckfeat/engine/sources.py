"""What bulk work reads: frames, Arrow data, relations and files, offered to DuckDB as one relation.

Whatever the input is, it becomes rows with the columns `c0`, `c1`, ... and `row`, the number of the input row
from 0 on. Data in memory and Parquet files are scanned in place, as often as needed; a stream, CSV and NDJSON
are copied once into a temporary table, which spills to disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import duckdb

from duckfeat.engine.base import Engine
from duckfeat.engine.failures import translated
from duckfeat.engine.source_arrow import of_stream, of_table
from duckfeat.engine.source_files import of_files, of_parquet
from duckfeat.engine.source_frames import check_unique, pandas_table, polars_table, without_int128
from duckfeat.engine.source_tables import INPUT, Source, dropped
from duckfeat.errors import InvalidArgument
from duckfeat.model.sql_types import UNREAD, SqlType

_BATCH = 100_000


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
        return of_files
    for kind in type(data).__mro__:
        opener = _BY_TYPE.get((kind.__module__.partition(".")[0], kind.__name__))
        if opener is not None:
            return opener
    raise InvalidArgument(
        f"annotate takes no {type(data).__name__}. It takes a Polars DataFrame or LazyFrame, a pandas DataFrame, a "
        "pyarrow Table, RecordBatch or RecordBatchReader, a DuckDB relation, and the path or glob of Parquet "
        "(.parquet), CSV (.csv, .tsv) or NDJSON (.ndjson, .jsonl) files; polars.DataFrame(...) makes a frame of a "
        "list of dicts and of a dict of lists",
        value=data,
    )


def _polars(engine: Engine, data: Any, stack: ExitStack) -> Source:
    return of_table(engine, polars_table(data), stack)


def _pandas(engine: Engine, data: Any, stack: ExitStack) -> Source:
    return of_table(engine, pandas_table(data), stack)


def _lazy(engine: Engine, data: Any, stack: ExitStack) -> Source:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="duckfeat-"))
    path = Path(folder) / "input.parquet"
    try:
        data, told = without_int128(data)
        schema = data.collect_schema()
        if not schema:
            return Source(INPUT, ())
        data.sink_parquet(path)
    except Exception as error:  # what the frame's own functions raise, too
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InvalidArgument(f"the LazyFrame cannot be read: {reason}", reason=reason) from error
    told |= _unread(schema)
    source = of_parquet(engine, [str(path)], stack)
    return replace(source, columns=tuple(replace(c, type=told.get(c.name, c.type)) for c in source.columns))


_DURATION = SqlType("interval", "INTERVAL")
_UNREAD = frozenset({"Duration", "Int128", "UInt128"})
"""Parquet has no types for these of Polars: they would come back as numbers or bytes."""


def _unread(schema: Mapping[str, Any]) -> dict[str, SqlType]:
    """Return the types of the columns that Parquet would change."""
    found = {name: dtype for name, dtype in schema.items() if _UNREAD.intersection(_kinds(dtype))}
    return {name: SqlType(UNREAD, str(dtype)) if dtype.is_nested() else _DURATION for name, dtype in found.items()}


def _kinds(dtype: Any) -> Iterator[str]:
    """Yield the names of a Polars type and of the types of what it holds."""
    yield dtype.base_type().__name__
    for held in (getattr(dtype, "inner", None), *(field.dtype for field in getattr(dtype, "fields", ()))):
        if held is not None:
            yield from _kinds(held)


def _table(engine: Engine, data: Any, stack: ExitStack) -> Source:
    return of_table(engine, (data, {}), stack)


def _record_batch(engine: Engine, data: Any, stack: ExitStack) -> Source:
    import pyarrow

    return of_table(engine, (pyarrow.Table.from_batches([data]), {}), stack)


def _relation(engine: Engine, data: Any, stack: ExitStack) -> Source:
    try:
        with translated(engine.url):
            reader = data.to_arrow_reader(_BATCH)
    except OSError as error:  # what Arrow says of a type that it does not know
        raise InvalidArgument(f"the relation cannot be read: {error}", reason=str(error)) from error
    return of_stream(engine, reader, stack)


_BY_TYPE: Mapping[tuple[str, str], _Opener] = {
    ("polars", "DataFrame"): _polars,
    ("polars", "LazyFrame"): _lazy,
    ("pandas", "DataFrame"): _pandas,
    ("pyarrow", "Table"): _table,
    ("pyarrow", "RecordBatch"): _record_batch,
    ("pyarrow", "RecordBatchReader"): of_stream,
}
