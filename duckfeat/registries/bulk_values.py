"""The values and annotations of a bulk annotation, feature by feature, each step one statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from duckfeat.compile import staging
from duckfeat.compile.staging import Part
from duckfeat.model.statement import Statement
from duckfeat.query.session import Session
from duckfeat.registries.bulk_decide import Decider
from duckfeat.registries.bulk_entities import Entities, refresh_search
from duckfeat.registries.bulk_groups import Group, groups
from duckfeat.registries.bulk_plan import Options, Plan
from duckfeat.registries.bulk_progress import progress
from duckfeat.registries.bulk_refused import Refusals
from duckfeat.registries.categories import ids_by_name

_PROVENANCE = {
    "created_at": "TIMESTAMP WITH TIME ZONE",
    "created_by_id": "BIGINT",
    "run_id": "BIGINT",
    "branch_id": "BIGINT",
    "space_id": "BIGINT",
}


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
        self._first_value = self._engine.next_ids("typed_values", 0)
        self.refusals = Refusals(session, options)
        self._decider = Decider(session, plan.source.params)
        self.values = self.new_values = self.links = self.removed = 0
        self._annotated: set[int] = set()
        self._valued: set[int] = set()
        self._signed: set[int] = set()

    def run(self) -> None:
        """Write every feature's values and annotations, and the change they belong to."""
        self._annotated = self._features(staging.features_in(f"{self._entity}_annotations"))
        self._valued = self._features(staging.features_in("typed_values"))
        self._signed = self._features(staging.minus_zeros()) if self._valued else set()
        long = self._plan.long
        self.refusals.add_rows((*(long.skipped if long else ()), *self._entities.skipped))
        if long is not None:
            columns = {"name": "VARCHAR", "feature_id": "BIGINT"}
            self._engine.write(staging.empty(staging.FEATURES, columns))
            self._engine.insert(staging.FEATURES, columns, [(name, info.id) for name, info in long.features])
        found = groups(self._plan, self._entities.rows, self._entities.total, self._options.mode)
        with progress(self._options.progress, self._entities.total, len(found)) as step:
            for group, counts in zip(found, self._counts(found), strict=True):
                self._write(group, counts)
                step()
        self.refusals.raise_any()
        self._end_others()
        if self.links or self.removed:
            self._note_change()

    def _features(self, sql: str) -> set[int]:
        return {id_ for (id_,) in self._rows(sql)}

    def _counts(self, found: Sequence[Group]) -> Iterator[Sequence[int]]:
        """Return what `Cells.counts` counts of each group; columns that can be are counted in one scan."""
        simple = [(group, group.cell) for group in found if group.cell is not None and not group.spread]
        together: Iterator[int] | None = None
        if self._plan.long is None and simple and not self._entities.skipped:
            counts = [group.cells.counts(cell) for group, cell in simple]
            together = iter(self._rows(staging.counted_together(self._plan.source.sql, counts))[0])
        for group in found:
            if together is not None and group.cell is not None and not group.spread:
                yield [next(together) for _ in range(4)]
            else:
                yield self._rows(group.cells.counted())[0]

    def _end_others(self) -> None:
        """In mode `set`, end what the entities have of features that the input does not tell of."""
        if self._options.mode == "set" and not self._entities.all_new:
            ids = [info.id for info, _ in self._plan.columns]
            sql = staging.remove(self._entity, staging.ended_others(self._entity))
            self.removed += self._store(sql, {"features": ids})

    def _note_change(self) -> None:
        id_, options = self._engine.next_ids("changes", 1), self._options
        columns = {"id": "BIGINT", "operation": "VARCHAR", **dict(list(_PROVENANCE.items())[:3])}
        row = (id_, options.mode, self._now, self._session.user_id, options.run_id)
        self._engine.insert("changes", columns, [row])

    # --- one group -------------------------------------------------------------------------------

    def _write(self, group: Group, counts: Sequence[int]) -> None:
        parts = self._parts(group, counts)
        if self.refusals.failed:
            return
        known = not self._entities.all_new and bool(self._annotated.intersection(group.ids))
        if known and self._options.mode == "add" and not group.first.dtype.is_cat:
            self._add_pending(group, parts)
        else:
            self._write_all(group, parts, known=known)
        self._annotated.update(group.ids)
        self._valued.update(group.ids)

    def _write_all(self, group: Group, parts: Sequence[Part], *, known: bool) -> None:
        sql = " UNION ALL ".join(self._wanted(group, parts)) or staging.NOTHING
        unique = self._entities.distinct and not group.spread
        if not unique:
            sql = staging.once(sql)
        if unique and not known:
            self.links += self._store(staging.add(self._entity, sql), self._given(group))
        elif self._options.mode == "add":
            self._add(group, staging.fresh(sql, self._entity, group.ids))
        else:
            self._replace(group, sql)

    def _add_pending(self, group: Group, parts: Sequence[Part]) -> None:
        """Add what entities do not have yet, where most of it may hold already."""
        wanted = []
        for part in parts:
            pending = f"{staging.PENDING}_{part.kind}"
            sql = staging.temporary(pending, staging.pending(part, self._entity))
            if self._store(sql, self._given(group)):
                rest = replace(part, sql=staging.everything(pending))
                self._add_values(group, rest)
                wanted.append(staging.annotated(rest))
        if wanted:
            self._add(group, staging.once(" UNION ALL ".join(wanted)))

    def _parts(self, group: Group, counts: Sequence[int]) -> list[Part]:
        """Return the cells by the kind they are stored as; what is refused is left out, or raises."""
        count, asked, refused, minus = counts
        if not count:
            return []
        if not asked and not refused:
            self.values += count
            return [group.cells.direct(signed=bool(minus) or bool(self._signed.intersection(group.ids)))]
        self._decider.decide(group.cells, group.type, group.first)
        self._store(staging.temporary(staging.CELLS, group.cells.staged()), {})
        self.refusals.add(group.infos, group.type)
        kinds = self._rows(staging.taken())
        self.values += sum(times for _, times in kinds)
        return group.cells.parts([kind for kind, _ in kinds])

    def _wanted(self, group: Group, parts: Sequence[Part]) -> list[str]:
        """Return the queries of the annotations that parts mean; values that do not exist are added."""
        if group.first.dtype.is_cat:
            return [self._named(group, part) for part in parts]
        for part in parts:
            self._add_values(group, part)
        return [staging.annotated(part) for part in parts]

    def _add_values(self, group: Group, part: Part) -> None:
        given = {"created_at": self._now, **self._session.provenance, "run_id": self._options.run_id}
        columns = {name: f"${name}::{_PROVENANCE[name]}" for name in given}
        first = self._engine.next_ids("typed_values", 0)
        sql = staging.add_values(part, columns, self._missing(group, part))
        added = self._store(sql, {**given, **self._given(group), "first": first})
        self._engine.next_ids("typed_values", added)
        self.new_values += added
        refresh_search(self._session, "FeatureValue", first, added)

    def _missing(self, group: Group, part: Part) -> str:
        """Return the query of the values that do not exist, with numbers from 0."""
        sql = staging.missing(part, known=bool(self._valued.intersection(group.ids)))
        if self._entities.total < staging.MANY:
            return staging.numbered(sql)
        self._store(staging.temporary(staging.MISSING, sql), self._given(group))
        return staging.numbered_by_place(staging.MISSING)

    def _named(self, group: Group, part: Part) -> str:
        """Return the query of the annotations with the records that names mean."""
        info = group.first
        table = self._session.catalog[info.dtype.registry or ""]
        organism = self._session.organism_id if "organism" in table.fields else None
        sql = staging.names(part, table, typed=bool(info.dtype.registry_type), own=organism is not None)
        self._store(staging.temporary(staging.NAMES, sql), {"type": info.dtype.registry_type, "organism": organism})
        unnamed = [name for (name,) in self._rows(staging.unnamed())]
        if unnamed and info.coerce:
            ids = ids_by_name(self._session, info, unnamed)
            self._store(staging.name_more(), {"names": list(ids), "ids": list(ids.values())})
            unnamed = [name for name in unnamed if name not in ids]
        if unnamed:
            self.values -= self.refusals.add_unnamed(group.infos, part, self._scanned(part.sql))
        return staging.named_cells(part)

    def _add(self, group: Group, wanted: str) -> None:
        if not self._store(staging.temporary(staging.FRESH, wanted), self._given(group)):
            return
        rows = self._without_second(group, staging.FRESH, beside=True)
        if not self.refusals.failed:
            self.links += self._store(staging.add(self._entity, rows), {})

    def _replace(self, group: Group, wanted: str) -> None:
        self._store(staging.temporary(staging.WANTED, wanted), self._given(group))
        rows = self._without_second(group, staging.WANTED, beside=False)
        if self.refusals.failed:
            return
        named = self.refusals.touched(group.named)
        if not group.first.multiple:
            named = staging.with_pairs(named, rows)  # one value takes the place of another, whatever was skipped
        ended = staging.ended(self._entity, named, rows, group.ids)
        self.removed += self._store(staging.remove(self._entity, ended), self._given(group))
        fresh = staging.fresh(rows, self._entity, group.ids)
        self.links += self._store(staging.add(self._entity, fresh), self._given(group))

    def _without_second(self, group: Group, staged: str, *, beside: bool) -> str:
        """Return the staged annotations that leave features which take one value with one."""
        if not group.first.multiple:
            sql = staging.second(self._entity, staged, group.ids, beside=beside)
            if self._store(staging.temporary(staging.SECOND, sql), self._given(group)):
                self.values -= self.refusals.add_second(group.infos)
                rows = staging.without(staged, staging.SECOND)
                if not group.first.dtype.is_cat and not self.refusals.failed:
                    self.new_values -= self._store(staging.unused(rows), {"first": self._first_value})
                return rows
        return staging.everything(staged)

    # --- talking to the engine -------------------------------------------------------------------

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._engine.rows(Statement(sql, self._scanned(sql)))

    def _scanned(self, sql: str) -> dict[str, Any]:
        """Return the parameters of the input, as far as a statement reads it."""
        return _named_in(sql, self._plan.source.params)

    def _given(self, group: Group) -> dict[str, Any]:
        return {"features": list(group.ids)}

    def _store(self, sql: str, params: Mapping[str, Any]) -> int:
        """Run a writing statement with those of the parameters that it names, and return how many rows it wrote."""
        given = {**self._plan.source.params, "change": self._change, **params}
        return self._engine.write(sql, _named_in(sql, given))


def _named_in(sql: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if f"${name}" in sql}
