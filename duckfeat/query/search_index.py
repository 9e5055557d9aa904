"""A fuzzy search index over the texts of many records: built in seconds, kept in memory, follows every write.

The index knows no database: it is given ids and texts, and gives back ids with scores. It proposes some hundred
texts by their letters (`search_grams`), RapidFuzz thins them out, and the published score (`search`) ranks them.

>>> names, synonyms = ["neutrophil", "T cell", "neuron"], [None, "T lymphocyte|T-lymphocyte", None]
>>> index = SearchIndex.build([1, 2, 3], [names, synonyms])
>>> [(hit.id, hit.score, hit.text) for hit in index.search("t lymphocyte")]
[(2, 100.0, 'T lymphocyte')]
>>> index.search("nuetrophil", limit=1)[0].text
'neutrophil'
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from duckfeat.errors import InvalidArgument
from duckfeat.query.search import CUTOFF, Query
from duckfeat.query.search_column import TextColumn
from duckfeat.query.search_segment import Progress, Rows, Segment
from duckfeat.query.search_text import is_unspaced

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Column = Any
"""Texts of a field: an Arrow array, or a sequence of strings and None."""

__all__ = ["Hit", "SearchIndex", "merged"]

_CANDIDATES, _CANDIDATES_PER_HIT = 192, 6
_SHORTLIST, _SHORTLIST_PER_HIT = 6, 0.5
_LEAST = 20
# Who asks for more results than this gets every candidate scored.
_THINNED_MOST = 100
# Quick scorers, and the score that each gives to its best. The last likes every part of a text.
_PREFILTERS = (
    (OSA.normalized_similarity, 1.0),
    (fuzz.token_sort_ratio, 100.0),
    (fuzz.token_set_ratio, 120.0),
)
# Words of a query that are sought one by one, and what a letter more costs of a score of 100.
_WORDS_MOST, _MORE_COST = 6, 0.5
# What was added is merged with the segments before it that are no more than so many times as large, so that there
# are few; up to this size in all, so that no search waits long for it.
_MERGED_SHARE, _MERGED_MOST = 8, 1 << 18


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
        by id. `within` are the ids to look among; `limit=None` gives everything that was found.

        Raises InvalidArgument where `string` is no string or `limit` is negative.
        """
        if not isinstance(string, str):
            raise InvalidArgument(f"search takes a string, not {type(string).__name__}", string=string)
        if limit is not None and limit < 0:
            raise InvalidArgument(f"limit must not be negative, but is {limit}", limit=limit)
        query = Query(string, case_sensitive=case_sensitive)
        best: dict[int, tuple[float, int, bool, str]] = {}
        floor = CUTOFF
        for record, field, text, normal in self._shortlist(query, limit, within):
            score = query.score(text, normal, floor)
            if score < CUTOFF:
                continue
            rank = (-score, field, text != string, text)
            best[record] = min(rank, best.get(record, rank))
            if limit and len(best) >= limit:
                floor = -sorted(best.values())[limit - 1][0]
        return merged(string, [Hit(record, -rank[0], rank[3], rank[1]) for record, rank in best.items()])[:limit]

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

    def _shortlist(
        self, query: Query, limit: int | None, within: Iterable[int] | None
    ) -> Iterator[tuple[int, int, str, str]]:
        """Return the texts worth the full score: id, field, text and normal form of each."""
        most = None if limit is None else max(_CANDIDATES, _CANDIDATES_PER_HIT * limit)
        among = None if within is None else _id_array(within)
        found: list[tuple[Segment, int, str]] = []
        for segment in self._settle():
            numbers = segment.candidates(query.readings, most, among)
            forms = segment.normals.take(numbers)
            found += [(segment, number, form) for number, form in zip(numbers.tolist(), forms, strict=True)]
        if limit is not None and limit <= _THINNED_MOST:
            # Who asks for one gets the first of what who asks for twenty gets.
            kept = _thinned(query.readings, [form for _, _, form in found], max(limit, _LEAST))
            found = [found[at] for at in kept]
        for segment, group in groupby(found, key=itemgetter(0)):
            yield from segment.take(group)


def _thinned(readings: Sequence[str], forms: list[str], limit: int) -> list[int]:
    """Return the places of the forms that are among the first or the best of a quick scorer, likely best first."""
    import numpy as np

    each = _SHORTLIST + int(_SHORTLIST_PER_HIT * limit)
    kept = set(range(min(each, len(forms))))
    likely = np.zeros(len(forms), np.float32)
    for scorer, most in _PREFILTERS:
        for scores in process.cdist(readings, forms, scorer=scorer, dtype=np.float32):
            kept.update(np.argsort(-scores, kind="stable")[:each].tolist())
            np.maximum(likely, scores / most, out=likely)
    ranked: list[int] = np.argsort(-likely, kind="stable").tolist()
    kept.update(ranked[: _SHORTLIST + limit])
    for reading in filter(None, readings):
        kept.update(_wordwise(reading, forms)[:each])
    kept.update(_beginning(readings, forms, limit))
    return [place for place in ranked if place in kept]


def _wordwise(typed: str, forms: list[str]) -> list[int]:
    """Return the places of the forms, those first that have most of each word of the query and little else."""
    import numpy as np

    words = typed.split()[:_WORDS_MOST]
    likely = process.cdist(words, forms, scorer=fuzz.partial_ratio, dtype=np.float32)
    letters = np.array([len(word) for word in words], np.float32)
    more = np.array([len(form) for form in forms], np.float32) - len(typed)
    ranked: list[int] = np.argsort(np.abs(more) * _MORE_COST - letters @ likely / letters.sum(), kind="stable").tolist()
    return ranked


def _beginning(readings: Sequence[str], forms: list[str], limit: int) -> list[int]:
    """Return the places of the forms that begin with the query, or have a word that does, the shortest ones."""
    found: list[int] = []
    for typed in readings:
        joined = typed.replace(" ", "")
        # Most are told by their first letter.
        starts = [
            at for at, form in enumerate(forms) if form[:1] == joined[:1] and form.replace(" ", "").startswith(joined)
        ]
        word = typed if is_unspaced(typed) else f" {typed}"
        words = [at for at, form in enumerate(forms) if word in form]
        for places in (starts, words):
            found += sorted(places, key=lambda at: len(forms[at]))[:limit]
    return found


def _joined(parts: Sequence[Rows]) -> Rows:
    import numpy as np

    ids = np.concatenate([np.empty(0, np.int64), *(rows.ids for rows in parts)])
    fields = np.concatenate([np.empty(0, np.uint8), *(rows.fields for rows in parts)])
    return Rows(ids, fields, TextColumn.joined([rows.texts for rows in parts]))


def _id_array(ids: Iterable[int]) -> Array:
    import numpy as np

    return ids.astype(np.int64) if isinstance(ids, np.ndarray) else np.fromiter(ids, np.int64)
