"""Ontologies: registries of terms, the sources that terms come from, and the hierarchy between them."""

from __future__ import annotations

from duckfeat.ontology.registries import (
    CellLine,
    CellType,
    DevelopmentalStage,
    Disease,
    Ethnicity,
    ExperimentalFactor,
    Gene,
    Organism,
    Pathway,
    Phenotype,
    Protein,
    Tissue,
    set_organism,
)
from duckfeat.ontology.source import Source
from duckfeat.registries.base import SQLRecord

ONTOLOGIES: tuple[type[SQLRecord], ...] = (
    Organism,
    Gene,
    Protein,
    CellType,
    Tissue,
    Disease,
    CellLine,
    Phenotype,
    Pathway,
    DevelopmentalStage,
    ExperimentalFactor,
    Ethnicity,
    Source,
)

__all__ = [
    "ONTOLOGIES",
    "CellLine",
    "CellType",
    "DevelopmentalStage",
    "Disease",
    "Ethnicity",
    "ExperimentalFactor",
    "Gene",
    "Organism",
    "Pathway",
    "Phenotype",
    "Protein",
    "Source",
    "Tissue",
    "set_organism",
]
