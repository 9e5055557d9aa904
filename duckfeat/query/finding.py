"""Finding by name: search and lookup over the rows of a question."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from duckfeat.compile.columns import field_output
from duckfeat.compile.select import Query, Ranking, select
from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.model.arguments import several, whole
from duckfeat.model.fields import FieldRef, field_name
from duckfeat.model.order import Order
from duckfeat.query.lookup import Keep, Lookup
from duckfeat.query.search_index import SearchIndex
from duckfeat.query.session import Session

if TYPE_CHECKING:
    from duckfeat.query.queryset import QuerySet


class SearchIndexes:
    """The search indexes of a store: one per registry, fields and branches, following every write."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._indexes: dict[tuple[Any, ...], SearchIndex] = {}
        self._stale: dict[tuple[Any, ...], set[int]] = {}
        self._lock = threading.RLock()
        self._outside = session.engine.outside

    def touched(self, registry: str, ids: Sequence[int]) -> None:
        """Have the rows of these ids read again before the next search."""
        with self._lock:
            for key, stale in self._stale.items():
                if key[0] == registry:
                    stale.update(ids)

    def clear(self) -> None:
        """Forget every index, as after a rollback of much."""
        with self._lock:
            self._indexes.clear()
            self._stale.clear()

    def index(self, query: Query, fields: tuple[str, ...]) -> SearchIndex:
        """Return the index of a registry's fields on the branches of a question, up to date."""
        key = (query.table.name, fields, query.branches)
        outside = self._session.engine.refresh()
        with self._lock:
            if outside != self._outside:
                self._outside = outside
                self.clear()
            if key not in self._indexes:
                self._indexes[key] = SearchIndex.build(*self._texts(query, fields), split=_split(fields))
                self._stale[key] = set()
            stale = sorted(self._stale[key])
            if stale:
                self._stale[key] = set()
                self._indexes[key].remove(stale)
                narrowed = replace(query, within=(("id", tuple(stale)),))
                self._indexes[key].add(*self._texts(narrowed, fields))
            return self._indexes[key]

    def _texts(self, query: Query, fields: tuple[str, ...]) -> tuple[list[int], list[list[str | None]]]:
        base = replace(query, conditions=(), order=(Order("id"),), limit=None, offset=0, ranking=None, empty=False)
        statement, _ = select(
            self._session.context(),
            base,
            lambda scope: [field_output(scope, name) for name in ("id", *fields)],
        )
        rows = self._session.engine.rows(statement)
        return [row[0] for row in rows], [[row[at] for row in rows] for at in range(1, len(fields) + 1)]


def _split(fields: Sequence[str]) -> list[int]:
    return [position for position, name in enumerate(fields) if name == "synonyms"]


def search_query(
    session: Session, query: Query, string: str, *, field: Any, limit: int | None, case_sensitive: bool
) -> Query:
    """Return the question for the records nearest to a text, ranked, among the rows of a question."""
    if not isinstance(string, str):
        raise InvalidArgument(f"search takes a text, not {string!r}", value=string)
    if query.sliced:
        raise InvalidArgument("a slice cannot be searched: search first, then slice")
    if limit is not None:
        limit = whole(limit, "limit")
    index = session.search.index(query, _fields(query, field))
    within = None
    if query.conditions or query.within or query.empty:
        statement, _ = select(session.context(), query, lambda scope: [field_output(scope, "id")])
        within = [row[0] for row in session.engine.rows(statement)]
    hits = index.search(string, limit=limit, case_sensitive=case_sensitive, within=within)
    ranking = Ranking(tuple(hit.id for hit in hits), tuple(hit.score for hit in hits))
    return replace(query, ranking=ranking, order=())


def _fields(query: Query, field: Any) -> tuple[str, ...]:
    if field is None:
        return tuple(query.table.text_fields)
    listed = [field] if isinstance(field, str | FieldRef) else several(field, "fields")
    for name in map(field_name, listed):
        if query.table.field(name).type not in {"str", "value"}:
            raise FieldError(f"{query.table.name}.{name} is no text field", name=name)
    return tuple(field_name(name) for name in listed)


class _Source:
    """The values of one field, and the records they belong to."""

    def __init__(self, queryset: QuerySet[Any], field: str, return_field: str | None) -> None:
        self._queryset = queryset.order_by("id")
        self._field = field
        self._return_field = return_field
        self._ids: list[int] = []

    def keys(self) -> list[str | None]:
        rows = self._queryset.values_list("id", self._field)._fetch()
        self._ids = [row[0] for row in rows]
        return [row[1] if row[1] is None else str(row[1]) for row in rows]

    def load(self, positions: Sequence[int], /) -> list[object]:
        ids = [self._ids[position] for position in positions]
        found = self._queryset.filter(id__in=ids)
        if self._return_field is None:
            by_id = {record.id: record for record in found._fetch()}
        else:
            by_id = dict(found.values_list("id", self._return_field)._fetch())
        return [by_id[id_] for id_ in ids]


def find_lookup(
    queryset: QuerySet[Any],
    query: Query,
    field: str | FieldRef | None,
    return_field: str | FieldRef | None,
    keep: Keep,
) -> Lookup:
    """Return the lookup object of a field over the rows of a question."""
    name = field_name(field) if field is not None else query.table.label
    query.table.field(name)
    returned = field_name(return_field) if return_field is not None else None
    if returned is not None:
        query.table.field(returned)
    return Lookup(_Source(queryset, name, returned), label=f"{query.table.name}.{name}", keep=keep)
