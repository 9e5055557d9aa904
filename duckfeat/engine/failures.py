"""DuckDB's errors as duckfeat's: what was wrong in our words, the engine's own words kept as `reason`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from duckfeat.errors import (
    DuckfeatError,
    InvalidArgument,
    NotAStore,
    QueryError,
    ReadOnlyStore,
    StoreLocked,
    TransactionConflict,
    Unreachable,
)

_OWNER = re.compile(r"Conflicting lock is held in (?P<program>.*?) \(PID (?P<pid>\d+)\)(?: by user (?P<user>\S+))?")

# Text in DuckDB's message, the error it means, and what to say.
_KNOWN: tuple[tuple[str, type[DuckfeatError], str], ...] = (
    ("Unique file handle conflict", StoreLocked, "the store is open in this process, or in the one it was forked from"),
    ("Unable to connect to Postgres", Unreachable, "the catalog of the lake cannot be reached"),
    ("server closed the connection", Unreachable, "the catalog of the lake has ended the connection"),
    ("HTTP Error", Unreachable, "the object store does not answer as it should"),
    ("HTTP error", Unreachable, "the object store does not answer as it should"),
    ("database is locked", StoreLocked, "another process holds the catalog of the lake"),
    ("Transaction conflict", TransactionConflict, "another program wrote at the same time; nothing was kept"),
    ("No snapshot found", InvalidArgument, "the lake has no such version (any more)"),
    ("read-only", ReadOnlyStore, "the store is open for reading only"),
    ("not a valid DuckDB database", NotAStore, "the file is no DuckDB database"),
    ("newer version of DuckDB", NotAStore, "the file was written by a DuckDB too new for this one"),
    ("storage version", NotAStore, "the file was written by a DuckDB too new for this one"),
    ("regular expression", InvalidArgument, "the engine (RE2) does not take this regular expression"),
    ("no argument for repetition", InvalidArgument, "the engine (RE2) does not take this regular expression"),
    ("invalid perl operator", InvalidArgument, "the engine (RE2) does not take this regular expression"),
    ("invalid escape sequence", InvalidArgument, "the engine (RE2) does not take this regular expression"),
)


def locked(path: str, error: Exception) -> StoreLocked:
    """Return the error for a store that another process holds, with its owner where DuckDB tells it."""
    owner = _OWNER.search(str(error))
    pid = int(owner["pid"]) if owner else None
    who = f"process {pid} ({owner['program']})" if owner else "another process"
    message = f"{path} is in use by {who}; close the store there, or open it with read_only=True in both"
    return StoreLocked(message, path=path, pid=pid, program=owner["program"] if owner else None, reason=str(error))


def translate(error: duckdb.Error, path: str) -> DuckfeatError:
    """Return the duckfeat error that a DuckDB error means."""
    text = str(error)
    if "Could not set lock" in text or "Conflicting lock" in text:
        return locked(path, error)
    for part, kind, message in _KNOWN:
        if part in text:
            return kind(f"{message}: {text.splitlines()[0]}", path=path, reason=text)
    return QueryError(f"the engine refused the statement: {text.splitlines()[0]}", path=path, reason=text)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise DuckDB's errors as duckfeat's inside the block."""
    try:
        yield
    except duckdb.Error as error:
        raise translate(error, path) from error
