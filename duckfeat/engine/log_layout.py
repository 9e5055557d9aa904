"""How DuckDB lays out a write-ahead log, as far as it takes to tell one that is damaged from one cut off at its end.

A log begins with an entry that holds its version and what file it is of. Every other one is a size, a checksum (8 bytes
each) and so many bytes; the last of a transaction is always the same. A process that was killed leaves an entry that
the file is too short for, and DuckDB drops it without a word. It does the same for an entry whose size was damaged, and
for all that follow: then ends of transactions do.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

BEGINNING = b"\x64\x00\x62"
"""How every log begins: field 100 of its first entry, the version."""
_VERSION, _VERSIONED = 2, BEGINNING + b"\x65\x00"
_HEAD = struct.Struct("<QQ")
# The checksum and the bytes of the entry that ends a transaction.
_END = bytes.fromhex("e7fe7d722fed3d5e 640064ffff")
_FIELD, _LAST_FIELD = struct.Struct("<H"), 0xFFFF
# The fields of the first entry after its version: a list of numbers, which tells the file, and a number.
_FILE, _ITERATION, _POSSIBLE_FIELDS = 102, 103, range(102, 120)
_FILE_LENGTH = 16


def damaged_at(path: Path) -> int | None:
    """Return where in a log an entry is damaged that DuckDB takes for the end of it; None if there is none.

    A log of a layout that is not known here is not judged, nor is one that DuckDB refuses itself.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as log:
            at = _walked(log, _first(log))
            return at if at is not None and log.find(_END, at) >= 0 else None


def _walked(log: mmap.mmap, at: int | None) -> int | None:
    """Return where the first entry begins that the log is too short for."""
    while at is not None and at + _HEAD.size <= len(log):
        size, _ = _HEAD.unpack_from(log, at)
        if at + _HEAD.size + size > len(log):
            break
        at += _HEAD.size + size
    return at


def _first(log: mmap.mmap) -> int | None:
    """Return where the first entry ends, 0 if it is none; None if it is one of a layout not known here."""
    try:
        if log[: len(_VERSIONED)] != _VERSIONED:
            return 0
        return _fields(log, len(_VERSIONED) + 1) if log[len(_VERSIONED)] == _VERSION else None
    except (IndexError, struct.error):
        return 0


def _fields(log: mmap.mmap, at: int) -> int | None:
    """Return where the fields end that follow the version, 0 if they are none; None for one that is not known here."""
    while True:
        (name,) = _FIELD.unpack_from(log, at)
        at += _FIELD.size
        if name == _LAST_FIELD:
            return at
        if name not in (_FILE, _ITERATION):
            return None if name in _POSSIBLE_FIELDS else 0
        count, at = _number(log, at)
        if name == _FILE and count != _FILE_LENGTH:
            return 0
        for _ in range(count if name == _FILE else 0):
            byte, at = _number(log, at)
            if byte > 0xFF:
                return 0


def _number(log: mmap.mmap, at: int) -> tuple[int, int]:
    """Return the number that is written at a place, seven bits a byte, and where it ends."""
    number = shift = 0
    while True:
        byte = log[at]
        number, shift, at = number | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return number, at
