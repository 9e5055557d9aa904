"""Completion: what a typed beginning goes on to among many sorted names."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["SHOWN", "Completion", "complete"]

SHOWN = 500
"""IPython shows no more than this many completions."""
_AFTER_ALL = "\U0010ffff"


class Completion(NamedTuple):
    """A text to complete with, and how many names begin with it; a single one is that name in full."""

    text: str
    names: int


def complete(ordered: Sequence[str], typed: str, limit: int = SHOWN) -> list[Completion]:
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
