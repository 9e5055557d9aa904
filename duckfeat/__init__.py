"""duckfeat: an embedded analytical store for feature values on DuckDB.

>>> import duckfeat as dft
>>> store = dft.connect()
>>> temperature = dft.Feature(name="temperature", dtype=float, unit="degC").save()
>>> sample = dft.Record(name="sample 1", features={"temperature": 21.5}).save()
>>> dft.Record.filter(temperature > 20).to_list("name")
['sample 1']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duckfeat import aggregates, errors, models
from duckfeat.connecting import connect, import_, move, restore
from duckfeat.current import save, settings, view
from duckfeat.errors import DuckfeatError
from duckfeat.model.q import Q
from duckfeat.ontology import (
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
from duckfeat.store import Store

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "Branch",
    "CellLine",
    "CellType",
    "DevelopmentalStage",
    "Disease",
    "DuckfeatError",
    "Ethnicity",
    "ExperimentalFactor",
    "Feature",
    "FeatureValue",
    "Gene",
    "Organism",
    "Pathway",
    "Phenotype",
    "Protein",
    "Q",
    "Record",
    "Run",
    "Source",
    "Space",
    "Store",
    "Tissue",
    "Transform",
    "ULabel",
    "User",
    "aggregates",
    "connect",
    "errors",
    "import_",
    "models",
    "move",
    "restore",
    "save",
    "settings",
    "view",
]


if not TYPE_CHECKING:  # what there is stays known to a type checker

    def __getattr__(name: str) -> object:
        modules = {"errors": errors.NAMES, "aggregates": aggregates.__all__}
        meant = next((f"{module}.{name}" for module, names in modules.items() if name in names), None)
        raise errors.attribute_missing("duckfeat", name, __all__, meant)
