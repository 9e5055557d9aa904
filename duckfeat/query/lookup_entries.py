"""What a lookup holds: the values of its field, read once when they are needed, and the records asked for so far."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, Protocol

from duckfeat.errors import LookupMissing, suggestions
from duckfeat.model.arguments import one_of, shown, spelled
from duckfeat.query.lookup_names import unique_names

__all__ = ["GONE", "Entries", "Keep", "LookupSource", "UnknownName"]

Keep = Literal["first", "last", False]

GONE = object()
"""What stands for a record that is no longer there."""

# Records of a whole lookup are loaded this many at a time.
_RECORDS_AT_ONCE = 1_000


class LookupSource(Protocol):
    """Where a lookup gets its values and records from."""

    def keys(self) -> Sequence[str | None]:
        """Return the field's value of every row, in the order of ids; nulls and repeats are allowed."""

    def load(self, positions: Sequence[int], /) -> Sequence[object]:
        """Return the record (or field) at each of `positions` of `keys()`, in that order, or `GONE`."""


def _last(keys: Sequence[str | None]) -> dict[Any, Any]:
    return dict(zip(keys, range(len(keys)), strict=True))


def _first(keys: Sequence[str | None]) -> dict[Any, Any]:
    found = _last(keys)
    if len(found) < len(keys):
        found.update(zip(reversed(keys), reversed(range(len(keys))), strict=True))
    return found


def _every(keys: Sequence[str | None]) -> dict[Any, Any]:
    found: dict[Any, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(key, []).append(position)
    return found


# What a value with several rows stands for: a position, or with `False` the list of all of them.
_KEPT: dict[Keep, Callable[[Sequence[str | None]], dict[Any, Any]]] = {
    "first": _first,
    "last": _last,
    False: _every,
}


class Entries:
    """The values of a lookup, read once, their names, and the records asked for so far.

    Raises `InvalidArgument` where `keep` is no way to keep rows.
    """

    def __init__(self, source: LookupSource, label: str, keep: Keep) -> None:
        one_of(keep, _KEPT, "keep")
        self.source = source
        self.label = label
        self.keep = keep
        self.records: dict[str, Any] = {}

    @functools.cached_property
    def positions(self) -> dict[str, Any]:
        """The values, each with its position, or positions when all are kept, in the order of rows."""
        found = _KEPT[self.keep](list(self.source.keys()))
        found.pop(None, None)
        return found

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """The value behind each attribute name."""
        return unique_names(list(self.positions))

    @functools.cached_property
    def sorted_names(self) -> list[str]:
        """The attribute names in order, for completion."""
        return sorted(self.names)

    @functools.cached_property
    def sorted_values(self) -> list[str]:
        """The values in order, for completion."""
        return sorted(self.positions)

    def record(self, value: str) -> Any:
        """Return the record of `value`, the same object every time."""
        if value not in self.records:
            found = self.load([value])[0]
            if found is GONE:
                message = f"{self.label}: the record of {value!r} is gone since this lookup was made; make another one"
                raise LookupMissing(message, name=value, suggestions=[])
            self.records[value] = found
        return self.records[value]

    def load(self, values: Sequence[str]) -> list[Any]:
        """Return the record of each of `values` or `GONE`; where all are kept, the list of those that are there."""
        places = [self.positions[value] for value in values]
        if self.keep is not False:
            return list(self.source.load(places))
        records = iter(self.source.load([position for group in places for position in group]))
        groups = [[record for record in islice(records, len(group)) if record is not GONE] for group in places]
        return [group or GONE for group in groups]

    def at(self, value: object) -> Any:
        """Return the record of `value`; raise `LookupMissing` if there is no such value."""
        if isinstance(value, str) and value in self.positions:
            return self.record(value)
        raise UnknownName(f"{self.label} has no value {shown(value)}", spelled(value), self.positions)

    def pairs(self) -> Iterator[tuple[str, Any]]:
        """Yield each value with its record, loaded in batches that are not kept, but those that are gone."""
        values = iter(self.positions)
        while batch := list(islice(values, _RECORDS_AT_ONCE)):
            yield from (pair for pair in zip(batch, self.load(batch), strict=True) if pair[1] is not GONE)

    def describe(self) -> str:
        """Return the label and how many values there are, if that is known without reading them."""
        read = "positions" in vars(self)
        return f"{self.label}, {len(self.positions):,} values" if read else f"{self.label}, not read yet"


class UnknownName(LookupMissing):
    """A lookup has no such name or value; the nearest ones are sought only when the error is shown.

    So `hasattr` and `getattr` with a default stay cheap on a million names.
    """

    def __init__(self, message: str, name: str, available: Collection[str]) -> None:
        super().__init__(message, name=name)
        self._sought = name
        self._available = available

    @functools.cached_property
    def suggestions(self) -> list[str]:
        """The nearest names there are, best first."""
        return suggestions(self._sought, self._available)

    def __str__(self) -> str:
        if not self._available:
            return f"{self.message}: it is empty"
        near = " or ".join(map(repr, self.suggestions))
        return f"{self.message}; did you mean {near}?" if near else f"{self.message}, nor anything like it"

    def __reduce__(self) -> tuple[Any, ...]:
        told = LookupMissing(str(self), name=self._sought, suggestions=self.suggestions)
        for note in getattr(self, "__notes__", ()):
            told.add_note(note)
        return told.__reduce__()
