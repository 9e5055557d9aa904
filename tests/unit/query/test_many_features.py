"""Hundreds of features in one question: the same answers as of few, from statements that stay shallow."""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.aggregates import max as greatest
from duckfeat.compile.feature_joins import JOINS_LIMIT
from duckfeat.compile.staging import COUNTED_TOGETHER
from duckfeat.registries import bulk_groups
from duckfeat.store import Store

MOMENT = datetime(2024, 5, 1, 12)
VALUES: dict[str, tuple[Any, Callable[[int], Any]]] = {
    "int": (int, lambda n: n),
    "float": (float, lambda n: [0.5, float("nan"), -0.0, float("inf")][n % 4]),
    "num": ("num", lambda n: n / 2 if n % 2 else n),
    "str": (str, lambda n: f"text {n % 5}"),
    "bool": (bool, lambda n: n % 3 == 0),
    "date": (date, lambda n: date(2024, 1, 1 + n)),
    "naive": (datetime, lambda n: MOMENT + timedelta(hours=n)),
    "instant": (datetime, lambda n: (MOMENT + timedelta(hours=n)).replace(tzinfo=UTC)),
    "dict": (dict, lambda n: {"x": [n], "y": str(n)}),
    "ints": ("list[int]", lambda n: [n, None, n + 1]),
    "instants": ("list[datetime]", lambda n: [MOMENT.replace(tzinfo=UTC)] * (n % 2)),
    "label": ("cat[ULabel]", lambda n: f"label {n % 4}"),
    "sample": ("cat[Record]", lambda n: f"parent {n % 2}"),
}
RECORDS = 8


@pytest.fixture
def wide(store: Store) -> Store:
    """Records with values of every dtype, one and several of each feature; some lack some, some were changed."""
    dft.save([dft.ULabel(name=f"label {n}") for n in range(4)])
    dft.save([dft.Record(name=f"parent {n}") for n in range(2)])
    for name, (dtype, _) in VALUES.items():
        dft.save([dft.Feature(name=f"{name}_{at}", dtype=dtype, multiple=at % 2 == 1) for at in range(4)])
    for n in range(RECORDS):
        features: dict[str, Any] = {}
        for place, (name, (_, value)) in enumerate(VALUES.items()):
            for at in range(4):
                if (n + place + at) % 5:
                    features[f"{name}_{at}"] = [value(n), value(n + 1)] if at % 2 else value(n + at)
        dft.Record(name=f"r{n}", features=features).save()
    dft.Record.get(name="r3").features.update_values({"int_0": 77, "label_0": "label 3"})
    dft.Record.get(name="r4").features.remove_values("str_2")
    return store


QUESTIONS: dict[str, Callable[[], Any]] = {
    "all": lambda: dft.Record.all().order_by("id"),
    "some": lambda: dft.Record.filter(int_0__gt=2).order_by("id"),
    "sliced": lambda: dft.Record.all().order_by("id")[3:7],
    "none": lambda: dft.Record.filter(int_0__gt=1_000),
}


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("question", QUESTIONS)
def test_many_columns_are_those_of_few(question: str) -> None:
    asked = QUESTIONS[question]()
    names = [f"{name}_{at}" for name in VALUES for at in range(4)]
    assert len(names) > JOINS_LIMIT
    many = asked.arrow(features=names)
    for at in range(0, len(names), 13):
        some = names[at : at + 13]
        few = asked.arrow(features=some)
        assert many.select(some).schema.equals(few.select(some).schema)
        assert repr(many.select(some).to_pylist()) == repr(few.select(some).to_pylist())  # repr: NaN, -0.0


@pytest.mark.usefixtures("wide")
def test_values_of_many_features_are_those_of_few() -> None:
    names = [f"{name}_{at}" for name in VALUES for at in range(4)]
    rows = dft.Record.all().order_by("id").values(*names).to_list()
    for name in names:
        assert repr([row[name] for row in rows]) == repr(dft.Record.all().order_by("id").to_list(name))


def plain(name: str, value: Any) -> Any:
    """Return the conditions that a feature has a value, whichever its dtype."""
    feature = dft.Feature.get(name=name)
    return feature.isin([value]) if not isinstance(value, dict | list) else ~feature.is_null()


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("join", [operator.and_, operator.or_])
@pytest.mark.parametrize("turned", [False, True])
def test_conditions_on_many_features_are_those_on_each(join: Any, turned: bool) -> None:
    terms, answers = [], []
    for name, (_, value) in VALUES.items():
        for at in range(4):
            term = plain(f"{name}_{at}", value(4))
            term = ~term if turned else term
            terms.append(term)
            answers.append(set(dft.Record.filter(term).to_list("id")))
    asked = dft.Record.filter(functools.reduce(join, terms))
    expected = functools.reduce(join, answers)
    assert set(asked.to_list("id")) == expected
    assert asked.count() == len(expected)
    assert asked.sql()[0].count("JOIN (SELECT") < JOINS_LIMIT


FEATURES = 300


@pytest.fixture
def crowd(store: Store) -> Store:
    """Three records with a number of each of 300 features."""
    dft.save([dft.Feature(name=f"f{at}", dtype=int) for at in range(FEATURES)])
    dft.save([dft.Record(name=f"r{n}", features={f"f{at}": n + at for at in range(FEATURES)}) for n in range(3)])
    return store


NAMES = [f"f{at}" for at in range(FEATURES)]
ASKED: dict[str, tuple[Callable[[], Any], Any]] = {
    "frame": (lambda: dft.Record.all().pl(features=True).select(NAMES).row(0), tuple(range(2, 2 + FEATURES))),
    "frame of some": (
        lambda: dft.Record.filter(f0__gt=1).pl(features=True).select(NAMES).rows(),
        [tuple(range(2, 2 + FEATURES))],
    ),
    "order": (lambda: dft.Record.all().order_by(*NAMES).to_list("name"), ["r0", "r1", "r2"]),
    "values": (lambda: dft.Record.all().values_list(*NAMES).to_list()[2], tuple(range(FEATURES))),
    "aggregate": (
        lambda: dft.Record.all().aggregate(**{f"m{at}": greatest(name) for at, name in enumerate(NAMES)}),
        {f"m{at}": at + 2 for at in range(FEATURES)},
    ),
    "groups": (
        lambda: dft.Record.all().group_by("f0").agg(**{f"m{at}": greatest(n) for at, n in enumerate(NAMES)}).height,
        3,
    ),
    "all hold": (lambda: dft.Record.filter(**{f"f{at}": at + 1 for at in range(FEATURES)}).to_list("name"), ["r1"]),
    "any holds": (
        lambda: dft.Record.filter(functools.reduce(operator.or_, [dft.Q(**{n: 299}) for n in NAMES])).count(),
        3,
    ),
    "some do not": (
        lambda: dft.Record.exclude(**{f"f{at}": at + 1 for at in range(FEATURES)}).order_by("id").to_list("name"),
        ["r0", "r2"],
    ),
    "none is missing": (
        lambda: dft.Record.filter(**{f"{name}__isnull": False for name in NAMES}).count(),
        3,
    ),
}


@pytest.mark.usefixtures("crowd", "small_stack")
def test_hundreds_of_features_need_no_big_stack(store: Store) -> None:
    found: dict[str, Any] = {}
    seen: dict[str, list[str]] = {what: [] for what in ASKED}

    def note(what: str, sql: str, _params: Any) -> None:
        seen[what].append(sql)

    def ask() -> None:
        for what, (act, _) in ASKED.items():
            with store.trace(functools.partial(note, what)):
                found[what] = act()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    for what, (_, expected) in ASKED.items():
        assert found[what] == expected, what
        assert all(sql.count(" JOIN (SELECT") <= 3 * JOINS_LIMIT for sql in seen[what]), what


@pytest.mark.no_cover  # the same few lines, for hundreds of features
@pytest.mark.usefixtures("small_stack")
@pytest.mark.parametrize(("together", "scans"), [(100_000, 0), (0, -(-FEATURES // COUNTED_TOGETHER))])
def test_a_frame_of_hundreds_of_features_is_annotated_and_comes_back(
    store: Store, together: int, scans: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns of one dtype are looked at together while they are short, else counted by few scans of the input."""
    monkeypatch.setattr(bulk_groups, "_CELLS_TOGETHER", together)
    columns = {name: [float(at), None, -0.0] if at % 3 else [f"t{at}", "", None] for at, name in enumerate(NAMES)}
    given = pl.DataFrame({"name": ["a", "b", "c"], **columns})
    seen: list[str] = []
    found: list[pl.DataFrame] = []

    def annotate() -> None:
        with store.trace(lambda sql, _params: seen.append(sql)):
            store.annotate(given, key="name", create="all")
        found.append(store.Record.all().order_by("id").pl(features=True).select("name", *NAMES))

    thread = threading.Thread(target=annotate)
    thread.start()
    thread.join()
    assert repr(found[0].rows()) == repr(given.rows())
    counted = [sql for sql in seen if "signbit" in sql and sql.startswith("SELECT * FROM (SELECT count(")]
    assert sum(sql.count("(SELECT count(") for sql in counted) == scans
    assert len(counted) <= 1
    assert (len(seen) < FEATURES) == (together > 0)
