"""What is done about a write-ahead log that does not replay: it is set aside and kept, never overwritten.

DuckDB refuses a log with a broken entry, but one whose beginning is no log's it passes over and then writes over, as
it does with what follows an entry whose size is damaged; and it removes one that lies beside a store that is not there.
Each is found here before that happens.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from duckfeat.engine.failures import locked
from duckfeat.engine.files import LOCKS
from duckfeat.engine.lease import wait
from duckfeat.engine.log_layout import BEGINNING, damaged_at
from duckfeat.errors import DamagedStore

_REPLAY = re.compile("Failure while replaying WAL|WAL .*does not match")
"""What DuckDB says of a log it cannot replay, or that is of another file or of an older state of this one."""
_KEPT = 55
"""How much of a log's name is kept in the name it is set aside under, which has to fit, too."""
_POSITION = re.compile(r"entry at byte position (\d+)")


def log_of(path: str) -> Path:
    """Return where the write-ahead log of a store is."""
    return Path(f"{path}.wal")


def check_orphan(path: str) -> None:
    """Raise `DamagedStore` for a log that lies where a store is about to be created: DuckDB would remove it."""
    log = log_of(path)
    if log.is_file() and log.stat().st_size and not Path(path).exists():
        raise DamagedStore(
            f"there is no store {path}, but the log of one, {log}: put the store back beside it, or move the log away",
            path=path,
            log=str(log),
        )


def check_replayed(path: str, *, read_only: bool) -> None:
    """Raise `DamagedStore` for a log that DuckDB has passed over, or a part of it; it is set aside unless reading only.

    The store must be attached and nothing written yet.
    """
    log = log_of(path)
    if not log.is_file():
        return
    with log.open("rb") as opened:
        beginning = opened.read(len(BEGINNING))
    if beginning != BEGINNING[: len(beginning)]:
        raise _damaged(path, "it does not begin as a log does", None, read_only=read_only)
    position = damaged_at(log)
    if position is not None:
        reason = f"the entry at byte position {position} is damaged, and whole ones follow"
        raise _damaged(path, reason, position, read_only=read_only)


def replay_failed(path: str, error: Exception, *, read_only: bool) -> DamagedStore | None:
    """Return the error for a store whose log did not replay, once the log is set aside; None for another failure."""
    if not _REPLAY.search(str(error)) or not log_of(path).is_file():
        return None
    reason = str(error).splitlines()[0].partition(": ")[2]
    found = _POSITION.search(str(error))
    with exclusively(path):
        return _damaged(path, reason, int(found[1]) if found else None, read_only=read_only)


def _damaged(path: str, reason: str, sound: int | None, *, read_only: bool) -> DamagedStore:
    log = log_of(path)
    if read_only:
        message = f"the log {log} does not replay ({reason}): open the store for writing once to set the log aside"
        return DamagedStore(message, path=path, log=str(log), reason=reason)
    aside = _set_aside(log, sound)
    kept = "up to the damage in the log" if sound else "without the log"
    return DamagedStore(
        f"the log {log} did not replay ({reason}); what was committed last may be in it. It was kept as {aside}. "
        f"Connect again to work with the store as it is {kept}, or restore a backup",
        path=path,
        log=str(aside),
        reason=reason,
    )


def _set_aside(log: Path, sound: int | None) -> Path:
    """Rename a log, and leave what comes before its damage in its place; return the new name."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = log.with_name(f"{log.name[:_KEPT]}.damaged-{stamp}")
    if sound:
        shutil.copy2(log, aside)
        os.truncate(log, sound)
    else:
        log.rename(aside)
    return aside


@contextmanager
def exclusively(path: str, timeout: float = 0.0) -> Iterator[None]:
    """Hold the lock that DuckDB takes on a store's file, where no connection of this process has it.

    Raises `StoreLocked` if another process holds it for longer than so many seconds.
    """
    if not LOCKS or not Path(path).is_file():
        yield
        return
    import fcntl

    with Path(path).open("rb+") as file:

        def attempt() -> bool:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in {errno.EACCES, errno.EAGAIN}:
                    raise
                return False
            return True

        if not wait(path, attempt, timeout):
            raise locked(path, None, timeout, "Close the store there, or choose another path")
        yield


_ATTACHING = [threading.Lock()]


def attaching() -> threading.Lock:
    """Return what is held while a file is attached, and while one that is locked otherwise is closed.

    To close a file ends every lock that the process has on it, those of its other connections, too.
    """
    return _ATTACHING[0]


def _renew() -> None:
    """Have a lock that nobody holds: in a forked child the thread that held it is not there."""
    _ATTACHING[0] = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
