"""Every registry under its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duckfeat.errors import attribute_missing
from duckfeat.ontology import (
    ONTOLOGIES,
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
    Source,
    Tissue,
)
from duckfeat.registries import (
    CORE,
    Artifact,
    Branch,
    Feature,
    FeatureValue,
    Record,
    Run,
    Space,
    Transform,
    ULabel,
    User,
)

REGISTRIES = (*CORE, *ONTOLOGIES)
"""All of them, the order in which an overview shows them."""

__all__ = [
    "REGISTRIES",
    "Artifact",
    "Branch",
    "CellLine",
    "CellType",
    "DevelopmentalStage",
    "Disease",
    "Ethnicity",
    "ExperimentalFactor",
    "Feature",
    "FeatureValue",
    "Gene",
    "Organism",
    "Pathway",
    "Phenotype",
    "Protein",
    "Record",
    "Run",
    "Source",
    "Space",
    "Tissue",
    "Transform",
    "ULabel",
    "User",
]

if not TYPE_CHECKING:  # what there is stays known to a type checker

    def __getattr__(name: str) -> object:
        raise attribute_missing("duckfeat.models", name, __all__)
