"""Where names are looked up: a table under an alias, and the joins that its relations need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from duckfeat.compile.fragments import Parameters
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.fields import Relation
from duckfeat.model.tables import ENTITIES, Catalog, Table


class FeatureFinder(Protocol):
    """Finds registered features for the compiler."""

    def find(self, key: object) -> FeatureInfo | None:
        """Return the feature of a name, uid or Feature object; raise `FieldError` if two have the name."""

    def names(self) -> list[str]:
        """Return the names of all features, for hints."""


@dataclass(slots=True)
class Context:
    """What one statement is compiled with: the catalog, the features, its parameters, its aliases so far."""

    catalog: Catalog
    features: FeatureFinder
    params: Parameters = field(default_factory=Parameters)
    aliases: int = 0

    def alias(self, prefix: str = "t") -> str:
        """Return an alias that the statement does not use yet."""
        self.aliases += 1
        return f"{prefix}{self.aliases - 1}"


class Scope:
    """A table under an alias with the joins made from it; `reach` follows a relation and joins it once."""

    def __init__(self, context: Context, table: Table, alias: str | None = None) -> None:
        self.context = context
        self.table = table
        self.alias = alias or context.alias()
        self.joins: list[str] = []
        self._reached: dict[str, Scope] = {}

    def column(self, name: str) -> str:
        """Return the SQL of a column."""
        return f"{self.alias}.{name}"

    @property
    def source(self) -> str:
        """The FROM clause: the table and every join made so far."""
        return " ".join([f"{self.table.source} AS {self.alias}", *self.joins])

    def reach(self, relation: Relation) -> Scope:
        """Return the scope of the table a relation leads to, joined once however often it is asked for."""
        if relation.name not in self._reached:
            scope = Scope(self.context, self.context.catalog[relation.target])
            scope.joins = self.joins
            self.joins.append(self._join(relation, scope))
            self._reached[relation.name] = scope
        return self._reached[relation.name]

    def _join(self, relation: Relation, to: Scope) -> str:
        target = f"LEFT JOIN {to.table.source} AS {to.alias}"
        if relation.kind == "fk":
            return f"{target} ON {to.alias}.id = {self.alias}.{relation.column}"
        if relation.kind == "reverse":
            return f"{target} ON {to.alias}.{relation.column} = {self.alias}.id"
        pairs = self.context.alias("p")
        return (
            f"LEFT JOIN ({pairs_sql(self.context, relation)}) AS {pairs} ON {pairs}.a = {self.alias}.id "
            f"{target} ON {to.alias}.id = {pairs}.b"
        )


def pairs_sql(context: Context, relation: Relation) -> str:
    """Return the statement of a to-many relation: column `a` the ids here, `b` the ids there."""
    if relation.kind == "annotation":
        return _annotation_pairs(relation)
    if relation.kind == "reverse":
        rows = context.catalog[relation.target].rows
        return f"SELECT {relation.column} AS a, id AS b FROM {rows} WHERE {relation.column} IS NOT NULL"
    near, far = ("from_id", "to_id") if relation.forward else ("to_id", "from_id")
    link = context.params.add(relation.link)
    parts = [f"SELECT {near} AS a, {far} AS b FROM current_links WHERE relation = {link}"]
    if relation.source != relation.target:
        parts += _category_pairs(context, relation.source, relation.target, "entity_id", "value_id")
        parts += _category_pairs(context, relation.target, relation.source, "value_id", "entity_id")
    return " UNION ".join(parts)


def _annotation_pairs(relation: Relation) -> str:
    """Pairs of entity and feature value: through the annotations of the side that is the entity."""
    near, far = ("entity_id", "value_id") if relation.forward else ("value_id", "entity_id")
    word = ENTITIES[relation.source if relation.forward else relation.target]
    return (
        f"SELECT DISTINCT n.{near} AS a, n.{far} AS b FROM current_{word}_annotations AS n "
        "JOIN typed_values AS v ON v.id = n.value_id AND v.feature_id = n.feature_id"
    )


def _category_pairs(context: Context, entity: str, target: str, near: str, far: str) -> list[str]:
    """Pairs through categorical features: entities annotated with records of `target`."""
    if entity not in ENTITIES:
        return []
    dtype, typed = context.params.add(f"cat[{target}]"), context.params.add(f"cat[{target}[")
    select = (
        f"SELECT n.{near} AS a, n.{far} AS b FROM current_{ENTITIES[entity]}_annotations AS n "
        f"JOIN features AS f ON f.id = n.feature_id WHERE (f.dtype = {dtype} OR starts_with(f.dtype, {typed}))"
    )
    return [select]
