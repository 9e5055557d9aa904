"""Results as frames: Arrow is the hub, Polars and pandas are made from it.

Every column has the type its declaration says, whatever the rows hold: a feature's dtype decides, also when
every value is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from duckfeat.errors import ValidationError, missing_extra
from duckfeat.model.canonical import loads
from duckfeat.model.columns import Output

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


def to_arrow(table: pa.Table, outputs: Sequence[Output]) -> pa.Table:
    """Return a result with its columns named and typed; columns are `c0`, `c1`, ... in the order of `outputs`.

    Extra columns behind them hold the instants of columns that may have either sort of datetime.
    """
    import pyarrow

    columns = [table.column(position) for position in range(len(outputs))]
    extra = len(outputs)
    for position, output in enumerate(outputs):
        if output.instants:
            columns[position] = _one_sort(columns[position], table.column(extra), output.name)
            extra += 1
    return pyarrow.Table.from_arrays(columns, names=[output.name for output in outputs])


def _one_sort(naive: pa.ChunkedArray, instants: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return the column of a `datetime` feature: naive unless its values have a time zone."""
    if not _datetimes(instants):
        return naive
    if _datetimes(naive):
        raise ValidationError(
            f"feature {name!r} holds datetimes with and without time zone, which one column cannot: "
            "ask for it by get_values(), or register dtype 'datetime[UTC]' for instants",
            feature=name,
        )
    return instants


def _datetimes(column: pa.ChunkedArray) -> int:
    """Return how many datetimes there are in a column, or in its lists."""
    import pyarrow.compute

    while pyarrow.types.is_list(column.type):
        column = pyarrow.compute.list_flatten(column)
    return len(column) - int(column.null_count)


def to_polars(table: pa.Table) -> pl.DataFrame:
    """Return an Arrow table as a Polars DataFrame."""
    import polars

    return polars.DataFrame(polars.from_arrow(table))


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
