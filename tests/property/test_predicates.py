"""Feature predicates give what a plain evaluation in Python gives on the same annotations."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import duckfeat as dft
from duckfeat import Q
from duckfeat.store import Store

DTYPES: Mapping[str, Any] = {
    "dose": float,
    "cells": int,
    "note": str,
    "day": date,
    "meta": dict,
    "tag": str,
    "label": "cat[ULabel]",
}
VALUES: Mapping[str, list[Any]] = {
    "dose": [-1.5, 0.0, 1.0, 2.5, float("inf")],
    "cells": [-3, 0, 1, 2, 10],
    "note": ["a", "A", "a%b", "50%", "x_y", 'q"', ""],
    "day": [date(2023, 12, 31), date(2024, 1, 1), date(2024, 5, 1)],
    "meta": [{"lr": 0.1, "n": 1}, {"lr": 1, "o": {"k": "v"}}, {"lr": "0.1"}, {}],
    "tag": ["x", "y", "z"],
    "label": ["la", "lb", "lc"],
}
Sample = Mapping[str, list[Any]]


def samples() -> list[dict[str, list[Any]]]:
    """Return what records have: each feature with no value, one, or of those that take several, two."""
    made = []
    for number in range(40):
        has: dict[str, list[Any]] = {}
        for at, (name, values) in enumerate(VALUES.items()):
            pick = (number * (at + 3) + number // (at + 2)) % (len(values) + 1)
            has[name] = values[pick : pick + (1 + number % 2 if name == "tag" else 1)]
        made.append(has)
    return made


SAMPLES = samples()
FEATURES: dict[str, Any] = {}


@pytest.fixture(scope="module")
def filled() -> Iterator[Store]:
    with dft.connect(threads=1) as store:
        store.save([store.ULabel(name=name) for name in VALUES["label"]])
        for name, dtype in DTYPES.items():
            FEATURES[name] = store.Feature(name=name, dtype=dtype, multiple=name == "tag").save()
        records = []
        for number, has in enumerate(SAMPLES):
            features = {name: (values if name == "tag" else values[0]) for name, values in has.items() if values}
            records.append(store.Record(name=str(number), features=features))
        store.save(records)
        # Values are taken back again, of all that have none: what was is not what is.
        for record, has in zip(records, SAMPLES, strict=True):
            if gone := {name: VALUES[name][-1] for name, values in has.items() if not values}:
                record.features.add_values(gone)
                record.features.remove_values(list(gone))
        changed = store.Record.get(name="3")
        changed.features.add_values({"tag": "gone"})
        changed.features.remove_values({"tag": "gone"})
        yield store


HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "exact": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, items: value in items,
    "range": lambda value, bounds: bounds[0] <= value <= bounds[1],
    "contains": lambda value, part: part in value,
    "startswith": lambda value, part: value.startswith(part),
    "endswith": lambda value, part: value.endswith(part),
    "icontains": lambda value, part: part.casefold() in value.casefold(),
}
ORDERED = ["exact", "ne", "gt", "gte", "lt", "lte", "in", "range"]
TEXT = [*ORDERED, "contains", "startswith", "endswith", "icontains"]
COMPARATORS = {"dose": ORDERED, "cells": ORDERED, "day": ORDERED, "note": TEXT, "tag": TEXT, "label": TEXT}


@st.composite
def leaves(draw: st.DrawFn) -> tuple[str, str, Any, bool]:
    name = draw(st.sampled_from([name for name in DTYPES if name != "meta"]))
    lookup = draw(st.sampled_from([*COMPARATORS[name], "isnull"]))
    if lookup == "isnull":
        return name, lookup, draw(st.booleans()), False
    pool = [*VALUES[name], 0.5, 3] if name in {"dose", "cells"} else VALUES[name]
    values = st.sampled_from(pool)
    operand = draw(values)
    if lookup == "in":
        operand = draw(st.lists(values, max_size=3))
    elif lookup == "range":
        operand = (draw(values), draw(values))
    return name, lookup, operand, draw(st.booleans())


Tree = Any
trees: st.SearchStrategy[Tree] = st.recursive(
    leaves(),
    lambda inner: st.tuples(st.sampled_from(["and", "or", "not"]), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=6,
)


def condition(tree: Tree) -> Any:
    """Return a tree as a condition: predicates, and keywords where both say the same."""
    if len(tree) == 4:
        name, lookup, operand, every = tree
        predicate = FEATURES[name]._predicate(lookup, operand)
        if every:
            return predicate.all_values()
        return Q(**{f"{name}__{lookup}": operand}) if len(lookup + name) % 2 else predicate
    word, parts = tree
    made = [condition(part) for part in parts]
    joined = made[0]
    for part in made[1:]:
        joined = joined | part if word == "or" else joined & part
    return ~joined if word == "not" else joined


def fulfils(has: Sample, tree: Tree) -> bool:
    """Tell whether a sample fulfils a tree, evaluated as the documentation says it."""
    if len(tree) == 4:
        name, lookup, operand, every = tree
        values = has[name]
        if lookup == "isnull":
            return bool(values) is not bool(operand)
        found = [HOLDS[lookup](value, operand) for value in values]
        return bool(found) and (all(found) if every else any(found))
    word, parts = tree
    found = [fulfils(has, part) for part in parts]
    return any(found) if word == "or" else all(found) if word == "and" else not all(found)


@settings(max_examples=350, suppress_health_check=list(HealthCheck))
@given(tree=trees)
def test_predicates(filled: Store, tree: Tree) -> None:
    wanted = sorted(number for number, has in enumerate(SAMPLES) if fulfils(has, tree))
    found = filled.Record.filter(condition(tree))
    assert sorted(map(int, found.to_list("name"))) == wanted
    assert found.count() == len(wanted)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(first=trees, second=trees)
def test_calls_in_a_row_and_excludes(filled: Store, first: Tree, second: Tree) -> None:
    wanted = sorted(n for n, has in enumerate(SAMPLES) if fulfils(has, first) and not fulfils(has, second))
    found = filled.Record.filter(condition(first)).exclude(condition(second))
    assert sorted(map(int, found.to_list("name"))) == wanted


def test_places_inside_nested_values(filled: Store) -> None:
    meta = FEATURES["meta"]
    held = {str(n): has["meta"][0] for n, has in enumerate(SAMPLES) if has["meta"]}
    numbers = sorted(n for n, value in held.items() if isinstance(value.get("lr"), int | float) and value["lr"] > 0.01)
    assert sorted(filled.Record.filter(meta["lr"] > 0.01).to_list("name")) == numbers
    assert sorted(filled.Record.filter(meta__lr__gt=0.01).to_list("name")) == numbers
    text = sorted(n for n, value in held.items() if value.get("lr") == "0.1")
    assert sorted(filled.Record.filter(meta["lr"] == "0.1").to_list("name")) == text
    deep = sorted(n for n, value in held.items() if "o" in value)
    assert sorted(filled.Record.filter(meta["o"]["k"].startswith("v")).to_list("name")) == deep
    without = sorted(str(n) for n in range(len(SAMPLES)) if "lr" not in held.get(str(n), {}))
    assert sorted(filled.Record.filter(meta["lr"].is_null()).to_list("name")) == without
