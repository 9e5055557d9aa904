"""Columns of a result: fields, related fields and features as typed SQL expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from duckfeat.compile.feature_joins import FeatureColumn
from duckfeat.compile.lookups import part_of
from duckfeat.compile.scope import Scope, pairs_sql
from duckfeat.compile.typed import number_place_sql, number_sql, packed, place_sql, value_sql
from duckfeat.errors import FieldError, hint
from duckfeat.model.columns import Output
from duckfeat.model.dtypes import Dtype
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.fields import ForeignKey, Relation
from duckfeat.model.kinds import KINDS, float_sql
from duckfeat.model.tables import Table

_LISTS = {"json": "json_list", "number": "numbers", "moment_items": "moment_lists"}
"""The content of lists of some content; of others it is `list`."""


_EXACT_ITEMS = {"num": "json", "datetime": "moment_items"}
"""The content of lists that Python reads as they are stored, by the dtype of their items: those of several types."""


def python_output(output: Output) -> Output:
    """Return a column to be read as Python values: as they are, instants without their zone, in UTC."""
    if output.exact is not None:
        return replace(output.exact, name=output.name, place=output.place)
    if output.instants is not None:
        packed = f"struct_pack(naive := {output.sql}, instant := {_zoneless(output, output.instants)})"
        return Output(output.name, packed, "moments")
    if output.content == "instant":
        return Output(output.name, _zoneless(output, output.sql), "instant")
    if output.items == "instant":
        return Output(output.name, _zoneless(output, output.sql), "instants")
    return output


def _zoneless(output: Output, instants: str) -> str:
    if output.content != "list":
        return f"timezone('UTC', {instants})"
    return f"CAST({instants} AS TIMESTAMP[]{'[]' if output.nested else ''})"


def field_output(scope: Scope, path: str, name: str | None = None) -> Output:
    """Return the column of a field or a path to a related one ("created_by__handle", "ulabels__name").

    A relation alone stands for what the records it leads to are called; to-many relations give sorted lists.
    """
    return replace(_path(scope, path.split("__"), path), name=name or path)


def _path(scope: Scope, segments: Sequence[str], path: str) -> Output:
    name, rest = segments[0], list(segments[1:])
    table = scope.table
    relation = table.relations.get(name)
    if relation and relation.many:
        return _many(scope, relation, rest, path)
    if relation:
        return _path_or_name(scope.reach(relation), rest, path)
    if not table.has(name) and table.entity and scope.context.features.find(name):
        raise FieldError(
            f"{path!r}: {name!r} is a feature, and of what is related or included fields alone are taken; filter() "
            f"takes features of related records, too{hint(name, table.fields)}",
            name=name,
            available=sorted(table.fields),
        )
    field = table.field(name)
    sql, content = part_of(scope.column(field.column), field.type, rest, f"{path!r}: {table.name}.{name}")
    if content != "value":
        return Output(path, sql, content)
    return Output(path, sql, content, exact=Output(path, value_sql(scope), "value"), place=place_sql(scope.alias))


def _path_or_name(scope: Scope, segments: Sequence[str], path: str) -> Output:
    """Return the column of a path, or where it ends at the record, of what that is called."""
    if not segments and len(scope.table.called) > 1:
        return Output(path, called_sql(scope.alias, scope.table), "str")
    return _path(scope, segments or [scope.table.label], path)


def _many(scope: Scope, relation: Relation, rest: Sequence[str], path: str) -> Output:
    context = scope.context
    inner = Scope(context, context.catalog[relation.target])
    one = _path_or_name(inner, rest, path)
    parts = {"shown": one.sql, **({"exact": _placed(one)} if one.exact else {})}
    nested = one.items is not None
    items = ", ".join(f"unnest({sql}) AS {name}" if nested else f"{sql} AS {name}" for name, sql in parts.items())
    listed = ", ".join(f"list(DISTINCT {name} ORDER BY {name}) FILTER ({name} IS NOT NULL) AS {name}" for name in parts)
    pairs, lists = context.alias("p"), context.alias("l")
    joins = " ".join(inner.joins)
    where = f"WHERE {pairs}.a IN {scope.ids}" if scope.ids else ""
    scope.joins.append(
        f"LEFT JOIN (SELECT a, {listed} FROM (SELECT {pairs}.a, {items} "
        f"FROM ({pairs_sql(context, relation)}) AS {pairs} JOIN {inner.table.source} AS {inner.alias} "
        f"ON {inner.alias}.id = {pairs}.b {joins} {where}) GROUP BY a) AS {lists} "
        f"ON {lists}.a = {scope.column('id')}"
    )
    exact = Output("", f"coalesce({lists}.exact, [])", "values") if one.exact else None
    return Output(path, f"coalesce({lists}.shown, [])", "list", items=one.items or one.content, exact=exact)


def _placed(one: Output) -> str:
    """Return the SQL of values with what they are ordered by before them: a list of different ones is in that order."""
    return packed([("place", one.place), ("value", one.identity)]) if one.place else one.identity


def feature_output(scope: Scope, feature: FeatureInfo, name: str | None = None) -> Output:
    """Return the column of a feature: typed by its dtype, a list when the feature takes several values."""
    one = _value_output(scope, feature)
    if feature.id not in scope.features:
        alias = scope.context.alias("f")
        given = {"value": one.sql, "instant": one.instants, "exact": one.exact and one.exact.sql}
        parts = {f"{alias}_{part}": sql for part, sql in given.items() if sql}
        scope.features[feature.id] = FeatureColumn(
            scope.context.params.add(feature.id),
            alias,
            category_table(scope, feature).source if feature.dtype.is_cat else "typed_values",
            typed=not feature.dtype.is_cat,
            parts=parts,
            order=_list_order(feature) if feature.multiple else None,
            sparse=feature.dtype.base.name == "datetime",
        )
    made = _with_parts(one, scope.features[feature.id], feature.multiple)
    return replace(made, name=name or feature.name)


def _with_parts(one: Output, column: FeatureColumn, multiple: bool) -> Output:
    """Return the column of one value of a feature, as the column that is joined, of lists if it is `multiple`."""
    shown, *others = [f"coalesce({part}, [])" if multiple else part for part in column.parts]
    exact = replace(one.exact, sql=others[-1]) if one.exact else None
    made = replace(one, sql=shown, instants=others[0] if one.instants else None, exact=exact)
    if not multiple:
        number = f"CASE WHEN {others[-1]} IS NOT NULL THEN {number_place_sql(others[-1])} END" if one.place else None
        return replace(made, place=number)
    return replace(
        made,
        content=_LISTS.get(one.content, "list"),
        nested=one.items is not None,
        items=one.items or one.content,
        exact=replace(exact, content=_LISTS[exact.content]) if exact else None,
        place=None,
    )


def _list_order(feature: FeatureInfo) -> str:
    """Return what an entity's values of a feature are ordered by, as a template of the value."""
    if feature.dtype.is_json:
        return "v.json_value"
    if feature.dtype.base.name == "num":
        return number_place_sql("v")
    # ordered by itself, DuckDB 1.5 gives -0.0 back as 0.0
    return "{0} + 0" if "float" in feature.dtype.base.kinds else "{0}"


def category_table(scope: Scope, feature: FeatureInfo) -> Table:
    """Return the table of the registry that a categorical feature takes its values from."""
    return scope.context.catalog[feature.dtype.registry or ""]


def called_sql(alias: str, table: Table) -> str:
    """Return the SQL of what a record is called."""
    names = [f"{alias}.{name}" for name in table.called]
    return names[0] if len(names) == 1 else f"coalesce({', '.join(names)})"


def _value_output(scope: Scope, feature: FeatureInfo) -> Output:
    """Return the column of one value `v` of a feature."""
    name, dtype = feature.name, feature.dtype
    if dtype.is_cat:
        return Output(name, called_sql("v", category_table(scope, feature)), "str")
    if dtype.item and not dtype.item.is_json:
        sql, instants = _list_sql(dtype)
        content = _EXACT_ITEMS.get(dtype.item.base.name)
        exact = Output(name, "v.json_value", content) if content else None
        return Output(name, sql, "list", instants, items=dtype.item.base.kinds[0], exact=exact)
    if dtype.is_json:
        return Output(name, "v.json_value", "json")
    if dtype.base.name == "num":
        exact, place = Output(name, number_sql("v"), "number"), number_place_sql("v")
        return Output(name, f"coalesce({float_sql('v')}, v.int_value::DOUBLE)", "float", exact=exact, place=place)
    columns = [float_sql("v") if kind == "float" else f"v.{KINDS[kind].column}" for kind in dtype.base.kinds]
    return Output(name, columns[0], dtype.base.kinds[0], columns[1] if len(columns) > 1 else None)


def _list_sql(dtype: Dtype) -> tuple[str, str | None]:
    """Return the SQL of a typed list and, where its items may be either sort of datetime, that of instants.

    A list without items is both; a list of both sorts is too, so that whoever reads the columns sees the mix.
    """
    items = f"CAST(v.json_value::JSON AS {dtype.frame_type})"
    if dtype.item is None or dtype.item.base.name != "datetime":
        return items, None
    instant = "contains(v.json_value, '+00\"')"
    naive = r"regexp_matches(v.json_value, ':[0-9.]+\"')"
    instants = f"CASE WHEN {instant} OR NOT {naive} THEN CAST(v.json_value::JSON AS TIMESTAMP WITH TIME ZONE[]) END"
    return f"CASE WHEN {naive} OR NOT {instant} THEN {items} END", instants


def own_outputs(scope: Scope, clashing: frozenset[str] = frozenset()) -> list[Output]:
    """Return the columns of a registry's own fields, in order; one that a feature is called like gets a prefix."""
    outputs = []
    for field in scope.table.fields.values():
        if field.shown:
            name = field.column if isinstance(field, ForeignKey) else field.name
            shown = f"{scope.table.name.lower()}.{name}" if name in clashing else name
            outputs.append(Output(shown, scope.column(field.column), field.type))
    return outputs


def record_outputs(scope: Scope) -> list[Output]:
    """Return every field a record is made from, as columns; instants come without their zone, in UTC."""
    outputs = []
    for field in scope.table.fields.values():
        columns: list[tuple[str, Any]] = [(field.column, field.type)]
        if field.type == "value":
            columns = [
                ("kind", "str"),
                *((kind.column, kind.name) for kind in KINDS.values() if kind.name != "list"),
            ]
        for column, type_ in columns:
            sql = scope.column(column)
            outputs.append(Output(column, f"timezone('UTC', {sql})" if type_ == "instant" else sql, type_))
    return outputs
