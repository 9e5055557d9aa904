"""Columns found by any key (a field, a path, a feature, an annotation), and aggregates of what belongs to a record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

from duckfeat.compile.columns import feature_output, field_output, python_output
from duckfeat.compile.lookups import TRANSFORMS, available_for, part_of
from duckfeat.compile.scope import Scope, pairs_sql
from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.model.aggregates import Aggregate
from duckfeat.model.arguments import named
from duckfeat.model.columns import Output
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.fields import FieldRef, Relation, field_name

NESTED = frozenset({"json", "json_list", "dict"})


@dataclass(frozen=True, slots=True)
class Values:
    """The values that a record has at some key: one, or a list of them without missing ones.

    `instants` is the SQL of those with a time zone, where they may be either sort of datetime.
    """

    sql: str
    content: str
    many: bool
    instants: str | None = None

    @property
    def columns(self) -> list[str]:
        """The SQL of the values, and behind it that of the instants where these are apart."""
        return [self.sql, *([self.instants] if self.instants else [])]

    @property
    def items(self) -> list[str]:
        """The columns as lists."""
        return [sql if self.many else f"CASE WHEN {sql} IS NULL THEN [] ELSE [{sql}] END" for sql in self.columns]


def column_of(scope: Scope, key: Any, *, name: str | None = None) -> Output:
    """Return the column that a key means: an annotation, a field or path, a feature, or a date part of one.

    Datetimes of either sort are in it together, instants in UTC. Raises `FieldError` with what there is and the nearest
    match.
    """
    return _one_sort(sorted_column(scope, key, name=name))


def sorted_column(scope: Scope, key: Any, *, name: str | None = None) -> Output:
    """Return the column that `column_of` does, with the two sorts of datetime apart."""
    text = field_name(key) if isinstance(key, str | FieldRef) else None
    if text is not None and text in scope.annotations:
        return replace(annotation(scope, text), name=name or text)
    if text is not None and scope.table.has(text.split("__")[0]):
        return field_output(scope, text, name)
    feature, steps = feature_of(scope, key if text is None else text)
    output = feature_output(scope, feature, name or (text or feature.name))
    if not steps:
        return output
    output = _one_sort(output)
    sql, content = part_of(output.sql, output.content, steps, repr(text or feature.name))
    return Output(output.name, sql, content)


def python_column(scope: Scope, path: str) -> Output:
    """Return the column that a path means, to be read as Python values."""
    return python_output(sorted_column(scope, path))


def feature_of(scope: Scope, key: Any) -> tuple[FeatureInfo, tuple[str, ...]]:
    """Return the feature that a key means, and the date parts that follow its name."""
    features = scope.context.features
    if scope.table.entity and isinstance(key, str):
        meant = feature_meant(features.find, key.split("__"), may_be=has_part)
    else:
        found = features.find(key) if scope.table.entity else None
        meant = (found, ()) if found else None
    if meant is None:
        raise scope.unknown(named(key))
    return meant


def feature_meant(
    find: Callable[[str], FeatureInfo | None],
    words: Sequence[str],
    *,
    may_be: Callable[[FeatureInfo, Sequence[str]], bool],
) -> tuple[FeatureInfo, tuple[str, ...]] | None:
    """Return the feature that a keyword means, and what follows its name; None if it means no feature.

    It may be the name of one and ask something of another, such as `dose__gt`. Then it means the one that was
    registered first, so that registering a feature changes no answer. `may_be` tells whether words may follow a name.
    """
    found: list[tuple[FeatureInfo, tuple[str, ...]]] = []
    for end in range(len(words), 0, -1):
        # Two features of a name are no matter where a longer name is one's.
        with suppress(FieldError) if found else nullcontext():
            info = find("__".join(words[:end]))
            found += [(info, tuple(words[end:]))] if info else []
    meant = [(info, rest) for info, rest in found if not rest or may_be(info, rest)]
    return min(meant, key=lambda pair: pair[0].id) if meant else next(iter(found), None)


def may_ask(feature: FeatureInfo, rest: Sequence[str]) -> bool:
    """Tell whether what follows the name of a feature may be a question about it."""
    if feature.dtype.is_cat or feature.dtype.is_json:
        return True
    return _has(feature, rest[0]) and all(step in TRANSFORMS for step in rest[:-1])


def has_part(feature: FeatureInfo, rest: Sequence[str]) -> bool:
    """Tell whether what follows the name of a feature is a part of its dates and times, of which columns are made."""
    return _has(feature, rest[0]) and all(step in TRANSFORMS for step in rest)


def _has(feature: FeatureInfo, step: str) -> bool:
    return any(step in available_for(kind) for kind in feature.dtype.base.kinds)


def _one_sort(output: Output) -> Output:
    """Return a column that may hold either sort of datetime as one that holds them all, instants in UTC."""
    if output.instants is None:
        return output
    exact = python_output(output)
    if output.content == "list":  # what has lists is asked for its two sorts, or refused
        return replace(output, instants=None, exact=exact)
    sql = f"coalesce({output.sql}, timezone('UTC', {output.instants}))"
    return replace(output, sql=sql, instants=None, exact=exact)


def pairs_of(output: Output, *, many: bool) -> str:
    """Return the SQL of datetimes of either sort as pairs of a naive one and an instant, one of which is missing.

    Of `many` values it is a list of pairs. A value that is a list has a list of each sort in its pair.
    """
    naive, instants = output.sql, output.instants
    if not many:
        return f"CASE WHEN {naive} IS NOT NULL OR {instants} IS NOT NULL THEN row({naive}, {instants}) END"
    naive, instants = f"coalesce({naive}, [])", f"coalesce({instants}, [])"
    if output.nested:
        return f"list_zip({naive}, {instants})"
    of_one_sort = f"list_zip({naive}, []::TIMESTAMPTZ[]), list_zip([]::TIMESTAMP[], {instants})"
    return f"list_concat({of_one_sort})"


def annotation(scope: Scope, name: str) -> Output:
    """Return the column of an annotation: its aggregate over what belongs to each record."""
    if name not in scope.annotated:
        aggregate = scope.annotations[name]
        if aggregate.of is None:
            scope.annotated[name] = Output(name, "1::BIGINT", "int")
        else:
            values = values_of(scope, aggregate)
            made = [template(aggregate, items, over="items") for items in values.items]
            scope.annotated[name] = _result(name, aggregate, values, made)
    return scope.annotated[name]


def template(aggregate: Aggregate, sql: str, *, over: str) -> str:
    """Return the SQL of an aggregate over rows (`over="rows"`) or a list (`over="items"`)."""
    function = aggregate.function
    text: str = getattr(function, over)
    made = text.format(sql, repr(aggregate.argument))
    return made if function.empty == "NULL" else f"coalesce({made}, {function.empty})"


def _result(name: str, aggregate: Aggregate, values: Values, made: Sequence[str]) -> Output:
    sql, *instants = made
    content = aggregate.function.result or values.content
    if aggregate.function.name == "sum" and content == "int":
        sql = f"CAST({sql} AS BIGINT)"
    items = values.content if content == "list" else None
    return Output(name, sql, content, instants[0] if instants else None, items=items)


def aggregate_output(name: str, aggregate: Aggregate, values: Values | None, columns: Sequence[str]) -> Output:
    """Return the column of an aggregate over the rows of a group, where the values' columns are called `columns`."""
    if values is None:
        return Output(name, "count(*)", "int")
    if values.many:
        made = [template(aggregate, f"flatten(list({sql}))", over="items") for sql in columns]
    else:
        made = [template(aggregate, sql, over="rows") for sql in columns]
    return _result(name, aggregate, values, made)


def values_of(scope: Scope, aggregate: Aggregate) -> Values:
    """Return the values an aggregate is made of.

    Raises `FieldError` for a key that does not exist, or holds a type that the aggregate does not take.
    """
    values = _values(scope, aggregate.of, ids=aggregate.function.result == "int")
    if values.content not in aggregate.function.types:
        raise FieldError(
            f"{aggregate!r}: {aggregate.function.name} takes {', '.join(sorted(aggregate.function.types))}, "
            f"and this is {values.content}",
            name=named(aggregate.of),
        )
    return values


def _values(scope: Scope, key: Any, *, ids: bool) -> Values:
    text = field_name(key) if isinstance(key, str | FieldRef) else None
    if text in scope.annotations:
        raise InvalidArgument(f"{text!r} is computed already: an aggregate of it would aggregate twice", name=text)
    if text is not None and scope.table.has(text.split("__")[0]):
        return _path_values(scope, text.split("__"), text, ids=ids)
    feature, steps = feature_of(scope, key if text is None else text)
    output, many = feature_output(scope, feature), feature.multiple
    if many and steps:
        raise FieldError(f"{text!r}: a feature with several values has no parts in aggregates", name=text)
    content = item_content(feature) if many else output.content
    if output.instants and not steps:
        pairs = pairs_of(output, many=many)
        return Values(pairs, content, many) if ids else Values(output.sql, content, many, output.instants)
    if many:
        return Values(output.sql, content, many=True)
    output = _one_sort(output)
    sql, content = part_of(output.sql, output.content, steps, repr(feature.name))
    return Values(sql, content, many=False)


def item_content(feature: FeatureInfo) -> str:
    """Return the content of one value of a feature."""
    if feature.dtype.is_cat:
        return "str"
    return "json" if feature.dtype.is_json else feature.dtype.base.kinds[0]


def _path_values(scope: Scope, segments: list[str], path: str, *, ids: bool) -> Values:
    relation = scope.table.relations.get(segments[0])
    rest = segments[1:]
    if relation and relation.many:
        return _related(scope, relation, rest, path, ids=ids)
    if relation and rest:
        return _path_values(scope.reach(relation), rest, path, ids=ids)
    if relation and ids:
        return Values(scope.column(relation.column), "int", many=False)
    output = field_output(scope, "__".join(segments))
    return Values(output.sql, output.content, many=False)


def _related(scope: Scope, relation: Relation, rest: list[str], path: str, *, ids: bool) -> Values:
    """Return the values at every related record: one for each of them, repeated ones too."""
    context = scope.context
    inner = Scope(context, context.catalog[relation.target])
    if rest:
        below = _path_values(inner, rest, path, ids=ids)
    elif ids:
        below = Values(inner.column("id"), "int", many=False)
    else:
        below = _path_values(inner, [inner.table.label], path, ids=ids)
    if below.content == "list":
        raise FieldError(f"{path!r} holds lists, which are not aggregated", name=path)
    pairs, lists = context.alias("p"), context.alias("l")
    item = f"unnest({below.sql})" if below.many else below.sql
    scope.joins.append(
        f"LEFT JOIN (SELECT a, list(item) FILTER (item IS NOT NULL) AS items FROM (SELECT {pairs}.a, {item} AS item "
        f"FROM ({pairs_sql(context, relation, distinct=True)}) AS {pairs} "
        f"JOIN {inner.table.source} AS {inner.alias} ON {inner.alias}.id = {pairs}.b {' '.join(inner.joins)}) "
        f"GROUP BY a) AS {lists} ON {lists}.a = {scope.column('id')}"
    )
    return Values(f"{lists}.items", below.content, many=True)
