"""Every registry has every class method, every record every method, every to-many relation its whole manager."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import numpy as np
import pytest

import duckfeat as dft
from duckfeat import aggregates
from duckfeat.errors import FieldError, InvalidArgument, ValidationError
from duckfeat.store import Store
from tests.contract.test_records import one_of_each

REGISTRIES = [registry.__name__ for registry in dft.models.REGISTRIES]


def record_of(store: Store, registry: str) -> Any:
    """Return a saved record of a registry, with a name."""
    dft.settings.organism = "human"
    made = one_of_each(store).get(registry)
    cls = getattr(store, registry)
    if made is None:
        needed = {"entity": "CellType", "url": "cells.csv"} if registry == "Source" else {}
        made = cls(**{cls.__table__.label: "x1"}, **needed).save()
    if registry == "Run":
        made.name = "nightly"
        made.save()
    return made


@pytest.mark.parametrize("registry", REGISTRIES)
def test_a_registry_answers_by_every_method(registry: str, store: Store) -> None:
    record = record_of(store, registry)
    cls = getattr(store, registry)
    label = cls.__table__.label
    name, total = getattr(record, label), cls.count()
    assert record in cls.all()
    assert cls.filter(**{label: name}).one() == cls.get(record.id) == cls.get_or_none(**{label: name}) == record
    assert (cls.get_or_none(9999), record in cls.exclude(**{label: name}), cls.using(None).count()) == (
        None,
        False,
        total,
    )
    assert cls.search(str(name)).first() == record
    assert record in cls.lookup().dict().values()
    assert cls.lookup(label, return_field="id", keep="last").dict()[str(name)] == record.id
    frames = (cls.df(), cls.pl().to_pandas(), cls.arrow().to_pandas(), cls.to_dataframe(limit=None))
    assert {frame.shape[0] for frame in frames} == {total}
    assert len({tuple(frame.columns) for frame in frames}) == 1
    assert cls.from_values([name]) == [record]
    flags = cls.validate([name, "no such"])
    assert (flags.tolist(), flags.dtype) == ([True, False], np.dtype(bool))
    assert (cls.validate("no such"), cls.inspect([name, "no such"]).validated) == (False, [name])
    assert cls.standardize([name, "no such"]) == [name, "no such"]
    assert cls.describe(return_str=True).startswith(f"{registry}: {total} record")


@pytest.mark.parametrize("registry", REGISTRIES)
def test_a_record_goes_to_the_trash_comes_back_and_goes_for_good(registry: str, store: Store) -> None:
    record = record_of(store, registry)
    cls = getattr(store, registry)
    others: dict[str, Any] = {"Feature": store.FeatureValue, "Transform": store.Run}
    if registry in others:
        others[registry].all().delete(permanent=True)
    before = cls.count()
    assert record.delete() is None
    assert (record.branch.name, cls.count(), record in cls.filter(branch=None)) == ("trash", before - 1, True)
    assert record.restore() is record
    assert (record.branch.name, cls.count()) == ("main", before)
    assert record.delete(permanent=True) == (1, {registry: 1})
    assert (record.id, cls.filter(branch=None).count()) == (None, before - 1)


@pytest.mark.parametrize("relation", ["artifacts", "runs", "records"])
def test_a_value_has_a_whole_manager_for_each_sort_of_entity(relation: str, store: Store) -> None:
    made = one_of_each(store)
    value, registry = made["FeatureValue"], relation[:-1].capitalize()
    first = made[registry]
    second = {"Artifact": store.Artifact("s3://b/2"), "Run": store.Run(), "Record": store.Record()}[registry].save()
    manager = getattr(value, relation)
    manager.add(first)
    manager.add(first, second)
    assert (manager.count(), set(manager.all())) == (2, {first, second})
    assert manager.filter(id=second.id).one() == second
    assert manager.df()["uid"].tolist() == [second.uid, first.uid]
    assert first.feature_values.one() == value
    manager.remove(first)
    assert getattr(value, relation).to_list() == [second]
    manager.set([first])
    assert getattr(value, relation).to_list() == [first]
    manager.clear()
    assert (getattr(value, relation).count(), first.features.get_values()) == (0, {})


def test_values_are_known_by_kind_and_within_their_feature(store: Store) -> None:
    dose, rate = store.save([store.Feature(name="dose", dtype=float), store.Feature(name="rate", dtype="num")])
    flag, site = store.save([store.Feature(name="flag", dtype=bool), store.Feature(name="site", dtype=str)])
    for feature, value in ((dose, 1.5), (flag, True), (site, "v2")):
        store.FeatureValue.get_or_create(feature, value)
    known = store.FeatureValue.validate([1.5, True, 1, "v2", "1.5", 2.5])
    assert known.tolist() == [True, True, False, True, False, False]
    assert store.FeatureValue.inspect(["v2", 1, True]).non_validated == [1]
    [old] = store.FeatureValue.from_values([1.5], feature=dose)
    [new] = store.FeatureValue.from_values([1.5], feature=rate, create=True)
    assert (old.id, new.feature, new.id) == (store.FeatureValue.get(feature=dose).id, rate, 4)
    with pytest.raises(ValidationError, match="needs a saved feature"):
        store.FeatureValue.from_values([7.5], create=True)


def test_names_are_found_within_a_fixed_type(store: Store) -> None:
    organ = store.ULabel(name="organ", is_type=True).save()
    plain = store.ULabel(name="heart").save()
    [typed] = store.ULabel.from_values(["heart"], type=organ, create=True)
    assert (typed == plain, typed.type) == (False, organ)
    assert store.ULabel.from_values(["heart"], type=organ) == [typed]


def test_a_feature_called_like_a_question_is_told(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.save([store.Feature(name="dose", dtype=float), store.Feature(name="meta", dtype=dict)])
    with caplog.at_level(logging.WARNING, "duckfeat"):
        store.save([store.Feature(name=name, dtype=float) for name in ("dose__unit", "size__gt", "meta_gt", "a")])
        assert caplog.text == ""
        store.save([store.Feature(name=name, dtype=float) for name in ("dose__gt", "meta__a__b")])
    for name, asked in (("dose__gt", "dose"), ("meta__a__b", "meta")):
        assert f"feature '{name}' is called like a question about '{asked}'" in caplog.text
    store.Record(name="r", features={"dose": 2.0, "dose__gt": 1.0, "dose__unit": 4.0}).save()
    assert store.Record.filter(dose__gt=1.5).count() == 1
    assert store.Record.filter(store.Feature.get(name="dose__gt") > 1.5).count() == 0
    assert store.Record.filter(dose__gt__lt=2, dose__unit__gt=3).count() == 1
    assert store.Record.filter(dose__unit=4).pl(features=["dose__gt"])["dose__gt"].to_list() == [1.0]


def test_a_keyword_means_the_feature_that_was_registered_first(store: Store) -> None:
    store.save([store.Feature(name=name, dtype=float) for name in ("dose__gt", "dose")])
    store.Record(name="r", features={"dose": 2.0, "dose__gt": 1.0}).save()
    assert store.Record.filter(dose__gt=1.0).count() == 1
    assert store.Record.filter(dose__gt=1.5).count() == 0
    assert list(store.Record.all().order_by("dose__gt").values_list("dose__gt", flat=True)) == [1.0]


def test_a_column_means_a_part_of_what_was_registered_first_only_where_that_has_one(store: Store) -> None:
    dtypes = {"meta": dict, "ct": "cat[ULabel]", "t": "datetime", "dose": float}
    store.save([store.Feature(name=name, dtype=dtype) for name, dtype in dtypes.items()])
    dtypes = {"meta__x": float, "ct__name": str, "t__hour": int, "dose__hour": int, "dose__contains": int}
    store.save([store.Feature(name=name, dtype=dtype) for name, dtype in dtypes.items()])
    store.ULabel(name="T cell").save()
    values = {"ct": "T cell", "meta": {"x": 1}, "t": datetime(2024, 5, 1, 9), "t__hour": 3}
    given = {"meta__x": 7.0, "ct__name": "other", "dose__hour": 5, "dose__contains": 6}
    store.Record(name="r", features=values | given).save()
    records = store.Record.filter(meta__x=1, ct__name="T cell", t__hour=9, dose__hour=5, dose__contains=6)
    assert list(records.order_by("meta__x").values_list(*given, "t__hour")) == [(*given.values(), 9)]
    assert records.aggregate(m=aggregates.max("meta__x")) == {"m": 7.0}


def test_a_feature_called_like_a_field_is_reached_by_its_object(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "duckfeat"):
        called = store.Feature(name="name", dtype=str).save()
    assert "feature 'name' is called like a field of Run and Record" in caplog.text
    store.Record(name="mine", features={"name": "theirs"}).save()
    assert (store.Record.filter(name="theirs").count(), store.Record.filter(called == "theirs").count()) == (0, 1)
    assert store.Record.filter(name="mine").count() == 1
    frame = store.Record.pl(features=True)
    assert frame.columns[:2] == ["uid", "record.name"]
    assert frame.select("record.name", "name").rows() == [("mine", "theirs")]


def test_features_are_the_same_as_themselves_and_make_conditions_of_all_else(store: Store) -> None:
    dose, site = store.save([store.Feature(name="dose", dtype=float), store.Feature(name="site", dtype=str)])
    same = store.Feature.get(name="dose")
    assert (dose == same, dose != same, dose == site, dose != site) == (True, False, False, True)
    assert {dose: 1}[same] == 1
    assert isinstance(dose == 1.5, dft.models.Feature.__mro__[0]) is False
    with pytest.raises(InvalidArgument, match="no truth value"):
        bool(dose == 1.5)


def test_a_category_may_be_given_by_its_ontology_id(store: Store) -> None:
    cell = store.CellType(name="neuron", ontology_id="CL:0000540").save()
    store.Feature(name="cell_type", dtype=store.CellType).save()
    for given in ("neuron", "CL:0000540", cell):
        record = store.Record(name=str(given)[:9], features={"cell_type": given}).save()
        assert (record.features.get_values(), record.features["cell_type"]) == ({"cell_type": "neuron"}, cell)
    assert store.Record.filter(cell_type="CL:0000540").count() == store.Record.filter(cell_type="neuron").count() == 3
    assert store.Record.pl(features=True)["cell_type"].to_list() == ["neuron"] * 3


def test_a_broken_rule_is_reported_with_its_rows(store: Store) -> None:
    store.Record(name="r").save()
    store._session.engine._root.execute("UPDATE records SET branch_id = 55")  # type: ignore[attr-defined]
    report = store.check()
    assert not report.ok
    assert repr(report) == "<check: provenance_points_somewhere: 1 rows>"
    [(name, rows)] = report.failures.items()
    assert (name, rows["branch_id"].to_list()) == ("provenance_points_somewhere", [55])
    store._session.engine._root.execute("UPDATE records SET branch_id = 1")  # type: ignore[attr-defined]


def test_a_hash_lifts_the_branch(store: Store) -> None:
    dose = store.Feature(name="dose", dtype=float).save()
    store.Branch(name="draft").save()
    store.switch("draft")
    value, _ = store.FeatureValue.get_or_create(dose, 1.5)
    store.switch("main")
    assert store.FeatureValue.count() == 0
    assert store.FeatureValue.filter(hash=value.hash).one() == store.FeatureValue.get(value.hash[:6]) == value


def test_a_queryset_never_changes(store: Store) -> None:
    store.save([store.ULabel(name=name) for name in "abc"])
    every = store.ULabel.all()
    text = every.sql()
    for made in (
        every.filter(name="a"),
        every.exclude(name="a"),
        every.order_by("name"),
        every[:1],
        every.values("name"),
        every.search("a"),
        every.none(),
        every.filter(branch=None),
        every | every.filter(name="a"),
        every & every.filter(name="a"),
    ):
        assert made is not every
        assert every.sql() == text
    assert every.count() == 3
    with pytest.raises(FieldError, match="nam"):
        every.filter(nam="a")
