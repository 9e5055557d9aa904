"""Foreign keys: that what they are made to point at exists, and that a type is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from duckfeat.compile.select import Query
from duckfeat.errors import IntegrityError, InvalidArgument, ValidationError
from duckfeat.model.arguments import registry_of, shown
from duckfeat.model.fields import Field, ForeignKey
from duckfeat.model.tables import Table
from duckfeat.query.queryset import QuerySet
from duckfeat.query.session import Session

_TYPE_COLUMNS = {"type": "type_id", "is_type": "is_type"}


def check(session: Session, records: Sequence[Any]) -> None:
    """Check the foreign keys that were set in records since they were read or made.

    Raises `IntegrityError` for one that points at nothing or at its own record, `ValidationError` for a type that is
    none.
    """
    _check_retyped(session, records)
    by_id: dict[str, set[int]] = {}
    for record in records:
        names = dict.fromkeys(record.__dict__.pop("_pointed", ()))
        for name in names.keys() - {"is_type"}:
            field: Any = record.__table__.fields[name]
            other, id_ = record.__dict__.get(name), record.__dict__.get(field.column)
            if other is not None:
                _check_type(record.__table__, field, other)
            elif type(id_) is int:
                by_id.setdefault(name, set()).add(id_)
            if id_ is not None and id_ == record.id and field.target == record.__registry__:
                raise IntegrityError(f"{record!r} cannot be its own {name}", registry=record.__registry__, field=name)
    for name, ids in by_id.items():
        _check_ids(session, records[0].__table__, records[0].__table__.fields[name], ids)


def _check_retyped(session: Session, records: Sequence[Any]) -> None:
    """Check saved records whose type, or whether they are one, was set since they were read."""
    retyped: dict[int, dict[str, Any]] = {}
    for record in records:
        found = _TYPE_COLUMNS.keys() & set(record.__dict__.get("_pointed", ()))
        if record.id is not None and record.__dict__.get("type_id") != record.id and found:
            retyped[record.id] = {_TYPE_COLUMNS[name]: record.__dict__[_TYPE_COLUMNS[name]] for name in found}
    if retyped:
        check_types(session, records[0].__table__, retyped)


def check_types(session: Session, table: Table, changes: Mapping[int, Mapping[str, Any]]) -> None:
    """Check what is to be set in saved records, columns by id, where it makes or ends types.

    Raises `IntegrityError` for a type that would be of itself in the end, `ValidationError` for one that stays needed.
    """
    above = {id_: new["type_id"] for id_, new in changes.items() if new.get("type_id") is not None}
    ended = [id_ for id_, new in changes.items() if "is_type" in new and not new["is_type"]]
    if "is_type" not in table.fields or not (above or ended):
        return
    query = Query(table, branches=None)
    types = dict(QuerySet(session, query).filter(is_type=True).values_list("id", "type_id")) | above
    for id_ in above:
        seen, at = {id_}, types.get(id_)
        while at is not None and at not in seen:
            seen.add(at)
            at = types.get(at)
        if at is not None:
            raise IntegrityError(f"this {table.name} would be of its own type in the end", registry=table.name, id=id_)
    members = QuerySet(session, query).filter(type_id__in=ended).count() if ended else 0
    if members:
        message = f"{members:,} {table.name} record{'s are' if members > 1 else ' is'} of this type: it stays one"
        raise ValidationError(message, field="is_type", value=False)


def id_of(session: Session, table: Table, field: Field[Any], value: Any) -> Any:
    """Return the id of a record that a foreign key is to point at; what is no record is returned as it is.

    Raises `InvalidArgument` for a record of another registry or store and for one that is not saved, and the errors
    of `check`.
    """
    if not isinstance(field, ForeignKey) or value is None:
        return value
    registry = registry_of(value)
    if registry is None:
        if type(value) is int:
            _check_ids(session, table, field, [value])
        return value
    if registry != field.target:
        raise no_target(table, field, value)
    if value.id is None:
        raise InvalidArgument(f"{table.name}.{field.name}: this {registry} is not saved yet", value=value)
    session.check_mine(value)
    _check_type(table, field, value)
    return value.id


def no_target(table: Table, field: ForeignKey[Any], value: Any) -> InvalidArgument:
    """Return the error for what is neither a record of the registry that a foreign key points at nor an id."""
    return InvalidArgument(f"{table.name}.{field.name} is a {field.target}, not {shown(value)}", value=value)


def _check_ids(session: Session, table: Table, field: Any, ids: Iterable[int]) -> None:
    records = session.registries[field.target].filter(id__in=sorted(ids))
    found = {record.id: record for record in records}
    missing = sorted(set(ids) - set(found))
    if missing:
        message = f"{table.name}.{field.name}: there is no {field.target} with id {missing[0]}"
        raise IntegrityError(message, registry=field.target, id=missing[0])
    for record in found.values():
        _check_type(table, field, record)


def _check_type(table: Table, field: Any, other: Any) -> None:
    """Refuse a type of a record that is not declared as one."""
    if field.name == "type" and "is_type" in table.fields and not other.is_type:
        raise ValidationError(
            f"{table.name}.type is a {field.target} with is_type=True, and {shown(other)} is none",
            field="type",
            value=other,
        )
