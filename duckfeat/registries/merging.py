"""Merging a branch: its records move to main, all of them or none."""

from __future__ import annotations

from typing import Any

from duckfeat.compile.writes import move_trashed, on_branch
from duckfeat.errors import IntegrityError
from duckfeat.model.statement import Statement
from duckfeat.model.tables import MAIN, OWN_PLACES
from duckfeat.query.session import Session

_FIXED = OWN_PLACES["Branch"]


def merge(session: Session, branch: Any) -> dict[str, int]:
    """Move every record of a branch to main in one transaction and return how many there were, by registry.

    What was moved from the branch to the trash will be restored to main, too. The branch stays, empty.

    Raises `IntegrityError` for main, archive and trash, and for a name that another record has.
    """
    if branch.id in _FIXED:
        message = f"{_FIXED[branch.id]} is part of every store and merges into nothing"
        raise IntegrityError(message, registry="Branch", name=_FIXED[branch.id])
    engine = session.engine
    moved: dict[str, int] = {}
    with engine.transaction():
        for table in session.catalog.values():
            if "branch" not in table.fields:
                continue
            rows = engine.rows(Statement(on_branch(table), {"branch": branch.id}))
            ids = [id_ for (id_,) in rows]
            if ids:
                moved[table.name] = session.writer.update(table.name, ids, {"branch": MAIN})
        engine.write(move_trashed(), {"branch": branch.id})
    return moved
