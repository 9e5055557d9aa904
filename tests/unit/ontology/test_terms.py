"""Terms come from sources with their hierarchy, are found rather than doubled, and know what is above and below."""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import (
    DoesNotExist,
    FieldError,
    IntegrityError,
    InvalidArgument,
    MissingFile,
    MultipleResultsFound,
    ValidationError,
)
from duckfeat.store import Store
from tests.counting import statements

DATA = Path(__file__).with_name("data")
CELLS = DATA / "cells.obo"
GENES = DATA / "genes.csv.gz"


@pytest.fixture
def cells(store: Store) -> Store:
    """A store with the terms of a small OBO file."""
    dft.Source.add("CellType", path=CELLS, name="cells")
    dft.CellType.import_source("cells")
    return store


@pytest.fixture
def genes(store: Store) -> Store:
    """A store whose genes come from a small table."""
    dft.settings.organism = "human"
    dft.Source.add("gene", organism="human", path=GENES)
    return store


# --- the examples of the reference page ----------------------------------------------------------


def test_a_gene_from_its_source_by_symbol(genes: Store) -> None:
    gene = dft.Gene.from_source(symbol="ADGB-DT").save()
    assert gene.ensembl_gene_id == "ENSG00000237468"
    assert gene.organism.name == "human"
    assert gene.source.name == "genes"
    lookup = genes.Gene.lookup()
    assert lookup.adgb_dt == gene
    assert lookup.dict()["ADGB-DT"] == gene
    assert dft.Gene.lookup(field="ensembl_gene_id").ensg00000237468 == gene
    assert dft.Gene.lookup(field="ensembl_gene_id", return_field="symbol").ensg00000237468 == "ADGB-DT"


def test_a_gene_is_found_not_doubled(genes: Store) -> None:
    first = dft.Gene.from_source(symbol="TP53").save()
    assert genes.Gene.from_source(ensembl_gene_id=first.ensembl_gene_id).save() == first
    assert dft.Gene(symbol="TP53").save() == first
    assert dft.Gene.count() == 1


def test_genes_of_two_organisms_may_share_a_symbol(store: Store) -> None:
    dft.settings.organism = "human"
    human = dft.Gene(symbol="TNF", stable_id="h1").save()
    dft.settings.organism = "Mus musculus"
    mouse = dft.Gene(symbol="TNF", stable_id="m1").save()
    assert human != mouse
    assert store.Gene.filter(organism__name="mouse").one() == mouse
    dft.settings.organism = None
    assert dft.settings.organism is None
    with pytest.raises(MultipleResultsFound):
        dft.Gene.get(symbol="TNF")


def test_an_unknown_organism_is_refused(store: Store) -> None:
    with pytest.raises(DoesNotExist, match="did you mean 'human'"):
        dft.settings.organism = "humann"
    with pytest.raises(InvalidArgument, match="a name or an Organism record, not 7"):
        dft.settings.organism = 7  # type: ignore[assignment]
    assert store.Organism.count() == 0


# --- import --------------------------------------------------------------------------------------


def test_an_import_brings_terms_synonyms_and_hierarchy(cells: Store) -> None:
    t_cell = cells.CellType.get(name="T cell")
    assert t_cell.ontology_id == "CL:0000084"
    assert t_cell.synonyms == "T lymphocyte|T-cell"
    assert t_cell.description == "A lymphocyte of the thymus."
    assert t_cell.parents.to_list("name") == ["lymphocyte"]
    assert dft.CellType.get(name="B cell").parents.to_list("name") == ["lymphocyte"]
    assert dft.CellType.filter(name__in=["gone cell", "thing between"]).count() == 0
    assert sorted(t_cell.query_parents().to_list("name")) == ["cell", "leukocyte", "lymphocyte"]
    below = dft.CellType.get(name="leukocyte").query_children()
    assert sorted(below.to_list("name")) == ["B cell", "T cell", "lymphocyte"]
    assert below.filter(parents__name="lymphocyte").count() == 2
    assert dft.Source.get(name="cells").in_db


def test_importing_again_changes_nothing(cells: Store) -> None:
    before = cells.CellType.all().order_by("id").pl()
    report = dft.CellType.import_source("cells")
    assert (report.terms, report.new, report.updated, report.parents, report.parents_removed) == (5, 0, 0, 0, 0)
    assert dft.CellType.all().order_by("id").pl().equals(before)


def test_a_newer_version_updates_and_keeps_what_was_made_by_hand(cells: Store, tmp_path: Path) -> None:
    t_cell, leukocyte = dft.CellType.get(name="T cell"), dft.CellType.get(name="leukocyte")
    t_cell.add_synonym("T zelle")
    leukocyte.children.add(t_cell)
    newer = tmp_path / "cells.obo"
    text = CELLS.read_text().replace("name: T cell", "name: T-lineage cell")
    newer.write_text(text.replace("is_a: CL:0000542 ! lymphocyte", "is_a: CL:0000000 ! cell"))
    dft.Source.add("CellType", path=newer, name="cells", version="2")
    report = dft.CellType.import_source("cells", version="2")
    assert (report.new, report.updated, report.parents, report.parents_removed) == (0, 5, 2, 2)
    t_cell.refresh_from_db()
    assert t_cell.name == "T-lineage cell"
    assert t_cell.synonyms == "T lymphocyte|T-cell|T zelle"
    assert sorted(t_cell.parents.to_list("name")) == ["cell", "leukocyte"]
    assert cells.check().ok


def test_an_import_takes_the_same_statements_however_many_terms(store: Store, tmp_path: Path) -> None:
    def imported(count: int) -> int:
        path = tmp_path / f"terms{count}.csv"
        rows = "".join(f"X:{count}{at},term {count} {at},X:{count}0\n" for at in range(count))
        path.write_text(f"ontology_id,name,parents\n{rows}")
        dft.Source.add("Tissue", path=path)
        with statements(store) as seen:
            dft.Tissue.import_source(path.stem)
        return len(seen)

    imported(3)  # reads once what ids there are
    assert imported(5) == imported(500)


def test_a_failed_import_changes_nothing(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("ontology_id,name\nX:1,one\nX:2,\n")
    dft.Source.add("Tissue", path=path)
    with pytest.raises(InvalidArgument, match=r"^terms\.csv: 1 of 2 terms have no name: 'X:2'$"):
        dft.Tissue.import_source("terms")
    assert store.Tissue.count() == 0
    assert not dft.Source.get(name="terms").in_db
    path.write_text("ontology_id,name\n" + "".join(f"X:{at},\n" for at in range(8)))
    with pytest.raises(InvalidArgument, match=r"8 of 8 terms have no name: 'X:0', 'X:1', .*'X:4', \.\.\. 3 more$"):
        dft.Tissue.import_source("terms")


def test_search_finds_what_was_imported(cells: Store) -> None:
    assert cells.CellType.search("lmyphocyte")[0].name == "lymphocyte"
    assert cells.CellType.search("white blood cell")[0].name == "leukocyte"


# --- single terms --------------------------------------------------------------------------------


def test_a_term_brings_what_is_above_it(store: Store) -> None:
    dft.Source.add("CellType", path=CELLS)
    t_cell = store.CellType.from_source(name="T lymphocyte").save()
    assert t_cell.name == "T cell"
    assert sorted(dft.CellType.all().to_list("name")) == ["T cell", "cell", "leukocyte", "lymphocyte"]
    alone = dft.CellType.from_source(name="B cell", parents=False).save()
    assert alone.parents.count() == 0


def test_several_terms_of_one_value_are_a_list(genes: Store) -> None:
    found = genes.Gene.from_source(biotype="lncRNA")
    assert len(found) > 1
    assert {gene.biotype for gene in found} == {"lncRNA"}


def test_unknown_terms_and_fields_say_what_there_is(cells: Store) -> None:
    with pytest.raises(DoesNotExist, match="did you mean 'lymphocyte'"):
        cells.CellType.from_source(name="lymphocite")
    with pytest.raises(FieldError, match="did you mean 'name'"):
        dft.CellType.from_source(nane="T cell")
    with pytest.raises(DoesNotExist, match="no source 'cels'"):
        dft.CellType.from_source(source="cels", name="T cell")
    with pytest.raises(InvalidArgument, match="say which term"):
        dft.CellType.from_source()
    with pytest.raises(DoesNotExist, match=r"Source.add\('Pathway'"):
        dft.Pathway.from_source(name="x")


def test_a_term_made_by_hand_gets_its_id_from_the_source(store: Store) -> None:
    dft.Source.add("CellType", path=CELLS)
    by_hand = dft.CellType(name="T cell").save()
    assert by_hand.ontology_id is None
    assert store.CellType.from_source(name="T cell").save() == by_hand
    assert by_hand.refresh_from_db().ontology_id == "CL:0000084"


def test_terms_of_one_name_and_two_ids_are_two(store: Store) -> None:
    first = dft.Tissue(name="eye", ontology_id="X:1").save()
    second = dft.Tissue(name="eye", ontology_id="Y:1").save()
    assert first != second
    assert store.Tissue.filter(name="eye").count() == 2


def test_a_cycle_ends(store: Store) -> None:
    one, two = dft.save([dft.Tissue(name="one"), dft.Tissue(name="two")])
    one.parents.add(two)
    two.parents.add(one)
    assert sorted(store.Tissue.get(name="one").query_parents().to_list("name")) == ["one", "two"]
    assert "one" in repr(one.view_parents())


def test_no_term_is_above_itself(cells: Store) -> None:
    t_cell, other = dft.CellType.get(name="T cell"), dft.CellType(name="other")
    before = (cells.CellType.count(), t_cell.parents.to_list("name"))
    with pytest.raises(InvalidArgument, match="cannot be related to itself"):
        t_cell.parents.add(other, t_cell)
    with pytest.raises(InvalidArgument, match="cannot be related to itself"):
        t_cell.children.set([[t_cell]])
    assert (cells.CellType.count(), t_cell.parents.to_list("name")) == before
    assert cells.check().ok


def test_a_closure_is_one_statement(cells: Store) -> None:
    cell = dft.CellType.get(name="cell")
    with statements(cells) as seen:
        assert cell.query_children().count() > 1
    assert len(seen) == 1


def test_synonyms_and_abbreviations(cells: Store) -> None:
    term = cells.CellType.get(name="B cell")
    term.add_synonym(["B-cell", "B zelle"])
    term.remove_synonym("B lymphocyte")
    term.set_abbr("B")
    assert term.refresh_from_db().synonyms == "B-cell|B zelle"
    assert dft.CellType.get(abbr="B") == term
    term.remove_synonym(["B-cell", "B zelle"])
    assert term.synonyms is None
    with pytest.raises(InvalidArgument, match=r"without .\|."):
        term.add_synonym("a|b")


def test_relations_to_what_is_labelled(cells: Store) -> None:
    sample = dft.Record(name="sample").save()
    t_cell = cells.CellType.get(name="T cell")
    sample.cell_types.add(t_cell)
    assert t_cell.records.one() == sample
    assert dft.Record.filter(cell_types__name="T cell").one() == sample
    assert dft.Record.filter(cell_types__parents__name="lymphocyte").one() == sample
    assert dft.Record.pl(include="cell_types__name")["cell_types__name"].to_list() == [["T cell"]]
    sample.cell_types.remove(t_cell)
    assert t_cell.records.count() == 0


def test_a_categorical_feature_takes_terms(cells: Store) -> None:
    feature = dft.Feature(name="cell_type", dtype=dft.CellType).save()
    assert feature.dtype == "cat[CellType]"
    sample = dft.Record(name="sample", features={"cell_type": "T cell"}).save()
    assert sample.features["cell_type"] == cells.CellType.get(name="T cell")
    sample.features.update_values({"cell_type": "CL:0000236"})
    assert sample.features.get_values() == {"cell_type": "B cell"}
    assert dft.Record.filter(feature == "B cell").one() == sample
    assert dft.Record.filter(cell_type__ontology_id="CL:0000236").one() == sample
    assert dft.CellType.get(name="B cell").records.one() == sample
    with pytest.raises(dft.errors.ValidationError, match="did you mean 'lymphocyte'"):
        sample.features.update_values({"cell_type": "lymphocite"})
    with pytest.raises(IntegrityError):
        dft.Source.get(name="cells").delete(permanent=True)


def test_categories_in_bulk(cells: Store) -> None:
    dft.CellType.get(name="T cell").add_synonym("T zelle")
    dft.Feature(name="strict", dtype="cat[CellType]").save()
    dft.Feature(name="kind", dtype=dft.CellType, coerce=True).save()
    names = {"name": ["a", "b"]}
    with pytest.raises(ValidationError, match=r"(?s)did you mean 'T cell'.*'lymphocyte'"):
        cells.annotate(pl.DataFrame({**names, "strict": ["T zelle", "lymphocite"]}), key="name", create=True)
    assert cells.Record.count() == 0
    frame = pl.DataFrame({**names, "kind": ["t zelle", "CL:0000236"]})
    assert cells.annotate(frame, key="name", create=True).values == 2
    assert [dft.Record.get(name=name).features.get_values()["kind"] for name in "ab"] == ["T cell", "B cell"]


# --- values --------------------------------------------------------------------------------------


def test_from_values_finds_saved_ones_then_the_source(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    dft.Source.add("CellType", path=CELLS)
    saved = dft.CellType.from_source(name="B cell").save()
    with caplog.at_level(logging.WARNING, logger="duckfeat"):
        found = store.CellType.from_values(["B cell", "B lymphocyte", "T-cell", "lymphocite", None, "B cell"])
    assert [term.name for term in found] == ["B cell", "T cell"]
    assert found[0] == saved
    assert found[1].id is None
    assert "'lymphocite' (did you mean 'lymphocyte'?)" in caplog.text
    ids = dft.CellType.from_values(["CL:0000542", "CL:0"], field="ontology_id")
    assert [term.name for term in ids] == ["lymphocyte"]


def test_from_values_creates_what_nobody_knows(store: Store) -> None:
    dft.Source.add("CellType", path=CELLS)
    made = store.CellType.from_values(["T cell", "my cell"], create=True, description="mine")
    assert [term.name for term in made] == ["T cell", "my cell"]
    assert made[1].description == "mine"
    assert made[1].ontology_id is None
    assert all(term.id is not None for term in made)


def test_inspect_and_standardize_ask_the_registry_then_the_source(store: Store) -> None:
    dft.Source.add("CellType", path=CELLS)
    dft.CellType.from_source(name="T cell").save()
    found = store.CellType.inspect(["T cell", "B cell", "lymphocite", "white blood cell", 7])
    assert found.validated == ["T cell"]
    assert found.non_validated == ["B cell", "lymphocite", "white blood cell", 7]
    assert "B cell" in found.in_source
    assert found.suggestions["lymphocite"] == "lymphocyte"
    assert found.suggestions["white blood cell"] == "leukocyte"
    assert "from_values() brings them" in repr(found)
    assert dft.CellType.standardize(["T-cell", "b lymphocyte", "xyz"]) == ["T cell", "B cell", "xyz"]
    assert dft.CellType.standardize("T lymphocyte") == "T cell"
    assert dft.CellType.validate(["T cell", "B cell"]).tolist() == [True, False]


def test_what_the_source_has_is_told_as_it_is_there(store: Store) -> None:
    dft.Source.add("CellType", path=CELLS)
    dft.CellType.from_source(name="T cell").save()
    found = store.CellType.inspect(["B cell", "white blood cell", "B cel"])
    assert found.suggestions == {"white blood cell": "leukocyte", "B cel": "B cell"}
    store.Feature(name="cell", dtype=dft.CellType).save()
    sample = store.Record(name="s").save()
    with pytest.raises(ValidationError, match=r"to create it: CellType\.from_values\(\['B cell'\], create=True\)$"):
        sample.features.add_values({"cell": "B cell"})
    [made] = store.CellType.from_values(["B cell"], create=True)
    sample.features.add_values({"cell": "B cell"})
    assert (sample.features["cell"], made.ontology_id is None) == (made, False)


def test_terms_of_an_organism_are_made_where_there_is_no_source_of_it(store: Store) -> None:
    [gene] = store.Gene.from_values(["Trp53"], create=True, organism="mouse")
    assert (gene.symbol, gene.organism and gene.organism.name) == ("Trp53", "mouse")
    with pytest.raises(DoesNotExist, match="no source"):
        store.Gene.from_values(["Brca1"], organism="mouse")
    with pytest.raises(DoesNotExist, match="no source"):
        store.Gene.from_values(["Brca1"], create=True, source="mine")


@pytest.fixture
def gone(genes: Store, tmp_path: Path) -> Path:
    """The file of a source of genes that is preferred; it was read, and a test removes it."""
    path = tmp_path / "mine.csv"
    path.write_text("ensembl_gene_id,symbol,synonyms\nENSG00000141510,TP53,P53\nENSG00000012048,BRCA1,\n")
    dft.Source.add("gene", organism="human", path=path)
    genes.Gene.public()
    return path


def test_values_where_the_file_of_an_imported_source_is_gone(
    genes: Store, gone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dft.Gene.import_source("mine")
    gone.unlink()
    found = genes.Gene.inspect(["TP53", "P53", "BRAC1", 7])
    assert (found.validated, found.non_validated, found.in_source) == (["TP53"], ["P53", "BRAC1", 7], [])
    assert dict(found.suggestions) == {"P53": "TP53", "BRAC1": "BRCA1"}
    assert dft.Gene.standardize(["p53", "XYZ"]) == ["TP53", "XYZ"]
    assert caplog.messages == []
    meant = dft.Gene.from_values(["TP53", "P53", "ENSG00000012048", "BRAC1"], source="mine")
    assert [gene.symbol for gene in meant] == ["TP53", "BRCA1"]
    assert caplog.messages == [
        "Gene: 1 values are not saved, and there is no source to look in: 'BRAC1' (did you mean 'BRCA1'?)"
    ]
    assert [gene.symbol for gene in dft.Gene.from_values(["XYZ"], create=True)] == ["XYZ"]
    for read in (dft.Gene.public, dft.Gene.import_source):
        with pytest.raises(MissingFile, match=r"the file of source mine \(human\) is gone: .*mine\.csv"):
            read("mine")


def test_categories_where_the_file_of_an_imported_source_is_gone(genes: Store, gone: Path) -> None:
    dft.Gene.import_source("mine")
    gone.unlink()
    dft.Feature(name="gene", dtype=dft.Gene, coerce=True).save()
    frame = pl.DataFrame({"name": ["a", "b", "c"], "gene": ["TP53", "BRAC1", "p53"]})
    assert genes.annotate(frame, key="name", create=True, on_invalid="skip").values == 2
    with pytest.raises(ValidationError, match="did you mean 'BRCA1'"):
        dft.Record(name="d", features={"gene": "BRAC1"}).save()


def test_values_where_the_file_of_a_source_is_gone(genes: Store, gone: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved = dft.Gene.from_source(symbol="TP53").save()
    gone.unlink()
    told = f"Gene: the file of source mine (human) is gone: {gone}; its terms are passed over"
    found = genes.Gene.inspect(["TP53", "P53", "BRCA1"])
    assert (found.validated, found.suggestions["P53"], found.in_source) == (["TP53"], "TP53", [])
    assert caplog.messages == [told]
    caplog.clear()
    assert dft.Gene.standardize(["P53", "BRCA1"]) == ["TP53", "BRCA1"]
    assert caplog.messages == [told]
    caplog.clear()
    assert dft.Gene.from_values(["P53", "BRCA1"]) == [saved]
    assert caplog.messages == [told, "Gene: 1 values are not saved, and there is no source to look in: 'BRCA1'"]
    with pytest.raises(MissingFile, match=r"source mine \(human\) is gone"):
        dft.Gene.from_values(["P53", "BRCA1"], source="mine")
    assert dft.Gene.from_values(["P53"], source="mine") == [saved]


def test_values_without_any_source(store: Store) -> None:
    found = store.Pathway.inspect(["a"])
    assert (found.validated, found.non_validated) == ([], ["a"])
    assert dft.Pathway.standardize(["a"]) == ["a"]
    assert dft.Pathway.from_values(["a"]) == []
    assert [made.name for made in dft.Pathway.from_values(["a"], create=True)] == ["a"]
    with pytest.raises(DoesNotExist):
        dft.Pathway.from_values(["b"], source="go")


# --- drawing -------------------------------------------------------------------------------------


def test_the_hierarchy_is_drawn_as_text(cells: Store) -> None:
    term = cells.CellType.get(name="lymphocyte")
    assert repr(term.view_parents()) == "cell\n  leukocyte\n    lymphocyte <"
    both = term.view_parents(with_children=True)
    assert repr(both).splitlines()[-2:] == ["      B cell", "      T cell"]
    near = term.view_parents(with_children=True, distance=1)
    assert repr(near).splitlines()[0] == "leukocyte"
    assert "CL:0000542" in repr(term.view_parents(field="ontology_id"))
    assert '[label="lymphocyte", penwidth=2]' in both.dot


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("source", r"CellType\.source is a relation: records are labelled by a text field"),
        ("parents", r"CellType\.parents is a relation: [^(]* Available: abbr, description, name, ontology_id, "),
        ("records", r"CellType\.records is a relation"),
        ("source_id", r"CellType\.source_id is not a text field"),
        ("created_at", r"CellType\.created_at is not a text field"),
        ("nmae", r"CellType\.nmae is not a field: .* \(did you mean 'name'\?\)"),
    ],
)
def test_terms_are_labelled_by_a_text_field(cells: Store, field: str, told: str) -> None:
    term = cells.CellType.get(name="T cell")
    with pytest.raises(FieldError, match=told):
        term.view_parents(field=field)
    assert "CL:0000542" in repr(term.view_parents(field=dft.CellType.ontology_id))


def test_graphviz_draws_where_it_is(cells: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = cells.CellType.get(name="T cell").view_parents()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert view.svg() is None
    assert view._repr_html_() == f"<pre>{repr(view).replace('<', '&lt;')}</pre>"
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho '<?xml?><svg>drawn</svg>'\n")
    program.chmod(0o755)
    assert view._repr_html_() == "<svg>drawn</svg>\n"
    program.write_text("#!/bin/sh\necho 'cannot' >&2\nexit 1\n")
    with pytest.raises(dft.errors.QueryError, match="cannot"):
        view.svg()
