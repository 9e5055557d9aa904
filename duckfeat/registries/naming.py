"""Records by their names: found rather than doubled, given for values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from duckfeat.compile.select import Query
from duckfeat.model.dtypes import is_missing
from duckfeat.model.fields import Field
from duckfeat.model.tables import TRASH
from duckfeat.query.checking import listed_values, same
from duckfeat.query.queryset import QuerySet
from duckfeat.query.session import Session
from duckfeat.registries.values import Records

if TYPE_CHECKING:
    from duckfeat.registries.base import SQLRecord


def outside_trash(session: Session, registry: str) -> QuerySet[Any]:
    """Return the records of a registry on every branch but the trash."""
    query = Query(session.catalog[registry], branches=None)
    return QuerySet(session, query).exclude(branch=TRASH)


def existing(cls: type[SQLRecord], session: Session, records: Sequence[SQLRecord]) -> dict[int, Any]:
    """Return the saved records that have the names of new ones (within their type), by position."""
    if not cls.__found_by__:
        return {}
    keys = [_key(cls, record) for record in records]
    wanted = sorted({key[0] for key in keys if key[0] is not None})
    if not wanted:
        return {}
    found = outside_trash(session, cls.__registry__).filter(**{f"{cls.__found_by__[0]}__in": wanted}).order_by("-id")
    by_key = {_key(cls, record): record for record in found}
    return {position: by_key[key] for position, key in enumerate(keys) if key[0] is not None and key in by_key}


def _key(cls: type[SQLRecord], record: SQLRecord) -> tuple[Any, ...]:
    fields = cls.__table__.fields
    columns = [getattr(fields[name], "column", name) for name in cls.__found_by__]
    return tuple(record.__dict__.get(column) for column in columns)


def key_of(cls: type[SQLRecord], record: SQLRecord) -> tuple[Any, ...] | None:
    """Return what names a record in its registry, or None for one that has no name."""
    key = _key(cls, record) if cls.__found_by__ else (None,)
    return None if key[0] is None else key


# --- values to records ---------------------------------------------------------------------------


def distinct(values: Iterable[Any], field: Field[Any]) -> list[Any]:
    """Return values of a field each once, in order, without missing ones; in a text field NaN is missing, too."""
    listed: dict[Any, Any] = {}
    for value in listed_values(values)[0]:
        if not is_missing(value):
            listed.setdefault(same(value), value)
    return [value for value in listed.values() if field.type != "str" or value == value]  # noqa: PLR0124 -- NaN is not


def from_values(
    cls: type[SQLRecord], values: Iterable[Any], field: str, create: bool, fixed: dict[str, Any]
) -> Records[Any]:
    """Return a record per distinct value, in order: the saved one (within a fixed type or feature), or a new one."""
    column = cls.__table__.field(field)
    listed = distinct(values, column)
    session = cls._current()
    cls._check_fixed(fixed)
    within = {name: fixed[name] for name in (*cls.__found_by__[1:], "feature") if name in fixed}
    found = outside_trash(session, cls.__registry__).filter(**{f"{column.name}__in": listed}, **within).order_by("-id")
    by_value = {same(record.__dict__[column.name]): record for record in found}
    bound = session.registries[cls.__registry__]
    records = Records(by_value.get(same(value)) or bound(**{column.name: value, **fixed}) for value in listed)
    new = [record for record in records if record.id is None]
    if create and new:
        session.writer.save(new)
    return records
