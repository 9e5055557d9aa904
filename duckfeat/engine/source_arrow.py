"""Arrow data that bulk work reads: tables in place, streams copied once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from duckfeat.engine.base import Engine
from duckfeat.engine.source_frames import Tabled
from duckfeat.engine.source_tables import INPUT, Source, copied, described, ids_of
from duckfeat.engine.version import MAJOR
from duckfeat.errors import ValidationError
from duckfeat.model.sql_types import JSON, NULL, SqlType

if TYPE_CHECKING:
    import pyarrow as pa


def of_table(engine: Engine, tabled: Tabled, stack: ExitStack) -> Source:
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
    ids = ids_of(len(typed))
    columns = [_in_utc(column) if position in instants else column for position, (column, _) in enumerate(typed)]
    numbered = pyarrow.Table.from_arrays([*columns, _numbers(0, table.num_rows)], names=[*ids, "row"])
    stack.enter_context(engine.registered(INPUT, numbered))
    shown = [_INSTANT if position in instants else _CELL for position in range(len(ids))]
    sql = INPUT
    if any(cell != "{id}" for cell in shown):
        listed = ", ".join(f"{cell.format(id=id_)} AS {id_}" for cell, id_ in zip(shown, ids, strict=True))
        sql = f"(SELECT row, {listed} FROM {INPUT}) AS bulk_arrow"
    return Source(sql, described(engine, f"SELECT {', '.join(ids)} FROM {sql}", table.column_names, known))


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
    if pyarrow.types.is_timestamp(type_) and type_.unit == "ns" and type_.tz is not None:
        return _in_utc(column), SqlType("timestamptz_ns", "TIMESTAMP_NS")
    return column, None


def _numbers(start: int, count: int) -> Any:
    import polars

    return polars.int_range(start, start + count, eager=True).to_arrow()


def of_stream(engine: Engine, data: Any, _stack: ExitStack) -> Source:
    """Copy a stream of batches into a temporary table."""
    import pyarrow

    names = list(data.schema.names)
    ids = ids_of(len(names))
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
        copied(engine, "SELECT * FROM bulk_stream", {})
    known = {position: type_ for position, (_, type_) in enumerate(empty) if type_}
    return Source(INPUT, described(engine, f"SELECT {', '.join(ids)} FROM {INPUT}", names, known))
