"""Canonical JSON: one text per nested value, the same that DuckDB's JSON writer gives.

Numbers keep their kind (`1` and `1.0` differ), keys keep their order, text is left unescaped but for what
JSON must escape, and `NaN`, `Infinity`, `-Infinity` stand for themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from duckfeat.model.arguments import is_text, shown
from duckfeat.model.kinds import INT_MAX, INT_MIN

_ESCAPES = {ord('"'): '\\"', ord("\\"): "\\\\", 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
_ESCAPES |= {code: f"\\u{code:04X}" for code in range(32) if code not in _ESCAPES}
_SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_POSITIONAL = range(-6, 22)
MAX_DEPTH = 200


class NotJson(ValueError):
    """A part of a nested value that has no JSON form; `path` leads to it from the top."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason if path == "$" else f"{reason} at {path}")
        self.path = path
        self.reason = reason


def float_text(value: float) -> str:
    """Return the shortest text that reads back as `value`, positional between 1e-6 and 1e21.

    >>> float_text(1e16), float_text(1e21), float_text(1e-07), float_text(-0.0)
    ('10000000000000000.0', '1e21', '1e-7', '-0.0')
    """
    text = repr(value)
    if text in _SPECIAL:
        return _SPECIAL[text]
    if "e" not in text and abs(value) >= 1e-4:
        return text
    sign = "-" if text.startswith("-") else ""
    return sign + _scientific(abs(value)) if value else text


def _scientific(value: float) -> str:
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    stripped = len(whole + fraction) - len(digits)
    point = len(whole) - stripped + int(exponent or 0)
    if point not in _POSITIONAL or point < -5:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{tail}e{point - 1}"
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits)) + ".0"
    return f"{digits[:point]}.{digits[point:]}"


def text_literal(value: str, path: str) -> str:
    """Return `value` as a JSON string; text that is no valid Unicode is refused."""
    if not is_text(value):
        raise NotJson(path, "text with a lone surrogate, which is not valid Unicode")
    return f'"{value.translate(_ESCAPES)}"'


def dumps(value: Any, path: str = "$", depth: int = 0) -> str:
    """Return the canonical JSON text of a nested value of dicts, lists, text, numbers, flags and None.

    >>> dumps({"b": [1, 1.0, True, None], "a": "é"})
    '{"b":[1,1.0,true,null],"a":"é"}'
    >>> dumps({1: 2})
    Traceback (most recent call last):
    ...
    duckfeat.model.canonical.NotJson: a key that is not text (1)
    """
    if depth > MAX_DEPTH:
        raise NotJson(path[:60], f"nesting deeper than {MAX_DEPTH}")
    value = _plain(value)
    for types, write in _WRITERS:
        if isinstance(value, types):
            return str(write(value, path, depth))
    raise NotJson(path, f"a value that has no JSON form ({type(value).__name__})")


def _plain(value: Any) -> Any:
    """Return a NumPy scalar or array as the Python value it stands for, anything else as it is.

    Dates and durations have no JSON form, and `tolist` would give some of them as numbers.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "tolist") and value.dtype.kind not in "mM":
        return value.tolist()
    return value


def _write_int(value: int, path: str, _depth: int) -> str:
    if not INT_MIN <= value <= INT_MAX:
        raise NotJson(path, f"an integer beyond 64 bits ({shown(value)})")
    return int.__repr__(value)


def _write_dict(value: Mapping[Any, Any], path: str, depth: int) -> str:
    parts = []
    for key, item in value.items():
        if not isinstance(key, str):
            raise NotJson(path, f"a key that is not text ({shown(key)})")
        parts.append(f"{text_literal(key, path)}:{dumps(item, f'{path}.{key}', depth + 1)}")
    return "{" + ",".join(parts) + "}"


def _write_list(value: list[Any] | tuple[Any, ...], path: str, depth: int) -> str:
    return "[" + ",".join(dumps(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)) + "]"


_WRITERS: tuple[tuple[Any, Any], ...] = (
    (type(None), lambda value, path, depth: "null"),
    (bool, lambda value, path, depth: "true" if value else "false"),
    (str, lambda value, path, depth: text_literal(value, path)),
    (int, _write_int),
    (float, lambda value, path, depth: float_text(float(value))),
    (Mapping, _write_dict),
    ((list, tuple), _write_list),
)


def loads(text: str) -> Any:
    """Return the nested value of a canonical JSON text.

    >>> loads('{"a":[1,1.0]}')
    {'a': [1, 1.0]}
    """
    return json.loads(text)


def pointer(path: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) to a place inside a nested value: keys of dicts, positions in lists.

    >>> pointer(("a/b", 0, "c~d"))
    '/a~1b/0/c~0d'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
