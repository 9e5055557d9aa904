"""Which columns a frame has: a registry's own, included related ones, features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from duckfeat.compile.columns import feature_output, field_output, own_outputs
from duckfeat.compile.computed import annotation, column_of
from duckfeat.compile.scope import Scope
from duckfeat.compile.select import Query, ids_sql
from duckfeat.errors import FieldError, InvalidArgument, hint
from duckfeat.model.arguments import several
from duckfeat.model.columns import Output
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.fields import FieldRef, field_name
from duckfeat.query.session import Session

Include = str | FieldRef | Sequence[str | FieldRef] | None
Features = bool | Literal["queryset"] | Sequence[Any]


def frame_columns(
    session: Session, query: Query, fields: Sequence[str], include: Include, features: Features
) -> Callable[[Scope], list[Output]]:
    """Return what makes the columns of a frame.

    Raises `FieldError` for an unknown field or feature, or features of a registry whose records carry none.
    """
    infos = _features(session, query, features)
    included = [field_name(path) for path in _listed(include)]
    names = frozenset(info.name for info in infos)

    def columns(scope: Scope) -> list[Output]:
        own = [column_of(scope, path) for path in fields] if fields else own_outputs(scope, names)
        own += [] if fields else [annotation(scope, name) for name in scope.annotations]
        related = [field_output(scope, path) for path in included]
        score = [Output("score", "ranking.score", "float")] if query.ranking else []
        return _unique([*own, *score, *related, *(feature_output(scope, info) for info in infos)])

    return columns


def _listed(include: Include) -> Sequence[str | FieldRef]:
    if include is None:
        return ()
    return (include,) if isinstance(include, str | FieldRef) else several(include, "fields to include")


def _unique(outputs: list[Output]) -> list[Output]:
    """Give columns of one name a number from the second on, as two features of one name would have."""
    seen: dict[str, int] = {}
    unique = []
    for output in outputs:
        seen[output.name] = seen.get(output.name, 0) + 1
        number = seen[output.name]
        name = output.name if number == 1 else f"{output.name}_{number}"
        unique.append(output if number == 1 else Output(name, output.sql, output.content, output.instants))
    return unique


def _features(session: Session, query: Query, features: Features) -> list[FeatureInfo]:
    if features is False or features is None:
        return []
    if query.table.entity is None:
        raise FieldError(f"{query.table.name} carries no features: only Artifact, Run and Record do")
    if features is True:
        return session.features.all()
    if features == "queryset":
        return _used(session, query)
    if isinstance(features, str) or getattr(type(features), "__registry__", "") == "Feature":
        features = [features]
    return [_known(session, feature) for feature in several(features, "features")]


def _known(session: Session, feature: Any) -> FeatureInfo:
    found = session.features.find(feature)
    if found is None:
        name = str(getattr(feature, "name", feature))
        raise FieldError(f"no feature {name!r}{hint(name, session.features.names())}", name=name)
    return found


def _used(session: Session, query: Query) -> list[FeatureInfo]:
    """Return the features that the rows of a question have values of."""
    context = session.context()
    if query.ranking is not None:
        raise InvalidArgument('features="queryset" does not go with a search; name the features')
    sql = (
        f"SELECT DISTINCT feature_id FROM current_{query.table.entity}_annotations "
        f"WHERE entity_id IN ({ids_sql(context, query)})"
    )
    used = {row[0] for row in session.engine.rows(context.params.statement(sql))}
    return [info for info in session.features.all() if info.id in used]
