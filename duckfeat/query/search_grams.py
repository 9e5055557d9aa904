"""Finding texts that may be near a query: posting lists of letter triples, and keys of short texts.

Two tables over the normal forms of many texts, held as flat arrays. `GramTable` lists, for every run of three
letters (the start and end of a word count as one), the texts that have it, and for short texts also every pair
of neighbours in either order. `KeyTable` finds a text by its whole form, and a short one with any one letter
left out as well, so that every short text one typing error away is found. Both only propose; the score decides.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from duckfeat.query.search_text import compact, cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["PAIRS_MOST", "GramTable", "KeyTable"]

PAIRS_MOST = 12
"""Texts of this many characters at most are also found by their pairs of letters."""
KEYS_MOST = 8
"""Texts of this many letters at most are also found with any one of them left out."""
GRAM_CHARS = 256
"""Grams are taken from this many characters at the start of a text."""
POSTINGS_LEAST, POSTINGS_MOST = 40_000, 200_000
"""A query follows its grams, rarest first, through as many postings in all as there are texts, but through no fewer
and no more than these: what is common tells least."""

_GRAM_BITS, _SPARE_BITS = 18, 3
_SPACE, _ROW = 32, 10
# Odd multipliers that spread code points and their positions over 32 bits; the first is 2**32 / golden ratio.
_SPREAD, _FIRST, _SECOND, _THIRD = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F
_PAIR, _FINISH = 0x165667B1, 0x2C1B3C6D
_WEIGHT_SCALE = 8
_LOW_WORD = 0xFFFFFFFF


class GramTable:
    """For every gram, the numbers of the texts that have it; weighs texts by the grams of a query.

    >>> table = GramTable([GramTable.pairs(["t cell", "b cell", "neuron"])], 3)
    >>> weights, best = table.weigh("b cel")
    >>> weights.argmax().item(), weights[2].item(), best > weights.max().item()
    (1, 0, True)
    """

    def __init__(self, parts: Iterable[Array], size: int) -> None:
        import numpy as np

        pairs = np.concatenate([*parts, np.empty(0, np.uint64)])
        pairs.sort()
        self.size = size
        self._texts = pairs.astype(np.uint32)
        # A small table tells fewer grams apart, so that it stays small.
        bits = min(len(pairs).bit_length() + _SPARE_BITS, _GRAM_BITS)
        self._shift = _GRAM_BITS - bits
        grams = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(32 + self._shift)
        self._starts = np.searchsorted(pairs, grams).astype(np.int64)

    @staticmethod
    def pairs(normals: Sequence[str], first: int = 0, short: int = PAIRS_MOST) -> Array:
        """Return (gram << 32 | text number) for every gram of the normal forms, numbered from `first`."""
        import numpy as np

        joined = "\n" + "\n".join(cut(normals, GRAM_CHARS)) + "\n"
        points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        ends = points == _ROW
        gaps = ends | (points == _SPACE)
        spread = points * np.uint32(_SPREAD)
        spread[gaps] = 0
        numbers = np.cumsum(ends, dtype=np.uint32)
        numbers += np.uint32((first - 1) & _LOW_WORD)
        inner = ~gaps[1:-1]
        parts = [_packed(_gram(_triples(spread)[inner]), numbers[1:-1][inner])]
        lengths = np.diff(np.flatnonzero(ends))
        near = np.flatnonzero(np.repeat(lengths <= short + 1, lengths))
        if len(near):
            left, right = spread[near], spread[near + 1]
            # The same for either order: two letters that changed places keep their pair.
            both = np.minimum(left, right) * np.uint32(_PAIR) ^ np.maximum(left, right) * np.uint32(_FIRST)
            parts.append(_packed(_gram(both), numbers[near]))
        return np.concatenate(parts)

    def having(self, piece: str) -> Array:
        """Return the numbers of the texts that have all letter triples of the piece, ascending.

        A space at an end of the piece stands for the start or the end of a word.
        """
        import numpy as np

        points = np.array([0 if char == " " else ord(char) for char in piece], np.uint32) * np.uint32(_SPREAD)
        found: Array | None = None
        for gram in (_gram(_triples(points)) >> np.uint32(self._shift)).tolist():
            texts = np.unique(self._texts[self._starts[gram] : self._starts[gram + 1]])
            found = texts if found is None else np.intersect1d(found, texts, assume_unique=True)
        return np.empty(0, np.uint32) if found is None else found

    def weigh(self, normal: str, most: int | None = None, *, short: bool = False) -> tuple[Array, int]:
        """Return a weight for every text, the sum over the grams it shares with the query, and the most possible.

        With `short` the pairs count as well, which only short texts have; without, texts of any length compare.
        """
        import numpy as np

        if most is None:
            most = min(max(self.size, POSTINGS_LEAST), POSTINGS_MOST)
        pairs = self.pairs([normal], short=len(normal) if short else -1)
        grams = np.unique(pairs >> np.uint64(32 + self._shift)).astype(np.int64)
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
    >>> table = KeyTable([KeyTable.pairs(["tnfa", "tp53"], numpy.arange(2))])
    >>> table.find("tnf alpha")[0].item(), table.find("tp35")[0].item(), table.find("brca1").tolist()
    (0, 1, [])
    """

    def __init__(self, parts: Iterable[Array]) -> None:
        import numpy as np

        self._pairs = np.concatenate([*parts, np.empty(0, np.uint64)])
        self._pairs.sort()

    @staticmethod
    def pairs(forms: Sequence[str], numbers: Array) -> Array:
        """Return (key << 32 | text number) for every key of the joined forms of the numbered texts."""
        import numpy as np

        lengths = np.fromiter(map(len, forms), np.int64, len(forms))
        short = np.flatnonzero(lengths <= KEYS_MOST)
        letters = _letters([forms[at] for at in short.tolist()])
        parts = [_packed(_whole_keys(forms), numbers)]
        for left_out in range(KEYS_MOST):
            rows = np.flatnonzero(lengths[short] > left_out)
            rest = np.delete(letters[rows], left_out, axis=1)
            parts.append(_packed(_letter_keys(rest), numbers[short[rows]]))
        return np.concatenate(parts)

    def find(self, normal: str) -> Array:
        """Return the numbers of the texts that share a key with the query, those of its whole form first."""
        import numpy as np

        words = normal.split()
        whole = list(dict.fromkeys(("".join(words), compact(words))))
        short = [form for form in whole if len(form) <= KEYS_MOST + 1]
        rest = list(dict.fromkeys(form[:at] + form[at + 1 :] for form in short for at in range(len(form))))
        # A text may be the query, or with a letter more, or with a letter less, or with another letter.
        likely = [form for form in (*whole, *rest) if len(form) <= KEYS_MOST]
        keys = np.concatenate([_whole_keys([*whole, *rest]), _letter_keys(_letters(likely))]).astype(np.uint64)
        keys <<= np.uint64(32)
        starts = np.searchsorted(self._pairs, keys).tolist()
        stops = np.searchsorted(self._pairs, keys | np.uint64(_LOW_WORD), side="right").tolist()
        found = [self._pairs[start:stop] for start, stop in zip(starts, stops, strict=True)]
        return np.concatenate(found).astype(np.uint32).astype(np.int64)

    @property
    def nbytes(self) -> int:
        """Memory of the table, in bytes."""
        return int(self._pairs.nbytes)


def _whole_keys(forms: Sequence[str]) -> Array:
    import numpy as np

    if not forms:
        return np.empty(0, np.uint32)
    encoded = "\n".join(forms).encode("utf-8", "surrogatepass").split(b"\n")
    return np.fromiter(map(zlib.crc32, encoded), np.uint32, len(forms))


def _letters(forms: Sequence[str]) -> Array:
    """Return the code points of short forms, spread over 32 bits: a row for each, zeros at its end."""
    import numpy as np

    points = np.array(forms, f"<U{KEYS_MOST}").view(np.uint32).reshape(len(forms), KEYS_MOST)
    return (points ^ points >> np.uint32(7)) * np.uint32(_SPREAD)


def _letter_keys(letters: Array) -> Array:
    import numpy as np

    places = np.cumprod(np.full(letters.shape[1], _SECOND, np.uint32), dtype=np.uint32)
    keys: Array = (letters * places).sum(axis=1, dtype=np.uint32)
    return keys


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
