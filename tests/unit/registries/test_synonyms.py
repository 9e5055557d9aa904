"""Synonyms are added and taken away in the same way in every registry that has them."""

from __future__ import annotations

from typing import Any

import pytest

from duckfeat.errors import IntegrityError, InvalidArgument
from duckfeat.store import Store

REGISTRIES = ["ULabel", "Record", "Feature", "CellType"]


@pytest.fixture(params=REGISTRIES)
def record(store: Store, request: pytest.FixtureRequest) -> Any:
    more = {"dtype": int} if request.param == "Feature" else {}
    return getattr(store, request.param)(name="a", **more).save()


def test_one_or_several_are_added_and_taken_away(record: Any) -> None:
    record.add_synonym("b")
    record.add_synonym(["c", "b", "d"])
    record.add_synonym([])
    assert record.refresh_from_db().synonyms == "b|c|d"
    assert type(record).standardize(["C", "a"]) == ["a", "a"]
    record.remove_synonym("c")
    record.remove_synonym(("d", "x"))
    assert record.refresh_from_db().synonyms == "b"
    record.remove_synonym("b")
    assert record.refresh_from_db().synonyms is None
    record.remove_synonym("b")


@pytest.mark.parametrize("wrong", ["", " ", "x|y", None, 7, ["b", ""], ["b", None], {"b": 1}])
def test_what_is_no_synonym_is_refused_and_nothing_is_added(record: Any, wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="synonym"):
        record.add_synonym(wrong)
    with pytest.raises(InvalidArgument, match="synonym"):
        record.remove_synonym(wrong)
    assert record.refresh_from_db().synonyms is None


def test_what_is_there_already_is_not_written(record: Any) -> None:
    record.add_synonym("b")
    before = record.refresh_from_db().updated_at
    record.add_synonym(["b"])
    record.remove_synonym(["x"])
    assert record.refresh_from_db().updated_at == before


@pytest.fixture
def other(record: Any) -> Any:
    """Another record of the registry, with a name and a synonym of its own."""
    more = {"dtype": int} if record.__registry__ == "Feature" else {}
    other = type(record)(name="Other", **more).save()
    other.add_synonym(["its own", "50%_"])
    return other


@pytest.mark.parametrize(
    ("taken", "what"),
    [("other", "the name"), ("its own", "a synonym"), (" ITS OWN ", "a synonym"), ("50%_", "a synonym")],
)
def test_what_another_record_is_called_is_added_by_force_only(record: Any, other: Any, taken: str, what: str) -> None:
    with pytest.raises(IntegrityError, match=rf"{taken!r} is {what} of {record.__registry__} 'Other'.*force=True"):
        record.add_synonym(["free", taken])
    assert record.synonyms is record.refresh_from_db().synonyms is None
    record.add_synonym(["free", taken], force=True)
    assert record.refresh_from_db().synonyms == f"free|{taken}"
    record.add_synonym(taken)
    assert other.refresh_from_db().synonyms == "its own|50%_"


@pytest.mark.parametrize("free", ["othe", "own", "its", "50%", "50x_", "a", "it's own"])
def test_a_part_of_what_another_record_is_called_is_free(record: Any, other: Any, free: str) -> None:
    record.add_synonym(free)
    assert type(record).standardize(other.name) == "Other"


def test_genes_of_two_organisms_may_be_called_the_same(store: Store) -> None:
    human, mouse = (store.Organism(name=name).save() for name in ("human", "mouse"))
    store.Gene(symbol="TP53", organism=human).save().add_synonym("p53")
    store.Gene(symbol="Trp53", organism=mouse).save().add_synonym("p53")
    with pytest.raises(IntegrityError, match=r"'P53' is a synonym of Gene 'TP53'"):
        store.Gene(symbol="TP53BP1", organism=human).save().add_synonym("P53")
