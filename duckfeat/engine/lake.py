"""The lake engine: DuckLake, its catalog in PostgreSQL or SQLite, its data as Parquet in a folder or object store.

Reading takes no lock: every statement sees one whole snapshot. Writers take turns (`turns`), because DuckLake lets
two of them insert the same thing; whoever gets the turn first finds out whether others have written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from duckfeat.engine import extensions, lake_folder
from duckfeat.engine.catalog import LAKE, PATH
from duckfeat.engine.duck import DuckEngine
from duckfeat.engine.failures import refused, translated
from duckfeat.engine.lake_places import (
    LONG_AGO,
    LakePlace,
    attach_sql,
    catalog_secret,
    data_folder,
    data_secret,
    lake_place,
    orphans_sql,
    upkeep_sql,
)
from duckfeat.engine.lake_shortcuts import SMALL, Shortcuts, rows_at_most
from duckfeat.engine.migrations import migrate
from duckfeat.engine.turns import FileTurns, PostgresTurns, Turns
from duckfeat.errors import DuckfeatError, InvalidArgument, MissingFile, NotAStore, ReadOnlyStore
from duckfeat.model.arguments import seconds
from duckfeat.model.statement import Statement

if TYPE_CHECKING:
    import pyarrow as pa

INLINE = 200
"""So many new rows of a table at most go to the catalog; a file of fewer costs more to read than it holds."""

_GRACE = timedelta(hours=1)
_CATALOG_TABLES = "SELECT name FROM sqlite_scan($path, 'sqlite_master') WHERE type = 'table' ORDER BY name"
_VERSIONS = (
    "SELECT snapshot_id AS version, snapshot_time AS created_at FROM ducklake_snapshots('store') ORDER BY version"
)
_BYTES = "SELECT sum(file_size_bytes + delete_file_size_bytes)::BIGINT FROM ducklake_table_info('store')"
_NAMES = "SELECT table_name FROM ducklake_table_info('store')"  # duckdb_tables() asks for each table's statistics
_SNAPSHOT = "SELECT id FROM ducklake_current_snapshot('store')"
_NEWEST = "SELECT max(snapshot_id) FROM __ducklake_metadata_store.ducklake_snapshot"  # in half the time of that
_COMMITTED = "SELECT id FROM ducklake_last_committed_snapshot('store')"
# What DuckLake notes of a table with its first rows. Until then it looks for it ten times whenever one is named.
_UNCOUNTED = """
FROM __ducklake_metadata_store.ducklake_{what} WHERE end_snapshot IS NULL
    AND table_id NOT IN (SELECT table_id FROM __ducklake_metadata_store.ducklake_table_stats)
"""
_IDENTITY = "SELECT schema_uuid FROM __ducklake_metadata_store.ducklake_schema WHERE schema_id = 0"
_HAS_FILES = "SELECT 1 FROM __ducklake_metadata_store.ducklake_data_file LIMIT 1"
_TABLES = """
SELECT DISTINCT s.path || t.path
FROM __ducklake_metadata_store.ducklake_table AS t JOIN __ducklake_metadata_store.ducklake_schema AS s USING (schema_id)
"""
# DuckLake removes what this table lists; the number is that of no file of its own.
_DROP_FILE = f"""
INSERT INTO __ducklake_metadata_store.ducklake_files_scheduled_for_deletion
    (data_file_id, path, path_is_relative, schedule_start)
SELECT 9223372036854775807, unnest($files::VARCHAR[]), false, '{LONG_AGO}'
"""
_COUNT_NONE = f"""
INSERT INTO __ducklake_metadata_store.ducklake_table_column_stats (table_id, column_id, contains_null, contains_nan)
SELECT table_id, column_id, false, if(starts_with(column_type, 'float'), false, NULL)
{_UNCOUNTED.format(what="column")};
INSERT INTO __ducklake_metadata_store.ducklake_table_stats (table_id, record_count, next_row_id, file_size_bytes)
SELECT table_id, 0, 0, 0 {_UNCOUNTED.format(what="table")};
"""


class LakeEngine(DuckEngine):
    """A store in a DuckLake, shared by any number of processes and machines.

    `data_path` is where a new lake keeps its files; `s3` the keys of an object store; `at` the snapshot to read;
    `lock_timeout` how many seconds to wait for the turn to write.
    """

    options = ("read_only", "data_path", "s3", "password", "lock_timeout")
    _transient = ("database is locked", "database table is locked", "server closed the connection", "SSL SYSCALL")
    kind = LAKE

    def __init__(
        self,
        url: str,
        *,
        data_path: str | PathLike[str] | None = None,
        s3: Mapping[str, Any] | None = None,
        password: str | None = None,
        lock_timeout: float = 60.0,
        at: int | datetime | None = None,
        read_only: bool = False,
        **settings: Any,
    ) -> None:
        place = lake_place(url)
        if not (password is None or isinstance(password, str)):
            raise InvalidArgument(f"password is a text, not a {type(password).__name__}")
        self._place = LakePlace(place.kind, place.address, password or place.password)
        self._data_path = None if data_path is None else data_folder(data_path)
        self._s3 = s3
        self._at = at
        self._settings = settings
        self._lock_timeout = seconds(lock_timeout, "lock_timeout")
        self._snapshot = -1
        self._look_lock = threading.Lock()
        super().__init__(place.url, read_only=read_only or at is not None, **settings)

    # --- attaching -------------------------------------------------------------------------------

    def _attach(self) -> None:
        root = self._root
        extensions.load(root, ("ducklake", self._place.kind))
        if self._place.password is not None:
            root.execute(catalog_secret(), {"password": self._place.password})
        self._turns: Turns = (
            FileTurns(self._place) if self._place.kind == "sqlite" else PostgresTurns(root, self._place)
        )
        self._check_catalog()
        if not self._attached(create=False):
            self._create()
        files = self._folder = self._files()
        if self._data_path not in {None, files}:
            raise InvalidArgument(
                f"{self.url} keeps its files in {files}, not in {self._data_path}", path=self.url, data_path=files
            )
        if files.startswith("s3://"):
            self._keep_keys(files)
        self._check_folder()
        self._shortcuts = Shortcuts(root, remote=not lake_folder.is_local(files))
        root.execute("SET GLOBAL TimeZone = 'UTC'")
        root.execute(PATH)

    def _check_catalog(self) -> None:
        """Raise what is wrong with a file that is to be a catalog, before DuckLake makes one of it."""
        if self._place.kind != "sqlite":
            return
        path = Path(self._place.address)
        with refused(self.url):
            if not path.parent.is_dir():
                raise MissingFile(f"there is no folder {path.parent} to keep the catalog in", path=str(path))
            if path.is_dir():
                raise InvalidArgument(f"{path} is a folder; the catalog of a lake is a file in one", path=str(path))
            if not path.exists():
                return
        try:
            found = self._tried(lambda: self._cursor.execute(_CATALOG_TABLES, {"path": str(path)}).fetchall())
        except NotAStore as error:
            raise type(error)(f"{path}: {error.message}", **error.facts | {"path": str(path)}) from error
        names = [name for (name,) in found]
        if names and "ducklake_metadata" not in names:
            raise NotAStore(
                f"{path} is a SQLite database of another program, and was left as it is: it holds "
                f"{', '.join(names[:5])}. The catalog of a lake needs a file of its own",
                path=str(path),
                tables=names,
            )

    def _attached(self, *, create: bool) -> bool:
        """Attach the lake and tell whether it is there, or was made."""
        if self._place.kind == "sqlite" and not create and not Path(self._place.address).exists():
            return False
        sql = attach_sql(
            self._place,
            data_path=self._data_path if create else None,
            inline=None if self.read_only else INLINE,
            create=create,
            read_only=self.read_only,
            at=self._at,
        )
        try:
            self._root.execute(sql)
        except duckdb.InvalidInputException as error:
            if create or "creating a new DuckLake is explicitly disabled" not in str(error):
                raise
            return False
        return True

    def _create(self) -> None:
        if self.read_only:
            raise MissingFile(f"there is no lake {self.url} to read", path=self.url)
        if self._data_path is None:
            if self._place.kind != "sqlite":
                raise InvalidArgument(
                    f"{self.url} is not a lake yet: a new one needs data_path=, a folder that all who use it share, or "
                    "s3://bucket/prefix",
                    path=self.url,
                )
            self._data_path = data_folder(f"{self._place.address}.files")
        if self._data_path.startswith("s3://"):
            self._keep_keys(self._data_path)
        try:
            self._turns.take(self._lock_timeout)
            if not self._attached(create=False):
                lake_folder.prepare(self._root, self._data_path, self._place.files)
                self.made = self._attached(create=True)
                lake_folder.mark(self._root, self._data_path, self._identity())
        finally:
            self._turns.give()

    def _identity(self) -> str:
        """Return what tells this lake from every other."""
        return str(self._cursor.execute(_IDENTITY).fetchall()[0][0])

    def _check_folder(self) -> None:
        """Raise `MissingFile` if the lake's folder is not there, or has nothing in it, and the catalog knows of files.

        What is written into the folder of a share that is not mounted would be lost from sight with the next mount.
        """
        if lake_folder.is_bare(self._folder) and self._cursor.execute(_HAS_FILES).fetchall():
            message = (
                f"{self.url} keeps its files in {self._folder}, where there are none now: mount that folder, or put "
                "it back"
            )
            raise MissingFile(message, path=self._folder)

    def _keep_keys(self, data_path: str) -> None:
        extensions.load(self._root, ("httpfs",))
        self._root.execute(*data_secret(data_path, self._s3))

    def _files(self) -> str:
        """Return where the lake keeps its files."""
        return str(self._root.execute("SELECT data_path FROM ducklake_settings('store')").fetchall()[0][0])

    def _prepare(self) -> None:
        try:
            migrate(self)
        except ReadOnlyStore as error:
            if self._at is None:
                raise
            message = f"{self.url} had another schema at {self._at}: read it with the duckfeat of that time"
            raise InvalidArgument(message, path=self.url, at=self._at) from error
        self._look()
        if not self.read_only:
            self._count_none()

    def _count_none(self) -> None:
        """Have the catalog say of tables that never had a row that they have none; nobody writes meanwhile."""
        with self._root.cursor() as aside, translated(self.url):
            if not aside.execute(f"SELECT 1 {_UNCOUNTED.format(what='table')} LIMIT 1").fetchall():
                return
            with self._turn():
                aside.execute(f"BEGIN; {_COUNT_NONE} COMMIT")

    def back_up(self, version: int) -> None:
        """Do nothing: the snapshots before a migration stay, and `at` reads them."""

    # --- turns, and what others write ------------------------------------------------------------

    @contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            with translated(self.url):
                self._turns.take(self._lock_timeout)
                self._check_folder()
            self._look()
            try:
                yield
            except DuckfeatError as error:
                if isinstance(error.__cause__, duckdb.Error):
                    self._turns.check()  # whatever fails when the turn was lost fails for that
                raise
        finally:
            self._turns.give()

    def _commit(self) -> None:
        self._turns.check()
        super()._commit()
        with self._look_lock:
            self._snapshot = max(self._snapshot, self._asked(_COMMITTED))

    def _look(self) -> None:
        if self._at is not None:
            return
        current = self._tried(lambda: self._asked(_NEWEST))
        with self._look_lock:
            if current > self._snapshot:
                self._snapshot = current
                self._notice()

    def _nearest(self, sql: str, *, apart: bool) -> AbstractContextManager[duckdb.DuckDBPyConnection | None] | None:
        return None if self._at is not None else self._from_shortcuts(sql, apart=apart)

    @contextmanager
    def _from_shortcuts(self, sql: str, *, apart: bool) -> Iterator[duckdb.DuckDBPyConnection | None]:
        with self._shortcuts.taken(sql, self._snapshot) as path:
            if path is None:
                yield None
            elif apart:
                with self._root.cursor() as cursor:
                    cursor.execute(path)
                    yield cursor
            else:
                yield self._near(path)

    def _near(self, path: str) -> duckdb.DuckDBPyConnection:
        """Return this thread's connection for what is near; a path takes longer to set than to use."""
        cursor, known = getattr(self._local, "near", (None, None))
        if cursor is None or path != known:
            cursor = cursor or self._root.cursor()
            cursor.execute(path)
            self._local.near = cursor, path
        return cursor

    def _asked(self, sql: str) -> int:
        found = self._cursor.execute(sql).fetchone()
        return int(found[0]) if found and found[0] is not None else -1

    def _gather(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Have small tables in memory, in tables of the connection's own, which go with the transaction.

        A table of a lake asks its catalog several times whenever a statement names it.
        """
        cursor.execute(_SNAPSHOT).fetchall()  # first: what is written after this snapshot may be counted, not missed
        rows = rows_at_most(cursor)
        for (table,) in cursor.execute(_NAMES).fetchall():
            if rows.get(table, 0) <= SMALL:
                none = "" if table in rows else " LIMIT 0"
                cursor.execute(f'CREATE TEMP TABLE "{table}" AS FROM store."{table}"{none}')

    # --- the past, and the files -----------------------------------------------------------------

    def at(self, moment: int | datetime) -> LakeEngine:
        """Return an engine that reads the lake as it was: at a snapshot's number, or at a moment."""
        return LakeEngine(
            self.url, s3=self._s3, password=self._place.password, at=moment, read_only=True, **self._settings
        )

    def versions(self) -> pa.Table:
        """Return the snapshots that can be read: `version`, `created_at`."""
        return self.arrow(Statement(_VERSIONS, {}))

    def compact(
        self, drop: Callable[[], None], *, expire: timedelta | None = None, grace: timedelta | None = None
    ) -> tuple[int, int]:
        """Flush inlined rows, forget snapshots, merge small files, drop files that no snapshot needs.

        Files that are in no catalog, as a writer that was killed leaves them, go if they are this lake's: its folder
        has been its own from the beginning, and they are called as its files are.

        It takes the turn to write. Who reads meanwhile goes on with the files of his snapshot, which stay for
        `grace` (an hour unless told). The bytes are those of the files of the newest snapshot.
        """
        self._check_compacting()
        kept = _GRACE if grace is None else grace
        flush, *others = upkeep_sql(expire=expire, grace=kept)
        with self._writer:
            before = self._size()
            drop()
            with self._held(), self._turn(), translated(self.url):
                with self._one_thread():
                    self._cursor.execute(flush).fetchall()
                self._drop_orphans(kept)
                for sql in others:
                    self._cursor.execute(sql).fetchall()
            return before, self._size()

    def _drop_orphans(self, grace: timedelta) -> None:
        """Have the next clean-up remove the files of this lake that are older than `grace` and in no catalog."""
        if lake_folder.marked(self._cursor, self._folder) != self._identity():
            return
        found = [file for (file,) in self._cursor.execute(orphans_sql(grace)).fetchall()]
        tables = {table for (table,) in self._cursor.execute(_TABLES).fetchall()}
        files = lake_folder.written_by(found, self._folder, tables)
        if files:
            self._cursor.execute(_DROP_FILE, {"files": files})

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Let DuckDB work in one thread, whatever `threads` it was given.

        DuckLake flushes its tables side by side, and their threads add to one list without a lock (seen in 1.5.5):
        the process was aborted now and then, with its heap corrupted.
        """
        threads = self._asked("SELECT current_setting('threads')")
        self._cursor.execute("SET threads = 1")
        try:
            yield
        finally:
            self._cursor.execute(f"SET threads = {threads}")

    def _size(self) -> int:
        return int(self.rows(Statement(_BYTES, {}))[0][0])

    # --- the rest --------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Do nothing: what is committed is in the lake's files and its catalog."""

    def close(self) -> None:
        """Give the lake back; whatever was committed stays. A transaction of another thread is waited for.

        Raises `InvalidArgument` inside a transaction.
        """
        super().close()
        if not self.forked:
            self._turns.close()  # only now: a transaction of another thread that was waited for needed it
