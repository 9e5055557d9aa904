"""Values come back as they were stored, by every way through a query: typed, told apart and in their own order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

import duckfeat as dft
from duckfeat.aggregates import list as listed
from duckfeat.aggregates import max as latest
from duckfeat.errors import FieldError
from duckfeat.model.canonical import dumps
from duckfeat.store import Store

pytestmark = pytest.mark.usefixtures("store")

OLD, NEW = datetime(1999, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 12, 30, 0, 1, tzinfo=UTC)
BIG = 2**53 + 1


def typed(values: Any) -> list[tuple[str, Any]]:
    """Return values with the names of their types, which tell 1 and 1.0 apart."""
    return [(type(value).__name__, value) for value in values]


@pytest.fixture
def moments(store: Store) -> Store:
    for name, dtype, multiple in [
        ("seen", "datetime[UTC]", True),
        ("visits", "list[datetime[UTC]]", False),
        ("tours", "list[datetime[UTC]]", True),
    ]:
        dft.Feature(name=name, dtype=dtype, multiple=multiple).save()
    record = dft.Record(name="r", features={"seen": [NEW, OLD], "visits": [NEW, None], "tours": [[NEW], [OLD, NEW]]})
    record.save().ulabels.add(dft.ULabel(name="l").save())
    return store


# --- lists of instants -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "expected"), [("seen", [OLD, NEW]), ("visits", [NEW, None]), ("tours", [[OLD, NEW], [NEW]])]
)
def test_lists_of_instants_keep_their_zone(moments: Store, field: str, expected: Any) -> None:
    found = dft.Record.all()
    assert found.to_list(field) == [expected]
    assert found.values(field).to_list() == [{field: expected}]
    assert next(found.values_list(field, flat=True).iterator(1)) == expected
    assert repr(UTC) in repr(found.to_list(field))
    assert found.values(field).distinct().count() == 1
    assert repr(found.values(field)).startswith("<QuerySet Record [{")
    with moments.transaction():
        assert found.to_list(field) == [expected]


@pytest.mark.usefixtures("moments")
def test_instants_of_related_records_are_lists_of_them() -> None:
    made = dft.Record.get(name="r").created_at
    assert dft.ULabel.all().to_list("records__created_at") == [[made]]
    assert dft.ULabel.all().to_list("records__created_at__year") == [[made.year]]


@pytest.mark.usefixtures("moments")
def test_instants_that_were_computed_are_the_same_in_rows_and_in_records() -> None:
    made = dft.ULabel.get(name="l").created_at
    found = dft.Record.all().annotate(all=listed("ulabels__created_at"), last=latest("ulabels__created_at"))
    assert found.values("all", "last").to_list() == [{"all": [made], "last": made}]
    record: Any = found.one()
    assert (record.all, record.last) == ([made], made)
    assert record.last.tzinfo is UTC


# --- order -------------------------------------------------------------------------------------------

MIXED: dict[str, list[Any]] = {
    "bool": [False, True],
    "float": [-inf, -5.0, 9.0, 10.0, 1e300, inf, nan],
    "num": [2**53, BIG, 2.0**63, 2**63 - 1, float(2**53 + 2)],
    "int": [-7, 9],
    "str": ["10", "9", ""],
    "date": [date(2024, 5, 1), date(1, 1, 1)],
    "datetime": [datetime(2020, 1, 1), datetime(1999, 1, 1)],
    "datetime[UTC]": [OLD, NEW, datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=5)))],
    "dict": [{"b": 1}, {"a": 2}],
    "list[int]": [[3], [1, 2]],
}
RANKS = ("bool", "number", "str", "date", "datetime", "instant", "dict", "list")


def place(value: Any) -> tuple[Any, ...]:
    """Return what a value is ordered by, with Python's own exact comparison of numbers."""
    name = type(value).__name__
    if name in {"int", "float"}:
        return (RANKS.index("number"), isnan(value), 0 if isnan(value) else value)
    name = "instant" if name == "datetime" and value.tzinfo else name
    return (RANKS.index(name), False, dumps(value) if name in {"dict", "list"} else value)


@pytest.fixture
def mixed(store: Store) -> Store:
    for dtype, values in MIXED.items():
        feature = dft.Feature(name=dtype, dtype=dtype).save()
        for value in values:
            dft.FeatureValue.get_or_create(feature, value)
    return store


@pytest.mark.usefixtures("mixed")
def test_values_are_ordered_by_kind_and_within_it_as_they_are() -> None:
    found = dft.FeatureValue.filter(feature__name="float")
    assert found.order_by("value").to_list("value")[:-1] == [-inf, -5.0, 9.0, 10.0, 1e300, inf]
    everything = dft.FeatureValue.all()
    newest = [value.value for value in everything]
    for key, ascending in [("value", True), ("-value", False)]:
        ordered = everything.order_by(key)
        expected = sorted(newest, key=place) if ascending else sorted(newest, key=place)[::-1]
        assert [place(value.value) for value in ordered] == [place(value) for value in expected]
        assert list(map(place, ordered.to_list("value"))) == list(map(place, expected))
        assert [place(value) for value in ordered[2:5].to_list("value")] == [place(value) for value in expected[2:5]]
        ends: list[Any] = [ordered.first(), ordered.last()]
        assert [place(value.value) for value in ends] == [place(expected[0]), place(expected[-1])]


@pytest.mark.usefixtures("mixed")
def test_equal_numbers_come_newest_first_in_both_directions() -> None:
    nines = dft.FeatureValue.filter(value=9)
    assert typed(nines.order_by("value").to_list("value")) == [("int", 9), ("float", 9.0)]
    assert typed(nines.order_by("-value").to_list("value")) == [("int", 9), ("float", 9.0)]


def test_a_feature_of_numbers_is_ordered_exactly() -> None:
    dft.Feature(name="n", dtype="num").save()
    for value in (BIG, 2**53, 2.0**53 + 2, 1):
        dft.Record(name=str(value), features={"n": value}).save()
    dft.Record(name="none").save()
    ordered = dft.Record.all().order_by("n")
    assert typed(ordered.to_list("n")) == typed([1, 2**53, BIG, 2.0**53 + 2, None])
    assert ordered.pl(features=["n"], limit=3)["name"].to_list() == ["1", str(2**53), str(BIG)]
    assert dft.Record.all().order_by("-n").to_list("n") == [2.0**53 + 2, BIG, 2**53, 1, None]


@pytest.mark.usefixtures("mixed")
def test_lists_of_values_are_no_order() -> None:
    with pytest.raises(FieldError, match="cannot be ordered by"):
        dft.Record.all().order_by("feature_values__value")


# --- types -------------------------------------------------------------------------------------------


def test_numbers_of_either_kind_keep_it() -> None:
    dft.Feature(name="n", dtype="num").save()
    dft.Feature(name="many", dtype="num", multiple=True).save()
    dft.Feature(name="items", dtype="list[num]").save()
    record = dft.Record(name="r", features={"n": BIG, "many": [BIG, 1.0, -0.0, 2.0**53], "items": [BIG, 1.0]}).save()
    found = dft.Record.all()
    assert typed(found.to_list("n")) == [("int", BIG)]
    assert typed(found.values("n").to_list()[0].values()) == [("int", BIG)]
    assert typed(found.values_list("n").first()) == [("int", BIG)]
    assert repr(found.to_list("many")[0]) == f"[-0.0, 1.0, {2.0**53}, {BIG}]"
    assert found.to_list("many")[0] == record.features.get_values()["many"]
    assert typed(found.to_list("items")[0]) == [("int", BIG), ("float", 1.0)]
    assert found.pl(features=["n"])["n"].to_list() == [float(2**53)]
    assert repr(found.pl(features=["many"])["many"].to_list()[0]) == f"[-0.0, 1.0, {2.0**53}, {2.0**53}]"


def test_values_through_a_relation_are_typed() -> None:
    features: dict[str, Any] = {"n": BIG, "on": True, "days": [date(2024, 5, 1)], "text": "1", "zero": -0.0}
    for name, dtype in {"n": int, "on": bool, "days": "list[date]", "text": str, "zero": float}.items():
        dft.Feature(name=name, dtype=dtype).save()
    dft.Record(name="r", features=features).save().ulabels.add(dft.ULabel(name="l").save())
    expected = [True, -0.0, BIG, "1", [date(2024, 5, 1)]]
    assert repr(dft.Record.all().to_list("feature_values__value")) == repr([expected])
    assert repr(dft.ULabel.all().to_list("records__feature_values__value")) == repr([expected])
    shown = dft.Record.all().pl(include="feature_values__value")["feature_values__value"].to_list()
    assert sorted(shown[0]) == ["-0.0", "1", str(BIG), '["2024-05-01"]', "true"]


# --- distinct ----------------------------------------------------------------------------------------


def test_distinct_values_are_told_apart_by_what_they_are(tmp_path: Path) -> None:
    for name, dtype, value in [
        ("a", int, 1),
        ("b", int, 1),
        ("c", float, 1.0),
        ("d", str, "1"),
        ("e", "list[str]", ["2024-05-01"]),
        ("f", "list[date]", [date(2024, 5, 1)]),
        ("g", "list[str]", ["2024-05-01"]),
    ]:
        dft.FeatureValue.get_or_create(dft.Feature(name=name, dtype=dtype).save(), value)
    found = dft.FeatureValue.all().values_list("value", flat=True).distinct()
    expected = typed([1.0, 1, "1"])
    assert typed(found.to_list())[:3] == expected
    assert sorted(map(repr, found.to_list()[3:])) == ["['2024-05-01']", "[datetime.date(2024, 5, 1)]"]
    assert found.count() == len(found) == found.pl().height == found.df().shape[0] == 5
    assert typed(found.order_by("-value").to_list())[-3:] == expected[::-1]
    assert typed(found[:3].to_list()) == expected
    assert found[:3].count() == found[:3].pl().height == 3
    written = pyarrow.parquet.read_table(found.to_parquet(tmp_path / "values.parquet"))
    assert written.column_names == ["value"]
    assert written.num_rows == 5


def test_distinct_rows_of_numbers_and_moments() -> None:
    dft.Feature(name="n", dtype="num").save()
    dft.Feature(name="seen", dtype="datetime").save()
    for at, (number, moment) in enumerate([(1, NEW), (1, NEW), (1.0, NEW.replace(tzinfo=None)), (None, None)]):
        dft.Record(name=f"{at}", features={"n": number, "seen": moment}).save()
    for field in ("n", "seen"):
        found = dft.Record.all().values(field).distinct()
        assert found.count() == len(found.to_list()) == found.pl().height == 3


def test_missing_values_stand_where_they_are_asked_for() -> None:
    for description in ("b", None, "a", "a"):
        dft.ULabel(name=f"{description}", description=description).save()
    found = dft.ULabel.all().values_list("description", flat=True).distinct()
    assert found.order_by("-description").to_list() == ["b", "a", None]
    assert found.order_by(dft.ULabel.description.asc(nulls_first=True)).to_list() == [None, "a", "b"]
