"""Forgetting what is over, when it is told to: ended annotations and relations, values that nothing points at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from duckfeat.model.arguments import age
from duckfeat.model.tables import ENTITIES
from duckfeat.query.session import Session


@dataclass(frozen=True, slots=True)
class Compaction:
    """What `Store.compact` did: bytes before and after, and the rows that were dropped, by table.

    The bytes are those of a store's file, once its log is written into it, or of the files that the newest version
    of a lake needs; 0 in memory.

    >>> Compaction(61_079_552, 25_427_968, {"record_annotations": 1_000_000})
    <compact: 25.4 MB, was 61.1 MB; dropped 1,000,000 record_annotations>
    """

    bytes_before: int
    bytes_after: int
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        sizes = f"{self.bytes_after / 1e6:,.1f} MB, was {self.bytes_before / 1e6:,.1f} MB"
        rows = ", ".join(f"{count:,} {table}" for table, count in self.dropped.items())
        return f"<compact: {sizes}{f'; dropped {rows}' if rows else ''}>"


def dropping(session: Session, *, history: timedelta | None, values: timedelta | None) -> Callable[[], dict[str, int]]:
    """Return what drops, in one transaction, what is older, and returns the number of rows by table; None: all stay.

    Raises `InvalidArgument` for an age that is none.
    """
    age(history, "expire_history")
    age(values, "expire_values")

    def drop() -> dict[str, int]:
        if history is None and values is None:
            return {}
        with session.engine.transaction():
            ended = {} if history is None else _drop_history(session, _moment(history))
            unused = {} if values is None else _drop_values(session, _moment(values))
        return {table: rows for table, rows in (ended | unused).items() if rows}

    return drop


def _moment(span: timedelta) -> datetime | None:
    """Return the moment that was so long ago; None for no time at all, whatever the clock of who wrote says."""
    try:
        return datetime.now(UTC) - span if span else None
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _drop_history(session: Session, moment: datetime | None) -> dict[str, int]:
    run = session.engine.run
    last = run("expiring.last_change", None, moment=moment)[0][0]
    dropped = {}
    for entity in ENTITIES.values():
        for rows in ("annotations", "removals"):
            dropped[f"{entity}_{rows}"] = run(f"expiring.drop_{rows}", entity, last=last)[0][0]
    for rows in ("links", "link_removals"):
        dropped[rows] = run(f"expiring.drop_{rows}", None, last=last)[0][0]
    dropped["changes"] = _drop(session, "changes", last=last)
    return dropped


def _drop_values(session: Session, moment: datetime | None) -> dict[str, int]:
    def forget() -> None:
        session.search.clear()
        session.writer.values.forget()

    dropped = _drop(session, "typed_values", moment=moment)
    forget()
    session.engine.on_end(forget)
    return {"typed_values": dropped}


def _drop(session: Session, table: str, **given: Any) -> int:
    """Drop rows that have ids, of which none is given out again."""
    run, last = session.engine.run, session.engine.next_ids(table, 0) - 1
    dropped = int(run(f"expiring.drop_{table}", None, **given)[0][0])
    if dropped:
        run("expiring.keep_id_floor", None, table=table, last=last)
    return dropped
