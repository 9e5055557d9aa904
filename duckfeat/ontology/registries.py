"""The registries of terms: organisms, genes, proteins, and everything that has an ontology."""

from __future__ import annotations

from typing import Any

from duckfeat.model.fields import Field, ForeignKey
from duckfeat.ontology.terms import Sourced, Term, organism_name, organism_record
from duckfeat.query.session import Session


class OntologyTerm(Term):
    """A term of an ontology: a name, an id there, and other names."""

    name: Field[str] = Field("str", "The name.", search=True)
    ontology_id: Field[str | None] = Field("str", "The id in its ontology, such as `CL:0000084`.", null=True)
    abbr: Field[str | None] = Field("str", "A short form of the name.", null=True, search=True)
    synonyms: Field[str | None] = Field("str", "Other names, joined by |.", null=True, search=True)
    description: Field[str | None] = Field("str", "What it means.", null=True, search=True)

    def __init__(self, name: str | None = None, **values: Any) -> None:
        super().__init__(**values if name is None else {"name": name, **values})

    def set_abbr(self, abbr: str) -> None:
        """Set the short form of the name and save the term."""
        self.abbr = abbr
        self.save()


class CellType(OntologyTerm, rows="cell_types"):
    """A type of cell; by default from the Cell Ontology.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> t_cell = dft.CellType.from_source(name="T cell").save()
    >>> t_cell.ontology_id, t_cell.parents.to_list("name")
    ('CL:0000084', ['lymphocyte'])
    """


class Tissue(OntologyTerm, rows="tissues"):
    """A tissue or another part of the body; by default from Uberon."""


class Disease(OntologyTerm, rows="diseases"):
    """A disease; by default from the Mondo disease ontology."""


class CellLine(OntologyTerm, rows="cell_lines"):
    """A cell line; by default from Cellosaurus."""


class Phenotype(OntologyTerm, rows="phenotypes"):
    """A phenotype or quality; by default from PATO."""


class Pathway(OntologyTerm, rows="pathways"):
    """A pathway or biological process; `Source.add` tells where they come from, such as a file of the Gene Ontology."""


class DevelopmentalStage(OntologyTerm, rows="developmental_stages"):
    """A stage of life; by default from HsapDv for human, MmusDv for mouse, FBdv for fruit fly, WBls for roundworm."""


class ExperimentalFactor(OntologyTerm, rows="experimental_factors"):
    """A part of an experiment, such as its assay; by default from the Experimental Factor Ontology."""

    molecule: Field[str | None] = Field("str", "The molecule that is measured.", null=True)
    instrument: Field[str | None] = Field("str", "The instrument.", null=True)
    measurement: Field[str | None] = Field("str", "What is measured.", null=True)


class Ethnicity(OntologyTerm, rows="ethnicities"):
    """An ethnicity or ancestry; by default from HANCESTRO."""


class Organism(Term, rows="organisms"):
    """An organism.

    A table of well-known ones is there by default; `import_source("ncbitaxon")` brings the NCBI taxonomy.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> dft.Organism.from_source(name="human").save().scientific_name
    'Homo sapiens'
    """

    name: Field[str] = Field("str", "The common name, or the scientific one where there is none.", search=True)
    ontology_id: Field[str | None] = Field("str", "The taxon, such as `NCBITaxon:9606`.", null=True)
    scientific_name: Field[str | None] = Field("str", "The scientific name.", null=True, search=True)
    synonyms: Field[str | None] = Field("str", "Other names, joined by |.", null=True, search=True)
    description: Field[str | None] = Field("str", "What it is.", null=True)

    def __init__(self, name: str | None = None, **values: Any) -> None:
        super().__init__(**values if name is None else {"name": name, **values})

    @classmethod
    def _name_of(cls, organism: Any) -> str:
        return organism_name(cls._current(), organism) or "all"

    @classmethod
    def _current_name(cls) -> str | None:
        session = cls._current()
        if session.organism_id is None:
            return None
        found = session.registries["Organism"].get(session.organism_id)
        return str(found.name)


class Gene(Sourced, rows="genes", label="symbol"):
    """A gene of an organism. `Source.add("gene", organism=..., path=...)` tells where genes come from.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> dft.settings.organism = "human"
    >>> gene = dft.Gene(symbol="TP53", ensembl_gene_id="ENSG00000141510").save()
    >>> gene.organism.name, dft.Gene.lookup().tp53.ensembl_gene_id
    ('human', 'ENSG00000141510')
    """

    __found_by__ = ("ensembl_gene_id",)
    __identifiers__ = ("ensembl_gene_id", "stable_id")

    symbol: Field[str | None] = Field("str", "The symbol, which several genes may share.", null=True, search=True)
    stable_id: Field[str | None] = Field("str", "The id of a gene that has none at Ensembl.", null=True)
    ensembl_gene_id: Field[str | None] = Field("str", "The id at Ensembl.", null=True)
    ncbi_gene_ids: Field[str | None] = Field("str", "The ids at NCBI, joined by |.", null=True)
    biotype: Field[str | None] = Field("str", "The type of gene.", null=True)
    synonyms: Field[str | None] = Field("str", "Other symbols, joined by |.", null=True, search=True)
    description: Field[str | None] = Field("str", "The full name.", null=True, search=True)
    organism: ForeignKey[Organism | None] = ForeignKey(
        "Organism", "The organism; `settings.organism` unless given.", related="{rows}", null=True
    )


class Protein(Sourced, rows="proteins"):
    """A protein; by default from UniProt."""

    __found_by__ = ("uniprotkb_id",)
    __identifiers__ = ("uniprotkb_id",)

    name: Field[str] = Field("str", "The name.", search=True)
    uniprotkb_id: Field[str | None] = Field("str", "The accession at UniProt.", null=True)
    length: Field[int | None] = Field("int", "The number of amino acids.", null=True)
    gene_symbol: Field[str | None] = Field("str", "The symbol of its gene.", null=True, search=True)
    ensembl_gene_ids: Field[str | None] = Field("str", "The ids of its genes at Ensembl, joined by |.", null=True)
    synonyms: Field[str | None] = Field("str", "Other names, joined by |.", null=True, search=True)
    description: Field[str | None] = Field("str", "What it is.", null=True, search=True)
    organism: ForeignKey[Organism | None] = ForeignKey(
        "Organism", "The organism; `settings.organism` unless given.", related="{rows}", null=True
    )

    def __init__(self, name: str | None = None, **values: Any) -> None:
        super().__init__(**values if name is None else {"name": name, **values})


def set_organism(session: Session, organism: Any) -> None:
    """Make an organism the current one of a store; a well-known one is saved if it is not there. None is none."""
    record = organism_record(session, organism)
    if record is not None and record.id is None:
        record.save()
    session.set_current("organism_id", None if record is None else record.id)
