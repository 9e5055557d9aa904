"""Joins that give rows the values of features: one for each feature, of many features one for a block of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

JOINS_LIMIT = 40
"""How many joins give features at most: each is planned inside the one before it, which takes stack and time."""

BLOCK_SIZE = 20
"""How many features a block has at least."""


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """The values that entities have of a feature.

    `number` is the placeholder of the feature's id, `table` the rows `v` that its values are. `parts` are SQL over
    `v`, by the names of the columns they become. With `order`, the SQL that a list is ordered by, these are lists;
    `sparse` tells that they leave out what is missing.
    """

    number: str
    alias: str
    table: str
    typed: bool
    parts: Mapping[str, str]
    order: str | None = None
    sparse: bool = False

    def alone(self) -> str:
        """Return what is selected of rows of this feature only."""
        return self._selected(lambda sql: sql, "") if self.order else self._listed(self.parts)

    def among_others(self) -> str:
        """Return what is selected of rows of several features, grouped by entity."""
        own = f"n.feature_id = {self.number}"

        def guarded(sql: str) -> str:
            return f"CASE WHEN {own} THEN {sql} END"

        if self.order:
            return self._selected(guarded, own)
        return self._listed({name: f"any_value({guarded(sql)})" for name, sql in self.parts.items()})

    def _selected(self, guarded: Callable[[str], str], own: str) -> str:
        """Return the lists of an entity's values, in the order that `get_values` gives."""
        lists = {}
        for name, sql in self.parts.items():
            order = guarded(sql if self.order is None else self.order.format(sql))
            kept = " AND ".join(part for part in (own, f"{sql} IS NOT NULL" if self.sparse else "") if part)
            given = f" FILTER ({kept})" if kept else ""
            lists[name] = f"list({guarded(sql)} ORDER BY {order} NULLS LAST, v.id){given}"
        return self._listed(lists)

    @staticmethod
    def _listed(columns: Mapping[str, str]) -> str:
        return ", ".join(f"{sql} AS {name}" for name, sql in columns.items())


Notes = Callable[[Sequence[str], Sequence[str]], str]
"""Returns where the current annotations `n` with some features are, with what is joined to them."""


def feature_joins(columns: Sequence[FeatureColumn], notes: Notes, id_: str) -> list[str]:
    """Return the joins that give the entities of an id column the values of features; no row is multiplied."""
    size = block_size(len(columns))
    by_table: dict[str, list[FeatureColumn]] = {}
    for column in columns:
        by_table.setdefault(column.table, []).append(column)
    return [
        _joined(alike[at : at + size], notes, id_) for alike in by_table.values() for at in range(0, len(alike), size)
    ]


def block_size(count: int) -> int:
    """Return how many of `count` features one join gives.

    >>> block_size(40), block_size(41), block_size(8_000)
    (1, 20, 200)
    """
    return 1 if count <= JOINS_LIMIT else max(BLOCK_SIZE, -(-count // JOINS_LIMIT))


def _joined(block: Sequence[FeatureColumn], notes: Notes, id_: str) -> str:
    first, numbers = block[0], [column.number for column in block]
    crowd = len(block) > 1
    selected = ", ".join(column.among_others() if crowd else column.alone() for column in block)
    of_feature = f" AND v.feature_id {among(numbers)}" if first.typed else ""
    if first.typed and crowd:
        of_feature = f" AND v.feature_id = n.feature_id{of_feature}"
    source = notes(numbers, [f"JOIN {first.table} AS v ON v.id = n.value_id{of_feature}"])
    group = " GROUP BY n.entity_id" if crowd or first.order else ""
    select = f"SELECT n.entity_id, {selected} FROM {source} WHERE n.feature_id {among(numbers)}{group}"
    return f"LEFT JOIN ({select}) AS {first.alias} ON {first.alias}.entity_id = {id_}"


def among(numbers: Sequence[str]) -> str:
    """Return the comparison with one of some placeholders.

    >>> among(["$p0"]), among(["$p0", "$p1"])
    ('= $p0', 'IN ($p0, $p1)')
    """
    return f"= {numbers[0]}" if len(numbers) == 1 else f"IN ({', '.join(numbers)})"
