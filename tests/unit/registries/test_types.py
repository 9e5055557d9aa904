"""Features whose values are of a type: given as the type itself, and followed when it gets another name."""

from __future__ import annotations

from typing import Any

import pytest

from duckfeat.errors import IntegrityError, InvalidArgument, ValidationError
from duckfeat.store import Store


@pytest.fixture(params=["ULabel", "Record"])
def registry(store: Store, request: pytest.FixtureRequest) -> Any:
    return getattr(store, request.param)


def test_a_type_is_a_dtype(store: Store, registry: Any) -> None:
    donor = registry(name="Donor", is_type=True).save()
    feature = store.Feature(name="donor", dtype=donor).save()
    assert feature.dtype == f"cat[{registry.__name__}[Donor]]"
    registry(name="d1", type=donor).save()
    sample = store.Record(name="s", features={"donor": "d1"}).save()
    assert sample.features.get_values() == {"donor": "d1"}
    registry(name="d2").save()
    with pytest.raises(ValidationError, match="of type 'Donor'"):
        sample.features.set_values({"donor": "d2"})


def test_what_is_no_type_is_no_dtype(store: Store) -> None:
    for wrong in (store.ULabel(name="d1").save(), store.Record(is_type=True).save()):
        with pytest.raises(InvalidArgument, match="a dtype is a type, a text or a registry, not"):
            store.Feature(name="donor", dtype=wrong)


@pytest.mark.parametrize("way", ["save", "update"])
def test_features_follow_a_type_that_gets_another_name(store: Store, registry: Any, way: str) -> None:
    donor = registry(name="Donor", is_type=True).save()
    registry(name="d1", type=donor).save()
    feature = store.Feature(name="donor", dtype=donor).save()
    unused = store.Feature(name="second", dtype=donor).save()
    other = store.Feature(name="other", dtype=f"cat[{registry.__name__}[Donors]]").save()
    sample = store.Record(name="s", features={"donor": "d1"}).save()
    if way == "save":
        donor.name = "Giver"
        donor.save()
    else:
        registry.filter(name="Donor").update(name="Giver")
    assert feature.refresh_from_db().dtype == unused.refresh_from_db().dtype == f"cat[{registry.__name__}[Giver]]"
    assert other.refresh_from_db().dtype == f"cat[{registry.__name__}[Donors]]"
    sample.features.set_values({"donor": "d1", "second": "d1"})
    assert store.Record.filter(donor="d1").one() == sample
    assert store.Record.pl(features=["donor"])["donor"].to_list()[0] == "d1"


def test_a_name_that_another_type_still_has_stays(store: Store) -> None:
    donor = store.ULabel(name="Donor", is_type=True).save()
    group = store.ULabel(name="Group", is_type=True).save()
    store.ULabel(name="Donor", is_type=True, type=group).save()
    feature = store.Feature(name="donor", dtype=donor).save()
    donor.name = "Giver"
    donor.save()
    assert feature.refresh_from_db().dtype == "cat[ULabel[Donor]]"


def test_nothing_follows_where_the_name_is_taken(store: Store) -> None:
    donor = store.ULabel(name="Donor", is_type=True).save()
    feature = store.Feature(name="donor", dtype=donor).save()
    store.ULabel(name="Second", is_type=True).save()
    donor.name = "Second"
    with pytest.raises(IntegrityError):
        donor.save()
    assert feature.refresh_from_db().dtype == "cat[ULabel[Donor]]"
    store.ULabel(name="d1", type=donor).save()
    assert store.Record(name="s", features={"donor": "d1"}).save().features.get_values() == {"donor": "d1"}
