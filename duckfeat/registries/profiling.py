"""What features hold, in numbers: a frame of one row per feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from duckfeat.compile.profiles import profile_sql
from duckfeat.errors import InvalidArgument, hint
from duckfeat.frame import frames
from duckfeat.model.arguments import named, several, shown
from duckfeat.model.feature_info import FeatureInfo, is_feature_key
from duckfeat.model.tables import ENTITIES
from duckfeat.query.session import Session

if TYPE_CHECKING:
    import polars as pl


def profile(session: Session, registry: Any, features: Any = None) -> pl.DataFrame:
    """Return a row per feature over the entities of a registry that a query sees.

    Raises `InvalidArgument` for a registry whose records carry no features, `FieldError` for an unknown feature.
    """
    name = registry if isinstance(registry, str) else getattr(registry, "__registry__", registry)
    if not isinstance(name, str) or name not in ENTITIES:
        raise InvalidArgument(
            f"no registry {shown(name)} with features{hint(named(name), ENTITIES)}", available=list(ENTITIES)
        )
    infos = session.features.all() if features is None else _known(session, features)
    query = session.registries[name].all()._query
    return frames.to_polars(session.engine.arrow(profile_sql(session.context(), query, infos)))


def _known(session: Session, features: Any) -> list[FeatureInfo]:
    """Return the features that are asked for, one or several, each once."""
    listed: Sequence[Any] = [features] if is_feature_key(features) else several(features, "features")
    return list(dict.fromkeys(session.features.get(feature) for feature in listed))
