"""Rows of an answer as Python values: whole at once, or in batches that leave the rest where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from duckfeat.errors import ValidationError
from duckfeat.model.canonical import loads
from duckfeat.model.dtypes import decode_items
from duckfeat.model.kinds import KINDS, MINUS_ZERO
from duckfeat.model.statement import Statement
from duckfeat.query.session import Session

Rows = list[tuple[Any, ...]]


def streamed(session: Session, statement: Statement, batch_size: int) -> Iterator[Rows]:
    """Yield the rows of a statement in batches. All of them are as the store was when the statement began.

    Inside a transaction, whose own writes its rows show, the answer is held in memory, in columns. The last batch is
    yielded when nothing of the answer is open any more.
    """
    engine = session.engine
    if engine.in_transaction:
        batches: Any = engine.arrow(statement).to_batches(max_chunksize=batch_size)
    else:
        batches = engine.batches(statement, batch_size)
    held: Any = None
    for batch in batches:
        if held is not None:
            yield _rows(held)
        held = batch
    if held is not None:
        yield _rows(held)


def _rows(batch: Any) -> Rows:
    return list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def python_rows(rows: Rows, contents: Sequence[str]) -> Rows:
    """Return rows with instants that have their zone, and feature values of their own type."""
    readers = [(at, _READERS[content]) for at, content in enumerate(contents) if content in _READERS]
    if not readers:
        return rows
    listed = [list(row) for row in rows]
    for row in listed:
        for at, read in readers:
            row[at] = None if row[at] is None else read(row[at])
    return [tuple(row) for row in listed]


def in_utc(value: Any) -> Any:
    """Return a value of a frame with the zone that instants have in Python values, which is `datetime.UTC`."""
    if isinstance(value, list):
        return [in_utc(item) for item in value]
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def _read_instant(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _read_value(parts: Mapping[str, Any]) -> Any:
    """Return a typed value; the items of a list take the type back that its feature gives them."""
    kind = parts["kind"]
    if kind is None:
        return None
    return -0.0 if parts[MINUS_ZERO] else decode_items(parts["items"], kind, parts[KINDS[kind].column])


def _read_number(parts: Mapping[str, Any]) -> int | float:
    """Return a number of either kind."""
    number: int | float = parts["float_value"] if parts["int_value"] is None else parts["int_value"]
    return -0.0 if parts[MINUS_ZERO] else number


def _listed(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what reads lists, and lists of them, of what `read` reads; missing items stay missing."""

    def read_items(items: list[Any]) -> list[Any]:
        return [item if item is None else read_items(item) if isinstance(item, list) else read(item) for item in items]

    return read_items


def _read_moments(parts: Mapping[str, Any]) -> Any:
    """Return what a feature of either sort of datetime holds: one moment, or a list of them, instants first."""
    naive, instant = parts["naive"], parts["instant"]
    if isinstance(naive, list) or isinstance(instant, list):
        zoned = [None if moment is None else moment.replace(tzinfo=UTC) for moment in instant or []]
        return zoned + (naive or []) if zoned != (naive or []) else zoned
    if naive is not None and instant is not None:
        raise ValidationError(
            "datetimes with and without time zone cannot be compared, so there is no least or greatest of both: "
            "register dtype 'datetime[UTC]' for instants"
        )
    return naive if instant is None else instant.replace(tzinfo=UTC)


def _read_moment_items(text: str) -> list[datetime | None]:
    """Return a list of datetimes, each of its own sort."""
    items: list[datetime | None] = decode_items("datetime", "list", text)
    return items


_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "instant": _read_instant,
        "instants": _listed(_read_instant),
        "value": _read_value,
        "values": _listed(lambda placed: _read_value(placed["value"])),
        "number": _read_number,
        "numbers": _listed(_read_number),
        "moments": _read_moments,
        "moment_items": _read_moment_items,
        "moment_lists": _listed(_read_moment_items),
        "json": loads,
        "json_list": _listed(loads),
    }
)
