"""What a lookup may be given: operands checked and converted for the type they are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from duckfeat.errors import InvalidArgument
from duckfeat.model.arguments import shown
from duckfeat.model.canonical import NotJson, dumps
from duckfeat.model.dtypes import TOO_LONG, Refused, is_missing, moment_text, plain
from duckfeat.model.kinds import NUMBERS


class Mismatch(InvalidArgument):
    """An operand of a kind that cannot be compared with the field's type."""


def _refuse(kind: str, operand: Any) -> Mismatch:
    return Mismatch(f"{shown(operand)} ({type(operand).__name__}) is not {kind}", value=operand)


def _text(operand: Any) -> Any:
    if isinstance(operand, str):
        return _valid(operand)
    if hasattr(operand, "__fspath__"):
        return _valid(operand.__fspath__())
    raise _refuse("text", operand)


def _valid(text: Any) -> Any:
    try:
        text.encode()
    except (UnicodeEncodeError, AttributeError):
        raise _refuse("valid Unicode text", text) from None
    return text


def _number(operand: Any) -> Any:
    if isinstance(operand, int | float) and not isinstance(operand, bool):
        return operand
    if isinstance(operand, Decimal):
        raise Refused(TOO_LONG)
    raise _refuse("a number", operand)


def _flag(operand: Any) -> Any:
    if isinstance(operand, bool) or (isinstance(operand, int) and operand in (0, 1)):
        return bool(operand)
    raise _refuse("True or False", operand)


def _day(operand: Any) -> Any:
    if isinstance(operand, datetime):
        raise _refuse("a date", operand)
    if isinstance(operand, date):
        return operand
    return _parsed(date.fromisoformat, operand, "a date")


def _clock(operand: Any) -> Any:
    clock = operand if isinstance(operand, time) else _parsed(time.fromisoformat, operand, "a time of day")
    if clock.tzinfo is not None:
        raise _refuse("a time of day without time zone", operand)
    return clock


def _moment(operand: Any) -> datetime:
    if isinstance(operand, datetime):
        return operand
    if isinstance(operand, date):
        return datetime(operand.year, operand.month, operand.day)
    moment: datetime = _parsed(datetime.fromisoformat, operand, "a datetime")
    return moment


def _naive(operand: Any) -> Any:
    moment = _moment(operand)
    if moment.tzinfo is not None:
        raise _refuse("a datetime without time zone", operand)
    return moment


def _instant(operand: Any) -> Any:
    moment = _moment(operand)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _refuse("an instant of the years 1 to 9999 in UTC", operand) from None


def _parsed(parse: Callable[[str], Any], operand: Any, kind: str) -> Any:
    if not isinstance(operand, str):
        raise _refuse(kind, operand)
    try:
        return parse(operand)
    except ValueError:
        raise _refuse(kind, operand) from None


def _nested(types: tuple[type, ...], kind: str) -> Callable[[Any], Any]:
    def convert(operand: Any) -> Any:
        if not isinstance(operand, types):
            raise _refuse(kind, operand)
        try:
            return dumps(operand)
        except NotJson as error:
            raise Mismatch(f"{shown(operand)} holds {error}", value=operand) from None

    return convert


CONVERT: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "str": _text,
        "int": _number,
        "float": _number,
        "bool": _flag,
        "date": _day,
        "datetime": _naive,
        "instant": _instant,
        "time": _clock,
        "dict": _nested((Mapping,), "a dict"),
        "list": _nested((list, tuple), "a list"),
    }
)
"""For each type, the function that checks an operand and converts it; it raises `Mismatch`."""


def asked(operand: Any, what: str) -> Any:
    """Return the operand of a lookup as Python has it; what is missing in any library is None.

    >>> import numpy
    >>> asked(numpy.array(5), "n_cells"), asked(numpy.datetime64("NaT", "D"), "taken_on")
    (5, None)
    """
    try:
        return None if is_missing(operand) else plain(operand)
    except Refused as error:
        raise InvalidArgument(f"{what}: {shown(operand)} {error}", value=operand) from None


def convert(type_: str, operand: Any) -> Any:
    """Return an operand as it is compared with a type.

    >>> convert("instant", "2024-05-01").isoformat()
    '2024-05-01T00:00:00+00:00'
    >>> convert("int", "1")
    Traceback (most recent call last):
    ...
    duckfeat.compile.operands.Mismatch: '1' (str) is not a number
    """
    try:
        return CONVERT[type_](plain(operand))
    except Refused as error:
        raise Mismatch(f"{shown(operand)} {error}", value=operand) from None


def kinds_of(operand: Any) -> tuple[str, ...]:
    """Return the kinds of stored values that a Python value meets: its own kind, and numbers all numbers.

    >>> kinds_of(1), kinds_of(True), kinds_of("1")
    (('int', 'float'), ('bool',), ('str',))
    """
    operand = asked(operand, "value")
    if isinstance(operand, datetime):
        return ("instant",) if operand.tzinfo else ("datetime",)
    for types, kinds in _MEETS:
        if isinstance(operand, types):
            return kinds
    raise InvalidArgument(f"no feature value is a {type(operand).__name__}: {shown(operand)}", value=operand)


_MEETS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (bool, ("bool",)),
    ((int, float), ("int", "float")),
    (str, ("str",)),
    (date, ("date",)),
    (Mapping, ("dict",)),
    ((list, tuple), ("list",)),
)

# How an order between whole numbers reads for an operand that lies between two of them.
_ROUND = {
    "gt": ("gt", math.floor),
    "gte": ("gt", math.floor),
    "lt": ("lt", math.ceil),
    "lte": ("lt", math.ceil),
}
_INT_RANGE = range(-(2**63), 2**63)


def exact_number(type_: str, order: str, operand: int | float) -> tuple[str, int | float] | bool:
    """Return the order and operand to compare a number column with, so that nothing is rounded on the way.

    A bool tells that every value fulfils it, or none.

    >>> exact_number("int", "gte", 10.5), exact_number("int", "lt", 2**70), exact_number("int", "exact", 0.5)
    (('gt', 10), True, False)
    """
    if isinstance(operand, float) and math.isnan(operand):
        return (order, operand) if type_ == "float" and order == "exact" else False
    if type_ == "float":
        return _float_operand(order, operand)
    if isinstance(operand, float):
        if math.isinf(operand):
            return _beyond(order, operand > 0)
        if not operand.is_integer():
            if order == "exact":
                return False
            order, to_whole = _ROUND[order]
            operand = to_whole(operand)
    whole = int(operand)
    return (order, whole) if whole in _INT_RANGE else _beyond(order, whole > 0)


def _beyond(order: str, above: bool) -> bool:
    return order in (("lt", "lte") if above else ("gt", "gte"))


def _float_operand(order: str, operand: int | float) -> tuple[str, float] | bool:
    try:
        near = float(operand)
    except OverflowError:
        near = math.inf if operand > 0 else -math.inf
    if near == operand:
        return order, near
    if order == "exact":
        return False
    if near > operand:
        return {"gt": "gte", "gte": "gte", "lt": "lt", "lte": "lt"}[order], near
    return {"gt": "gt", "gte": "gt", "lt": "lte", "lte": "lte"}[order], near


# --- items of lists ------------------------------------------------------------------------------


def as_items(operand: Any, kinds: Iterable[str] | None = None) -> list[str]:
    """Return the canonical JSON of each list item that a Python value equals, without repeats.

    `kinds` are those of the items if all are of one dtype; else a value meets items of its own kind, and a number
    all numbers.

    Raises `Mismatch` for a value that no such list holds.

    >>> as_items(0), as_items("2024-05-01", ["date"]), as_items(1.5, ["int"])
    (['0', '0.0', '-0.0'], ['"2024-05-01"'], [])
    >>> as_items("1", ["int"])
    Traceback (most recent call last):
    ...
    duckfeat.compile.operands.Mismatch: '1' (str) is not a number
    """
    asked = [kind for kind in kinds_of(operand) if kind not in _NOT_IN_JSON] if kinds is None else list(kinds)
    texts: dict[str, None] = {}
    refused: Mismatch | None = None
    for kind in asked:
        try:
            texts |= dict.fromkeys(_ITEMS.get(kind, _json_items)(kind, convert(kind, operand)))
        except Mismatch as error:
            refused = error
    if refused and not texts:
        raise refused
    if not asked:
        raise _refuse("a value that a list without a dtype for its items holds", operand)
    return list(texts)


_NOT_IN_JSON = frozenset({"date", "datetime", "instant"})


def _json_items(_kind: str, value: Any) -> list[str]:
    return [dumps(value)]


def _number_items(kind: str, value: int | float) -> list[str]:
    found = exact_number(kind, "exact", value)
    if isinstance(found, bool):
        return []
    if kind == "float" and found[1] == 0:
        return [dumps(0.0), dumps(-0.0)]
    return [dumps(found[1])]


def _moment_items(_kind: str, value: date) -> list[str]:
    return [dumps(moment_text(value))]


def _nested_items(_kind: str, text: str) -> list[str]:
    return [text]


_ITEMS: Mapping[str, Callable[[str, Any], list[str]]] = MappingProxyType(
    dict.fromkeys(NUMBERS, _number_items)
    | dict.fromkeys(_NOT_IN_JSON, _moment_items)
    | dict.fromkeys(("dict", "list"), _nested_items)
)
"""How values are written inside a list, by their kinds, of those that are not just written as JSON."""
