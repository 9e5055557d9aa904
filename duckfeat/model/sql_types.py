"""The types of input columns as plain data: what an engine says of them, and the family each belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Families of types that are converted alike, with the names engines give the types in them. `integer` fits into
# 64 bits and into a float, `long` into 64 bits, `big` need not.
_FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bool": ("boolean",),
        "integer": ("tinyint", "smallint", "integer", "utinyint", "usmallint", "uinteger"),
        "long": ("bigint",),
        "big": ("ubigint", "hugeint", "uhugeint"),
        "float": ("float", "double"),
        "decimal": ("decimal",),
        "text": ("varchar", "enum", "uuid"),
        "date": ("date",),
        "timestamp": ("timestamp", "timestamp_s", "timestamp_ms"),
        "timestamp_ns": ("timestamp_ns",),
        "instant": ("timestamp with time zone",),
        "instant_ns": ("timestamptz_ns",),
        "json": ("json", "ndjson"),
        "raw": ("raw",),
        "list": ("list", "array"),
        "struct": ("struct",),
        "map": ("map",),
        "null": ("null",),
    }
)
_BY_ID = {id_: family for family, ids in _FAMILIES.items() for id_ in ids}


@dataclass(frozen=True, slots=True)
class SqlType:
    """A column's type: `id` names it, `text` is how SQL writes it, `children` are its parts by name.

    `id` is the engine's own word in lower case, with three more: `json`, `ndjson` for the values of a JSON file,
    where moments can only be text, and `raw` for the cells of a text file, which have no type yet. `width` and
    `scale` are those of a decimal.

    >>> SqlType("smallint", "SMALLINT").family
    'integer'
    """

    id: str
    text: str
    children: tuple[tuple[str, SqlType], ...] = ()
    scale: int = 0
    width: int = 0

    @property
    def family(self) -> str:
        """The family of types that are converted alike; `other` for those no value can come from."""
        return _BY_ID.get(self.id, "other")

    @property
    def item(self) -> SqlType | None:
        """The type of a list's items."""
        return self.children[0][1] if self.family == "list" else None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an input: the name it came with, the name it is scanned by, and its type."""

    name: str
    id: str
    type: SqlType


RAW = SqlType("raw", "VARCHAR")
JSON = SqlType("json", "JSON")
NDJSON = SqlType("ndjson", "JSON")
NULL = SqlType("null", "VARCHAR")
UNREAD = "unread"
"""The id of types that are not read: no value is there to be looked at."""
