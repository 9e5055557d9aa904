"""Binding: conditions over names become SQL over columns.

Each `filter()` call is one condition. A to-many relation is asked through a semi-join, so no row is ever
doubled: all conditions of one call on the same relation hold for one related row; below a negation each
stands for itself ("has none such"). Conditions are two-valued: a missing value fulfils nothing, so its
negation is fulfilled. No function here recurses on the depth of a condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from duckfeat.compile.computed import column_of, feature_meant, may_ask
from duckfeat.compile.expressions import (
    SUBQUERY_LIMIT,
    Expression,
    Kinship,
    Leaf,
    Negation,
    Origin,
    SemiJoin,
    folded,
    junction,
    subqueries,
    write,
)
from duckfeat.compile.feature_conditions import (
    asks_missing,
    feature_condition,
    last_lookup,
    nested_condition,
    value_condition,
)
from duckfeat.compile.fragments import TRUE, any_of
from duckfeat.compile.lookups import apply, apply_to_id, available_for, is_step, items_of
from duckfeat.compile.operands import asked
from duckfeat.compile.scope import Context, Scope, pairs_sql, related_scope
from duckfeat.compile.terms import closure
from duckfeat.errors import FieldError, InvalidArgument, hint
from duckfeat.model.arguments import registry_of, shown
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.fields import Field, ForeignKey, Relation
from duckfeat.model.q import Among, Asking, Condition, Predicate, Q, RelatedTo
from duckfeat.model.tables import Table

Lookup = tuple[str, Any]
Part = Condition | Lookup
PLACES = frozenset({"branch", "space"})
"""Foreign keys that may be given by the name of what they point at, as the settings that set them may."""
Way = tuple[str, ...]
"""The relations from a table to the first to-many one of a lookup's path, that one included."""


def bind(scope: Scope, conditions: Iterable[Condition]) -> Expression:
    """Return what conditions, each of them one `filter()` call, mean together for the rows of a scope."""
    return junction("AND", [_bound(scope, [condition]) for condition in conditions])


def condition_sql(scope: Scope, expression: Expression) -> str:
    """Return a condition as SQL text; of very many subqueries it makes joins of the scope."""
    if subqueries(expression) > SUBQUERY_LIMIT:
        expression = folded(expression, scope.joins, lambda: scope.context.alias("h"))
    return write(expression)


@dataclass(frozen=True, slots=True)
class _Join:
    """What is still to be done with the last `size` parts that were bound."""

    connector: str
    size: int
    negated: bool


def _bound(scope: Scope, parts: Sequence[Part], *, skip: int = 0, joined: bool = False) -> Expression:
    """Return parts that must all hold as one condition on the rows of a scope.

    `skip` is how many words of each path lead to the scope. With `joined` to-many relations are joined to the scope,
    otherwise each is asked through a semi-join.
    """
    ways = {} if joined else _ways(scope, parts, skip)
    done: list[Expression] = []
    todo: list[tuple[Any, bool]] = [(_All(tuple(parts)), False)]
    while todo:
        node, negated = todo.pop()
        if isinstance(node, _Join):
            made = junction(node.connector, done[len(done) - node.size :])
            del done[len(done) - node.size :]
            done.append(Negation(made) if node.negated else made)
        elif isinstance(node, Q) and (node.negated or node.connector == "OR"):
            inside = negated or node.negated
            todo.append((_Join(node.connector, len(node.children), node.negated), False))
            todo += [(child, inside) for child in reversed(node.children)]
        elif isinstance(node, Q | _All):
            below, related = _together(node, {} if negated else ways)
            made_now = [_related(scope, way, group, skip) for way, group in related]
            todo.append((_Join("AND", len(below) + len(made_now), negated=False), False))
            todo += [(child, negated) for child in reversed(below)]
            done += made_now
        elif isinstance(node, tuple):
            done.append(_lookup(scope, node, skip, negated=negated, joined=joined))
        else:
            done.append(_condition(scope, node))
    return done[0]


@dataclass(frozen=True, slots=True)
class _All:
    """Parts that must all hold."""

    children: tuple[Part, ...]


def _conjuncts(node: Q | _All) -> list[Part]:
    """Return the parts of a condition that must all hold, also those of conditions within it."""
    found: list[Part] = []
    stack: list[Any] = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, Q | _All) and not _splits(part):
            stack.extend(reversed(part.children))
        else:
            found.append(part)
    return found


def _splits(part: Q | _All) -> bool:
    return isinstance(part, Q) and (part.negated or (part.connector == "OR" and len(part.children) != 1))


Group = tuple[Way | None, list[Part]]


def _together(node: Q | _All, ways: dict[int, frozenset[Way]]) -> tuple[list[Part], list[Group]]:
    """Return the parts that must all hold apart from each other, and those that one related row must fulfil.

    Parts that share a to-many relation belong together. A group without a way mixes relations.
    """
    groups: list[tuple[frozenset[Way], list[Part]]] = []
    for part in _conjuncts(node):
        many = ways.get(id(part), frozenset())
        merged = [group for group in groups if many & group[0]]
        if merged:
            groups = [group for group in groups if not many & group[0]]
        joined = many.union(*(group[0] for group in merged))
        groups.append((joined, [known for group in merged for known in group[1]] + [part]))
    apart = [part for many, parts in groups for part in parts if len(parts) == 1 and not isinstance(part, tuple)]
    lone = [part for many, parts in groups for part in parts if len(parts) == 1 and isinstance(part, tuple)]
    related: list[Group] = [
        (next(iter(many)) if len(many) == 1 and all(_pure(part, ways) for part in parts) else None, parts)
        for many, parts in groups
        if len(parts) > 1
    ]
    return lone + apart, related


def _pure(part: Part, ways: dict[int, frozenset[Way]]) -> bool:
    """Tell whether a part is made of lookups through to-many relations alone, none of them negated."""
    return all(
        bool(ways.get(id(node))) if isinstance(node, tuple) else isinstance(node, Q) and not node.negated
        for node in _nodes(part)
    )


def _nodes(*roots: Part) -> list[Part]:
    """Return every part of conditions, those above before those below."""
    found: list[Part] = []
    stack: list[Part] = [*roots]
    while stack:
        node = stack.pop()
        found.append(node)
        if isinstance(node, Q):
            stack.extend(node.children)
    return found


def _ways(scope: Scope, parts: Sequence[Part], skip: int) -> dict[int, frozenset[Way]]:
    """Return the to-many relations that each part asks through without negation, by the part's id."""
    known: dict[int, frozenset[Way]] = {}
    for node in reversed(_nodes(*parts)):
        if isinstance(node, tuple):
            way = _way(scope, node[0].split("__")[skip:])
            known[id(node)] = frozenset({way} if way else ())
        elif isinstance(node, Q) and not node.negated:
            known[id(node)] = frozenset().union(*(known[id(child)] for child in node.children))
        else:
            known[id(node)] = frozenset()
    return known


def _way(scope: Scope, segments: Sequence[str]) -> Way | None:
    """Return the relations that a path takes up to the first to-many one; None if it takes none such."""
    table = scope.table
    for end, segment in enumerate(segments, 1):
        relation = table.relations.get(segment)
        if relation is None:
            return None
        if relation.many:
            return tuple(segments[:end])
        table = scope.context.catalog[relation.target]
    return None


def _related(scope: Scope, way: Way | None, parts: Sequence[Part], skip: int) -> Expression:
    """Return the condition that one related row fulfils all parts, or where there is none, a row of nothing does."""
    if way is None:
        inner = scope.again()
        condition = condition_sql(inner, _bound(inner, parts, skip=skip, joined=True))
        sql = f"{scope.column('id')} IN (SELECT {inner.column('id')} FROM {inner.source} WHERE {condition})"
        return Leaf(f"coalesce({sql}, FALSE)" if scope.outer else sql, subqueries=1)
    origin, inner, id_ = _reached(scope, way)
    nullable = scope.outer or len(way) > 1
    some = SemiJoin(id_, origin, nullable=nullable)
    if all(_only_missing(part, skip + len(way)) for part in parts):
        operands = [part[1] for part in parts if isinstance(part, tuple)]
        return junction("AND", [Negation(some) if operand else some for operand in operands])
    fulfilled = condition_sql(inner, _bound(inner, parts, skip=skip + len(way)))
    found = SemiJoin(id_, origin, fulfilled, nullable)
    return junction("OR", [found, Negation(some)]) if _nothing_fulfils(parts) else found


def _only_missing(part: Part, skip: int) -> bool:
    return isinstance(part, tuple) and part[0].split("__")[skip:] == ["isnull"] and isinstance(part[1], bool)


def _nothing_fulfils(parts: Sequence[Part]) -> bool:
    """Tell whether a row of missing values alone fulfils parts that must all hold."""
    fulfilled: dict[int, bool] = {}
    for node in reversed(_nodes(*parts)):
        if isinstance(node, tuple):
            fulfilled[id(node)] = asks_missing(last_lookup(node[0].split("__")), node[1]) is True
        elif isinstance(node, Q):
            decide = all if node.connector == "AND" else any
            fulfilled[id(node)] = decide(fulfilled[id(child)] for child in node.children)
    return all(fulfilled[id(part)] for part in parts)


def _reached(scope: Scope, way: Way) -> tuple[Origin, Scope, str]:
    """Return the rows that a way leads to, their scope, and the SQL of the id here that they belong to."""
    near, relation = scope, scope.table.relations[way[0]]
    id_ = near.column("id")
    for name in way[1:]:
        id_ = near.column(relation.column)
        following = scope.context.catalog[relation.target].relations[name]
        near = near if following.many else near.reach(relation)
        relation = following
    if way not in scope.related:
        inner, column, base = related_scope(scope.context, relation)
        where = f"{column} IS NOT NULL" if relation.kind == "reverse" else TRUE
        scope.related[way] = (Origin(column, lambda: " ".join([base, *inner.joins]), where), inner)
    origin, inner = scope.related[way]
    return origin, inner, id_


def _condition(scope: Scope, node: Any) -> Expression:
    if isinstance(node, Predicate):
        return predicate_condition(scope, node)
    if isinstance(node, Among):
        return SemiJoin(scope.column("id"), _asked_origin(scope, node), nullable=scope.outer)
    if not isinstance(node, RelatedTo):
        raise InvalidArgument(f"{shown(node)} is not a condition that can be asked of {scope.table.name}", value=node)
    return Leaf(f"{scope.column('id')} IN ({_led_to(scope.context, node)})", subqueries=1)


def _asked_origin(scope: Scope, node: Among) -> Origin:
    """Return the rows of another question, called `n`; those of several questions are told apart by their numbers."""
    key = ("question", id(node.query))
    if key not in scope.related:
        questions = scope.context.questions
        with scope.context.deeper() as context:
            sql = node.query.ids_sql(context)
        questions.append(sql)
        number = str(len(questions) - 1)

        def together(numbers: Sequence[str]) -> Origin:
            numbered = [f"SELECT id, {one} AS question FROM ({questions[int(one)]})" for one in numbers]
            return Origin("n.id", lambda: f"({' UNION ALL '.join(numbered)}) AS n")

        kinship = Kinship((scope.alias, "questions"), number, f"n.question = {number}", together)
        scope.related[key] = (Origin("n.id", lambda: f"({sql}) AS n", kinship=kinship), scope)
    return scope.related[key][0]


def _led_to(context: Context, node: RelatedTo) -> str:
    near, pairs = context.params.member("a", node.ids, "BIGINT"), pairs_sql(context, node.relation)
    return closure(pairs, near) if node.closure else f"SELECT b FROM ({pairs}) WHERE {near}"


def _lookup(scope: Scope, lookup: Lookup, skip: int, *, negated: bool, joined: bool) -> Expression:
    lookup = (lookup[0], asked(lookup[1], lookup[0]))
    segments = lookup[0].split("__")[skip:]
    way = None if joined and not negated else _way(scope, segments)
    if way is not None:
        return _related(scope, way, [lookup], skip)
    found = _path(scope, segments, lookup[1], lookup[0], inside=skip > 0)
    return Leaf(f"coalesce({found.sql}, FALSE)") if negated and isinstance(found, Leaf) else found


def _path(scope: Scope, segments: Sequence[str], operand: Any, path: str, *, inside: bool) -> Expression:
    """Return the condition of a lookup path ("created_by__handle__startswith") on the rows of a scope.

    `segments` are the words of the path that are still to follow. `inside` tells that a relation led to the scope, so
    that no field at all means the related record itself.
    """
    relation: Relation | None = None
    while segments and segments[0] in scope.table.relations:
        relation = scope.table.relations[segments[0]]
        if not relation.many and (len(segments) == 1 or is_step(segments[1])):
            break
        scope, segments, inside = scope.reach(relation), segments[1:], True
    if not segments or (inside and is_step(segments[0]) and not scope.table.has(segments[0])):
        return Leaf(_id_condition(scope, relation, tuple(segments), operand, path))
    name, rest = segments[0], tuple(segments[1:])
    if name in scope.annotations:
        output = column_of(scope, name)
        return Leaf(apply(scope.context.params, output.sql, output.content, rest, operand, name))
    if scope.table.has(name):
        return Leaf(_field_condition(scope, scope.table.field(name), rest, operand))
    if scope.table.entity and (meant := _feature(scope, segments)):
        feature, steps = meant
        return feature_condition(scope, feature, steps, operand, _category_condition)
    raise scope.unknown(name)


def _field_condition(scope: Scope, field: Field[Any], steps: tuple[str, ...], operand: Any) -> str:
    what = f"{scope.table.name}.{field.name}"
    if field.type == "value":
        return value_condition(scope, steps, operand, what)
    if isinstance(field, ForeignKey):
        if field.name in PLACES and _is_text(operand):
            target = scope.reach(scope.table.relations[field.name])
            return apply(scope.context.params, target.column(target.table.label), "str", steps, operand, what)
        _check_not_named(field.name, scope.context.catalog[field.target], steps, operand, what)
        if (found := _among_asked(scope, field.column, steps, operand, field.target, what)) is not None:
            return found
        operand = _ids(scope.context, steps, operand, field.target, what)
    elif field.column == "id" and (found := _among_asked(scope, "id", steps, operand, scope.table.name, what)):
        return found
    params = scope.context.params
    if field.column == "id":
        return apply_to_id(params, scope.column("id"), steps, operand, what)
    return apply(params, scope.column(field.column), field.type, steps, operand, what)


def _id_condition(scope: Scope, relation: Relation | None, steps: tuple[str, ...], operand: Any, path: str) -> str:
    name = path.removesuffix("__" + "__".join(steps))
    what = f"{relation.source}.{relation.name}" if relation else name
    _check_not_named(name, scope.table, steps, operand, what)
    return _ids_condition(scope, steps, operand, what)


def _ids_condition(scope: Scope, steps: tuple[str, ...], operand: Any, what: str) -> str:
    """Return the condition on the records of a scope: which of them, given as records, ids or a question."""
    if (found := _among_asked(scope, "id", steps, operand, scope.table.name, what)) is not None:
        return found
    operand = _ids(scope.context, steps, operand, scope.table.name, what)
    return apply_to_id(scope.context.params, scope.column("id"), steps, operand, what)


def _check_not_named(name: str, target: Table, steps: tuple[str, ...], operand: Any, what: str) -> None:
    """Refuse a name where a record or its id is compared, and tell how a name is asked for."""
    if _is_text(operand) and steps in ((), ("exact",), ("in",)):
        path = "__".join((name, target.label, *(step for step in steps if step == "in")))
        raise InvalidArgument(
            f"{what} is compared with a {target.name} or its id; to ask by {target.label}: {path}={shown(operand)}",
            value=operand,
        )


def _is_text(operand: Any) -> bool:
    """Tell whether an operand is a text or a list of texts."""
    items = operand if isinstance(operand, list | tuple | set | frozenset) and operand else [operand]
    return all(isinstance(item, str) for item in items)


def _among_asked(scope: Scope, column: str, steps: tuple[str, ...], operand: Any, target: str, what: str) -> str | None:
    """Return the condition that a column has the id of a record that another question gives; None for no question."""
    query = operand.asked() if steps == ("in",) and isinstance(operand, Asking) else None
    if query is None:
        return None
    if query.table.name != target:
        raise InvalidArgument(f"{what} holds a {target}, not a {query.table.name}", value=operand)
    scope.context.check_mine(operand)
    with scope.context.deeper() as context:
        return f"{scope.column(column)} IN ({query.ids_sql(context)})"


def _ids(context: Context, steps: tuple[str, ...], operand: Any, target: str, what: str) -> Any:
    """Return records, or a list of them, as their ids; ids and missing stay as they are."""
    if steps == ("in",):
        operand = items_of(operand)
    if isinstance(operand, Asking):
        raise InvalidArgument(f"{what}: to ask for the records of a QuerySet, end with __in", value=operand)
    if isinstance(operand, list | tuple | set | frozenset):
        return [_id_of(context, item, target, what) for item in operand]
    return _id_of(context, operand, target, what)


def _id_of(context: Context, operand: Any, target: str, what: str) -> Any:
    registry = registry_of(operand)
    if registry is None:
        return operand
    if registry != target:
        raise InvalidArgument(f"{what} holds a {target}, not a {registry}", value=operand)
    if operand.id is None:
        raise InvalidArgument(f"{what}: this {registry} is not saved yet", value=operand)
    context.check_mine(operand)
    return operand.id


def _feature(scope: Scope, segments: Sequence[str]) -> tuple[FeatureInfo, tuple[str, ...]] | None:
    return feature_meant(scope.context.features.find, segments, may_be=may_ask)


def predicate_condition(scope: Scope, predicate: Predicate) -> Expression:
    """Return the condition of a feature predicate on the rows of a scope whose records carry features."""
    if scope.table.entity is None:
        raise FieldError(f"{scope.table.name} carries no features: {shown(predicate)} cannot be asked of it")
    feature = scope.context.features.find(predicate.feature)
    if feature is None:
        raise FieldError(f"{shown(predicate)}: the feature is not registered in this store", feature=predicate.feature)
    steps: tuple[str, ...] = (predicate.lookup,)
    operand = asked(predicate.operand, feature.name)
    if predicate.path:
        return nested_condition(scope, feature, predicate.path, steps, operand, every=predicate.every)
    return feature_condition(scope, feature, steps, operand, _category_condition, every=predicate.every)


def _category_condition(target: Scope, steps: tuple[str, ...], operand: Any, what: str) -> str:
    """Return the condition on the registry of a categorical feature: by record, or by its name or an id of it.

    `what` tells errors which feature it is.
    """
    table = target.table
    if steps and table.has(steps[0]):
        return condition_sql(target, _bound(target, [("__".join(steps), operand)]))
    if steps and steps[-1] == "in" and not (isinstance(operand, Asking) and operand.asked()):
        operand = items_of(operand)
    if registry_of(operand) is not None or _holds_records(operand):
        names = [item for item in operand if isinstance(item, str)] if steps == ("in",) and _is_listed(operand) else []
        if not names:
            return _ids_condition(target, steps, operand, what)
        records = [item for item in operand if not isinstance(item, str)]
        parts = (_ids_condition(target, steps, records, what), _category_condition(target, steps, names, what))
        return any_of(list(parts))
    _check_category_step(table, steps)
    other = steps[-1:] == ("ne",)
    asked = steps[:-1] if other else steps
    named = any_of([_field_condition(target, table.field(name), asked, operand) for name in table.names])
    return f"NOT coalesce({named}, FALSE)" if other else named


def _check_category_step(table: Table, steps: tuple[str, ...]) -> None:
    lookups = available_for("str")
    if steps and steps[0] not in lookups:
        have = [*table.fields, *table.relations, *lookups]
        message = f"{table.name} has no field or lookup {steps[0]!r}{hint(steps[0], have)}"
        raise FieldError(message, name=steps[0], available=sorted(have))


def _holds_records(operand: Any) -> bool:
    if isinstance(operand, Asking):
        return True
    return _is_listed(operand) and any(registry_of(item) is not None for item in operand)


def _is_listed(operand: Any) -> bool:
    return isinstance(operand, list | tuple | set | frozenset)
