"""Foreign keys: that what they are made to point at exists, and that a type is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from duckfeat.errors import IntegrityError, InvalidArgument, ValidationError
from duckfeat.model.fields import Field, ForeignKey
from duckfeat.model.tables import Table
from duckfeat.query.session import Session


def check(session: Session, records: Sequence[Any]) -> None:
    """Check the foreign keys that were set in records since they were read or made.

    Raises `IntegrityError` for one that points at nothing or at its own record, `ValidationError` for a type that is
    none.
    """
    by_id: dict[str, set[int]] = {}
    for record in records:
        for name in dict.fromkeys(record.__dict__.pop("_pointed", ())):
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


def id_of(session: Session, table: Table, field: Field[Any], value: Any) -> Any:
    """Return the id of a record that a foreign key is to point at; what is no record is returned as it is.

    Raises `InvalidArgument` for a record of another registry or store and for one that is not saved, and the errors
    of `check`.
    """
    if not isinstance(field, ForeignKey) or value is None:
        return value
    registry = getattr(type(value), "__registry__", None)
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
    return InvalidArgument(f"{table.name}.{field.name} is a {field.target}, not {value!r}", value=value)


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
            f"{table.name}.type is a {field.target} with is_type=True, and {other!r} is none", field="type", value=other
        )
