"""Records with others above and below them: everything above or below one, and a drawing of that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from duckfeat.compile.select import Query
from duckfeat.errors import FieldError, hint
from duckfeat.model.arguments import flag, whole
from duckfeat.model.fields import FieldRef, field_name
from duckfeat.model.q import RelatedTo
from duckfeat.model.tables import Table
from duckfeat.query.queryset import QuerySet
from duckfeat.registries.base import TracksUpdates

if TYPE_CHECKING:
    from duckfeat.registries.drawing import HierarchyView


class Hierarchical(TracksUpdates):
    """A record with others above and below it."""

    parents: Any
    children: Any

    def query_parents(self) -> QuerySet[Self]:
        """Return all records above this one, at any distance, as a QuerySet. A cycle is followed once.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> t_cell = dft.CellType.from_source(name="T cell").save()
        >>> t_cell.query_parents().filter(name__endswith="cyte").order_by("name").to_list("name")
        ['leukocyte', 'lymphocyte', 'mononuclear leukocyte']
        """
        return self._closure("parents")

    def query_children(self) -> QuerySet[Self]:
        """Return all records below this one, at any distance, as a QuerySet. A cycle is followed once."""
        return self._closure("children")

    def _closure(self, name: str) -> QuerySet[Self]:
        self._require_saved("query")
        session = self._bound
        table = session.catalog[self.__registry__]
        query = Query(table, branches=session.branches)
        return QuerySet(session, query.where(RelatedTo(table.relations[name], (self.id,), closure=True)))

    def view_parents(
        self, field: str | FieldRef | None = None, with_children: bool = False, distance: int | None = None
    ) -> HierarchyView:
        """Return a drawing of the records above this one, and with `with_children=True` also of those below.

        It prints as a tree of text; a notebook shows a picture if Graphviz is installed. `.dot` and `.svg()` return it
        for other uses. `field` is the text field that labels the records, by default the name; `distance` is how many
        steps to go at most.

        Raises `FieldError` if `field` is not a text field.
        """
        self._require_saved("draw")
        from duckfeat.registries.drawing import HierarchyView

        with_children = flag(with_children, "with_children")
        distance = None if distance is None else whole(distance, "distance")
        name = self.__table__.label if field is None else _text_field(self.__table__, field_name(field))
        found = self.query_parents() | self.query_children() if with_children else self.query_parents()
        labels = {self.id: self.__dict__[name], **dict(found.values_list("id", name)._fetch())}
        relation = self.__table__.relations["parents"].link
        edges = self._bound.engine.run("hierarchy.edges", None, relation=relation, ids=list(labels))
        if distance is not None:
            near = set(_within(self.id, edges, distance))
            labels = {id_: label for id_, label in labels.items() if id_ in near}
            edges = [edge for edge in edges if set(edge) <= near]
        return HierarchyView(self.id, {id_: str(label) for id_, label in labels.items()}, edges)


def _text_field(table: Table, name: str) -> str:
    """Return the name of a field that holds texts; raise `FieldError` for any other, and for a relation."""
    texts = [field.name for field in table.fields.values() if field.type == "str"]
    if name in texts:
        return name
    kind = "a relation" if name in table.relations else "not a text field" if table.has(name) else "not a field"
    raise FieldError(
        f"{table.name}.{name} is {kind}: records are labelled by a text field{hint(name, texts)}",
        registry=table.name,
        name=name,
        available=texts,
    )


def _within(start: int, edges: Sequence[tuple[int, ...]], distance: int) -> Iterator[int]:
    """Yield the records in reach of one when steps go either always up or always down."""
    yield start
    for near, far in ((0, 1), (1, 0)):
        reached, front = {start}, {start}
        for _ in range(distance):
            front = {edge[far] for edge in edges if edge[near] in front} - reached
            if not front:
                break
            reached |= front
            yield from front
