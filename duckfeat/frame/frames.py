"""Results as frames: Arrow is the hub, Polars and pandas are made from it.

Every column has the type its declaration says, whatever the rows hold: a feature's dtype decides, also when
every value is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from duckfeat.errors import InvalidArgument, ValidationError, missing_extra
from duckfeat.model.canonical import loads
from duckfeat.model.columns import Output

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


def to_arrow(table: pa.Table, outputs: Sequence[Output], instants: Sequence[bool] | None = None) -> pa.Table:
    """Return a result with its columns named and typed; columns are `c0`, `c1`, ... in the order of `outputs`.

    Extra columns behind them hold the instants of columns that may have either sort of datetime; `instants` says
    which these are to have, in a part of a result that was looked through before.
    """
    import pyarrow

    columns = [table.column(position) for position in range(len(outputs))]
    for number, position in enumerate(_of_either_sort(outputs)):
        naive, zoned = columns[position], table.column(len(outputs) + number)
        there = _datetimes(naive), _datetimes(zoned)
        wanted = (
            instants[number] if instants is not None else _holds_instants(there[0], there[1], outputs[position].name)
        )
        if there[not wanted]:
            _holds_instants(1, 1, outputs[position].name)
        columns[position] = zoned if wanted else naive
    return pyarrow.Table.from_arrays(columns, names=[output.name for output in outputs])


def _of_either_sort(outputs: Sequence[Output]) -> list[int]:
    return [position for position, output in enumerate(outputs) if output.instants]


def hold_instants(batches: Iterable[pa.RecordBatch], outputs: Sequence[Output]) -> list[bool]:
    """Return which of the columns that may have either sort of datetime hold instants, from all parts of a result."""
    positions = _of_either_sort(outputs)
    sums = [[0, 0] for _ in positions]
    for batch in batches:
        for number, position in enumerate(positions):
            sums[number][0] += _datetimes(batch.column(position))
            sums[number][1] += _datetimes(batch.column(len(outputs) + number))
    return [_holds_instants(sums[number][0], sums[number][1], outputs[at].name) for number, at in enumerate(positions)]


def settled(outputs: Sequence[Output], instants: Sequence[bool]) -> list[Output]:
    """Return columns of which those that may have either sort of datetime have the one that `instants` says."""
    wanted = dict(zip(_of_either_sort(outputs), instants, strict=True))
    return [
        replace(output, sql=output.instants if output.instants and wanted.get(at) else output.sql, instants=None)
        for at, output in enumerate(outputs)
    ]


def _holds_instants(naive: int, instants: int, name: str) -> bool:
    """Tell whether the column of a `datetime` feature is one of instants: naive unless its values have a time zone."""
    if naive and instants:
        raise ValidationError(
            f"feature {name!r} holds datetimes with and without time zone, which one column cannot: "
            "ask for it by get_values(), or register dtype 'datetime[UTC]' for instants",
            feature=name,
        )
    return bool(instants)


def _datetimes(column: Any) -> int:
    """Return how many datetimes there are in a column, or in its lists."""
    import pyarrow.compute

    while pyarrow.types.is_list(column.type):
        column = pyarrow.compute.list_flatten(column)
    return len(column) - int(column.null_count)


def to_polars(table: pa.Table) -> pl.DataFrame:
    """Return an Arrow table as a Polars DataFrame.

    Raises `InvalidArgument` for one that Polars has no frame for: two columns of one name, an interval.
    """
    import polars

    names = table.column_names
    if any("\0" in name for name in names):  # where Arrow's C interface, through which Polars reads, cuts a name
        table = table.rename_columns([f"c{position}" for position in range(len(names))])
    try:
        frame = polars.DataFrame(polars.from_arrow(table))
        frame.columns = names
    except polars.exceptions.PolarsError as error:
        reason = str(error).partition(". ")[0]
        raise InvalidArgument(
            f"Polars cannot hold this as a frame: {reason}; name and cast its columns", reason=reason
        ) from error
    return frame


# Arrow types that pandas would change when a value is missing, and the pandas types that keep them.
_NULLABLE = {
    "int64": "Int64",
    "int32": "Int32",
    "int16": "Int16",
    "int8": "Int8",
    "bool": "boolean",
}


def to_pandas(table: pa.Table, outputs: Sequence[Output]) -> pd.DataFrame:
    """Return an Arrow table as a pandas DataFrame with a plain index.

    Whole numbers and flags get pandas' nullable types, so that a missing value changes no type; nested values
    are dicts and lists.
    """
    try:
        import pandas
    except ImportError:
        raise missing_extra("pandas", "pandas") from None

    def mapped(type_: pa.DataType) -> Any:
        name = _NULLABLE.get(str(type_))
        return pandas.api.types.pandas_dtype(name) if name else None

    frame: pd.DataFrame = table.to_pandas(types_mapper=mapped)
    for position, output in enumerate(outputs):
        read = _PANDAS_READERS.get(output.content)
        if read:
            column = table.column(position).to_pylist()
            objects: list[Any] = [read(item) for item in column]
            frame[output.name] = pandas.Series(objects, dtype=object, index=frame.index)
    return frame


def _loads(text: str | None) -> Any:
    return None if text is None else loads(text)


_PANDAS_READERS: Mapping[str, Callable[[Any], Any]] = {
    "json": _loads,
    "json_list": lambda texts: [loads(text) for text in texts],
    "list": lambda items: items,
}
