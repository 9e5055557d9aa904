"""What `from_values` gives: a list that saves its records, each value and each term once."""

from __future__ import annotations

import pytest

from duckfeat.errors import FieldError
from duckfeat.registries.values import Records
from duckfeat.store import Store


def test_the_list_saves_its_records(store: Store) -> None:
    known = store.ULabel(name="lung").save()
    labels = store.ULabel.from_values(["liver", "lung", "liver"])
    assert (labels.to_list("name"), store.ULabel.count()) == (["liver", "lung"], 1)
    assert labels.save() is labels
    assert labels.to_list() == [store.ULabel.get(name="liver"), known]
    assert labels.to_list(store.ULabel.id) == [2, 1]


def test_created_ones_are_saved_again_and_an_empty_list_saves_nothing(store: Store) -> None:
    labels = store.ULabel.from_values(["a", "b"], create=True).save()
    assert (type(labels), store.ULabel.count()) == (Records, 2)
    assert store.ULabel.from_values([None]).save() == []


def test_terms_are_saved_with_what_is_above_them(store: Store) -> None:
    cells = store.CellType.from_values(["T-cell", "B cell"]).save()
    assert cells.to_list("name") == ["T cell", "B cell"]
    assert store.CellType.filter(name="lymphocyte").exists()


def test_all_or_nothing(store: Store) -> None:
    labels = store.ULabel.from_values(["a", "b"])
    labels[1].description = 7  # type: ignore[assignment]
    with pytest.raises(ValueError, match="description"):
        labels.save()
    assert (store.ULabel.count(), labels.to_list("id")) == (0, [None, None])


@pytest.mark.parametrize("registry", ["ULabel", "CellType"])
def test_a_further_field_that_there_is_not_is_told_also_where_no_record_is_made(store: Store, registry: str) -> None:
    cls = getattr(store, registry)
    cls(name="B cell").save()
    with pytest.raises(FieldError, match=rf"{registry} has no field 'descripton' to set \(did you mean 'description'"):
        cls.from_values(["B cell"], descripton="mine")


def test_records_of_values_may_carry_features(store: Store) -> None:
    store.Feature(name="dose", dtype=float).save()
    [sample] = store.Record.from_values(["s"], create=True, features={"dose": 2.5})
    assert sample.features.get_values() == {"dose": 2.5}


def test_a_term_that_the_source_knows_by_another_name_is_the_saved_one(store: Store) -> None:
    saved = store.CellType.from_source(name="B cell", parents=False).save()
    saved.synonyms = None
    saved.save()
    cells = store.CellType.from_values(["B cell", "B-cell", "B lymphocyte", "T cell"])
    assert (cells.to_list("name"), cells[0].id) == (["B cell", "T cell"], saved.id)
    assert store.CellType.from_values(["B-cell"]) == [saved]


def test_values_of_several_kinds_are_told_apart(store: Store) -> None:
    rate, flag = store.save([store.Feature(name="rate", dtype=float), store.Feature(name="flag", dtype=bool)])
    store.FeatureValue.get_or_create(flag, True)
    assert store.FeatureValue.from_values([1, True]).to_list("value") == [1, True]
    [one] = store.FeatureValue.from_values([1], feature=rate)
    assert (one.id, one.feature) == (None, rate)
    nan = float("nan")
    assert len(store.FeatureValue.from_values([nan, float("nan"), None, 2.0], feature=rate)) == 2
