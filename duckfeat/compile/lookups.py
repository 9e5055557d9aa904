"""The lookups as a table: what each is called, which types have it, and the SQL it becomes.

A lookup turns a column (`lhs`, already an SQL expression), the column's type and an operand into a
condition: SQL text whose operands are parameters. Adding a lookup is adding a row to `LOOKUPS`; adding a
date part is adding one to `TRANSFORMS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from duckfeat.compile.fragments import FALSE, Parameters, any_of
from duckfeat.compile.operands import Mismatch, as_items, convert, exact_number
from duckfeat.errors import FieldError, InvalidArgument, hint
from duckfeat.model.arguments import is_frame, no_list, shown
from duckfeat.model.dtypes import is_missing
from duckfeat.model.kinds import KINDS
from duckfeat.model.q import Asking

NUMBERS = frozenset({"int", "float"})
TEXT = frozenset({"str"})
HOLDERS = TEXT | {"list"}
MOMENTS = frozenset({"datetime", "instant"})
DAYS = frozenset({"date"}) | MOMENTS
CLOCKS = MOMENTS | {"time"}
NESTED = frozenset({"dict", "list"})
ORDERED = NUMBERS | TEXT | DAYS | CLOCKS
ANY = ORDERED | NESTED | {"bool"}

Render = Callable[[Parameters, str, str, Any], str]


@dataclass(frozen=True, slots=True)
class Lookup:
    """One lookup: its name, the types that have it, what it means, an example operand, and its SQL."""

    name: str
    types: frozenset[str]
    meaning: str
    example: str
    render: Render


@dataclass(frozen=True, slots=True)
class Transform:
    """A part of a value that further lookups apply to: its name, the types that have it, its type, its SQL."""

    name: str
    types: frozenset[str]
    result: str
    meaning: str
    sql: str

    def on(self, lhs: str, type_: str) -> str:
        """Return the SQL of the part; instants are read in UTC."""
        return self.sql.format(f"timezone('UTC', {lhs})" if type_ == "instant" else lhs)


_SQL_TYPES = {name: kind.sql_type for name, kind in KINDS.items()} | {"time": "TIME"}
_SIGNS = {"exact": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def compare(order: str) -> Render:
    """Return the SQL maker of an order: `exact gt gte lt lte`, exact between all numbers, NaN above none."""

    def render(params: Parameters, lhs: str, type_: str, operand: Any) -> str:
        operand = convert(type_, operand)
        if type_ not in NUMBERS:
            return f"{lhs} {_SIGNS[order]} {params.add(operand)}"
        found = exact_number(type_, order, operand)
        if isinstance(found, bool):
            return _every_number(lhs, type_) if found else FALSE
        sign, number = found
        condition = f"{lhs} {_SIGNS[sign]} {params.add(number)}"
        below_nan = type_ == "float" and sign in ("gt", "gte")
        return f"({condition} AND {lhs} <= 'infinity'::DOUBLE)" if below_nan else condition

    return render


def _every_number(lhs: str, type_: str) -> str:
    return f"{lhs} <= 'infinity'::DOUBLE" if type_ == "float" else f"{lhs} IS NOT NULL"


_exact = compare("exact")
_gte = compare("gte")
_lte = compare("lte")


def _ne(params: Parameters, lhs: str, type_: str, operand: Any) -> str:
    return f"({lhs} IS NOT NULL AND NOT ({_exact(params, lhs, type_, operand)}))"


def items_of(operand: Any) -> list[Any]:
    """Return the items of an `in` operand; text, frames and single values are refused, missing items left out."""
    operand = operand.answers() if isinstance(operand, Asking) else operand
    if is_frame(operand) or isinstance(operand, str | bytes | Mapping) or not isinstance(operand, Iterable):
        raise InvalidArgument(f"`in` takes a list of values, not {no_list(operand)}", value=operand)
    return [item for item in operand if not is_missing(item)]


def _in(params: Parameters, lhs: str, type_: str, operand: Any) -> str:
    return params.member(lhs, _converted(type_, operand), _SQL_TYPES[type_])


def _in_ids(params: Parameters, lhs: str, type_: str, operand: Any) -> str:
    return params.ids(lhs, _converted(type_, operand), compared=True)


def _converted(type_: str, operand: Any) -> list[Any]:
    items = [convert(type_, item) for item in items_of(operand)]
    if type_ not in NUMBERS:
        return items
    exact = [exact_number(type_, "exact", item) for item in items]
    return [found[1] for found in exact if not isinstance(found, bool)]


def _range(params: Parameters, lhs: str, type_: str, operand: Any) -> str:
    unordered = isinstance(operand, AbstractSet | Mapping)  # it does not say which bound is the lower one
    if unordered or is_frame(operand) or isinstance(operand, str | bytes) or not isinstance(operand, Iterable):
        order = " in order" if unordered else ""
        raise InvalidArgument(f"`range` takes two bounds{order}, not {no_list(operand)}", value=operand)
    bounds = list(operand)
    if len(bounds) != 2:
        raise InvalidArgument(f"`range` takes two bounds, not {len(bounds)}", value=operand)
    return f"({_gte(params, lhs, type_, bounds[0])} AND {_lte(params, lhs, type_, bounds[1])})"


def _isnull(_params: Parameters, lhs: str, _type: str, operand: Any) -> str:
    if not isinstance(operand, bool):
        raise Mismatch(f"isnull takes True or False, not {shown(operand)}", value=operand)
    return f"{lhs} IS NULL" if operand else f"{lhs} IS NOT NULL"


def fold(lhs: str) -> str:
    """Return the SQL that folds the case of a text column, over all of Unicode."""
    return f"memory.main.casefold({lhs})"


def _text(function: str, *, folded: bool = False) -> Render:
    def render(params: Parameters, lhs: str, _type: str, operand: Any) -> str:
        text = convert("str", operand)
        if folded:
            return f"{function}({fold(lhs)}, {params.add(text.casefold())})"
        return f"{function}({lhs}, {params.add(text)})"

    return render


def holds_item(kinds: Sequence[str] | None = None) -> Render:
    """Return the SQL maker of "the list holds the item"; `kinds` are those of its items if all are of one dtype."""

    def render(params: Parameters, lhs: str, _type: str, operand: Any) -> str:
        items = f"json_extract({lhs}, '$[*]')"
        return any_of([f"list_contains({items}, {params.add(text)})" for text in as_items(operand, kinds)])

    return render


_CONTAINS = {"str": _text("contains"), "list": holds_item()}


def _contains(params: Parameters, lhs: str, type_: str, operand: Any) -> str:
    return _CONTAINS[type_](params, lhs, type_, operand)


def _iexact(params: Parameters, lhs: str, _type: str, operand: Any) -> str:
    return f"{fold(lhs)} = {params.add(convert('str', operand).casefold())}"


def _regex(options: str) -> Render:
    def render(params: Parameters, lhs: str, _type: str, operand: Any) -> str:
        pattern = convert("str", operand)
        try:
            re.compile(pattern)
        except re.error as error:
            raise Mismatch(f"{shown(pattern)} is not a regular expression: {error}", value=pattern) from None
        return f"regexp_matches({lhs}, {params.add(pattern)}, '{options}')"

    return render


LOOKUPS: Mapping[str, Lookup] = MappingProxyType(
    {
        row.name: row
        for row in (
            Lookup("exact", ANY, "equal; None means missing", "'a.csv'", _exact),
            Lookup("ne", ANY, "has a value, and it is another; None means any", "'a.csv'", _ne),
            Lookup("iexact", TEXT, "equal, case folded", "'A.CSV'", _iexact),
            Lookup("contains", HOLDERS, "holds the text; a list, the item", "'50%'", _contains),
            Lookup("icontains", TEXT, "holds the text, case folded", "'RNA'", _text("contains", folded=True)),
            Lookup("startswith", TEXT, "begins with the text", "'raw/'", _text("starts_with")),
            Lookup("istartswith", TEXT, "begins with it, case folded", "'RAW'", _text("starts_with", folded=True)),
            Lookup("endswith", TEXT, "ends with the text", "'.csv'", _text("ends_with")),
            Lookup("iendswith", TEXT, "ends with it, case folded", "'.CSV'", _text("ends_with", folded=True)),
            Lookup("in", ANY, "one of a list", "['a', 'b']", _in),
            Lookup("gt", ORDERED, "greater than", "10", compare("gt")),
            Lookup("gte", ORDERED, "greater than or equal", "10", _gte),
            Lookup("lt", ORDERED, "less than", "10", compare("lt")),
            Lookup("lte", ORDERED, "less than or equal", "10", _lte),
            Lookup("range", ORDERED, "between two bounds, both included", "(1, 5)", _range),
            Lookup("isnull", ANY, "missing (True) or not (False)", "True", _isnull),
            Lookup("regex", TEXT, "the regular expression is found", "r'^a.*z$'", _regex("s")),
            Lookup("iregex", TEXT, "the same, in any case", "r'^A.*Z$'", _regex("si")),
        )
    }
)

TRANSFORMS: Mapping[str, Transform] = MappingProxyType(
    {
        row.name: row
        for row in (
            Transform("year", DAYS, "int", "the year", "year({})"),
            Transform("iso_year", DAYS, "int", "the ISO 8601 week-numbering year", "isoyear({})"),
            Transform("quarter", DAYS, "int", "the quarter, 1 to 4", "quarter({})"),
            Transform("month", DAYS, "int", "the month, 1 to 12", "month({})"),
            Transform("week", DAYS, "int", "the ISO 8601 week, 1 to 53", "weekofyear({})"),
            Transform("day", DAYS, "int", "the day of the month", "day({})"),
            Transform("week_day", DAYS, "int", "the weekday, Sunday = 1 to Saturday = 7", "(dayofweek({}) + 1)"),
            Transform("iso_week_day", DAYS, "int", "the weekday, Monday = 1 to Sunday = 7", "isodow({})"),
            Transform("date", MOMENTS, "date", "the day", "({})::DATE"),
            Transform("time", MOMENTS, "time", "the time of day", "({})::TIME"),
            Transform("hour", CLOCKS, "int", "the hour", "hour({})"),
            Transform("minute", CLOCKS, "int", "the minute", "minute({})"),
            Transform("second", CLOCKS, "int", "the second", "second({})"),
        )
    }
)


def is_step(name: str) -> bool:
    """Tell whether `name` is a lookup or a transform."""
    return name in LOOKUPS or name in TRANSFORMS


def part_of(sql: str, type_: str, steps: Sequence[str], what: str) -> tuple[str, str]:
    """Return the SQL and the type of a part of a date or time, such as `year`, or of a part of such a part.

    `what` names the column in errors. Raises `FieldError` for a part that the type does not have.

    >>> part_of("t0.created_at", "instant", ["date", "year"], "'created_at__date__year'")
    ("year((timezone('UTC', t0.created_at))::DATE)", 'int')
    """
    for step in steps:
        if step not in TRANSFORMS or type_ not in TRANSFORMS[step].types:
            have = [row.name for row in TRANSFORMS.values() if type_ in row.types]
            raise FieldError(f"{what} has no part {step!r}{hint(step, have)}", name=step, available=have)
        sql, type_ = TRANSFORMS[step].on(sql, type_), TRANSFORMS[step].result
    return sql, type_


def without_parts(steps: Sequence[str]) -> tuple[str, ...]:
    """Return steps without the parts of dates: these are missing where the date is, and nowhere else.

    >>> without_parts(("date", "year", "isnull"))
    ('isnull',)
    """
    return tuple(step for step in steps if step not in TRANSFORMS)


def apply(params: Parameters, lhs: str, type_: str, steps: tuple[str, ...], operand: Any, what: str) -> str:
    """Return the condition that the steps after a field's name mean: transforms, then at most one lookup.

    `what` names the field in errors. Raises `FieldError` for an unknown step or one the type cannot have.

    >>> apply(Parameters(), "t0.key", "str", ("startswith",), "raw/", "Artifact.key")
    'starts_with(t0.key, $p0)'
    """
    for position, step in enumerate(steps):
        if step in TRANSFORMS:
            _check_type(TRANSFORMS[step].types, type_, step, what)
            lhs, type_, what = TRANSFORMS[step].on(lhs, type_), TRANSFORMS[step].result, f"{what}__{step}"
        elif step in LOOKUPS and position == len(steps) - 1:
            return apply_one(params, lhs, type_, step, operand, what)
        else:
            raise unknown_step(step, type_, what)
    return apply_one(params, lhs, type_, "exact", operand, what)


def apply_to_id(params: Parameters, lhs: str, steps: tuple[str, ...], operand: Any, what: str) -> str:
    """Return the condition of a lookup on the id of a table, in which ids ascend: few of them are found by blocks."""
    if steps == ("in",):
        return apply_one(params, lhs, "int", "in", operand, what, render=_in_ids)
    return apply(params, lhs, "int", steps, operand, what)


ASKS_OF_NONE: Mapping[str, bool] = MappingProxyType({"exact": True, "iexact": True, "ne": False})
"""What lookups ask of None: whether something is missing or, the other way round, there."""


def apply_one(
    params: Parameters, lhs: str, type_: str, name: str, operand: Any, what: str, render: Render | None = None
) -> str:
    """Return the condition of one lookup on an SQL expression of a type, as `render` makes it if that is given."""
    lookup = LOOKUPS[name]
    _check_type(lookup.types, type_, name, what)
    if operand is None:
        missing = ASKS_OF_NONE.get(name)
        if missing is None:
            raise nothing_to_compare(what, name)
        return f"{lhs} IS NULL" if missing else f"{lhs} IS NOT NULL"
    try:
        return (render or lookup.render)(params, lhs, type_, operand)
    except Mismatch as error:
        several = name in {"exact", "ne"} and isinstance(operand, list | tuple | set | frozenset)
        meant = "; any of several is asked for with __in" if several else ""
        raise InvalidArgument(f"{what}__{name}: {error}{meant}", lookup=name, value=operand) from None


def nothing_to_compare(what: str, name: str) -> InvalidArgument:
    """Return the error for a lookup that was given None, which nothing is greater than or alike."""
    return InvalidArgument(
        f"{what}__{name}=None cannot be compared; {what}__isnull=True finds what is missing", lookup=name
    )


def available_for(type_: str) -> list[str]:
    """Return the names of the lookups and transforms that a type has."""
    lookups = [row.name for row in LOOKUPS.values() if type_ in row.types]
    return lookups + [row.name for row in TRANSFORMS.values() if type_ in row.types]


def _check_type(types: frozenset[str], type_: str, step: str, what: str) -> None:
    if type_ not in types:
        have = available_for(type_)
        told = f"{what} ({type_}) cannot have {step!r}; it has: {', '.join(have)}{_INSTEAD.get(type_, '')}"
        raise FieldError(told, name=step, available=have)


_INSTEAD = {"list": ". `contains` asks for an item; a feature with multiple=True has its values one by one"}
"""What does what some type cannot."""


def unknown_step(step: str, type_: str, what: str) -> FieldError:
    """Return the error for a word after a field's name that is no lookup, or one that is not the last."""
    if step in LOOKUPS:
        return FieldError(f"{what}: nothing follows a lookup, and {step!r} is one", name=step, available=[])
    have = available_for(type_) or [*LOOKUPS, *TRANSFORMS]
    return FieldError(f"{what} has no lookup {step!r}{hint(step, have)}", name=step, available=have)
