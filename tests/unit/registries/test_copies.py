"""Copies of records and of what is asked, what is pickled, and records in sets."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import duckfeat as dft
from duckfeat import Q
from duckfeat.errors import DuckfeatError, InvalidArgument
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
    with pytest.raises(InvalidArgument, match="belongs to an open store and cannot be pickled"):
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


class _Unkind:
    """What neither pickle nor a text can be made of."""

    def __reduce__(self) -> Any:
        raise TypeError("not to be pickled")

    def __repr__(self) -> str:
        raise ValueError("not to be shown")


REFUSED: dict[str, Callable[[Store], Any]] = {
    "record": lambda store: store.Record.get(name="r").features.add_values({"dose": store.ULabel.get(name="lung")}),
    "list of records": lambda store: store.Record.filter(dose__in=[store.Record.get(name="r")]),
    "generator": lambda store: store.Record.search(iter(name for name in "ab")),  # type: ignore[arg-type]
    "function": lambda store: store.Record.get(name="r").features.add_values({"dose": lambda: 1}),
    "store": lambda store: store.annotate(store),
    "queryset": lambda store: store.Record.filter(id__in=dft.connect(default=False).Record.all()),
    "position": lambda store: store.Record.all()[7],
    "lookup": lambda store: store.ULabel.lookup().lugn,
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_error_reaches_another_process_with_what_cannot_be_sent_as_text(name: str, filled: Store) -> None:
    with pytest.raises(DuckfeatError) as raised:
        REFUSED[name](filled)
    error: Any = raised.value
    error.add_note("while the batch 7 was read")
    copied = copy.deepcopy(error)
    assert (str(copied), copied.__notes__, list(copied.facts)) == (str(error), error.__notes__, list(error.facts))
    assert all(copied.facts[fact] is error.facts[fact] for fact in error.facts)
    sent: Any = pickle.loads(pickle.dumps(error))  # noqa: S301  # made here
    assert isinstance(error, type(sent))
    assert isinstance(sent, DuckfeatError)
    assert (str(sent), sent.__notes__) == (str(error), ["while the batch 7 was read"])
    for fact, value in error.facts.items():
        assert sent.facts[fact] == value or sent.facts[fact] == repr(value)
    assert pickle.loads(pickle.dumps(sent)).facts == sent.facts  # noqa: S301  # made here


def test_a_fact_that_has_no_text_is_told_by_its_kind() -> None:
    error = pickle.loads(pickle.dumps(InvalidArgument("no", value=_Unkind(), row=3)))  # noqa: S301  # made here
    assert (str(error), error.facts) == ("no", {"value": "<_Unkind>", "row": 3})


def test_a_record_is_a_key_once_it_is_saved(filled: Store) -> None:
    label = filled.ULabel(name="new")
    with pytest.raises(TypeError, match="this ULabel is not saved yet, so it cannot be a key of a dict"):
        hash(label)
    kept = {label.save()}
    label.description = "changed"
    label.save()
    assert label in kept
    assert filled.ULabel.get(name="new") in kept
