"""Public methods given what they do not take: an error of this package, and the store as it was."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pandas
import polars as pl
import pyarrow
import pytest

import duckfeat as dft
from duckfeat.aggregates import count
from duckfeat.errors import DuckfeatError, InvalidArgument, ValidationError
from duckfeat.store import Store
from tests.counting import row_counts

ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    2**70,
    1.5,
    float("nan"),
    "",
    "\0",
    "\ud800",
    "no such",
    b"x",
    [],
    [None],
    [[1]],
    {},
    {"a": 1},
    {1: 2},
    object(),
    len,
    int,
    dt.date(2024, 1, 1),
    dft.ULabel,
]

Call = Callable[[Store, Any], Any]
CALLS: dict[str, Call] = {
    "get": lambda s, x: s.Record.get(x),
    "get_or_none": lambda s, x: s.Record.get_or_none(x),
    "get by name": lambda s, x: s.Record.get(name=x),
    "get by id": lambda s, x: s.Record.get(id=x),
    "filter positional": lambda s, x: list(s.Record.filter(x)),
    "filter name": lambda s, x: list(s.Record.filter(name=x)),
    "filter name in": lambda s, x: list(s.Record.filter(name__in=x)),
    "filter feature": lambda s, x: list(s.Record.filter(dose=x)),
    "filter feature gt": lambda s, x: list(s.Record.filter(dose__gt=x)),
    "filter relation": lambda s, x: list(s.Record.filter(ulabels=x)),
    "filter branch": lambda s, x: list(s.Record.filter(branch=x)),
    "filter created_at": lambda s, x: list(s.Record.filter(created_at=x)),
    "filter value": lambda s, x: list(s.FeatureValue.filter(value=x)),
    "exclude": lambda s, x: list(s.Record.exclude(name=x)),
    "order_by": lambda s, x: list(s.Record.all().order_by(x)),
    "values": lambda s, x: list(s.Record.all().values(x)),
    "values_list": lambda s, x: list(s.Record.all().values_list(x)),
    "to_list": lambda s, x: s.Record.all().to_list(x),
    "slice": lambda s, x: s.Record.all()[x],
    "contains": lambda s, x: x in s.Record.all(),
    "or": lambda s, x: s.Record.all() | x,
    "search": lambda s, x: s.Record.search(x).to_list(),
    "search field": lambda s, x: s.Record.search("a", field=x).to_list(),
    "search limit": lambda s, x: s.Record.search("a", limit=x).to_list(),
    "lookup": lambda s, x: s.Record.lookup(x),
    "lookup return": lambda s, x: s.Record.lookup("name", x),
    "lookup keep": lambda s, x: s.Record.lookup(keep=x),
    "pl include": lambda s, x: s.Record.pl(include=x),
    "pl features": lambda s, x: s.Record.pl(features=x),
    "pl limit": lambda s, x: s.Record.pl(limit=x),
    "df limit": lambda s, x: s.Record.df(limit=x),
    "from_values": lambda s, x: s.ULabel.from_values(x),
    "from_values field": lambda s, x: s.ULabel.from_values(["a"], field=x),
    "validate": lambda s, x: s.ULabel.validate(x),
    "validate field": lambda s, x: s.ULabel.validate(["a"], field=x),
    "inspect": lambda s, x: s.ULabel.inspect(x),
    "standardize": lambda s, x: s.ULabel.standardize(x),
    "using": lambda s, x: s.ULabel.using(x),
    "new ULabel": lambda s, x: s.ULabel(x).save(),
    "new ULabel description": lambda s, x: s.ULabel(name="odd", description=x).save(),
    "new ULabel type": lambda s, x: s.ULabel(name="odd", type=x).save(),
    "new ULabel uid": lambda s, x: s.ULabel(name="odd", uid=x).save(),
    "new ULabel is_type": lambda s, x: s.ULabel(name="odd", is_type=x).save(),
    "new Record features": lambda s, x: s.Record(name="odd", features=x).save(),
    "new Record branch": lambda s, x: s.Record(name="odd", branch=x).save(),
    "new Feature name": lambda s, x: s.Feature(name=x, dtype=float).save(),
    "new Feature dtype": lambda s, x: s.Feature(name="odd", dtype=x).save(),
    "new Feature multiple": lambda s, x: s.Feature(name="odd", dtype=int, multiple=x).save(),
    "new Artifact": lambda s, x: s.Artifact(x).save(),
    "new Artifact key": lambda s, x: s.Artifact("s3://bucket/odd", key=x).save(),
    "new Run": lambda s, x: s.Run(x).save(),
    "new Run status": lambda s, x: s.Run(status=x).save(),
    "new Run started_at": lambda s, x: s.Run(started_at=x).save(),
    "new Transform": lambda s, x: s.Transform(x).save(),
    "new User": lambda s, x: s.User(x).save(),
    "new Branch": lambda s, x: s.Branch(x).save(),
    "new FeatureValue": lambda s, x: s.FeatureValue(x, 1.0).save(),
    "get_or_create feature": lambda s, x: s.FeatureValue.get_or_create(x, 1.0),
    "get_or_create value": lambda s, x: s.FeatureValue.get_or_create("dose", x),
    "set field": lambda s, x: setattr(_record(s), "name", x),
    "set foreign": lambda s, x: setattr(_record(s), "type", x),
    "update": lambda s, x: s.Record.filter(name="r").update(description=x),
    "update type": lambda s, x: s.Record.filter(name="r").update(type=x),
    "add_values": lambda s, x: _record(s).features.add_values(x),
    "add_values value": lambda s, x: _record(s).features.add_values({"dose": x}),
    "add_values key": lambda s, x: _record(s).features.add_values({_key(x): 1.0}),
    "add_values cat": lambda s, x: _record(s).features.add_values({"tissue": x}),
    "add_values tags": lambda s, x: _record(s).features.add_values({"tags": x}),
    "update_values": lambda s, x: _record(s).features.update_values(x),
    "set_values": lambda s, x: _record(s).features.set_values(x),
    "remove_values": lambda s, x: _record(s).features.remove_values(x),
    "remove_values value": lambda s, x: _record(s).features.remove_values({"dose": x}),
    "features[...]": lambda s, x: _record(s).features[_key(x)],
    "history": lambda s, x: _record(s).features.history(x),
    "manager add": lambda s, x: _record(s).ulabels.add(x),
    "manager remove": lambda s, x: _record(s).ulabels.remove(x),
    "manager set": lambda s, x: _record(s).ulabels.set(x),
    "add_synonym": lambda s, x: s.ULabel.get(name="lung").add_synonym(x),
    "save": lambda s, x: s.save(x),
    "save batch_size": lambda s, x: s.save([s.ULabel(name="lung")], batch_size=x),
    "track": lambda s, x: s.track(x).__exit__(None, None, None),
    "switch": lambda s, x: s.switch(x),
    "view": lambda s, x: repr(s.view(x)),
    "view limit": lambda s, x: repr(s.view(limit=x)),
    "sql": lambda s, x: s.sql(x),
    "sql params": lambda s, x: s.sql("SELECT 1 AS a", x),
    "settings.branch": lambda _, x: setattr(dft.settings, "branch", x),
    "settings.space": lambda _, x: setattr(dft.settings, "space", x),
    "connect": lambda _, x: dft.connect(x, default=False).close(),
    "connect name": lambda _, x: dft.connect(name=x, default=False).close(),
    "predicate": lambda s, x: list(s.Record.filter(s.Feature.get(name="dose") > x)),
    "isin": lambda s, x: list(s.Record.filter(s.Feature.get(name="dose").isin(x))),
    "between": lambda s, x: list(s.Record.filter(s.Feature.get(name="dose").between(x, x))),
}


def _record(store: Store) -> Any:
    return store.Record.get(name="r")


def _key(value: Any) -> Any:
    return repr(value) if isinstance(value, list | dict) else value


@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_argument_is_an_error_of_this_package(
    call: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a path that is taken for a new store makes it here
    store.save(
        [
            store.Feature(name="dose", dtype=float),
            store.Feature(name="tags", dtype=str, multiple=True),
            store.Feature(name="tissue", dtype="cat[ULabel]"),
            store.ULabel(name="lung"),
        ]
    )
    store.Record(name="r", features={"dose": 1.0}).save()
    refused = [odd for odd in ODD if _refuses(call, store, odd)]
    before = row_counts(store)
    assert all(_refuses(call, store, odd) for odd in refused)
    assert row_counts(store) == before


def _refuses(call: str, store: Store, odd: Any) -> bool:
    """Tell whether a call raises an error of this package, which says something; any other goes through."""
    try:
        CALLS[call](store, odd)
    except DuckfeatError as error:
        return bool(str(error))
    finally:
        store.switch("main")
        dft.settings.space = "all"
    return False


def test_a_value_that_python_has_no_text_for_is_told_of_all_the_same(store: Store) -> None:
    deep: dict[str, Any] = {}
    for _ in range(20_000):
        deep = {"a": deep}
    store.save([store.Feature(name="meta", dtype=dict), store.Feature(name="dose", dtype=int)])
    record = store.Record(name="r").save()
    for value, told in (
        ({"meta": deep}, r"<dict> \(dict\) holds nesting deeper than 200"),
        ({"dose": 10**5000}, "<int>"),
    ):
        with pytest.raises(ValidationError, match=told):
            record.features.set_values(value)
    with pytest.raises(ValidationError, match="nesting deeper than 200"):
        store.annotate(pl.DataFrame({"name": ["r"], "meta": pl.Series([deep], dtype=pl.Object)}), key="name")
    with pytest.raises(ValidationError, match="unknown feature 'new'"):
        record.features.set_values({"new": deep})
    assert record.features.get_values() == {}
    assert repr(store.Feature.get(name="meta") == deep) == "(meta exact <dict>)"


WEST = dt.timezone(dt.timedelta(hours=-5))
EXTREMES: list[Any] = [
    dt.datetime.max.replace(tzinfo=WEST),
    dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=14))),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
    dt.date.min,
    dt.timedelta.max,
    10**5000,
    Decimal("1e999999"),
    Decimal("1e-5000"),
    Decimal("1." + "1" * 50),
    Decimal("sNaN"),
    Decimal("-Infinity"),
    numpy.datetime64(2**62, "D"),
    numpy.datetime64("NaT", "D"),
    numpy.timedelta64(1, "D"),
    numpy.longdouble("1e4000"),
    numpy.array(5),
    pandas.NaT,
    pandas.NA,
    pandas.Timestamp(1),
    pandas.Timedelta("1D"),
]


@pytest.mark.parametrize("dtype", ["bool", "int", "float", "num", "str", "date", "datetime", "datetime[UTC]", "dict"])
def test_extremes_are_taken_or_refused(dtype: str, store: Store) -> None:
    """Whatever is written comes back, whatever is asked is answered, or it is told why not."""
    names = [f"{prefix}{name}" for name in (dtype, f"list[{dtype}]") for prefix in ("", "coerced ")]
    for name in names:
        store.Feature(name=name, dtype=name.removeprefix("coerced "), coerce=name.startswith("coerced")).save()
    store.Feature(name="several", dtype=dtype, multiple=True).save()
    record = store.Record(name="r").save()
    for extreme in EXTREMES:
        for name in [*names, "several"]:
            feature = store.Feature.get(name=name)
            for given in (extreme, [extreme]):
                with suppress(DuckfeatError):
                    record.features.set_values({name: given})
                    record.features.get_values()
            for condition in (feature == extreme, feature != extreme, feature.isin([extreme]), feature <= extreme):
                with suppress(DuckfeatError):
                    store.Record.filter(condition).count()
        for lookup in ("value", "value__gt", "value__in", "value__range"):
            with suppress(DuckfeatError):
                store.FeatureValue.filter(**{lookup: [extreme] * 2 if lookup.endswith("e") else extreme}).count()


def test_dates_beyond_python_are_refused_in_bulk(store: Store) -> None:
    store.save([store.Feature(name="at", dtype="datetime[UTC]"), store.Record(name="r")])
    for type_ in (pyarrow.timestamp("us", "UTC"), pyarrow.list_(pyarrow.timestamp("us")), pyarrow.date32()):
        value = 2**30 if type_ == pyarrow.date32() else 2**60
        column = pyarrow.array([[value] if pyarrow.types.is_list(type_) else value], type_)
        for name in ("at", "new"):
            frame = pyarrow.table({"name": ["r"], name: column})
            with pytest.raises(
                ValidationError, match=r"outside the years 1 to 9999|'38504-08-17.* is a list|: 2941775-"
            ):
                store.annotate(frame, key="name", create="features")
            if name == "at":
                assert store.annotate(frame, key="name", on_invalid="skip").skipped.height == 1
    decimals = pandas.DataFrame({"name": ["r"], "at": [Decimal("Infinity")]})
    with pytest.raises(ValidationError, match=r"row 0: a value that has no JSON form \(Decimal\)"):
        store.annotate(decimals, key="name")


@pytest.mark.parametrize("broken", ["\ud800", "a\udfffb"])
def test_text_that_is_no_unicode_is_told_of_wherever_it_is_given(broken: str, store: Store) -> None:
    store.save([store.Feature(name="word", dtype=str), store.Feature(name="meta", dtype=dict)])
    record = store.Record(name="r").save()
    calls: list[Callable[[], Any]] = [
        lambda: record.features[broken],
        lambda: store.Record.filter(**{f"meta__{broken}": 1}),
        lambda: store.Record.filter(**{broken: 1}),
        lambda: store.sql("SELECT $a AS a", {"a": broken}),
        lambda: store.sql("SELECT $a AS a", {"a": {"k": [broken]}}),
        lambda: store.Record.all().aggregate(**{broken: count()}),
        lambda: store.Record.all().group_by("name").agg(**{broken: count()}),
        lambda: store.Record.all().annotate(**{broken: count("ulabels")}),
        lambda: store.Artifact(broken),
        lambda: store.annotate(broken),
    ]
    for column in ({"word": [[broken]]}, {"word": pandas.Series([broken], dtype=object)}):
        frame = pandas.DataFrame({"name": ["r"], **column})
        calls.append(partial(store.annotate, frame, key="name"))
    for call in calls:
        with pytest.raises(DuckfeatError) as error:
            call()
        assert str(error.value).encode()
        assert "the engine refused" not in str(error.value)


def test_a_frame_nested_deeper_than_arrow_goes_is_told_of(store: Store) -> None:
    store.Feature(name="meta", dtype=dict).save()
    nested: Any = 1
    for _ in range(100):
        nested = {"a": nested}
    with pytest.raises(InvalidArgument, match="Arrow cannot hold this frame"):
        store.annotate(pl.DataFrame({"name": ["r"], "meta": [nested]}), key="name", create=True)
