"""The lease of a file: taken at its use, given back when idle or when somebody waits, and noticed if it changed."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from duckfeat.engine.paths import MEMORY
from duckfeat.errors import DiskFull, DuckfeatError, StoreClosed, StoreLocked

_log = logging.getLogger("duckfeat")

# A file `<store>.waiting` that is no older than this many seconds is of somebody who waits now.
_FRESH = 1.0
# How many seconds a fork, or the end of the program, waits for a file that is being taken.
_FORK_WAIT = 1.0
# How often the holder looks for it, and how long it leaves the store to others then: several of their tries.
_LOOK, _LEAVE = 0.05, 0.04
# How long uses that begin are first kept waiting for those that go on to end, when one wants the file alone.
_PATIENCE = 0.2


_LEASES: weakref.WeakSet[Lease] = weakref.WeakSet()
_FORKING: list[Lease] = []


class Lease:
    """Who of this process uses a store's file, so that it is given back when nobody does.

    As a context manager it is a use. `take` and `release` attach and detach the file; both are called with no
    other use going on.
    """

    def __init__(
        self,
        path: str,
        take: Callable[[], None],
        release: Callable[[], None],
        idle: float | None,
        *,
        read_only: bool = False,
    ) -> None:
        self._take, self._release, self._idle = take, release, idle
        self.path, self.read_only, self._process = path, read_only, os.getpid()
        self._waiting = Path(f"{path}.waiting")
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._wanted = False
        self._users = 0
        self._used = self._looked = time.monotonic()
        self._ended, self._wake = threading.Event(), threading.Event()
        self._watched = False
        self._watcher: threading.Thread | None = None
        self.taken = False
        self.damaged = self.full = self._due = False
        _LEASES.add(self)

    def __enter__(self) -> None:
        with self._lock:
            if self._wanted:
                self._changed.wait_for(lambda: not self._wanted or self._process != os.getpid())
            if self._ended.is_set():
                raise StoreClosed(f"the store {self.path} was closed; connect to it again", path=self.path)
            if not self.taken:
                self._take()
                self.taken = True
            self._users += 1

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._lock:
            self._users -= 1
            if self._wanted:
                self._changed.notify_all()
            self._used = now = time.monotonic()
            # DuckDB refuses a database whose checkpoint failed until it is attached again; its log has everything.
            self.damaged = self.damaged or (error is not None and "has been invalidated" in str(error))
            if isinstance(error, DiskFull):  # to be attached again gives back the room that it took in vain
                self.damaged = self.full = True
            if self._users:
                return
            if self.damaged or self._due:
                self.give_back()
                self._take_again()
            if self.taken and self._idle is not None:
                if now - self._looked > _LOOK:
                    self._looked = now
                    self._make_way()
                self._watch()

    def _take_again(self) -> None:
        """Take a file at once that holds room which is to be given back; one that cannot be had is taken when used."""
        if self.full and not self._ended.is_set():
            with suppress(StoreLocked, DiskFull):
                self._take()
                self.taken = True

    @contextmanager
    def alone(self, timeout: float) -> Iterator[bool]:
        """Have the use that asks for it be the only one while the block runs, and tell whether it is.

        Uses that begin wait. Until those that go on have ended they do so for a while, then twice as long, until the
        time is over, and are let in between: a use that goes on may need another one to begin.
        """
        until, patience = time.monotonic() + timeout, _PATIENCE
        with self._lock:
            while not (alone := self._alone_within(patience)) and time.monotonic() < until:
                self._changed.wait(_PATIENCE)
                patience = min(2 * patience, max(until - time.monotonic(), _PATIENCE))
            yield alone

    def _alone_within(self, seconds: float) -> bool:
        self._wanted = True
        try:
            return self._changed.wait_for(lambda: self._users == 1, seconds)
        finally:
            self._wanted = False
            self._changed.notify_all()

    def _make_way(self) -> None:
        """Give the file to somebody who waits for it."""
        if self.taken and _fresh(self._waiting):
            self.give_back()
            time.sleep(_LEAVE)

    def give_back(self) -> bool:
        """Release the file unless it is in use; return whether it is released. A forked child leaves it alone."""
        with self._lock:
            if self._users == 0 and self.taken and self._process == os.getpid():
                self.taken = self.damaged = self._due = False
                self._release()
            return not self.taken

    def give_back_next(self) -> None:
        """Release the file once the uses that go on have ended, if it is one that is given back when idle."""
        self._due = self._idle is not None

    @property
    def live(self) -> bool:
        """Whether a store of this process has the file, be it given back for now."""
        return self.path != MEMORY and self._process == os.getpid() and not self._ended.is_set()

    # --- idle ------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Have a thread release the file when nobody has used it for a while."""
        if self._watched or not self.taken:
            return
        watcher = threading.Thread(target=_watch, args=(weakref.ref(self),), name="duckfeat-lease", daemon=True)
        try:
            watcher.start()
        except RuntimeError:
            return  # the system has no thread to give: whoever waits is looked for at the next use
        self._watcher, self._watched = watcher, True

    def _look(self) -> float | None:
        """Release the file if it is time; return after how many seconds to look again, None for never."""
        with self._lock:
            if self._ended.is_set() or not self.taken or self._idle is None:
                self._watched = False
                return None
            left = self._used + self._idle - time.monotonic()
            if self._users == 0 and (left <= 0 or _fresh(self._waiting)):
                self.give_back()
                self._watched = False
                return None
            return min(max(left, _LOOK), 4 * _LOOK)

    def end(self) -> None:
        """Give the file back for good, unless somebody still reads."""
        self._ended.set()
        self._wake.set()
        self.give_back()

    def leave(self) -> None:
        """Give the file back at the end of the program, and have no thread left that the interpreter would kill."""
        self._idle = None
        self._wake.set()
        if self._lock.acquire(timeout=_FORK_WAIT):
            self.give_back()
            self._lock.release()
        if self._watcher is not None:
            self._watcher.join(_FORK_WAIT)


def wait(path: str, attempt: Callable[[], bool], timeout: float) -> bool:
    """Call `attempt` until it succeeds or the time is over, telling the holder of a file that somebody waits."""
    until, pause, waited, waiting = time.monotonic() + timeout, 0.005, False, Path(f"{path}.waiting")
    try:
        while not attempt():
            if time.monotonic() >= until:
                return False
            _touch(waiting)
            waited = True
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        return True
    finally:
        if waited:  # others who wait will note so again, long before anybody looks
            _removed(waiting)


def open_here(path: str, *, to_read: bool = False) -> str | None:
    """Return the path of the store that this process has open in a file, by whichever name; None if there is none.

    `to_read` passes over stores that are open for reading only, beside which a file may be read.
    """
    file = place(path)
    for lease in list(_LEASES):
        if not lease.live or (to_read and lease.read_only):
            continue
        if lease.path == path or (file is not None and place(lease.path) == file):
            return lease.path
    return None


def check_not_open(path: str, *, to_read: bool = False) -> None:
    """Raise `StoreLocked` if this process has a store open in a file.

    Two that do not know of each other would lose rows; and to close a file that is open twice ends the lock on it.
    """
    found = open_here(path, to_read=to_read)
    if found is not None:
        also = "" if found == path else f" as {found}"
        raise StoreLocked(f"{path} is open in this process{also}: close it first", path=path)


def open_beside(path: str) -> str | None:
    """Return the store of this process whose log, or another file that goes with it, a path is; None if it is none."""
    return next((lease.path for lease in list(_LEASES) if lease.live and path in _company(lease.path)), None)


def _company(path: str) -> set[str]:
    return {f"{path}.{ending}" for ending in ("wal", "owner", "waiting", "compact.partial")}


def _before_fork() -> None:
    """Give every file back, so that the child can open it, and have none taken until the fork is done."""
    for lease in list(_LEASES):
        if lease._lock.acquire(timeout=_FORK_WAIT):
            _FORKING.append(lease)
            lease.give_back()


def _after_fork() -> None:
    while _FORKING:
        _FORKING.pop()._lock.release()


def _at_exit() -> None:
    """Give every file back that was not closed, before the interpreter is taken apart."""
    for lease in list(_LEASES):
        lease.leave()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _watch(watched: weakref.ref[Lease]) -> None:
    pause: float | None = _LOOK
    while pause is not None:
        lease = watched()
        if lease is None:
            return
        wake = lease._wake
        del lease
        wake.wait(pause)
        lease = watched()
        try:
            pause = lease._look() if lease is not None else None
        except (DuckfeatError, OSError):
            _log.exception("a store could not be given back while idle")
            return
        del lease


def _touch(path: Path) -> None:
    try:
        path.touch()
    except OSError:
        return  # a folder that cannot be written to: the holder is not told, and idles


def _removed(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # as above; it is out of date soon


def _fresh(path: Path) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return False
    return abs(age) < _FRESH


# --- changes -------------------------------------------------------------------------------------


def place(path: str) -> object:
    """Return what tells one file from another that was put in its place; None if there is none."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino)


State = tuple[object, ...]


def state(path: str) -> State:
    """Return what tells whether a store's file was written to: place, size and time of it and of its log.

    Only the file system is asked: to open and close the file would end the lock that this process has on it.
    """
    found: list[object] = []
    for name in (path, f"{path}.wal"):
        try:
            stat = os.stat(name)  # noqa: PTH116  # in the way of every use of a store that was given back
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)
