"""Whose turn it is to write to a lake: held through its catalog, and free again when the writer's process ends."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Protocol

import duckdb

from duckfeat.engine.failures import refused
from duckfeat.engine.lake_places import CATALOG_SECRET, LakePlace
from duckfeat.engine.paths import quoted
from duckfeat.errors import StoreLocked, TransactionConflict

# The advisory lock of a database with a lake; a constant, so that every program takes the same.
_KEY = 0x6475636B66656174
# Seconds that PostgreSQL can be told to wait, and between two tries of a file.
_LONGEST, _PAUSE = 2_000_000, 0.01
# Seconds between two tries to end a wait.
_AGAIN = 0.1


# What `_me` says, the end of which may be cut off.
_ME = re.compile(r"process (?P<pid>\d+) on (?P<host>\S+)(?: \((?P<program>[^)]*))?")


def _me() -> str:
    """Return who this is, in the words that others are told."""
    program = Path(sys.argv[0]).name or "python"
    return f"process {os.getpid()} on {socket.gethostname()} ({program})"[:63]


def _taken(url: str, timeout: float, who: str | None, seconds: float | None) -> StoreLocked:
    """Return the error for a turn that another has, by what `_me` says of him."""
    told = _ME.match(who or "")
    who, seconds = who or "another process", max(0.0, seconds or 0.0)
    return StoreLocked(
        f"{url}: no turn to write within {timeout:g} s; {who} has it, for {seconds:.0f} s now",
        path=url,
        owner=who,
        seconds=seconds,
        pid=int(told["pid"]) if told else None,
        host=told["host"] if told else None,
        program=told["program"] if told else None,
        since=(datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds"),
    )


class Turns(Protocol):
    """The turn to write to one lake; asked for by one thread at a time."""

    def take(self, timeout: float) -> None:
        """Wait for the turn.

        Raises `StoreLocked` with the writer that has it when that takes longer than `timeout` seconds.
        """

    def check(self) -> None:
        """Make sure that the turn is still held.

        Raises `TransactionConflict` when it was lost.
        """

    def give(self) -> None:
        """Give the turn to the next."""

    def close(self) -> None:
        """Let go of what the turns were taken with."""


class PostgresTurns:
    """Turns by an advisory lock, held by a transaction of a connection of its own.

    PostgreSQL frees the lock when the connection ends, so a writer that was killed blocks nobody; one whose machine
    has vanished is noticed by the keep-alives in about ten seconds.
    """

    def __init__(self, root: duckdb.DuckDBPyConnection, place: LakePlace) -> None:
        self._url = place.url
        self._cursor = root.cursor()
        secret = f", SECRET '{CATALOG_SECRET}'" if place.password is not None else ""
        self._cursor.execute(f"ATTACH IF NOT EXISTS {quoted(place.address)} AS turns (TYPE postgres{secret})")

    def take(self, timeout: float) -> None:
        """Wait for the turn."""
        self.give()  # Ctrl-C may have come before the end of the last one
        self._cursor.execute("BEGIN")
        try:
            self._run(
                f"SET LOCAL application_name = {quoted(_me())}; "
                f"SET LOCAL lock_timeout = {max(1, int(min(timeout, _LONGEST) * 1000))}; "
                "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL tcp_keepalives_idle = 4; "
                "SET LOCAL tcp_keepalives_interval = 2; SET LOCAL tcp_keepalives_count = 3"
            )
            backend, taken = self._asked(f"SELECT pg_backend_pid(), pg_try_advisory_xact_lock({_KEY})")
            if not taken:
                self._queue(backend)
        except duckdb.Error as error:
            self.give()
            if "lock timeout" not in str(error):
                raise
            raise self._locked(timeout) from None

    def _queue(self, backend: int) -> None:
        """Wait in PostgreSQL's queue, which is first come, first served; in a thread, so that Ctrl-C is noticed."""
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self._run, f"SELECT pg_advisory_xact_lock({_KEY})")
            try:
                waiting.result()
            except KeyboardInterrupt:
                while not waiting.done():
                    self._cancel(backend)
                    wait([waiting], _AGAIN)
                raise

    def _cancel(self, backend: int) -> None:
        """End what a backend waits for; not sure to, as the connection that asks for it may be a lost one."""
        with suppress(duckdb.Error), self._cursor.cursor() as other:
            other.execute(f"CALL postgres_execute('turns', 'SELECT pg_cancel_backend({backend})')")

    def _run(self, sql: str) -> None:
        self._cursor.execute(f"CALL postgres_execute('turns', {quoted(sql)})")

    def _asked(self, sql: str) -> tuple[Any, ...]:
        return self._cursor.execute(f"FROM postgres_query('turns', {quoted(sql)})").fetchone() or (None, None)

    def _locked(self, timeout: float) -> StoreLocked:
        asked = (
            "SELECT a.application_name, extract(epoch FROM now() - a.xact_start)::float8 "
            "FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
            f"AND l.classid = {_KEY >> 32} AND l.objid = {_KEY & 0xFFFFFFFF}"
        )
        who, seconds = self._asked(asked)
        return _taken(self._url, timeout, who, seconds)

    def check(self) -> None:
        """Make sure that the connection that holds the lock is alive."""
        try:
            self._run("SELECT 1")
        except duckdb.Error as error:
            raise TransactionConflict(
                f"{self._url}: the connection that held the turn to write was lost; nothing was kept, so run it again",
                path=self._url,
                reason=str(error),
            ) from None

    def give(self) -> None:
        """End the transaction that holds the lock."""
        try:
            self._cursor.execute("ROLLBACK")
        except duckdb.Error:
            return  # there is none, or the connection is lost and the lock with it
        except KeyboardInterrupt:
            self.give()  # the client told of Ctrl-C in place of doing it
            raise

    def close(self) -> None:
        """Close the connection."""
        self._cursor.close()


class FileTurns:
    """Turns by a lock on a file beside the catalog; the system frees it when the process ends."""

    def __init__(self, place: LakePlace) -> None:
        self._url = place.url
        self._path = Path(f"{place.address}.turn")
        self._file: IO[str] | None = None

    def take(self, timeout: float) -> None:
        """Wait for the turn."""
        end = time.monotonic() + timeout
        with refused(self._url):
            file = self._path.open("a+", encoding="utf-8")
        try:
            while not _locked(file):
                self._pause(file, timeout, end)
        except BaseException:
            file.close()
            raise
        file.truncate(0)
        file.write(_me())
        file.flush()
        self._file = file

    def _pause(self, file: IO[str], timeout: float, end: float) -> None:
        if time.monotonic() < end:
            time.sleep(_PAUSE)
            return
        file.seek(0)
        raise _taken(self._url, timeout, file.read(), time.time() - os.fstat(file.fileno()).st_mtime)

    def check(self) -> None:
        """Make sure that the file that is locked is the one that others see."""
        try:
            held = self._file is not None and os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            held = False
        if not held:
            raise TransactionConflict(
                f"{self._url}: {self._path} was taken away while it held the turn to write", path=self._url
            )

    def give(self) -> None:
        """Unlock the file, for processes forked meanwhile, too."""
        if self._file is not None:
            _unlock(self._file)
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Nothing is kept between turns."""


if sys.platform == "win32":
    import msvcrt

    def _locked(file: IO[str]) -> bool:
        file.seek(1 << 30)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[str]) -> None:
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _locked(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
