"""A part of a search index: texts with the tables that find them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from duckfeat.query.search import MAX_CHARS
from duckfeat.query.search_column import TextColumn
from duckfeat.query.search_fold import folded
from duckfeat.query.search_grams import PAIRS_MOST, PART_MOST, GramTable, KeyTable, Part, code_points, letter_sets
from duckfeat.query.search_starts import START_MOST, StartTable
from duckfeat.query.search_text import GREEK_PIECES, compact, is_unspaced

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["Progress", "Rows", "Segment"]

Progress = Callable[[int, int], object]
"""Called with the number of texts done and of all."""

CHUNK = PART_MOST
_ALL_SHARE = 0.2
_FEW_SHARE = 0.5
_LEAST_WEIGHT = 16
_TIES = 16
# Fewer ids than one in so many texts are looked up one by one.
_FEW_IDS = 16
_LONGER_COST = 0.3
# One in so many proposals may be there for its beginning alone.
_BEGIN_SHARE = 4
# One in so many may be there for its letters, whatever their order; a letter that only one of the two has counts as
# much as so many bytes of difference in length.
_ALIKE_SHARE, _LETTER_COST = 4, 3
# The words of texts are looked through for beginnings up to this long; longer ones have letters enough to tell.
_WORD_MOST = 3
_PAIR = 2


class Rows(NamedTuple):
    """Texts of records: of each the record's id, the number of its field, the text."""

    ids: Array
    fields: Array
    texts: TextColumn


class Segment:
    """Texts that are indexed together; never changed, so that searches need no lock."""

    def __init__(self, rows: Rows, progress: Progress | None = None) -> None:
        import numpy as np

        self.ids, self.fields, self.texts = rows
        normals: list[TextColumn] = []
        grams: list[Part] = []
        keys: list[Array] = []
        sets: list[Array] = []
        size = len(self.texts)
        for first in range(0, size, CHUNK):
            stop = min(first + CHUNK, size)
            forms = folded(self.texts.part(first, stop), MAX_CHARS)
            points = forms.points()
            sets.append(letter_sets(forms.data, forms.starts))
            normals.append(forms)
            grams.append(GramTable.part(points, first))
            keys.append(KeyTable.pairs(points, np.arange(first, stop)))
            if progress is not None:
                progress(stop, size)
        self.normals = TextColumn.joined(normals)
        self._sets = np.concatenate([*sets, np.empty(0, np.uint64)])
        self._grams = GramTable(grams, size)
        self._keys = KeyTable([*keys, self._greek_keys()])
        self._order: Array | None = None
        self._starts: StartTable | None = None
        self._gone: Array | None = None
        self.live = size

    def __len__(self) -> int:
        return len(self.ids)

    def _greek_keys(self) -> Array:
        """Return the keys of the texts that have Greek names in them, written with Latin letters for those."""
        import numpy as np

        found = [self._grams.having(piece) for piece in GREEK_PIECES]
        numbers = np.unique(np.concatenate(found)).astype(np.int64)
        forms = [compact(normal.split()) for normal in self.normals.take(numbers)]
        return KeyTable.pairs(code_points(forms), numbers)

    def rows(self) -> Rows:
        """Return the texts that were not taken out, in order."""
        import numpy as np

        kept = np.arange(len(self)) if self._gone is None else np.flatnonzero(~self._gone)
        return Rows(self.ids[kept], self.fields[kept], TextColumn.of(self.texts.take(kept)))

    def without(self, ids: Array) -> Segment:
        """Return the segment without the texts of the ids; this one stays as it is for searches that have it."""
        import numpy as np

        at = self.numbers(ids)
        if not len(at):
            return self
        rest = copy(self)
        rest._gone = np.zeros(len(self), bool) if self._gone is None else self._gone.copy()
        rest._gone[at] = True
        rest.live = len(self) - int(np.count_nonzero(rest._gone))
        return rest

    def numbers(self, ids: Array) -> Array:
        """Return the numbers of all texts of the ids, whether taken out or not."""
        import numpy as np

        if self._order is None:
            self._order = np.argsort(self.ids, kind="stable")
        starts = np.searchsorted(self.ids, ids, sorter=self._order)
        counts = np.searchsorted(self.ids, ids, side="right", sorter=self._order) - starts
        offsets = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        numbers: Array = self._order[np.repeat(starts, counts) + offsets]
        return numbers

    def take(self, numbers: Array, forms: Sequence[str]) -> Iterator[tuple[int, int, str, str]]:
        """Return id, field, text and normal form of the texts with these numbers, whose normal forms are given."""
        texts = self.texts.take(numbers)
        return zip(self.ids[numbers].tolist(), self.fields[numbers].tolist(), texts, forms, strict=True)

    def candidates(self, readings: Sequence[str], most: int | None, within: Array | None = None) -> Array:
        """Return the numbers of the texts worth scoring, best guesses first.

        `readings` are the normal forms the query may have. `most` bounds how many are proposed for each; None
        means every text with a fair part in common. `within` are the ids to look among.
        """
        import numpy as np

        allowed = self._allowed(within)
        size = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if most is not None and size <= most:
            return np.arange(size) if allowed is None else np.flatnonzero(allowed)
        # A dict keeps each once and in order: by a key or their beginning, then the likeliest by their grams.
        proposed: dict[int, None] = {}
        telling: list[str] = []
        for reading in readings:
            keyed = self._keys.find(reading)
            begin = self._beginning(reading, most, allowed)
            proposed.update(dict.fromkeys((keyed if allowed is None else keyed[allowed[keyed]])[:most].tolist()))
            proposed.update(dict.fromkeys(begin.tolist()))
            # Grams of two letters tell nothing that is nearer than a beginning, and very many texts have them.
            if most is None or len(reading) > _PAIR or len(begin) < most // _BEGIN_SHARE:
                telling.append(reading)
        for reading in telling:
            for short in (True, False) if len(reading) <= PAIRS_MOST + 2 else (False,):
                proposed.update(dict.fromkeys(self._likely(reading, most, allowed, short=short).tolist()))
        return np.fromiter(proposed, np.int64, len(proposed))

    def _allowed(self, within: Array | None) -> Array | None:
        import numpy as np

        if within is None:
            return None if self._gone is None else ~self._gone
        if len(within) * _FEW_IDS > len(self):
            allowed = np.isin(self.ids, within)
        else:
            allowed = np.zeros(len(self), bool)
            allowed[self.numbers(within)] = True
        return allowed if self._gone is None else allowed & ~self._gone

    def _beginning(self, normal: str, most: int | None, allowed: Array | None) -> Array:
        """Return texts that begin with the query, and where those are few also texts with such a word."""
        import numpy as np

        typed = normal.encode("utf-8", "surrogatepass")
        if not typed:
            return np.empty(0, np.int64)
        few = None if most is None else most // _BEGIN_SHARE
        found = np.empty(0, np.int64)
        if few is None or len(typed.replace(b" ", b"")) <= START_MOST:
            found = self._start_table().starting(normal, few, allowed)
        if few is not None and (len(found) >= few or len(normal) > _WORD_MOST):
            return found
        if is_unspaced(normal):
            words = self.normals.having(typed)
        else:
            words = self.normals.having(b" " + typed) if len(normal) == 1 else self._grams.having(f" {normal}")
        words = words.astype(np.int64)
        if allowed is not None:
            words = words[allowed[words]]
        return np.concatenate([found, words[:few]])

    def _start_table(self) -> StartTable:
        if self._starts is None:
            self._starts = StartTable(self.normals)
        return self._starts

    def _likely(self, normal: str, most: int | None, allowed: Array | None, *, short: bool) -> Array:
        """Return the texts that share the most telling grams with the query, best first."""
        import numpy as np

        weights, total = self._grams.weigh(normal, None if most else 2 * len(self) * len(normal), short=short)
        if allowed is not None:
            weights *= allowed
        alike = np.empty(0, np.int64) if short or not most else self._alike(normal, weights, most // _ALIKE_SHARE)
        # An integer, so that the comparison is one of small integers.
        least = max(int(weights.max(initial=0) * (_FEW_SHARE if most else _ALL_SHARE)), 1)
        at = np.flatnonzero(weights >= least)
        while most and len(at) < most and least > _LEAST_WEIGHT:
            least = int(least * _FEW_SHARE)
            at = np.flatnonzero(weights >= least)
        if most and len(at) > _TIES * most:
            # Sorting is what takes time, so only the heaviest are; more of them where they weigh the same.
            heavy = weights[at]
            at = at[heavy >= np.partition(heavy, -most)[-most]]
        typed = len(normal.encode("utf-8", "surrogatepass"))
        longer = np.maximum(self.normals.sizes(at) - typed, 0)
        rank = weights[at] - np.sqrt(longer) * (_LONGER_COST * total / (typed + 1))
        if most and len(at) > most:
            best = rank >= np.partition(rank, -most)[-most]
            at, rank = at[best], rank[best]
        return np.concatenate([at[np.argsort(-rank, kind="stable")[:most]], alike])

    def _alike(self, normal: str, weights: Array, most: int) -> Array:
        """Return the texts with the letters of the query, of those that share some part of it: a word is mangled.

        A word whose letters are all in other places has no gram of its own left, and the grams of the other words are
        those of very many texts.
        """
        import numpy as np

        at = np.flatnonzero(weights >= max(int(weights.max(initial=0) * _ALL_SHARE), 1))
        typed = np.frombuffer(f"{normal}\n".encode("utf-8", "surrogatepass"), np.uint8)
        unlike = np.bitwise_count(self._sets[at] ^ letter_sets(typed, np.array([0, len(typed)]))).astype(np.int32)
        unlike *= _LETTER_COST
        unlike += np.abs(self.normals.sizes(at).astype(np.int32) - np.int32(len(typed) - 1))
        if len(at) > most:
            nearest = unlike <= np.partition(unlike, most - 1)[most - 1]
            at, unlike = at[nearest], unlike[nearest]
        return at[np.argsort(unlike, kind="stable")[:most]]

    @property
    def nbytes(self) -> int:
        """Memory of the segment, in bytes."""
        starts = 0 if self._starts is None else self._starts.nbytes
        tables = (
            starts
            + self.texts.nbytes
            + self.normals.nbytes
            + self._grams.nbytes
            + self._keys.nbytes
            + self._sets.nbytes
        )
        return tables + int(self.ids.nbytes + self.fields.nbytes)
