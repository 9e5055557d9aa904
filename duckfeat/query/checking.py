"""Values against the records of a question: which of them are names, what the others mean."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.model.arguments import flag, is_frame, is_hashable, is_text, several, shown, spelled
from duckfeat.model.dtypes import LISTING
from duckfeat.model.fields import FieldRef, ForeignKey, field_name
from duckfeat.query.finding import ids_within, searchable

if TYPE_CHECKING:
    from duckfeat.query.queryset import QuerySet

_SHOWN = 20


def listed_values(values: Any) -> tuple[list[Any], bool]:
    """Return values as a list, and whether one alone was given."""
    if isinstance(values, str) or values is None:
        return [values], True
    ways = () if is_frame(values) else LISTING
    converted = next((getattr(values, name)() for name in ways if hasattr(values, name)), values)
    if converted is not values and not isinstance(converted, list):
        return [converted], True
    listed = several(converted, "values")
    for value in listed:
        if not is_hashable(value):
            raise InvalidArgument(f"values are texts, not {shown(value)}", value=value)
    return listed, False


_NAN = object()
_ASKED = {"str": str, "int": int}
"""What values of a field of a type may be; others are none of it."""


def _known(records: QuerySet[Any], listed: Sequence[Any], name: str) -> set[Any]:
    """Return the keys (`same`) of those of some values that a field of the records has."""
    column = records._query.table.field(name)
    listed = [value for value in listed if not isinstance(value, str) or is_text(value)]
    if column.type == "value":
        return {same(value) for value in records.filter(value__in=listed).values_list("value", flat=True)}
    kind = None if isinstance(column, ForeignKey) else _ASKED.get(column.type)
    if kind is None:
        raise FieldError(f"{records._query.table.name}.{name} holds neither texts nor whole numbers", name=name)
    wanted: set[Any] = {value for value in listed if isinstance(value, kind) and not isinstance(value, bool)}
    if not wanted:
        return set()
    found = records.filter(**{f"{column.name}__in": sorted(wanted)})
    return set(map(same, found.values_list(column.name, flat=True)))


def same(value: Any) -> tuple[bool, Any]:
    """Return a key that equal values have in common: 1 and 1.0 do, True is neither, and NaN is one value."""
    return (isinstance(value, bool), _NAN if isinstance(value, float) and math.isnan(value) else value)


def validate(records: QuerySet[Any], values: Any, field: str | FieldRef | None) -> Any:
    """Return which values exist in a field of the records: a boolean array, or a bool for one text."""
    import numpy

    listed, single = listed_values(values)
    known = _known(records, listed, _named(records, field))
    flags = [same(value) in known for value in listed]
    return flags[0] if single else numpy.array(flags, dtype=bool)


def _named(records: QuerySet[Any], field: str | FieldRef | None) -> str:
    return records._query.table.label if field is None else field_name(field)


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
        lines = [f"{len(self.validated):,} of {total:,} values are validated"]
        for value in self.non_validated[:_SHOWN]:
            meant = f" (did you mean {self.suggestions[value]!r}?)" if value in self.suggestions else ""
            lines.append(f"  not validated: {spelled(value)}{meant}")
        if len(self.non_validated) > _SHOWN:
            lines.append(f"  ... {len(self.non_validated) - _SHOWN:,} more")
        return "\n".join(lines)


def inspect(records: QuerySet[Any], values: Any, field: str | FieldRef | None) -> Inspection:
    """Return the distinct values sorted into validated and not, with suggestions for the latter."""
    name = _named(records, field)
    distinct = {same(value): value for value in listed_values(values)[0]}
    known = _known(records, list(distinct.values()), name)
    missing = [value for key, value in distinct.items() if key not in known]
    suggestions = Suggestions(missing, _meaning(records, name)) if missing else {}
    return Inspection([value for key, value in distinct.items() if key in known], missing, suggestions)


def _meaning(records: QuerySet[Any], name: str) -> Callable[[Any], str | None]:
    """Return what tells the name that a value is a synonym of, or nearest to."""
    fields = [name, "synonyms"] if "synonyms" in records._query.table.fields else [name]
    # All are read when the first suggestion is asked for.
    synonyms = functools.cache(lambda: _synonyms(records, name))
    index = functools.cache(lambda: searchable(records._session, records._query, *fields))
    within = functools.cache(lambda: ids_within(records._session, records._query))

    def meant(value: Any) -> str | None:
        if not isinstance(value, str):
            return None
        synonym = synonyms().get(value.strip().casefold())
        if synonym is not None:
            return synonym
        hits = index().search(value, limit=1, within=within())
        if not hits or hits[0].field == 0:
            return hits[0].text if hits else None
        return records.filter(id=hits[0].id).values_list(name, flat=True).first()

    return meant


def _synonyms(records: QuerySet[Any], name: str, *, others: bool = True) -> dict[str, str]:
    """Return the values of a field by what stands for them, case-folded: they, and with `others` their synonyms."""
    names: dict[str, str] = {}
    columns = [name, "synonyms"] if others and "synonyms" in records._query.table.fields else [name]
    rows = list(records.order_by("-id").values_list(*columns))
    for row in rows:
        if len(row) > 1 and row[1] and row[0] is not None:
            names.update({synonym.strip().casefold(): row[0] for synonym in row[1].split("|") if synonym.strip()})
    names.update({row[0].casefold(): row[0] for row in rows if isinstance(row[0], str)})
    return names


def standardize(
    records: QuerySet[Any], values: Any, field: str | FieldRef | None, *, return_mapper: bool = False
) -> Any:
    """Return the values, each synonym (in any case) replaced by the name it stands for, or those with their names.

    Synonyms are other names: values of another field than that of the name differ in case alone.
    """
    mapped, name = flag(return_mapper, "return_mapper"), _named(records, field)
    listed, single = listed_values(values)
    known = _known(records, listed, name)
    if all(same(value) in known for value in listed):
        names: dict[str, str] = {}
    else:
        names = _synonyms(records, name, others=name == records._query.table.label)
    result = [
        value if same(value) in known or not isinstance(value, str) else names.get(value.strip().casefold(), value)
        for value in listed
    ]
    if mapped:
        return renamed(listed, result)
    return result[0] if single else result


def renamed(values: Sequence[Any], names: Sequence[Any]) -> dict[str, str]:
    """Return the values that stand for another name, with it.

    >>> renamed(["PMN", "neutrophil", None], ["neutrophil", "neutrophil", None])
    {'PMN': 'neutrophil'}
    """
    return {value: name for value, name in zip(values, names, strict=True) if isinstance(value, str) and value != name}
