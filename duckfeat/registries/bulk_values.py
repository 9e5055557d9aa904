"""The values and annotations of a bulk annotation, feature by feature, each step one statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duckfeat.compile import staging
from duckfeat.compile.conversions import SEVERAL, conversion
from duckfeat.compile.staging import Cells, Part
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.sql_types import Column, SqlType
from duckfeat.model.statement import Statement
from duckfeat.query.session import Session
from duckfeat.registries.bulk_decide import Decider
from duckfeat.registries.bulk_entities import Entities
from duckfeat.registries.bulk_plan import Long, Options, Plan, name_sql
from duckfeat.registries.bulk_refused import Refusals
from duckfeat.registries.categories import ids_by_name, naming_fields

_PROVENANCE = {
    "created_at": "TIMESTAMP WITH TIME ZONE",
    "created_by_id": "BIGINT",
    "run_id": "BIGINT",
    "branch_id": "BIGINT",
    "space_id": "BIGINT",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Features whose cells are converted alike, and those cells.

    `raw` is the query of the cells, `single` tells whether an entity takes one value, `spread` whether a cell may
    hold several.
    """

    infos: tuple[FeatureInfo, ...]
    type: SqlType
    raw: str
    named: str
    spread: bool

    @property
    def ids(self) -> list[int]:
        """The ids of the features."""
        return [info.id for info in self.infos]

    @property
    def first(self) -> FeatureInfo:
        """One of the features, which stands for all."""
        return self.infos[0]


class Annotator:
    """Writes the annotations of one input and counts them."""

    def __init__(self, session: Session, plan: Plan, options: Options, entities: Entities, now: Any) -> None:
        self._session = session
        self._engine = session.engine
        self._plan = plan
        self._options = options
        self._entities = entities
        self._now = now
        self._entity = options.table.entity or ""
        self._change = self._engine.next_ids("changes", 0)
        self.refusals = Refusals(session, options)
        self._decider = Decider(session, plan.source.params)
        self.values = self.new_values = self.links = self.removed = 0

    def run(self) -> None:
        """Write every feature's values and annotations, and the change they belong to."""
        self._annotated = self._features_in(f"{self._entity}_annotations")
        self._valued = self._features_in("typed_values")
        self.refusals.add_rows((*(self._plan.long.skipped if self._plan.long else ()), *self._entities.skipped))
        for group in self._groups():
            self._write(group)
        self.refusals.raise_any()
        if self._options.mode == "set" and not self._entities.all_new:
            ids = [info.id for info, _ in self._plan.columns]
            self.removed += self._store(staging.remove(self._entity, staging.ended_others(self._entity)), features=ids)
        if self.links or self.removed:
            self._note_change()

    def _features_in(self, table: str) -> set[int]:
        return {id_ for (id_,) in self._rows(staging.features_in(table))}

    def _note_change(self) -> None:
        id_, options = self._engine.next_ids("changes", 1), self._options
        columns = {"id": "BIGINT", "operation": "VARCHAR", **dict(list(_PROVENANCE.items())[:3])}
        run_id = None if options.run is None else options.run.id
        self._engine.insert("changes", columns, [(id_, options.mode, self._now, self._session.user_id, run_id)])

    # --- groups ----------------------------------------------------------------------------------

    def _groups(self) -> list[Group]:
        long = self._plan.long
        if long is None:
            return [self._group((info,), column, self._wide(info, column)) for info, column in self._plan.columns]
        columns = {"name": "VARCHAR", "feature_id": "BIGINT"}
        self._engine.write(staging.empty(staging.FEATURES, columns))
        self._engine.insert(staging.FEATURES, columns, [(name, info.id) for name, info in long.features])
        alike: dict[Any, list[FeatureInfo]] = {}
        for _, info in long.features:
            alike.setdefault((info.dtype, info.coerce, info.multiple), []).append(info)
        return [self._group(tuple(infos), long.value, self._long(long, infos)) for infos in alike.values()]

    def _wide(self, info: FeatureInfo, column: Column) -> Callable[[str], str]:
        return lambda cell: staging.wide(self._entities.rows, column.id, info.id, cell)

    def _long(self, long: Long, infos: Sequence[FeatureInfo]) -> Callable[[str], str]:
        columns, name, ids = (long.name.id, long.value.id), name_sql(long.name), [info.id for info in infos]
        return lambda cell: staging.long(self._entities.rows, columns, name, ids, cell)

    def _group(self, infos: tuple[FeatureInfo, ...], column: Column, cells: Callable[[str], str]) -> Group:
        spread = _spread(infos[0], column) if infos[0].multiple else None
        type_, cell = spread or (column.type, column.id)
        whole = self._plan.long is None or self._options.mode == "set"
        named = staging.pairs_of_all([info.id for info in infos]) if whole else staging.pairs_in(cells(column.id))
        return Group(infos, type_, staging.present(cells(cell)), named, spread is not None)

    # --- one group -------------------------------------------------------------------------------

    def _write(self, group: Group) -> None:
        parts = self._parts(group)
        if self.refusals.failed:
            return
        sql = " UNION ALL ".join(self._wanted(group, parts)) or staging.NOTHING
        unique = self._entities.distinct and not group.spread
        if not unique:
            sql = staging.once(sql)
        if unique and not self._annotated.intersection(group.ids):
            self.links += self._store(staging.add(self._entity, sql), **self._given(sql, group))
        elif self._options.mode == "add":
            self._add(group, sql)
        else:
            self._replace(group, sql)

    def _parts(self, group: Group) -> list[Part]:
        """Return the cells by the kind they are stored as; what is refused is left out, or raises."""
        info = group.first
        taken = SEVERAL if _is_several(group) else conversion(group.type, info.dtype, coerce=info.coerce)
        cells = Cells(group.raw, info.dtype, taken, _key_of(group.type))
        count, asked, refused = self._rows(cells.counted(), self._plan.source.params)[0]
        if not count:
            return []
        if not asked and not refused:
            self.values += count
            return [cells.direct()]
        self._decider.decide(cells, group.type, info)
        self._temporary(staging.CELLS, cells.staged(), self._plan.source.params)
        self.refusals.add(group.infos, group.type)
        kinds = self._rows(staging.taken())
        self.values += sum(times for _, times in kinds)
        return [staging.staged_part(kind) for kind, _ in kinds]

    def _wanted(self, group: Group, parts: Sequence[Part]) -> list[str]:
        """Return the queries of the annotations that parts mean; values that do not exist are added."""
        if group.first.dtype.is_cat:
            return [self._named(group, part) for part in parts]
        for part in parts:
            self._add_values(group, part)
        return [staging.annotated(part) for part in parts]

    def _add_values(self, group: Group, part: Part) -> None:
        session, options = self._session, self._options
        given = {
            "created_at": self._now,
            "created_by_id": session.user_id,
            "run_id": None if options.run is None else options.run.id,
            "branch_id": session.branch_id,
            "space_id": session.space_id,
        }
        columns = {name: f"${name}::{_PROVENANCE[name]}" for name in given}
        known = bool(self._valued.intersection(group.ids))
        sql = staging.new_values(part, columns, known=known)
        first = self._engine.next_ids("typed_values", 0)
        features = {"features": group.ids} if known else {}
        added = self._store(sql, **self._scanned(sql), **given, **features, first=first, change=None)
        self._engine.next_ids("typed_values", added)
        self.new_values += added

    def _named(self, group: Group, part: Part) -> str:
        """Return the query of the annotations with the records that names mean."""
        dtype = group.first.dtype
        table = self._session.catalog[dtype.registry or ""]
        sql = staging.names(part, table, naming_fields(table), dtype.registry_type)
        params = self._scanned(sql) | ({"type": dtype.registry_type} if dtype.registry_type else {})
        self._temporary(staging.NAMES, sql, params)
        unnamed = [name for (name,) in self._rows(staging.unnamed())]
        if unnamed and group.first.coerce:
            ids = ids_by_name(self._session, group.first, unnamed)
            self._engine.write(staging.name_more(), {"names": list(ids), "ids": list(ids.values())})
            unnamed = [name for name in unnamed if name not in ids]
        if unnamed:
            self.values -= self.refusals.add_unnamed(group.infos, part, self._scanned(part.sql))
        return staging.named_cells(part)

    def _add(self, group: Group, wanted: str) -> None:
        sql = staging.fresh(wanted, self._entity)
        self._temporary(staging.FRESH, sql, self._given(sql, group))
        rows = self._without_second(group, staging.FRESH, beside=True)
        if self.refusals.failed:
            return
        self.links += self._store(staging.add(self._entity, rows))

    def _replace(self, group: Group, wanted: str) -> None:
        self._temporary(staging.WANTED, wanted, self._given(wanted, group))
        rows = self._without_second(group, staging.WANTED, beside=False)
        if self.refusals.failed:
            return
        ended = staging.ended(self._entity, self.refusals.touched(group.named), rows)
        self.removed += self._store(staging.remove(self._entity, ended), features=group.ids)
        fresh = staging.fresh(rows, self._entity)
        self.links += self._store(staging.add(self._entity, fresh), features=group.ids)

    def _without_second(self, group: Group, staged: str, *, beside: bool) -> str:
        """Return the staged annotations that leave features which take one value with one."""
        if not group.first.multiple:
            sql = staging.second(self._entity, staged, beside=beside)
            self._temporary(staging.SECOND, sql, {"features": group.ids} if beside else {})
            if self.refusals.add_second(group.infos):
                return staging.without(staged, staging.SECOND)
        return staging.everything(staged)

    # --- talking to the engine -------------------------------------------------------------------

    def _rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self._engine.rows(Statement(sql, dict(params or {})))

    def _scanned(self, sql: str) -> dict[str, Any]:
        """Return the parameters of the input, as far as a statement reads it."""
        return {name: value for name, value in self._plan.source.params.items() if f"${name}" in sql}

    def _given(self, sql: str, group: Group) -> dict[str, Any]:
        return self._scanned(sql) | ({"features": group.ids} if "$features" in sql else {})

    def _temporary(self, name: str, sql: str, params: Mapping[str, Any]) -> None:
        self._engine.write(staging.temporary(name, sql), params)

    def _store(self, sql: str, **params: Any) -> int:
        if "$change" in sql:
            params["change"] = self._change
        else:
            params.pop("change", None)
        return self._engine.write(sql, params)


def _spread(info: FeatureInfo, column: Column) -> tuple[SqlType, str] | None:
    """Return the type and the expression of the values in a cell that may hold several; None if it holds one."""
    lists = info.dtype.base.name == "list"
    if column.type.family == "json":
        return column.type, staging.items(column.id, lists=lists)
    item = column.type.item
    # Of a feature whose values are lists, a cell of several values holds lists.
    if item is None or (lists and item.family != "list"):
        return None
    return item, f"unnest({column.id})"


def _is_several(group: Group) -> bool:
    """Tell whether cells hold lists, and the features take one value that is none."""
    return group.type.family == "list" and not group.first.multiple and group.first.dtype.base.name != "list"


def _key_of(type_: SqlType) -> str:
    """Return the expression that tells cells of a type apart as text, also minus zero from zero."""
    if type_.family in {"text", "raw", "json", "decimal", "big", "date"}:
        return "v::VARCHAR"
    return "to_json(v)::VARCHAR"
