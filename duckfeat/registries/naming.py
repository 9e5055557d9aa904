"""Records by their names: found rather than doubled, validated, standardised."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duckfeat.compile.select import Query
from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.model.arguments import is_hashable, several, shown, spelled
from duckfeat.model.dtypes import is_missing
from duckfeat.model.fields import Field
from duckfeat.model.tables import TRASH
from duckfeat.query.finding import searchable
from duckfeat.query.queryset import QuerySet
from duckfeat.query.session import Session
from duckfeat.registries.undo import putting_back

if TYPE_CHECKING:
    from duckfeat.registries.base import SQLRecord

_SHOWN = 20


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


_LISTING = ("to_pylist", "to_list", "tolist")
"""What gives the values of Arrow, Polars, pandas and NumPy as a list."""


def distinct(values: Iterable[Any], field: Field[Any]) -> list[Any]:
    """Return values of a field each once, in order, without missing ones; in a text field NaN is missing, too."""
    listed = dict.fromkeys(value for value in _texts(values)[0] if not is_missing(value))
    return [value for value in listed if field.type != "str" or value == value]  # noqa: PLR0124 -- NaN is not


def _texts(values: Any) -> tuple[list[Any], bool]:
    """Return values as a list, and whether one alone was given."""
    if isinstance(values, str) or values is None:
        return [values], True
    converted = next((getattr(values, name)() for name in _LISTING if hasattr(values, name)), values)
    if converted is not values and not isinstance(converted, list):
        return [converted], True
    listed = several(converted, "values")
    for value in listed:
        if not is_hashable(value):
            raise InvalidArgument(f"values are texts, not {shown(value)}", value=value)
    return listed, False


def from_values(
    cls: type[SQLRecord], values: Iterable[Any], field: str, create: bool, fixed: dict[str, Any]
) -> list[Any]:
    """Return a record per distinct value, in order: the saved one (within a fixed type or feature), or a new one."""
    column = cls.__table__.field(field)
    listed = distinct(values, column)
    session = cls._current()
    within = {name: fixed[name] for name in (*cls.__found_by__[1:], "feature") if name in fixed}
    found = outside_trash(session, cls.__registry__).filter(**{f"{column.name}__in": listed}, **within).order_by("-id")
    by_value = {record.__dict__[column.name]: record for record in found}
    bound = session.registries[cls.__registry__]
    records = [by_value.get(value) or bound(**{column.name: value, **fixed}) for value in listed]
    new = [record for record in records if record.id is None]
    if create and new:
        session.writer.save(new)
    return records


def _known(cls: type[SQLRecord], listed: Sequence[Any], field: str) -> set[Any]:
    """Return the keys (`_same`) of those of some values that a field has."""
    column = cls.__table__.field(field)
    if column.type == "value":
        return {_same(value) for value in cls.filter(value__in=listed).values_list("value", flat=True)}
    if column.type != "str":
        raise FieldError(f"{cls.__registry__}.{field} is not a text field", name=field)
    wanted = sorted({value for value in listed if isinstance(value, str)})
    if not wanted:
        return set()
    return set(map(_same, cls.filter(**{f"{column.name}__in": wanted}).values_list(column.name, flat=True)))


def _same(value: Any) -> tuple[bool, Any]:
    """Return a key that equal values have in common: 1 and 1.0 do, True is neither."""
    return (isinstance(value, bool), value)


def validate(cls: type[SQLRecord], values: Any, field: str) -> Any:
    """Return which values exist in a field: a boolean array, or a bool for one text."""
    import numpy

    listed, single = _texts(values)
    known = _known(cls, listed, field)
    flags = [_same(value) in known for value in listed]
    return flags[0] if single else numpy.array(flags, dtype=bool)


class Suggestions(Mapping[Any, str]):
    """What values may have meant; each is sought when it is asked for, so that many unknown ones cost nothing.

    >>> near = Suggestions(["neurn", "xyz"], {"neurn": "neuron"}.get)
    >>> near["neurn"], "xyz" in near, dict(near)
    ('neuron', False, {'neurn': 'neuron'})
    """

    def __init__(self, values: Iterable[Any], find: Callable[[Any], str | None]) -> None:
        self._values = dict.fromkeys(values)
        self._find = find
        self._found: dict[Any, str | None] = {}

    def __getitem__(self, value: Any) -> str:
        if value in self._values and value not in self._found:
            self._found[value] = self._find(value)
        near = self._found.get(value)
        if near is None:
            raise KeyError(value)
        return near

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, (dict(self),))

    def __iter__(self) -> Iterator[Any]:
        return (value for value in self._values if value in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        if len(self._values) > _SHOWN:
            return f"Suggestions(for some of {len(self._values):,} values, sought when asked for)"
        return f"Suggestions({dict(self)!r})"


@dataclass(frozen=True, slots=True)
class Inspection:
    """Which values are names in a registry, which are not, and what those may have meant.

    `suggestions` maps a value that is no name to the name it is a synonym of or nearest to.
    """

    validated: list[Any]
    non_validated: list[Any]
    suggestions: Mapping[Any, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        total = len(self.validated) + len(self.non_validated)
        lines = [f"{len(self.validated)} of {total} values are validated"]
        for value in self.non_validated[:_SHOWN]:
            meant = f" (did you mean {self.suggestions[value]!r}?)" if value in self.suggestions else ""
            lines.append(f"  not validated: {spelled(value)}{meant}")
        if len(self.non_validated) > _SHOWN:
            lines.append(f"  ... {len(self.non_validated) - _SHOWN} more")
        return "\n".join(lines)


def inspect(cls: type[SQLRecord], values: Any, field: str) -> Inspection:
    """Return the distinct values sorted into validated and not, with suggestions for the latter."""
    distinct = {_same(value): value for value in _texts(values)[0]}
    known = _known(cls, list(distinct.values()), field)
    missing = [value for key, value in distinct.items() if key not in known]
    suggestions = Suggestions(missing, _meaning(cls, field)) if missing else {}
    return Inspection([value for key, value in distinct.items() if key in known], missing, suggestions)


def _meaning(cls: type[SQLRecord], field: str) -> Callable[[Any], str | None]:
    """Return what tells the name that a value is a synonym of, or nearest to."""
    records = cls._queryset()
    fields = [field, "synonyms"] if "synonyms" in cls.__table__.fields else [field]
    # Both are read when the first suggestion is asked for.
    synonyms = functools.cache(lambda: _synonyms(cls, field))
    index = functools.cache(lambda: searchable(records._session, records._query, *fields))

    def meant(value: Any) -> str | None:
        if not isinstance(value, str):
            return None
        synonym = synonyms().get(value.strip().casefold())
        if synonym is not None:
            return synonym
        hits = index().search(value, limit=1)
        if not hits or hits[0].field == 0:
            return hits[0].text if hits else None
        return records.filter(id=hits[0].id).values_list(field, flat=True).first()

    return meant


def _synonyms(cls: type[SQLRecord], field: str) -> dict[str, str]:
    """Return the names that case-folded synonyms and names stand for."""
    names: dict[str, str] = {}
    columns = [field, "synonyms"] if "synonyms" in cls.__table__.fields else [field]
    rows = list(cls._queryset().order_by("-id").values_list(*columns))
    for row in rows:
        if len(row) > 1 and row[1] and row[0] is not None:
            names.update({synonym.strip().casefold(): row[0] for synonym in row[1].split("|") if synonym.strip()})
    names.update({row[0].casefold(): row[0] for row in rows if isinstance(row[0], str)})
    return names


def standardize(cls: type[SQLRecord], values: Any, field: str) -> Any:
    """Return the values, each synonym (in any case) replaced by the name it stands for."""
    listed, single = _texts(values)
    known = _known(cls, listed, field)
    if all(_same(value) in known for value in listed):
        names: dict[str, str] = {}
    else:
        names = _synonyms(cls, field)
    result = [
        value if _same(value) in known or not isinstance(value, str) else names.get(value.strip().casefold(), value)
        for value in listed
    ]
    return result[0] if single else result


def add_synonym(record: Any, synonym: str) -> None:
    """Add a synonym to a record that has them, and save it."""
    if type(synonym) is not str or not synonym.strip() or "|" in synonym:
        raise InvalidArgument(f"a synonym is a text without '|', not {shown(synonym)}", value=synonym)
    known = [part for part in (record.synonyms or "").split("|") if part]
    if synonym not in known:
        with record._bound.engine.transaction():
            record._bound.engine.on_rollback(putting_back(record))
            record.synonyms = "|".join([*known, synonym])
            record.save()
