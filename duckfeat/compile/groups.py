"""Statements that give one row per group of records, or one row for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duckfeat.compile.computed import NESTED, Values, aggregate_output, column_of, values_of
from duckfeat.compile.scope import Context, Scope
from duckfeat.compile.select import Query, filtered
from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.model.aggregates import Aggregate
from duckfeat.model.arguments import is_text, shown
from duckfeat.model.columns import Output
from duckfeat.model.statement import Statement


def grouped(
    context: Context, query: Query, keys: Sequence[Any], aggregates: Mapping[str, Aggregate]
) -> tuple[Statement, list[Output]]:
    """Return the statement of aggregates per group of equal keys, in the order of the keys, and its columns.

    A record with several values of a key is in each of their groups. Without keys there is one row.

    Raises `FieldError` for a key that does not exist or holds nested values, `InvalidArgument` for two columns of one
    name.
    """
    scope = Scope(context, query.table, annotations=dict(query.annotations))
    columns = [_key(scope, key) for key in keys]
    _check_names([*(column.name for column in columns), *aggregates])
    given = [_given(scope, aggregate) for aggregate in aggregates.values()]
    listed = [f"{column.sql} AS k{at}" for at, column in enumerate(columns)]
    listed += [f"{values.sql} AS v{at}" for at, values in enumerate(given) if values is not None]
    rows = f"SELECT {', '.join(listed) or '1'} FROM {filtered(scope, query)}"
    for at, column in enumerate(columns):
        if column.content == "list":
            rows = (
                f"SELECT * REPLACE (unnest(CASE WHEN len(k{at}) = 0 THEN [NULL] ELSE k{at} END) AS k{at}) FROM ({rows})"
            )
    outputs = [
        Output(column.name, f"k{at}", "item" if column.content == "list" else column.content)
        for at, column in enumerate(columns)
    ]
    outputs += [
        aggregate_output(name, aggregate, values, f"v{at}")
        for at, ((name, aggregate), values) in enumerate(zip(aggregates.items(), given, strict=True))
    ]
    selected = ", ".join(f"{output.sql} AS c{at}" for at, output in enumerate(outputs))
    sql = f"SELECT {selected} FROM ({rows})"
    if columns:
        names = [f"k{at}" for at in range(len(columns))]
        order = ", ".join(f"{name} NULLS LAST" for name in names)
        sql += f" GROUP BY {', '.join(names)} ORDER BY {order}"
    return context.params.statement(sql), outputs


def _key(scope: Scope, key: Any) -> Output:
    column = column_of(scope, key)
    if column.content in NESTED:
        raise FieldError(f"{column.name!r} holds nested values, which records are not grouped by", name=column.name)
    if column.content == "value":
        raise FieldError(f"{column.name!r} holds values of several types: group by its hash", name=column.name)
    return column


def _given(scope: Scope, aggregate: Any) -> Values | None:
    if not isinstance(aggregate, Aggregate):
        raise InvalidArgument(
            f'an aggregate is one such as mean("temperature"), not {shown(aggregate)}', value=aggregate
        )
    return None if aggregate.of is None else values_of(scope, aggregate)


def _check_names(names: Sequence[str]) -> None:
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise InvalidArgument(f"two columns would be called {twice!r}", name=twice)
    broken = next((name for name in names if not is_text(name)), None)
    if broken is not None:
        raise InvalidArgument(f"a column cannot be called {broken!r}, which is not valid Unicode", name=broken)
