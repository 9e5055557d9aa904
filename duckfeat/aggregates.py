"""Aggregates, to be given to `aggregate`, `annotate` and `group_by(...).agg`.

>>> from duckfeat.aggregates import mean
>>> mean("temperature")
mean('temperature')
"""

from __future__ import annotations

from duckfeat.model.aggregates import (  # the names that DuckDB, Polars and pandas have for them
    Aggregate,
    count,
    list,  # noqa: A004
    max,  # noqa: A004
    mean,
    median,
    min,  # noqa: A004
    n_unique,
    quantile,
    std,
    sum,  # noqa: A004
)

__all__ = ["Aggregate", "count", "list", "max", "mean", "median", "min", "n_unique", "quantile", "std", "sum"]
