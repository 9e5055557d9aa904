"""Import of terms: staged in batches, then matched, updated, saved and related by a few set-based statements."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckfeat.compile.terms import DROPPED, INCOMING, TermTable
from duckfeat.errors import InvalidArgument
from duckfeat.model.arguments import first_of
from duckfeat.model.statement import Statement
from duckfeat.ontology.reading import content_fields
from duckfeat.query.session import Session
from duckfeat.registries.annotations import new_change

if TYPE_CHECKING:
    import polars as pl

_PARAMETER = re.compile(r"\$([a-z_]+)")
_SHOWN = 5
_FOLLOWED = 100_000
"""Search follows up to this many changed records one by one; after more it reads the registry again."""

_log = logging.getLogger("duckfeat")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, in numbers.

    `terms` are the terms of the source, `new` those that were added and `updated` those that changed. `parents` are the
    relations to parents that were added, `parents_removed` those that ended. `parents_missing` are parents that the
    source names, and that are neither in the source nor saved.
    """

    terms: int
    new: int
    updated: int
    parents: int
    parents_removed: int
    parents_missing: int


class Import:
    """One import into a registry: `run` it inside a transaction."""

    def __init__(self, session: Session, registry: str, identifiers: Sequence[str], organism_id: int | None) -> None:
        table = session.catalog[registry]
        self._session = session
        self._engine = session.engine
        self._terms = TermTable(table, content_fields(table), identifiers)
        self._organism_id = organism_id

    def run(self, frames: Iterable[pl.DataFrame], source_id: int, *, update: bool) -> Imported:
        """Save the terms of frames with their hierarchy.

        With `update` the saved ones are brought to what the source says, and imported relations that it no longer
        has are ended; without it they stay as they are.
        """
        terms, given = self._terms, self._given(source_id)
        total = self._stage(frames)
        self._check_names(source_id)
        self._write(terms.match(), {})
        self._write(terms.match_named(), given)
        updated = self._write(terms.update(), given) if update else 0
        matched = self._count("SELECT count(*) FROM matched_terms")
        staged = self._count("SELECT count(*) FROM staged_terms")
        first = self._engine.next_ids(terms.table.rows, total) if staged > matched else 0
        if staged > matched:
            self._write(terms.insert(), {**given, "first": first})
        added, removed = self._relate(update=update)
        missing = self._tell_missing(source_id)
        self._follow(first, total if staged > matched else 0, followed=matched if update else 0)
        for table in DROPPED:
            self._engine.write(f"DROP TABLE IF EXISTS {table}")
        return Imported(staged, staged - matched, updated, added, removed, missing)

    def _given(self, source_id: int) -> dict[str, Any]:
        session = self._session
        return {
            "organism": self._organism_id,
            "source": source_id,
            "now": datetime.now(UTC),
            "user": session.user_id,
            "run": session.run_id,
            "branch": session.branch_id,
            "space": session.space_id,
        }

    def _write(self, sql: str, given: dict[str, Any]) -> int:
        return self._engine.write(sql, {name: given[name] for name in set(_PARAMETER.findall(sql))})

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._engine.rows(Statement(sql, {}))

    def _count(self, sql: str, given: dict[str, Any] | None = None) -> int:
        return int(self._engine.rows(Statement(sql, given or {}))[0][0])

    def _stage(self, frames: Iterable[pl.DataFrame]) -> int:
        self._engine.write(self._terms.create())
        total = 0
        for frame in frames:
            batch = frame.with_row_index("position", offset=total).to_arrow()
            with self._engine.registered(INCOMING, batch):
                self._write(self._terms.stage(), {"organism": self._organism_id})
            total += len(frame)
        if self._engine.write(self._terms.find_repeated()):
            self._engine.write(self._terms.fold_repeated())
            self._engine.write(self._terms.drop_repeated())
        return total

    def _check_names(self, source_id: int) -> None:
        """Raise `InvalidArgument` where staged terms have an id and no name, but need one."""
        label = self._terms.table.label
        found = [] if self._terms.table.field(label).null else self._rows(self._terms.nameless())
        if not found:
            return
        path, staged = self._place(source_id), self._count("SELECT count(*) FROM staged_terms")
        keys = [key for (key,) in found[:_SHOWN]]
        raise InvalidArgument(
            f"{Path(path).name}: {len(found):,} of {staged:,} terms have no {label}: "
            f"{first_of(map(repr, keys), len(found))}",
            path=path,
            field=label,
            terms=keys,
        )

    def _place(self, source_id: int) -> str:
        """Return where the source is."""
        found = self._session.registries["Source"].filter(id=source_id).first()
        return "the source" if found is None else str(found.url)

    def _relate(self, *, update: bool) -> tuple[int, int]:
        """Save the hierarchy and return how many relations were added and ended."""
        relation = self._terms.table.relations.get("parents")
        if relation is None:
            return 0, 0
        self._engine.write(self._terms.know())
        edges = self._engine.write(self._terms.stage_edges())
        given: dict[str, Any] = {"relation": relation.link}
        added = self._count(self._terms.new_edges(), given)
        removed = self._count(self._terms.gone_edges(), given) if update and edges else 0
        if added or removed:
            given["change"] = new_change(self._session, "import")
        if removed:
            self._write(self._terms.remove_edges(), given)
        if added:
            self._write(self._terms.insert_edges(), given)
        return added, removed

    def _tell_missing(self, source_id: int) -> int:
        """Log which parents are no terms, and return how many."""
        if "parents" not in self._terms.table.relations:
            return 0
        found = self._rows(self._terms.missing_parents())
        if not found:
            return 0
        count = len(found)
        some = first_of((f"{parent!r} of {term!r}" for parent, term in found[:_SHOWN]), count)
        _log.warning(
            "%s: %d parents are neither in %s nor saved, and are left out: %s",
            self._terms.table.name,
            count,
            Path(self._place(source_id)).name,
            some,
        )
        return count

    def _follow(self, first: int, new: int, *, followed: int) -> None:
        """Have search read what was written."""
        session = self._session
        if new + followed > _FOLLOWED:
            session.search.clear()
            self._engine.on_rollback(session.search.clear)
            return
        ids = list(range(first, first + new))
        if followed:
            ids += [row[0] for row in self._engine.rows(Statement("SELECT id FROM matched_terms", {}))]
        session.writer.touched(self._terms.table, ids)
