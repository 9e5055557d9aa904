"""The order in which proposed texts get the full score: quick RapidFuzz scorers tell, by record.

Each of them puts the records in an order, by the best text that each has, and so do their beginnings. First come those
that stand first in any of the orders, so that none comes late for standing well in one of them alone. A record counts
once, however many texts it has. Nothing depends on how many results are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from duckfeat.query.search_text import is_unspaced

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["Shortlist"]

# Quick scorers, and the score that each gives to its best. The last likes every part of a text.
_SCORERS = (
    (OSA.normalized_similarity, 1.0),
    (fuzz.token_sort_ratio, 100.0),
    (fuzz.token_set_ratio, 120.0),
)
# Words of a query that are sought one by one, and what a letter more costs of a score of 100.
_WORDS_MOST, _MORE_COST = 6, 0.5


class Shortlist:
    """Proposed texts in the order in which they get the full score, to be taken by blocks of records.

    Each form has an owner, the id of its record, and may have a place among the proposals, the lower the likelier.

    >>> import numpy
    >>> forms = ["b cell", "t cells", "t cell", "neuron"]
    >>> listed = Shortlist(["t cell"], forms, numpy.array([1, 2, 2, 3]))
    >>> listed.take(2), listed.take(2), listed.take(None)
    ([2, 1, 0], [3], [])
    """

    def __init__(
        self, readings: Sequence[str], forms: Sequence[str], owners: Array, places: Array | None = None
    ) -> None:
        import numpy as np

        self._owners = owners
        # Which forms each record has, as runs of their places by owner; and the order of the records.
        self._by_owner = np.argsort(owners, kind="stable")
        self._runs: list[tuple[int, int]] = []
        self._taken = 0
        if not len(forms):
            return
        quick = _quick(readings, forms)
        self._likely = quick.max(axis=0)
        rows = [row for typed in readings for row in _others(typed, forms)]
        orders = np.vstack([quick, self._likely, *rows, *(() if places is None else (-places,))])
        starts = np.flatnonzero(np.diff(owners[self._by_owner], prepend=owners[self._by_owner[0]] - 1))
        stops = np.append(starts[1:], len(forms))
        order = _first_in_any(np.maximum.reduceat(orders[:, self._by_owner], starts, axis=1))
        self._runs = list(zip(starts[order].tolist(), stops[order].tolist(), strict=True))

    def take(self, records: int | None) -> list[int]:
        """Return the places of the forms of so many further records, likely best first; None stands for all."""
        import numpy as np

        stop = len(self._runs) if records is None else self._taken + records
        runs = self._runs[self._taken : stop]
        self._taken = stop
        if not runs:
            return []
        block = np.concatenate([self._by_owner[first:last] for first, last in runs])
        ranked: list[int] = block[np.lexsort((self._owners[block], -self._likely[block]))].tolist()
        return ranked


def _first_in_any(orders: Array) -> Array:
    """Return the columns of orders (the higher the better, -inf never), those first that come first in one of them."""
    import numpy as np

    places = np.argsort(-orders, axis=1, kind="stable")
    ranks = np.empty_like(places)
    np.put_along_axis(ranks, places, np.arange(orders.shape[1])[None, :], axis=1)
    ranks[np.isneginf(orders)] = orders.shape[1]
    # Of those that come equally soon, the ones that come soon on the whole.
    return np.lexsort((ranks.sum(axis=0), ranks.min(axis=0)))


def _quick(readings: Sequence[str], forms: Sequence[str]) -> Array:
    """Return a row for each reading and quick scorer, from 0 to 1 or less."""
    import numpy as np

    rows = [process.cdist(readings, forms, scorer=scorer, dtype=np.float32) / most for scorer, most in _SCORERS]
    return np.concatenate(rows)


def _others(typed: str, forms: Sequence[str]) -> list[Array]:
    """Return the orders that go by words and by beginnings, the shortest first."""
    import numpy as np

    if not typed:
        return []
    lengths = np.array([len(form) for form in forms], np.float32)
    words = typed.split()[:_WORDS_MOST]
    letters = np.array([len(word) for word in words], np.float32)
    found = process.cdist(words, forms, scorer=fuzz.partial_ratio, dtype=np.float32)
    wordwise = letters @ found / letters.sum() - np.abs(lengths - len(typed)) * _MORE_COST
    joined = typed.replace(" ", "")
    # Most are told by their first letter.
    begins = [form[:1] == joined[:1] and form.replace(" ", "").startswith(joined) for form in forms]
    word = typed if is_unspaced(typed) else f" {typed}"
    within = [word in form for form in forms]
    return [wordwise, *(np.where(those, -lengths, -np.inf) for those in (begins, within))]
