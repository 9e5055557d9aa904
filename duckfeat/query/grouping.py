"""Records in groups: aggregates per group of equal keys, as a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from duckfeat.compile.groups import grouped
from duckfeat.compile.select import Query
from duckfeat.errors import InvalidArgument
from duckfeat.frame import frames
from duckfeat.model.aggregates import Aggregate
from duckfeat.model.arguments import named
from duckfeat.query.session import Session

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


def aggregated(session: Session, query: Query, keys: Sequence[Any], aggregates: Mapping[str, Aggregate]) -> pa.Table:
    """Return aggregates of a question's records per group of equal keys, with one statement."""
    if not aggregates:
        raise InvalidArgument('name what to compute, as in agg(delay=mean("dep_delay"))')
    statement, outputs = grouped(session.context(), query, keys, aggregates)
    return frames.to_arrow(session.engine.arrow(statement), outputs)


class Grouped:
    """The records of a QuerySet in groups of equal keys; `agg` gives a frame with a row per group."""

    def __init__(self, session: Session, query: Query, keys: Sequence[Any]) -> None:
        self._session = session
        self._query = query
        self._keys = tuple(keys)

    def agg(self, /, **aggregates: Aggregate) -> pl.DataFrame:
        """Return a Polars DataFrame with a row for each group: its keys, then the aggregates by keyword.

        Rows are ordered by the keys; records without a key form a group of their own, which comes last. Raises
        `FieldError` for an unknown field, and for a type that an aggregate does not take.

        >>> import duckfeat as dft
        >>> from duckfeat.aggregates import count, mean
        >>> store = dft.connect()
        >>> for name, dtype in {"carrier": str, "delay": float}.items():
        ...     _ = dft.Feature(name=name, dtype=dtype).save()
        >>> for flight, (carrier, delay) in enumerate([("AA", 1.0), ("AA", 3.0), ("UA", 5.0)]):
        ...     _ = dft.Record(name=f"{flight}", features={"carrier": carrier, "delay": delay}).save()
        >>> dft.Record.all().group_by("carrier").agg(n=count(), delay=mean("delay")).rows()
        [('AA', 2, 2.0), ('UA', 1, 5.0)]
        """
        return frames.to_polars(aggregated(self._session, self._query, self._keys, aggregates))

    def __repr__(self) -> str:
        keys = ", ".join(named(key) for key in self._keys)
        return f"<{self._query.table.name} records grouped by {keys}>"
