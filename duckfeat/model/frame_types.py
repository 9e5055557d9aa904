"""The types of columns in frames of Polars, pandas, NumPy and Arrow, by the text they are written as."""

from __future__ import annotations

import re
from typing import Any

_LIBRARIES = {"polars", "pandas", "numpy", "pyarrow"}
# What a type is written as, in lower case, and the dtype it means; the first that fits. An item is a type of its own.
_MEANINGS = tuple(
    (re.compile(pattern, re.DOTALL), dtype)
    for pattern, dtype in (
        (r"u?int\d+", "int"),
        (r"float\d*|double|halffloat", "float"),
        (r"decimal.*\D0\)", "int"),
        (r"decimal.*\)", "float"),
        (r"bool(ean|_)?", "bool"),
        (r"str(ing)?_?(dtype.*)?|utf8|(large_)?string(_view)?|<u\d+|categor(y|ical.*)|enum.*", "str"),
        (r"dictionary<values=(large_)?string.*", "str"),
        (r"date(32|64)?(\[day\]|\[ms\])?|datetime64\[d\]", "date"),
        (r"(datetime|timestamp).*(tz=|time_zone='|\d\[\w+, ).*", "datetime[UTC]"),
        (r"(datetime|timestamp).*", "datetime"),
        (r"(struct|map).*", "dict"),
        (r"list\((?P<item>.*)\)|(large_)?list<\w+: (?P<entry>.*?)( not null)?>", "list"),
    )
)


def frame_dtype(spec: Any) -> str | None:
    """Return the dtype that the type of a frame's column means, as text; None for anything else.

    >>> import polars as pl
    >>> frame_dtype(pl.UInt8), frame_dtype(pl.List(pl.String)), frame_dtype(pl.Datetime(time_zone="Asia/Tokyo"))
    ('int', 'list[str]', 'datetime[UTC]')
    """
    kind = spec if isinstance(spec, type) else type(spec)
    if kind.__module__.partition(".")[0] not in _LIBRARIES:
        return None
    text = spec.__name__ if isinstance(spec, type) else str(spec)
    return _meaning(text.lower().removesuffix("[pyarrow]"))


def _meaning(text: str) -> str | None:
    for pattern, dtype in _MEANINGS:
        found = pattern.fullmatch(text)
        if found and dtype != "list":
            return dtype
        if found:
            item = _meaning(found["item"] or found["entry"])
            return None if item is None else f"list[{item}]"
    return None
