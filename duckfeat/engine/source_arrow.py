"""Arrow data that bulk work reads: tables in place, streams copied once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from duckfeat.engine.base import Engine
from duckfeat.engine.source_frames import Tabled, duplicates, json_texts
from duckfeat.engine.source_tables import INPUT, Source, copied, described, ids_of
from duckfeat.engine.version import MAJOR
from duckfeat.errors import QueryError, ValidationError
from duckfeat.model.dtypes import TOO_FINE
from duckfeat.model.sql_types import JSON, NULL, UNREAD, SqlType

if TYPE_CHECKING:
    import pyarrow as pa


def of_table(engine: Engine, tabled: Tabled, stack: ExitStack) -> Source:
    """Register an Arrow table under positional names, with its rows numbered."""
    import pyarrow

    table, told = tabled
    if not table.column_names:
        return Source(INPUT, ())
    typed = [_readable(*named) for named in zip(table.column_names, table.itercolumns(), strict=True)]
    known = {position: type_ for position, (_, type_) in enumerate(typed) if type_}
    known |= {position: told[name] for position, name in enumerate(table.column_names) if name in told}
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


def _readable(name: str, column: Any) -> tuple[Any, SqlType | None]:
    """Return an Arrow column as every DuckDB reads it, and its type where that would not show.

    A column of which no value comes is empty. Raises `ValidationError` for instants in lists that are too fine.
    """
    from pyarrow import ArrowInvalid, compute, types

    if types.is_run_end_encoded(column.type):
        column = compute.run_end_decode(column)
    type_ = column.type
    unreadable = _unreadable(type_)
    if unreadable is not None:
        return _nothing(column), SqlType(UNREAD, unreadable)
    if types.is_null(type_):
        return column.cast("string"), NULL
    if (types.is_list(type_) or types.is_large_list(type_)) and types.is_null(type_.value_type):
        return column, _OF_NOTHING
    if types.is_timestamp(type_):
        return _readable_moments(column)
    if any(types.is_struct(part) and not part.num_fields for part in parts_of(type_)):
        return json_texts(name, column.to_pylist()), JSON
    wanted = _wanted(type_)
    try:
        return (column if wanted == type_ else column.cast(wanted)), None
    except ArrowInvalid as error:
        raise ValidationError(f"column {name!r} holds an instant that {TOO_FINE}", feature=name) from error


def _nothing(column: Any) -> Any:
    import pyarrow

    return pyarrow.nulls(len(column), pyarrow.string())


_OF_NOTHING = SqlType("list", "VARCHAR[]", (("", NULL),))
"""The type of lists without any item that is there, which DuckDB 1.5 takes for lists of numbers."""
_DIGITS = 38
"""More digits than so many no decimal of DuckDB has."""
_KNOWN_EXTENSIONS = frozenset({"arrow.uuid", "arrow.json", "arrow.bool8"})


def _unreadable(type_: pa.DataType) -> str | None:
    """Return how a type is called that is not read, which is told where the column is used; None if it is read.

    What an extension type such as a period stores is not what it means; DuckDB has no decimals of so many digits; in a
    list or a struct a duration would be taken for the numbers it consists of; of two parts of one name in a struct one
    would be lost.
    """
    from pyarrow import BaseExtensionType, types

    for part in parts_of(type_):
        if isinstance(part, BaseExtensionType) and part.extension_name not in _KNOWN_EXTENSIONS:
            return str(part.extension_name)
        wide = types.is_decimal(part) and part.precision - min(part.scale, 0) > _DIGITS
        lasting = part is not type_ and (types.is_duration(part) or types.is_interval(part))
        if wide or lasting or types.is_decimal256(part):
            return str(part)
        if types.is_struct(part) and duplicates([field.name for field in part]):
            return str(part)
    return None


def parts_of(type_: pa.DataType) -> Iterator[pa.DataType]:
    """Yield a type and the types of what it holds."""
    from pyarrow import types

    yield type_
    if types.is_dictionary(type_):
        yield from parts_of(type_.value_type)
    elif types.is_nested(type_):
        for place in range(type_.num_fields):
            yield from parts_of(type_.field(place).type)


def _wanted(type_: pa.DataType) -> pa.DataType:
    """Return the type that every DuckDB reads in the place of one that not every one does."""
    import pyarrow
    from pyarrow import types

    for is_list, make in ((types.is_list, pyarrow.list_), (types.is_large_list, pyarrow.large_list)):
        if is_list(type_):
            return make(_wanted(type_.value_type))
    if types.is_fixed_size_list(type_):
        return pyarrow.list_(_wanted(type_.value_type), type_.list_size)
    if types.is_struct(type_):
        return pyarrow.struct([(part.name, _wanted(part.type)) for part in type_])
    return _wanted_value(type_)


def _wanted_value(type_: pa.DataType) -> pa.DataType:
    """Return what `_wanted` does of a type that holds no others."""
    import pyarrow
    from pyarrow import types

    if types.is_float16(type_):
        return pyarrow.float32()
    if types.is_decimal(type_) and type_.scale < 0:
        return pyarrow.decimal128(type_.precision - type_.scale, 0)
    if types.is_timestamp(type_) and type_.unit == "ns" and type_.tz is not None:
        return pyarrow.timestamp("us", type_.tz)
    if types.is_string_view(type_):  # DuckDB 1.5 has Arrow filter what it scans, which Arrow cannot do of these
        return pyarrow.large_string()
    return type_


_FAR = 10**18
"""Further away than so many microseconds is nothing that a dtype takes, and more than some types of DuckDB hold."""
_PER_UNIT = {"s": 10**6, "ms": 10**3}


def _readable_moments(column: Any) -> tuple[Any, SqlType | None]:
    """Return a column of moments as every DuckDB reads it."""
    import pyarrow
    from pyarrow import compute

    type_ = column.type
    if type_.unit == "ns":
        return (column, None) if type_.tz is None else (_in_utc(column), SqlType("timestamptz_ns", "TIMESTAMP_NS"))
    if type_.unit in _PER_UNIT:
        limit, numbers = _FAR // _PER_UNIT[type_.unit], column.cast(pyarrow.int64())
        column = compute.min_element_wise(
            compute.max_element_wise(numbers, -limit, skip_nulls=False), limit, skip_nulls=False
        )
        column = column.cast(type_)
    return column, None


def _numbers(start: int, count: int) -> Any:
    import polars

    return polars.int_range(start, start + count, eager=True).to_arrow()


def of_stream(engine: Engine, data: Any, _stack: ExitStack) -> Source:
    """Copy a stream of batches into a temporary table."""
    import pyarrow

    names = list(data.schema.names)
    if not names:
        return Source(INPUT, ())
    ids = ids_of(len(names))
    empty = [_readable(column.name, _no_rows(column)) for column in data.schema]
    fields = [pyarrow.field(id_, column.type) for id_, (column, _) in zip(ids, empty, strict=True)]
    schema = pyarrow.schema([*fields, pyarrow.field("row", pyarrow.int64())])

    failed: list[Exception] = []

    def numbered() -> Iterator[Any]:
        start = 0
        for batch in _until_failed(data, failed):
            columns = [_readable(*named)[0] for named in zip(names, batch.columns, strict=True)]
            arrays = [*columns, _numbers(start, batch.num_rows)]
            yield pyarrow.RecordBatch.from_arrays(arrays, schema=schema)
            start += batch.num_rows

    stream = pyarrow.RecordBatchReader.from_batches(schema, numbered())
    with engine.registered("bulk_stream", stream), _told(failed):
        copied(engine, "SELECT * FROM bulk_stream", {})
    known = {position: type_ for position, (_, type_) in enumerate(empty) if type_}
    return Source(INPUT, described(engine, f"SELECT {', '.join(ids)} FROM {INPUT}", names, known))


def _until_failed(data: Any, failed: list[Exception]) -> Iterator[Any]:
    """Yield the batches of a stream; an error of it is kept, for the engine would wrap it in its own."""
    try:
        yield from data
    except Exception as error:
        failed.append(error)
        raise


@contextmanager
def _told(failed: list[Exception]) -> Iterator[None]:
    """Raise what made a stream fail instead of what the engine made of it."""
    try:
        yield
    except QueryError:
        if not failed:
            raise
        reason = f"{type(failed[0]).__name__}: {failed[0]}"
        raise QueryError(f"the batches of the input cannot be read: {reason}", reason=reason) from failed[0]
