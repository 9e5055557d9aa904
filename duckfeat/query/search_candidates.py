"""The texts that a search scores: proposed by the segments of an index, put in order by quick scorers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from duckfeat.query.search_segment import Segment
from duckfeat.query.search_shortlist import Shortlist

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["Candidates"]

# So many texts are proposed by each way of finding them, and the more the later; None stands for all that have a fair
# part in common with the query.
_PROPOSED = (192, 960, 4_800, 48_000, None)
# Of no more texts than this all are proposed, and of still fewer all are scored at once.
_PROPOSED_WHOLE, _SCORED_WHOLE = 1_000, 192


class Candidates:
    """The texts that may be meant, each once: first the likeliest of few proposals, then those of more.

    `readings` are the normal forms that the query may have, `within` the ids to look among.
    """

    def __init__(self, readings: Sequence[str], segments: Sequence[Segment], within: Array | None) -> None:
        self._readings = readings
        self._segments = segments
        self._within = within
        self._size = sum(segment.live for segment in segments)
        self._scored: list[list[Array]] = [[] for _ in segments]
        self._place = -1

    def widen(self, place: int) -> None:
        """Have at least so many texts proposed as stand in a place of `_PROPOSED`."""
        import numpy as np

        if self._place >= place:
            return
        self._place = place
        proposed = [self._proposed(at) for at in range(len(self._segments))]
        self._numbers = np.concatenate([np.empty(0, np.int64), *proposed])
        self._at = np.repeat(np.arange(len(proposed)), [len(numbers) for numbers in proposed]).tolist()
        self._forms: list[str] = []
        owners = [np.empty(0, np.int64)]
        for segment, numbers in zip(self._segments, proposed, strict=True):
            self._forms += segment.normals.take(numbers)
            owners.append(segment.ids[numbers])
        # Where all texts are proposed their places say nothing.
        whole = self._size <= _PROPOSED_WHOLE
        places = None if whole else np.concatenate([np.arange(len(numbers)) for numbers in proposed])
        self._listed = Shortlist(self._readings, self._forms, np.concatenate(owners), places)

    def _proposed(self, at: int) -> Array:
        """Return the numbers of the texts of a segment that are proposed and were not given yet."""
        import numpy as np

        most = _PROPOSED_WHOLE if self._size <= _PROPOSED_WHOLE else _PROPOSED[self._place]
        numbers = self._segments[at].candidates(self._readings, most, self._within)
        scored = self._scored[at]
        return numbers[~np.isin(numbers, np.concatenate(scored))] if scored else numbers

    def take(self, records: int | None) -> list[tuple[int, int, str, str]]:
        """Return id, field, text and normal form of the texts of so many further records, nothing when all were."""
        records = None if self._size <= _SCORED_WHOLE else records
        block = self._listed.take(records)
        while not block and self._place < len(_PROPOSED) - 1:
            self.widen(self._place + 1)
            block = self._listed.take(records)
        rows: list[tuple[int, int, str, str]] = []
        for at, group in groupby(block, key=self._at.__getitem__):
            listed = list(group)
            numbers = self._numbers[listed]
            self._scored[at].append(numbers)
            rows += self._segments[at].take(numbers, [self._forms[one] for one in listed])
        return rows
