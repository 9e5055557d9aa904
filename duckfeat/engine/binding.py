"""How Python values travel to DuckDB: as parameters, and as Arrow tables when there are many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from duckfeat.errors import InvalidArgument
from duckfeat.model.arguments import shown
from duckfeat.model.dtypes import Refused, is_missing, plain
from duckfeat.model.statement import BigList

if TYPE_CHECKING:
    import pyarrow as pa

_ARROW_TYPES = {
    "BIGINT": "int64",
    "DOUBLE": "float64",
    "VARCHAR": "string",
    "BOOLEAN": "bool",
    "DATE": "date32",
    "TIME": "time64[us]",
    "TIMESTAMP": "timestamp_us",
    "TIMESTAMP WITH TIME ZONE": "timestamp_utc",
}


def parameter(value: Any) -> Any:
    """Return a parameter that somebody wrote: of NumPy, pandas, Polars or Arrow, the Python value it stands for.

    Decimals stay what they are: DuckDB has a type for them.

    >>> import numpy
    >>> parameter(numpy.int64(3)), parameter(numpy.array([1.5]))
    (3, [1.5])
    """
    if isinstance(value, Decimal):
        return value
    try:
        return None if is_missing(value) else plain(value)
    except Refused as reason:
        raise InvalidArgument(f"the parameter {shown(value)} {reason}", value=value) from None


def bindable(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as DuckDB takes them whole: 1.5 reads a NaN inside a list as missing, but not its text."""
    return {name: _with_nan(value) if isinstance(value, list) else value for name, value in params.items()}


def _with_nan(items: list[Any]) -> list[Any]:
    if not any(isinstance(item, float) and math.isnan(item) for item in items):
        return items
    return [None if item is None else repr(item) for item in items]


def arrow_list(items: BigList) -> pa.Table:
    """Return a long list as a table of one column, `item`."""
    import pyarrow

    return pyarrow.table({"item": pyarrow.array(items.items, _arrow_type(items.sql_type))})


def arrow_rows(columns: Mapping[str, str], listed: Sequence[Sequence[Any]]) -> pa.Table:
    """Return columns, given as a list of values each, as a table; `columns` maps names to SQL types."""
    import pyarrow

    pairs = zip(columns.items(), listed, strict=True)
    return pyarrow.table({name: pyarrow.array(column, _arrow_type(type_)) for (name, type_), column in pairs})


def _arrow_type(sql_type: str) -> pa.DataType:
    import pyarrow

    name = _ARROW_TYPES[sql_type]
    if name.startswith("timestamp"):
        return pyarrow.timestamp("us", tz="UTC" if name.endswith("utc") else None)
    return pyarrow.type_for_alias(name)
