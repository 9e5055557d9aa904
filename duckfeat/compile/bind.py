"""Binding: conditions over names become SQL over columns.

Each `filter()` call is one condition. A to-many relation is asked through a semi-join, so no row is ever
doubled: all conditions of one call on the same relation hold for one related row; below a negation each
stands for itself ("has none such"). Conditions are two-valued: a missing value fulfils nothing, so its
negation is fulfilled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from duckfeat.compile.feature_conditions import feature_condition, nested_condition, value_condition
from duckfeat.compile.fragments import all_of, any_of
from duckfeat.compile.lookups import apply, available_for, is_step, items_of
from duckfeat.compile.scope import Context, Scope, pairs_sql
from duckfeat.compile.terms import closure
from duckfeat.errors import FieldError, InvalidArgument, hint
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.fields import Field, ForeignKey, Relation
from duckfeat.model.q import Condition, Predicate, Q, RelatedTo


def bind(scope: Scope, condition: Condition) -> list[str]:
    """Return the conditions, to be joined by AND, that one `filter()` call means for the rows of a scope."""
    groups: list[tuple[set[str], list[Condition]]] = []
    for part in conjuncts(condition):
        many = set(_many_relations(scope, part, negated=False))
        merged = [group for group in groups if many and group[0] & many]
        for group in merged:
            groups.remove(group)
            many |= group[0]
        groups.append((many, [known for group in merged for known in group[1]] + [part]))
    return [
        _related_exists(scope, parts) if many else all_of([_node(scope, part, negated=False) for part in parts])
        for many, parts in groups
    ]


def conjuncts(condition: Condition) -> Iterable[Condition]:
    """Yield the parts of a condition that must all hold."""
    if (
        isinstance(condition, Q)
        and not condition.negated
        and (condition.connector == "AND" or len(condition.children) == 1)
    ):
        for child in condition.children:
            if isinstance(child, tuple):
                yield Q(**{child[0]: child[1]})
            else:
                yield from _nested_conjuncts(condition, child)
    else:
        yield condition


def _nested_conjuncts(parent: Q, child: Condition) -> Iterable[Condition]:
    return (child,) if child == parent else conjuncts(child)


def _related_exists(scope: Scope, parts: list[Condition]) -> str:
    inner = Scope(scope.context, scope.table)
    condition = all_of([_node(inner, part, negated=False) for part in parts])
    return f"{scope.column('id')} IN (SELECT {inner.column('id')} FROM {inner.source} WHERE {condition})"


def _node(scope: Scope, node: Condition, *, negated: bool) -> str:
    """Return a condition, inside `negated` many negations (even or odd), as SQL."""
    if isinstance(node, Predicate):
        return predicate_condition(scope, node)
    if isinstance(node, RelatedTo):
        return f"{scope.column('id')} IN ({_led_to(scope.context, node)})"
    if not isinstance(node, Q):
        raise InvalidArgument(f"{node!r} is not a condition that can be asked of {scope.table.name}", value=node)
    inside = negated ^ node.negated
    parts = [
        _lookup(scope, child[0], child[1], negated=inside)
        if isinstance(child, tuple)
        else _node(scope, child, negated=inside)
        for child in node.children
    ]
    joined = all_of(parts) if node.connector == "AND" else any_of(parts)
    return f"(NOT {joined})" if node.negated and parts else joined


def _led_to(context: Context, node: RelatedTo) -> str:
    near, pairs = context.params.member("a", node.ids, "BIGINT"), pairs_sql(context, node.relation)
    return closure(pairs, near) if node.closure else f"SELECT b FROM ({pairs}) WHERE {near}"


def _lookup(scope: Scope, key: str, operand: Any, *, negated: bool) -> str:
    segments = key.split("__")
    if negated and _crosses_many(scope, segments):
        inner = Scope(scope.context, scope.table)
        condition = path_condition(inner, segments, operand, key)
        return f"({scope.column('id')} IN (SELECT {inner.column('id')} FROM {inner.source} WHERE {condition}))"
    condition = path_condition(scope, segments, operand, key)
    return f"coalesce({condition}, FALSE)" if negated else condition


def path_condition(scope: Scope, segments: list[str], operand: Any, key: str) -> str:
    """Return the condition of a lookup path ("created_by__handle__startswith") on the rows of a scope."""
    name, rest = segments[0], segments[1:]
    table = scope.table
    relation = table.relations.get(name)
    if relation and (relation.many or (rest and not is_step(rest[0]))):
        if rest and not is_step(rest[0]):
            return path_condition(scope.reach(relation), rest, operand, key)
        return _id_condition(scope.reach(relation), relation, tuple(rest), operand)
    if table.has(name):
        return _field_condition(scope, table.field(name), tuple(rest), operand)
    if table.entity and (found := _feature(scope, segments)):
        feature, steps = found
        return feature_condition(scope, feature, steps, operand, _category_condition)
    raise _unknown(scope, name)


def _field_condition(scope: Scope, field: Field[Any], steps: tuple[str, ...], operand: Any) -> str:
    what = f"{scope.table.name}.{field.name}"
    if field.type == "value":
        return value_condition(scope, steps, operand, what)
    if isinstance(field, ForeignKey):
        operand = _ids(operand, field.target, what)
    params = scope.context.params
    return apply(params, scope.column(field.column), field.type, steps, operand, what)


def _id_condition(scope: Scope, relation: Relation, steps: tuple[str, ...], operand: Any) -> str:
    what = f"{relation.source}.{relation.name}"
    operand = _ids(operand, relation.target, what)
    return apply(scope.context.params, scope.column("id"), "int", steps, operand, what)


def _ids(operand: Any, target: str, what: str) -> Any:
    """Return records as their ids; ids and missing stay as they are."""
    if isinstance(operand, list | tuple | set | frozenset):
        return [_ids(item, target, what) for item in operand]
    registry = getattr(type(operand), "__registry__", None)
    if registry is None:
        return operand
    if registry != target:
        raise InvalidArgument(f"{what} holds a {target}, not a {registry}", value=operand)
    if operand.id is None:
        raise InvalidArgument(f"{what}: this {registry} is not saved yet", value=operand)
    return operand.id


def _feature(scope: Scope, segments: list[str]) -> tuple[FeatureInfo, tuple[str, ...]] | None:
    """Find the longest beginning of a path that is a feature's name."""
    for end in range(len(segments), 0, -1):
        found = scope.context.features.find("__".join(segments[:end]))
        if found:
            return found, tuple(segments[end:])
    return None


def _unknown(scope: Scope, name: str) -> FieldError:
    table = scope.table
    available = [*table.fields, *table.relations]
    features = scope.context.features.names() if table.entity else []
    what = "field or feature" if table.entity else "field"
    return FieldError(
        f"{table.name} has no {what} {name!r}{hint(name, [*available, *features])}",
        registry=table.name,
        name=name,
        available=sorted([*available, *features]),
    )


def predicate_condition(scope: Scope, predicate: Predicate) -> str:
    """Return the condition of a feature predicate on the rows of a scope whose records carry features."""
    if scope.table.entity is None:
        raise FieldError(f"{scope.table.name} carries no features: {predicate!r} cannot be asked of it")
    feature = scope.context.features.find(predicate.feature)
    if feature is None:
        raise FieldError(f"{predicate!r}: the feature is not registered in this store", feature=predicate.feature)
    steps: tuple[str, ...] = (predicate.lookup,)
    if predicate.path:
        return nested_condition(scope, feature, predicate.path, steps, predicate.operand, every=predicate.every)
    return feature_condition(scope, feature, steps, predicate.operand, _category_condition, every=predicate.every)


def _category_condition(target: Scope, steps: tuple[str, ...], operand: Any) -> str:
    """Return the condition on the registry of a categorical feature: by record, or by name or ontology id."""
    table = target.table
    if steps and table.has(steps[0]):
        return path_condition(target, list(steps), operand, "__".join(steps))
    if hasattr(type(operand), "__registry__") or _holds_records(operand):
        return _id_condition(target, Relation("id", table.name, table.name, "fk"), steps, operand)
    names = [table.label, *(name for name in ("ontology_id",) if name in table.fields)]
    if steps and steps[-1] == "in":
        operand = items_of(operand)
    _check_category_step(table.name, steps)
    return any_of([path_condition(target, [name, *steps], operand, name) for name in names])


def _check_category_step(registry: str, steps: tuple[str, ...]) -> None:
    have = available_for("str")
    if steps and steps[0] not in have:
        raise FieldError(f"{registry} has no field or lookup {steps[0]!r}{hint(steps[0], have)}", name=steps[0])


def _holds_records(operand: Any) -> bool:
    return isinstance(operand, list | tuple | set) and any(hasattr(type(item), "__registry__") for item in operand)


def _crosses_many(scope: Scope, segments: list[str]) -> bool:
    table = scope.table
    for segment in segments:
        relation = table.relations.get(segment)
        if relation is None:
            return False
        if relation.many:
            return True
        table = scope.context.catalog[relation.target]
    return False


def _many_relations(scope: Scope, node: Any, *, negated: bool) -> Iterable[str]:
    """Yield the first to-many relation of each path that is asked without negation."""
    if isinstance(node, Q):
        for child in node.children:
            yield from _many_relations(scope, child, negated=negated ^ node.negated)
    elif isinstance(node, tuple) and not negated:
        segments = node[0].split("__")
        if _crosses_many(scope, segments):
            yield segments[0]
