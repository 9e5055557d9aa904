"""Conditions on feature values: typed columns, categories, places inside nested values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from duckfeat.compile.columns import category_table
from duckfeat.compile.fragments import FALSE, Parameters, all_of, any_of
from duckfeat.compile.lookups import LOOKUPS, apply, available_for, is_step, items_of, unknown_step
from duckfeat.compile.operands import Mismatch, kinds_of
from duckfeat.compile.scope import Scope
from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.kinds import KINDS

Category = Callable[[Scope, tuple[str, ...], Any], str]


def feature_condition(
    scope: Scope,
    feature: FeatureInfo,
    steps: tuple[str, ...],
    operand: Any,
    category: Category,
    *,
    every: bool = False,
) -> str:
    """Return the condition that an entity's current values of a feature fulfil a lookup.

    With `every` all of them must, and there must be one.
    """
    missing = _asks_missing(steps, operand)
    if missing is not None:
        return ("NOT " if missing else "") + _has(scope, feature, None)
    if feature.dtype.is_cat:
        target = Scope(scope.context, category_table(scope, feature))
        condition = category(target, steps, operand)
        return _has(scope, feature, condition, target=target, every=every)
    if feature.dtype.is_json and steps and not is_step(steps[0]):
        path, rest = split_path(steps)
        return nested_condition(scope, feature, path, rest, operand, every=every)
    value = scope.context.alias("v")
    condition = _typed_condition(scope.context.params, feature, value, steps, operand)
    return _has(scope, feature, condition, value=value, every=every)


def _asks_missing(steps: tuple[str, ...], operand: Any) -> bool | None:
    if steps == ("isnull",):
        if not isinstance(operand, bool):
            raise InvalidArgument(f"isnull takes True or False, not {operand!r}", value=operand)
        return operand
    return True if operand is None and steps in ((), ("exact",)) else None


def _has(
    scope: Scope,
    feature: FeatureInfo,
    condition: str | None,
    *,
    value: str | None = None,
    target: Scope | None = None,
    every: bool = False,
) -> str:
    """Return the semi-join: the entity has a current value of the feature that fulfils the condition."""
    context = scope.context
    note, number = context.alias("n"), context.params.add(feature.id)
    source = f"current_{scope.table.entity}_annotations AS {note}"
    if target is not None:
        source += f" JOIN {target.table.source} AS {target.alias} ON {target.alias}.id = {note}.value_id"
        source += "".join(f" {joined}" for joined in target.joins)
    elif value is not None:
        source += f" JOIN typed_values AS {value} ON {value}.id = {note}.value_id AND {value}.feature_id = {number}"

    def having(extra: str | None) -> str:
        narrowed = f" AND {extra}" if extra else ""
        select = f"SELECT {note}.entity_id FROM {source} WHERE {note}.feature_id = {number}{narrowed}"
        return f"{scope.column('id')} IN ({select})"

    if not every:
        return f"({having(condition)})"
    return f"({having(None)} AND NOT {having(f'NOT coalesce({condition}, FALSE)')})"


def _typed_condition(params: Parameters, feature: FeatureInfo, value: str, steps: tuple[str, ...], operand: Any) -> str:
    """Return the condition on the typed columns that a feature's dtype stores its values in."""
    what = f"feature {feature.name!r}"
    columns = {kind: f"{value}.{KINDS[kind].column}" for kind in feature.dtype.base.kinds}
    if len(columns) > 1:
        columns = _meeting(columns, steps, operand, what)
    return any_of([apply(params, lhs, kind, steps, operand, what) for kind, lhs in columns.items()])


def _meeting(columns: dict[str, str], steps: tuple[str, ...], operand: Any, what: str) -> dict[str, str]:
    """Keep the columns whose kind the operand can meet, of a dtype that is stored in several."""
    found = {kind: lhs for kind, lhs in columns.items() if _accepts(kind, steps, operand)}
    if not found:
        raise InvalidArgument(f"{what} ({' or '.join(columns)}) is never compared with {operand!r}", value=operand)
    return found


def _accepts(kind: str, steps: tuple[str, ...], operand: Any) -> bool:
    try:
        apply(Parameters(), "x", kind, steps, operand, "")
    except (InvalidArgument, Mismatch):
        return False
    return True


def value_condition(scope: Scope, steps: tuple[str, ...], operand: Any, what: str) -> str:
    """Return the condition on `FeatureValue.value`: the operand meets values of its own kind."""
    params = scope.context.params
    if steps and not is_step(steps[0]):
        path, rest = split_path(steps)
        return _nested(params, scope.alias, path, rest, operand, what)
    if _asks_missing(steps, operand) is not None:
        return FALSE if _asks_missing(steps, operand) else "TRUE"
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
        raise FieldError(f"{what}: {'__'.join(steps)} does not go with {operand!r}", value=operand)
    return any_of([apply(params, columns[kind], kind, steps, operand, what) for kind in kinds])


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
) -> str:
    """Return the condition on a place inside an entity's dict or list values of a feature."""
    if not feature.dtype.is_json:
        raise FieldError(f"feature {feature.name!r} has dtype {feature.dtype.name}: there is nothing inside it")
    value = scope.context.alias("v")
    what = f"feature {feature.name!r} at {list(path)}"
    if _asks_missing(steps, operand):
        found = _nested(scope.context.params, value, path, ("isnull",), False, what)
        return f"(NOT {_has(scope, feature, found, value=value)})"
    condition = _nested(scope.context.params, value, path, steps, operand, what)
    return _has(scope, feature, condition, value=value, every=every)


def _nested(
    params: Parameters,
    value: str,
    path: tuple[str | int, ...],
    steps: tuple[str, ...],
    operand: Any,
    what: str,
) -> str:
    """Return the condition on a place inside a nested value; what is found there has the kind JSON gives it."""
    column, place = f"{value}.json_value", params.add(pointer(path))
    kind = f"json_type({column}, {place})"
    text = f"json_extract_string({column}, {place})"
    missing = _asks_missing(steps, operand)
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
    return all_of([kind_conditions(params, columns, steps, operand, what)])


def pointer(path: tuple[str | int, ...]) -> str:
    """Return the JSON pointer (RFC 6901) of a place.

    >>> pointer(("a/b", 0, "c~d"))
    '/a~1b/0/c~0d'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
