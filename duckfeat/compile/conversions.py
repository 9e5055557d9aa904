"""How the cells of an input column become typed values: a table of SQL by dtype and by the column's type.

It decides as `Dtype.encode` does and stores what that stores. A cell that SQL cannot decide in the same way is
`undecided`: its distinct values are handed to `Dtype.encode` itself. In every text `{v}` stands for the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from duckfeat.model.dtypes import TOO_FINE, Dtype
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


SEVERAL = _refused("is a list, and the feature takes one value: register it with multiple=True for several")
"""The conversion of lists for a feature that takes one value, which is no list."""

_INT = "-9223372036854775808.0::DOUBLE <= {v} AND {v} < 9223372036854775808.0::DOUBLE"
_NOT_WHOLE = "NOT isfinite({v}) OR {v} <> trunc({v})"
_NOT_64 = "try_cast({v} AS BIGINT) IS NULL"
_INEXACT = "abs({v}::HUGEINT) > 9007199254740992 AND {v}::DOUBLE::HUGEINT <> {v}::HUGEINT"
_BEYOND = "is beyond 64 bits"
_YEARS = "is outside the years 1 to 9999"
_TOO_FINE = ("epoch_ns({v}) % 1000 <> 0", TOO_FINE)
_FAR_DATE = ("NOT isfinite({v}) OR {v} < '0001-01-01' OR {v} > '9999-12-31'", _YEARS)
_FAR_MOMENT = (
    (
        "NOT isfinite({v}) OR try_cast({v} AS TIMESTAMP) IS NULL "
        "OR {v}::TIMESTAMP < '0001-01-01 00:00:00' OR {v}::TIMESTAMP > '9999-12-31 23:59:59.999999'"
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

_TEXTS = frozenset({"str", "path", "url", "cat"})
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

_NUMERIC = "-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?"
_TIMED = "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}"
# Texts that read as a value of a dtype, and how; every other text is Python's to read.
_READ: Mapping[str, Conversion] = MappingProxyType(
    {
        name: Conversion(kind, value, undecided=f"({readable}) IS NOT TRUE")
        for name, kind, readable, value in (
            ("bool", "bool", "lower({v}) IN ('true', 'false')", "lower({v}) = 'true'"),
            ("int", "int", "regexp_full_match({v}, '-?[0-9]{1,18}')", "try_cast({v} AS BIGINT)"),
            ("num", "int", "regexp_full_match({v}, '-?[0-9]{1,18}')", "try_cast({v} AS BIGINT)"),
            (
                "float",
                "float",
                f"regexp_full_match({{v}}, '{_NUMERIC}') AND isfinite(try_cast({{v}} AS DOUBLE))",
                "try_cast({v} AS DOUBLE)",
            ),
            (
                "date",
                "date",
                "regexp_full_match({v}, '[0-9]{4}-[0-9]{2}-[0-9]{2}') AND year(try_cast({v} AS DATE)) > 0",
                "try_cast({v} AS DATE)",
            ),
            (
                "datetime",
                "datetime",
                f"regexp_full_match({{v}}, '{_TIMED}') AND year(try_cast({{v}} AS TIMESTAMP)) > 0",
                "try_cast({v} AS TIMESTAMP)",
            ),
        )
    }
)


def _reading(dtype: str) -> Conversion:
    """Return the conversion of texts to a dtype."""
    return _READ.get(dtype, _asked())


_INNER = "({v} ->> '$')"
JSON_TYPE = (
    f"CASE WHEN json_type({{v}}) = 'DOUBLE' AND regexp_full_match({_INNER}, '-?[0-9]+') THEN 'HUGEINT' "
    "ELSE json_type({v}) END"
)
"""The type of a JSON value; DuckDB itself takes whole numbers beyond 64 bits for floats."""
# JSON scalars of the type that a dtype has; every other JSON value is Python's to read.
_OF_JSON: Mapping[str, Conversion] = MappingProxyType(
    {
        name: Conversion(kind, value, undecided=f"({JSON_TYPE} IN ({types}) AND {value} IS NOT NULL) IS NOT TRUE")
        for name, kind, types, value in (
            ("bool", "bool", "'BOOLEAN'", f"{_INNER} = 'true'"),
            ("int", "int", "'BIGINT', 'UBIGINT'", f"try_cast({_INNER} AS BIGINT)"),
            ("num", "int", "'BIGINT', 'UBIGINT'", f"try_cast({_INNER} AS BIGINT)"),
            ("float", "float", "'DOUBLE'", f"try_cast({_INNER} AS DOUBLE)"),
            *((name, "str", "'VARCHAR'", _INNER) for name in ("str", "path", "url", "cat")),
        )
    }
)

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
        "num": {"bool": Conversion("int", "{v}::BIGINT"), "text": _reading("num")},
        "str": {
            "bool": Conversion("str", "{v}::VARCHAR"),
            "integer": Conversion("str", "{v}::VARCHAR"),
            "long": Conversion("str", "{v}::VARCHAR"),
            "big": Conversion("str", "{v}::VARCHAR"),
            "decimal": _asked(),
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
        "datetime": {
            "date": Conversion("datetime", "{v}::TIMESTAMP", (_FAR_DATE,)),
            "text": _reading("datetime"),
        },
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
        "cat": "is not the name of a record",
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
    if type_.id in _WRITTEN_OUT:
        return _cast(conversion(_TEXT_TYPE, dtype, coerce=coerce), _TEXT_TYPE.text)
    if family in _WHOLLY:
        return _WHOLLY[family](name)
    if name in {"dict", "list"}:
        return _nested(type_, dtype)
    if family == "decimal" and 0 < type_.width <= 15:
        # So few digits are all in a float, and come back from it.
        family, cast = ("float", "DOUBLE") if type_.scale else ("long", "BIGINT")
        return _cast(conversion(SqlType(*_STAND_INS[family]), dtype, coerce=coerce), cast)
    found = (_COERCED.get(name, {}).get(family) if coerce else None) or _PLAIN[name].get(family)
    return found or _not_of(name, family)


def _not_of(name: str, family: str) -> Conversion:
    """Return the conversion of cells that are of another kind than a dtype."""
    reason = _NOT_OF.get(name, f"is not a {name}")
    if name == "datetime[UTC]" and family.startswith("timestamp"):
        reason = "has no time zone"
    finer = (_TOO_FINE,) if family in {"timestamp_ns", "instant_ns"} else ()
    return Conversion("", "NULL", (*finer, (ALWAYS, reason)))


_WHOLLY: Mapping[str, Callable[[str], Conversion]] = {
    "null": lambda name: Conversion("", "NULL", missing=ALWAYS),
    "json": lambda name: _OF_JSON.get(name, _asked()),
    "raw": lambda name: _TEXT["text"] if name in _TEXTS else _reading(name),
}
_TEXT_TYPE = SqlType("varchar", "VARCHAR")
_WRITTEN_OUT = frozenset({"enum", "uuid"})
"""Types whose values are names: their texts are converted."""

_STAND_INS = {"float": ("double", "DOUBLE"), "long": ("bigint", "BIGINT")}


def _cast(found: Conversion, sql_type: str) -> Conversion:
    """Return a conversion of cells that are cast first."""
    cell = f"({{v}}::{sql_type})"
    refusals = tuple((filled(sql, cell), reason) for sql, reason in found.refusals)
    undecided, missing = filled(found.undecided, cell), filled(found.missing, cell)
    return replace(found, value=filled(found.value, cell), refusals=refusals, undecided=undecided, missing=missing)


def _nested(type_: SqlType, dtype: Dtype) -> Conversion:
    kind = dtype.base.name
    if type_.family not in {"dict": ("struct", "map"), "list": ("list",)}[kind]:
        return _not_of(kind, type_.family)
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
    return sql.replace("{v}", cell)
