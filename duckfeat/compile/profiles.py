"""The statement that sums up features: values, entities without one, extremes, quartiles, the commonest."""

from __future__ import annotations

from collections.abc import Sequence

from duckfeat.compile.columns import called_sql, category_table
from duckfeat.compile.scope import Context, Scope
from duckfeat.compile.select import Query, ids_sql
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.statement import Statement

MOST_FREQUENT = 5
_SQUARED = "1e150"
"""Numbers up to here can be squared and added without leaving the range of a float."""


def profile_sql(context: Context, query: Query, features: Sequence[FeatureInfo]) -> Statement:
    """Return the statement that gives a row per feature, in the order given, over the entities a question finds."""
    numbers = [info.id for info in features]
    wanted = context.params.member("f.id", numbers, "BIGINT")
    places = "".join(
        f" WHEN {context.params.add(number)} THEN {context.params.add(place)}" for place, number in enumerate(numbers)
    )
    order = f" ORDER BY CASE f.id{places} END" if numbers else ""
    return context.params.statement(
        f"WITH wanted AS MATERIALIZED (SELECT f.id, f.name, f.dtype, f.unit FROM features AS f WHERE {wanted}), "
        f"entities AS MATERIALIZED ({ids_sql(context, query)}), "
        f"notes AS MATERIALIZED (SELECT n.feature_id, n.entity_id, n.value_id "
        f"FROM current_{query.table.entity}_annotations AS n "
        "WHERE n.feature_id IN (SELECT id FROM wanted) AND n.entity_id IN (SELECT id FROM entities)), "
        "counted AS MATERIALIZED (SELECT feature_id, value_id, count(*) AS times FROM notes GROUP BY ALL), "
        f"shown AS MATERIALIZED ({_shown(context, features)}), "
        f"summed AS ({_SUMMED}), ranked AS ({_RANKED}), "
        "frequent AS (SELECT feature_id, list(struct_pack(value := text, count := times) ORDER BY place) AS items "
        f"FROM ranked WHERE place <= {MOST_FREQUENT} GROUP BY feature_id) {_ROWS}{order}"
    )


def _shown(context: Context, features: Sequence[FeatureInfo]) -> str:
    """Return the distinct values: as text, and as numbers where they are any."""
    parts = [
        (
            "SELECT c.feature_id, c.value_id, c.times, v.int_value AS whole, "
            "coalesce(v.float_value, v.int_value::DOUBLE) AS number, "
            "coalesce(timezone('UTC', v.instant_value)::VARCHAR || '+00', v.value) AS text "
            "FROM counted AS c JOIN feature_values AS v ON v.id = c.value_id AND v.feature_id = c.feature_id"
        )
    ]
    by_registry: dict[str, list[FeatureInfo]] = {}
    for info in features:
        if info.dtype.is_cat:
            by_registry.setdefault(info.dtype.registry or "", []).append(info)
    for infos in by_registry.values():
        scope = Scope(context, category_table(Scope(context, context.catalog["Feature"]), infos[0]))
        of_features = context.params.member("c.feature_id", [info.id for info in infos], "BIGINT")
        parts.append(
            f"SELECT c.feature_id, c.value_id, c.times, NULL, NULL, {called_sql(scope.alias, scope.table)} "
            f"FROM counted AS c JOIN {scope.source} ON {scope.column('id')} = c.value_id WHERE {of_features}"
        )
    return " UNION ALL ".join(parts)


_KEY = "struct_pack(number := s.number, whole := s.whole, text := s.text)"
_SUMMED = (
    "SELECT n.feature_id, count(*) AS notes, count(DISTINCT n.entity_id) AS entities, "
    f"count(DISTINCT n.value_id) AS items, min({_KEY}).text AS least, max({_KEY}).text AS most, "
    "avg(s.number) AS mean, "
    f"CASE WHEN bool_and(abs(s.number) < {_SQUARED}) THEN stddev_samp(s.number) FILTER (abs(s.number) < {_SQUARED}) "
    "WHEN count(s.number) > 0 THEN 'nan'::DOUBLE END AS std, "
    "quantile_cont(s.number, [0.25, 0.5, 0.75]) AS quartiles "
    "FROM notes AS n LEFT JOIN shown AS s ON s.feature_id = n.feature_id AND s.value_id = n.value_id "
    "GROUP BY n.feature_id"
)
_RANKED = (
    "SELECT feature_id, text, times, "
    "row_number() OVER (PARTITION BY feature_id ORDER BY times DESC, number, text, value_id) AS place FROM shown"
)
_ROWS = (
    "SELECT f.name AS feature, f.dtype, f.unit, coalesce(s.notes, 0) AS count, "
    '(SELECT count(*) FROM entities) - coalesce(s.entities, 0) AS missing, coalesce(s.items, 0) AS "distinct", '
    "s.least AS min, s.most AS max, s.mean, s.std, s.quartiles[1] AS q25, s.quartiles[2] AS median, "
    "s.quartiles[3] AS q75, coalesce(q.items, []) AS most_frequent "
    "FROM wanted AS f LEFT JOIN summed AS s ON s.feature_id = f.id LEFT JOIN frequent AS q ON q.feature_id = f.id"
)
