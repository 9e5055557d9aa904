"""The embedded engine: one DuckDB file (or memory), one connection per thread, one writer at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from duckfeat.engine.base import Rows, Tracer
from duckfeat.engine.failures import translated
from duckfeat.engine.migrations import migrate
from duckfeat.engine.resources import session, statement
from duckfeat.errors import InvalidArgument, ReadOnlyStore, StoreClosed
from duckfeat.model.statement import BigList, Statement

if TYPE_CHECKING:
    import pyarrow as pa

STORAGE_VERSION = "v1.5.0"
"""The storage format of new files, which every supported DuckDB opens."""

_SETTINGS = ("memory_limit", "temp_directory", "threads")
_UNNEST_LIMIT = 200
_MACROS = {"memory.main.casefold(": "casefold"}


class EmbeddedEngine:
    """DuckDB inside this process, on a file or in memory."""

    def __init__(self, path: str = ":memory:", *, read_only: bool = False, **settings: Any) -> None:
        self.url = path
        self.read_only = read_only
        self.generation = 0
        self._owner = os.getpid()
        self._local = threading.local()
        self._writer = threading.RLock()
        self._depth = 0
        self._undo: list[Callable[[], None]] = []
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
    def _cursor(self) -> duckdb.DuckDBPyConnection:
        if self._closed:
            raise StoreClosed(f"the store {self.url} was closed; connect to it again", path=self.url)
        if os.getpid() != self._owner:
            message = "the store was opened before this process was forked; connect again in the child process"
            raise StoreClosed(message, path=self.url)
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._root.cursor()
            cursor.execute("USE store")
            self._local.cursor = cursor
        return cursor

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return this thread's connection, for what only DuckDB itself can do."""
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
                cursor.execute(session(name))
                self._macros.add(name)
        return cursor

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
            return cursor.execute(statement.sql, dict(statement.params)).fetchall()

    def arrow(self, statement: Statement) -> pa.Table:
        """Run a statement and return its result as an Arrow table."""
        cursor = self._ready(statement.sql, statement.params)
        with self._with_lists(statement.lists), translated(self.url):
            return cursor.sql(statement.sql, params=dict(statement.params)).to_arrow_table()

    def batches(self, statement: Statement, batch_size: int) -> Iterator[pa.RecordBatch]:
        """Run a statement and yield its result in batches; rows not yet taken are not in memory."""
        self._ready(statement.sql, statement.params)
        cursor = self._root.cursor()
        cursor.execute("USE store")
        for name, items in statement.lists.items():
            cursor.register(name, _arrow_list(items))
        try:
            with translated(self.url):
                relation = cursor.sql(statement.sql, params=dict(statement.params))
                yield from relation.to_arrow_reader(batch_size)
        finally:
            cursor.close()

    def run(self, name: str, entity: str | None, /, **params: Any) -> Rows:
        """Run a named statement of `sql/queries` and return its rows."""
        sql = statement(name, entity)
        cursor = self._ready(sql, params)
        with translated(self.url):
            return cursor.execute(sql, params).fetchall()

    def write(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run a writing statement inside a transaction and return the number of rows it changed."""
        if not self._depth:
            raise InvalidArgument("a write needs a transaction")
        cursor = self._ready(sql, params or {})
        with translated(self.url):
            found = cursor.execute(sql, dict(params or {})).fetchall()
        return int(found[0][0]) if found and isinstance(found[0][0], int) else 0

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows into a table; `columns` maps names to SQL types."""
        if not rows:
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

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the writer lock and make what is written inside all or nothing; nests."""
        if self.read_only:
            raise ReadOnlyStore(f"{self.url} is open for reading only", path=self.url)
        with self._writer:
            self._depth += 1
            try:
                if self._depth > 1:
                    yield
                else:
                    yield from self._outermost()
            finally:
                self._depth -= 1

    def _outermost(self) -> Iterator[None]:
        cursor = self._cursor
        with translated(self.url):
            cursor.execute("BEGIN")
        self._undo = []
        try:
            yield
            with translated(self.url):
                cursor.execute("COMMIT")
        except BaseException:
            self._roll_back(cursor)
            raise
        finally:
            self.generation += 1

    def _roll_back(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._last_ids.clear()
        for undo in reversed(self._undo):
            undo()
        try:
            cursor.execute("ROLLBACK")
        except duckdb.TransactionException:
            return  # DuckDB has rolled back by itself, as it does when a commit fails

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Have `undo` called if the current transaction does not commit."""
        self._undo.append(undo)

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
        """Give the store back; whatever was committed stays."""
        if not self._closed and os.getpid() == self._owner:
            self._root.close()
        self._closed = True


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
