"""The order of what a search finds, which is the same however many results are asked for.

A search seeks the first 20 results, then as many again and more, until those are found that were asked for. What was
found for fewer results stays as it is when more are sought: it is settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from duckfeat.query.search_costs import CUTOFF

__all__ = ["AIMS", "Hit", "Ranking", "merged"]


class Aim(NamedTuple):
    """So many results are sought, None standing for all, by scoring blocks of so many records."""

    results: int | None
    block: int | None


AIMS = (Aim(20, 24), Aim(100, 120), Aim(500, 600), Aim(5_000, 6_000), Aim(None, None))
"""What a search seeks, one after the other: each until a block brings nothing that is among so many results."""

# The floor is told anew after one in so many of the results that are sought.
_FLOOR_SHARE = 20
_Rank = tuple[float, int, bool, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that was found: its id, the score from 0 to 100, the text that won it, and that text's field."""

    id: int
    score: float
    text: str
    field: int


def merged(string: str, hits: Iterable[Hit]) -> list[Hit]:
    """Return hits in rank order: by score, field, the string as it is written first, then id.

    >>> [hit.id for hit in merged("tnf", [Hit(2, 100.0, "TNF", 0), Hit(3, 100.0, "tnf", 0), Hit(1, 90.0, "TNFA", 0)])]
    [3, 2, 1]
    """
    return sorted(hits, key=lambda hit: (-hit.score, hit.field, hit.text != string, hit.id))


class Ranking:
    """What a search has found: the results that are settled, in rank order, and others that may follow.

    Whatever the limit, all that is told of an aim's results is the same: nothing among them is passed over.

    >>> ranking = Ranking("tnf", limit=5)
    >>> ranking.begin(20)
    >>> for hit in (Hit(2, 75.0, "TNFA", 0), Hit(1, 99.5, "TNF-", 0)):
    ...     ranking.add(hit)
    >>> ranking.settle(20)
    >>> [hit.id for hit in ranking.settled], ranking.complete(20)
    ([1, 2], True)
    """

    def __init__(self, string: str, limit: int | None) -> None:
        self.settled: list[Hit] = []
        self.floor = CUTOFF
        self.gained = False
        self._string = string
        self._limit = limit
        # Who asks for fewer results than an aim seeks has all of those looked at, and so goes as far as the others.
        aims = (aim.results for aim in AIMS if aim.results is not None and limit is not None)
        self._sought = next((results for results in aims if results >= (limit or 0)), limit)
        self._known: set[int] = set()
        self._last: _Rank | None = None
        self._open: dict[int, Hit] = {}
        self._bar: _Rank | None = None
        self._added = 0

    def begin(self, results: int | None) -> None:
        """Begin a block: `gained` will tell whether it brought one of the first so many results."""
        self.gained = False
        more = None if results is None else results - len(self.settled)
        full = more is not None and len(self._open) >= more
        self._bar = sorted(map(self._rank, self._open.values()))[more - 1] if more and full else None

    def add(self, hit: Hit) -> None:
        """Take a text of a record into account, unless that would unsettle a result."""
        rank = self._rank(hit)
        if hit.id in self._known or (self._last is not None and rank < self._last):
            return
        other = self._open.get(hit.id)
        if other is not None and (self._rank(other), other.text) <= (rank, hit.text):
            return
        self._open[hit.id] = hit
        self.gained = self.gained or self._bar is None or rank < self._bar
        self._raise_floor()

    def settle(self, results: int | None) -> None:
        """Settle the best, up to so many results in all."""
        ranked = sorted(self._open.values(), key=self._rank)
        more = ranked if results is None else ranked[: results - len(self.settled)]
        self.settled += more
        for hit in more:
            self._known.add(hit.id)
            del self._open[hit.id]
        if more:
            self._last = self._rank(more[-1])

    def complete(self, results: int | None) -> bool:
        """Tell whether nothing is left to be sought when so many results may be settled."""
        if results is None or len(self.settled) < results:
            return True
        return self._limit is not None and self._limit <= results

    def _rank(self, hit: Hit) -> _Rank:
        return -hit.score, hit.field, hit.text != self._string, hit.id

    def _raise_floor(self) -> None:
        """Have what is too low to be among the results passed over."""
        if self._sought is None:
            return
        self._added += 1
        wanted = self._sought - len(self.settled)
        if 0 < wanted < len(self._open) and self._added % (1 + wanted // _FLOOR_SHARE) == 0:
            self.floor = sorted((hit.score for hit in self._open.values()), reverse=True)[wanted - 1]
