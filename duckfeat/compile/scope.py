"""Where names are looked up: a table under an alias, and the joins that its relations need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from duckfeat.compile.expressions import Origin
from duckfeat.compile.feature_joins import FeatureColumn, among, feature_joins
from duckfeat.compile.fragments import Parameters
from duckfeat.errors import FieldError, InvalidArgument, hint
from duckfeat.model.aggregates import Aggregate
from duckfeat.model.columns import Output
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.fields import Relation
from duckfeat.model.tables import ENTITIES, Catalog, Table

DEPTH_LIMIT = 30
"""How deep questions about the rows of other questions may be nested: each is planned inside the one around it."""

REMOVAL_COLUMNS = "n.feature_id, n.entity_id, n.value_id, n.change_id"
"""The columns of annotations that tell whether they were removed."""

_REMOVED = (
    "r.feature_id = n.feature_id AND r.entity_id = n.entity_id AND r.value_id = n.value_id "
    "AND n.change_id < r.change_id"
)
_UNLINKED = "r.from_id = l.from_id AND r.to_id = l.to_id AND l.change_id < r.change_id"


class FeatureFinder(Protocol):
    """Finds registered features for the compiler."""

    def find(self, key: object) -> FeatureInfo | None:
        """Return the feature of a name, uid or Feature object; raise `FieldError` if two have the name."""

    def names(self) -> list[str]:
        """Return the names of all features, for hints."""

    def all(self) -> list[FeatureInfo]:
        """Return every feature."""


@dataclass(slots=True)
class Context:
    """What one statement is compiled with: the catalog, the features, its parameters, its aliases so far.

    `check_mine` refuses a record of another store, whose id means something else in this one.
    `joins_narrow` tells that joins with few ids read only the blocks that have them: it changes which SQL is chosen,
    the one that is then fastest, never what the SQL gives. `questions` are those that conditions ask of, `depth` is how
    many contain the one being compiled.
    """

    catalog: Catalog
    features: FeatureFinder
    check_mine: Callable[[Any], None]
    params: Parameters = field(default_factory=Parameters)
    aliases: int = 0
    joins_narrow: bool = False
    questions: list[str] = field(default_factory=list)
    depth: int = 0

    @contextmanager
    def deeper(self) -> Iterator[Context]:
        """Compile a question inside another; raise `InvalidArgument` where they are nested too deep for a stack."""
        if self.depth == DEPTH_LIMIT:
            raise InvalidArgument(f"querysets are nested more than {DEPTH_LIMIT} deep", depth=DEPTH_LIMIT)
        self.depth += 1
        yield self
        self.depth -= 1

    def alias(self, prefix: str = "t") -> str:
        """Return an alias that the statement does not use yet."""
        self.aliases += 1
        return f"{prefix}{self.aliases - 1}"


class Scope:
    """A table under an alias with the joins made from it; `reach` follows a relation and joins it once.

    `outer` tells that the table is joined to another, so that its columns may all be missing. `annotations` are
    computed columns that are asked for like fields; each is joined when it is first asked for.
    """

    def __init__(
        self,
        context: Context,
        table: Table,
        alias: str | None = None,
        *,
        outer: bool = False,
        annotations: Mapping[str, Aggregate] = MappingProxyType({}),
    ) -> None:
        self.context = context
        self.table = table
        self.alias = alias or context.alias()
        self.outer = outer
        self.annotations = annotations
        self.annotated: dict[str, Output] = {}
        self.joins: list[str] = []
        self.features: dict[int, FeatureColumn] = {}
        """The columns of features by the features' ids, joined when the FROM clause is written: how depends on all."""
        self.related: dict[tuple[Any, ...], tuple[Origin, Scope]] = {}
        """Rows that belong to this table's ids, and the scope of what is found there, so that each is made once."""
        self._reached: dict[str, Scope] = {}

    def unknown(self, name: str) -> FieldError:
        """Return the error for a name that is no field, relation, annotation or feature here, with those that are."""
        table = self.table
        features = self.context.features.names() if table.entity else []
        available = [*table.fields, *table.relations, *self.annotations, *features]
        what = "field or feature" if table.entity else "field"
        return FieldError(
            f"{table.name} has no {what} {name!r}{hint(name, available)}",
            registry=table.name,
            name=name,
            available=sorted(available),
        )

    def again(self) -> Scope:
        """Return the same table under another alias, without joins."""
        return Scope(self.context, self.table, annotations=self.annotations)

    def column(self, name: str) -> str:
        """Return the SQL of a column."""
        return f"{self.alias}.{name}"

    @property
    def score(self) -> str:
        """The SQL of the score of a row that a search found."""
        return "ranking.score"

    def notes(self, numbers: Sequence[str], joins: Sequence[str]) -> str:
        """Return where the current annotations `n` with features (their ids parameters) are, with joins to them."""
        word = self.table.entity or ""
        return f"{annotations_ever(word, joins)} {unless_removed(word, numbers)}"

    @property
    def ids(self) -> str:
        """The subquery of the ids of the rows that are asked for, where looking at only these is worth it."""
        return ""

    @property
    def source(self) -> str:
        """The FROM clause: the table, every join made so far, and those of the features asked for so far."""
        features = feature_joins(list(self.features.values()), self.notes, self.column("id")) if self.features else []
        return " ".join([self.base, *self.joins, *features])

    @property
    def base(self) -> str:
        """The table under its alias, as it begins a FROM clause."""
        return f"{self.table.source} AS {self.alias}"

    def reach(self, relation: Relation) -> Scope:
        """Return the scope of the table a relation leads to, joined once however often it is asked for."""
        if relation.name not in self._reached:
            scope = Scope(self.context, self.context.catalog[relation.target], outer=True)
            scope.joins = self.joins
            self.joins.append(self._join(relation, scope))
            self._reached[relation.name] = scope
        return self._reached[relation.name]

    def _join(self, relation: Relation, to: Scope) -> str:
        target = f"LEFT JOIN {to.table.source} AS {to.alias}"
        if relation.kind == "fk":
            return f"{target} ON {to.alias}.id = {self.column(relation.column)}"
        if relation.kind == "reverse":
            return f"{target} ON {to.alias}.{relation.column} = {self.column('id')}"
        pairs = self.context.alias("p")
        return (
            f"LEFT JOIN ({pairs_sql(self.context, relation)}) AS {pairs} ON {pairs}.a = {self.column('id')} "
            f"{target} ON {to.alias}.id = {pairs}.b"
        )


def related_scope(context: Context, relation: Relation) -> tuple[Scope, str, str]:
    """Return the scope of the records that a to-many relation leads to from anywhere.

    With it the SQL of the id that they are related to, and the FROM clause up to where the scope's joins begin.
    """
    inner = Scope(context, context.catalog[relation.target])
    if relation.kind == "reverse":
        return inner, inner.column(relation.column), f"{inner.table.source} AS {inner.alias}"
    pairs = context.alias("p")
    source = (
        f"({pairs_sql(context, relation)}) AS {pairs} JOIN {inner.table.source} AS {inner.alias} "
        f"ON {inner.alias}.id = {pairs}.b"
    )
    return inner, f"{pairs}.a", source


def annotations_ever(word: str, joins: Iterable[str]) -> str:
    """Return where an entity's annotations `n` are, current ones and removed ones, and what is joined to them."""
    return " ".join([f"{word}_annotations AS n", *joins])


def unless_removed(word: str, numbers: Sequence[str]) -> str:
    """Return the join that leaves of annotations `n` with some features those that hold now.

    These are what the view `current_..._annotations` states. The join comes last: only what everything else has left
    is looked up, and only among the removals of the same features.
    """
    removals = f"(SELECT * FROM {word}_removals WHERE feature_id {among(numbers)})"
    return f"ANTI JOIN {removals} AS r ON {_REMOVED}"


def pairs_sql(context: Context, relation: Relation, *, distinct: bool = False) -> str:
    """Return the statement of a to-many relation: column `a` the ids here, `b` the ids there.

    A pair may come more than once unless `distinct`.
    """
    if relation.kind == "annotation":
        return _annotation_pairs(relation, distinct=distinct)
    if relation.kind == "reverse":
        rows = context.catalog[relation.target].rows
        return f"SELECT {relation.column} AS a, id AS b FROM {rows} WHERE {relation.column} IS NOT NULL"
    near, far = ("from_id", "to_id") if relation.forward else ("to_id", "from_id")
    link = context.params.once(relation.link)
    removals = f"(SELECT * FROM link_removals WHERE relation = {link})"
    held = f"ANTI JOIN {removals} AS r ON {_UNLINKED} WHERE l.relation = {link}"
    parts = [f"SELECT l.{near} AS a, l.{far} AS b FROM links AS l {held}"]
    if relation.source != relation.target:
        parts += _category_pairs(context, relation.source, relation.target, "entity_id", "value_id")
        parts += _category_pairs(context, relation.target, relation.source, "value_id", "entity_id")
    return (" UNION " if distinct else " UNION ALL ").join(parts)


def _annotation_pairs(relation: Relation, *, distinct: bool) -> str:
    """Pairs of entity and feature value: through the annotations of the side that is the entity."""
    near, far = ("entity_id", "value_id") if relation.forward else ("value_id", "entity_id")
    word = ENTITIES[relation.source if relation.forward else relation.target]
    return (
        f"SELECT {'DISTINCT ' if distinct else ''}n.{near} AS a, n.{far} AS b FROM current_{word}_annotations AS n "
        "JOIN typed_values AS v ON v.id = n.value_id AND v.feature_id = n.feature_id"
    )


def _category_pairs(context: Context, entity: str, target: str, near: str, far: str) -> list[str]:
    """Pairs through categorical features: entities annotated with records of `target`."""
    ids = [info.id for info in context.features.all() if info.dtype.is_cat and info.dtype.registry == target]
    if entity not in ENTITIES or not ids:
        return []
    of_features = context.params.member("n.feature_id", ids, "BIGINT")
    return [f"SELECT n.{near} AS a, n.{far} AS b FROM current_{ENTITIES[entity]}_annotations AS n WHERE {of_features}"]
