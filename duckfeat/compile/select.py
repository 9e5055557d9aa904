"""Questions as data, and the one statement each becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from duckfeat.compile.bind import bind, condition_sql
from duckfeat.compile.computed import column_of
from duckfeat.compile.expressions import Expression, ids_select
from duckfeat.compile.fragments import FALSE, LIST_LIMIT, all_of, quote
from duckfeat.compile.scope import Context, Scope
from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.model.aggregates import Aggregate
from duckfeat.model.arguments import named
from duckfeat.model.columns import Output
from duckfeat.model.order import Order
from duckfeat.model.q import Condition, Q
from duckfeat.model.statement import Statement
from duckfeat.model.tables import Table

LIFTING = frozenset({"branch", "branch_id", "id", "pk", "uid", "hash"})
"""Naming one of these in a query lifts the limit to the current branch."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows found by something else than a condition, with their scores, in the order they are to have."""

    ids: tuple[int, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """An immutable question to one registry.

    `annotations` are columns computed from what belongs to each record. One that is not `ordered` takes its rows as
    they come: DuckDB would join few ordered rows to the table once more, which costs more than finding them.
    """

    table: Table
    conditions: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    ordered: bool = True
    branches: tuple[int, ...] | None = None
    limit: int | None = None
    offset: int = 0
    ranking: Ranking | None = None
    empty: bool = False
    distinct: bool = False
    within: tuple[tuple[str, tuple[int, ...]], ...] = ()
    annotations: tuple[tuple[str, Aggregate], ...] = ()

    @property
    def sliced(self) -> bool:
        """Whether the question asks for a part of its rows."""
        return self.limit is not None or self.offset > 0

    def ids_sql(self, context: Context) -> str:
        """Return the subquery that gives the ids of the question's rows."""
        return ids_sql(context, self)

    def where(self, condition: Condition) -> Query:
        """Return the question narrowed by one more condition."""
        self._check_whole()
        lifted = self.branches is not None and names_lifting(condition)
        return replace(self, conditions=(*self.conditions, condition), branches=None if lifted else self.branches)

    def everywhere(self) -> Query:
        """Return the question about the records of all branches."""
        self._check_whole()
        return replace(self, branches=None)

    def _check_whole(self) -> None:
        if self.sliced:
            raise InvalidArgument("a slice cannot be filtered further: filter first, then slice")


def names_lifting(condition: Any) -> bool:
    """Tell whether a condition names a branch, id, uid or hash."""
    stack = [condition]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple) and node[0].split("__")[0] in LIFTING:
            return True
        if isinstance(node, Q):
            stack.extend(node.children)
    return False


Columns = Callable[[Scope], list[Output]]


def select(
    context: Context,
    query: Query,
    columns: Columns,
    *,
    extra: int = 0,
    listed: Callable[[Sequence[Output]], str] | None = None,
) -> tuple[Statement, list[Output]]:
    """Return the statement of a question and its columns, which the result has in that order as c0, c1, ...

    `extra` more rows than the limit are asked for, to see whether it cut any; `listed` says under which names
    columns are selected.
    """
    scope = query_scope(context, query)
    join_ranking(scope, query)
    outputs = columns(scope)
    where = row_conditions(scope, query)
    order = order_sql(scope, query)
    selected = (listed or selected_sql)(outputs)
    distinct = _distinct_sql(outputs) if query.distinct else ""
    if query.distinct:
        order = _distinct_order(query, outputs)
    sql = f"SELECT {distinct}{selected} FROM {scope.source}{clause('WHERE', where)}"
    sql += f"{clause('ORDER BY', order)}{slice_sql(query, extra)}"
    return context.params.statement(sql), outputs


def selected_sql(outputs: Sequence[Output]) -> str:
    """Return what is selected: the columns as c0, c1, ..., behind them the instants of those that may have both."""
    listed = [output.sql for output in outputs]
    listed += [output.instants for output in outputs if output.instants]
    return ", ".join(f"{sql} AS c{position}" for position, sql in enumerate(listed))


def named_sql(outputs: Sequence[Output]) -> str:
    """Return what is selected under the names that people see."""
    return ", ".join(f"{output.sql} AS {quote(output.name)}" for output in outputs)


def row_conditions(scope: Scope, query: Query) -> str:
    """Return the WHERE of a question; empty text when every row is meant."""
    return FALSE if query.empty else _row_conditions(scope, query, bind(scope, query.conditions))


def _row_conditions(scope: Scope, query: Query, bound: Expression) -> str:
    params = scope.context.params
    parts = [condition_sql(scope, bound)] if query.conditions else []
    for column, ids in query.within:
        named = scope.column(column)
        if column == "id":
            parts.append(params.ids(named, ids, compared=not scope.context.joins_narrow))
        else:
            parts.append(params.member(named, ids, "BIGINT"))
    ranked = query.ranking.ids if query.ranking else ()
    if 0 < len(ranked) <= LIST_LIMIT and not scope.context.joins_narrow:
        parts.append(params.compared_ids(scope.column("id"), ranked))
    if query.branches is not None:
        parts.append(params.member(scope.column("branch_id"), query.branches, "BIGINT"))
    return all_of(parts) if parts else ""


def join_ranking(scope: Scope, query: Query) -> None:
    """Join the rows that a search found, with their scores and ranks, as `ranking`."""
    if query.ranking is None:
        return
    add = scope.context.params.add
    ids, scores = add(list(query.ranking.ids)), add(list(query.ranking.scores))
    scope.joins.append(
        f"JOIN (SELECT unnest({ids}::BIGINT[]) AS id, unnest({scores}::DOUBLE[]) AS score, "
        f"unnest(range(1, {len(query.ranking.ids) + 1})) AS rank) AS ranking ON ranking.id = {scope.column('id')}"
    )


def order_sql(scope: Scope, query: Query) -> str:
    """Return the ORDER BY of a question: as asked, then newest first."""
    return ", ".join(f"{sql} {direction}" for sql, direction in order_keys(scope, query))


def order_keys(scope: Scope, query: Query) -> list[tuple[str, str]]:
    """Return the keys of a question's order, each with its direction."""
    if not query.ordered:
        return []
    if query.ranking is not None and not query.order:
        return [("ranking.rank", "ASC")]
    if any(column == "id" and len(ids) == 1 for column, ids in query.within):
        return []  # one row at most: an order would cost a third of reading it
    keys = [(_order_output(scope, order.key).order, _direction(order)) for order in query.order]
    return [*keys, (scope.column("id"), "DESC")]


def _direction(order: Order) -> str:
    nulls = "FIRST" if order.nulls_first else "LAST"
    return f"{'DESC' if order.descending else 'ASC'} NULLS {nulls}"


def _order_output(scope: Scope, key: Any) -> Output:
    output = column_of(scope, key)
    if output.content in {"list", "json_list", "json"}:
        raise FieldError(f"{scope.table.name} cannot be ordered by {key!r}, which holds lists or nested values")
    return output


def _distinct_sql(outputs: Sequence[Output]) -> str:
    """Return the DISTINCT that keeps one of equal rows: those whose values are, not only what is shown of them."""
    if not any(output.exact or output.place for output in outputs):
        return "DISTINCT "
    return f"DISTINCT ON ({', '.join(output.identity for output in outputs)}) "


def _distinct_order(query: Query, outputs: Sequence[Output]) -> str:
    by_name = {output.name: _sorted_by(position, output) for position, output in enumerate(outputs, 1)}
    keys: list[str] = []
    for order in query.order:
        name = named(order.key)
        if name not in by_name:
            raise FieldError(f"distinct rows can be ordered by their own columns only, not by {name!r}", name=name)
        keys += [f"{sql} {_direction(order)}" for sql in by_name[name]]
    return ", ".join(keys or (sql for sqls in by_name.values() for sql in sqls))


def _sorted_by(position: int, output: Output) -> list[str]:
    """Return the SQL of what distinct rows are sorted by for one of their columns."""
    if output.place is not None:
        return [output.place, output.identity]  # 1 and 1.0 are two values of one size
    return [output.identity if output.exact else str(position)]


def clause(word: str, text: str) -> str:
    """Return a clause of a statement; of nothing it is nothing."""
    return f" {word} {text}" if text else ""


def slice_sql(query: Query, extra: int) -> str:
    """Return the LIMIT and OFFSET of a question, with `extra` more rows than it asks for."""
    limit = f" LIMIT {int(query.limit) + extra}" if query.limit is not None else ""
    return f"{limit} OFFSET {int(query.offset)}" if query.offset else limit


def count(context: Context, query: Query, columns: Columns | None = None) -> Statement:
    """Return the statement that counts the rows of a question."""
    if query.sliced or query.distinct or query.ranking:
        statement, _ = select(context, query, columns or (lambda scope: [Output("id", scope.column("id"), "int")]))
        return context.params.statement(f"SELECT count(*) FROM ({statement.sql})")
    scope = query_scope(context, query)
    if query.empty:
        return context.params.statement("SELECT 0")
    bound = bind(scope, query.conditions)
    if query.conditions and not query.within:
        found = ids_select(bound, scope.column("id"))
        if found is not None:
            return context.params.statement(_count_ids(scope, query, *found))
    where = _row_conditions(scope, query, bound)
    return context.params.statement(f"SELECT count(*) FROM {scope.source}{clause('WHERE', where)}")


def _count_ids(scope: Scope, query: Query, select: str, once: bool) -> str:
    """Return the count of ids, less those of records on branches that the question does not see, which are few."""
    counted = "count(*)" if once else "count(DISTINCT entity_id)"
    if query.branches is None:
        return f"SELECT {counted} FROM ({select})"
    # DuckDB 1.5 skips blocks of rows by `<>`, by NOT IN it does not.
    unseen = all_of([f"branch_id <> {scope.context.params.add(branch)}" for branch in query.branches])
    return f"SELECT {counted} FROM ({select}) WHERE entity_id NOT IN (SELECT id FROM {scope.table.rows} WHERE {unseen})"


def query_scope(context: Context, query: Query) -> Scope:
    """Return the scope of a question's table, with what is computed for it."""
    return Scope(context, query.table, annotations=dict(query.annotations))


def filtered(scope: Scope, query: Query) -> str:
    """Return the FROM and WHERE that give the rows of a question; a slice gives its own rows only."""
    if not query.sliced and query.ranking is None:
        where = row_conditions(scope, query)
        return f"{scope.source}{clause('WHERE', where)}"
    return f"{scope.source} WHERE {scope.column('id')} IN ({ids_sql(scope.context, query)})"


def ids_sql(context: Context, query: Query) -> str:
    """Return the subquery that gives the ids of a question's rows."""
    scope = query_scope(context, query)
    join_ranking(scope, query)
    where = row_conditions(scope, query)
    order = order_sql(scope, query) if query.sliced else ""
    return (
        f"SELECT {scope.column('id')} AS id FROM {scope.source}"
        f"{clause('WHERE', where)}{clause('ORDER BY', order)}{slice_sql(query, 0)}"
    )
