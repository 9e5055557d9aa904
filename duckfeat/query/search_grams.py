"""Finding texts that may be near a query: posting lists of letter triples, and keys of short texts.

Two tables over the normal forms of many texts, held as flat arrays and made from their code points, each text followed
by a line break. `GramTable` lists, for every run of three
letters (the start and end of a word count as one), the texts that have it, and for short texts also every pair
of neighbours in either order. `KeyTable` finds a text by its whole form, and a short one with any one letter
left out as well, so that every short text one typing error away is found. Both only propose; the score decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from duckfeat.query.search_text import ROW, compact

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["PAIRS_MOST", "PART_MOST", "GramTable", "KeyTable", "Part", "code_points", "letter_sets"]

PAIRS_MOST = 12
"""Texts of this many characters at most are also found by their pairs of letters."""
KEYS_MOST = 8
"""Texts of this many letters at most are also found with any one of them left out."""
PIECES_MOST = 6
"""Texts that are some words of the query are sought by so many of its first words."""
GRAM_CHARS = 256
"""Grams are taken from this many characters at the start of a text."""
POSTINGS_LEAST, POSTINGS_MOST = 40_000, 200_000
"""A query follows its grams, rarest first, through as many postings in all as there are texts, but through no fewer
and no more than these: what is common tells least."""

_GRAM_BITS, _SPARE_BITS = 18, 3
# A gram and the place of its text within a part fit into 32 bits.
_PLACE_BITS = 32 - _GRAM_BITS
PART_MOST = 1 << _PLACE_BITS
"""A part holds this many texts at most."""
_PLACE = PART_MOST - 1
_SPACE, _ROW = ord(" "), ord(ROW)
# Odd multipliers that spread code points and their positions over 32 bits; the first is 2**32 / golden ratio.
_SPREAD, _FIRST, _SECOND, _THIRD = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F
_PAIR, _FINISH = 0x165667B1, 0x2C1B3C6D
_WEIGHT_SCALE = 8
_LOW_WORD = 0xFFFFFFFF
# Letters and digits of ASCII have a bit each, the bytes of other letters share the rest; blanks and ends have none.
_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789"
_LETTER_BITS = [0] * 33 + [1 << (len(_PLAIN) + byte % (64 - len(_PLAIN))) for byte in range(33, 256)]
for _bit, _letter in enumerate(_PLAIN):
    _LETTER_BITS[ord(_letter)] = 1 << _bit


def letter_sets(data: Array, starts: Array) -> Array:
    """Return a set for each text, as bits: which letters it has. `data` is UTF-8, a text ends where the next starts.

    >>> import numpy
    >>> sets = letter_sets(numpy.frombuffer(b"crohn chron chronic ", numpy.uint8), [0, 6, 12, 20])
    >>> [(one ^ other).item().bit_count() for one, other in zip(sets, sets[1:])]
    [0, 1]
    """
    import numpy as np

    if len(starts) == 1:
        return np.empty(0, np.uint64)
    sets: Array = np.bitwise_or.reduceat(np.array(_LETTER_BITS, np.uint64)[data], starts[:-1])
    return sets


def code_points(forms: Sequence[str]) -> Array:
    """Return the code points of normal forms, each form followed by a line break.

    >>> code_points(["ab", "é"]).tolist()
    [97, 98, 10, 233, 10]
    """
    import numpy as np

    joined = ROW.join([*forms, ""])
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)


class Part(NamedTuple):
    """The grams of some texts, each with the place of its text among them, in order; and the number of the first."""

    first: int
    packed: Array


class GramTable:
    """For every gram, the numbers of the texts that have it; weighs texts by the grams of a query.

    >>> table = GramTable([GramTable.part(code_points(["t cell", "b cell", "neuron"]))], 3)
    >>> weights, best = table.weigh("b cel")
    >>> weights.argmax().item(), weights[2].item(), best > weights.max().item()
    (1, 0, True)
    """

    def __init__(self, parts: Sequence[Part], size: int) -> None:
        import numpy as np

        self.size = size
        pairs = sum(len(part.packed) for part in parts)
        # A small table tells fewer grams apart, so that it stays small.
        bits = min(pairs.bit_length() + _SPARE_BITS, _GRAM_BITS)
        self._shift = _GRAM_BITS - bits
        parts = [Part(part.first, _coarser(part.packed, self._shift)) for part in parts]
        runs = [_runs(part.packed) for part in parts]
        counts = np.zeros(1 << bits, np.int64)
        for run in runs:
            counts[run.grams] += run.counts
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        self._texts = np.empty(pairs, np.uint32)
        free = self._starts[:-1].copy()
        for part, run in zip(parts, runs, strict=True):
            places = np.arange(len(part.packed)) + np.repeat(free[run.grams] - run.starts, run.counts)
            self._texts[places] = (part.packed & _PLACE) + np.uint32(part.first)
            free[run.grams] += run.counts

    @staticmethod
    def part(points: Array, first: int = 0) -> Part:
        """Return the grams of normal forms that are numbered from `first`, `PART_MOST` at most."""
        import numpy as np

        grams, places = _grams(points, PAIRS_MOST)
        packed: Array = grams << np.uint32(_PLACE_BITS) | places
        packed.sort()
        return Part(first, packed)

    def having(self, piece: str) -> Array:
        """Return the numbers of the texts that have all letter triples of the piece, ascending.

        A space at an end of the piece stands for the start or the end of a word.
        """
        import numpy as np

        points = np.array([0 if char == " " else ord(char) for char in piece], np.uint32) * np.uint32(_SPREAD)
        found: Array | None = None
        for gram in (_gram(_triples(points)) >> np.uint32(self._shift)).tolist():
            texts = _once(self._texts[self._starts[gram] : self._starts[gram + 1]])
            found = texts if found is None else np.intersect1d(found, texts, assume_unique=True)
        return np.empty(0, np.uint32) if found is None else found

    def weigh(self, normal: str, most: int | None = None, *, short: bool = False) -> tuple[Array, int]:
        """Return a weight for every text, the sum over the grams it shares with the query, and the most possible.

        With `short` the pairs count as well, which only short texts have; without, texts of any length compare.
        """
        import numpy as np

        if most is None:
            most = min(max(self.size, POSTINGS_LEAST), POSTINGS_MOST)
        grams, _ = _grams(code_points([normal]), len(normal) if short else -1)
        grams = np.unique(grams >> np.uint32(self._shift)).astype(np.int64)
        starts, stops = self._starts[grams], self._starts[grams + 1]
        counts = stops - starts
        order = np.argsort(counts, kind="stable")
        order = order[: max(1, int(np.searchsorted(np.cumsum(counts[order]), most, side="right")))]
        worth = (_WEIGHT_SCALE * np.log2(1 + self.size / np.maximum(counts[order], 1))).astype(np.uint16) + np.uint16(1)
        weights = np.zeros(self.size, np.uint16)
        for start, stop, weight in zip(starts[order].tolist(), stops[order].tolist(), worth, strict=True):
            # Indexing with the platform's own integers is several times as fast as with 32-bit ones.
            weights[self._texts[start:stop].astype(np.int64)] += weight
        return weights, int(worth.sum())

    @property
    def nbytes(self) -> int:
        """Memory of the table, in bytes."""
        return int(self._texts.nbytes + self._starts.nbytes)


class KeyTable:
    """Texts by a hash of their letters, short ones also by a hash of what is left without any one letter.

    >>> import numpy
    >>> table = KeyTable([KeyTable.pairs(code_points(["tnfa", "tp53"]), numpy.arange(2))])
    >>> table.find("tnf alpha")[0].item(), table.find("tp35")[0].item(), table.find("brca1").tolist()
    (0, 1, [])
    """

    def __init__(self, parts: Iterable[Array]) -> None:
        import numpy as np

        self._pairs = np.concatenate([*parts, np.empty(0, np.uint64)])
        self._pairs.sort()

    @staticmethod
    def pairs(points: Array, numbers: Array) -> Array:
        """Return (key << 32 | text number) for every key of the normal forms of numbered texts."""
        import numpy as np

        letters, starts = _letters(points)
        sizes = np.diff(starts) - 1
        parts = [_packed(_whole_keys(letters, starts), numbers)]
        short = np.flatnonzero(sizes <= KEYS_MOST)
        table = _letter_table(letters, starts[short], sizes[short])
        for left_out in range(KEYS_MOST):
            rows = np.flatnonzero(sizes[short] > left_out)
            parts.append(_packed(_left_out_keys(table[rows], left_out), numbers[short[rows]]))
        return np.concatenate(parts)

    def find(self, normal: str) -> Array:
        """Return the numbers of the texts that share a key with the query, those of its whole form first.

        Those that are some words of the query come last.
        """
        import numpy as np

        words = normal.split()
        whole = list(dict.fromkeys(("".join(words), compact(words))))
        short = [form for form in whole if len(form) <= KEYS_MOST + 1]
        rest = list(dict.fromkeys(form[:at] + form[at + 1 :] for form in short for at in range(len(form))))
        # A text may be the query, or with a letter more, or with a letter less, or with another letter.
        likely = [form for form in (*whole, *rest) if len(form) <= KEYS_MOST]
        forms = [*whole, *rest, *_pieces(words)]
        whole_keys = _whole_keys(*_letters(code_points(forms)))
        first = len(whole) + len(rest)
        keys = np.concatenate([whole_keys[:first], _short_keys(likely), whole_keys[first:]]).astype(np.uint64)
        keys <<= np.uint64(32)
        starts = np.searchsorted(self._pairs, keys).tolist()
        stops = np.searchsorted(self._pairs, keys | np.uint64(_LOW_WORD), side="right").tolist()
        found = [self._pairs[start:stop] for start, stop in zip(starts, stops, strict=True)]
        return np.concatenate(found).astype(np.uint32).astype(np.int64)

    @property
    def nbytes(self) -> int:
        """Memory of the table, in bytes."""
        return int(self._pairs.nbytes)


class _Runs(NamedTuple):
    """The grams of a part, each once and ascending; where the run of its texts starts, and how long it is."""

    grams: Array
    starts: Array
    counts: Array


def _runs(packed: Array) -> _Runs:
    import numpy as np

    grams = packed >> np.uint32(_PLACE_BITS)
    starts = _changes(grams)
    counts = np.diff(starts, append=len(grams))
    return _Runs(grams[starts].astype(np.int64), starts, counts)


def _coarser(packed: Array, shift: int) -> Array:
    """Return the packed grams with some bits of each taken off, in order."""
    import numpy as np

    if not shift:
        return packed
    places = packed & _PLACE
    packed = packed >> np.uint32(_PLACE_BITS + shift) << np.uint32(_PLACE_BITS) | places
    packed.sort()
    return packed


def _once(ascending: Array) -> Array:
    """Return numbers that ascend, each once."""
    return ascending[_changes(ascending)]


def _changes(ascending: Array) -> Array:
    """Return where another number stands than the place before."""
    import numpy as np

    return np.flatnonzero(np.concatenate([np.ones(len(ascending[:1]), bool), ascending[1:] != ascending[:-1]]))


def _grams(points: Array, short: int) -> tuple[Array, Array]:
    """Return every gram of some normal forms, and the place among them of the one that has it.

    Forms of `short` characters at most give pairs of neighbours as well.
    """
    import numpy as np

    points = np.concatenate([np.array([_ROW], points.dtype), points])
    lengths = np.diff(np.flatnonzero(points == _ROW))
    if lengths.max(initial=0) > GRAM_CHARS + 1:
        points, lengths = _shortened(points, lengths)
    gaps = (points == _ROW) | (points == _SPACE)
    spread = points * np.uint32(_SPREAD)
    spread[gaps] = 0
    inner = ~gaps[1:-1]
    places = np.repeat(np.arange(len(lengths), dtype=np.uint32), lengths)
    near = np.flatnonzero(np.repeat(lengths <= short + 1, lengths))
    left, right = spread[near], spread[near + 1]
    # The same for either order: two letters that changed places keep their pair.
    both = np.minimum(left, right) * np.uint32(_PAIR) ^ np.maximum(left, right) * np.uint32(_FIRST)
    mixed = np.concatenate([_triples(spread)[inner], both])
    return _gram(mixed), np.concatenate([places[1:][inner], places[near]])


def _pieces(words: Sequence[str]) -> list[str]:
    """Return what texts may be that are some of the words: runs of them, any two, each alone; joined.

    >>> _pieces(["smooth", "muscle", "cell"])
    ['smoothmuscle', 'smoothcell', 'musclecell', 'smooth', 'muscle', 'cell']
    """
    words = words[:PIECES_MOST]
    runs = [words[at : at + size] for size in range(len(words) - 1, 2, -1) for at in range(len(words) - size + 1)]
    pairs = combinations(words, 2) if len(words) > 2 else ()
    return list(dict.fromkeys([*map("".join, (*runs, *pairs)), *(words if len(words) > 1 else ())]))


def _letters(points: Array) -> tuple[Array, Array]:
    """Return the code points of texts without their blanks, spread over 32 bits, and where each text starts.

    What ends a text is zero, and a letter by itself.
    """
    import numpy as np

    points = points[points != _SPACE]
    ends = np.flatnonzero(points == _ROW)
    letters = points.astype(np.uint32)
    letters ^= letters >> np.uint32(7)
    letters *= np.uint32(_SPREAD)
    letters[ends] = 0
    return letters, np.concatenate([np.zeros(1, np.int64), ends + 1])


def _whole_keys(letters: Array, starts: Array) -> Array:
    """Return a hash of all letters of each text, in which every place counts differently."""
    import numpy as np

    if len(starts) == 1:
        return np.empty(0, np.uint32)
    sizes = np.diff(starts)
    places = np.arange(len(letters)) - np.repeat(starts[:-1], sizes)
    keys: Array = np.add.reduceat(letters * _powers(_THIRD, int(sizes.max()))[places], starts[:-1], dtype=np.uint32)
    keys ^= keys >> np.uint32(15)
    return keys


def _letter_table(letters: Array, starts: Array, sizes: Array) -> Array:
    """Return the letters of short texts: a row for each, zeros at its end."""
    import numpy as np

    places = np.arange(KEYS_MOST)
    at = np.minimum(starts[:, None] + places, max(len(letters) - 1, 0))
    table: Array = np.where(places < sizes[:, None], letters[at], np.uint32(0))
    return table


def _short_keys(forms: Sequence[str]) -> Array:
    """Return the keys by which short texts are found that have a letter more than these forms."""
    import numpy as np

    letters, starts = _letters(code_points(forms))
    return _left_out_keys(_letter_table(letters, starts[:-1], np.diff(starts) - 1), KEYS_MOST)


def _left_out_keys(table: Array, left_out: int) -> Array:
    """Return a hash of the letters in each row without those of a column."""
    import numpy as np

    rest = np.delete(table, left_out, axis=1) if left_out < KEYS_MOST else table
    keys: Array = (rest * _powers(_SECOND, rest.shape[1])).sum(axis=1, dtype=np.uint32)
    return keys


def _powers(factor: int, count: int) -> Array:
    import numpy as np

    return np.cumprod(np.full(count, factor, np.uint32), dtype=np.uint32)


def _shortened(points: Array, lengths: Array) -> tuple[Array, Array]:
    """Return code points, a line break first, with no more than `GRAM_CHARS` of each text, and the lengths."""
    import numpy as np

    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(points) - 1) - np.repeat(starts, lengths)
    kept = np.concatenate([places <= GRAM_CHARS, np.ones(1, bool)])
    return points[kept], np.minimum(lengths, GRAM_CHARS + 1)


def _triples(spread: Array) -> Array:
    import numpy as np

    mixed = spread[:-2] * np.uint32(_FIRST)
    mixed += spread[1:-1] * np.uint32(_SECOND)
    mixed += spread[2:] * np.uint32(_THIRD)
    return mixed


def _gram(mixed: Array) -> Array:
    import numpy as np

    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(_FINISH)
    return mixed >> np.uint32(32 - _GRAM_BITS)


def _packed(keys: Array, numbers: Array) -> Array:
    import numpy as np

    packed = keys.astype(np.uint64)
    packed <<= np.uint64(32)
    packed |= numbers.astype(np.uint64)
    return packed
