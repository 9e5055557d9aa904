"""Aggregates, which summarise many values: for `aggregate`, `annotate` and `group_by(...).agg`.

Each takes a field, a path to a related field, or a feature. Missing values are ignored.

>>> mean("dep_delay")
mean('dep_delay')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from duckfeat.errors import InvalidArgument
from duckfeat.model.arguments import shown

NUMBERS = frozenset({"int", "float"})
MOMENTS = frozenset({"date", "datetime", "instant"})
ORDERED = NUMBERS | MOMENTS | {"time", "str", "bool"}
ANY = ORDERED | {"dict", "list", "json"}


@dataclass(frozen=True, slots=True)
class Function:
    """One aggregate function: the types it takes, the type it gives (None: the same), its SQL over rows and lists.

    In both texts `{0}` is the value and `{1}` the argument. `empty` is its SQL for no values at all.
    """

    name: str
    types: frozenset[str]
    result: str | None
    rows: str
    items: str
    empty: str = "NULL"


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        row.name: row
        for row in (
            Function("count", ANY, "int", "count({0})", "list_count({0})", "0"),
            Function("n_unique", ANY, "int", "count(DISTINCT {0})", "list_unique({0})::BIGINT", "0"),
            Function("sum", NUMBERS, None, "sum({0})", "list_sum({0})"),
            Function("mean", NUMBERS, "float", "avg({0})", "list_avg({0})"),
            Function("median", NUMBERS, "float", "median({0})", "list_median({0})"),
            Function(
                "quantile", NUMBERS, "float", "quantile_cont({0}, {1})", "list_aggregate({0}, 'quantile_cont', {1})"
            ),
            Function("min", ORDERED, None, "min({0})", "list_min({0})"),
            Function("max", ORDERED, None, "max({0})", "list_max({0})"),
            Function("std", NUMBERS, "float", "stddev_samp({0})", "list_stddev_samp({0})"),
            Function(
                "list", ORDERED, "list", "list({0} ORDER BY {0}) FILTER ({0} IS NOT NULL)", "list_sort({0})", "[]"
            ),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate of a field or feature; without one, of the records themselves."""

    function: Function
    of: Any = None
    argument: float | None = None

    def __post_init__(self) -> None:
        if self.of is None and self.function.name != "count":
            raise InvalidArgument(f"{self.function.name} takes a field, a path to one, or a feature, not None")

    def __repr__(self) -> str:
        given = [] if self.of is None else [repr(getattr(self.of, "name", self.of))]
        given += [] if self.argument is None else [repr(self.argument)]
        return f"{self.function.name}({', '.join(given)})"


def count(of: Any = None) -> Aggregate:
    """Count the values; without a field, the records.

    >>> count()
    count()
    """
    return Aggregate(FUNCTIONS["count"], of)


def n_unique(of: Any) -> Aggregate:
    """Count the different values.

    >>> n_unique("protocol")
    n_unique('protocol')
    """
    return Aggregate(FUNCTIONS["n_unique"], of)


def sum(of: Any) -> Aggregate:  # noqa: A001  # the name that DuckDB, Polars and pandas have for it
    """Compute the sum; without any value it is missing.

    >>> sum("size")
    sum('size')
    """
    return Aggregate(FUNCTIONS["sum"], of)


def mean(of: Any) -> Aggregate:
    """Compute the arithmetic mean.

    >>> mean("temperature")
    mean('temperature')
    """
    return Aggregate(FUNCTIONS["mean"], of)


def median(of: Any) -> Aggregate:
    """Compute the median; of an even number of values, the mean of the two in the middle.

    >>> median("temperature")
    median('temperature')
    """
    return Aggregate(FUNCTIONS["median"], of)


def quantile(of: Any, q: Any) -> Aggregate:
    """Compute the quantile `q`, a number from 0 to 1, interpolating between two values.

    Raises `InvalidArgument` for another `q`.

    >>> quantile("temperature", 0.9)
    quantile('temperature', 0.9)
    """
    if isinstance(q, bool) or not isinstance(q, int | float) or not 0 <= q <= 1:
        raise InvalidArgument(f"a quantile is a number from 0 to 1, not {shown(q)}", value=q)
    return Aggregate(FUNCTIONS["quantile"], of, float(q))


def min(of: Any) -> Aggregate:  # noqa: A001  # the name that DuckDB, Polars and pandas have for it
    """Find the smallest value.

    >>> min("created_at")
    min('created_at')
    """
    return Aggregate(FUNCTIONS["min"], of)


def max(of: Any) -> Aggregate:  # noqa: A001  # the name that DuckDB, Polars and pandas have for it
    """Find the greatest value.

    >>> max("created_at")
    max('created_at')
    """
    return Aggregate(FUNCTIONS["max"], of)


def std(of: Any) -> Aggregate:
    """Compute the standard deviation of a sample (n - 1); of fewer than two values it is missing.

    >>> std("temperature")
    std('temperature')
    """
    return Aggregate(FUNCTIONS["std"], of)


def list(of: Any) -> Aggregate:  # noqa: A001  # the name that DuckDB and Polars have for it
    """Collect the values in a sorted list; without any value it is empty.

    >>> list("protocol")
    list('protocol')
    """
    return Aggregate(FUNCTIONS["list"], of)
