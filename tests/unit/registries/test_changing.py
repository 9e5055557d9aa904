"""What saved records keep: `save()` and the `update()` of a QuerySet refuse the same changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from duckfeat.errors import DuckfeatError, FieldError, IntegrityError, InvalidArgument, ValidationError
from duckfeat.store import Store


@pytest.fixture
def things(store: Store) -> Store:
    store.Feature(name="dose", dtype=float).save()
    store.Feature(name="free", dtype=int).save()
    store.Record(name="r", features={"dose": 1.5}).save()
    return store


def saved(record: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        setattr(record, name, value)
    return record.save()


@pytest.mark.parametrize(
    "change", [lambda found, **to: found.update(**to), lambda found, **to: saved(found.one(), **to)]
)
def test_the_dtype_of_a_feature_stays_one(change: Callable[..., Any], things: Store) -> None:
    free = things.Feature.filter(name="free")
    for odd, told in (
        ("nonsense", "unknown dtype 'nonsense'"),
        ("flaot", "did you mean 'float'"),
        ("cat[Nope]", "no registry 'Nope'"),
        (None, "feature 'free' needs a dtype"),
    ):
        with pytest.raises(DuckfeatError, match=told):
            change(free, dtype=odd)
        assert free.one().dtype == "int"
    for given, stored in ((float, "float"), (things.ULabel, "cat[ULabel]"), ("list[int]", "list[int]")):
        change(free, dtype=given)
        assert free.one().dtype == stored
    change(free, dtype=None, is_type=True)
    with pytest.raises(ValidationError, match="needs a dtype"):
        change(free, is_type=False)


def test_a_value_stays_with_its_feature(things: Store) -> None:
    values, free = things.FeatureValue.all(), things.Feature.get(name="free")
    for change in ({"feature": free}, {"feature_id": free.id}, {"value": 2.5}):
        with pytest.raises(FieldError, match=r"cannot be set.* Available: branch, run, space\."):
            values.update(**change)
    with pytest.raises(ValidationError, match="a value of feature 'dose' never changes"):
        saved(values.one(), feature=free)
    assert things.Record.get(name="r").features.get_values() == {"dose": 1.5}
    assert things.check().ok


def test_an_unknown_field_is_told_with_those_that_can_be_set(things: Store) -> None:
    with pytest.raises(FieldError, match=r"no field 'nmae' to set \(did you mean 'name'") as error:
        things.ULabel.all().update(nmae="x")
    assert not {"parents", "id", "created_at"} & set(error.value.available)


@pytest.mark.parametrize(("registry", "name"), [("Branch", "main"), ("Branch", "trash"), ("Space", "all")])
def test_what_every_store_has_keeps_its_name(registry: str, name: str, things: Store) -> None:
    places = getattr(things, registry)
    changes: list[Callable[[], Any]] = [
        lambda: places.filter(name=name).update(name="other"),
        lambda: saved(places.get(name=name), name="other"),
    ]
    for change in changes:
        with pytest.raises(IntegrityError, match=f"{registry} '{name}' is part of every store and keeps its name"):
            change()
    assert saved(places.get(name=name), description="ours").refresh_from_db().description == "ours"
    assert saved(places(name="mine").save(), name="yours").name == "yours"


def test_what_is_not_changed_in_place_is_told_how(things: Store) -> None:
    record: Any = things.Record.get(name="r")
    with pytest.raises(InvalidArgument, match=r"Record\.name cannot be deleted: set it to None"):
        del record.name
    with pytest.raises(InvalidArgument, match=r"features\['dose'\] is read: update_values"):
        record.features["dose"] = 2.5
    with pytest.raises(InvalidArgument, match=r"features\['dose'\] is read: remove_values\('dose'\)"):
        del record.features["dose"]
    assert record.name == "r"
    assert record.features["dose"] == 1.5


def test_a_moment_is_shown_whole(things: Store) -> None:
    given = {"day": date(2024, 5, 1), "at": datetime(2024, 5, 1, 12, 0, 0, 7)}
    things.save([things.Feature(name=name, dtype=dtype) for name, dtype in {"day": "date", "at": "datetime"}.items()])
    record = things.Record(name="x", features=given).save()
    described = record.describe(return_str=True) or ""
    assert "day = 2024-05-01\n    at = 2024-05-01 12:00:00.000007" in described
    value = things.FeatureValue.get(feature__name="at")
    assert "value=2024-05-01 12:00:00.000007, " in repr(value)
    assert "<td>2024-05-01 12:00:00.000007</td>" in value._repr_html_()
