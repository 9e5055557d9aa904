"""`contains` finds the lists that have an item which equals the operand, by Python's own idea of what is equal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import duckfeat as dft
from duckfeat.model.canonical import dumps
from duckfeat.store import Store

BIG = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53, 2**53 + 1])
NUMBERS = st.integers(-2, 2) | BIG | st.floats() | st.sampled_from([0.0, -0.0, 1.0, 1e-7, 1e21, float(2**53)])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3) | st.sampled_from(["1", "true", '"', "\\", "\0"])
SCALARS = st.booleans() | NUMBERS | TEXT
ITEMS = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(TEXT, SCALARS, max_size=2)


@pytest.fixture(scope="module")
def lists() -> Iterator[Store]:
    with dft.connect(threads=1) as store:
        store.Feature(name="items", dtype=list).save()
        store.Feature(name="held", dtype=dict).save()
        store.Feature(name="numbers", dtype="list[num]").save()
        yield store


def same(item: Any, other: Any) -> bool:
    """Tell whether two values are equal: numbers by value, flags among themselves, anything nested by its JSON."""
    if isinstance(item, bool) or isinstance(other, bool):
        return item is other
    if isinstance(item, int | float) and isinstance(other, int | float):
        return item == other or (math.isnan(item) and math.isnan(other))
    if isinstance(item, dict | list) and isinstance(other, dict | list):
        return dumps(item) == dumps(other)
    return isinstance(item, str) and item == other


@settings(max_examples=150)
@given(items=st.lists(ITEMS | st.none(), max_size=4), other=ITEMS)
@example(items=[0, 2**53], other=-0.0)
@example(items=[2**53 + 1], other=float(2**53))
@example(items=["a", None], other=math.nan)
def test_a_list_holds_what_python_finds_in_it(items: list[Any], other: Any, lists: Store) -> None:
    record = lists.Record(name="r", features={"items": items, "held": {"k y": items}}).save()
    mine = lists.Record.filter(id=record.id)
    for asked in [other, *(item for item in items if item is not None)]:
        expected = any(same(item, asked) for item in items)
        assert mine.filter(items__contains=asked).exists() == expected
        assert mine.filter(lists.Feature.get(name="held")["k y"].contains(asked)).exists() == expected


@settings(max_examples=50)
@given(items=st.lists(NUMBERS, max_size=4), other=NUMBERS)
def test_typed_numbers_are_found_by_value(items: list[Any], other: Any, lists: Store) -> None:
    record = lists.Record(name="r", features={"numbers": items}).save()
    found = lists.Record.filter(id=record.id, numbers__contains=other).exists()
    assert found == any(same(item, other) for item in items)
