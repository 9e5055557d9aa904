"""Rows of an answer as Python values: whole at once, or in batches that leave the rest where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC
from types import MappingProxyType
from typing import Any

from duckfeat.model.canonical import loads
from duckfeat.model.dtypes import decode, decode_as
from duckfeat.model.kinds import KINDS
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


def python_rows(session: Session, rows: Rows, contents: Sequence[str]) -> Rows:
    """Return rows with instants that have their zone, and feature values of their own type."""
    readers = [(at, _READERS[content]) for at, content in enumerate(contents) if content in _READERS]
    if not readers:
        return rows
    listed = [list(row) for row in rows]
    for row in listed:
        for at, read in readers:
            row[at] = None if row[at] is None else read(session, row[at])
    return [tuple(row) for row in listed]


def _read_value(session: Session, parts: Mapping[str, Any]) -> Any:
    """Return a feature value; the items of a list take the type back that its feature gives them."""
    kind = parts["kind"]
    if kind is None:
        return None
    physical = parts[KINDS[kind].column]
    info = session.features.known(parts["feature_id"]) if kind == "list" else None
    return decode_as(info.dtype, kind, physical) if info else decode(kind, physical)


def _read_moments(_session: Session, parts: Mapping[str, Any]) -> Any:
    """Return what a feature of either sort of datetime holds: one moment, or a list of them, instants first.

    Several values that are lists of moments are read one by one.
    """
    naive, instant = parts["naive"], parts["instant"]
    if isinstance(naive, list) or isinstance(instant, list):
        if any(isinstance(item, list) for item in [*(naive or []), *(instant or [])]):
            pairs = zip(naive, instant, strict=True)
            return [_read_moments(_session, {"naive": one, "instant": other}) for one, other in pairs]
        zoned = [None if moment is None else moment.replace(tzinfo=UTC) for moment in instant or []]
        return zoned + (naive or []) if zoned != (naive or []) else zoned
    return naive if instant is None else instant.replace(tzinfo=UTC)


_READERS: Mapping[str, Callable[[Session, Any], Any]] = MappingProxyType(
    {
        "instant": lambda session, moment: moment.replace(tzinfo=UTC),
        "value": _read_value,
        "moments": _read_moments,
        "json": lambda session, text: loads(text),
        "json_list": lambda session, texts: [loads(text) for text in texts],
    }
)
