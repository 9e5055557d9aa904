"""Conditions on feature values: typed columns, categories, places inside nested values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from duckfeat.compile.columns import category_table
from duckfeat.compile.expressions import Expression, Kinship, Negation, Origin, Removal, SemiJoin, junction
from duckfeat.compile.feature_joins import among
from duckfeat.compile.fragments import Parameters, all_of, any_of
from duckfeat.compile.lookups import (
    ASKS_OF_NONE,
    LOOKUPS,
    apply,
    apply_one,
    available_for,
    holds_item,
    is_step,
    items_of,
    nothing_to_compare,
    unknown_step,
    without_parts,
)
from duckfeat.compile.operands import Mismatch, kinds_of
from duckfeat.compile.scope import REMOVAL_COLUMNS, Scope, annotations_ever, unless_removed
from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.model.arguments import is_text, shown
from duckfeat.model.canonical import pointer
from duckfeat.model.dtypes import is_missing
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.kinds import KINDS

Category = Callable[[Scope, tuple[str, ...], Any, str], str]


def feature_condition(
    scope: Scope,
    feature: FeatureInfo,
    steps: tuple[str, ...],
    operand: Any,
    category: Category,
    *,
    every: bool = False,
) -> Expression:
    """Return the condition that an entity's current values of a feature fulfil a lookup.

    With `every` all of them must, and there must be one.
    """
    what = f"feature {feature.name!r}"
    _check_isnull(steps, operand, what)
    missing = asks_missing(steps, operand)
    if missing is not None:
        return _missing(scope, feature, missing=missing)
    if feature.dtype.is_cat:
        origin, target = _category_origin(scope, feature)
        found = _has(scope, origin, category(target, steps, operand, what), every=every)
        # Of a record that is not there every field is missing.
        nothing = not every and asks_missing(last_lookup(steps), operand)
        return junction("OR", [found, _missing(scope, feature, missing=True)]) if nothing else found
    if feature.dtype.is_json and steps and not is_step(steps[0]):
        path, rest = split_path(steps)
        return nested_condition(scope, feature, path, rest, operand, every=every)
    condition = _typed_condition(scope.context.params, feature, _VALUE, steps, operand)
    missing = asks_missing(without_parts(steps), operand)
    if missing is not None:
        return _missing(scope, feature, missing=missing)
    return _has(scope, _value_origin(scope, feature), condition, every=every)


def _check_isnull(steps: tuple[str, ...], operand: Any, what: str) -> None:
    """Refuse what `isnull` cannot be given, before any of the columns that a feature has is asked."""
    if steps[-1:] == ("isnull",):
        apply_one(Parameters(), "x", "bool", "isnull", operand, "__".join([what, *steps[:-1]]))


def asks_missing(steps: tuple[str, ...], operand: Any) -> bool | None:
    """Tell whether a lookup asks for what is missing, for what is there (False), or neither (None)."""
    if steps == ("isnull",):
        return operand if isinstance(operand, bool) else None  # the lookup itself refuses anything else
    if len(steps) > 1 or not is_missing(operand):
        return None
    return ASKS_OF_NONE.get(steps[0] if steps else "exact")


def last_lookup(steps: Sequence[str]) -> tuple[str, ...]:
    """Return the lookup that a path ends with; without one it means equality.

    >>> last_lookup(("created_at", "year", "isnull")), last_lookup(("created_at", "year"))
    (('isnull',), ())
    """
    return tuple(step for step in steps[-1:] if step in LOOKUPS)


_VALUE = "v"


def _missing(scope: Scope, feature: FeatureInfo, *, missing: bool) -> Expression:
    semi_join = SemiJoin(scope.column("id"), _note_origin(scope, feature), nullable=scope.outer)
    return Negation(semi_join) if missing else semi_join


def _has(scope: Scope, origin: Origin, condition: str, *, every: bool = False) -> Expression:
    """Return the condition that the entity has a current value of the feature, one that fulfils `condition`."""
    id_ = scope.column("id")
    if not every:
        return SemiJoin(id_, origin, condition, scope.outer)
    failing = SemiJoin(id_, origin, f"NOT coalesce({condition}, FALSE)", scope.outer)
    return junction("AND", [SemiJoin(id_, origin, nullable=scope.outer), Negation(failing)])


def _note_origin(scope: Scope, feature: FeatureInfo) -> Origin:
    """Return the current annotations `n` of an entity with a feature."""
    return _origin(scope, feature, "notes", lambda _numbers: [])


def _value_origin(scope: Scope, feature: FeatureInfo) -> Origin:
    """Return the current annotations with their typed values, called `v`."""

    def joined(numbers: Sequence[str]) -> list[str]:
        same = f"{_VALUE}.feature_id {among(numbers)}"
        if len(numbers) > 1:
            same = f"{_VALUE}.feature_id = n.feature_id AND {same}"
        return [f"JOIN typed_values AS {_VALUE} ON {_VALUE}.id = n.value_id AND {same}"]

    return _origin(scope, feature, "values", joined)


def _category_origin(scope: Scope, feature: FeatureInfo) -> tuple[Origin, Scope]:
    """Return the current annotations with the records of the registry they name, and the scope of those."""
    table = category_table(scope, feature)
    key = ("category", table.name)
    if key not in scope.related:
        target = Scope(scope.context, table)
        scope.related[key] = (Origin("", lambda: ""), target)
    target = scope.related[key][1]
    joined = f"JOIN {table.source} AS {target.alias} ON {target.alias}.id = n.value_id"
    return _origin(scope, feature, table.name, lambda _numbers: [joined, *target.joins]), target


Joined = Callable[[Sequence[str]], Iterable[str]]
"""Returns what is joined to the annotations with some features, by their placeholders."""


def _origin(scope: Scope, feature: FeatureInfo, family: str, joined: Joined) -> Origin:
    key = ("annotations", feature.id, family)
    if key not in scope.related:
        scope.related[key] = (_annotations(scope, feature, family, joined), scope)
    return scope.related[key][0]


def _annotations(scope: Scope, feature: FeatureInfo, family: str, joined: Joined) -> Origin:
    number = scope.context.params.once(feature.id)

    def together(numbers: Sequence[str]) -> Origin:
        return _rows(scope, numbers, joined)

    kinship = Kinship((scope.alias, family), number, f"n.feature_id = {number}", together)
    return replace(together([number]), single=not feature.multiple, existing=True, kinship=kinship)


def _rows(scope: Scope, numbers: Sequence[str], joined: Joined) -> Origin:
    """Return the current annotations `n` of the entities with some features, and what is joined to them."""
    word = scope.table.entity or ""
    return Origin(
        "n.entity_id",
        lambda: annotations_ever(word, joined(numbers)),
        f"n.feature_id {among(numbers)}",
        removal=Removal(word, REMOVAL_COLUMNS, numbers, partial(unless_removed, word)),
    )


def _typed_condition(params: Parameters, feature: FeatureInfo, value: str, steps: tuple[str, ...], operand: Any) -> str:
    """Return the condition on the typed columns that a feature's dtype stores its values in."""
    what = f"feature {feature.name!r}"
    columns = {kind: f"{value}.{KINDS[kind].column}" for kind in feature.dtype.base.kinds}
    if feature.dtype.item and steps == ("contains",):
        holds = holds_item(feature.dtype.item.base.kinds)
        return apply_one(params, columns["list"], "list", "contains", operand, what, render=holds)
    if len(columns) > 1:
        columns = _meeting(columns, steps, operand, what)
    return any_of([apply(params, lhs, kind, steps, operand, what) for kind, lhs in columns.items()])


def _meeting(columns: dict[str, str], steps: tuple[str, ...], operand: Any, what: str) -> dict[str, str]:
    """Keep the columns whose kind the operand can meet, of a dtype that is stored in several."""
    found = {kind: lhs for kind, lhs in columns.items() if _accepts(kind, steps, operand, what)}
    if not found and operand is None:
        raise nothing_to_compare(what, steps[-1])
    if not found:
        raise InvalidArgument(f"{what} ({' or '.join(columns)}) is never compared with {shown(operand)}", value=operand)
    return found


def _accepts(kind: str, steps: tuple[str, ...], operand: Any, what: str) -> bool:
    try:
        apply(Parameters(), "x", kind, steps, operand, what)
    except (InvalidArgument, Mismatch):
        return False
    return True


def value_condition(scope: Scope, steps: tuple[str, ...], operand: Any, what: str) -> str:
    """Return the condition on `FeatureValue.value`: the operand meets values of its own kind."""
    params = scope.context.params
    if steps and not is_step(steps[0]):
        path, rest = split_path(steps)
        return _nested(params, scope.alias, path, rest, operand, what)
    missing = asks_missing(steps, operand)
    if missing is not None:
        return f"{scope.alias}.id IS NULL" if missing else f"{scope.alias}.id IS NOT NULL"
    columns = {kind: scope.column(KINDS[kind].column) for kind in KINDS}
    return kind_conditions(params, columns, steps, operand, what)


def kind_conditions(
    params: Parameters, columns: dict[str, str], steps: tuple[str, ...], operand: Any, what: str
) -> str:
    """Return the condition over columns by kind, each asked only with operands of its own kind."""
    last = steps[-1] if steps else "exact"
    if not is_step(last) or (len(steps) > 1 and not all(is_step(step) for step in steps)):
        raise unknown_step(next(step for step in steps if not is_step(step)), "value", what)
    if last == "in" and len(steps) == 1:
        return _in_by_kind(params, columns, items_of(operand), what)
    kinds = _kinds_for(columns, steps, operand)
    if not kinds:
        raise FieldError(f"{what}: {'__'.join(steps)} does not go with {shown(operand)}", value=operand)
    # What is missing is so in all of the columns.
    join = all_of if asks_missing(without_parts(steps), operand) else any_of
    return join([apply(params, columns[kind], kind, steps, operand, what) for kind in kinds])


def _kinds_for(columns: dict[str, str], steps: tuple[str, ...], operand: Any) -> list[str]:
    """Return the kinds a lookup is asked of: for date parts those that have them, else those the operand meets."""
    if steps and steps[0] not in LOOKUPS:
        return [kind for kind in columns if steps[0] in available_for(kind)]
    sample = operand[0] if steps == ("range",) and isinstance(operand, list | tuple) and operand else operand
    last = steps[-1] if steps else "exact"
    return [kind for kind in kinds_of(sample) if kind in columns and kind in LOOKUPS[last].types]


def _in_by_kind(params: Parameters, columns: dict[str, str], items: Iterable[Any], what: str) -> str:
    by_kind: dict[str, list[Any]] = {}
    for item in items:
        for kind in kinds_of(item):
            if kind in columns:
                by_kind.setdefault(kind, []).append(item)
    return any_of([apply(params, columns[kind], kind, ("in",), found, what) for kind, found in by_kind.items()])


def split_path(steps: tuple[str, ...]) -> tuple[tuple[str | int, ...], tuple[str, ...]]:
    """Split what follows a nested value into the place inside it and the lookups.

    >>> split_path(("optimizer", "lr", "gt"))
    (('optimizer', 'lr'), ('gt',))
    """
    end = next((position for position, step in enumerate(steps) if is_step(step)), len(steps))
    return steps[:end], steps[end:]


def nested_condition(
    scope: Scope,
    feature: FeatureInfo,
    path: tuple[str | int, ...],
    steps: tuple[str, ...],
    operand: Any,
    *,
    every: bool = False,
) -> Expression:
    """Return the condition on a place inside an entity's dict or list values of a feature."""
    if not feature.dtype.is_json:
        raise FieldError(f"feature {feature.name!r} has dtype {feature.dtype.name}: there is nothing inside it")
    _check_position(feature, path[0])
    what = f"feature {feature.name!r} at {shown(list(path))}"
    origin = _value_origin(scope, feature)
    if asks_missing(steps, operand):
        found = _nested(scope.context.params, _VALUE, path, ("isnull",), False, what)
        return Negation(_has(scope, origin, found))
    condition = _nested(scope.context.params, _VALUE, path, steps, operand, what)
    return _has(scope, origin, condition, every=every)


def _check_position(feature: FeatureInfo, part: str | int) -> None:
    """Refuse a word behind a list that is neither a lookup nor a position: it would find nothing."""
    if feature.dtype.base.name == "list" and not str(part).isdecimal():
        raise unknown_step(str(part), "list", f"feature {feature.name!r} (list)")


def _nested(
    params: Parameters,
    value: str,
    path: tuple[str | int, ...],
    steps: tuple[str, ...],
    operand: Any,
    what: str,
) -> str:
    """Return the condition on a place inside a nested value; what is found there has the kind JSON gives it."""
    broken = [part for part in path if isinstance(part, str) and not is_text(part)]
    if broken:
        raise FieldError(f"{what}: a key is valid Unicode, not {broken[0]!r}", name=broken[0])
    column, place = f"{value}.json_value", params.add(pointer(path))
    kind = f"json_type({column}, {place})"
    text = f"json_extract_string({column}, {place})"
    missing = asks_missing(steps, operand)
    if missing is not None:
        return f"coalesce({kind}, 'NULL') = 'NULL'" if missing else f"{kind} <> 'NULL'"
    columns = {
        "int": f"CASE WHEN {kind} IN ('BIGINT', 'UBIGINT') THEN {text}::BIGINT END",
        "float": f"CASE WHEN {kind} = 'DOUBLE' THEN {text}::DOUBLE END",
        "str": f"CASE WHEN {kind} = 'VARCHAR' THEN {text} END",
        "bool": f"CASE WHEN {kind} = 'BOOLEAN' THEN {text}::BOOLEAN END",
        "dict": f"CASE WHEN {kind} = 'OBJECT' THEN {text} END",
        "list": f"CASE WHEN {kind} = 'ARRAY' THEN {text} END",
    }
    if steps == ("contains",):
        return _holds(params, columns, operand, what)
    return all_of([kind_conditions(params, columns, steps, operand, what)])


def _holds(params: Parameters, columns: dict[str, str], operand: Any, what: str) -> str:
    """Return the condition that a place holds a text, in a text, or an item, in a list."""
    kinds = [kind for kind in LOOKUPS["contains"].types if kind != "str" or isinstance(operand, str)]
    return any_of([apply_one(params, columns[kind], kind, "contains", operand, what) for kind in sorted(kinds)])
