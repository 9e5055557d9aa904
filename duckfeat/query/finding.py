"""Finding by name: search and lookup over the rows of a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, cast

from duckfeat.compile.columns import field_output
from duckfeat.compile.select import Query, Ranking, select
from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.model.arguments import flag, several, shown, whole
from duckfeat.model.fields import FieldRef, field_name
from duckfeat.model.q import Q
from duckfeat.query.lookup import Keep, Lookup
from duckfeat.query.lookup_entries import GONE
from duckfeat.query.search_costs import EXACT
from duckfeat.query.search_indexes import Searchable
from duckfeat.query.session import Session

if TYPE_CHECKING:
    from duckfeat.query.queryset import QuerySet


_IDENTIFIER = re.compile(r"(?=.*\d)\S{3,}")


def search_query(
    session: Session, query: Query, string: str, *, field: Any, limit: int | None, case_sensitive: bool
) -> Query:
    """Return the question for the records nearest to a text, ranked, among the rows of a question."""
    if not isinstance(string, str):
        raise InvalidArgument(f"search takes a text, not {shown(string)}", value=string)
    if query.sliced:
        raise InvalidArgument("a slice cannot be searched: search first, then slice")
    if limit is not None:
        limit = whole(limit, "limit")
    index = session.search.index(query, _fields(query, field))
    within = ids_within(session, query)
    hits = index.search(string, limit=limit, case_sensitive=flag(case_sensitive, "case_sensitive"), within=within)
    exact = _by_identifier(session, query, string) if field is None else []
    if within is not None:
        exact = [id_ for id_ in exact if id_ in within]
    scores = dict.fromkeys(exact, EXACT) | {hit.id: hit.score for hit in hits if hit.id not in exact}
    ranking = Ranking(tuple(scores)[:limit], tuple(scores.values())[:limit])
    return replace(query, ranking=ranking, order=())


def ids_within(session: Session, query: Query) -> Any:
    """Return the ids of the rows of a question that is narrowed, as an array; None of one that is not."""
    if not (query.conditions or query.within or query.empty or query.ranking):
        return None
    statement, _ = select(session.context(), query, lambda scope: [field_output(scope, "id")])
    return session.engine.arrow(statement).column(0).to_numpy()


def _by_identifier(session: Session, query: Query, string: str) -> list[int]:
    """Return the records of which a text is an id elsewhere, as it is written or in capitals."""
    if not _IDENTIFIER.fullmatch(string) or not query.table.identifiers:
        return []
    ways = [Q(**{f"{name}__in": [string, string.upper()]}) for name in query.table.identifiers]
    asked = replace(query, ranking=None).where(reduce(or_, ways))
    statement, _ = select(session.context(), asked, lambda scope: [field_output(scope, "id")])
    return sorted(row[0] for row in session.engine.rows(statement))


def searchable(session: Session, query: Query, *fields: str) -> Searchable:
    """Return the index of a registry's text fields on the branches of a question, to be searched many times."""
    return cast("Searchable", session.search.index(query, fields))


def _fields(query: Query, field: Any) -> tuple[str, ...]:
    if field is None:
        return tuple(query.table.text_fields)
    listed = [field] if isinstance(field, str | FieldRef) else several(field, "fields")
    for name in map(field_name, listed):
        if query.table.field(name).type not in {"str", "value"}:
            known = ", ".join(query.table.text_fields)
            raise FieldError(f"{query.table.name}.{name} is not a text field; the text fields are {known}", name=name)
    return tuple(field_name(name) for name in listed)


class _Source:
    """The values of one field, and the records they belong to."""

    def __init__(self, queryset: QuerySet[Any], field: str, return_field: str | None) -> None:
        self._queryset = queryset.order_by("id")
        self._field = field
        self._return_field = return_field
        self._ids: Any = None

    def keys(self) -> list[str | None]:
        table = self._queryset.values_list("id", self._field).arrow()
        self._ids = table.column(0).to_numpy()
        values: list[Any] = table.column(1).to_pylist()
        return [value if value is None or isinstance(value, str) else str(value) for value in values]

    def load(self, positions: Sequence[int], /) -> list[object]:
        ids = tuple(self._ids[list(positions)].tolist())
        # Whole rows by id: no condition that would have to be bound and checked anew for every attribute.
        asked = replace(self._queryset._query, within=(*self._queryset._query.within, ("id", ids)))
        found = self._queryset._with(asked)
        if self._return_field is None:
            by_id = {record.id: record for record in found._fetch()}
        else:
            by_id = dict(found.values_list("id", self._return_field)._fetch())
        return [by_id.get(id_, GONE) for id_ in ids]


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
