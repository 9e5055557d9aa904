"""SQL of typed values whole: each with its kind, so that it is read as it was stored, told apart and ordered.

Values are ordered by kind (flags, numbers, texts, dates, datetimes without a zone, instants, dicts, lists), those of a
kind by its own order: numbers by size, exactly, whole ones and floats together and NaN last, dicts and lists by their
text.
"""

from __future__ import annotations

from collections.abc import Iterable

from duckfeat.compile.scope import Scope
from duckfeat.model.dtypes import ITEM_READERS
from duckfeat.model.kinds import KINDS, MINUS_ZERO, NUMBERS, VALUE_COLUMNS

_RANK = " ".join(f"WHEN '{kind.name}' THEN {kind.rank}" for kind in KINDS.values())
_PLACES = {
    "rank": f"CASE {{0}}.kind {_RANK} END",
    "number": "coalesce({0}.float_value, {0}.int_value::DOUBLE)",
    "rest": "coalesce({0}.int_value::HUGEINT - {0}.int_value::DOUBLE::HUGEINT, 0)::SMALLINT",
    "bool_value": "{0}.bool_value",
    "text_value": "{0}.text_value",
    "date_value": "{0}.date_value",
    "datetime_value": "{0}.datetime_value",
    "instant_value": "timezone('UTC', {0}.instant_value)",
    "json_value": "{0}.json_value",
}
"""What values are ordered by, each where all before are equal; `rest` is what a float of the number does not hold."""
_NUMBER_PLACES = {name: _PLACES[name] for name in ("number", "rest")}
_NUMBER_COLUMNS = (*(KINDS[kind].column for kind in NUMBERS), MINUS_ZERO)


def place_sql(alias: str) -> str:
    """Return the SQL of what the values of a table are ordered by."""
    return packed((name, sql.format(alias)) for name, sql in _PLACES.items())


def number_place_sql(alias: str) -> str:
    """Return the SQL of what numbers, of a table or packed in a column, are ordered by."""
    return packed((name, sql.format(alias)) for name, sql in _NUMBER_PLACES.items())


def number_sql(alias: str) -> str:
    """Return the SQL of the numbers of a table, whole ones or floats."""
    return packed((column, f"{alias}.{column}") for column in _NUMBER_COLUMNS)


def value_sql(scope: Scope) -> str:
    """Return the SQL of the values of a scope of feature values; `items` is the dtype of what their lists hold."""
    columns = {column: f"{scope.alias}.{column}" for column in ("kind", *VALUE_COLUMNS, MINUS_ZERO)}
    columns["instant_value"] = _PLACES["instant_value"].format(scope.alias)
    return packed([*columns.items(), ("items", _items_sql(scope))])


def _items_sql(scope: Scope) -> str:
    """Return the SQL of the items' dtype of lists whose items JSON has as text."""
    cases = [
        f"WHEN {scope.alias}.feature_id = {info.id} THEN '{info.dtype.item.name}'"
        for info in scope.context.features.all()
        if info.dtype.item and info.dtype.item.name in ITEM_READERS
    ]
    return f"CASE {' '.join(cases)} END" if cases else "NULL"


def packed(parts: Iterable[tuple[str, str]]) -> str:
    """Return the SQL of a struct of named expressions."""
    return f"struct_pack({', '.join(f'{name} := {sql}' for name, sql in parts)})"
