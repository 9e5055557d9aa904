"""DuckDB's errors as duckfeat's: what was wrong in our words, the engine's own words kept as `reason`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from duckfeat.engine.owner import living_owner
from duckfeat.errors import (
    DamagedStore,
    DiskFull,
    DuckfeatError,
    InvalidArgument,
    MissingFile,
    NotAStore,
    QueryError,
    ReadOnlyStore,
    StoreLocked,
    TransactionConflict,
    Unreachable,
    without_secrets,
)

_OWNER = re.compile(r"Conflicting lock is held in (?P<program>.*?) \(PID (?P<pid>\d+)\)(?: by user (?P<user>\S+))?")

# Text in DuckDB's message, the error it means, and what to say.
_KNOWN: tuple[tuple[str, type[DuckfeatError], str], ...] = (
    ("No space left on device", DiskFull, "the disk is full, nothing of this was kept"),
    ("File too large", DiskFull, "the file may not grow further, nothing of this was kept"),
    ("Disk quota exceeded", DiskFull, "the disk quota is used up, nothing of this was kept"),
    ("file is not a database", NotAStore, "the catalog is not a SQLite database"),
    ("database disk image is malformed", DamagedStore, "the catalog is damaged or cut short; restore a backup"),
    ("Corrupt database file", DamagedStore, "the file is damaged; restore a backup"),
    ("Could not read enough bytes from file", DamagedStore, "the file is damaged or cut short; restore a backup"),
    ("Read-only file system", ReadOnlyStore, "the place cannot be written to; read_only=True reads a store there"),
    ("Permission denied", ReadOnlyStore, "this user may not write here; read_only=True reads a store"),
    ("Operation not permitted", ReadOnlyStore, "the system does not let this user write here"),
    ("File name too long", InvalidArgument, "the name is longer than a file's may be"),
    (
        "Unique file handle conflict",
        StoreLocked,
        (
            "the store is open in this process: close it first; or in the one that this was forked from, which used it "
            "just then: fork while it is idle, or start processes anew (multiprocessing's spawn)"
        ),
    ),
    ("Unable to connect to Postgres", Unreachable, "the catalog of the lake cannot be reached"),
    ("server closed the connection", Unreachable, "the catalog of the lake has ended the connection"),
    (
        "HTTP 403",
        Unreachable,
        (
            "the object store refuses the keys, or does not let them do this: see key_id and secret of s3={...}, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and the rights they have in the bucket"
        ),
    ),
    ("HTTP 404", Unreachable, "the object store has no such bucket or file: see data_path and endpoint of s3={...}"),
    ("HTTP Error", Unreachable, "the object store does not answer as it should"),
    (
        "error for HTTP ",
        Unreachable,
        "the object store cannot be reached: see endpoint of s3={...}, or AWS_ENDPOINT_URL",
    ),
    ("HTTP error", Unreachable, "the object store does not answer as it should"),
    ("No such file or directory", MissingFile, "a file or folder that is needed is not there"),
    ("database is locked", StoreLocked, "another process holds the catalog of the lake"),
    ("Transaction conflict", TransactionConflict, "another program wrote at the same time; nothing was kept"),
    ("No snapshot found", InvalidArgument, "the lake has no such version (any more)"),
    ("read-only", ReadOnlyStore, "the store is open for reading only"),
    ("not a valid DuckDB database", NotAStore, "the file is not a DuckDB database"),
    ("newer version of DuckDB", NotAStore, "the file was written by a DuckDB too new for this one"),
    ("storage version", NotAStore, "the file was written by a DuckDB too new for this one"),
    # The other threads' "Interrupted" may overtake the reason that a streamed result failed for (seen on 1.5.5).
    (
        "INTERRUPT Error",
        QueryError,
        "the statement failed on its way, and the engine lost why; asked for all rows at once (.pl()) it says so",
    ),
    ("cannot encode str as UTF-8", InvalidArgument, "a parameter is not valid Unicode"),
    ("regular expression", InvalidArgument, "the engine (RE2) does not take this regular expression"),
    ("no argument for repetition", InvalidArgument, "the engine (RE2) does not take this regular expression"),
    ("invalid perl operator", InvalidArgument, "the engine (RE2) does not take this regular expression"),
    ("invalid escape sequence", InvalidArgument, "the engine (RE2) does not take this regular expression"),
)


def is_locked(error: Exception) -> bool:
    """Tell whether an error means that another process has the file."""
    text = str(error)
    return "Could not set lock" in text or "Conflicting lock" in text


@contextmanager
def understood() -> Iterator[None]:
    """Raise what errors of DuckDB's Python client mean inside the block, those that have no type of DuckDB's own.

    A text that is no Unicode (a lone surrogate) is an error of ours. Ctrl-C while a statement runs comes as a
    `RuntimeError`; what the signal's handler has raised is kept by 1.5 only.
    """
    try:
        yield
    except (RuntimeError, UnicodeEncodeError) as error:
        text = str(error)
        if text == "Query interrupted":
            raise error.__cause__ or KeyboardInterrupt() from None
        if isinstance(error, UnicodeEncodeError) or "Unable to cast Python instance of type <class 'str'>" in text:
            raise InvalidArgument("a parameter is not valid Unicode", reason=text) from error
        raise


_WAIT = "Wait longer with connect(..., lock_timeout=60), close the store there, or open it with read_only=True in both"


def locked(path: str, error: Exception | None, waited: float = 0.0, advice: str = _WAIT) -> StoreLocked:
    """Return the error for a store that another process holds, with its owner: pid, host, program, since when."""
    told, noted = _OWNER.search(str(error)), living_owner(path)
    pid = int(told["pid"]) if told else None
    if pid is not None and noted.get("pid") != pid:
        noted = {
            "pid": pid,
            "program": told["program"] if told else None,
        }  # the note is an old one, of a killed process
    facts = {name: noted.get(name) for name in ("pid", "host", "program", "since")}
    who = f"process {facts['pid']} ({facts['program']})" if facts["pid"] else "another process"
    where = f" on {facts['host']}" if facts["host"] else ""
    since = f" since {facts['since']}" if facts["since"] else ""
    message = f"{path} is in use by {who}{where}{since}, and was not given back within {waited:g} s. {advice}"
    return StoreLocked(message, path=path, reason=str(error), **facts)


def translate(error: Exception, path: str) -> DuckfeatError:
    """Return the duckfeat error that a DuckDB error means, or one of the system.

    A password or key in the text of the error is taken out of it, for tracebacks show it as the cause.
    """
    text = str(error)
    if isinstance(error, duckdb.Error) and without_secrets(text) != text:
        text = without_secrets(text)
        error.args = (text,)
    if is_locked(error):
        return locked(path, error)
    for part, kind, message in _KNOWN:
        if part in text:
            may_not = kind is ReadOnlyStore and os.path.isfile(path) and not os.access(path, os.R_OK)  # noqa: PTH113 - never raises
            told = "this user may not read the file" if may_not else message
            return kind(f"{told}: {text.splitlines()[0]}", path=path, reason=text)
    # The first paragraph: what is wrong and, in further lines, what was meant perhaps.
    told = " ".join(text.partition("\n\n")[0].splitlines())
    return QueryError(f"the engine refused the statement: {told}", path=path, reason=text)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise DuckDB's errors as duckfeat's inside the block."""
    try:
        with understood():
            yield
    except duckdb.Error as error:
        raise translate(error, path) from error


@contextmanager
def refused(path: str) -> Iterator[None]:
    """Raise the system's errors as duckfeat's inside the block."""
    try:
        yield
    except OSError as error:
        if isinstance(error, DuckfeatError):
            raise
        raise translate(error, path) from error
