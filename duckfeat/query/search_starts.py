"""Finding texts by their beginnings: what people type first.

The order of the texts by their first letters, blanks aside, gives all texts that begin with a few letters as one run
of it. It takes four bytes for each text, and is made when a short query is asked for the first time.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from duckfeat.query.search_column import TextColumn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["START_MOST", "StartTable"]

START_MOST = 8
"""Texts are found by this many bytes of their beginning at most; what is longer has telling letters enough."""

# Read so that the blanks among the first bytes may be left out.
_READ = START_MOST + 4
_SPACE = ord(" ")
# Texts whose order is made at once; more of them take more memory for a moment.
_AT_ONCE = 1 << 18


class StartTable:
    """Texts by how they begin; normal forms, so that an end is below every letter.

    >>> table = StartTable(TextColumn.of(["t cell", "tcf7", "neuron", "b cell", "neural crest"]))
    >>> [table.starting(typed).tolist() for typed in ("t c", "tc", "neu", "x")]
    [[0, 1], [1, 0], [2, 4], []]
    """

    def __init__(self, texts: TextColumn) -> None:
        import numpy as np

        self._texts = texts
        size = len(texts)
        keys = [_keys(texts, np.arange(at, min(at + _AT_ONCE, size))) for at in range(0, size, _AT_ONCE)]
        self._order = np.argsort(np.concatenate([*keys, np.empty(0, np.uint64)]), kind="stable").astype(np.uint32)

    def starting(self, typed: str, most: int | None = None, allowed: Array | None = None) -> Array:
        """Return the numbers of the texts that begin with a normal form, the shortest first.

        At most `most` that begin so as they stand, and after them as many that do without blanks. `allowed` tells of
        each text whether it may be found.
        """
        import numpy as np

        start = typed.encode("utf-8", "surrogatepass")
        joined = _key(start)
        first, stop = self._place(joined.ljust(START_MOST, b"\0")), self._place(joined.ljust(START_MOST, b"\xff"))
        found = np.sort(self._order[first:stop]).astype(np.int64)
        if allowed is not None:
            found = found[allowed[found]]
        as_it_stands = self._texts.begin_with(found, start)
        whole = _shortest(found[as_it_stands], self._texts, most)
        parted = _shortest(found[~as_it_stands], self._texts, most)
        return np.concatenate([whole, parted])

    def _place(self, key: bytes) -> int:
        """Return how many texts have a key below this one."""
        return bisect_left(self._order, key, key=lambda number: _key(self._texts.start(number, _READ)))

    @property
    def nbytes(self) -> int:
        """Memory of the table, in bytes; the texts are not its own."""
        return int(self._order.nbytes)


def _key(start: bytes) -> bytes:
    """Return what the order of texts goes by, of the first bytes of one; without the zeros that fill it up."""
    return start[:_READ].replace(b" ", b"")[:START_MOST]


def _keys(texts: TextColumn, numbers: Array) -> Array:
    """Return `_key` of many texts, as numbers."""
    import numpy as np

    firsts = texts.starts[numbers].astype(np.int64)
    ends = texts.starts[numbers + 1].astype(np.int64) - 1
    keys = np.zeros(len(numbers), np.uint64)
    free = np.full(len(numbers), START_MOST, np.uint64)
    for place in range(_READ):
        at = firsts + place
        letters = texts.data[np.minimum(at, ends)]
        kept = (at < ends) & (letters != _SPACE) & (free > 0)
        keys = np.where(kept, keys << np.uint64(8) | letters, keys)
        free -= kept
    keys <<= free * np.uint64(8)
    return keys


def _shortest(numbers: Array, texts: TextColumn, most: int | None) -> Array:
    """Return the numbers of the shortest texts, `most` of them, in order; equals in the order of their numbers."""
    import numpy as np

    sizes = texts.sizes(numbers)
    if most is not None and len(numbers) > most:
        short = sizes <= np.partition(sizes, most - 1)[most - 1]
        numbers, sizes = numbers[short], sizes[short]
    chosen: Array = numbers[np.argsort(sizes, kind="stable")[:most]]
    return chosen
