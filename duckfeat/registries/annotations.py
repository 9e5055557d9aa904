"""Annotations of records: what is added and removed becomes rows of their own, never a change in place."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from duckfeat.compile.writes import find_values
from duckfeat.errors import ValidationError
from duckfeat.model.arguments import shown
from duckfeat.model.dtypes import Typed, decode_as
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.kinds import KINDS, STORED_COLUMNS, VALUE_COLUMNS, stored
from duckfeat.model.tables import Table
from duckfeat.query.session import Session

_FEW = 16
"""So many values at most are each found by a scan; planning the join that finds any number takes ten times longer."""
Row = tuple[int, int, int]
"""Feature id, entity id, value id."""


def new_change(session: Session, operation: str) -> int:
    """Record who writes annotations, when and in which run, and return the change's id."""
    id_ = session.engine.next_ids("changes", 1)
    columns = {
        "id": "BIGINT",
        "operation": "VARCHAR",
        "created_at": "TIMESTAMP WITH TIME ZONE",
        "created_by_id": "BIGINT",
        "run_id": "BIGINT",
    }
    row = (id_, operation, datetime.now(UTC), session.user_id, session.run_id)
    session.engine.insert("changes", columns, [row])
    return id_


class Annotations:
    """Reads and writes the annotations of a store's artifacts, runs and records."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._engine = session.engine

    # --- values ----------------------------------------------------------------------------------

    def find_values(self, wanted: Sequence[tuple[int, Typed]]) -> dict[int, int]:
        """Return the ids of the (feature id, typed value) pairs that exist, by position."""
        if len(wanted) <= _FEW:
            return dict(self._engine.rows(find_values(wanted))) if wanted else {}
        columns: dict[str, list[Any]] = {
            "positions": list(range(len(wanted))),
            "feature_id": [feature_id for feature_id, _ in wanted],
            "kind": [typed.kind for _, typed in wanted],
        }
        parts = zip(*(stored(*typed) for _, typed in wanted), strict=True)
        columns |= dict(zip(STORED_COLUMNS, map(list, parts), strict=True))
        return dict(self._engine.run("values.find", None, **columns))

    def value_ids(self, wanted: Sequence[tuple[int, Typed]]) -> list[int]:
        """Return the id of each (feature id, typed value) pair; those that do not exist are added."""
        distinct = {(feature_id, typed.hash): (feature_id, typed) for feature_id, typed in wanted}
        pairs = list(distinct.values())
        ids = self.find_values(pairs)
        new = [position for position in range(len(pairs)) if position not in ids]
        if new:
            first = self._engine.next_ids("typed_values", len(new))
            ids |= {position: first + number for number, position in enumerate(new)}
            self._insert_values([(ids[position], *pairs[position]) for position in new], datetime.now(UTC))
        by_key = dict(zip(distinct, (ids[position] for position in range(len(pairs))), strict=True))
        return [by_key[feature_id, typed.hash] for feature_id, typed in wanted]

    def add_value(self, feature_id: int, typed: Typed) -> dict[str, Any]:
        """Add a value that does not exist and return its columns."""
        id_, now = self._engine.next_ids("typed_values", 1), datetime.now(UTC)
        self._insert_values([(id_, feature_id, typed)], now)
        return {"id": id_, "feature_id": feature_id, "created_at": now, **self._session.provenance}

    def _insert_values(self, rows: Iterable[tuple[int, int, Typed]], now: datetime) -> None:
        session = self._session
        provenance = session.provenance
        columns = {"id": "BIGINT", "feature_id": "BIGINT", "kind": "VARCHAR", **STORED_COLUMNS}
        columns |= {"created_at": "TIMESTAMP WITH TIME ZONE", **dict.fromkeys(provenance, "BIGINT")}
        tail = (now, *provenance.values())
        listed = [(id_, feature_id, typed.kind, *stored(*typed), *tail) for id_, feature_id, typed in rows]
        self._engine.insert("typed_values", columns, listed)
        ids = [row[0] for row in listed]
        session.search.touched("FeatureValue", ids)
        self._engine.on_rollback(lambda: session.search.touched("FeatureValue", ids))

    # --- annotations -----------------------------------------------------------------------------

    def annotate(
        self,
        table: Table,
        given: Mapping[int, Sequence[tuple[FeatureInfo, Typed | int]]],
        mode: str,
        named: Collection[tuple[int, int]],
    ) -> None:
        """Annotate entities with values (or ids of categorical ones).

        `add` adds, `update` replaces the values of the (feature id, entity id) pairs that are `named`, `set` makes
        them all there is.
        """
        flat = [(entity_id, info, value) for entity_id, pairs in given.items() for info, value in pairs]
        typed = [(info.id, value) for _, info, value in flat if isinstance(value, Typed)]
        ids = iter(self.value_ids(typed))
        wanted = [
            (info.id, entity_id, next(ids) if isinstance(value, Typed) else value) for entity_id, info, value in flat
        ]
        current = self.current(table, list(given))
        removed: list[Row] = []
        if mode != "add":
            kept = set(wanted)
            removed = [row for row in current if row not in kept and (mode == "set" or row[:2] in named)]
        self.write(table, current, wanted, removed, mode)

    def current(self, table: Table, entity_ids: Sequence[int]) -> set[Row]:
        """Return the annotations that entities have now."""
        if len(entity_ids) == 1:
            return set(self._engine.run("annotations.current_of_one", table.entity, id=entity_ids[0]))
        return set(self._engine.run("annotations.current", table.entity, ids=list(entity_ids)))

    def apply(self, table: Table, *, add: Sequence[Row], remove: Sequence[Row], operation: str) -> None:
        """Add and remove annotations given by ids."""
        entities = sorted({entity_id for _, entity_id, _ in (*add, *remove)})
        current = self.current(table, entities)
        self.write(table, current, add, [row for row in remove if row in current], operation)

    def write(
        self, table: Table, current: set[Row], wanted: Sequence[Row], removed: Sequence[Row], operation: str
    ) -> None:
        """Add the wanted annotations that entities do not have now, and remove some of those that they have."""
        added = [row for row in dict.fromkeys(wanted) if row not in current]
        self._check_single(table, (current - set(removed)) | set(added), added)
        if not added and not removed:
            return
        change = new_change(self._session, operation)
        for name, rows in (("remove_links", removed), ("add_links", added)):
            if rows:
                features, entities, values = (list(column) for column in zip(*rows, strict=True))
                self._engine.run(
                    f"annotations.{name}",
                    table.entity,
                    features=features,
                    entities=entities,
                    values=values,
                    change=change,
                )

    def _check_single(self, table: Table, after: set[Row], added: Sequence[Row]) -> None:
        """Refuse a second value of a feature that takes one."""
        touched = {row[:2] for row in added}
        seen: set[tuple[int, int]] = set()
        for feature_id, entity_id, _ in after:
            key = (feature_id, entity_id)
            if key not in touched:
                continue
            info = self._session.features.by_id(feature_id)
            if key in seen and not info.multiple:
                held = {of.id: value for of, value in self.values_of(table, entity_id).items()}.get(info.id)
                there = "a different one is there" if held is None else f"the {table.name} has {shown(held)}"
                raise ValidationError(
                    f"feature {info.name!r} takes one value and {there}: replace it with "
                    "update_values or set_values, or register the feature with multiple=True",
                    feature=info.name,
                    dtype=info.dtype.name,
                    entity=entity_id,
                )
            seen.add(key)

    # --- reading ---------------------------------------------------------------------------------

    def values_of(self, table: Table, entity_id: int) -> dict[FeatureInfo, Any]:
        """Return the values an entity has now by feature, in the order of registration.

        Features that take several give lists, in the order that frames have; categorical ones give names.
        """
        ids: dict[FeatureInfo, list[int]] = {}
        for feature_id, _, value_id in sorted(self.current(table, [entity_id])):
            info = self._session.features.known(feature_id)
            if info is not None:
                ids.setdefault(info, []).append(value_id)
        typed = self._typed([id_ for info, listed in ids.items() if not info.dtype.is_cat for id_ in listed])
        names = self._names(ids)
        result: dict[FeatureInfo, Any] = {}
        for info, listed in ids.items():
            known = names[info.dtype.registry or ""] if info.dtype.is_cat else typed
            values = [known[id_] for id_ in listed if id_ in known]  # one may have been removed for good meanwhile
            shown = [decode_as(info.dtype, *value) for value in sorted(values, key=sort_key)]
            if shown:
                result[info] = shown if info.multiple else shown[0]
        return result

    def _typed(self, ids: Sequence[int]) -> dict[int, Typed]:
        """Return typed values by id.

        The ids are listed: joined with what an entity has, all values there are would be read.
        """
        rows = self._engine.run("values.of_ids", None, ids=list(ids)) if ids else []
        return {id_: Typed(kind, physical[_PLACES[kind]]) for id_, kind, *physical in rows}

    def _names(self, ids: Mapping[FeatureInfo, Sequence[int]]) -> dict[str, dict[int, Typed]]:
        """Return the names of the records that categorical values are, by registry and id."""
        wanted: dict[str, set[int]] = {}
        for info, listed in ids.items():
            if info.dtype.is_cat:
                wanted.setdefault(info.dtype.registry or "", set()).update(listed)
        return {registry: self._named(registry, sorted(listed)) for registry, listed in wanted.items()}

    def _named(self, registry: str, ids: Sequence[int]) -> dict[int, Typed]:
        labels = self.labels(registry, ids)
        return {id_: Typed("str", labels.get(id_)) for id_ in ids}

    def labels(self, registry: str, ids: Sequence[int]) -> dict[int, str]:
        """Return the names of records of a registry by id."""
        records = self._session.registries[registry].filter(id__in=list(ids))
        called = self._session.catalog[registry].called
        rows = records.values_list("id", *called)._fetch()
        return {id_: next(name for name in names if name is not None) for id_, *names in rows}


def by_name(values: Mapping[FeatureInfo, Any]) -> dict[str, Any]:
    """Return values by the names of their features; a second feature of a name gets a number, as in frames."""
    result: dict[str, Any] = {}
    for info, value in values.items():
        number, free = 1, info.name
        while free in result:
            number += 1
            free = f"{info.name}_{number}"
        result[free] = value
    return result


_PLACES = {kind.name: list(VALUE_COLUMNS).index(kind.column) for kind in KINDS.values()}


def sort_key(typed: Typed) -> tuple[Any, ...]:
    """Return what orders the values of one feature as frames do.

    Numbers go by size with NaN last, nested values by their text, naive datetimes before instants, what has no
    name last.
    """
    kind, value = typed
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return (2, 0)
    return (int(kind == "instant"), value)
