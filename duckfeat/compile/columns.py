"""Columns of a result: fields, related fields and features as typed SQL expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from duckfeat.compile.feature_joins import FeatureColumn
from duckfeat.compile.lookups import TRANSFORMS
from duckfeat.compile.scope import Scope, pairs_sql
from duckfeat.errors import FieldError
from duckfeat.model.columns import Output
from duckfeat.model.dtypes import Dtype
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.fields import ForeignKey, Relation
from duckfeat.model.kinds import KINDS, VALUE_COLUMNS, float_sql
from duckfeat.model.tables import Table


def python_output(scope: Scope, path: str) -> Output:
    """Return the column of a path to be read as Python values: instants without their zone, typed values whole."""
    output = field_output(scope, path)
    if output.content == "value":
        alias = output.sql.rpartition(".")[0]
        parts = {"kind": f"{alias}.kind", "feature_id": f"{alias}.feature_id"}
        parts |= {column: _zoneless(f"{alias}.{column}", column == "instant_value") for column in VALUE_COLUMNS}
        packed = ", ".join(f"{name} := {sql}" for name, sql in parts.items())
        return Output(path, f"struct_pack({packed})", "value")
    return zoneless(output)


def zoneless(output: Output) -> Output:
    """Return a column whose instants come without their zone, in UTC, beside moments that have none."""
    if output.instants is not None:
        one = output.content != "list"
        type_ = "TIMESTAMP[][]" if output.nested else "TIMESTAMP[]"
        instants = _zoneless(output.instants, one) if one else f"CAST({output.instants} AS {type_})"
        packed = f"struct_pack(naive := {output.sql}, instant := {instants})"
        return Output(output.name, packed, "moments")
    return Output(output.name, _zoneless(output.sql, output.content == "instant"), output.content)


def _zoneless(sql: str, instant: bool) -> str:
    return f"timezone('UTC', {sql})" if instant else sql


def field_output(scope: Scope, path: str, name: str | None = None) -> Output:
    """Return the column of a field or a path to a related one ("created_by__handle", "ulabels__name").

    A relation alone stands for what the records it leads to are called; to-many relations give sorted lists.
    """
    sql, content, many = _path(scope, path.split("__"), path)
    return Output(name or path, f"coalesce({sql}, [])" if many else sql, "list" if many else content)


def _path(scope: Scope, segments: Sequence[str], path: str) -> tuple[str, str, bool]:
    name, rest = segments[0], list(segments[1:])
    table = scope.table
    relation = table.relations.get(name)
    if relation and relation.many:
        return _many(scope, relation, rest, path)
    if relation:
        return _path_or_name(scope.reach(relation), rest, path)
    field = table.field(name)
    sql, content = scope.column(field.column), field.type
    for step in rest:
        if step not in TRANSFORMS or content not in TRANSFORMS[step].types:
            raise FieldError(f"{path!r}: {table.name}.{name} has no part {step!r}", name=step)
        sql, content = TRANSFORMS[step].on(sql, content), TRANSFORMS[step].result
    return sql, content, False


def _path_or_name(scope: Scope, segments: Sequence[str], path: str) -> tuple[str, str, bool]:
    """Return the column of a path, or where it ends at the record, of what that is called."""
    if not segments and len(scope.table.called) > 1:
        return called_sql(scope.alias, scope.table), "str", False
    return _path(scope, segments or [scope.table.label], path)


def _many(scope: Scope, relation: Relation, rest: Sequence[str], path: str) -> tuple[str, str, bool]:
    context = scope.context
    inner = Scope(context, context.catalog[relation.target])
    sql, content, nested = _path_or_name(inner, rest, path)
    value = f"unnest({sql})" if nested else sql
    pairs, lists = context.alias("p"), context.alias("l")
    joins = " ".join(inner.joins)
    where = f"WHERE {pairs}.a IN {scope.ids}" if scope.ids else ""
    scope.joins.append(
        f"LEFT JOIN (SELECT a, list(DISTINCT item ORDER BY item) AS items FROM (SELECT {pairs}.a, {value} AS item "
        f"FROM ({pairs_sql(context, relation)}) AS {pairs} JOIN {inner.table.source} AS {inner.alias} "
        f"ON {inner.alias}.id = {pairs}.b {joins} {where}) WHERE item IS NOT NULL GROUP BY a) AS {lists} "
        f"ON {lists}.a = {scope.column('id')}"
    )
    return f"{lists}.items", content, True


def feature_output(scope: Scope, feature: FeatureInfo, name: str | None = None) -> Output:
    """Return the column of a feature: typed by its dtype, a list when the feature takes several values."""
    content, value, instants = _value_sql(scope, feature)
    if feature.id not in scope.features:
        alias = scope.context.alias("f")
        parts = {f"{alias}_value": value} | ({f"{alias}_instant": instants} if instants else {})
        scope.features[feature.id] = FeatureColumn(
            scope.context.params.add(feature.id),
            alias,
            category_table(scope, feature).source if feature.dtype.is_cat else "typed_values",
            typed=not feature.dtype.is_cat,
            parts=parts,
            order=_list_order(feature) if feature.multiple else None,
            sparse=feature.dtype.base.name == "datetime",
        )
    shown = [f"coalesce({part}, [])" if feature.multiple else part for part in scope.features[feature.id].parts]
    if feature.multiple:
        content = "json_list" if content == "json" else "list"
    nested = feature.multiple and feature.dtype.item is not None
    return Output(name or feature.name, shown[0], content, shown[1] if instants else None, nested)


def _list_order(feature: FeatureInfo) -> str:
    """Return what an entity's values of a feature are ordered by, as a template of the value."""
    if feature.dtype.is_json:
        return "v.json_value"
    # ordered by itself, DuckDB 1.5 gives -0.0 back as 0.0
    return "{0} + 0" if "float" in feature.dtype.base.kinds else "{0}"


def category_table(scope: Scope, feature: FeatureInfo) -> Table:
    """Return the table of the registry that a categorical feature takes its values from."""
    return scope.context.catalog[feature.dtype.registry or ""]


def called_sql(alias: str, table: Table) -> str:
    """Return the SQL of what a record is called."""
    names = [f"{alias}.{name}" for name in table.called]
    return names[0] if len(names) == 1 else f"coalesce({', '.join(names)})"


def _value_sql(scope: Scope, feature: FeatureInfo) -> tuple[str, str, str | None]:
    """Return content, SQL and, where a column may hold both sorts of datetime, the SQL of the instants."""
    dtype = feature.dtype
    if dtype.is_cat:
        return "str", called_sql("v", category_table(scope, feature)), None
    if dtype.item and not dtype.item.is_json:
        return "list", *_list_sql(dtype)
    if dtype.is_json:
        return "json", "v.json_value", None
    if dtype.base.name == "num":
        return "float", f"coalesce({float_sql('v')}, v.int_value::DOUBLE)", None
    columns = [float_sql("v") if kind == "float" else f"v.{KINDS[kind].column}" for kind in dtype.base.kinds]
    return dtype.base.kinds[0], columns[0], columns[1] if len(columns) > 1 else None


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
            content = "value" if field.type == "value" else field.type
            outputs.append(Output(shown, scope.column(field.column), content))
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
