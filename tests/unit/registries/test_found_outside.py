"""Registries as people use them who have not read how they are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import duckfeat as dft
from duckfeat.errors import FieldError, IntegrityError, InvalidArgument, LookupMissing, ValidationError
from duckfeat.store import Store

pytestmark = pytest.mark.usefixtures("store")


def two_genes() -> None:
    for organism, id_ in (("human", "ENSG00000130600"), ("mouse", "ENSMUSG00000000031")):
        dft.settings.organism = organism
        dft.Gene(symbol="H19", ensembl_gene_id=id_).save()


def test_a_symbol_means_the_gene_of_the_current_organism(store: Store) -> None:
    two_genes()
    dft.Feature(name="gene", dtype=dft.Gene).save()
    store.annotate(pl.DataFrame({"name": ["bulk"], "gene": ["H19"]}), key="name", create=True)
    one = dft.Record(name="one", features={"gene": "H19"}).save()
    for record in (one, dft.Record.get(name="bulk")):
        assert record.features["gene"].organism.name == "mouse"
    for organism, prefix in ((None, "ENSMUSG"), ("mouse", "ENSMUSG"), ("human", "ENSG")):
        assert str(dft.Gene.from_values(["H19"], organism=organism)[0].ensembl_gene_id).startswith(prefix)


def test_a_gene_is_named_and_found_by_its_id() -> None:
    two_genes()
    gene = dft.Gene(ensembl_gene_id="ENSG00000290825").save()
    feature = dft.Feature(name="gene", dtype=dft.Gene).save()
    record = dft.Record(name="r", features={"gene": "ENSG00000290825"}).save()
    assert record.features["gene"] == gene
    assert record.features.get_values() == {"gene": "ENSG00000290825"}
    assert dft.Record.pl(features=["gene"])["gene"].to_list() == ["ENSG00000290825"]
    record.features.set_values(record.features.get_values())
    assert dft.Record.filter(feature == "ENSG00000290825").one() == record
    assert dft.Gene.search("ensg00000130600").first().ensembl_gene_id == "ENSG00000130600"  # type: ignore[union-attr]
    assert dft.Gene.from_values(["ENSG00000290825"]) == [gene]


def test_not_a_category_is_any_other_one() -> None:
    dft.save([dft.CellType(name="T cell", ontology_id="CL:0000084"), dft.CellType(name="B cell")])
    feature = dft.Feature(name="ct", dtype=dft.CellType).save()
    dft.save([dft.Record(name=name, features={"ct": name}) for name in ("T cell", "B cell")])
    for value in ("T cell", "CL:0000084", dft.CellType.get(name="T cell")):
        assert dft.Record.filter(feature != value).to_list("name") == ["B cell"]
        assert dft.Record.filter(ct__ne=value).to_list("name") == ["B cell"]


def test_settings_of_a_transaction_that_fails_are_taken_back(store: Store) -> None:
    def failing() -> None:
        with store.transaction():
            dft.settings.organism = "human"
            dft.Branch(name="draft").save()
            store.switch("draft")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert dft.settings.organism is None
    assert dft.settings.branch.name == "main"
    dft.settings.organism = "human"
    with pytest.raises(IntegrityError, match="the current organism"):
        dft.Organism.get(name="human").delete(permanent=True)
    assert store.check().ok


def test_values_of_arrow_and_pandas_columns() -> None:
    dft.CellType(name="T cell", synonyms="T lymphocyte").save()
    column = pa.table({"ct": ["T cell", "T lymphocyte", None]})["ct"]
    assert dft.CellType.validate(column).tolist() == [True, False, False]
    assert dft.CellType.standardize(column) == ["T cell", "T cell", None]
    for missing in (None, pd.NA, float("nan")):
        assert [cell.name for cell in dft.CellType.from_values(pd.Series(["T cell", missing]))] == ["T cell"]
        assert [label.name for label in dft.ULabel.from_values(pd.Series(["x", missing]))] == ["x"]


def test_a_lookup_tells_what_is_gone() -> None:
    dft.save([dft.ULabel(name=name) for name in "abc"])
    lookup = dft.ULabel.lookup()
    assert lookup.a.name == "a"
    dft.ULabel.get(name="b").delete()
    with pytest.raises(LookupMissing, match="the record of 'b' is gone"):
        _ = lookup.b
    assert [name for name, _ in lookup.dict().items()] == ["a", "c"]
    with pytest.raises(FieldError, match="'parents' is a relation of ULabel, and no field"):
        dft.ULabel.lookup("parents")


def test_a_slice_keeps_its_order() -> None:
    dft.save([dft.ULabel(name=f"label {number}") for number in range(6)])
    part = dft.ULabel.all().order_by("name")[1:3]
    assert [found.name for found in (part.first(), part.last()) if found] == ["label 1", "label 2"]
    with pytest.raises(InvalidArgument, match="order first"):
        part.order_by("-name")
    found = dft.ULabel.search("label 3")
    assert found.last() == found.to_list()[-1]


def test_records_of_a_question_are_asked_about() -> None:
    label, other = dft.save([dft.ULabel(name="a"), dft.ULabel(name="b")])
    feature = dft.Feature(name="f", dtype=dft.ULabel).save()
    record = dft.Record(name="r", features={"f": "b"}).save()
    record.ulabels.add(label)
    asked = {
        "ulabels__in": dft.ULabel.filter(name="a"),
        "id__in": dft.Record.all(),
        "created_by__in": dft.User.all(),
        "name__in": dft.Record.all().values("name"),
        "f__in": dft.ULabel.all().order_by("name")[1:],
    }
    for lookup, queryset in asked.items():
        assert dft.Record.filter(**{lookup: queryset}).one() == record
    assert dft.Record.filter(feature.isin(dft.ULabel.filter(id=other.id))).exists()
    assert not dft.Record.filter(ulabels__in=dft.ULabel.filter(name="c")).exists()
    for wrong, message in (({"ulabels__in": dft.User.all()}, "not a User"), ({"ulabels": dft.ULabel.all()}, "__in")):
        with pytest.raises(InvalidArgument, match=message):
            dft.Record.filter(**wrong)


def test_an_empty_condition_says_nothing() -> None:
    dft.save([dft.ULabel(name=name) for name in "abc"])
    for condition, number in ((~dft.Q(), 3), (~dft.Q(dft.Q()), 3), (dft.Q(name="a") & ~dft.Q(), 1)):
        assert dft.ULabel.filter(condition).count() == number


def test_a_category_of_a_type_is_of_that_type() -> None:
    kind = dft.ULabel(name="T", is_type=True).save()
    plain = dft.ULabel(name="plain").save()
    dft.Feature(name="f", dtype="cat[ULabel[T]]").save()
    record = dft.Record(name="r").save()
    with pytest.raises(ValidationError, match="'plain' is of no type"):
        record.features.set_values({"f": plain})
    with pytest.raises(ValidationError, match=r"ULabel\(name='plain', type=ULabel.get\(name='T'\)\)"):
        record.features.set_values({"f": "plain"})
    record.features.set_values({"f": dft.ULabel(name="of it", type=kind).save()})


def test_types_stay_types_and_make_no_circle() -> None:
    above = dft.ULabel(name="above", is_type=True).save()
    below = dft.ULabel(name="below", is_type=True, type=above).save()
    above.type = below
    with pytest.raises(IntegrityError, match="its own type"):
        above.save()
    for change, error in (({"type": below}, IntegrityError), ({"is_type": False}, ValidationError)):
        with pytest.raises(error):
            dft.ULabel.filter(name="above").update(**change)
    above.refresh_from_db().is_type = False
    with pytest.raises(ValidationError, match="it stays one"):
        above.save()


def test_what_the_store_gives_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    artifact = dft.Artifact(tmp_path / "a", key="a").save()
    for name in ("hash", "size", "created_at"):
        with pytest.raises(InvalidArgument, match="is given by the store"):
            setattr(artifact, name, None)


def test_a_feature_is_not_gone_through() -> None:
    feature = dft.Feature(name="x", dtype=dict).save()
    whats: list[Any] = [feature, feature["a"]]
    for what in whats:
        with pytest.raises(TypeError, match="not iterable"):
            list(what)


def test_one_value_of_listed_features_is_removed(store: Store) -> None:
    dft.save([dft.Feature(name="n", dtype=int, multiple=True), dft.Feature(name="m", dtype=int, multiple=True)])
    record = store.Record(name="a", features={"n": [1, 2, 3], "m": [1, 2]}).save()
    record.features.remove_values("n", value=2)
    assert record.features.get_values() == {"n": [1, 3], "m": [1, 2]}
    record.features.remove_values(["n", "m"], value=1)
    record.features.remove_values("n", value=99)
    assert record.features.get_values() == {"n": [3], "m": [2]}
    with pytest.raises(InvalidArgument, match="not both"):
        record.features.remove_values({"n": 3}, value=3)
    with pytest.raises(ValidationError, match="'x'"):
        record.features.remove_values("n", value="x")
