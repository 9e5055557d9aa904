"""The SQL and parameters of every lookup and date part, and that each has a test."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from duckfeat.compile.fragments import Parameters
from duckfeat.compile.lookups import LOOKUPS, TRANSFORMS, apply
from duckfeat.errors import FieldError, InvalidArgument

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "lookups.md"
MOMENT = datetime(2024, 5, 1, 12, tzinfo=UTC)

CASES: dict[str, tuple[str, Any, str, dict[str, Any]]] = {
    "exact": ("str", "a%", "x = $p0", {"p0": "a%"}),
    "ne": ("str", "a", "(x IS NOT NULL AND NOT (x = $p0))", {"p0": "a"}),
    "iexact": ("str", "STRASSE", "memory.main.casefold(x) = $p0", {"p0": "strasse"}),
    "contains": ("str", "50%_", "contains(x, $p0)", {"p0": "50%_"}),
    "icontains": ("str", "RNA", "contains(memory.main.casefold(x), $p0)", {"p0": "rna"}),
    "startswith": ("str", "raw/", "starts_with(x, $p0)", {"p0": "raw/"}),
    "istartswith": ("str", "RAW", "starts_with(memory.main.casefold(x), $p0)", {"p0": "raw"}),
    "endswith": ("str", ".csv", "ends_with(x, $p0)", {"p0": ".csv"}),
    "iendswith": ("str", ".CSV", "ends_with(memory.main.casefold(x), $p0)", {"p0": ".csv"}),
    "in": ("int", [1, 2.0, 0.5, None], "x IN ($p0, $p1)", {"p0": 1, "p1": 2}),
    "gt": ("int", 10.5, "x > $p0", {"p0": 10}),
    "gte": ("int", 10, "x >= $p0", {"p0": 10}),
    "lt": ("int", 10.5, "x < $p0", {"p0": 11}),
    "lte": ("int", 10, "x <= $p0", {"p0": 10}),
    "range": ("int", (1, 5), "(x >= $p0 AND x <= $p1)", {"p0": 1, "p1": 5}),
    "isnull": ("str", False, "x IS NOT NULL", {}),
    "regex": ("str", "^a.*z$", "regexp_matches(x, $p0, 's')", {"p0": "^a.*z$"}),
    "iregex": ("str", "^A", "regexp_matches(x, $p0, 'si')", {"p0": "^A"}),
}
"""Each lookup: the type of the column `x`, the operand, and the SQL and parameters that come of it."""

PARTS = {
    "year": "year({}) = $p0",
    "iso_year": "isoyear({}) = $p0",
    "quarter": "quarter({}) = $p0",
    "month": "month({}) = $p0",
    "week": "weekofyear({}) = $p0",
    "day": "day({}) = $p0",
    "week_day": "(dayofweek({}) + 1) = $p0",
    "iso_week_day": "isodow({}) = $p0",
    "date": "({})::DATE = $p0",
    "time": "({})::TIME = $p0",
    "hour": "hour({}) = $p0",
    "minute": "minute({}) = $p0",
    "second": "second({}) = $p0",
}


def test_every_lookup_and_part_has_a_test() -> None:
    assert set(CASES) == set(LOOKUPS)
    assert set(PARTS) == set(TRANSFORMS)


@pytest.mark.parametrize("name", CASES)
def test_lookup(name: str) -> None:
    type_, operand, sql, values = CASES[name]
    params = Parameters()
    assert apply(params, "x", type_, (name,), operand, "T.x") == sql
    assert params.values == values


def test_an_item_of_a_list_is_compared_as_json() -> None:
    params = Parameters()
    items = "json_extract(x, '$[*]')"
    sql = f"(list_contains({items}, $p0) OR list_contains({items}, $p1))"
    assert apply(params, "x", "list", ("contains",), 1, "T.x") == sql
    assert params.values == {"p0": "1", "p1": "1.0"}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize(("type_", "column"), [("datetime", "x"), ("instant", "timezone('UTC', x)")])
def test_part(name: str, type_: str, column: str) -> None:
    operand: Any = {"date": MOMENT.date(), "time": MOMENT.time()}.get(name, 3)
    assert apply(Parameters(), "x", type_, (name,), operand, "T.x") == PARTS[name].format(column)


@pytest.mark.parametrize("name", LOOKUPS)
def test_none_is_an_operand_of_equality_alone(name: str) -> None:
    if name in {"exact", "ne"}:
        missing = apply(Parameters(), "x", "str", (name,), None, "T.x")
        assert missing == ("x IS NULL" if name == "exact" else "x IS NOT NULL")
        return
    with pytest.raises(InvalidArgument, match=r"isnull=True|True or False"):
        apply(Parameters(), "x", "str", (name,), None, "T.x")


@pytest.mark.parametrize(("type_", "steps"), [("bool", "gt"), ("int", "contains"), ("date", "hour"), ("str", "year")])
def test_a_comparator_a_type_cannot_have(type_: str, steps: str) -> None:
    with pytest.raises(FieldError, match=f"cannot have '{steps}'; it has: exact"):
        apply(Parameters(), "x", type_, (steps,), 1, "T.x")


def test_what_a_list_cannot_have_several_values_can() -> None:
    with pytest.raises(
        FieldError, match=r"cannot have 'startswith'; it has: exact.* isnull\. .*; a feature with multiple=True"
    ):
        apply(Parameters(), "x", "list", ("startswith",), "a", "T.x")


def test_an_unknown_lookup_names_the_nearest() -> None:
    with pytest.raises(FieldError, match=r"did you mean 'startswith'\?"):
        apply(Parameters(), "x", "str", ("startwith",), "a", "T.x")


def test_a_long_list_is_handed_in_as_a_table() -> None:
    params = Parameters()
    assert apply(params, "x", "int", ("in",), range(51), "T.x") == "x IN (SELECT item FROM list_0)"
    assert params.lists["list_0"].items == tuple(range(51))
    assert params.values == {}


def table() -> str:
    """Return the page of lookups as it is to be, made from the tables."""
    lines = ["# Lookups", "", "| lookup | types | meaning | example operand |", "|---|---|---|---|"]
    lines += [
        f"| `{row.name}` | {', '.join(sorted(row.types))} | {row.meaning} | `{row.example}` |"
        for row in LOOKUPS.values()
    ]
    lines += [
        "",
        "Parts of dates and datetimes, which further lookups apply to (`created_at__year__gte=2024`); instants",
        "are read in UTC:",
        "",
    ]
    lines += ["| part | types | type | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{row.name}` | {', '.join(sorted(row.types))} | {row.result} | {row.meaning} |"
        for row in TRANSFORMS.values()
    ]
    return "\n".join([*lines, ""])


def test_the_page_of_lookups_is_made_from_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8") == table()
