"""Bound conditions as a small tree, and the SQL text it becomes.

A leaf is SQL already; `Holders` are the ids that have a value of a feature. The tree is built and written
without recursion on its depth: thousands of terms, in a row or nested, give text that stays shallow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from duckfeat.compile.fragments import FALSE, TRUE, all_of, any_of

PLAIN_DEPTH = 40
"""Conditions nested no deeper are written as they stand; deeper ones as decisions, which stay shallow."""

SUBQUERY_LIMIT = 500
"""How many subqueries one question may have: DuckDB plans each inside the one before it."""

_NESTED_HOLDERS = 4


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition that is SQL text; `subqueries` is how many it holds."""

    sql: str
    subqueries: int = 0


@dataclass(frozen=True, slots=True)
class Holders:
    """The condition that an id is among the entities that `source WHERE where AND condition` gives.

    `single` tells that each entity has one row there at most.
    """

    id: str
    source: str
    where: str
    condition: str | None
    single: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """What two of them must share to be asked as one."""
        return self.id, self.source, self.where

    def select(self, also: str = "") -> str:
        """Return the subquery of the entities."""
        condition = f" AND {self.condition}" if self.condition else ""
        return f"SELECT n.entity_id FROM {self.source} WHERE {self.where}{condition}{also}"


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by AND or OR."""

    connector: str
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The opposite of a condition."""

    part: Expression


Expression = Leaf | Holders | Junction | Negation


def junction(connector: str, parts: Iterable[Expression]) -> Expression:
    """Return conditions joined by AND or OR; those on one feature that can be asked at once become one.

    >>> junction("OR", [Leaf("a"), Leaf("b")])
    Junction(connector='OR', parts=(Leaf(sql='a', subqueries=0), Leaf(sql='b', subqueries=0)))
    """
    kept: list[Expression] = []
    merging: dict[tuple[str, str, str], list[Holders]] = {}
    for part in parts:
        if isinstance(part, Holders) and part.condition and (connector == "OR" or part.single):
            if part.key not in merging:
                kept.append(part)
            merging.setdefault(part.key, []).append(part)
        else:
            kept.append(part)
    merged = tuple(_merged(connector, merging, part) for part in kept)
    if not merged:
        return Leaf(TRUE if connector == "AND" else FALSE)
    return merged[0] if len(merged) == 1 else Junction(connector, merged)


def _merged(connector: str, merging: dict[tuple[str, str, str], list[Holders]], part: Expression) -> Expression:
    if not isinstance(part, Holders) or not part.condition or part.key not in merging:
        return part
    conditions = [same.condition or TRUE for same in merging[part.key]]
    return replace(part, condition=all_of(conditions) if connector == "AND" else any_of(conditions))


def children(node: Expression) -> tuple[Expression, ...]:
    """Return the conditions a condition is made of."""
    if isinstance(node, Junction):
        return node.parts
    return (node.part,) if isinstance(node, Negation) else ()


def ordered(root: Expression) -> list[Expression]:
    """Return every node of a tree, those below before those above."""
    found, stack = [], [root]
    while stack:
        node = stack.pop()
        found.append(node)
        stack.extend(children(node))
    return found[::-1]


def subqueries(root: Expression) -> int:
    """Return how many subqueries a condition holds."""
    return sum(
        1 if isinstance(node, Holders) else node.subqueries if isinstance(node, Leaf) else 0 for node in ordered(root)
    )


def write(root: Expression) -> str:
    """Return a condition as SQL text.

    >>> write(Negation(Junction("AND", (Leaf("a"), Leaf("b")))))
    '(NOT (a AND b))'
    """
    depths: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for node in ordered(root):
        below = children(node)
        depths[id(node)] = 1 + max((depths[id(child)] for child in below), default=0)
        sizes[id(node)] = 1 + sum(sizes[id(child)] for child in below)
    return _plain(root) if depths[id(root)] <= PLAIN_DEPTH else _decided(root, sizes)


def _plain(node: Expression) -> str:
    if isinstance(node, Leaf):
        return node.sql
    if isinstance(node, Holders):
        return f"{node.id} IN ({node.select()})"
    if isinstance(node, Negation):
        return f"(NOT {_plain(node.part)})"
    if node.connector == "AND":
        return all_of(_intersected(node.parts))
    return any_of(_united(node.parts))


def _intersected(parts: Sequence[Expression]) -> list[str]:
    """Write conditions joined by AND: those on several features inside one another, which narrows each scan."""
    chains: dict[str, list[Holders]] = {}
    written = []
    for part in parts:
        if isinstance(part, Holders):
            chains.setdefault(part.id, []).append(part)
        else:
            written.append(_plain(part))
    for id_, chain in chains.items():
        for start in range(0, len(chain), _NESTED_HOLDERS):
            inner = ""
            for holders in reversed(chain[start : start + _NESTED_HOLDERS]):
                select = holders.select(inner)
                inner = f" AND n.entity_id IN ({select})"
            written.insert(0, f"{id_} IN ({select})")
    return written


def _united(parts: Sequence[Expression]) -> list[str]:
    """Write conditions joined by OR: those on several features as one set of ids."""
    sets: dict[str, list[str]] = {}
    written = []
    for part in parts:
        if isinstance(part, Holders):
            sets.setdefault(part.id, []).append(part.select())
        else:
            written.append(_plain(part))
    return [f"{id_} IN ({' UNION ALL '.join(selects)})" for id_, selects in sets.items()] + written


def _decided(root: Expression, sizes: dict[int, int]) -> str:
    """Write a deep condition as one flat CASE along its heaviest branch, and what hangs off it the same way.

    What is left off the branch is at most half as big each time, so the text nests with the logarithm of the size.
    """
    cases: list[str] = []
    node, turned = root, False
    while below := children(node):
        heavy = max(below, key=lambda child: sizes[id(child)])
        if isinstance(node, Negation):
            turned = not turned
        elif isinstance(node, Junction):
            rest = [_decided(child, sizes) for child in below if child is not heavy]
            if node.connector == "AND":
                cases.append(f"WHEN ({all_of(rest)}) IS NOT TRUE THEN {TRUE if turned else FALSE}")
            else:
                cases.append(f"WHEN {any_of(rest)} THEN {FALSE if turned else TRUE}")
        node = heavy
    last = f"NOT {_plain(node)}" if turned else _plain(node)
    return f"(CASE {' '.join(cases)} ELSE {last} END)" if cases else f"({last})"
