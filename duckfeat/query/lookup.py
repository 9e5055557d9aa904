"""Lookup objects: every value of a field as an attribute that completes in IPython and Jupyter.

A lookup reads the values of its field when it is first used, with one statement, and a record when that
record is asked for. What the values are called is told in `lookup_names`. Names that none of them can have, by which
IPython, copy and pickle probe an object, are answered without reading anything.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any

from duckfeat.errors import LookupMissing
from duckfeat.query.lookup_entries import Entries, Keep, LookupSource, UnknownName
from duckfeat.query.lookup_ipython import CompletesAttributes, CompletesItems, join_ipython
from duckfeat.query.lookup_names import is_probe

__all__ = ["Keep", "Lookup", "LookupDict", "UnknownName"]


class _Values(ValuesView[Any]):
    """The records of a lookup, loaded in batches."""

    _mapping: LookupDict

    def __iter__(self) -> Iterator[Any]:
        return (record for _, record in self._mapping._entries.pairs())

    def __contains__(self, record: object) -> bool:
        return any(record is other or record == other for other in self)


class _Items(ItemsView[str, Any]):
    """The values of a lookup with their records, loaded in batches."""

    _mapping: LookupDict

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return self._mapping._entries.pairs()


class LookupDict(CompletesItems, Mapping[str, Any]):
    """The records of a lookup by the values as they are in the store.

    A record is loaded when it is asked for. To have all of them, go through `items()` or `values()`, which
    load in batches: `dict(lookup.dict().items())`.
    """

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def __getitem__(self, value: str) -> Any:
        return self._entries.at(value)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and value in self._entries.positions

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries.positions)

    def __len__(self) -> int:
        return len(self._entries.positions)

    def values(self) -> ValuesView[Any]:
        """Return a view of all records; going through it loads them in batches."""
        return _Values(self)

    def items(self) -> ItemsView[str, Any]:
        """Return a view of all pairs of value and record; going through it loads them in batches."""
        return _Items(self)

    def __repr__(self) -> str:
        return f"LookupDict({self._entries.describe()})"

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._entries.positions)


class Lookup(CompletesAttributes):
    """The values of a field as attributes that complete, each giving its record.

    Args:
        source: gives the values and the records; nothing is read before it is needed.
        label: what is looked up, for messages: `Gene.symbol`.
        keep: which record a value with several rows stands for: the first, the last, or with `False` the list
            of all of them (a list for every value, so that the type never depends on the data).

    Raises:
        InvalidArgument: `keep` is something else.

    >>> class Genes:
    ...     def keys(self):
    ...         return ["ADGB-DT", "TNF"]
    ...
    ...     def load(self, positions, /):
    ...         return [f"record {position}" for position in positions]
    >>> lookup = Lookup(Genes(), label="Gene.symbol")
    >>> lookup.adgb_dt, lookup["ADGB-DT"], lookup.dict()["TNF"]
    ('record 0', 'record 0', 'record 1')
    >>> lookup.agdb_dt
    Traceback (most recent call last):
    duckfeat.query.lookup_entries.UnknownName: Gene.symbol has no name 'agdb_dt'; did you mean 'adgb_dt'?
    """

    def __init__(self, source: LookupSource, *, label: str, keep: Keep = "first") -> None:
        self._entries = Entries(source, label, keep)
        join_ipython()

    def __getattr__(self, name: str) -> Any:
        if is_probe(name):
            raise LookupMissing(f"a lookup has no attribute {name!r}", name=name, suggestions=[])
        names = self._entries.names
        if name not in names:
            raise UnknownName(f"{self._entries.label} has no name {name!r}", name, names)
        return self._entries.record(names[name])

    def __getitem__(self, value: str) -> Any:
        return self._entries.at(value)

    def __contains__(self, value: object) -> bool:
        return value in self.dict()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries.positions)

    def __len__(self) -> int:
        return len(self._entries.positions)

    def dict(self) -> LookupDict:
        """Return the same records by their original values, loaded when asked for.

        >>> class Genes:
        ...     def keys(self):
        ...         return ["ADGB-DT"]
        ...
        ...     def load(self, positions, /):
        ...         return ["a record" for _ in positions]
        >>> dict(Lookup(Genes(), label="Gene.symbol").dict().items())
        {'ADGB-DT': 'a record'}
        """
        return LookupDict(self._entries)

    def __dir__(self) -> list[str]:
        join_ipython()
        return sorted([*self._entries.sorted_names, *object.__dir__(self)])

    def __repr__(self) -> str:
        return f"Lookup({self._entries.describe()})"

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._entries.positions)
