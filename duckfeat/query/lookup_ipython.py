"""The Tab key in IPython and Jupyter, answered by lookups themselves."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duckfeat.errors import DuckfeatError
from duckfeat.query.lookup_completion import SHOWN, Completion, complete
from duckfeat.query.lookup_entries import Entries

__all__ = ["CompletesAttributes", "CompletesItems", "join_ipython"]

_CHAIN = r"""(?<![\w.)\]}"'])([^\W\d]\w*(?:\.[^\W\d]\w*)*)"""
_ATTRIBUTE = re.compile(rf"{_CHAIN}\.(\w*)$")
_ITEM = re.compile(rf"""{_CHAIN}\[(?:(["'])([^"'\\]*))?$""")
_MATCHER = "duckfeat.lookup"


class CompletesItems:
    """What completes the values in `found["...`."""

    _entries: Entries


class CompletesAttributes(CompletesItems):
    """What completes the names in `found....` as well."""


class _Nothing(list[Any]):
    """No completions, yet true: IPython lets a matcher silence the slow others only if it has some."""

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class _Answer:
    typed: str
    completions: list[tuple[str, str]]  # what to insert, and what it is


def join_ipython() -> None:
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
    if not isinstance(found, CompletesAttributes):
        return None
    private = typed.startswith("_")
    own = [name for name in dir(type(found)) if name.startswith(typed) and (private or not name.startswith("_"))]
    names = complete(found._entries.sorted_names, typed, SHOWN - len(own))
    return _Answer(typed, [*((name, "function") for name in own), *((name.text, _kind(name)) for name in names)])


def _items(found: object, quote: str | None, typed: str | None) -> _Answer | None:
    if not isinstance(found, CompletesItems):
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
