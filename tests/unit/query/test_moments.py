"""Datetimes with and without time zone in one feature: what is computed of them, and the frames that show them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from duckfeat.aggregates import count, list, max, min, n_unique  # noqa: A004  # the package's own
from duckfeat.errors import ValidationError
from duckfeat.store import Store

NAIVE = datetime(2019, 1, 1, 12)
INSTANT = datetime(2020, 1, 1, 12, tzinfo=UTC)
LATER = INSTANT.replace(year=2021)
BOTH = "datetimes with and without time zone"


@pytest.fixture
def seen(store: Store) -> Store:
    """Records with instants, with naive datetimes, with both, and with none."""
    for name, dtype, multiple in (
        ("one", "datetime", False),
        ("many", "datetime", True),
        ("items", "list[datetime]", False),
        ("lists", "list[datetime]", True),
    ):
        store.Feature(name=name, dtype=dtype, multiple=multiple).save()
    rows: dict[str, dict[str, Any]] = {
        "instants": {"one": INSTANT, "many": [INSTANT, LATER], "items": [LATER, INSTANT], "lists": [[INSTANT], []]},
        "naive": {"one": NAIVE, "many": [NAIVE], "items": [NAIVE, None], "lists": [[NAIVE]]},
        "both": {"many": [NAIVE, INSTANT], "items": [NAIVE, INSTANT], "lists": [[NAIVE, INSTANT], [INSTANT]]},
        "none": {},
    }
    store.save([store.Record(name=name, features=values) for name, values in rows.items()])
    return store


@pytest.mark.parametrize("feature", ["one", "many", "items", "lists"])
def test_every_value_is_counted(feature: str, seen: Store) -> None:
    def values(name: str) -> Any:
        held = seen.Record.get(name=name).features.get_values().get(feature, [])
        return held if feature in {"many", "lists"} else [held] if held else []

    of = {"n": count(feature), "different": n_unique(feature)}
    for name in ("instants", "naive", "both", "none"):
        expected = {"n": len(values(name)), "different": len({repr(value) for value in values(name)})}
        asked = seen.Record.filter(name=name)
        assert asked.aggregate(**of) == expected
        assert asked.annotate(**of).values("n", "different").to_list() == [expected]
    everywhere = [repr(value) for name in ("instants", "naive", "both") for value in values(name)]
    assert seen.Record.all().aggregate(**of) == {"n": len(everywhere), "different": len(set(everywhere))}


@pytest.mark.parametrize("feature", ["one", "many"])
def test_the_least_and_the_greatest_keep_their_zone(feature: str, seen: Store) -> None:
    of = {"low": min(feature), "high": max(feature), "all": list(feature)}
    last = LATER if feature == "many" else INSTANT
    instants = {"low": INSTANT, "high": last, "all": sorted({INSTANT, last})}
    naive = {"low": NAIVE, "high": NAIVE, "all": [NAIVE]}
    for name, expected in {
        "instants": instants,
        "naive": naive,
        "none": {"low": None, "high": None, "all": []},
    }.items():
        asked = seen.Record.filter(name=name)
        found = [asked.aggregate(**of), asked.annotate(**of).values("low", "high", "all")[0]]
        assert found == [expected, expected]
        assert repr(found) == repr([expected, expected])  # of the same zone
        zone = "UTC" if name == "instants" else None
        frames = [asked.annotate(**of).pl(), asked.group_by("name").agg(**of)]
        frames.append(pl.DataFrame(pl.from_arrow(asked.annotate(**of).arrow_batches())))
        assert [frame.schema["low"] for frame in frames] == [pl.Datetime("us", zone)] * len(frames)
    with pytest.raises(ValidationError, match=BOTH):
        seen.Record.filter(many__isnull=False).aggregate(low=min("many"))


def test_what_is_computed_is_compared_and_ordered(seen: Store) -> None:
    found = seen.Record.exclude(name="both").annotate(high=max("many"))
    assert found.order_by("high").to_list("name") == ["naive", "instants", "none"]
    assert found.filter(high__year=2021).to_list("name") == ["instants"]
    assert found.filter(high__gt=datetime(2020, 6, 1)).to_list("name") == ["instants"]
    with pytest.raises(ValidationError, match=BOTH):
        seen.Record.all().annotate(high=max("many")).to_list("high")


def test_groups_by_moments(seen: Store) -> None:
    apart = seen.Record.exclude(name__in=["both", "naive"])
    assert apart.group_by("one").agg(n=count()).rows() == [(INSTANT, 1), (None, 1)]
    for feature in ("many", "items"):
        rows = apart.group_by(feature).agg(n=count(), last=max("one")).rows()
        assert rows == [(INSTANT, 1, INSTANT), (LATER, 1, INSTANT), (None, 1, None)]
    assert apart.group_by("lists").agg(n=count()).height == 3
    naive = seen.Record.filter(name="naive")
    assert naive.group_by("one", "many").agg(n=count()).rows() == [(NAIVE, NAIVE, 1)]
    assert seen.Record.all().group_by("one__year").agg(n=count()).rows() == [(2019, 1), (2020, 1), (None, 2)]
    with pytest.raises(ValidationError, match=BOTH):
        seen.Record.all().group_by("many").agg(n=count())


def test_records_without_a_list_are_a_group(store: Store) -> None:
    store.Feature(name="tags", dtype="list[str]").save()
    for name, features in {"a": {"tags": ["x", "y"]}, "b": {"tags": []}, "c": {}}.items():
        store.Record(name=name, features=features).save()
    assert store.Record.all().group_by("tags").agg(n=count()).rows() == [("x", 1), ("y", 1), (None, 2)]


@pytest.mark.parametrize("feature", ["one", "items", "lists"])
def test_values_are_read_as_they_were_given(feature: str, seen: Store) -> None:
    for record in seen.Record.all():
        given = record.features.get_values().get(feature, [] if feature == "lists" else None)
        asked = seen.Record.filter(name=record.name)
        assert repr(asked.to_list(feature)) == repr([given])
        assert repr(asked.values(feature).distinct().to_list()) == repr([{feature: given}])
    assert seen.Record.all().values(feature).distinct().count() == (3 if feature == "one" else 4)
