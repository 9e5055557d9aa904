"""Bound conditions as a small tree, and the SQL text it becomes.

A leaf is SQL already. A `SemiJoin` is the condition that an id has some row elsewhere: a value of a feature, or a
related record.
The tree is built and written without recursion on its depth: thousands of terms, in a row or nested, give text that
stays shallow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from duckfeat.compile.feature_joins import JOINS_LIMIT, block_size
from duckfeat.compile.fragments import FALSE, TRUE, all_of, any_of, whole

PLAIN_DEPTH = 40
"""Conditions nested no deeper are written as they stand; deeper ones as decisions, which stay shallow."""

SUBQUERY_LIMIT = JOINS_LIMIT
"""How many subqueries one condition may have: DuckDB plans each inside the one before it. More become one join."""

TERM_LIMIT = 100
"""How many terms DuckDB may take apart; more are decided as one."""

_NESTED_SEMI_JOINS = 4


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition that is SQL text; `subqueries` is how many it holds."""

    sql: str
    subqueries: int = 0


@dataclass(frozen=True, slots=True)
class Kinship:
    """What makes an origin one of a family that one scan reads: origins that differ in a number only.

    `own` is the condition that a row is this origin's, `together` gives the origin of the rows of several numbers.
    """

    family: tuple[str, ...]
    number: str
    own: str
    together: Callable[[Sequence[str]], Origin]


@dataclass(frozen=True, slots=True)
class Removal:
    """What no longer counts of an origin's rows, called `n`: `join`, which comes last, leaves it out.

    It looks at these `columns` of theirs, among what was removed of the same `numbers`. Origins of one `family` can
    share it.
    """

    family: str
    columns: str
    numbers: Sequence[str]
    join: Callable[[Sequence[str]], str]


@dataclass(frozen=True, eq=False, slots=True)
class Origin:
    """Rows that belong to ids: the SQL of the id in them, their FROM clause, and which of them count.

    The FROM clause is read when the statement is written, since conditions on the rows may add joins to it. `single`
    tells that each id has one row there at most, `existing` that every id there is one of a record.
    """

    near: str
    source: Callable[[], str]
    where: str = TRUE
    single: bool = False
    existing: bool = False
    kinship: Kinship | None = None
    removal: Removal | None = None

    def select(self, *conditions: str) -> str:
        """Return the subquery of the ids that have a row which fulfils the conditions."""
        return f"SELECT {self.near} FROM {self._current} WHERE {self._where(conditions)}"

    def select_ever(self, columns: str, condition: str) -> str:
        """Return the subquery of columns of the rows that fulfil a condition, with those that no longer count."""
        return f"SELECT {columns} FROM {self.source()} WHERE {self._where([condition])}"

    def select_all(self, conditions: Sequence[str]) -> str:
        """Return the subquery of the ids that have, for each of the conditions, a row which fulfils it."""
        having = _all_whole([f"bool_or({condition})" for condition in conditions])
        return f"SELECT {self.near} FROM {self._current} WHERE {self._where(())} GROUP BY {self.near} HAVING {having}"

    def grouped(self, conditions: Sequence[str]) -> str:
        """Return the subquery that tells for each `id` whether a row fulfils each condition, as `h0`, `h1`, ..."""
        told = ", ".join(f"bool_or({condition}) AS h{at}" for at, condition in enumerate(conditions))
        return f"SELECT {self.near} AS id, {told} FROM {self._current} WHERE {self._where(())} GROUP BY {self.near}"

    @property
    def _current(self) -> str:
        return f"{self.source()} {self.removal.join(self.removal.numbers)}" if self.removal else self.source()

    def _where(self, conditions: Sequence[str]) -> str:
        return " AND ".join(part for part in (self.where, *conditions) if part != TRUE) or TRUE


@dataclass(frozen=True, slots=True)
class SemiJoin:
    """The condition that an id has a row of an origin which fulfils `condition`, as in `id IN (SELECT ...)`.

    `nullable` tells that the id may be missing, and then the condition is false.
    """

    id: str
    origin: Origin
    condition: str = TRUE
    nullable: bool = False

    @property
    def key(self) -> tuple[str, Origin]:
        """What two of them must share to be asked as one."""
        return self.id, self.origin

    def among(self, select: str) -> str:
        """Return the condition that the id is one of those that a subquery gives."""
        condition = f"{self.id} IN ({select})"
        return f"coalesce({condition}, FALSE)" if self.nullable else condition


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by AND or OR."""

    connector: str
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The opposite of a condition."""

    part: Expression


Expression = Leaf | SemiJoin | Junction | Negation


def junction(connector: str, parts: Iterable[Expression]) -> Expression:
    """Return conditions joined by AND or OR; those on one origin that can be asked at once become one.

    >>> junction("OR", [Leaf("a"), Leaf("b")])
    Junction(connector='OR', parts=(Leaf(sql='a', subqueries=0), Leaf(sql='b', subqueries=0)))
    """
    kept: list[Expression] = []
    merging: dict[tuple[Any, ...], list[str]] = {}
    for part in parts:
        key = _merging_key(connector, part)
        if key is None or key not in merging:
            kept.append(part)
        if key is not None:
            merging.setdefault(key, []).append(_semi_join(part).condition)
    merged = tuple(_merged(connector, merging, part) for part in kept)
    if not merged:
        return Leaf(TRUE if connector == "AND" else FALSE)
    return merged[0] if len(merged) == 1 else Junction(connector, merged)


def _semi_join(part: Expression) -> SemiJoin:
    inner = part.part if isinstance(part, Negation) else part
    if not isinstance(inner, SemiJoin):
        raise TypeError(part)
    return inner


def _merging_key(connector: str, part: Expression) -> tuple[Any, ...] | None:
    """Return what conditions that can be asked at once share, or None.

    One row may fulfil any of several conditions, so those joined by OR can, and negated ones joined by AND. The
    others can where there is one row at most.
    """
    inner = part.part if isinstance(part, Negation) else part
    if not isinstance(inner, SemiJoin):
        return None
    negated = isinstance(part, Negation)
    any_row = connector == ("AND" if negated else "OR")
    return (negated, *inner.key) if any_row or inner.origin.single else None


def _merged(connector: str, merging: dict[tuple[Any, ...], list[str]], part: Expression) -> Expression:
    key = _merging_key(connector, part)
    if key is None or len(merging[key]) == 1:
        return part
    negated = isinstance(part, Negation)
    joined = any_of(merging[key]) if connector == ("AND" if negated else "OR") else _all_whole(merging[key])
    merged = replace(_semi_join(part), condition=joined)
    return Negation(merged) if negated else merged


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
        1 if isinstance(node, SemiJoin) else node.subqueries if isinstance(node, Leaf) else 0 for node in ordered(root)
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
    if depths[id(root)] > PLAIN_DEPTH:
        return _decided(root, sizes)
    return _plain(root) if sizes[id(root)] <= TERM_LIMIT else _large(root, sizes)


def _large(root: Expression, sizes: dict[int, int]) -> str:
    """Write a condition of many terms as one that DuckDB does not take apart, beside the subqueries it joins best."""
    if not (isinstance(root, Junction) and root.connector == "AND"):
        return whole(_plain(root))
    apart: list[Expression] = []
    others: list[Expression] = []
    for part in root.parts:
        (apart if sizes[id(part)] <= TERM_LIMIT and subqueries(part) else others).append(part)
    return all_of([*_intersected(apart), *([whole(all_of(_intersected(others)))] if others else [])])


def _all_whole(conditions: Sequence[str]) -> str:
    joined = all_of(conditions)
    return joined if len(conditions) <= TERM_LIMIT else whole(joined)


Asked = dict[tuple[str, Origin], list[str]]
"""The conditions that are asked of origins, by the id that has the rows."""


def folded(root: Expression, joins: list[str], alias: Callable[[], str]) -> Expression:
    """Return a condition without subqueries of its own: each origin is joined once and told all its conditions."""
    asked: Asked = {}
    for node in ordered(root):
        if isinstance(node, SemiJoin) and node.condition not in asked.setdefault(node.key, []):
            asked[node.key].append(node.condition)
    told: dict[tuple[str, Origin, str], str] = {}
    for block in _blocks(asked):
        id_, joined = block[0][0], alias()
        told |= {key: f"{joined}.h{at}" for at, key in enumerate(block)}
        joins.append(f"LEFT JOIN ({_grouped(block)}) AS {joined} ON {joined}.id = {id_}")
    made: dict[int, Expression] = {}
    for node in ordered(root):
        if isinstance(node, SemiJoin):
            made[id(node)] = Leaf(f"coalesce({told[(*node.key, node.condition)]}, FALSE)")
        elif isinstance(node, Junction):
            made[id(node)] = Junction(node.connector, tuple(made[id(part)] for part in node.parts))
        else:
            made[id(node)] = Negation(made[id(node.part)]) if isinstance(node, Negation) else node
    return made[id(root)]


Block = list[tuple[str, Origin, str]]
"""Conditions that one join tells: the id, the origin, the condition."""


def _blocks(asked: Asked) -> list[Block]:
    """Return what is asked in blocks: one for each origin, of very many origins one for several of a family."""
    size = block_size(len(asked))
    families: dict[Any, list[Block]] = {}
    for (id_, origin), conditions in asked.items():
        family = (id_, origin.kinship.family) if origin.kinship and size > 1 else (id_, origin)
        families.setdefault(family, []).append([(id_, origin, condition) for condition in conditions])
    return [
        [one for block in blocks[at : at + size] for one in block]
        for blocks in families.values()
        for at in range(0, len(blocks), size)
    ]


def _grouped(block: Block) -> str:
    origin = block[0][1]
    kin = {one.kinship.number: one.kinship for _, one, _ in block if one.kinship}
    if len(kin) < 2:
        return origin.grouped([condition for _, _, condition in block])
    guarded = [f"CASE WHEN {one.kinship.own} THEN {condition} END" for _, one, condition in block if one.kinship]
    return next(iter(kin.values())).together(list(kin)).grouped(guarded)


def ids_select(root: Expression, id_: str) -> tuple[str, bool] | None:
    """Return the subquery of the ids that fulfil a condition, and whether it gives each id once.

    None where other columns of the records are needed to tell, or ids of no record may be among them.
    """
    parts = root.parts if isinstance(root, Junction) else (root,)
    found = [part for part in parts if isinstance(part, SemiJoin) and part.id == id_ and part.origin.existing]
    if len(found) < len(parts):
        return None
    if isinstance(root, Junction) and root.connector == "OR":
        return (_union(found), False) if len(found) <= SUBQUERY_LIMIT else None
    if len(found) > _NESTED_SEMI_JOINS:
        return None
    return _nested(found), found[0].origin.single


def _plain(node: Expression) -> str:
    if isinstance(node, Leaf):
        return node.sql
    if isinstance(node, SemiJoin):
        return node.among(node.origin.select(node.condition))
    if isinstance(node, Negation):
        return f"(NOT {_plain(node.part)})"
    if node.connector == "AND":
        return all_of(_intersected(node.parts))
    return any_of(_united(node.parts))


def _by_id(parts: Sequence[Expression]) -> tuple[list[list[SemiJoin]], list[str]]:
    """Return those that ask for rows of one id together, and the others as text."""
    sets: dict[tuple[str, bool], list[SemiJoin]] = {}
    written = []
    for part in parts:
        if isinstance(part, SemiJoin):
            sets.setdefault((part.id, part.nullable), []).append(part)
        else:
            written.append(_plain(part))
    return list(sets.values()), written


def _intersected(parts: Sequence[Expression]) -> list[str]:
    """Write conditions joined by AND: those on several origins inside one another, which narrows each scan."""
    chains, written = _by_id(parts)
    for chain in chains:
        same: dict[Origin, list[SemiJoin]] = {}
        for semi_join in chain:
            same.setdefault(semi_join.origin, []).append(semi_join)
        crowded = {origin: known for origin, known in same.items() if len(known) > _NESTED_SEMI_JOINS}
        written += [
            known[0].among(origin.select_all([semi_join.condition for semi_join in known]))
            for origin, known in crowded.items()
        ]
        lone = [semi_join for semi_join in chain if semi_join.origin not in crowded]
        written += [_among(lone[at : at + _NESTED_SEMI_JOINS]) for at in range(0, len(lone), _NESTED_SEMI_JOINS)]
    return written


def _among(chain: Sequence[SemiJoin]) -> str:
    return chain[0].among(_nested(chain))


def _nested(chain: Sequence[SemiJoin]) -> str:
    select, inside = "", ""
    for semi_join in reversed(chain):
        inner = f"{semi_join.origin.near} IN ({inside})" if inside else TRUE
        select = inside = semi_join.origin.select(semi_join.condition, inner)
    return select


def _united(parts: Sequence[Expression]) -> list[str]:
    """Write conditions joined by OR: those on several origins as one set of ids."""
    sets, written = _by_id(parts)
    written += [united[0].among(_union(united)) for united in sets]
    return written


def _union(united: Sequence[SemiJoin]) -> str:
    """Write the ids that fulfil any of several semi-joins."""
    selects: list[str] = []
    sharing: dict[tuple[str, str], list[tuple[SemiJoin, Removal]]] = {}
    for semi_join in united:
        removal = semi_join.origin.removal
        if removal is None:
            selects.append(semi_join.origin.select(semi_join.condition))
        else:
            sharing.setdefault((semi_join.origin.near, removal.family), []).append((semi_join, removal))
    return " UNION ALL ".join([*selects, *(_sharing(family) for family in sharing.values())])


def _sharing(family: Sequence[tuple[SemiJoin, Removal]]) -> str:
    """Write the ids that fulfil any of several semi-joins, from whose rows one join takes what was removed."""
    (first, removal), *others = family
    if not others:
        return first.origin.select(first.condition)
    ever = " UNION ALL ".join(one.origin.select_ever(removal.columns, one.condition) for one, _ in family)
    numbers = dict.fromkeys(number for _, own in family for number in own.numbers)
    return f"SELECT {first.origin.near} FROM ({ever}) AS n {removal.join(list(numbers))}"


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
