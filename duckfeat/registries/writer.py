"""Saving, changing and deleting records: set-based, one transaction, the records themselves put back on failure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from duckfeat.compile import writes
from duckfeat.compile.operands import convert
from duckfeat.errors import FieldError, IntegrityError, InvalidArgument, ValidationError, hint
from duckfeat.model.arguments import is_text, registry_of, several, shown, whole
from duckfeat.model.fields import Field, ForeignKey, Relation
from duckfeat.model.kinds import KINDS, STORED_COLUMNS, stored
from duckfeat.model.statement import Statement
from duckfeat.model.tables import ENTITIES, Table
from duckfeat.model.uids import random_uid
from duckfeat.query.session import Session
from duckfeat.registries import deleting, pointing
from duckfeat.registries.annotations import Annotations, new_change
from duckfeat.registries.features import write_values
from duckfeat.registries.known_values import KnownValues
from duckfeat.registries.undo import putting_back

_log = logging.getLogger("duckfeat")
_PLACED = frozenset({"uid", "run", "created_by", "branch", "space"})
"""Fields that say who made a record and where it is, not what it is."""
_SQL_TYPES = {kind.name: kind.sql_type for kind in KINDS.values()}


class Writer:
    """Writes the records of one store."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._engine = session.engine
        self.annotations = Annotations(session)
        self.values = KnownValues(session)

    # --- saving ----------------------------------------------------------------------------------

    def save(self, records: Iterable[Any], batch_size: int | None = None) -> list[Any]:
        """Save records of any registries in one transaction, one statement per table and batch."""
        listed = several(records, "records")
        for record in listed:
            if registry_of(record) is None:
                raise InvalidArgument(f"only records can be saved, not {shown(record)}", value=record)
        size = whole(batch_size, "batch_size", 1) if batch_size is not None else None
        with self._engine.transaction():
            groups = _in_order(listed)
            for group in groups:
                for start in range(0, len(group), size or len(group)):
                    self._save_group(group[start : start + (size or len(group))])
            self._save_features([record for group in groups for record in group])
        return listed

    def _save_features(self, records: Sequence[Any]) -> None:
        waiting: dict[str, dict[int, Any]] = {}
        for record in records:
            given = record.__dict__.pop("_features_given", None)
            if given is not None and not isinstance(given, Mapping):
                raise InvalidArgument(f"features are given as {{feature: value}}, not {shown(given)}", value=given)
            if given:
                self._engine.on_rollback(_putter(record, "_features_given", given))
                values = waiting.setdefault(record.__registry__, {})
                values[record.id] = {**values.get(record.id, {}), **given}
        for registry, values in waiting.items():
            write_values(self._session, self._session.catalog[registry], values, "update")

    def _save_group(self, records: Sequence[Any]) -> None:
        for record in records:
            self._engine.on_rollback(putting_back(record))
            self._session.check_mine(record)
            record.__dict__["_session"] = self._session
            self._link(record)
        pointing.check(self._session, records)
        new = [record for record in records if record.id is None]
        self._update_records([record for record in records if record.id is not None])
        if not new:
            return
        cls = type(new[0])
        cls._prepare(self._session, new)
        for record in new:
            self._complete(record)
        existing = cls._existing(self._session, new)
        self._adopt_all([(new[position], found) for position, found in existing.items()])
        self._insert(cls, [record for position, record in enumerate(new) if position not in existing])

    def _complete(self, record: Any) -> None:
        """Fill in provenance, place and uid, and check the fields of a new record."""
        values, session = record.__dict__, self._session
        run = session.run if session.run is not record else None
        for name, given in (
            ("run", run.id if run is not None else None),
            ("created_by", session.user_id),
            ("branch", session.branch_id),
            ("space", session.space_id),
        ):
            if values.get(f"{name}_id") is None:
                values.pop(name, None)
                values[f"{name}_id"] = given
        check_fields(record.__table__, values)

    def _insert(self, cls: Any, records: list[Any]) -> None:
        table: Table = cls.__table__
        first, twins = _without_twins(cls, records)
        if not first:
            return
        self._check_uids(table, first)
        id_ = self._engine.next_ids(table.rows, len(first))
        for number, record in enumerate(first):
            record.__dict__["id"] = id_ + number
        columns = _columns(table)
        rows = [_row(table, record.__dict__) for record in first]
        self._engine.insert(table.rows, columns, rows)
        cls._saved(self._session, first)
        self._adopt_all(twins)
        self.touched(table, [record.id for record in first])

    def _adopt_all(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Make new records the existing ones, which first take what they lack."""
        lacking = {existing.id: existing for record, existing in pairs if _takes(existing, record)}
        if lacking:
            records = list(lacking.values())
            self._update_records(records)
            for fresh in self._session.registries[records[0].__registry__].filter(id__in=list(lacking)):
                lacking[fresh.id].__dict__.update(fresh.__dict__)
        for record, existing in pairs:
            self._adopt(record, existing)

    def _adopt(self, record: Any, existing: Any) -> None:
        """Make a new record the existing one; what it says otherwise is not written, and the log tells that."""
        record._agrees_with(existing)
        table: Table = record.__table__
        kept = {name: record.__dict__[name] for name in ("_session", "_features_given") if name in record.__dict__}
        other = [
            f"{field.name} stays {existing.__dict__.get(field.column)!r}"
            for field in table.fields.values()
            if field.settable and field.name not in _PLACED
            if record.__dict__.get(field.column) not in (None, field.initial(), existing.__dict__.get(field.column))
        ]
        name = existing.__dict__.get(table.label) or existing.__dict__.get("uid")
        _log.info("%s %r exists: it is used%s", table.name, name, "; its " + ", ".join(other) if other else "")
        record.__dict__.clear()
        record.__dict__.update({**existing.__dict__, **kept})

    def _link(self, record: Any) -> None:
        """Point a record's columns at the records of its fields, which have their ids by now."""
        for field in record.__table__.fields.values():
            other = record.__dict__.get(field.name) if isinstance(field, ForeignKey) else None
            if other is not None:
                self._session.check_mine(other)
                record.__dict__[field.column] = other.id

    def _check_uids(self, table: Table, records: Sequence[Any]) -> None:
        if "uid" not in table.fields:
            return
        given = [record.uid for record in records if record.uid is not None]
        for record in records:
            if record.uid is None:
                record.__dict__["uid"] = random_uid(table.uid_length)
        if not given:
            return
        taken = self._engine.rows(Statement(writes.taken_uids(table), {"uids": given}))
        twice = [uid for uid in given if given.count(uid) > 1] if len(set(given)) < len(given) else []
        if taken or twice:
            uid = taken[0][0] if taken else twice[0]
            raise IntegrityError(f"{table.name} with uid {uid!r} exists", registry=table.name, uid=uid)

    def _update_records(self, records: Sequence[Any]) -> None:
        if not records:
            return
        cls, table, now = type(records[0]), records[0].__table__, datetime.now(UTC)
        for record in records:
            if "updated_at" in table.fields:
                record.__dict__["updated_at"] = now
            cls._prepare_update(self._session, record)
            check_fields(table, record.__dict__)
        columns = {name: type_ for name, type_ in _columns(table).items() if name not in STORED_COLUMNS}
        columns.pop("kind", None)
        latest = {record.id: {name: record.__dict__.get(name) for name in columns} for record in records}
        with self._changing(table, latest):
            changed = self._write_rows(table, columns, list(latest.values()))
            if changed != len(latest):
                raise IntegrityError(f"a {table.name} to be updated is no longer there", registry=table.name)

    def _write_rows(self, table: Table, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> int:
        """Update rows, columns with their ids, and return how many there were; one alone needs no join."""
        if len(rows) == 1:
            return int(self._engine.write(writes.update_row(table, columns), rows[0]))
        staged = {f"c{i}": [row[name] for row in rows] for i, name in enumerate(columns)}
        return int(self._engine.write(writes.update_rows(table, columns), staged))

    def update(self, registry: str, ids: Sequence[int], values: Mapping[str, Any]) -> int:
        """Set fields of records given by id and return how many there were."""
        table, cls = self._session.catalog[registry], self._session.registries[registry]
        settable = [known.name for known in table.stored if known.settable and known.name not in cls.__constant__]
        assigned = {}
        for name, value in cls._prepare_values(self._session, values).items():
            if table.entity and not table.has(name) and name in self._session.features.names():
                instead = "set it with record.features.update_values, or with store.annotate(..., mode='update')"
                raise FieldError(f"{registry} has no field {name!r}: it is a feature; {instead}", name=name)
            if not table.has(name):
                told = f"{registry} has no field {name!r} to set{hint(name, settable)}"
                raise FieldError(told, name=name, available=settable)
            field = table.field(name)
            if field.name not in settable:
                told = f"{registry}.{field.name} cannot be set{hint(name, settable)}"
                raise FieldError(told, name=name, available=settable)
            assigned[field.column] = checked(table, field, pointing.id_of(self._session, table, field, value))
        with self._engine.transaction():
            if not assigned or not ids:
                return len(ids)
            if "updated_at" in table.fields:
                assigned["updated_at"] = datetime.now(UTC)
            changes = dict.fromkeys(ids, assigned)
            pointing.check_types(self._session, table, changes)
            with self._changing(table, changes):
                self._engine.write(writes.set_columns(table, list(assigned)), {**assigned, "ids": list(ids)})
        return len(ids)

    @contextmanager
    def _changing(self, table: Table, changes: Mapping[int, Mapping[str, Any]]) -> Iterator[None]:
        """Check what is to be set in records, columns by id, before it is written and after."""
        cls, ids = self._session.registries[table.name], list(changes)
        cls._check_changes(self._session, changes)
        then = cls._changing(self._session, changes)
        self.touched(table, ids)
        yield
        then()
        set_columns = {name for changed in changes.values() for name in changed}
        names = [table.field(name).column for name in cls.__found_by__]
        deleting.check_unique(self._session, table, names if set_columns & {*names, "branch_id"} else [], ids)
        deleting.check_unique(self._session, table, ["uid"] if "uid" in set_columns else [], ids)

    def touched(self, table: Table, ids: Sequence[int]) -> None:
        """Have what was read of these records before read again, now and when the transaction has ended."""
        session = self._session

        def forget() -> None:
            session.search.touched(table.name, ids)
            if table.name == "Feature":
                session.features.invalidate()
            if table.name in {"Feature", "FeatureValue"}:
                self.values.forget()

        forget()
        self._engine.on_end(forget)

    # --- trash and deletion ----------------------------------------------------------------------

    def delete(self, registry: str, ids: Sequence[int], *, permanent: bool, cascade: bool = False) -> Any:
        """Move records to the trash, or remove them with what hangs on them."""
        table, cls = self._session.catalog[registry], self._session.registries[registry]
        with self._engine.transaction():
            if not ids:
                return (0, {}) if permanent else None
            deleting.check_removable(self._session, table, ids, permanent=permanent)
            then = cls._changing(self._session, {id_: {} for id_ in ids})
            self.touched(table, ids)
            gone = None
            if permanent:
                gone = deleting.remove(self._session, table, ids, cascade=cascade)
            else:
                deleting.to_trash(self._session, table, ids)
            then()
            return gone

    def restore(self, registry: str, ids: Sequence[int]) -> None:
        """Bring records back from the trash."""
        table, cls = self._session.catalog[registry], self._session.registries[registry]
        with self._engine.transaction():
            then = cls._changing(self._session, {id_: {} for id_ in ids})
            deleting.restore(self._session, table, ids, cls.__found_by__)
            then()
            self.touched(table, ids)

    # --- relations -------------------------------------------------------------------------------

    def relate(self, relation: Relation, record: Any, added: Sequence[Any], removed: Sequence[Any]) -> None:
        """Add and end relations of a record."""
        with self._engine.transaction():
            _RELATING[relation.kind](self, relation, record, added, removed)

    def _relate_reverse(self, relation: Relation, record: Any, added: Sequence[Any], removed: Sequence[Any]) -> None:
        target = self._session.catalog[relation.target]
        field = target.field(relation.column)
        removed = [other for other in removed if other.__dict__.get(field.column) == record.id]
        if removed and not field.null:
            raise IntegrityError(f"{relation.target}.{field.name} cannot be missing: move or delete it instead")
        for others, owner in ((added, record), (removed, None)):
            for other in others:
                self._engine.on_rollback(putting_back(other))
                setattr(other, field.name, owner)
            if others:
                self.update(relation.target, [other.id for other in others], {field.name: owner})

    def _relate_link(self, relation: Relation, record: Any, added: Sequence[Any], removed: Sequence[Any]) -> None:
        near = "from_id" if relation.forward else "to_id"
        asked = {"relation": relation.link, "id": record.id}
        current = set(self._engine.rows(Statement(writes.current_links(near), asked)))

        def pairs(others: Sequence[Any]) -> list[tuple[int, int]]:
            ids = dict.fromkeys(other.id for other in others)
            return [(record.id, id_) if relation.forward else (id_, record.id) for id_ in ids]

        self._end_categories(relation, record, removed)
        new = [pair for pair in pairs(added) if pair not in current]
        gone = [pair for pair in pairs(removed) if pair in current]
        if not new and not gone:
            return
        change = new_change(self._session, "relate")
        columns = {"relation": "VARCHAR", "from_id": "BIGINT", "to_id": "BIGINT", "change_id": "BIGINT"}
        for table, listed in (("links", new), ("link_removals", gone)):
            self._engine.insert(table, columns, [(relation.link, *pair, change) for pair in listed])

    def _end_categories(self, relation: Relation, record: Any, removed: Sequence[Any]) -> None:
        """End the relations to records that hold through categorical features."""
        near, far = [record.id], [other.id for other in removed]
        sides = ((relation.source, near, relation.target, far), (relation.target, far, relation.source, near))
        for entity, entity_ids, registry, value_ids in sides:
            features = {info.id for info in self._session.features.all() if info.dtype.registry == registry}
            if entity not in ENTITIES or relation.source == relation.target or not far or not features:
                continue
            table = self._session.catalog[entity]
            current = self.annotations.current(table, entity_ids)
            gone = [row for row in current if row[0] in features and row[2] in value_ids]
            self.annotations.apply(table, add=[], remove=gone, operation="relate")

    def _relate_annotation(self, relation: Relation, record: Any, added: Sequence[Any], removed: Sequence[Any]) -> None:
        entity = relation.source if relation.forward else relation.target

        def rows(others: Sequence[Any]) -> list[tuple[int, int, int]]:
            pairs = [(record, other) if relation.forward else (other, record) for other in others]
            return [(value.feature_id, annotated.id, value.id) for annotated, value in pairs]

        self.annotations.apply(self._session.catalog[entity], add=rows(added), remove=rows(removed), operation="relate")


_RELATING: Mapping[str, Callable[..., None]] = {
    "reverse": Writer._relate_reverse,
    "link": Writer._relate_link,
    "annotation": Writer._relate_annotation,
}


def check_fields(table: Table, values: dict[str, Any]) -> None:
    """Check the stored fields of a record and convert what converts exactly.

    Raises `ValidationError` with the field for a missing or mistyped value.
    """
    for field in table.stored:
        if field.name == "id" or (field.name == "uid" and values.get("uid") is None) or field.type == "value":
            continue
        values[field.column] = checked(table, field, values.get(field.column))


def checked(table: Table, field: Field[Any], value: Any) -> Any:
    """Return a field's value as it is stored, or raise `ValidationError`."""
    if value is None:
        if not field.null:
            article = "an" if field.name[0] in "aeio" else "a"
            raise ValidationError(f"{table.name} needs {article} {field.name}", field=field.name, value=None)
        return None
    try:
        converted = convert(field.type, value)
    except InvalidArgument as error:
        if isinstance(field, ForeignKey):
            raise pointing.no_target(table, field, value) from None
        raise ValidationError(f"{table.name}.{field.name}: {error}", field=field.name, value=value) from None
    if field.type == "int":
        if isinstance(converted, float):
            raise ValidationError(
                f"{table.name}.{field.name} is an int, not {shown(value)}", field=field.name, value=value
            )
        return converted
    return _checked_text(table, field, converted) if field.type == "str" else converted


def _checked_text(table: Table, field: Field[Any], text: str) -> str:
    if field.unique and not text:
        raise ValidationError(f"{table.name}.{field.name} is empty", field=field.name, value=text)
    if not is_text(text):
        raise ValidationError(f"{table.name}.{field.name} is not valid Unicode", field=field.name)
    return text


def _columns(table: Table) -> dict[str, str]:
    columns: dict[str, str] = {}
    for field in table.stored:
        if field.type == "value":
            columns |= {"kind": "VARCHAR", **STORED_COLUMNS}
        else:
            columns[field.column] = _SQL_TYPES[field.type]
    return columns


def _row(table: Table, values: dict[str, Any]) -> list[Any]:
    row: list[Any] = []
    for field in table.stored:
        if field.type == "value":
            kind, physical = values["_typed"]
            row += [kind, *stored(kind, physical)]
        else:
            row.append(values.get(field.column))
    return row


def _in_order(records: Sequence[Any]) -> list[list[Any]]:
    """Return the records in groups of one registry, those that others point at before them; each once.

    Unsaved records that a given one points at are saved with it.
    """
    depths: dict[int, int] = {}
    found: dict[int, Any] = {}

    def visit(record: Any, trail: tuple[int, ...]) -> int:
        key = id(record)
        if key in trail:
            raise IntegrityError(f"{shown(record)} points at itself through its fields", registry=record.__registry__)
        if key not in depths:
            below = [
                visit(other, (*trail, key))
                for field in record.__table__.fields.values()
                if isinstance(field, ForeignKey) and (other := record.__dict__.get(field.name)) is not None
                if other.id is None
            ]
            depths[key] = 1 + max(below, default=-1)
            found[key] = record
        return depths[key]

    for record in records:
        visit(record, ())
    groups: dict[tuple[int, str], list[Any]] = {}
    for key, record in found.items():
        groups.setdefault((depths[key], record.__registry__), []).append(record)
    return [groups[group] for group in sorted(groups, key=lambda group: group[0])]


def _without_twins(cls: Any, records: Sequence[Any]) -> tuple[list[Any], list[tuple[Any, Any]]]:
    """Return the records without those that are named like an earlier one, and these with that earlier one."""
    first: dict[Any, Any] = {}
    twins = []
    for record in records:
        key = cls._twin_key(record)
        known = first.setdefault(key if key is not None else id(record), record)
        if known is not record:
            twins.append((record, known))
    return list(first.values()), twins


def _takes(existing: Any, record: Any) -> bool:
    """Give an existing record what it lacks and a new one says, and tell whether there was anything."""
    given = {name: record.__dict__[name] for name in record.__completed__ if existing.__dict__[name] is None}
    taken = {name: value for name, value in given.items() if value is not None}
    existing.__dict__.update(taken)
    return bool(taken)


def _putter(record: Any, name: str, value: Any) -> Callable[[], None]:
    def undo() -> None:
        record.__dict__[name] = value

    return undo
