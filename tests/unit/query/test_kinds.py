"""Conditions meet values of their own kind: on features of several kinds, on values, inside nested ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy
import pandas
import polars
import pyarrow
import pytest

import duckfeat as dft
from duckfeat import Q
from duckfeat.errors import FieldError, InvalidArgument, ValidationError
from duckfeat.store import Store


def found(*conditions: Any, **lookups: Any) -> list[str]:
    return sorted(dft.Record.filter(*conditions, **lookups).to_list("name"))


@pytest.fixture
def things(store: Store) -> Store:
    """Records with a number of either kind, a moment of either sort, and nested values."""
    dft.Feature(name="size", dtype="num").save()
    dft.Feature(name="seen", dtype="datetime").save()
    dft.Feature(name="meta", dtype=dict).save()
    dft.Feature(name="steps", dtype="list[int]").save()
    naive, aware = datetime(2024, 5, 1, 12), datetime(2024, 5, 2, 12, tzinfo=UTC)
    rows: dict[str, dict[str, Any]] = {
        "a": {"size": 1, "seen": naive, "meta": {"lr": 0.1, "tags": ["x", "y"], "on": True, "n": None}, "steps": [1]},
        "b": {"size": 1.5, "seen": aware, "meta": {"lr": 2, "name": "B", "inner": {"k": 1}}, "steps": [1, 2]},
        "c": {},
    }
    dft.save([dft.Record(name=name, features=values) for name, values in rows.items()])
    return store


def test_a_number_of_either_kind_meets_numbers(things: Store) -> None:
    size = things.Feature.get(name="size")
    assert found(size >= 1) == ["a", "b"]
    assert found(size == 1) == found(size=1.0) == ["a"]
    assert found(size__in=[1.5, 7]) == ["b"]
    assert found(size.between(1.2, 2)) == ["b"]
    assert found(size != 1) == ["b"]
    assert found(~(size == 1)) == ["b", "c"]
    assert found(size.is_null()) == ["c"]
    with pytest.raises(InvalidArgument, match="is never compared with '1'"):
        dft.Record.filter(size="1")


def test_moments_meet_their_own_sort(things: Store) -> None:
    seen = things.Feature.get(name="seen")
    assert found(seen == datetime(2024, 5, 1, 12)) == ["a"]
    assert found(seen == datetime(2024, 5, 2, 12, tzinfo=UTC)) == ["b"]
    assert found(seen__year=2024) == ["a", "b"]
    assert found(seen__date=date(2024, 5, 2)) == ["b"]
    with pytest.raises(InvalidArgument, match="isnull takes True or False"):
        dft.Record.filter(seen__isnull=1)


@pytest.mark.parametrize("asked", ["seen", "size", "seen__year", "name", "created_at__year", "created_by", "ulabels"])
@pytest.mark.parametrize("given", [1, 0, "True"])
def test_isnull_says_where_it_was_given_neither_true_nor_false(asked: str, given: Any, things: Store) -> None:
    told = {"seen": "feature 'seen'__isnull", "size": "feature 'size'__isnull"}.get(
        asked, f"{asked.rsplit('__', maxsplit=1)[-1]}__isnull"
    )
    with pytest.raises(InvalidArgument, match=f"{told}: isnull takes True or False, not {given!r}"):
        things.Record.filter(**{f"{asked}__isnull": given})


def test_a_part_of_what_is_missing_is_missing(things: Store) -> None:
    assert found(seen__year__isnull=True) == found(seen__date__month=None) == ["c"]
    assert found(seen__year__isnull=False) == ["a", "b"]
    values = things.FeatureValue
    assert values.filter(value__year__isnull=False).count() == 2
    assert values.filter(value__year__isnull=True).count() == values.count() - 2
    label = dft.ULabel(name="lung").save()
    dft.Feature(name="tissue", dtype="cat[ULabel]").save()
    dft.Record(name="d", features={"tissue": label}).save()
    assert found(tissue__description=None) == found(tissue__description__isnull=True) == ["a", "b", "c", "d"]
    assert found(tissue__name=None) == found(tissue__created_at__year__isnull=True) == ["a", "b", "c"]
    with pytest.raises(FieldError, match="cannot have 'year'"):
        dft.Record.filter(size__year__isnull=True)


def test_values_meet_operands_of_their_kind(things: Store) -> None:
    values = things.FeatureValue
    assert [value.value for value in values.filter(value=1)] == [1]
    assert sorted(value.value for value in values.filter(value__lt=2)) == [1, 1.5]
    assert values.filter(value__in=[1, 1.5, "x", True]).count() == 2
    assert values.filter(value__range=(1.2, 2)).count() == 1
    assert values.filter(value__month=5).count() == 2
    assert values.filter(value__isnull=False).count() == values.count()
    assert values.filter(value=None).count() == 0
    assert values.filter(value__lr__gt=0.01).count() == 2
    assert values.filter(value=[1, 2]).count() == 1
    with pytest.raises(FieldError, match="does not go with True"):
        values.filter(value__gt=True)
    with pytest.raises(InvalidArgument, match="no feature value is a"):
        values.filter(value=object())


def test_places_inside_nested_values(things: Store) -> None:
    meta = things.Feature.get(name="meta")
    assert found(meta["lr"] > 1) == ["b"]
    assert found(meta["lr"].isin([0.1, 5])) == ["a"]
    assert found(meta["tags"][1] == "y") == ["a"]
    assert found(meta["inner"]["k"] == 1) == found(meta__inner__k=1) == ["b"]
    assert found(meta["on"] == True) == ["a"]  # noqa: E712  # builds a predicate
    assert found(meta["name"].startswith("B")) == ["b"]
    assert found(meta["name"].endswith("b")) == found(meta["name"].matches("^b$")) == []
    assert found(meta["tags"] == ["x", "y"]) == ["a"]
    assert found(meta["inner"] == {"k": 1}) == ["b"]
    assert found(meta["n"].is_null()) == ["a", "b", "c"]
    assert found(meta["name"].is_null(False)) == ["b"]
    assert found(meta["lr"] != 2) == ["a"]
    assert found(meta["lr"].between(1, 3), meta["name"].contains("B")) == ["b"]
    assert found(meta["lr"] <= 0.1) == found(meta["lr"] < 0.2) == ["a"]
    with pytest.raises(FieldError, match="there is nothing inside it"):
        dft.Record.filter(things.Feature.get(name="size")["x"] == 1)


def test_conditions_show_and_equal_themselves() -> None:
    condition = Q(a=1, b="x") & ~Q(c=2) | Q(d=3)
    assert repr(condition) == "(Q(a=1) & Q(b='x') & ~Q(c=2)) | Q(d=3)"
    assert Q(a=1) == Q(a=1)
    assert Q(a=1) != Q(a=2)
    assert Q(a=1) != "a"
    deep = Q(a=1)
    for _ in range(40):
        deep = ~(deep | Q(b=2))
    assert "..." in repr(deep)
    with pytest.raises(InvalidArgument, match="has no truth value"):
        bool(Q(a=1))
    with pytest.raises(InvalidArgument, match="combines with another condition"):
        Q(a=1) & 3  # type: ignore[operator]


# --- aggregates ----------------------------------------------------------------------------------


def test_aggregates_of_features_relations_and_parts(things: Store) -> None:
    label = dft.ULabel(name="x").save()
    for name in ("a", "b"):
        things.Record.get(name=name).ulabels.add(label)
    of = dft.aggregates
    assert dft.Record.all().aggregate(n=of.count(), size=of.mean("size"), last=of.max("seen__year")) == {
        "n": 3,
        "size": 1.25,
        "last": 2024,
    }
    by_label = dft.Record.all().group_by("ulabels__name").agg(n=of.count()).rows()
    assert by_label == [("x", 2), (None, 1)]
    counted = dft.ULabel.all().annotate(n=of.count("records"), names=of.list("records__name"))
    assert counted.values_list("n", "names")[0] == (2, ["a", "b"])
    assert dft.ULabel.all().annotate(n=of.count("records")).filter(n__gt=1).count() == 1
    with pytest.raises(FieldError, match=r"has no part 'yeer'.*did you mean 'year'"):
        dft.Record.all().aggregate(x=of.max("seen__yeer"))
    with pytest.raises(FieldError, match=r"no field or feature 'sise'.*did you mean 'size'"):
        dft.Record.all().aggregate(x=of.max("sise"))
    with pytest.raises(FieldError, match="mean takes"):
        dft.Record.all().aggregate(x=of.mean("name"))
    with pytest.raises(InvalidArgument, match="would aggregate twice"):
        dft.ULabel.all().annotate(n=of.count("records")).aggregate(x=of.max("n"))


# --- what changes, and what does not -------------------------------------------------------------


def test_numpy_and_pandas_scalars_are_the_values_they_stand_for(store: Store) -> None:
    moment = dft.Feature(name="moment", dtype="datetime").save()
    day = dft.Feature(name="day", dtype="date").save()
    several = dft.Feature(name="several", dtype="list[int]").save()
    made = store.FeatureValue.get_or_create
    exact = datetime(2024, 5, 1, 12)
    assert made(moment, numpy.datetime64("2024-05-01T12:00:00", "ns"))[0].value == exact
    assert made(moment, pandas.Timestamp("2024-05-01 12:00"))[0].value == exact
    assert made(day, numpy.datetime64("2024-05-01"))[0].value == date(2024, 5, 1)
    assert made(several, numpy.array([1, 2]))[0].value == made(several, pandas.Series([1, 2]))[0].value == [1, 2]
    late = "2024-05-01T12:00:00.000000001"
    for too_fine in (numpy.datetime64(late), pandas.Timestamp(late)):
        with pytest.raises(ValidationError, match="below the microsecond"):
            made(moment, too_fine)
    for no_moment in (numpy.timedelta64(1, "s"), numpy.datetime64("20000-01-01", "s"), numpy.array(["2024"], "M8[Y]")):
        with pytest.raises(ValidationError):
            made(moment, no_moment)


def test_numpy_and_pandas_ask_what_python_asks(things: Store) -> None:
    seen = things.Feature.get(name="seen")
    assert (
        found(seen == numpy.datetime64("2024-05-01T12", "ns"))
        == found(seen == pandas.Timestamp("2024-05-01 12"))
        == ["a"]
    )
    assert found(seen__in=numpy.array(["2024-05-01T12", "NaT"], "M8[ns]")) == ["a"]
    assert found(seen__in=pandas.Series([pandas.NaT, pandas.Timestamp("2024-05-01 12")])) == ["a"]
    assert found(seen__range=pandas.to_datetime(["2024-01-01", "2024-05-02"])) == ["a"]
    assert found(created_at__gt=numpy.datetime64("2024-01-01")) == ["a", "b", "c"]
    assert found(size=numpy.array(1)) == found(size__in=numpy.array([1])) == found(size=Decimal("1.0")) == ["a"]
    assert things.FeatureValue.filter(value=numpy.datetime64("2024-05-01T12", "ns")).count() == 1


def test_what_is_missing_is_asked_for_alike(things: Store) -> None:
    things.Record.filter(name="a").update(description="first")
    for feature in ("size", "seen", "meta", "steps"):
        asked = things.Feature.get(name=feature)
        for nothing in (None, pandas.NaT, pandas.NA, numpy.datetime64("NaT", "D")):
            assert found(asked == nothing) == found(**{feature: nothing}) == found(asked.is_null())
            assert found(asked != nothing) == found(**{f"{feature}__ne": nothing}) == found(~asked.is_null())
    meta = things.Feature.get(name="meta")
    assert found(meta["name"] != None) == ["b"]  # noqa: E711  # builds a condition
    assert found(meta["n"] == None) == ["a", "b", "c"]  # noqa: E711  # builds a condition
    assert found(description__ne=None) == ["a"]
    assert found(description=pandas.NaT) == ["b", "c"]
    assert found(ulabels__ne=None) == []
    assert found(ulabels__description=pandas.NaT) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("lookups", "told"),
    [
        ({"seen__gt": pandas.NaT}, "feature 'seen'__gt=None cannot be compared; feature 'seen'__isnull=True finds"),
        ({"seen__gt": numpy.timedelta64(1, "D")}, r"never compared with np.timedelta64\(1,'D'\)"),
        ({"created_at__gt": pandas.Timedelta("1D")}, r"Timedelta\('1 days 00:00:00'\) \(Timedelta\) is not a datetime"),
        ({"seen": pandas.Timestamp(1)}, "seen: .* has a part below the microsecond"),
        ({"id__in": numpy.array(5)}, "`in` takes a list of values, not 5"),
        ({"id__range": numpy.array(5)}, "`range` takes two bounds, not 5"),
        ({"id__range": {9, -1}}, r"takes two bounds in order, not \{"),
        ({"id__range": {1: 2, 3: 4}}, r"takes two bounds in order, not \{1: 2, 3: 4\}"),
        ({"id": Decimal("0." + "1" * 40)}, "has more digits than a float keeps"),
        ({"name__exact__exact": "x"}, "Record.name: nothing follows a lookup, and 'exact' is one"),
        ({"size__gt__lt": 1}, "feature 'size': nothing follows a lookup, and 'gt' is one"),
        ({"meta__lr__gt__gt": 1}, r"feature 'meta' at \['lr'\]: nothing follows a lookup, and 'gt' is one"),
        ({"created_at__year__gt__gt": 1}, "Record.created_at__year: nothing follows a lookup, and 'gt' is one"),
        ({"created_at__year__year": 1}, r"Record.created_at__year \(int\) cannot have 'year'"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_told(lookups: dict[str, Any], told: str, things: Store) -> None:
    with pytest.raises((InvalidArgument, FieldError), match=told):
        things.Record.filter(**lookups)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_frame_is_no_list_of_values(library: str, things: Store) -> None:
    def frame(**columns: Any) -> Any:
        made = pyarrow.table(columns)
        return {"pandas": made.to_pandas, "polars": lambda: polars.from_arrow(made), "pyarrow": lambda: made}[library]()

    label = things.ULabel(name="name").save()
    a = things.Record.get(name="a")
    names, told = frame(name=["a", "b"]), "(DataFrame|Table)>?(: pass a column of it)?$"
    for ask in (
        lambda: things.Record.filter(name__in=names),
        lambda: things.Record.filter(ulabels__in=names),
        lambda: things.Record.filter(id__range=frame(a=[1], b=[2])),
        lambda: things.Record.filter(things.Feature.get(name="size").isin(frame(size=[1.0]))),
        lambda: things.ULabel.validate(names),
        lambda: things.ULabel.inspect(names),
        lambda: things.ULabel.standardize(names),
        lambda: things.ULabel.from_values(names, create=True),
        lambda: things.Record.all().in_bulk(names, field="uid"),
        lambda: things.Record.pl(include=names),
        lambda: things.Record.pl(features=frame(size=[1.0])),
        lambda: a.features.remove_values(frame(size=[1.0])),
        lambda: a.ulabels.set(frame(name=[])),
        lambda: things.save(frame(name=[])),
    ):
        with pytest.raises(InvalidArgument, match=told):
            ask()
    assert things.ULabel.all().one() == label
    assert a.features["size"] == 1


def test_another_value_is_one_of_the_same_kind(things: Store) -> None:
    meta, steps = things.Feature.get(name="meta"), dft.Feature(name="count", dtype=int).save()
    assert found(meta["lr"] != 0.2) == ["a", "b"]
    assert found(meta["lr"] != "x") == []
    assert found(~(meta["lr"] == "x")) == ["a", "b", "c"]
    assert set(things.FeatureValue.filter(value__ne=1).to_list("value")) == {1.5}
    for condition in (steps != "x", steps == "x", steps != True):  # noqa: E712  # builds a condition
        with pytest.raises(InvalidArgument, match="is not a number"):
            things.Record.filter(condition)


def test_a_place_in_a_value_is_a_key_or_a_position(things: Store) -> None:
    meta = things.Feature.get(name="meta")
    for part in (None, 1.5, True, -1, 10**5000, "\ud800", {"a": 1}):
        with pytest.raises(InvalidArgument, match="a place in a value is a key or a position"):
            meta[part]  # type: ignore[index]  # some are no places


def test_a_value_never_changes(store: Store) -> None:
    dose = dft.Feature(name="dose", dtype=float).save()
    value, _ = store.FeatureValue.get_or_create(dose, 1.5)
    value.value = 1.5
    assert value.save().value == 1.5
    value.value = 2.0
    with pytest.raises(ValidationError, match="never changes: create another one"):
        value.save()
    assert dft.FeatureValue.get(value.id).value == 1.5


def test_a_feature_with_values_keeps_its_dtype(store: Store) -> None:
    used, unused = dft.Feature(name="used", dtype=float).save(), dft.Feature(name="unused", dtype=float).save()
    dft.Record(name="a", features={used: 1.5}).save()
    unused.dtype = "int"
    assert unused.save().dtype == "int"
    used.multiple = True
    assert used.save().multiple
    used.dtype = "int"
    with pytest.raises(ValidationError, match="has values: its dtype stays 'float', it cannot become 'int'"):
        used.save()
    used.refresh_from_db().dtype = None
    with pytest.raises(ValidationError, match="needs a dtype"):
        used.save()
    assert store.Feature.get(name="used").dtype == "float"
    used.refresh_from_db().add_synonym("in use")
    assert dft.Feature.get(name="used").synonyms == "in use"


def test_relations_through_a_foreign_key_are_added_and_ended(store: Store) -> None:
    group, member = dft.ULabel(name="group", is_type=True).save(), dft.ULabel(name="member").save()
    group.instances.add(member, dft.ULabel(name="unsaved"))
    assert sorted(group.instances.to_list("name")) == ["member", "unsaved"]
    group.instances.remove(member)
    assert store.ULabel.get(name="member").type is None
    group.instances.clear()
    assert group.instances.count() == 0
    value, _ = dft.FeatureValue.get_or_create(dft.Feature(name="dose", dtype=float).save(), 1.5)
    branch = dft.Branch.get(name="main")
    with pytest.raises(dft.errors.IntegrityError, match="cannot be missing"):
        branch.feature_values.remove(value)


def test_records_that_point_at_themselves(store: Store) -> None:
    one = dft.ULabel(name="one")
    one.type = one
    with pytest.raises(dft.errors.IntegrityError, match="points at itself"):
        one.save()
    assert store.ULabel.count() == 0


def test_names_are_not_empty(store: Store) -> None:
    for make in (lambda: dft.Feature(name="", dtype=int), lambda: dft.ULabel(name=""), lambda: dft.Record(name="")):
        with pytest.raises(ValidationError, match="name is empty"):
            make().save()
    assert store.Feature.count() == store.ULabel.count() == store.Record.count() == 0


def test_features_of_related_records_are_told_where_only_fields_are_taken(things: Store) -> None:
    asked = things.Record.all()
    calls: list[Callable[[], Any]] = [
        lambda: asked.order_by("type__size"),
        lambda: things.Artifact.all().order_by("records__meta"),
        lambda: asked.values("type__size"),
        lambda: asked.pl(include=["type__size"]),
        lambda: asked.pl(include="meta"),
    ]
    for call in calls:
        with pytest.raises(FieldError, match=r"is a feature, and .* fields alone are taken; .* Available: branch, "):
            call()
