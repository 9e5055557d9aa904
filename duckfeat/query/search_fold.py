"""The normal forms of many texts at once: plain text in a few passes over its bytes, all other text one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from duckfeat.query.search_column import TextColumn
from duckfeat.query.search_text import ROW, cut, normalise, normalise_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["folded"]

_ASCII = 128
_END, _SPACE = ord(ROW), ord(" ")
# Between two letters each sign of ASCII shows what becomes of it: a letter, a blank, or nothing at all.
_SIGNS = [normalise(f"a{chr(code)}a")[1:-1] for code in range(_ASCII)]
_TABLE = bytes(_END if code == _END else ord(sign or " ") for code, sign in enumerate(_SIGNS)).ljust(256)
# What is not ASCII is left out here, for its texts are normalised apart.
_LEFT_OUT = bytes(code for code in range(256) if code >= _ASCII or not _SIGNS[code])


def folded(texts: TextColumn, most: int) -> TextColumn:
    """Return the normal forms of texts (`search_text.normalise`), cut to `most` characters.

    >>> folded(TextColumn.of(["T-cell", "  β cell", "+++", "Hodgkin's"]), 1_000).listed()
    ['t cell', 'beta cell', '+++', 'hodgkins']
    """
    import numpy as np

    data = texts.data
    if int(np.count_nonzero(data == _END)) != len(texts):
        data = np.where(data == _END, np.uint8(_SPACE), data)
        data[texts.starts[1:] - 1] = _END
    plain = _squeezed(np.frombuffer(data.tobytes().translate(_TABLE, _LEFT_OUT), np.uint8))
    starts = np.concatenate([np.zeros(1, np.int64), np.flatnonzero(plain == _END) + 1])
    sizes = np.diff(starts) - 1
    odd = (sizes == 0) | (sizes > most)
    other = np.flatnonzero(data >= _ASCII)
    odd[np.searchsorted(texts.starts[1:], other, side="right")] = True
    numbers = np.flatnonzero(odd)
    if not len(numbers):
        return TextColumn(plain, starts)
    forms = cut(normalise_rows(texts.take(numbers)), most)
    return _spliced(TextColumn(plain, starts), numbers.tolist(), forms)


def _squeezed(plain: Array) -> Array:
    """Return rows without the blanks at their ends and beside other blanks."""
    import numpy as np

    gaps = plain == _SPACE
    extra = np.zeros(len(plain), bool)
    np.logical_and(gaps[:-1], gaps[1:] | (plain[1:] == _END), out=extra[:-1])
    plain = plain[~extra] if extra.any() else plain
    # What is left in front of a row is a single blank.
    leading = np.flatnonzero(plain == _SPACE)
    leading = leading[(leading == 0) | (plain[leading - 1] == _END)]
    return np.delete(plain, leading) if len(leading) else plain


def _spliced(texts: TextColumn, numbers: Sequence[int], forms: Sequence[str]) -> TextColumn:
    """Return the texts with those of some numbers, which ascend, replaced."""
    import numpy as np

    held, starts = texts.data.tobytes(), texts.starts.tolist()
    sizes = np.diff(texts.starts.astype(np.int64))
    pieces: list[bytes] = []
    done = 0
    for number, form in zip(numbers, forms, strict=True):
        encoded = form.encode("utf-8", "surrogatepass") + b"\n"
        pieces += [held[done : starts[number]], encoded]
        done = starts[number + 1]
        sizes[number] = len(encoded)
    pieces.append(held[done:])
    return TextColumn(
        np.frombuffer(b"".join(pieces), np.uint8), np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    )
