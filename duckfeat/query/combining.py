"""Questions made of several questions to one registry, and questions with computed columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from inspect import getattr_static
from operator import or_

from duckfeat.compile.select import Query
from duckfeat.errors import InvalidArgument
from duckfeat.model.aggregates import Aggregate
from duckfeat.model.arguments import is_text, shown
from duckfeat.model.q import Among, Condition, Q
from duckfeat.query.session import Session


def both(query: Query, others: Iterable[Query]) -> Query:
    """Return the question for the records that a question and all of some others give."""
    made = query
    for other in others:
        if _plain(made) and _plain(other) and made.branches == other.branches:
            conditions = (*made.conditions, *other.conditions)
            made = replace(made, conditions=conditions, empty=made.empty or other.empty)
        else:
            made = _narrowed(made, Among(other))
    return made


def either(query: Query, others: Iterable[Query]) -> Query:
    """Return the question for the records that one of several questions gives.

    What several `filter()` calls asked stays apart: each may be about another related row.
    """
    asked = [query, *others]
    if len({one.branches for one in asked}) == 1 and all(_plain(one) and _one_call(one) for one in asked):
        conditions = [_condition(one) for one in asked if one.conditions]
        return replace(query, conditions=(reduce(or_, conditions),) if len(conditions) == len(asked) else ())
    wide = replace(_unsliced(query), conditions=(), branches=None, empty=False, ranking=None, within=())
    parts: list[Condition] = [Among(part) for one in asked for part in _united(one)]
    return replace(wide, conditions=(reduce(or_, parts),))


def without(query: Query, others: Iterable[Query]) -> Query:
    """Return the question for the records that a question gives and none of some others does."""
    parts: list[Condition] = [Among(part) for other in others for part in _united(other)]
    return _narrowed(query, ~reduce(or_, parts)) if parts else query


def _united(query: Query) -> tuple[Query, ...]:
    """Return the questions that a union was made of, so that unions of unions stay flat; of no union, itself."""
    asked = query.conditions[0] if len(query.conditions) == 1 else None
    if isinstance(asked, Q) and asked.connector == "OR" and not asked.negated:
        parts = [part.query for part in asked.children if isinstance(part, Among)]
        if len(parts) == len(asked.children) and _plain(query) and query.branches is None and not query.empty:
            return tuple(parts)
    return (query,)


def _condition(query: Query) -> Condition:
    return query.conditions[0] if len(query.conditions) == 1 else Q(*query.conditions)


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
            raise InvalidArgument(
                f'an aggregate is one such as count("ulabels"), not {shown(aggregate)}', value=aggregate
            )
        if name in taken or query.table.has(name) or "__" in name or name.startswith("_") or not is_text(name):
            raise InvalidArgument(f"{query.table.name}: an annotation cannot be called {name!r}", name=name)
        if query.table.entity and name in session.features.names():
            raise InvalidArgument(f"a feature is called {name!r}: name the annotation otherwise", name=name)
        own = getattr_static(session.registries[query.table.name], name, None)
        if own is not None and not isinstance(own, classmethod):  # those are asked of the registry
            told = f"{query.table.name} records have an attribute {name!r}: name the annotation otherwise"
            raise InvalidArgument(told, name=name)
    if query.sliced:
        raise InvalidArgument("a slice cannot be annotated: annotate first, then slice")
    return replace(query, annotations=(*query.annotations, *aggregates.items()))
