"""Copies of records and of what is asked, what is pickled, and records in sets."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import duckfeat as dft
from duckfeat import Q
from duckfeat.errors import InvalidArgument
from duckfeat.store import Store


@pytest.fixture
def filled(store: Store) -> Store:
    store.save([store.Feature(name="dose", dtype=float), store.ULabel(name="lung")])
    store.save([store.Record(name=name, features={"dose": 1.0}) for name in ("r", "other")])
    return store


ASKED: dict[str, Callable[[Store], Any]] = {
    "queryset": lambda store: store.Record.filter(name="r"),
    "predicate": lambda store: store.Feature.get(name="dose") > 1,
    "condition": lambda store: Q(name="r") | Q(store.Feature.get(name="dose") > 1),
    "manager": lambda store: store.Record.get(name="r").ulabels,
    "features": lambda store: store.Record.get(name="r").features,
    "grouped": lambda store: store.Record.all().group_by("name"),
    "lookup": lambda store: store.ULabel.lookup(),
    "lookup dict": lambda store: store.ULabel.lookup().dict(),
    "store": lambda store: store,
    "registry": lambda store: store.Record,
    "record": lambda store: store.Record.get(name="r"),
    "feature": lambda store: store.Feature.get(name="dose"),
    "value": lambda store: store.FeatureValue.get_or_create("dose", 1.0)[0],
    "default record": lambda _: dft.ULabel.get(name="lung"),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_belongs_to_a_store_is_copied_and_not_pickled(name: str, filled: Store) -> None:
    asked = ASKED[name](filled)
    with pytest.raises(InvalidArgument, match="belongs to an open store and is not pickled"):
        pickle.dumps(asked)
    for made in (copy.copy(asked), copy.deepcopy(asked)):
        assert repr(made) == repr(asked)


def test_a_copy_of_a_record_is_apart_and_of_the_same_store(filled: Store) -> None:
    record, other = filled.Record.all().order_by("-name")
    for made in (copy.copy(record), copy.deepcopy(record)):
        assert made == record
        made.description = "copied"
        made.save()
        assert record.description is None
        assert record.refresh_from_db().description == "copied"
        filled.Record.filter(name="r").update(description=None)
        record.refresh_from_db()
    assert other.created_by == copy.deepcopy(other).created_by


def test_what_belongs_to_no_store_is_pickled(filled: Store) -> None:
    new, condition = dft.ULabel(name="new"), Q(name="r") & ~Q(name="other")
    assert pickle.loads(pickle.dumps(new)).save() == filled.ULabel.get(name="new")  # noqa: S301  # made here
    assert pickle.loads(pickle.dumps(condition)) == condition  # noqa: S301  # made here
    assert pickle.loads(pickle.dumps(dft.Record)) is dft.Record  # noqa: S301  # made here
    inspected = filled.ULabel.inspect(["lun"])
    assert pickle.loads(pickle.dumps(inspected)).suggestions == {"lun": "lung"}  # noqa: S301  # made here


def test_a_record_is_a_key_once_it_is_saved(filled: Store) -> None:
    label = filled.ULabel(name="new")
    with pytest.raises(TypeError, match="this ULabel is not saved, and no key or member of a set until it is"):
        hash(label)
    kept = {label.save()}
    label.description = "changed"
    label.save()
    assert label in kept
    assert filled.ULabel.get(name="new") in kept
