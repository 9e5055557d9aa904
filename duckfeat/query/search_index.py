"""A fuzzy search index over the texts of many records: built in seconds, kept in memory, follows every write.

The index knows no database: it is given ids and texts, and gives back ids with scores. It proposes some hundred
texts by their letters (`search_candidates`), and ranks them by the published score (`search`, `search_ranking`).

>>> names, synonyms = ["neutrophil", "T cell", "neuron"], [None, "T lymphocyte|T-lymphocyte", None]
>>> index = SearchIndex.build([1, 2, 3], [names, synonyms])
>>> [(hit.id, hit.score, hit.text) for hit in index.search("t lymphocyte")]
[(2, 100.0, 'T lymphocyte')]
>>> index.search("nuetrophil", limit=1)[0].text
'neutrophil'
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from duckfeat.errors import InvalidArgument
from duckfeat.query.search import CUTOFF, Query
from duckfeat.query.search_candidates import Candidates
from duckfeat.query.search_column import TextColumn
from duckfeat.query.search_ranking import AIMS, Hit, Ranking, merged
from duckfeat.query.search_segment import Progress, Rows, Segment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Column = Any
"""Texts of a field: an Arrow array, or a sequence of strings and None."""

__all__ = ["Hit", "SearchIndex", "merged"]

# What was added is merged with the segments before it that are no more than so many times as large, so that there
# are few; up to this size in all, so that no search waits long for it.
_MERGED_SHARE, _MERGED_MOST = 8, 1 << 18


class SearchIndex:
    """Texts of records, found by what was meant rather than by what was typed.

    Writes may come from several threads, as may searches; a search sees every write that returned before it.

    >>> index = SearchIndex()
    >>> index.add([7, 5], [["ULabel7", "ULabel5"]])
    >>> [(hit.id, round(hit.score)) for hit in index.search("ULabel7")]
    [(7, 100), (5, 76)]
    >>> index.remove([7])
    >>> [hit.id for hit in index.search("ULabel7")]
    [5]
    """

    def __init__(self, *, split: Collection[int] | None = None) -> None:
        self._split = None if split is None else frozenset(split)
        self._segments: tuple[Segment, ...] = ()
        self._pending: dict[int, list[tuple[int, str]]] = {}
        self._lock = threading.RLock()

    @classmethod
    def build(
        cls,
        ids: Sequence[int],
        texts: Sequence[Column],
        *,
        split: Collection[int] | None = None,
        progress: Progress | None = None,
    ) -> SearchIndex:
        """Return an index of records.

        `texts` holds a column for each searched field, the most important first: an Arrow array of texts, which is
        read as it lies in memory, or a sequence of strings; null and None are no text.
        The fields numbered in `split` (all but the first, unless told) hold several texts each, joined by "|".
        `progress(done, all)` is called with the number of texts, every 16,000 or so.

        Raises InvalidArgument where a column is not as long as `ids`.
        """
        index = cls(split=split)
        rows = index._rows(ids, texts)
        if len(rows.texts):
            index._segments = (Segment(rows, progress),)
        return index

    def add(self, ids: Sequence[int], texts: Sequence[Column]) -> None:
        """Index more records, shaped as in `build`; what was indexed of the same ids before is replaced."""
        rows = self._rows(ids, texts)
        with self._lock:
            self.remove(ids)
            for record, number, text in zip(rows.ids.tolist(), rows.fields.tolist(), rows.texts.listed(), strict=True):
                self._pending.setdefault(record, []).append((number, text))

    def replace(self, gone: Iterable[int], ids: Sequence[int], texts: Sequence[Column]) -> None:
        """Forget some records and index others, in one step: no search sees the one without the other."""
        with self._lock:
            self.remove(gone)
            self.add(ids, texts)

    def remove(self, ids: Iterable[int]) -> None:
        """Forget records; ids that are not indexed are passed over."""
        gone = _id_array(ids)
        with self._lock:
            for record in gone.tolist() if self._pending else ():
                self._pending.pop(record, None)
            self._segments = tuple(segment.without(gone) for segment in self._segments)

    def search(
        self,
        string: str,
        *,
        limit: int | None = 20,
        case_sensitive: bool = False,
        within: Iterable[int] | None = None,
    ) -> list[Hit]:
        """Return the records nearest to `string`, best first, none under the cut-off (`search.CUTOFF`).

        A record counts by its best text. Equal scores go by field, then the string as it is written first, then
        by id. `within` are the ids to look among; `limit=None` gives everything that was found. The results for a
        limit are the first of those for any higher one, and None is the highest.

        Raises InvalidArgument where `string` is no string or `limit` is negative.
        """
        if not isinstance(string, str):
            raise InvalidArgument(f"search takes a string, not {type(string).__name__}", string=string)
        if limit is not None and limit < 0:
            raise InvalidArgument(f"limit must not be negative, but is {limit}", limit=limit)
        query = Query(string, case_sensitive=case_sensitive)
        among = None if within is None else _id_array(within)
        candidates = Candidates(query.readings, self._settle(), among)
        ranking = Ranking(string, limit)
        for place, aim in enumerate(AIMS):
            candidates.widen(place)
            gained = True
            while gained and (block := candidates.take(aim.block)):
                ranking.begin(aim.results)
                for record, field, text, normal in block:
                    score = query.score(text, normal, ranking.floor)
                    if score >= CUTOFF:
                        ranking.add(Hit(record, score, text, field))
                gained = ranking.gained
            ranking.settle(aim.results)
            if ranking.complete(aim.results):
                break
        return ranking.settled[:limit]

    def __len__(self) -> int:
        with self._lock:
            self._settle()
            return sum(segment.live for segment in self._segments)

    @property
    def nbytes(self) -> int:
        """Memory of the index, in bytes; it takes no disk."""
        with self._lock:
            self._settle()
            return sum(segment.nbytes for segment in self._segments)

    def _rows(self, ids: Sequence[int], texts: Sequence[Column]) -> Rows:
        import numpy as np

        split = self._split if self._split is not None else range(1, len(texts))
        owners = _id_array(ids)
        parts: list[Rows] = []
        for number, column in enumerate(texts):
            if len(column) != len(ids):
                message = f"field {number} has {len(column)} texts for {len(ids)} ids"
                raise InvalidArgument(message, field=number, texts=len(column), ids=len(ids))
            listed, places = TextColumn.read(column, split=number in split)
            parts.append(Rows(owners[places], np.full(len(listed), number, np.uint8), listed))
        return _joined(parts)

    def _settle(self) -> tuple[Segment, ...]:
        """Index what was added since the last search, and return the segments; small ones are merged."""
        import numpy as np

        with self._lock:
            if not self._pending:
                return self._segments
            listed = [(record, *text) for record, texts in self._pending.items() for text in texts]
            records, fields, texts = zip(*listed, strict=True)
            merged = [Rows(np.array(records, np.int64), np.array(fields, np.uint8), TextColumn.of(texts))]
            size = len(listed)
            segments = [segment for segment in self._segments if segment.live]
            while segments and segments[-1].live < _MERGED_SHARE * size and segments[-1].live + size <= _MERGED_MOST:
                merged.insert(0, segments[-1].rows())
                size += segments.pop().live
            self._segments = (*segments, Segment(_joined(merged)))
            self._pending = {}
            return self._segments


def _joined(parts: Sequence[Rows]) -> Rows:
    import numpy as np

    ids = np.concatenate([np.empty(0, np.int64), *(rows.ids for rows in parts)])
    fields = np.concatenate([np.empty(0, np.uint8), *(rows.fields for rows in parts)])
    return Rows(ids, fields, TextColumn.joined([rows.texts for rows in parts]))


def _id_array(ids: Iterable[int]) -> Array:
    import numpy as np

    return ids.astype(np.int64) if isinstance(ids, np.ndarray) else np.fromiter(ids, np.int64)
