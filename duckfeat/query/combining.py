"""Questions made of two questions to one registry, and questions with computed columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from duckfeat.compile.select import Query
from duckfeat.errors import InvalidArgument
from duckfeat.model.aggregates import Aggregate
from duckfeat.model.q import Among, Condition, Q
from duckfeat.query.session import Session


def both(left: Query, right: Query) -> Query:
    """Return the question for the records that both questions give."""
    if _plain(left) and _plain(right) and left.branches == right.branches:
        return replace(left, conditions=(*left.conditions, *right.conditions), empty=left.empty or right.empty)
    return _narrowed(left, Among(right))


def either(left: Query, right: Query) -> Query:
    """Return the question for the records that one of two questions gives.

    What several `filter()` calls asked stays apart: each may be about another related row.
    """
    if left.branches == right.branches and all(_plain(query) and _one_call(query) for query in (left, right)):
        one, other = Q(*left.conditions), Q(*right.conditions)
        return replace(left, conditions=(one | other,) if one.children and other.children else ())
    wide = replace(_unsliced(left), conditions=(), branches=None, empty=False, ranking=None, within=())
    return replace(wide, conditions=(Among(left) | Among(right),))


def without(left: Query, right: Query) -> Query:
    """Return the question for the records that the first question gives and the second does not."""
    return _narrowed(left, ~Among(right))


def _narrowed(query: Query, condition: Condition) -> Query:
    if query.sliced or query.ranking is not None:
        return replace(_unsliced(query), conditions=(Among(query), condition), ranking=None, within=())
    return replace(query, conditions=(*query.conditions, condition))


def _unsliced(query: Query) -> Query:
    return replace(query, limit=None, offset=0)


def _plain(query: Query) -> bool:
    return not (query.sliced or query.ranking or query.within or query.annotations or query.distinct)


def _one_call(query: Query) -> bool:
    return len(query.conditions) < 2 and not query.empty


def with_annotations(session: Session, query: Query, aggregates: Mapping[str, Aggregate]) -> Query:
    """Return a question with more computed columns.

    Raises `InvalidArgument` for one whose name is taken, or that is no aggregate.
    """
    taken = {name for name, _ in query.annotations}
    for name, aggregate in aggregates.items():
        if not isinstance(aggregate, Aggregate):
            raise InvalidArgument(f'an aggregate is one such as count("ulabels"), not {aggregate!r}', value=aggregate)
        if name in taken or query.table.has(name) or "__" in name or name.startswith("_"):
            raise InvalidArgument(f"{query.table.name}: an annotation cannot be called {name!r}", name=name)
        if query.table.entity and name in session.features.names():
            raise InvalidArgument(f"a feature is called {name!r}: name the annotation otherwise", name=name)
    if query.sliced:
        raise InvalidArgument("a slice cannot be annotated: annotate first, then slice")
    return replace(query, annotations=(*query.annotations, *aggregates.items()))
