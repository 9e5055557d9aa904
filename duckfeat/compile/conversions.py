"""How the cells of an input column become typed values: a table of SQL by dtype and by the column's type.

It decides as `Dtype.encode` does and stores what that stores. A cell that SQL cannot decide in the same way is
`undecided`: its distinct values are handed to `Dtype.encode` itself. In every text `{v}` stands for the cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from duckfeat.model.dtypes import Dtype
from duckfeat.model.kinds import KINDS
from duckfeat.model.sql_types import SqlType

ALWAYS = "TRUE"
NEVER = "FALSE"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What becomes of a cell that is not missing.

    `kind` is what it is stored as and `value` the stored value; `refusals` are conditions with the reasons, the
    first that holds counts; `undecided` is the condition under which Python decides. `missing` is the condition
    under which a cell is none besides NULL.
    """

    kind: str
    value: str
    refusals: tuple[tuple[str, str], ...] = ()
    undecided: str = NEVER
    missing: str = NEVER

    @property
    def certain(self) -> bool:
        """Whether every cell is taken as it is."""
        return not self.refusals and self.undecided == NEVER and self.missing == NEVER


def _refused(reason: str) -> Conversion:
    return Conversion("", "NULL", ((ALWAYS, reason),))


def _asked(kind: str = "") -> Conversion:
    """Return the conversion that Python makes."""
    return Conversion(kind, "NULL", undecided=ALWAYS)


_INT = "-9223372036854775808.0::DOUBLE <= {v} AND {v} < 9223372036854775808.0::DOUBLE"
_NOT_WHOLE = "NOT isfinite({v}) OR {v} <> trunc({v})"
_NOT_64 = "try_cast({v} AS BIGINT) IS NULL"
_INEXACT = "abs({v}::HUGEINT) > 9007199254740992 AND {v}::DOUBLE::HUGEINT <> {v}::HUGEINT"
_BEYOND = "is beyond 64 bits"
_YEARS = "is outside the years 1 to 9999"
_TOO_FINE = ("epoch_ns({v}) % 1000 <> 0", "has a part below the microsecond, which would be lost")
_FAR_DATE = ("NOT isfinite({v}) OR {v} < '0001-01-01' OR {v} > '9999-12-31'", _YEARS)
_FAR_MOMENT = (
    (
        "NOT isfinite({v}) OR try_cast({v} AS TIMESTAMP) IS NULL "
        "OR {v} < '0001-01-01 00:00:00' OR {v} > '9999-12-31 23:59:59.999999'"
    ),
    _YEARS,
)
_FAR_INSTANT = (
    "NOT isfinite({v}) OR {v} < '0001-01-01 00:00:00+00' OR {v} > '9999-12-31 23:59:59.999999+00'",
    "is an instant outside the years 1 to 9999 in UTC",
)
_NS_INSTANT = "timezone('UTC', {v}::TIMESTAMP)"

_WHOLE = {
    "integer": Conversion("int", "{v}::BIGINT"),
    "long": Conversion("int", "{v}"),
    "big": Conversion("int", "try_cast({v} AS BIGINT)", ((_NOT_64, _BEYOND),)),
}
_INT_OF_FLOAT = Conversion(
    "int", "try_cast({v} AS BIGINT)", ((_NOT_WHOLE, "is not a whole number"), (f"NOT ({_INT})", _BEYOND))
)
_DATE = Conversion("date", "{v}", (_FAR_DATE,))
_MOMENT = Conversion("datetime", "try_cast({v} AS TIMESTAMP)", (_FAR_MOMENT,))
_INSTANT = Conversion("instant", "{v}", (_FAR_INSTANT,))
_INSTANT_NS = Conversion("instant", _NS_INSTANT, (_TOO_FINE,))

_TEXT = {"text": Conversion("str", "{v}::VARCHAR")}
_PLAIN: Mapping[str, Mapping[str, Conversion]] = MappingProxyType(
    {
        "bool": {"bool": Conversion("bool", "{v}")},
        "int": {**_WHOLE, "float": _INT_OF_FLOAT, "decimal": _asked()},
        "float": {
            "integer": Conversion("float", "{v}::DOUBLE"),
            "long": Conversion("float", "{v}::DOUBLE", ((_INEXACT, "has no exact float"),)),
            "big": _asked(),
            "float": Conversion("float", "{v}::DOUBLE"),
            "decimal": _asked(),
        },
        "num": {**_WHOLE, "float": Conversion("float", "{v}::DOUBLE"), "decimal": _asked()},
        "str": _TEXT,
        "path": _TEXT,
        "url": _TEXT,
        "date": {"date": _DATE},
        "datetime": {
            "timestamp": _MOMENT,
            "timestamp_ns": Conversion("datetime", "{v}::TIMESTAMP", (_TOO_FINE,)),
            "instant": _INSTANT,
            "instant_ns": _INSTANT_NS,
        },
        "datetime[UTC]": {"instant": _INSTANT, "instant_ns": _INSTANT_NS},
        "dict": {"struct": _asked(), "map": _asked()},
        "list": {"list": _asked()},
        "cat": {"text": Conversion("str", "{v}::VARCHAR")},
    }
)

# Texts that read as a value of a dtype, and how; every other text is Python's to read.
_READ: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "bool": ("lower({v}) IN ('true', 'false')", "lower({v}) = 'true'"),
        "int": ("regexp_full_match({v}, '-?[0-9]{{1,18}}')", "try_cast({v} AS BIGINT)"),
        "float": (
            "regexp_full_match({v}, '-?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?') AND isfinite(try_cast({v} AS DOUBLE))",
            "try_cast({v} AS DOUBLE)",
        ),
        "date": (
            "regexp_full_match({v}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') AND year(try_cast({v} AS DATE)) > 0",
            "try_cast({v} AS DATE)",
        ),
    }
)
_KIND_READ = {"bool": "bool", "int": "int", "float": "float", "date": "date"}


def _reading(dtype: str) -> Conversion:
    """Return the conversion of texts to a dtype."""
    if dtype not in _READ:
        return _asked()
    readable, value = _READ[dtype]
    return Conversion(_KIND_READ[dtype], value, undecided=f"({readable}) IS NOT TRUE")


_COERCED: Mapping[str, Mapping[str, Conversion]] = MappingProxyType(
    {
        "bool": dict.fromkeys(("integer", "long", "big", "float", "decimal", "text"), _asked()),
        "int": {
            "bool": Conversion("int", "{v}::BIGINT"),
            "float": Conversion(
                "int",
                "try_cast(trunc({v}) AS BIGINT)",
                (("NOT isfinite({v})", "is not a whole number"), (f"NOT ({_INT})", _BEYOND)),
            ),
            "text": _reading("int"),
        },
        "float": {
            "bool": Conversion("float", "{v}::BIGINT::DOUBLE"),
            "long": Conversion("float", "{v}::DOUBLE"),
            "text": _reading("float"),
        },
        "num": {"bool": Conversion("int", "{v}::BIGINT"), "text": _asked()},
        "str": {
            "bool": Conversion("str", "{v}::VARCHAR"),
            "integer": Conversion("str", "{v}::VARCHAR"),
            "long": Conversion("str", "{v}::VARCHAR"),
            "big": Conversion("str", "{v}::VARCHAR"),
            "float": Conversion("str", "to_json({v}::DOUBLE)::VARCHAR"),
            "date": Conversion("str", "{v}::VARCHAR", (_FAR_DATE,)),
            **dict.fromkeys(("timestamp", "timestamp_ns", "instant", "instant_ns"), _asked()),
        },
        "date": {
            "timestamp": Conversion("date", "{v}::DATE", (_FAR_MOMENT,)),
            "timestamp_ns": Conversion("date", "{v}::DATE", (_TOO_FINE,)),
            "instant": Conversion("date", "timezone('UTC', {v})::DATE", (_FAR_INSTANT,)),
            "instant_ns": Conversion("date", "{v}::DATE", (_TOO_FINE,)),
            "text": _reading("date"),
        },
        "datetime": {"date": Conversion("datetime", "{v}::TIMESTAMP", (_FAR_DATE,)), "text": _asked()},
        "datetime[UTC]": {
            "date": Conversion("instant", "timezone('UTC', {v}::TIMESTAMP)", (_FAR_DATE,)),
            "timestamp": Conversion("instant", "timezone('UTC', try_cast({v} AS TIMESTAMP))", (_FAR_MOMENT,)),
            "timestamp_ns": _INSTANT_NS,
            "text": _asked(),
        },
    }
)

_NOT_OF: Mapping[str, str] = MappingProxyType(
    {
        "int": "is not an int",
        "num": "is not a number",
        "str": "is not text",
        "path": "is not text",
        "url": "is not text",
        "datetime[UTC]": "is not a datetime",
        "cat": "is no name of a record",
    }
)
# Types of which JSON has every value, written by the engine as `canonical.dumps` writes it.
_JSON_SAFE = frozenset({"bool", "integer", "long", "float", "text", "null"})


def conversion(type_: SqlType, dtype: Dtype, *, coerce: bool) -> Conversion:
    """Return how cells of a type become values of a dtype.

    >>> from duckfeat.model.dtypes import parse_dtype
    >>> conversion(SqlType("integer", "INTEGER"), parse_dtype(float), coerce=False).value
    '{v}::DOUBLE'
    """
    name, family = dtype.base.name, type_.family
    if family == "null":
        return Conversion("", "NULL", missing=ALWAYS)
    if family == "json":
        return _asked()
    if family == "raw":
        return _TEXT["text"] if name in {"str", "path", "url", "cat"} else _reading(name)
    if name in {"dict", "list"}:
        return _nested(type_, dtype)
    found = (_COERCED.get(name, {}).get(family) if coerce else None) or _PLAIN[name].get(family)
    if found is None and name == "datetime[UTC]" and family.startswith("timestamp"):
        return _refused("has no time zone")
    return found or _refused(_NOT_OF.get(name, f"is not a {name}"))


def _nested(type_: SqlType, dtype: Dtype) -> Conversion:
    kind = dtype.base.name
    if type_.family not in {"dict": ("struct", "map"), "list": ("list",)}[kind]:
        return _refused(f"is not a {kind}")
    if dtype.item is None and _is_json(type_):
        return Conversion(kind, "to_json({v})::VARCHAR")
    if dtype.item is not None and type_.item is not None and _is_json(type_.item):
        item = _PLAIN[dtype.item.base.name].get(type_.item.family)
        if item is not None and item.certain:
            cast = KINDS[item.kind].sql_type
            return Conversion(kind, f"to_json({{v}}::{cast}[])::VARCHAR")
    return _asked()


def _is_json(type_: SqlType) -> bool:
    if type_.family in {"list", "struct"}:
        return all(_is_json(child) for _, child in type_.children)
    return type_.family in _JSON_SAFE


def columns_of(dtype: Dtype) -> tuple[str, ...]:
    """Return the columns of `typed_values` that values of a dtype may stand in; a category's name is text."""
    return tuple(KINDS[kind].column for kind in dtype.base.kinds) or ("text_value",)


def filled(sql: str, cell: str) -> str:
    """Return a text of a conversion for a cell."""
    return sql.replace("{v}", cell).replace("{{", "{").replace("}}", "}")
