"""The embedded engine: one DuckDB file, or memory.

One process at a time has a file open for writing. This one gives it back when it is idle or when another one
waits, and takes it again at its next use; what others wrote in between is noticed.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from duckfeat.engine import backups, rewriting
from duckfeat.engine.base import Engine
from duckfeat.engine.catalog import FILE, PATH, check_triggers
from duckfeat.engine.duck import DuckEngine
from duckfeat.engine.failures import is_locked, locked, refused, translated
from duckfeat.engine.files import remove, whole
from duckfeat.engine.lease import Lease, State, check_not_open, open_here, place, state, wait
from duckfeat.engine.migrations import applied_in, migrate
from duckfeat.engine.owner import forget_owner, note_owner
from duckfeat.engine.paths import MEMORY, named, quoted
from duckfeat.engine.recovery import attaching, check_orphan, check_replayed, log_of, replay_failed
from duckfeat.engine.resources import migrations
from duckfeat.errors import DamagedStore, DuckfeatError, InvalidArgument, MissingFile, StoreClosed, StoreLocked
from duckfeat.model.arguments import seconds

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger("duckfeat")

LOCK_TIMEOUT = 10.0
"""How many seconds a store that another process has is waited for, unless told."""
IDLE_RELEASE = 2.0
"""After how many seconds without use a file is given back, unless told."""
_MANY = 1_000_000
"""A transaction that changed so many rows gives its file back at once: DuckDB reads them quicker from the file."""
_HEADERS = 3 * 4096
"""How many bytes of a file come before its first block."""
_BLOCKS = "SELECT total_blocks, block_size FROM pragma_database_size() WHERE database_name = 'store'"
_NO_CHANGE = "BEGIN; CREATE SCHEMA store.passing; DROP SCHEMA store.passing; COMMIT"


def lock_timeout_of(given: Any) -> float:
    """Return how many seconds a store is waited for, `given` being what a caller asks for, None for nothing."""
    return seconds(LOCK_TIMEOUT if given is None else given, "lock_timeout")


def check_file(path: str) -> None:
    """Raise `InvalidArgument` for a folder or a device where a store is to be; that there is nothing is fine."""
    with refused(path):
        place = Path(path)
        if place.is_dir():
            raise InvalidArgument(f"{path} is a folder; a store is a file in one", path=path)
        if place.exists() and not place.is_file():
            raise InvalidArgument(f"{path} is a device, a pipe or a socket; a store is a file", path=path)


def backup_of(path: str, version: int, number: int = 1) -> Path:
    """Return where a store is copied to before it is migrated from a version of the schema.

    >>> backup_of("features.duckdb", 3).name, backup_of("features.duckdb", 3, 2).name
    ('features.duckdb.schema3.backup', 'features.duckdb.schema3.backup2')
    """
    return rewriting.companion(path, f"schema{version}.backup{number if number > 1 else ''}")


class EmbeddedEngine(DuckEngine):
    """A store in a DuckDB file or in memory."""

    options = ("read_only", "lock_timeout", "idle_release")
    kind = FILE

    def __init__(
        self,
        path: str,
        *,
        read_only: bool = False,
        lock_timeout: float | None = None,
        idle_release: float | None = IDLE_RELEASE,
        **settings: Any,
    ) -> None:
        self._timeout = lock_timeout_of(lock_timeout)
        idle = None if idle_release is None else seconds(idle_release, "idle_release")
        self._in_file = path != MEMORY
        self._left: State | None = None
        self._writable = self._prepared = False
        self._rows = 0
        self._refusal: duckdb.Error | None = None
        if self._in_file:
            check_not_open(path, to_read=read_only)
        self._lease = Lease(path, self._take, self._release, idle, read_only=read_only)
        try:
            super().__init__(path, read_only=read_only, **settings)
        except BaseException:
            if self._lease.taken:
                self._lease.taken = False  # the connection is closed already, and with it the file
                forget_owner(path)
            self._lease.end()
            raise

    # --- the file --------------------------------------------------------------------------------

    def _attach(self) -> None:
        self._root.execute("SET GLOBAL TimeZone = 'UTC'")
        with self._held():
            if not self._in_file:
                self._root.execute("ATTACH ':memory:' AS store")
                self.made = self.alone = self._writable = True
            self._root.execute(PATH)

    def _prepare(self) -> None:
        with self._held():  # given back in between, the file might be migrated by another process meanwhile
            migrate(self)
        self._prepared = True

    def _begin(self) -> None:
        if not self._writable:
            check_triggers(self.url, lambda sql: self._cursor.execute(sql).fetchall())
            self._writable = True
        self._rows = 0
        super()._begin()

    def write(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run a writing statement inside a transaction and return the number of rows it changed."""
        changed = super().write(sql, params)
        if not sql.startswith("CREATE"):  # a table of the work's own is not of the file
            self._rows += changed
        return changed

    def _commit(self) -> None:
        super()._commit()
        if self._rows >= _MANY:
            self._lease.give_back_next()

    def _held(self) -> AbstractContextManager[object]:
        return self._lease if self._in_file else nullcontext()

    def _take(self) -> None:
        """Attach the file, waiting for another process that has it, and see whether it was written to."""
        if self._left is not None and not Path(self.url).exists():
            raise MissingFile(f"{self.url} was moved or removed while it was not in use", path=self.url)
        check_file(self.url)
        with translated(self.url):
            if not wait(self.url, self._attached, self._timeout):
                raise locked(self.url, self._refusal, self._timeout) from self._refusal
        if not self.read_only:
            note_owner(self.url)
            rewriting.clear(self.url)
            if self._lease.full:
                self._give_room_back()
        if self._left is not None and self._left != state(self.url):
            self._notice()
            if self._prepared:
                self._check_schema()

    def _attached(self) -> bool:
        """Attach the file, made first if there is none; False while another process has it, or has exchanged it."""
        if not Path(self.url).exists():
            self._create()
        mode = ", READ_ONLY" if self.read_only else ""
        file = place(self.url)
        with self._root.cursor() as aside:
            try:
                with attaching():
                    aside.execute(f"ATTACH {quoted(self.url)} AS store (TYPE duckdb{mode})")
            except duckdb.Error as error:
                if not is_locked(error) and place(self.url) == file:
                    raise replay_failed(self.url, error, read_only=self.read_only) or error from error
                self._refusal = error
                return False
            if place(self.url) != file:
                aside.execute("DETACH store")
                return False
            try:
                check_replayed(self.url, read_only=self.read_only)
            except BaseException:
                aside.execute("DETACH store")
                raise
        return True

    def _create(self) -> None:
        """Make an empty database file under another name, so that whoever is killed meanwhile leaves no half of one."""
        check_orphan(self.url)
        with whole(Path(self.url), named) as partial, self._root.cursor() as aside:
            backups.make(aside, str(partial))
        self.made = self._writable = True

    def _give_room_back(self) -> None:
        """Cut off what is behind the last block of the file, just attached: blocks of transactions that failed.

        DuckDB writes large ones there before they are committed. On a full disk it could not even write to its log.
        """
        with self._root.cursor() as aside, translated(self.url):
            blocks, size = aside.execute(_BLOCKS).fetchall()[0]
        with suppress(OSError):
            if Path(self.url).stat().st_size > _HEADERS + blocks * size:
                os.truncate(self.url, _HEADERS + blocks * size)
        self._lease.full = False

    def _check_schema(self) -> None:
        """Refuse a file that was replaced, or changed by another program, while it was not in use."""
        with self._root.cursor() as aside:
            try:
                same = len(applied_in(FILE, self.url, lambda sql: aside.execute(sql).fetchall())) == len(migrations())
            except DuckfeatError:
                same = False
            if not same:
                aside.execute("DETACH store")
                message = f"{self.url} was replaced or changed by another program: connect to it again"
                raise StoreClosed(message, path=self.url)

    def _release(self) -> None:
        """Detach the file and remember how it was; DuckDB detaches it even if its last checkpoint fails."""
        with self._root.cursor() as aside:
            try:
                if not self.read_only and log_of(self.url).exists():
                    self._write_log(aside)
                self._left = self._marked()
            except duckdb.Error as error:
                self._left = ()
                _log.warning("%s keeps its log for now: %s", self.url, str(error).splitlines()[0])
            if not self.read_only:
                forget_owner(self.url)
            try:
                aside.execute("DETACH store")
            except duckdb.Error as error:
                _log.warning("%s keeps its log for now: %s", self.url, str(error).splitlines()[0])

    def _marked(self) -> State:
        """Return the state of the file, with a time of writing so exact that no later one is the same."""
        now = time.time_ns()
        if not self.read_only:
            with suppress(OSError):  # the file is of another user, or was removed
                os.utime(self.url, ns=(now, now))
        return state(self.url)

    # --- as a whole ------------------------------------------------------------------------------

    def back_up(self, version: int) -> None:
        """Leave a copy of the file beside it, as before a migration; one that is there already will do.

        What else is there is left alone: the copy has a number in its name then.
        """
        for number in count(1):
            backup = backup_of(self.url, version, number)
            if not any(place.exists() for place in (backup, log_of(str(backup)))):
                backups.write_backup(self, str(backup), overwrite=False)
                return
            with self.aside() as connection:
                if not open_here(str(backup)) and rewriting.holds_the_same(connection, backup):
                    return

    def compact(
        self, drop: Callable[[], None], *, expire: timedelta | None = None, grace: timedelta | None = None
    ) -> tuple[int, int]:
        """Write what is in the log into the file, and that anew if much of it is free.

        The bytes are those of the file, 0 in memory; before that, once what was in its log is in it.

        Raises `StoreLocked` if others of this process go on reading for longer than the file is waited for.
        """
        self._check_compacting()
        if expire is not None or grace is not None:
            raise _no_past(self.url)
        with self._writer, self._held():
            self.checkpoint()
            before = self._size()
            drop()
            self.checkpoint()
            if self._in_file:
                self._shrink()
            return before, self._size()

    def _size(self) -> int:
        return Path(self.url).stat().st_size if self._in_file else 0

    def _shrink(self) -> None:
        """Write the file anew if that is worth it; others read meanwhile, until it is put in its place."""
        with self._root.cursor() as aside, translated(self.url):
            partial = rewriting.write(aside, self.url) if rewriting.worthwhile(aside, self.url) else None
        if partial is None:
            return
        try:
            with self._lease.alone(self._timeout) as alone:
                if not alone:
                    raise StoreLocked(
                        f"{self.url} is as large as it was: a result is still being read in this process, for longer "
                        f"than {self._timeout:g} s. Read it to its end or close it, and compact the store again",
                        path=self.url,
                    )
                self._empty_log()
                rewriting.exchange(partial, self.url, self._let_go)
        finally:
            if self._lease.taken:  # else another process may be writing there
                remove(partial)

    def _empty_log(self) -> None:
        """Have no log, as after a checkpoint while nobody reads; what is in one would be lost to another file."""
        if log_of(self.url).exists():
            self.checkpoint()
        if log_of(self.url).exists():
            raise DamagedStore(f"{self.url} keeps its log {log_of(self.url)}: it was left as it is", path=self.url)

    def _let_go(self) -> None:
        """Release the file although it is in use, by what calls this and nobody else."""
        self._lease.taken = False
        self._release()

    def at(self, moment: int | datetime) -> Engine:
        """Raise `InvalidArgument`: a file has no snapshots."""
        raise _no_past(self.url, moment=moment)

    def versions(self) -> pa.Table:
        """Raise `InvalidArgument`: a file has no snapshots."""
        raise _no_past(self.url)

    def checkpoint(self) -> None:
        """Write what is in the log into the store's file."""
        with self._writer, self._held(), translated(self.url):
            self._write_log(self._cursor)

    def _write_log(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Write what is in the log into the file, and have DuckDB drop what a killed process wrote half of.

        It does that at the next write only, and keeps a log of nothing else until then.
        """
        cursor.execute("CHECKPOINT store")
        if log_of(self.url).exists():
            cursor.execute(_NO_CHANGE)
            cursor.execute("CHECKPOINT store")

    def close(self) -> None:
        """Give the store back; whatever was committed stays. A transaction of another thread is waited for.

        Raises `InvalidArgument` inside a transaction.
        """
        if not (self._closed or self.forked or self.in_transaction):
            with self._writer:
                self._lease.end()
        super().close()


def _no_past(url: str, **facts: Any) -> InvalidArgument:
    message = f"{url} has no snapshots: only a lake keeps what was there before (`features.history` works everywhere)"
    return InvalidArgument(message, path=url, **facts)
