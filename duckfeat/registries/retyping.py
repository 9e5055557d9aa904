"""Types that get another name: the dtypes of the features that take values of them follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from duckfeat.compile import writes
from duckfeat.model.dtypes import category
from duckfeat.query.session import Session
from duckfeat.registries.naming import outside_trash


def following(session: Session, registry: str, changes: Mapping[int, Mapping[str, Any]]) -> Callable[[], None]:
    """Return what makes dtypes follow the types whose names are about to change; columns by id are what is set."""
    named = [id_ for id_, new in changes.items() if "name" in new and new.get("is_type", True)]
    if not named:
        return lambda: None
    types = session.registries[registry].filter(id__in=named, is_type=True).values_list("id", "name")
    names = {old: changes[id_]["name"] for id_, old in types if changes[id_]["name"] != old}
    return lambda: _follow(session, registry, names)


def _follow(session: Session, registry: str, names: Mapping[str, str]) -> None:
    """Rename types in dtypes. A name that another type still has stays: it means that one as well."""
    if not names:
        return
    left = set(outside_trash(session, registry).filter(name__in=list(names), is_type=True).to_list("name"))
    dtypes = {category(registry, old): category(registry, new) for old, new in names.items() if old not in left}
    features = session.registries["Feature"].filter(branch=None, dtype__in=list(dtypes))
    by_dtype: dict[str, list[int]] = {}
    for id_, dtype in features.values_list("id", "dtype"):
        by_dtype.setdefault(dtypes[dtype], []).append(id_)
    table = session.catalog["Feature"]
    for dtype, ids in by_dtype.items():
        changed = {"dtype": dtype, "updated_at": datetime.now(UTC)}
        session.engine.write(writes.set_columns(table, list(changed)), {**changed, "ids": ids})
        session.writer.touched(table, ids)
