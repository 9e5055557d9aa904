"""Sources of every format: tables, OBO and OWL files, the NCBI taxonomy, and the releases that a package brings."""

from __future__ import annotations

import gzip
import importlib.util
import sys
import tarfile
import zipfile
from pathlib import Path

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import (
    DoesNotExist,
    FieldError,
    InvalidArgument,
    MissingExtra,
    MissingFile,
    MultipleResultsFound,
)
from duckfeat.ontology import packaged
from duckfeat.store import Store

DATA = Path(__file__).with_name("data")
CELLS = DATA / "cells.obo"

NAMES = """\
1\t|\tall\t|\t\t|\tsynonym\t|
1\t|\troot\t|\t\t|\tscientific name\t|
9605\t|\tHomo\t|\t\t|\tscientific name\t|
9606\t|\tHomo sapiens\t|\t\t|\tscientific name\t|
9606\t|\thuman\t|\t\t|\tgenbank common name\t|
9606\t|\tman "the wise" | sapiens\t|\t\t|\tsynonym\t|
"""
NODES = """\
1\t|\t1\t|\tno rank\t|\t\t|
9605\t|\t1\t|\tgenus\t|\t\t|
9606\t|\t9605\t|\tspecies\t|\tHS\t|
"""


# --- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("named.csv", "ontology_id,name,synonyms,parents\nX:1,one,uno|un,\nX:2,two,,X:1\n"),
        ("recognised.csv", "Term ID,Label,Synonym,is_a\nX:1,one,uno|un,\nX:2,two,,X:1\n"),
        ("tabs.tsv", "curie\tterm\taliases\tparent_ids\nX:1\tone\tuno|un\t\nX:2\ttwo\t\tX:1\n"),
    ],
)
def test_columns_are_recognised_by_their_names(store: Store, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    dft.Source.add("tissue", path=path)
    dft.Tissue.import_source(path.stem)
    rows = store.Tissue.all().order_by("id").values_list("ontology_id", "name", "synonyms")
    assert list(rows) == [("X:1", "one", "uno|un"), ("X:2", "two", None)]
    assert dft.Tissue.get(name="two").parents.to_list("name") == ["one"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("semicolons.csv", "ensembl_gene_id;symbol\nENSG00000000003;TSPAN6\n"),
        ("commas.tsv", "ensembl_gene_id,symbol\nENSG00000000003,TSPAN6\n"),
        ("marked.csv", "\ufeffEnsembl Gene ID,Gene Symbol\nENSG00000000003,TSPAN6\n"),
        ("other_titles.csv", "Locus X,Sign X\nENSG00000000003,TSPAN6\n"),
    ],
)
def test_tables_of_other_making(store: Store, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    source = dft.Source.add("gene", organism="human", path=path)
    frame = store.Gene.public(source).pl()
    assert frame.select("symbol", "ensembl_gene_id").rows() == [("TSPAN6", "ENSG00000000003")]


def test_rows_of_one_id_are_one_term(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(
        "Term ID,Label,Synonym,Parent\nX:1,one,,\nX:2,two,,X:1\n"
        "X:3,three,tres|drei,X:1\nX:3,three,,X:2\nX:3,three,drei|trois,X:1\n"
    )
    dft.Source.add("tissue", path=path)
    assert dft.Tissue.public().pl().select("name", "synonyms", "parents").row(2) == (
        "three",
        "tres|drei|trois",
        ["X:1", "X:2"],
    )
    assert dft.Tissue.public().pl()["synonyms"].to_list() == [None, None, "tres|drei|trois"]
    report = dft.Tissue.import_source()
    assert (report.terms, report.new, report.parents) == (3, 3, 3)
    three = dft.Tissue.get(name="three")
    assert three.synonyms == "tres|drei|trois"
    assert sorted(three.parents.to_list("name")) == ["one", "two"]
    assert dft.Tissue.import_source().updated == 0
    assert store.check().ok


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("ids.csv", "gene_id\nENSG00000000003\nENSG00000000005\n", "ensembl_gene_id"),
        ("untitled.csv", "ENSG00000000003\nENSG00000000005\n", "ensembl_gene_id"),
        ("typed.tsv", "gene_id\tgene_type\tlength\nENSG00000000003\tlncRNA\t17\n", "ensembl_gene_id"),
        ("loci.csv", "locus_tag,synonyms\nYAL001C,TFC3\nYAL002W,VPS8\n", "stable_id"),
    ],
)
def test_genes_may_have_ids_only(store: Store, tmp_path: Path, name: str, text: str, field: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    dft.Source.add("gene", organism="human", path=path)
    public = store.Gene.public()
    known = public.pl()[field].to_list()
    assert known[0] in text
    assert None not in known
    assert public.pl()["symbol"].is_null().all()
    report = dft.Gene.import_source()
    assert (report.new, dft.Gene.import_source().new) == (len(known), 0)
    assert store.Gene.all().order_by("id").to_list(field) == known
    assert store.Gene.lookup(field, return_field="symbol").dict()[known[0]] is None
    assert store.check().ok


def test_an_id_stands_for_the_name_that_a_gene_lacks(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("gene_id,synonyms\nENSG00000000003,\nENSG00000000005,tenomodulin\n")
    dft.Source.add("gene", organism="human", path=path)
    public = store.Gene.public()
    assert public.nearest("tenomodulim") == public.nearest("ensg00000000005") == "ENSG00000000005"
    assert public.standardize(["tenomodulin", "ensg00000000003"]) == ["tenomodulin", "ensg00000000003"]
    with pytest.raises(DoesNotExist, match="did you mean 'ENSG00000000005'"):
        public.get(symbol="tenomodulim")


def test_ids_do_not_do_where_another_column_may_hold_the_names(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("gene_id,called\nENSG00000000003,TSPAN6\n")
    source = dft.Source.add("gene", organism="human", path=path)
    with pytest.raises(InvalidArgument, match=r"'symbol'.* without one: columns={'ensembl_gene_id': 'gene_id'}"):
        store.Gene.public(source)
    dft.Source.add("gene", organism="human", path=path, columns={"ensembl_gene_id": "gene_id"})
    assert store.Gene.public().pl().select("symbol", "ensembl_gene_id").rows() == [(None, "ENSG00000000003")]
    dft.Source.add("tissue", path=path, columns={"ontology_id": "gene_id"})
    with pytest.raises(InvalidArgument, match="to hold 'name'"):
        store.Tissue.public()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("ragged.csv", b"symbol,ensembl_gene_id\na,b,c\n"),
        ("latin.csv", "symbol,ensembl_gene_id\n\u00e4,ENSG00000000003\n".encode("latin-1")),
        ("bad.parquet", b"no parquet"),
        ("cut.csv.gz", gzip.compress(b"symbol,ensembl_gene_id\nA,ENSG00000000003\n", mtime=0)[:-20]),
        ("of_something_else.csv", b"width,colour\n1,red\n"),
        ("graph.json", b"{}"),
        ("cut.obo", b"format-version: 1.4\n\n[Term]\nid: X:1\nname: a\nis_"),
    ],
)
def test_a_file_that_is_no_source_is_refused(store: Store, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    source = dft.Source.add("gene", organism="human", path=path)
    with pytest.raises(InvalidArgument, match=name):
        dft.Gene.import_source(source)
    assert store.Gene.count() == 0


@pytest.mark.parametrize("name", ["taxdump.tar.gz", "taxdump.zip", "taxdump.tgz"])
def test_an_archive_that_is_none(store: Store, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"no archive")
    dft.Source.add("organism", path=path, name="taxdump")
    with pytest.raises(InvalidArgument, match="cannot be read as an archive"):
        store.Organism.import_source("taxdump")


@pytest.mark.parametrize("name", ["cut.tar.gz", "cut.zip"])
def test_an_archive_that_is_cut_or_damaged(store: Store, tmp_path: Path, name: str) -> None:
    whole = packed(taxonomy(tmp_path), name)
    content = bytearray(whole.read_bytes())
    if name.endswith("zip"):
        content[len(NAMES) // 8] ^= 0xFF  # within what is packed: the list at the end is whole
    else:
        del content[-40:]
    whole.write_bytes(content)
    dft.Source.add("organism", path=whole, name="taxa")
    with pytest.raises(InvalidArgument, match=f"{name} cannot be read as an archive"):
        store.Organism.import_source("taxa")
    assert dft.Organism.count() == 0


def test_columns_may_be_said(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("a,b\none,X:1\n")
    dft.Source.add("tissue", path=path, columns={"name": "a", "ontology_id": 1})
    assert store.Tissue.public("odd").pl().select("name", "ontology_id").rows() == [("one", "X:1")]
    dft.Source.add("tissue", path=path, version="3", columns={"ontology_id": "b"})
    with pytest.raises(InvalidArgument, match=r"no column is seen to hold 'name'; say which: .* There are: a, b"):
        dft.Tissue.public("odd", version="3")


@pytest.mark.parametrize(
    ("columns", "error", "told"),
    [
        ({"name": "label", "ontolgy_id": "id"}, FieldError, r"no field 'ontolgy_id' \(did you mean 'ontology_id'\?\)"),
        ({"nam": "label"}, FieldError, r"no field 'nam' \(did you mean 'name'\?\) Available: .*name, .*parents"),
        ({"parent": "is_a"}, FieldError, r"did you mean 'parents'"),
        ({"name": "labell"}, InvalidArgument, r"odd.csv: there is no column 'labell' \(did you mean 'label'\?\)"),
        ({"name": 3}, InvalidArgument, r"odd.csv: there is no column 3\. Available: id, is_a, label"),
        ({"name": -1}, InvalidArgument, r"odd.csv: there is no column -1"),
    ],
)
def test_columns_that_are_none(
    store: Store, tmp_path: Path, columns: dict[str, str | int], error: type[Exception], told: str
) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("id,label,is_a\nX:1,foo,\nX:2,bar,X:1\n")
    with pytest.raises(error, match=told):
        store.Source.add("tissue", path=path, columns=columns)
    assert store.Source.count() == 0
    source = dft.Source.add("tissue", path=path, columns={"name": "label", "ontology_id": "id", "parents": "is_a"})
    path.write_text("id,title,is_a\nX:1,foo,\n")
    with pytest.raises(InvalidArgument, match=r"odd\.csv: there is no column 'label'"):
        dft.Tissue.import_source(source)


def test_genes_have_no_parents(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "genes.csv"
    path.write_text("id,symbol\nENSG00000000003,TSPAN6\n")
    with pytest.raises(FieldError, match="a source of Gene terms has no field 'parents'"):
        store.Source.add("gene", organism="human", path=path, columns={"symbol": "symbol", "parents": "id"})


def test_columns_of_a_file_that_is_no_table(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text("")
    with pytest.raises(InvalidArgument, match=r"empty\.csv cannot be read as a table"):
        store.Source.add("tissue", path=path, columns={"name": "label"})


def test_a_table_without_header_is_told_by_what_it_holds(store: Store) -> None:
    source = dft.Source.add("gene", organism="human", path=DATA / "genes.csv.gz")
    public = store.Gene.public(source)
    gene = public.get(symbol="BRCA1")
    assert (gene.ensembl_gene_id, gene.biotype) == ("ENSG00000012048", "protein_coding")
    with pytest.raises(MultipleResultsFound, match="2 terms of genes"):
        public.get(symbol="WASH7P")


def test_lists_in_parquet_are_synonyms_and_parents(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "terms.parquet"
    frame = pl.DataFrame({"id": ["X:1", "X:2"], "name": ["one", "two"], "synonyms": [["a", "b"], []]})
    frame.with_columns(parents=pl.Series([[], ["X:1"]], dtype=pl.List(pl.String))).write_parquet(path)
    dft.Source.add("tissue", path=path)
    dft.Tissue.import_source()
    assert store.Tissue.get(name="one").synonyms == "a|b"
    assert dft.Tissue.get(name="two").parents.to_list("name") == ["one"]


def source_without_rows(folder: Path, name: str) -> dft.Source:
    """Add a source of diseases that has no terms."""
    path = folder / name
    if path.suffix == ".csv":
        path.write_text("ontology_id,name\n")
    elif path.suffix == ".parquet":
        pl.DataFrame({"ontology_id": [], "name": [], "parents": []}).write_parquet(path)
    else:
        path.write_text("format-version: 1.2\nontology: x\n")
    return dft.Source.add("disease", path=path)


@pytest.mark.parametrize("name", ["none.csv", "none.parquet", "none.obo"])
def test_a_source_without_rows(store: Store, tmp_path: Path, name: str) -> None:
    source = source_without_rows(tmp_path, name)
    assert store.Disease.import_source(source).terms == 0
    found = dft.Disease.inspect(["x"])
    assert (found.validated, found.non_validated, dict(found.suggestions)) == ([], ["x"], {})
    public = dft.Disease.public(source)
    assert len(public) == public.search("x").height == len(public.lookup().dict()) == 0
    assert (public.standardize(["x"]), dft.Disease.standardize("x")) == (["x"], "x")
    assert dft.Disease.from_values(["x"]) == []
    with pytest.raises(DoesNotExist, match=r"Disease: no term of none has name='x'$"):
        dft.Disease.from_source(name="x", source=source)


def test_a_taxonomy_without_taxa(store: Store, tmp_path: Path) -> None:
    (taxonomy(tmp_path) / "names.dmp").write_text("1\t|\tall\t|\t\t|\tsynonym\t|\n")
    source = dft.Source.add("organism", path=tmp_path)
    assert len(store.Organism.public(source)) == dft.Organism.import_source(source).terms == 0


# --- parents that are missing or given by name ----------------------------------------------------

MISSING = {
    "gap.csv": "ontology_id,name,parents\nX:1,one,\nX:2,two,X:1|X:9\n",
    "gap.obo": (
        "format-version: 1.4\nontology: x\n\n[Term]\nid: X:1\nname: one\n\n"
        "[Term]\nid: X:2\nname: two\nis_a: X:1\nis_a: X:9\n"
    ),
    "gap.owl": """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#"
    xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#">
  <owl:Ontology rdf:about="http://purl.obolibrary.org/obo/x.owl"/>
  <owl:Class rdf:about="http://purl.obolibrary.org/obo/X_1"><rdfs:label>one</rdfs:label></owl:Class>
  <owl:Class rdf:about="http://purl.obolibrary.org/obo/X_2"><rdfs:label>two</rdfs:label>
    <rdfs:subClassOf rdf:resource="http://purl.obolibrary.org/obo/X_1"/>
    <rdfs:subClassOf rdf:resource="http://purl.obolibrary.org/obo/X_9"/>
  </owl:Class>
</rdf:RDF>
""",
    "gap.json": """{"graphs": [{"id": "http://purl.obolibrary.org/obo/x.owl", "meta": {}, "nodes": [
  {"id": "http://purl.obolibrary.org/obo/X_1", "type": "CLASS", "lbl": "one"},
  {"id": "http://purl.obolibrary.org/obo/X_2", "type": "CLASS", "lbl": "two"}], "edges": [
  {"sub": "http://purl.obolibrary.org/obo/X_2", "pred": "is_a", "obj": "http://purl.obolibrary.org/obo/X_1"},
  {"sub": "http://purl.obolibrary.org/obo/X_2", "pred": "is_a", "obj": "http://purl.obolibrary.org/obo/X_9"}]}]}""",
}


@pytest.mark.parametrize("name", MISSING)
def test_parents_that_are_missing_are_told(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = tmp_path / name
    path.write_text(MISSING[name])
    source = dft.Source.add("tissue", path=path)
    two = store.Tissue.from_source(name="two", source=source).save()
    assert two.parents.to_list("name") == ["one"]
    caplog.clear()
    report = dft.Tissue.import_source(source)
    assert (report.terms, report.new, report.parents_missing) == (2, 0, 1)
    assert caplog.messages == [f"Tissue: 1 parents are neither in {name} nor saved, and are left out: 'X:9' of 'X:2'"]
    dft.Tissue(name="nine", ontology_id="X:9").save()
    assert dft.Tissue.import_source(source).parents_missing == 0
    assert sorted(two.parents.to_list("name")) == ["nine", "one"]


def test_the_first_of_many_missing_parents_are_told(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("ontology_id,name,parents\n" + "".join(f"X:{at},x{at},Y:{at}\n" for at in range(8)))
    report = store.Tissue.import_source(dft.Source.add("tissue", path=path))
    assert (report.new, report.parents, report.parents_missing) == (8, 0, 8)
    assert "8 parents" in caplog.text
    assert "'Y:0' of 'X:0', 'Y:1' of 'X:1', " in caplog.text
    assert caplog.messages[0].endswith("'Y:4' of 'X:4', ... 3 more")


def test_a_term_that_is_not_in_use_is_no_parent(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "gap.obo"
    path.write_text(MISSING["gap.obo"] + "\n[Term]\nid: X:9\nname: nine\nis_obsolete: true\n")
    report = store.Tissue.import_source(dft.Source.add("tissue", path=path))
    assert (report.terms, report.parents, report.parents_missing) == (2, 1, 1)
    assert "'X:9' of 'X:2'" in caplog.text


def test_parents_given_by_name(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "named.csv"
    path.write_text(
        "ontology_id,name,parents\nX:1,one,\nX:2,twin,X:1\nX:3,twin,one\n"
        "X:4,four,one|X:2\nX:4,four,three\nX:5,five,twin\nX:6,X:1,X:2\nX:7,seven,X:1\n"
    )
    source = dft.Source.add("tissue", path=path)
    public = store.Tissue.public(source)
    assert dict(public.pl().select("ontology_id", "parents").iter_rows()) == {
        "X:1": [],
        "X:2": ["X:1"],
        "X:3": ["X:1"],
        "X:4": ["X:1", "X:2", "three"],
        "X:5": ["twin"],
        "X:6": ["X:2"],
        "X:7": ["X:1"],
    }
    report = dft.Tissue.import_source(source)
    assert (report.parents, report.parents_missing) == (6, 2)
    assert "'three' of 'X:4', 'twin' of 'X:5'" in caplog.text
    assert sorted(dft.Tissue.get(name="four").parents.to_list("ontology_id")) == ["X:1", "X:2"]


# --- OBO, OWL ------------------------------------------------------------------------------------


def test_an_owl_file(store: Store) -> None:
    dft.Source.add("cell_type", path=DATA / "cells.owl")
    dft.CellType.import_source("cells")
    assert store.CellType.get(name="T cell").parents.to_list("ontology_id") == ["CL:0000000"]
    assert dft.CellType.get(name="T cell").synonyms == "T lymphocyte"


def test_terms_of_other_ontologies_on_request(store: Store) -> None:
    dft.Source.add("cell_type", path=CELLS, prefix=["CL", "UBERON"])
    names = store.CellType.public("cells").pl()["name"].to_list()
    assert sorted(names) == ["B cell", "T cell", "cell", "leukocyte", "lymphocyte", "thing between"]


def test_without_pronto_the_extra_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pronto.ontology", None)
    dft.Source.add("Tissue", path=CELLS, name="cells")
    with pytest.raises(MissingExtra, match="ontologies"):
        store.Tissue.import_source("cells")


def test_a_file_that_is_no_ontology(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "bad.obo"
    path.write_text("this is no obo file\n[Term\n")
    dft.Source.add("cell_type", path=path)
    with pytest.raises(InvalidArgument, match=r"bad.obo cannot be read as an ontology"):
        store.CellType.import_source("bad")
    other = tmp_path / "terms.docx"
    other.write_text("")
    dft.Source.add("cell_type", path=other)
    with pytest.raises(InvalidArgument, match=r"no format of sources is called '.docx'; there are: .csv"):
        dft.CellType.import_source("terms")
    other.unlink()
    with pytest.raises(MissingFile, match="the file of source terms is gone"):
        dft.CellType.import_source("terms")
    assert store.CellType.count() == 0


# --- the NCBI taxonomy ---------------------------------------------------------------------------


def taxonomy(folder: Path) -> Path:
    (folder / "names.dmp").write_text(NAMES)
    (folder / "nodes.dmp").write_text(NODES)
    return folder


def packed(folder: Path, name: str, files: tuple[str, ...] = ("names.dmp", "nodes.dmp")) -> Path:
    """Pack the files of a folder into an archive beside them."""
    archive = folder / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for file in files:
                zipped.write(folder / file, file)
        return archive
    with tarfile.open(archive, "w:gz") as tarred:
        for file in files:
            tarred.add(folder / file, file)
    return archive


def check_taxa(store: Store) -> None:
    human = store.Organism.get(ontology_id="NCBITaxon:9606")
    assert human.name == human.scientific_name == "Homo sapiens"
    assert human.synonyms == 'human|man "the wise" / sapiens'
    assert human.query_parents().order_by("id").to_list("name") == ["root", "Homo"]
    assert dft.Organism.count() == 3


def test_the_taxonomy_as_a_folder_a_file_of_it_or_an_archive(store: Store, tmp_path: Path) -> None:
    folder = taxonomy(tmp_path)
    archives = [packed(folder, "taxdump.tar.gz"), packed(folder, "taxdmp.zip")]
    for version, path in enumerate((folder, folder / "names.dmp", *archives)):
        dft.Source.add("organism", path=path, name="taxa", version=str(version))
        dft.Organism.import_source("taxa", version=str(version))
        check_taxa(store)


def test_a_taxonomy_that_lacks_a_file(store: Store, tmp_path: Path) -> None:
    (taxonomy(tmp_path) / "nodes.dmp").unlink()
    dft.Source.add("organism", path=tmp_path, name="taxa")
    with pytest.raises(InvalidArgument, match=r"holds no nodes.dmp"):
        store.Organism.import_source("taxa")
    for name in ("taxa.tar.gz", "taxa.zip"):
        dft.Source.add("organism", path=packed(tmp_path, name, ("names.dmp",)), name=name)
        with pytest.raises(InvalidArgument, match=r"does not hold names\.dmp and nodes\.dmp"):
            dft.Organism.import_source(name)


def test_well_known_organisms_need_no_source(store: Store) -> None:
    dft.settings.organism = "homo_sapiens"
    organism = dft.settings.organism
    assert organism is not None
    assert (organism.name, organism.scientific_name, organism.ontology_id) == (
        "human",
        "Homo sapiens",
        "NCBITaxon:9606",
    )
    dft.settings.organism = organism
    assert store.Organism.count() == 1


# --- what the package brings ---------------------------------------------------------------------


def test_a_release_of_the_package(store: Store) -> None:
    report = dft.CellType.import_source()
    assert report.new == report.terms > 3000
    t_cell = store.CellType.get(ontology_id="CL:0000084")
    assert t_cell.name == "T cell"
    assert "lymphocyte" in t_cell.query_parents().to_list("name")
    root = dft.CellType.get(name="cell")
    assert root.query_children().count() == report.terms - 1
    assert dft.CellType.import_source().new == 0


def test_releases_are_listed_and_chosen(store: Store) -> None:
    listed = dft.Source.available("CellType")
    assert [source.name for source in listed] == ["cl"] * len(listed)
    oldest = listed[-1]
    assert store.CellType.public(version=f"v{oldest.version}").source.version == oldest.version
    assert len(dft.Source.available()) > len(listed)
    assert str(dft.CellType.public().source) == f"cl {listed[0].version}"
    with pytest.raises(DoesNotExist, match="no source 'cl 1900'"):
        dft.CellType.public("cl", version="1900")


def test_sources_by_organism(store: Store) -> None:
    assert store.DevelopmentalStage.public().source.organism == "human"
    assert dft.DevelopmentalStage.public(organism="mouse").source.name == "mmusdv"
    dft.settings.organism = "mouse"
    assert dft.DevelopmentalStage.public().source.name == "mmusdv"
    with pytest.raises(InvalidArgument, match="is a source of"):
        dft.CellType.public(dft.DevelopmentalStage.public().source)
    dft.settings.organism = None
    dft.Source.add("gene", organism="human", path=DATA / "genes.csv.gz", name="a")
    dft.Source.add("gene", organism="mouse", path=DATA / "genes.csv.gz", name="b")
    with pytest.raises(InvalidArgument, match="for human, mouse: say which with organism="):
        dft.Gene.public()


def test_what_was_imported_is_preferred_as_before(store: Store) -> None:
    assert dft.DevelopmentalStage.import_source().new > 0
    assert store.DevelopmentalStage.import_source().new == 0


def test_proteins_of_an_organism(store: Store) -> None:
    dft.settings.organism = "human"
    public = store.Protein.public()
    assert all(name.endswith("_HUMAN") for name in public.pl()["name"].head(50))
    protein = dft.Protein.from_source(name=public.pl()["name"][0]).save()
    assert protein.organism.name == "human"
    assert protein.uniprotkb_id


def test_taxa_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    place = packaged.folder()
    assert place is not None
    monkeypatch.setattr(packaged, "_CHUNK", 1 << 16)
    [newest] = sorted(place.glob("NCBITaxon-*.json.zst"))[-1:]
    entries = packaged._entries(newest)
    first = [next(entries)[0] for _ in range(2_000)]
    assert len(set(first)) == 2_000
    assert all(id_.startswith("NCBITaxon:") for id_ in first)


def test_without_the_package_the_extra_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    known = store.CellType.public().source
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    assert store.Source.available("CellType") == []
    with pytest.raises(MissingExtra, match=r"duckfeat\[ontologies\]"):
        list(packaged.read_packaged(known.url, "CellType", None))
    monkeypatch.setattr(packaged, "find_spec", importlib.util.find_spec)
    with pytest.raises(MissingFile, match=r"does not bring CL-1\.json"):
        list(packaged.read_packaged("package:x/CL-1.json", "CellType", None))


# --- adding --------------------------------------------------------------------------------------


def test_adding_a_source_again_changes_it(store: Store, tmp_path: Path) -> None:
    first = dft.Source.add("CellType", path=CELLS, name="cells", description="mine")
    moved = tmp_path / "moved.obo"
    moved.write_text(CELLS.read_text())
    second = dft.Source.add(dft.CellType, path=moved, name="cells")
    assert second == first
    assert store.Source.get(first.id).url == str(moved)
    assert dft.CellType.public().source == first


def test_what_cannot_be_added(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="did you mean 'CellType'"):
        dft.Source.add("CellTyp", path=CELLS)
    with pytest.raises(MissingFile, match="there is no file"):
        dft.Source.add("CellType", path=tmp_path / "none.obo")
    assert store.Source.count() == 0


# --- looking at a source -------------------------------------------------------------------------


def test_a_source_is_looked_at_without_saving(store: Store) -> None:
    dft.Source.add("CellType", path=CELLS, name="cells")
    public = store.CellType.public()
    assert len(public) == 5
    assert repr(public) == "<PublicOntology CellType cells: 5 terms>"
    assert public.df().shape == public.pl().shape
    assert public.search("T lymphocite")["name"][0] == "T cell"
    assert public.search("lymphocyte", field="name", limit=1)["score"].to_list() == [100.0]
    assert public.lookup().t_cell.ontology_id == "CL:0000084"
    assert public.lookup("ontology_id", "name").cl_0000084 == "T cell"
    assert public.get(name="white blood cell").name == "leukocyte"
    assert public.validate("T cell") is True
    assert public.validate(["T cell", "x"]).tolist() == [True, False]
    assert public.inspect(["T cell", "T-cell", "x", 7]).suggestions == {"T-cell": "T cell"}
    assert public.standardize(["T-cell", None, "x"]) == ["T cell", None, "x"]
    assert public.standardize("t-CELL") == "T cell"
    with pytest.raises(FieldError, match="did you mean 'name'"):
        public.search("x", field="nmae")
    with pytest.raises(FieldError, match=r"no field 'parents'\. Available: abbr, description, name, ontology_id"):
        public.search("x", field="parents")
    with pytest.raises(DoesNotExist, match="did you mean 'leukocyte'"):
        public.get(name="leucocyte")
    assert store.CellType.count() == 0


@pytest.mark.parametrize("name", ["names.dmp", "nodes.dmp"])
def test_a_taxonomy_of_an_empty_file(store: Store, tmp_path: Path, name: str) -> None:
    folder = taxonomy(tmp_path)
    (folder / name).write_text("")
    dft.Source.add("organism", path=folder, name="ncbitaxon")
    with pytest.raises(InvalidArgument, match=f"{name} is empty"):
        store.Organism.import_source("ncbitaxon")


# --- what a file does not have -------------------------------------------------------------------


def test_columns_and_prefixes_of_files_that_have_none(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"columns are those of a table, and cells\.obo is none"):
        dft.Source.add("cell_type", path=CELLS, columns={"name": "label"})
    (tmp_path / "genes.csv").write_text("symbol\nA\n")
    with pytest.raises(InvalidArgument, match=r"a prefix tells .*, and genes\.csv is none"):
        dft.Source.add("gene", path=tmp_path / "genes.csv", organism="human", prefix="ENSG")
    with pytest.raises(InvalidArgument, match="columns are those of a table"):
        dft.Source.add("organism", path=taxonomy(tmp_path), columns={"name": 0})
    assert store.Source.count() == 0


def test_a_source_of_another_file_was_not_imported(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("symbol\nA\n")
    (tmp_path / "b.csv").write_text("symbol\nB\n")
    store.Gene.import_source(dft.Source.add("gene", path=tmp_path / "a.csv", organism="human", name="genes"))
    assert dft.Source.add("gene", path=tmp_path / "a.csv", organism="human", name="genes").in_db
    assert not dft.Source.add("gene", path=tmp_path / "b.csv", organism="human", name="genes").in_db
