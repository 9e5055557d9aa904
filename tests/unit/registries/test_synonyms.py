"""Synonyms are added and taken away in the same way in every registry that has them."""

from __future__ import annotations

from typing import Any

import pytest

from duckfeat.errors import InvalidArgument
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
