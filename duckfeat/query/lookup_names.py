"""Attribute names: what the values of a lookup are called in Python.

1. Unicode is normalised (NFKC) and lower-cased; letters of every alphabet stay: `TNF-α` is `tnf_α`.
2. Each run of other characters becomes one underscore, and none is kept in front: `ADGB-DT` is `adgb_dt`,
   `CD8+` is `cd8_`. A value of which nothing is left (`+`, the empty text) is `unnamed`.
3. A name that begins with a digit gets an underscore in front: `5S rRNA` is `_5s_rrna`. A Python keyword, and
   `dict`, gets one behind: `class_`.
4. Values that come to the same name are numbered in the order of their rows: `adgb_dt`, `adgb_dt_2`,
   `adgb_dt_3`. So a value that is added later never takes the name of an earlier one.

No name begins with an underscore and a letter, or with two underscores. That is how IPython, copy and pickle
probe an object.
"""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Collection, Sequence

__all__ = ["attribute_name", "is_probe", "unique_names"]

_UNNAMED = "unnamed"
_TAKEN = frozenset([*keyword.kwlist, "dict"])
# Names are made this many at a time.
_NAMES_AT_ONCE = 20_000


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


def unique_names(values: Sequence[str]) -> dict[str, str]:
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


def is_probe(name: str) -> bool:
    """Tell whether a name is none that a value can have.

    >>> [is_probe(name) for name in ("_repr_html_", "__len__", "_", "_5s_rrna", "adgb_dt")]
    [True, True, True, False, False]
    """
    return name.startswith("_") and (name == "_" or name[1].isidentifier())
