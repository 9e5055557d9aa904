"""The registries, a file for each group, and the catalog of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from duckfeat.model.fields import ForeignKey, Relation
from duckfeat.model.tables import Catalog, Table
from duckfeat.registries.artifact import Artifact
from duckfeat.registries.base import SQLRecord
from duckfeat.registries.feature import Feature
from duckfeat.registries.feature_value import FeatureValue
from duckfeat.registries.labels import Record, ULabel
from duckfeat.registries.places import Branch, Space
from duckfeat.registries.run import Run, Transform
from duckfeat.registries.user import User

CORE: tuple[type[SQLRecord], ...] = (
    Artifact,
    Feature,
    FeatureValue,
    Record,
    ULabel,
    Run,
    Transform,
    User,
    Branch,
    Space,
)


def catalog_of(registries: tuple[type[SQLRecord], ...]) -> Catalog:
    """Return the catalog of registries, with the relations that foreign keys give the other side.

    A foreign key whose other side names a relation itself (`Feature.values`) is left to it; the common ones make
    `User.created_artifacts`, `Run.output_artifacts`, `Branch.artifacts`. A direct relation that only its far side
    declares ("artifacts.cell_types" on CellType) is known on the near side by its last word: `Artifact.cell_types`.
    """
    reverse: dict[str, dict[str, Relation]] = {registry.__name__: {} for registry in registries}
    for registry in registries:
        table = registry.__table__
        for field in table.fields.values():
            if isinstance(field, ForeignKey) and "{rows}" in field.related:
                rows = "feature_values" if table.rows == "typed_values" else table.rows
                name = field.related.format(rows=rows)
                found = Relation(name, field.target, table.name, "reverse", column=field.column)
                reverse[field.target][name] = found
        for relation in table.relations.values():
            if relation.kind == "link" and not relation.forward:
                name = relation.link.partition(".")[2]
                near = Relation(name, relation.target, table.name, "link", link=relation.link)
                reverse[relation.target].setdefault(name, near)
    return Catalog({registry.__name__: _completed(registry.__table__, reverse) for registry in registries})


def _completed(table: Table, reverse: Mapping[str, Mapping[str, Relation]]) -> Table:
    added = {name: found for name, found in reverse[table.name].items() if name not in table.relations}
    relations = MappingProxyType({**table.relations, **added})
    return replace(table, relations=relations)


__all__ = [
    "CORE",
    "Artifact",
    "Branch",
    "Feature",
    "FeatureValue",
    "Record",
    "Run",
    "Space",
    "Transform",
    "ULabel",
    "User",
    "catalog_of",
]
