"""Many strings in little memory: their UTF-8 in one buffer, as Arrow hands it over, no Python object for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from duckfeat.query.search_text import ROW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["SEPARATOR", "TextColumn"]

SEPARATOR = "|"
"""Stands between the texts of a field that holds several."""

_END, _ASCII = ord(ROW), 128


class TextColumn:
    """Strings as UTF-8, each followed by a byte that is no part of it.

    >>> import numpy
    >>> column = TextColumn.of(["a", "", "β cell"])
    >>> column.take(numpy.array([2, 0])), len(column)
    (['β cell', 'a'], 3)
    """

    def __init__(self, data: Array, starts: Array) -> None:
        """Hold texts; `starts` has one place more than there are texts, which is the length of the data."""
        import numpy as np

        self.data = data
        self.starts = starts.astype(np.uint32) if len(data) >> 32 == 0 else starts
        self._bytes = data.data

    @classmethod
    def of(cls, texts: Iterable[str]) -> TextColumn:
        """Return the column of some strings."""
        import numpy as np

        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        starts = np.fromiter(accumulate((len(text) + 1 for text in encoded), initial=0), np.int64, len(encoded) + 1)
        data = np.frombuffer(b"\n".join([*encoded, b""]), np.uint8)
        return cls(data, starts)

    @classmethod
    def read(cls, column: Any, *, split: bool = False) -> tuple[TextColumn, Array]:
        """Return the texts of a column that are there, and the place in it that each has.

        The column is an Arrow array of texts, in one piece or in chunks, or a sequence of strings and None. With
        `split` a string holds several texts, with a bar between each two.

        >>> texts, places = TextColumn.read(["T cell", None, "Treg|T-reg"], split=True)
        >>> len(texts), places.tolist()
        (3, [0, 2, 2])
        """
        import numpy as np

        texts, places = _of_arrow(column) if hasattr(column, "null_count") else _of_strings(column)
        if split and len(texts):
            ends = texts.data == ord(SEPARATOR)
            ends[texts.starts[1:] - 1] = True
            at = np.flatnonzero(ends)
            places = places[np.searchsorted(texts.starts[1:], at, side="right")]
            data = texts.data.copy()
            data[at] = _END
            texts = cls(data, np.concatenate([np.zeros(1, np.int64), at + 1]))
        return texts, places

    @classmethod
    def joined(cls, columns: Sequence[TextColumn]) -> TextColumn:
        """Return the texts of all columns as one, in order."""
        import numpy as np

        if len(columns) == 1:
            return columns[0]
        firsts = accumulate((len(column.data) for column in columns), initial=0)
        starts = [column.starts[:-1].astype(np.int64) + first for column, first in zip(columns, firsts, strict=False)]
        data = np.concatenate([np.empty(0, np.uint8), *(column.data for column in columns)])
        return cls(data, np.concatenate([*starts, np.array([len(data)])]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def part(self, first: int, stop: int) -> TextColumn:
        """Return the texts from one number up to another, sharing memory."""
        starts = self.starts[first : stop + 1]
        return TextColumn(self.data[starts[0] : starts[-1]], starts - starts[0])

    def take(self, numbers: Array) -> list[str]:
        """Return the texts with these numbers, in their order."""
        held = self._bytes
        places = zip(self.starts[numbers].tolist(), self.starts[numbers + 1].tolist(), strict=True)
        return [str(held[start : stop - 1], "utf-8", "surrogatepass") for start, stop in places]

    def sizes(self, numbers: Array) -> Array:
        """Return how many bytes each of the texts with these numbers takes."""
        import numpy as np

        sizes: Array = self.starts[numbers + 1].astype(np.int64) - self.starts[numbers] - 1
        return sizes

    def start(self, number: int, most: int) -> bytes:
        """Return the first bytes of a text."""
        first, stop = int(self.starts[number]), int(self.starts[number + 1]) - 1
        return self.data[first : min(stop, first + most)].tobytes()

    def begin_with(self, numbers: Array, start: bytes) -> Array:
        """Return which of the texts with these numbers begin with some bytes."""
        begin = self.sizes(numbers) >= len(start)
        firsts = self.starts[numbers].astype(int)
        for place, byte in enumerate(start):
            begin[begin] = self.data[firsts[begin] + place] == byte
        return begin

    def having(self, piece: bytes) -> Array:
        """Return the numbers of the texts that have some bytes in them, ascending."""
        import numpy as np

        at = np.flatnonzero(self.data[: len(self.data) - len(piece) + 1] == piece[0])
        for place, byte in enumerate(piece[1:], 1):
            at = at[self.data[at + place] == byte]
        return np.unique(np.searchsorted(self.starts, at, side="right") - 1)

    def listed(self) -> list[str]:
        """Return all texts."""
        import numpy as np

        return self.take(np.arange(len(self)))

    def points(self) -> Array:
        """Return the code points of all texts, each text followed by a line break."""
        import numpy as np

        if self.data.max(initial=0) < _ASCII:
            return self.data
        decoded = str(self._bytes, "utf-8", "surrogatepass")
        return np.frombuffer(decoded.encode("utf-32-le", "surrogatepass"), np.uint32)

    @property
    def nbytes(self) -> int:
        """Memory of the column, in bytes."""
        return int(self.data.nbytes + self.starts.nbytes)


def _of_strings(column: Sequence[str | None]) -> tuple[TextColumn, Array]:
    import numpy as np

    there = [text is not None for text in column]
    return TextColumn.of(text for text in column if text is not None), np.flatnonzero(there)


def _of_arrow(column: Any) -> tuple[TextColumn, Array]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    array = column.cast(pa.large_string())
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    places = np.arange(len(array))
    if array.null_count:
        places = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False))
        array = array.drop_null()
    if not len(array):
        return TextColumn.of([]), places
    ended = pc.binary_join_element_wise(array, _arrow_text(""), _arrow_text(ROW))
    _, starts, data = ended.buffers()
    return TextColumn(np.frombuffer(data, np.uint8), np.frombuffer(starts, np.int64)), places


def _arrow_text(text: str) -> Any:
    import pyarrow as pa

    return pa.scalar(text, pa.large_string())
