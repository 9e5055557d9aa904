"""The embedded engine: one DuckDB file (or memory), one connection per thread, one writer at a time."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from duckfeat.engine.base import Rows, Tracer
from duckfeat.engine.failures import translated
from duckfeat.engine.migrations import migrate
from duckfeat.engine.resources import session, statement, writes
from duckfeat.errors import IntegrityError, InvalidArgument, ReadOnlyStore, StoreClosed
from duckfeat.model.statement import BigList, Statement

if TYPE_CHECKING:
    import pyarrow as pa

STORAGE_VERSION = "v1.5.0"
"""The storage format of new files, which every supported DuckDB opens."""

_SETTINGS = ("memory_limit", "temp_directory", "threads")
_UNNEST_LIMIT = 200
_MACROS = {"memory.main.casefold(": "casefold"}


@dataclass(slots=True)
class _Transaction:
    """The open transaction: whose it is, what undoes and what follows it, and whether a part of it failed."""

    thread: int
    undo: list[Callable[[], None]] = field(default_factory=list)
    then: list[Callable[[], None]] = field(default_factory=list)
    writes: int = 0
    broken: bool = False

    def take_back(self, mark: int) -> None:
        """Undo what was noted since `mark`, the latest first."""
        while len(self.undo) > mark:
            self.undo.pop()()


class EmbeddedEngine:
    """DuckDB inside this process, on a file or in memory."""

    def __init__(self, path: str = ":memory:", *, read_only: bool = False, **settings: Any) -> None:
        self.url = path
        self.read_only = read_only
        self.generation = 0
        self._owner = os.getpid()
        self._local = threading.local()
        self._writer = threading.RLock()
        self._open: _Transaction | None = None
        self._last_ids: dict[str, int] = {}
        self._tracers: list[Tracer] = []
        self._macros: set[str] = set()
        self._closed = False
        with translated(path):
            self._root = duckdb.connect(":memory:", config=_config(settings))
            try:
                self._attach()
                migrate(self, existed=self._existed)
            except BaseException:
                self._root.close()
                raise
        _ENGINES.add(self)

    def _attach(self) -> None:
        path = Path(self.url)
        self._existed = self.url != ":memory:" and path.exists() and path.stat().st_size > 0
        options = ["READ_ONLY"] if self.read_only else []
        if not self._existed:
            options.append(f"STORAGE_VERSION '{STORAGE_VERSION}'")
        place = self.url.replace("'", "''")
        listed = f" ({', '.join(options)})" if options else ""
        self._root.execute(f"ATTACH '{place}' AS store{listed}")
        self._root.execute("SET GLOBAL TimeZone = 'UTC'")
        self._root.execute("USE store")
        self._local.cursor = self._root

    def detach(self) -> None:
        """Let go of the file for a moment, as a backup copy needs."""
        self._root.execute("USE memory")
        self._root.execute("DETACH store")

    def attach(self) -> None:
        """Take the file again after `detach`."""
        self._attach()

    @property
    def forked(self) -> bool:
        """Whether this process was forked after the store was opened, and so cannot use it."""
        return os.getpid() != self._owner

    def _check_usable(self) -> None:
        if self._closed:
            raise StoreClosed(f"the store {self.url} was closed; connect to it again", path=self.url)
        if self.forked:
            message = "the store was opened before this process was forked; connect again in the child process"
            raise StoreClosed(message, path=self.url)

    @property
    def _cursor(self) -> duckdb.DuckDBPyConnection:
        self._check_usable()
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._root.cursor()
            cursor.execute("USE store")
            self._local.cursor = cursor
        return cursor

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return this thread's connection, for what only DuckDB itself can do."""
        self._note_write()
        return self._cursor

    def select(self, query: str, params: Any = None) -> pa.Table:
        """Run one SELECT that somebody wrote by hand and return its result.

        Raises `InvalidArgument` for several statements, or one that does more than read.
        """
        with translated(self.url):
            found = duckdb.extract_statements(query)
        if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
            raise InvalidArgument("sql() takes one SELECT; to write, use the registries", query=query)
        given = dict(params) if isinstance(params, Mapping) else list(params or [])
        cursor = self._ready(query, given if isinstance(given, dict) else {})
        with translated(self.url):
            return cursor.sql(query, params=given or None).to_arrow_table()

    def _ready(self, sql: str, params: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        for tracer in self._tracers:
            tracer(sql, params)
        cursor = self._cursor
        for marker, name in _MACROS.items():
            if name not in self._macros and marker in sql:
                self._add_macro(name)
        return cursor

    def _add_macro(self, name: str) -> None:
        """Create a macro on a connection of its own: a transaction may write to one database only."""
        with self._root.cursor() as aside:
            aside.execute(session(name))
        self._macros.add(name)

    @contextmanager
    def _with_lists(self, lists: Mapping[str, BigList]) -> Iterator[None]:
        if not lists:
            yield
            return
        cursor = self._cursor
        for name, items in lists.items():
            cursor.register(name, _arrow_list(items))
        try:
            yield
        finally:
            for name in lists:
                cursor.unregister(name)

    def rows(self, statement: Statement) -> Rows:
        """Run a statement and return its rows as tuples."""
        cursor = self._ready(statement.sql, statement.params)
        with self._with_lists(statement.lists), translated(self.url):
            return cursor.execute(statement.sql, _bindable(statement.params)).fetchall()

    def arrow(self, statement: Statement) -> pa.Table:
        """Run a statement and return its result as an Arrow table."""
        cursor = self._ready(statement.sql, statement.params)
        with self._with_lists(statement.lists), translated(self.url):
            return cursor.sql(statement.sql, params=_bindable(statement.params)).to_arrow_table()

    def batches(self, statement: Statement, batch_size: int) -> Iterator[pa.RecordBatch]:
        """Run a statement and yield its result in batches; rows not yet taken are not in memory."""
        self._ready(statement.sql, statement.params)
        cursor = self._root.cursor()
        cursor.execute("USE store")
        for name, items in statement.lists.items():
            cursor.register(name, _arrow_list(items))
        try:
            with translated(self.url):
                relation = cursor.sql(statement.sql, params=_bindable(statement.params))
                yield from relation.to_arrow_reader(batch_size)
        finally:
            cursor.close()

    def run(self, name: str, entity: str | None, /, **params: Any) -> Rows:
        """Run a named statement of `sql/queries` and return its rows."""
        sql = statement(name, entity)
        if writes(sql):
            self._note_write()
        cursor = self._ready(sql, params)
        with translated(self.url):
            return cursor.execute(sql, _bindable(params)).fetchall()

    def write(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run a writing statement inside a transaction and return the number of rows it changed."""
        if not self.in_transaction:
            raise InvalidArgument("a write needs a transaction")
        self._note_write()
        cursor = self._ready(sql, params or {})
        with translated(self.url):
            found = cursor.execute(sql, _bindable(params or {})).fetchall()
        return int(found[0][0]) if found and isinstance(found[0][0], int) else 0

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows into a table; `columns` maps names to SQL types."""
        if not rows:
            return
        if len(rows) == 1:
            given = {name: value for name, value in zip(columns, rows[0], strict=True) if value is not None}
            values = ", ".join(f"${name}::{columns[name]}" for name in given)
            self.write(f"INSERT INTO {table} ({', '.join(given)}) VALUES ({values})", given)
            return
        listed = list(zip(*rows, strict=True))
        names = ", ".join(columns)
        if len(rows) > _UNNEST_LIMIT:
            with self.registered("inserted_rows", _arrow_rows(columns, listed)):
                self.write(f"INSERT INTO {table} ({names}) SELECT {names} FROM inserted_rows")
            return
        unnested = ", ".join(f"unnest($c{i}::{type_}[])" for i, type_ in enumerate(columns.values()))
        params = {f"c{i}": list(column) for i, column in enumerate(listed)}
        self.write(f"INSERT INTO {table} ({names}) SELECT {unnested}", params)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        return self._open is not None and self._open.thread == threading.get_ident()

    def _note_write(self) -> None:
        if self._open is None or not self.in_transaction:
            return
        if self._open.broken:
            raise _broken()
        self._open.writes += 1

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the writer lock and make what is written inside all or nothing; nests.

        When an inner block fails after it wrote something, the outer one cannot go on: DuckDB has no savepoints.
        Whoever catches that failure inside gets `IntegrityError` from the next write, and at the end.
        """
        self._check_usable()
        if self.read_only:
            raise ReadOnlyStore(f"{self.url} is open for reading only", path=self.url)
        with self._writer:
            if self._open is None:
                yield from self._outermost()
            else:
                yield from self._nested(self._open)

    @property
    def writing(self) -> bool:
        """Whether a transaction is open, in whichever thread."""
        return self._open is not None

    def _outermost(self) -> Iterator[None]:
        cursor = self._cursor
        with translated(self.url):
            cursor.execute("BEGIN")
        self._open = opened = _Transaction(threading.get_ident())
        try:
            yield
            self._commit(cursor, opened)
        except BaseException:
            self._roll_back(cursor, opened)
            raise
        finally:
            self._open = None
            self.generation += 1
            for call in opened.then:
                call()

    def _nested(self, opened: _Transaction) -> Iterator[None]:
        mark, written = len(opened.undo), opened.writes
        try:
            yield
        except BaseException:
            opened.take_back(mark)
            opened.broken |= opened.writes > written
            raise

    def _commit(self, cursor: duckdb.DuckDBPyConnection, opened: _Transaction) -> None:
        if opened.broken:
            raise _broken()
        with translated(self.url):
            # DuckDB takes a COMMIT of a transaction that an error has aborted, and keeps nothing of it.
            cursor.execute("SELECT 1")
            cursor.execute("COMMIT")

    def _roll_back(self, cursor: duckdb.DuckDBPyConnection, opened: _Transaction) -> None:
        self._last_ids.clear()
        opened.take_back(0)
        try:
            cursor.execute("ROLLBACK")
        except duckdb.TransactionException:
            return  # DuckDB has rolled back by itself, as it does when a commit fails

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Have `undo` called if the current transaction, or the block of it that is being run, fails."""
        if self._open is not None:
            self._open.undo.append(undo)

    def on_end(self, call: Callable[[], None]) -> None:
        """Have `call` called when the current transaction has ended, committed or not."""
        if self._open is not None:
            self._open.then.append(call)

    def next_ids(self, table: str, count: int) -> int:
        """Return the first of `count` consecutive new ids of a table; call it inside a transaction."""
        last = self._last_ids.get(table)
        if last is None:
            sql = (
                f"SELECT greatest(coalesce((SELECT max(id) FROM {table}), 0), "
                "coalesce((SELECT max(last_id) FROM id_floors WHERE table_name = $name), 0))"
            )
            last = int(self.rows(Statement(sql, {"name": table}))[0][0])
        self._last_ids[table] = last + count
        return last + 1

    @contextmanager
    def registered(self, name: str, data: Any) -> Iterator[str]:
        """Offer Arrow or Polars data as a table under `name` while the block runs."""
        cursor = self._cursor
        with translated(self.url):
            cursor.register(name, data)
        try:
            yield name
        finally:
            cursor.unregister(name)

    @contextmanager
    def trace(self, tracer: Tracer) -> Iterator[None]:
        """Have `tracer` called with every statement that runs inside the block."""
        self._tracers.append(tracer)
        try:
            yield
        finally:
            self._tracers.remove(tracer)

    def checkpoint(self) -> None:
        """Write what is in the log into the store's file."""
        with self._writer, translated(self.url):
            self._cursor.execute("CHECKPOINT store")

    def close(self) -> None:
        """Give the store back; whatever was committed stays. A transaction of another thread is waited for.

        Raises `InvalidArgument` inside a transaction.
        """
        if self._closed or self.forked:
            self._closed = True
            return
        if self.in_transaction:
            raise InvalidArgument("the store cannot be closed inside a transaction", path=self.url)
        with self._writer:
            self._root.close()
            self._closed = True


_ENGINES: weakref.WeakSet[EmbeddedEngine] = weakref.WeakSet()
_INHERITED: list[EmbeddedEngine] = []


def _keep_inherited() -> None:
    """Keep the parent's engines alive in a forked child: taking one apart waits for threads that are not there."""
    _INHERITED.extend(_ENGINES)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_inherited)


def _broken() -> IntegrityError:
    return IntegrityError("a part of this transaction failed halfway: nothing of it is kept, leave the block")


def _config(settings: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(settings) - set(_SETTINGS)
    if unknown:
        raise InvalidArgument(f"unknown setting {min(unknown)!r}; there are: {', '.join(_SETTINGS)}")
    config: dict[str, Any] = {
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
        "python_enable_replacements": "false",
    }
    return config | {name: str(value) for name, value in settings.items() if value is not None}


def _bindable(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as DuckDB takes them whole: 1.5 reads a NaN inside a list as missing, but not its text."""
    return {name: _with_nan(value) if isinstance(value, list) else value for name, value in params.items()}


def _with_nan(items: list[Any]) -> list[Any]:
    if not any(isinstance(item, float) and math.isnan(item) for item in items):
        return items
    return [None if item is None else repr(item) for item in items]


_ARROW_TYPES = {
    "BIGINT": "int64",
    "DOUBLE": "float64",
    "VARCHAR": "string",
    "BOOLEAN": "bool",
    "DATE": "date32",
    "TIMESTAMP": "timestamp_us",
    "TIMESTAMP WITH TIME ZONE": "timestamp_utc",
}


def _arrow_type(sql_type: str) -> pa.DataType:
    import pyarrow

    name = _ARROW_TYPES[sql_type]
    if name.startswith("timestamp"):
        return pyarrow.timestamp("us", tz="UTC" if name.endswith("utc") else None)
    return pyarrow.type_for_alias(name)


def _arrow_list(items: BigList) -> pa.Table:
    import pyarrow

    return pyarrow.table({"item": pyarrow.array(items.items, _arrow_type(items.sql_type))})


def _arrow_rows(columns: Mapping[str, str], listed: Sequence[Sequence[Any]]) -> pa.Table:
    import pyarrow

    pairs = zip(columns.items(), listed, strict=True)
    return pyarrow.table({name: pyarrow.array(column, _arrow_type(type_)) for (name, type_), column in pairs})
