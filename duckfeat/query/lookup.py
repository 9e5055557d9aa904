"""Lookup objects: every value of a field as an attribute that completes in IPython and Jupyter.

A lookup reads the values of its field when it is first used, with one statement, and a record when that
record is asked for. Values become attribute names like this:

1. Unicode is normalised (NFKC) and lower-cased; letters of every alphabet stay: `TNF-α` is `tnf_α`.
2. Each run of other characters becomes one underscore, and none is kept in front: `ADGB-DT` is `adgb_dt`,
   `CD8+` is `cd8_`. A value of which nothing is left (`+`, the empty text) is `unnamed`.
3. A name that begins with a digit gets an underscore in front: `5S rRNA` is `_5s_rrna`. A Python keyword, and
   `dict`, gets one behind: `class_`.
4. Values that come to the same name are numbered in the order of their rows: `adgb_dt`, `adgb_dt_2`,
   `adgb_dt_3`. So a value that is added later never takes the name of an earlier one.

No name begins with an underscore and a letter, or with two underscores. That is how IPython, copy and pickle
probe an object, and such probes are answered without reading anything.
"""

from __future__ import annotations

import functools
import keyword
import re
import sys
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Collection, ItemsView, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple, Protocol

from duckfeat.errors import DuckfeatError, LookupMissing, suggestions
from duckfeat.model.arguments import one_of

Keep = Literal["first", "last", False]

_UNNAMED = "unnamed"
_TAKEN = frozenset([*keyword.kwlist, "dict"])
# Names are made, and records of a whole lookup are loaded, this many at a time.
_NAMES_AT_ONCE = 20_000
_RECORDS_AT_ONCE = 1_000
# IPython shows no more than this many completions.
_SHOWN = 500
_AFTER_ALL = "\U0010ffff"


class LookupSource(Protocol):
    """Where a lookup gets its values and records from."""

    def keys(self) -> Sequence[str | None]:
        """Return the field's value of every row, in the order of ids; nulls and repeats are allowed."""

    def load(self, positions: Sequence[int], /) -> Sequence[object]:
        """Return the record (or field) at each of `positions` of `keys()`, in that order, or raise."""


# --- names ---------------------------------------------------------------------------------------


class _Characters(dict[int, str]):
    """What each character of a lower-case value becomes in a name, found out once per character."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kept = character == "\n" or f"a{character}".isidentifier()
        self[code] = character if kept else "_"
        return self[code]


_CHARACTERS = _Characters()


def attribute_name(value: str) -> str:
    """Return the attribute that `value` has in a lookup where no other value claims the same name.

    >>> [attribute_name(value) for value in ["ADGB-DT", "T cell, CD8+", "5S rRNA", "TNF-α", "class", "+"]]
    ['adgb_dt', 't_cell_cd8_', '_5s_rrna', 'tnf_α', 'class_', 'unnamed']
    """
    return _names_of([value])[0]


def _names_of(values: Sequence[str]) -> list[str]:
    # One pass over joined text costs a tenth of a pass over each value.
    text = "\n".join(values)
    if text.count("\n") >= len(values):
        text = "\n".join([value.replace("\n", " ") for value in values])
    # Lower-casing can leave what NFKC would change again, and Python applies NFKC to what is typed.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()).translate(_CHARACTERS)
    while "__" in text:
        text = text.replace("__", "_")
    names = text.replace("\n_", "\n").removeprefix("_").split("\n")
    return [name if name[:1].isidentifier() and name not in _TAKEN else _legal(name) for name in names]


def _legal(name: str) -> str:
    if not name:
        return _UNNAMED
    return f"{name}_" if name in _TAKEN else f"_{name}"


def _unique_names(values: Sequence[str]) -> dict[str, str]:
    """Return `{attribute name: value}`, every value having a name of its own."""
    starts = range(0, len(values), _NAMES_AT_ONCE)
    names = [name for start in starts for name in _names_of(values[start : start + _NAMES_AT_ONCE])]
    found = dict(zip(names, values, strict=True))
    if len(found) == len(values):
        return found
    found = {}
    used: dict[str, int] = {}
    for name, value in zip(names, values, strict=True):
        found[_free_name(name, found, used)] = value
    return found


def _free_name(name: str, found: Collection[str], used: dict[str, int]) -> str:
    """Return `name`, or with the next number that is free; `used` remembers the last one of each name."""
    free, number = name, used.get(name, 1)
    while free in found:
        number += 1
        free = f"{name.rstrip('_')}_{number}"
    used[name] = number
    return free


# --- values and records --------------------------------------------------------------------------


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


class _Entries:
    """The values of a lookup, read once, their names, and the records asked for so far."""

    def __init__(self, source: LookupSource, label: str, keep: Keep) -> None:
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
        return _unique_names(list(self.positions))

    @functools.cached_property
    def sorted_names(self) -> list[str]:
        return sorted(self.names)

    @functools.cached_property
    def sorted_values(self) -> list[str]:
        return sorted(self.positions)

    def record(self, value: str) -> Any:
        """Return the record of `value`, the same object every time."""
        if value not in self.records:
            self.records[value] = self.load([value])[0]
        return self.records[value]

    def load(self, values: Sequence[str]) -> list[Any]:
        """Return the record of each of `values`, or its list of records when all are kept."""
        places = [self.positions[value] for value in values]
        if self.keep is not False:
            return list(self.source.load(places))
        records = iter(self.source.load([position for group in places for position in group]))
        return [list(islice(records, len(group))) for group in places]

    def at(self, value: object) -> Any:
        """Return the record of `value`; raise `LookupMissing` if there is no such value."""
        if isinstance(value, str) and value in self.positions:
            return self.record(value)
        raise UnknownName(f"{self.label} has no value {value!r}", str(value), self.positions)

    def pairs(self) -> Iterator[tuple[str, Any]]:
        """Yield each value with its record, loaded in batches that are not kept."""
        values = iter(self.positions)
        while batch := list(islice(values, _RECORDS_AT_ONCE)):
            yield from zip(batch, self.load(batch), strict=True)

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
        rebuild = functools.partial(LookupMissing, name=self._sought, suggestions=self.suggestions)
        return (rebuild, (str(self),))


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


class LookupDict(Mapping[str, Any]):
    """The records of a lookup by the values as they are in the store.

    A record is loaded when it is asked for. To have all of them, go through `items()` or `values()`, which
    load in batches: `dict(lookup.dict().items())`.
    """

    def __init__(self, entries: _Entries) -> None:
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


class Lookup:
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
    duckfeat.query.lookup.UnknownName: Gene.symbol has no name 'agdb_dt'; did you mean 'adgb_dt'?
    """

    _entries: _Entries

    def __init__(self, source: LookupSource, *, label: str, keep: Keep = "first") -> None:
        one_of(keep, _KEPT, "keep")
        self._entries = _Entries(source, label, keep)
        _join_ipython()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and (name == "_" or name[1].isidentifier()):
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
        _join_ipython()
        return sorted([*self._entries.sorted_names, *object.__dir__(self)])

    def __repr__(self) -> str:
        return f"Lookup({self._entries.describe()})"

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._entries.positions)


# --- completion ----------------------------------------------------------------------------------


class Completion(NamedTuple):
    """A text to complete with, and how many names begin with it; a single one is that name in full."""

    text: str
    names: int


def complete(ordered: Sequence[str], typed: str, limit: int = _SHOWN) -> list[Completion]:
    """Return what `typed` completes to among the sorted names, at most `limit` completions.

    Where more names than that begin with it, beginnings that several names share stand for them, as deep as
    fits, so that every name can be reached by completing again.

    >>> complete(["ant", "ape", "ape_2", "bee"], "a")
    [Completion(text='ant', names=1), Completion(text='ape', names=1), Completion(text='ape_2', names=1)]
    >>> complete(["ant", "ape", "ape_2", "bee"], "", limit=2)
    [Completion(text='a', names=3), Completion(text='bee', names=1)]
    """
    start = bisect_left(ordered, typed)
    stop = bisect_left(ordered, typed + _AFTER_ALL, start)
    if stop - start <= limit:
        return [Completion(name, 1) for name in ordered[start:stop]]
    spans = [(start, stop)]
    while len(finer := [part for span in spans for part in _split(ordered, *span)]) <= limit:
        spans = finer
    found = [Completion(_shared(ordered, *span), span[1] - span[0]) for span in spans]
    if found[0].text == typed and len(found) == 1:
        # The very next character has more than `limit` forms: an alphabet of signs. Typing one goes on.
        return [Completion(name, 1) for name in ordered[start : start + limit]]
    return found


def _shared(ordered: Sequence[str], start: int, stop: int) -> str:
    """Return what all names from `start` to `stop` begin with; sorted, the two outermost tell."""
    first, last = ordered[start], ordered[stop - 1]
    pairs = enumerate(zip(first, last, strict=False))
    return next((first[:depth] for depth, (one, other) in pairs if one != other), first)


def _split(ordered: Sequence[str], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of names between `start` and `stop` that go on alike after what all of them share."""
    depth = len(_shared(ordered, start, stop))
    while start < stop:
        name = ordered[start]
        whole = len(name) == depth
        end = start + 1 if whole else bisect_left(ordered, name[: depth + 1] + _AFTER_ALL, start + 1, stop)
        yield start, end
        start = end


_CHAIN = r"""(?<![\w.)\]}"'])([^\W\d]\w*(?:\.[^\W\d]\w*)*)"""
_ATTRIBUTE = re.compile(rf"{_CHAIN}\.(\w*)$")
_ITEM = re.compile(rf"""{_CHAIN}\[(?:(["'])([^"'\\]*))?$""")
_MATCHER = "duckfeat.lookup"


class _Nothing(list[Any]):
    """No completions, yet true: IPython lets a matcher silence the slow others only if it has some."""

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class _Answer:
    typed: str
    completions: list[tuple[str, str]]  # what to insert, and what it is


def _join_ipython() -> None:
    """Let lookups answer the Tab key themselves where IPython or Jupyter runs.

    By itself IPython lists all names and hands each to Jedi, which takes half a minute for a million of them
    and may load records on the way.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    completer: Any = getattr(shell, "Completer", None)
    matchers = getattr(completer, "custom_matchers", None)
    kind = getattr(sys.modules.get("IPython.core.completer"), "SimpleCompletion", None)
    if matchers is None or kind is None or any(_is_ours(matcher) for matcher in matchers):
        return

    def match(context: Any) -> dict[str, Any]:
        answer = _answer(context.text_until_cursor, [completer.namespace, completer.global_namespace or {}])
        if answer is None:
            return {"completions": [], "suppress": False}
        found = [kind(text, type=what) for text, what in answer.completions] or _Nothing()
        return {"completions": found, "matched_fragment": answer.typed, "suppress": True, "ordered": True}

    vars(match).update(matcher_identifier=_MATCHER, matcher_api_version=2, matcher_priority=100)
    matchers.append(match)


def _is_ours(matcher: object) -> bool:
    return getattr(matcher, "matcher_identifier", None) == _MATCHER


def _answer(text: str, namespaces: Sequence[Mapping[str, Any]]) -> _Answer | None:
    """Return the completions of the end of `text`, None where that is not about a lookup."""
    try:
        if match := _ATTRIBUTE.search(text):
            return _attributes(_resolve(match[1], namespaces), match[2])
        if match := _ITEM.search(text):
            return _items(_resolve(match[1], namespaces), match[2], match[3])
    except DuckfeatError:
        # A closed store, say. The Tab key is no place to tell; using the lookup is, and does.
        return _Answer("", [])
    return None


def _resolve(chain: str, namespaces: Sequence[Mapping[str, Any]]) -> Any:
    """Return the object that names and dots lead to, without running any code of the objects on the way."""
    first, *rest = chain.split(".")
    found = next((namespace[first] for namespace in namespaces if first in namespace), None)
    for name in rest:
        found = getattr(found, "__dict__", {}).get(name)
    return found


def _attributes(found: object, typed: str) -> _Answer | None:
    if not isinstance(found, Lookup):
        return None
    private = typed.startswith("_")
    own = [name for name in dir(Lookup) if name.startswith(typed) and (private or not name.startswith("_"))]
    names = complete(found._entries.sorted_names, typed, _SHOWN - len(own))
    return _Answer(typed, [*((name, "function") for name in own), *((name.text, _kind(name)) for name in names)])


def _items(found: object, quote: str | None, typed: str | None) -> _Answer | None:
    if not isinstance(found, Lookup | LookupDict):
        return None
    values = complete(found._entries.sorted_values, typed or "")
    texts = [_escaped(value.text, quote or '"') for value in values]
    if not quote:
        # From the opening quote on, and left open where a text is only the beginning of values.
        texts = [f'"{text}"' if value.names == 1 else f'"{text}' for text, value in zip(texts, values, strict=True)]
    return _Answer(typed or "", list(zip(texts, map(_kind, values), strict=True)))


def _kind(completion: Completion) -> str:
    return "instance" if completion.names == 1 else f"{completion.names:,} names"


def _escaped(text: str, quote: str) -> str:
    """Return `text` as it stands between quotes in Python."""
    special = (quote, "\\")
    return "".join([f"\\{sign}" if sign in special else _printable(sign) for sign in text])


def _printable(sign: str) -> str:
    return sign if sign.isprintable() else repr(sign)[1:-1]
