"""`validate`, `inspect` and `standardize` of a QuerySet: against its records, and no others."""

from __future__ import annotations

import numpy as np
import pytest

import duckfeat as dft
from duckfeat.errors import FieldError
from duckfeat.store import Store


@pytest.fixture
def cells(store: Store) -> Store:
    rows = [("neuron", "brain", "nerve cell"), ("motor neuron", "spine", "motoneuron"), ("glia", "brain", None)]
    store.save([store.ULabel(name=name, description=where, synonyms=other) for name, where, other in rows])
    return store


def test_values_are_checked_against_the_records_of_the_question(cells: Store) -> None:
    brain = cells.ULabel.filter(description="brain")
    assert brain.validate(["neuron", "motor neuron"]).tolist() == [True, False]
    assert brain.validate("glia", field=dft.ULabel.name) is True
    assert brain.search("glia").validate(["glia", "neuron"]).tolist() == [True, False]
    assert cells.ULabel.all().none().validate(["glia"]).tolist() == [False]
    assert cells.User.filter(handle="nobody").inspect(["a"], "handle").non_validated == ["a"]


def test_suggestions_are_records_of_the_question(cells: Store) -> None:
    values = ["glai", "motor neurn", "nerve cell", "motoneuron"]
    everywhere = cells.ULabel.inspect(values).suggestions
    assert everywhere == {
        "glai": "glia",
        "motor neurn": "motor neuron",
        "nerve cell": "neuron",
        "motoneuron": "motor neuron",
    }
    spine = cells.ULabel.filter(description="spine").inspect(values).suggestions
    assert spine == {"motor neurn": "motor neuron", "motoneuron": "motor neuron"}


def test_synonyms_are_those_of_the_question(cells: Store) -> None:
    brain = cells.ULabel.filter(description="brain")
    assert brain.standardize(["Nerve cell", "motoneuron", None]) == ["neuron", "motoneuron", None]
    assert brain.standardize("nerve cell") == "neuron"


def test_the_mapper_has_what_is_a_synonym(cells: Store) -> None:
    values = ["nerve cell", "neuron", "motoneuron", "unknown", None, 7]
    mapper = {"nerve cell": "neuron", "motoneuron": "motor neuron"}
    assert cells.ULabel.standardize(values, return_mapper=True) == mapper
    assert cells.ULabel.filter(name="neuron").standardize(values, return_mapper=True) == {"nerve cell": "neuron"}
    assert cells.ULabel.standardize("neuron", return_mapper=True) == {}


def test_the_mapper_of_terms_knows_the_source(store: Store) -> None:
    saved = store.CellType.from_source(name="B cell", parents=False).save()
    saved.add_synonym("b zelle")
    assert store.CellType.standardize(["B Zelle", "T-cell", "x"], return_mapper=True) == {
        "B Zelle": "B cell",
        "T-cell": "T cell",
    }
    assert store.CellType.public().standardize(["T-cell", "T cell"], return_mapper=True) == {"T-cell": "T cell"}
    assert store.CellType.all().standardize(["T-cell"]) == ["T-cell"]
    assert store.CellType.standardize("T-cell") == "T cell"


def test_whole_numbers_are_checked_as_texts_are(cells: Store) -> None:
    ids = [1, 3, 4, True, "1", 2**70]
    assert cells.ULabel.validate(ids, field="id").tolist() == [True, True, False, False, False, False]
    assert cells.ULabel.validate(np.array([2, 9]), field=dft.ULabel.id).tolist() == [True, False]
    assert cells.ULabel.inspect([1, 9], field="id").non_validated == [9]


@pytest.mark.parametrize("field", ["created_at", "created_by", "is_type"])
def test_fields_of_other_types_are_refused(cells: Store, field: str) -> None:
    with pytest.raises(FieldError, match=rf"ULabel\.{field} holds neither texts nor whole numbers"):
        cells.ULabel.validate(["a"], field=field)


def test_nan_is_one_value(store: Store) -> None:
    nan, other = float("nan"), float("nan")
    assert len(store.ULabel.inspect([nan, other, None, None]).non_validated) == 2


def test_synonyms_stand_for_names_and_for_no_other_field(store: Store) -> None:
    store.CellType(name="T cell", ontology_id="CL:0000084", description="A cell.", synonyms="T-cell").save()
    values = ["T-cell", "T cell", "cl:0000084", "a cell."]
    assert store.CellType.standardize(values, field="ontology_id") == ["T-cell", "T cell", "CL:0000084", "a cell."]
    assert store.CellType.all().standardize(values, "description") == ["T-cell", "T cell", "cl:0000084", "A cell."]


def test_what_is_no_text_at_all_is_nobodys_name(cells: Store) -> None:
    half = "\ud800"
    assert cells.ULabel.validate(half) is False
    assert cells.ULabel.validate([half, "glia"]).tolist() == [False, True]
    assert cells.ULabel.standardize([half, "nerve cell"]) == [half, "neuron"]
    found = cells.ULabel.inspect([half, "glia"])
    assert (found.validated, found.non_validated, dict(found.suggestions)) == (["glia"], [half], {})
    cells.FeatureValue.get_or_create(cells.Feature(name="stage", dtype=str).save(), "late")
    assert cells.FeatureValue.validate(["late", half]).tolist() == [True, False]
