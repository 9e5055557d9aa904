"""Statements that give one row per group of records, or one row for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duckfeat.compile.computed import NESTED, Values, aggregate_output, pairs_of, sorted_column, values_of
from duckfeat.compile.scope import Context, Scope
from duckfeat.compile.select import Query, filtered, selected_sql
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
    listed = [f"{_told_apart(column)} AS k{at}" for at, column in enumerate(columns)]
    made = [values.columns if values else [] for values in given]
    listed += [f"{sql} AS v{at}_{part}" for at, sqls in enumerate(made) for part, sql in enumerate(sqls)]
    rows = f"SELECT {', '.join(listed) or '1'} FROM {filtered(scope, query)}"
    for at, column in enumerate(columns):
        if column.content == "list":
            items = f"unnest(CASE WHEN len(k{at}) > 0 THEN k{at} ELSE [NULL] END)"
            rows = f"SELECT * REPLACE ({items} AS k{at}) FROM ({rows})"
    shown = [_shown(column, f"k{at}") for at, column in enumerate(columns)]
    outputs = shown + [
        aggregate_output(name, aggregate, values, [f"v{at}_{part}" for part in range(len(made[at]))])
        for at, ((name, aggregate), values) in enumerate(zip(aggregates.items(), given, strict=True))
    ]
    sql = f"SELECT {selected_sql(outputs)} FROM ({rows})"
    if columns:
        order = ", ".join(f"{_place(column, output)} NULLS LAST" for column, output in zip(columns, shown, strict=True))
        sql += f" GROUP BY {', '.join(f'k{at}' for at in range(len(columns)))} ORDER BY {order}"
    return context.params.statement(sql), outputs


def _told_apart(column: Output) -> str:
    """Return the SQL of a key: where it may be either sort of datetime, pairs of one of each."""
    return pairs_of(column, many=column.content == "list") if column.instants else column.sql


def _shown(column: Output, sql: str) -> Output:
    """Return the column of a key, which is called `sql`, and is one item where it was a list."""
    content = "item" if column.content == "list" else column.content
    if not column.instants:
        return Output(column.name, sql, content)
    return Output(column.name, f"struct_extract({sql}, 1)", content, f"struct_extract({sql}, 2)")


def _place(column: Output, shown: Output) -> str:
    """Return the SQL of what groups are ordered by: datetimes of either sort stand together, instants in UTC."""
    if not shown.instants:
        return shown.sql
    return f"coalesce({shown.sql}, CAST({shown.instants} AS TIMESTAMP{'[]' if column.nested else ''}))"


def _key(scope: Scope, key: Any) -> Output:
    column = sorted_column(scope, key)
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
