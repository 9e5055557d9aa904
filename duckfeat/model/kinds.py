"""The physical kinds a value is stored as: one typed column each, and one canonical text for the hash.

A value's kind is written beside it. Two values are the same value if their feature, kind and canonical
text are the same; `value_hash` is the digest of kind and text, and the view `feature_values` computes the
identical digest in SQL.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

HASH_LENGTH = 22
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1)
_CANONICAL_NAN = "0111111111111000" + "0" * 48


def _float_bits(value: float) -> str:
    if math.isnan(value):
        return _CANONICAL_NAN
    return f"{int.from_bytes(struct.pack('>d', value), 'big'):064b}"


def _epoch_us(value: datetime) -> str:
    moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return str((moment - _EPOCH) // timedelta(microseconds=1))


@dataclass(frozen=True, slots=True)
class Kind:
    """One physical kind: the column that holds it, that column's SQL type, and its canonical text.

    Values of several kinds are ordered by `rank` first; numbers share one.
    """

    name: str
    column: str
    sql_type: str
    rank: int
    canonical: Callable[[Any], str]


_ROWS = (
    Kind("bool", "bool_value", "BOOLEAN", 0, lambda value: "true" if value else "false"),
    Kind("int", "int_value", "BIGINT", 1, str),
    Kind("float", "float_value", "DOUBLE", 1, _float_bits),
    Kind("str", "text_value", "VARCHAR", 2, str),
    Kind("date", "date_value", "DATE", 3, lambda value: str(value.toordinal() - _EPOCH_DAY)),
    Kind("datetime", "datetime_value", "TIMESTAMP", 4, _epoch_us),
    Kind("instant", "instant_value", "TIMESTAMP WITH TIME ZONE", 5, _epoch_us),
    Kind("dict", "json_value", "VARCHAR", 6, str),
    Kind("list", "json_value", "VARCHAR", 7, str),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ROWS})

VALUE_COLUMNS: Mapping[str, str] = MappingProxyType({kind.column: kind.sql_type for kind in _ROWS})

NUMBERS = ("int", "float")
"""The kinds of numbers."""

MINUS_ZERO = "minus_zero"
STORED_COLUMNS: Mapping[str, str] = MappingProxyType({**VALUE_COLUMNS, MINUS_ZERO: "BOOLEAN"})
"""What a value is written as: the column of its kind, and whether it is the float minus zero.

Minus zero is stored as zero, marked: it equals zero, so that DuckDB 1.5 and Parquet keep one of the two where they
compress a column by its runs or its distinct values.
"""


def stored(kind: str, physical: Any) -> tuple[Any, ...]:
    """Return the values of `STORED_COLUMNS` for a typed value.

    >>> [value for value in stored("float", -0.0) if value is not None]
    [0.0, True]
    """
    minus = kind == "float" and physical == 0 and math.copysign(1, physical) < 0
    own = KINDS[kind].column
    row = [(abs(physical) if minus else physical) if column == own else None for column in VALUE_COLUMNS]
    return (*row, minus or None)


def float_sql(alias: str) -> str:
    """Return the SQL of a stored float, with the sign of minus zero, whichever zero stands for it."""
    return f"CASE WHEN {alias}.{MINUS_ZERO} THEN -abs({alias}.float_value) ELSE {alias}.float_value END"


def value_hash(kind: str, physical: Any) -> str:
    """Return the 22-character digest of a typed value: URL-safe base64 of the MD5 of kind and canonical text.

    `physical` is the value as it is stored: for `dict` and `list` their canonical JSON text.

    >>> value_hash("int", 1) == value_hash("float", 1.0)
    False
    >>> len(value_hash("str", ""))
    22
    """
    text = f"{kind}:{KINDS[kind].canonical(physical)}"
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).decode()[:HASH_LENGTH]
