"""Wide frames of some of a registry's rows: these are chosen first, and what is joined to them is only theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from duckfeat.compile.feature_joins import among, block_size
from duckfeat.compile.scope import Context, Scope, unless_removed
from duckfeat.compile.select import (
    Columns,
    Query,
    clause,
    join_ranking,
    order_keys,
    query_scope,
    row_conditions,
    select,
    selected_sql,
    slice_sql,
)
from duckfeat.model.columns import Output
from duckfeat.model.statement import Statement
from duckfeat.model.tables import Table

_SCORE = "ranking_score"


def select_wide(
    context: Context,
    query: Query,
    columns: Columns,
    *,
    extra: int = 0,
    listed: Callable[[Sequence[Output]], str] = selected_sql,
) -> tuple[Statement, list[Output]]:
    """Return the statement of a question whose columns come by joins, and its columns, as `select` does.

    A question about every row joins whole features. One that is narrowed chooses its rows first, reads the
    annotations of these rows with one scan, and joins that: the less it asks for, the less it reads.
    """
    if not is_narrowed(query):
        return select(context, query, columns, extra=extra, listed=listed)
    scope = _Chosen(context, query.table)
    outputs = columns(scope)
    chosen, order = _chosen(context, query, scope, extra)
    sql = f"WITH chosen AS MATERIALIZED ({chosen}){scope.annotations_sql()} SELECT {listed(outputs)}"
    return context.params.statement(f"{sql} FROM {scope.source}{clause('ORDER BY', order)}"), outputs


def is_narrowed(query: Query) -> bool:
    """Tell whether a question asks for some rows of its table, so that choosing them first is worth it."""
    narrowed = query.conditions or query.within or query.sliced or query.ranking
    return bool(narrowed) and not query.distinct and not query.annotations


def _chosen(context: Context, query: Query, scope: _Chosen, extra: int) -> tuple[str, str]:
    """Return the statement of the rows that are asked for, with the columns that were, and their order."""
    inner = query_scope(context, query)
    join_ranking(inner, query)
    where = row_conditions(inner, query)
    keys = order_keys(inner, query)
    listed = [f"{inner.score if name == _SCORE else inner.column(name)} AS {name}" for name in scope.asked]
    listed += [f"{sql} AS key_{position}" for position, (sql, _) in enumerate(keys)]
    order = ", ".join(f"{sql} {direction}" for sql, direction in keys) if query.sliced else ""
    sql = (
        f"SELECT {', '.join(listed)} FROM {inner.source}"
        f"{clause('WHERE', where)}{clause('ORDER BY', order)}{slice_sql(query, extra)}"
    )
    return sql, ", ".join(f"chosen.key_{position} {direction}" for position, (_, direction) in enumerate(keys))


class _Chosen(Scope):
    """The chosen rows of a table: remembers which of its columns and which features were asked for."""

    def __init__(self, context: Context, table: Table) -> None:
        super().__init__(context, table, "chosen")
        self.asked: dict[str, None] = {"id": None}

    def column(self, name: str) -> str:
        self.asked[name] = None
        return super().column(name)

    @property
    def score(self) -> str:
        return self.column(_SCORE)

    @property
    def base(self) -> str:
        return "chosen"

    def notes(self, numbers: Sequence[str], joins: Sequence[str]) -> str:  # noqa: ARG002  # read for these alone
        return " ".join(["chosen_annotations AS n", *joins])

    @property
    def ids(self) -> str:
        # Every row has an id, but DuckDB 1.5 gives a scan the filter of a join only if the other side was filtered too.
        return "(SELECT id FROM chosen WHERE id IS NOT NULL)"

    def annotations_sql(self) -> str:
        """Return the parts of the statement that read the annotations of the chosen rows with the features.

        Each feature has a scan of its own, which skips what is of others; what was removed is left out last, of the
        few that are left: so no estimate of the engine's can make it join the annotations of all rows.
        """
        if not self.features:
            return ""
        word, numbers = self.table.entity or "", [column.number for column in self.features.values()]
        size = block_size(len(numbers))
        scans = " UNION ALL ".join(
            f"SELECT feature_id, entity_id, value_id, change_id FROM {word}_annotations "
            f"WHERE feature_id {among(numbers[at : at + size])}"
            for at in range(0, len(numbers), size)
        )
        return (
            f", annotations_ever AS MATERIALIZED (SELECT * FROM ({scans}) AS n WHERE n.entity_id IN {self.ids}), "
            "chosen_annotations AS MATERIALIZED ("
            f"SELECT n.feature_id, n.entity_id, n.value_id FROM annotations_ever AS n {unless_removed(word, numbers)})"
        )
