"""Filters, excludes, orders and slices give what Django's own ORM gives on the same rows.

Where the two rightly differ, the questions leave the case out, or ask Django in other words, and say why.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import time, timedelta, timezone
from itertools import product
from typing import Any

import pytest
from django.db import models
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import duckfeat as dft
from duckfeat import Q
from duckfeat.model.order import Order
from duckfeat.store import Store
from tests.property.reference import (
    DAYS,
    FLOATS,
    INSTANTS,
    MODELS,
    MOMENTS,
    NUMBERS,
    TEXTS,
    aware,
    fill_django,
    fill_store,
    random_rows,
)


@pytest.fixture(scope="module")
def both() -> Iterator[Store]:
    rows = random_rows(seed=5)
    fill_django(rows)
    with dft.connect(threads=1) as store:
        fill_store(store, rows)
        yield store


# --- what may be asked of each field -----------------------------------------------------------------

ARTIFACT = {
    "id": "whole",
    "key": "text",
    "size": "whole",
    "n_files": "whole",
    "is_latest": "flag",
    "created_at": "instant",
    "created_by": "record",
    "run": "record",
    "ulabels": "record",
}
FEATURES = {
    "weight": "real",
    "cells": "whole",
    "note": "text",
    "checked": "flag",
    "sampled_on": "day",
    "measured_at": "moment",
    "seen_at": "instant",
}
USER = {"handle": "text", "name": "text", "created_at": "instant"}
RUN = {"name": "text", "started_at": "instant", "finished_at": "instant", "created_by": "record"}
LABEL = {"name": "text", "description": "text", "is_type": "flag", "created_at": "instant", "type": "record"}


def below(relation: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that a relation leads to."""
    return {f"{relation}__{name}": sort for name, sort in fields.items()}


FORWARD: Mapping[str, Mapping[str, str]] = {
    "Artifact": {
        **ARTIFACT,
        **FEATURES,
        **below("created_by", USER),
        **below("run", RUN),
        **below("run__created_by", {"name": "text", "created_at": "instant"}),
        **below("run", {"weight": "real", "sampled_on": "day"}),
        "label": "category",
        **below("label", {"id": "whole"} | LABEL),
        "label__type__name": "text",
    },
    "Run": {**RUN, "weight": "real", "sampled_on": "day", **below("created_by", USER)},
    "ULabel": {**LABEL, **below("type", LABEL), "type__type__name": "text"},
    "User": USER,
}
"""The fields of each registry, and those behind relations to one record."""
FORWARD = {name: {k: v for k, v in fields.items() if k != "ulabels"} for name, fields in FORWARD.items()}
MANY: Mapping[str, Mapping[str, str]] = {
    "Artifact": {
        "ulabels": "record",
        **below("ulabels", LABEL),
        **below("ulabels__type", LABEL),
        **below("ulabels__parents", LABEL),
        **below("ulabels__instances", {"name": "text"}),
        **below("ulabels__artifacts", {"key": "text", "seen_at": "instant"}),
        **below("created_by__created_artifacts", {"size": "whole", "sampled_on": "day"}),
        **below("run__output_artifacts", {"key": "text", "measured_at": "moment"}),
    },
    "Run": {
        "output_artifacts": "record",
        **below("output_artifacts", ARTIFACT),
        **below("output_artifacts", FEATURES),
        **below("output_artifacts__ulabels", LABEL),
    },
    "ULabel": {
        "parents": "record",
        "children": "record",
        "instances": "record",
        **below("artifacts", ARTIFACT),
        **below("artifacts", FEATURES),
        **below("parents", LABEL),
        **below("children__children", LABEL),
        **below("instances", LABEL),
        **below("artifacts__run", RUN),
    },
    "User": {
        "created_artifacts": "record",
        **below("created_artifacts", ARTIFACT),
        **below("created_artifacts", FEATURES),
        **below("created_runs", RUN),
        **below("created_artifacts__ulabels", LABEL),
        **below("created_runs__output_artifacts", ARTIFACT),
        **below("created_artifacts__label", LABEL),
    },
}
"""The fields behind relations to many records."""

# Python's regular expressions, which Django has SQLite use, and RE2's mean the same by these.
PATTERNS = [*map(re.escape, TEXTS), "^a", "B$", "[ab]+%", "(x|_)b?$", "^.$", r"\d", "^$"]
ORDERED = ["", "exact", "gt", "gte", "lt", "lte", "in", "range", "isnull"]
CASED = ["contains", "startswith", "endswith"]
FOLDED = {"iexact": r"\A{}\Z", "icontains": "{}", "istartswith": r"\A{}", "iendswith": r"{}\Z"}
PARTS = {
    "year": [1, 1969, 1970, 2020, 2021, 2024, 2025, 9999],
    "iso_year": [1, 1970, 2020, 2021, 2024, 2025],
    "quarter": [1, 2, 3, 4],
    "month": [1, 2, 6, 12],
    "week": [1, 9, 24, 52, 53],
    "day": [1, 3, 15, 29, 30, 31],
    "week_day": [1, 2, 3, 4, 5, 6, 7],
    "iso_week_day": [1, 2, 3, 4, 5, 6, 7],
}
TIMES = {"hour": [0, 8, 10, 12, 23], "minute": [0, 15, 30, 59], "second": [0, 45, 59]}
CLOCKS = [time(), time(8), time(10, 30), time(12, 0, 0, 1), time(23, 59, 59, 500000), time.max, "08:00"]
EAST = timezone(timedelta(hours=5, minutes=30))
# An instant is the same in every time zone; the first and the last one are in UTC alone.
ZONED = [*INSTANTS, *(moment.astimezone(EAST) for moment in INSTANTS[1:-1]), "2024-02-29T23:59:59.500000+00:00"]
# What is compared with: what the rows hold, what lies between, what is beyond.
VALUES: Mapping[str, Sequence[Any]] = {
    "text": TEXTS,
    # Django cuts fractions off before it compares with whole numbers; here 2.5 is between 2 and 3, and equals neither.
    "whole": [*NUMBERS, 4, 2**62, -(2**63)],
    "real": [*FLOATS, 1, 2, -5, 2**53, 0.3],
    "flag": [True, False],
    "instant": ZONED,
    "moment": MOMENTS,
    "day": [*DAYS, "2024-02-29"],
    "record": [1, 2, 3, 5, 8, 11, 13, 14],
}


def operands(lookup: str, values: Sequence[Any]) -> list[Any]:
    """Return the operands that a lookup is asked with."""
    if lookup == "isnull":
        return [True, False]
    if lookup == "in":
        return [[], *([values[at], values[at * 3 % len(values)]] for at in range(len(values))), list(values[::2])]
    if lookup == "range":
        return list(product(values, values))
    return [*values, None] if lookup in {"", "exact"} else list(values)


def choices(sort: str) -> dict[str, list[Any]]:
    """Return the lookups of a sort of fields, transforms before them, and the operands of each."""
    if sort == "flag":
        return {lookup: operands(lookup, VALUES[sort]) for lookup in ("", "exact", "in", "isnull")}
    if sort == "category":
        # A category is compared with names and records, not with ids.
        return {"isnull": operands("isnull", ())}
    if sort == "record":
        return {lookup: operands(lookup, VALUES[sort]) for lookup in ("", "in", "isnull")}
    found = {lookup: operands(lookup, VALUES[sort]) for lookup in ORDERED}
    if sort == "text":
        return found | dict.fromkeys([*CASED, *FOLDED], TEXTS) | {"regex": PATTERNS, "iregex": PATTERNS}
    parts = {"day": PARTS, "instant": PARTS | TIMES, "moment": PARTS | TIMES}.get(sort, {})
    for part, numbers in parts.items():
        found |= {f"{part}__{lookup}".rstrip("_"): operands(lookup, numbers) for lookup in ORDERED if lookup != "exact"}
    if sort in {"instant", "moment"}:
        found |= {f"date__{lookup}".rstrip("_"): operands(lookup, VALUES["day"]) for lookup in ORDERED}
        found |= {f"date__{part}": PARTS[part] for part in PARTS}
        found |= {f"time__{lookup}".rstrip("_"): operands(lookup, CLOCKS) for lookup in ORDERED}
        found |= {f"time__{part}": TIMES[part] for part in TIMES}
    return found


CHOICES = {sort: list(choices(sort).items()) for sort in (*VALUES, "category")}


# --- questions ---------------------------------------------------------------------------------------

Tree = Any
"""A path and an operand; or a word, and the trees it joins or turns round."""
Step = tuple[str, Tree]
"""`filter` or `exclude`, and what by."""

WORDS: Mapping[str, Callable[..., Any]] = {"and": operator.and_, "or": operator.or_, "not": operator.invert}
SORTS = {name: {**FORWARD[name], **MANY[name]} for name in MODELS}
PATHS = {name: list(fields) for name, fields in SORTS.items()}


def shapes(depth: int, most: int) -> list[Tree]:
    """Return the forms of the trees up to a depth and a number of leaves, with `None` for each leaf."""
    if depth == 0:
        return [None]
    inner = shapes(depth - 1, most)
    found = [None, *(("not", shape) for shape in inner), *product(("and", "or"), inner, inner)]
    return [shape for shape in found if size(shape) <= most]


def size(shape: Tree) -> int:
    return 1 if shape is None else sum(map(size, shape[1:]))


ASKED = ["filter", "exclude"]
PAIRS = shapes(1, 2)
SINGLE = shapes(2, 3)
FORMS = [[(word, shape)] for word in ASKED for shape in SINGLE]
FORMS += [list(zip(words, pair, strict=True)) for words in product(ASKED, ASKED) for pair in product(PAIRS, PAIRS)]
"""What questions look like: one call or two, up to four conditions."""
DEEP = [[("filter", shape)] for shape in shapes(3, 7) if size(shape) > 5]


@st.composite
def questions(
    draw: st.DrawFn,
    forms: Sequence[list[Step]] = FORMS,
    paths: Mapping[str, list[str]] = PATHS,
    registries: Sequence[str] = tuple(MODELS),
) -> tuple[str, list[Step]]:
    """Return the name of a registry, and what it is asked."""
    registry = draw(st.sampled_from(registries))

    def grown(shape: Tree) -> Tree:
        if shape is not None:
            return shape[0], *map(grown, shape[1:])
        path = draw(st.sampled_from(paths[registry]))
        lookup, values = draw(st.sampled_from(CHOICES[SORTS[registry][path]]))
        return f"{path}__{lookup}".removesuffix("__"), draw(st.sampled_from(values))

    return registry, [(word, grown(shape)) for word, shape in draw(st.sampled_from(forms))]


def our_q(tree: Tree) -> Any:
    if tree[0] not in WORDS:
        return Q(**dict([tree]))
    return WORDS[tree[0]](*map(our_q, tree[1:]))


def their_q(model: Any, tree: Tree, *, apart: bool = False) -> Any:
    """Return a tree as Django's Q. A negation, and each of several conditions below one, is asked apart (`among`).

    What Django makes of a negated condition on a to-many relation depends on what stands before it: behind another
    condition on that relation it is asked of the row that fulfils that one, before it of all rows; behind one on the
    relation the other way round it is asked of the wrong rows. Here it is always "has none such". And of conditions
    below a negation that nothing can fulfil for want of a row or a value, Django leaves some undecided, and so leaves
    out rows that do not fulfil what is negated.
    """
    if tree[0] not in WORDS:
        return among(model, their_leaf(*tree)) if apart else their_leaf(*tree)
    if tree[0] == "not":
        return among(model, ~their_q(model, tree[1], apart=tree[1][0] in WORDS))
    return WORDS[tree[0]](*(their_q(model, part, apart=apart) for part in tree[1:]))


def among(model: Any, condition: Any) -> Any:
    return models.Q(pk__in=model.objects.filter(condition).values("pk"))


def their_leaf(path: str, operand: Any) -> Any:
    name, _, lookup = path.rpartition("__")
    if lookup in FOLDED:
        return models.Q(**{f"{name}__iregex": FOLDED[lookup].format(re.escape(operand))})
    return models.Q(**{path: aware(operand)})


def ours(store: Store, registry: str, steps: Sequence[Step]) -> Any:
    found = getattr(store, registry).filter(branch=None)
    for word, tree in steps:
        found = getattr(found, word)(our_q(tree))
    return found


def theirs(registry: str, steps: Sequence[Step]) -> Any:
    model = MODELS[registry]
    found = model.objects.all()
    for word, tree in steps:
        found = getattr(found, word)(their_q(model, tree, apart=word == "exclude" and tree[0] in WORDS))
    return found


def found_by(registry: str, steps: Sequence[Step]) -> set[int]:
    """Return the ids that Django finds; it gives one for each related row that fulfils the conditions, ours is one."""
    return set(theirs(registry, steps).values_list("id", flat=True))


Asking = list[tuple[str, list[Step]]]
PROFILE = settings(
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


def several(number: int, **given: Any) -> Any:
    """Return `number` questions at a time: making an example costs as much as making several questions does."""
    return st.lists(questions(**given), min_size=number, max_size=number)


@settings(PROFILE, max_examples=320)
@given(asking=several(8))
def test_filters_and_excludes(both: Store, asking: Asking) -> None:
    for registry, steps in asking:
        assert sorted(ours(both, registry, steps).to_list("id")) == sorted(found_by(registry, steps)), (registry, steps)


@settings(PROFILE, max_examples=40)
@given(asking=several(4, forms=DEEP))
def test_deep_conditions(both: Store, asking: Asking) -> None:
    for registry, steps in asking:
        assert sorted(ours(both, registry, steps).to_list("id")) == sorted(found_by(registry, steps)), (registry, steps)


@settings(PROFILE, max_examples=100)
@given(asking=several(4))
def test_counts_and_existence(both: Store, asking: Asking) -> None:
    for registry, steps in asking:
        found = ours(both, registry, steps)
        ids = found_by(registry, steps)
        told = (found.count(), found.exists(), len(found[1:4]), found.first(), found.last())
        ends = [min(ids), max(ids)] if ids else [None, None]
        assert [*told[:3], *(record and record.id for record in told[3:])] == [
            len(ids),
            bool(ids),
            min(max(len(ids) - 1, 0), 3),
            *ends,
        ], (registry, steps)


# A feature orders the records that have it: not those that lead to such, and not by what it leads to.
ORDERS = {
    name: [
        path
        for path, sort in fields.items()
        if sort not in {"record", "category"} and not re.match("run__(weight|sampled_on)|label__", path)
    ]
    for name, fields in FORWARD.items()
}
keys = st.tuples(st.integers(0, 10**6), st.booleans(), st.booleans())


@settings(PROFILE, max_examples=140)
@given(
    asking=st.lists(
        st.tuples(
            questions(forms=FORMS[:12], paths={name: list(fields) for name, fields in FORWARD.items()}),
            st.lists(keys, min_size=1, max_size=3),
            st.integers(0, 20),
            st.none() | st.integers(0, 20),
        ),
        min_size=8,
        max_size=8,
    )
)
def test_orders_and_slices(both: Store, asking: list[Any]) -> None:
    for (registry, steps), drawn, start, length in asking:
        part = slice(start, None if length is None else start + length)
        names = ORDERS[registry]
        told = [(names[at % len(names)], descending, first) for at, descending, first in drawn]
        # SQLite has missing values first; here they are last unless told otherwise, and both can be told.
        order = [
            getattr(models.F(name), "desc" if descending else "asc")(**{f"nulls_{'first' if first else 'last'}": True})
            for name, descending, first in told
        ]
        wanted = theirs(registry, steps).order_by(*order, "-id").values_list("id", flat=True)[part]
        found = ours(both, registry, steps).order_by(*(Order(*key) for key in told))[part]
        assert found.to_list("id") == list(wanted), (registry, steps, told, part)


COMBINED: Mapping[str, tuple[str, Callable[[set[int], set[int]], set[int]]]] = {
    "union": ("union", operator.or_),
    "intersection": ("intersection", operator.and_),
    "difference": ("difference", operator.sub),
    "|": ("__or__", operator.or_),
    "&": ("__and__", operator.and_),
}


@st.composite
def combinations(draw: st.DrawFn) -> tuple[str, list[Step], list[Step], str, slice]:
    registry, first = draw(questions(forms=FORMS[:12]))
    _, second = draw(questions(forms=FORMS[:12], registries=[registry]))
    part = draw(st.sampled_from([slice(None), slice(None), slice(1, 6), slice(3)]))
    return registry, first, second, draw(st.sampled_from(list(COMBINED))), part


@settings(PROFILE, max_examples=100)
@given(asking=st.lists(combinations(), min_size=4, max_size=4))
def test_combinations(both: Store, asking: list[Any]) -> None:
    for registry, first, second, word, part in asking:
        # Django combines no slices on SQLite: of the first the newest are taken here.
        left, right = set(sorted(found_by(registry, first), reverse=True)[part]), found_by(registry, second)
        method, combine = COMBINED[word]
        found = getattr(ours(both, registry, first)[part], method)(ours(both, registry, second))
        wanted = sorted(combine(left, right), reverse=True)
        assert found.to_list("id") == wanted, (registry, first, second, word, part)
