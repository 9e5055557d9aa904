"""What every engine on DuckDB shares: a connection per thread, statements, ids, macros; where the data is, is theirs.

An engine is this class with answers to a few questions, its hooks: how the store is attached (`_attach`), what is
held while it is used (`_held`) and while it is written to (`_turn`), whether others have written (`_look`, which
calls `_notice`), and which failures pass (`_transient`).
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import duckdb

from duckfeat.engine.base import Rows, Tracer
from duckfeat.engine.binding import arrow_list, arrow_rows, bindable, parameter
from duckfeat.engine.catalog import PATH, RECORDED, Kind
from duckfeat.engine.configuring import config
from duckfeat.engine.failures import translate, translated, understood
from duckfeat.engine.files import whole
from duckfeat.engine.parsing import asked, executed, let_go, roll_back
from duckfeat.engine.paths import quoted
from duckfeat.engine.reading import Known, check_reading, check_select
from duckfeat.engine.resources import checks, session, statement, tables, views, writes
from duckfeat.engine.transactions import Transactions
from duckfeat.engine.version import MAJOR
from duckfeat.errors import InvalidArgument, StoreClosed
from duckfeat.model.arguments import check_callable, nests_beyond, several, shown, text
from duckfeat.model.statement import BigList, Statement

if TYPE_CHECKING:
    import pyarrow as pa

_UNNEST_LIMIT = 200
_MACROS = {"memory.main.casefold(": "casefold"}
# A statement is tried so often in all, with a pause of so many seconds, doubled from try to try, between.
_ATTEMPTS, _PAUSE = 8, 0.005
_Result = TypeVar("_Result")


class DuckEngine(Transactions):
    """A DuckDB inside this process, with the store attached as database `store`."""

    _transient: tuple[str, ...] = ()
    """Parts of DuckDB's messages for failures that pass: the statement is run again outside a transaction."""
    options: ClassVar[tuple[str, ...]] = ("read_only",)
    """What an engine takes beside the settings of DuckDB."""
    joins_narrow = MAJOR > 1
    kind: ClassVar[Kind]
    """What tells which tables the store has, and which it should have."""

    def __init__(self, url: str, *, read_only: bool = False, **settings: Any) -> None:
        super().__init__()
        self.url = url
        self.read_only = read_only
        self._owner = os.getpid()
        self._local = threading.local()
        self._last_ids: dict[str, int] = {}
        self._ids_outside = 0
        self._tracers: list[Tracer] = []
        self._macros: set[str] = set()
        self.made = self.alone = False
        self._known: Known | None = None
        self._closed = False
        with translated(url):
            self._root = duckdb.connect(":memory:", config=config(settings, self.options))
            self._local.cursor, self._local.views = self._root, set()
            try:
                self._attach()
                self._prepare()
            except BaseException:
                self._root.close()
                raise
        _ENGINES.add(self)

    # --- hooks -----------------------------------------------------------------------------------

    @abstractmethod
    def _attach(self) -> None:
        """Attach the store to `_root` as `store` and make that the default database."""

    @abstractmethod
    def _prepare(self) -> None:
        """Bring the attached store to this program's schema."""

    def _look(self) -> None:
        """Find out whether other processes have written since the last look, and call `_notice` if so."""

    def _nearest(self, sql: str, *, apart: bool) -> AbstractContextManager[duckdb.DuckDBPyConnection | None] | None:
        """Give a connection that finds what a statement names nearer than in the store, as it was at the last look.

        It is used by nobody else if it is to be `apart`. None where there is nothing nearer.
        """

    def _gather(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Prepare a transaction that only reads for statements that read every table, and some of them often."""

    # --- connections -----------------------------------------------------------------------------

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
            cursor = self._local.cursor = self._new_cursor()
            self._local.views = set()
        return cursor

    def _new_cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = self._root.cursor()
        cursor.execute(PATH)
        return cursor

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return this thread's connection, for what only DuckDB itself can do; call it inside a transaction."""
        self._note_write()
        self._doubt()  # an error there is not seen here
        return self._cursor

    def refresh(self) -> int:
        """Notice what other processes have written, and return how often they may have (`outside`).

        Inside a transaction nobody else writes.
        """
        if not self.in_transaction:
            self._check_usable()
            with self._held():
                self._look()
        return self.outside

    # --- statements ------------------------------------------------------------------------------

    def _execute(
        self,
        sql: str,
        params: Mapping[str, Any],
        fetch: Callable[[duckdb.DuckDBPyConnection], _Result],
        lists: Mapping[str, BigList] | None = None,
        *,
        looked: bool = False,
    ) -> _Result:
        """Have `fetch` run a statement on this thread's connection; traced, with its macros, errors translated."""
        for tracer in self._tracers:
            tracer(sql, params)
        self._check_usable()

        def execute() -> _Result:
            with self._reader(sql, looked=looked) as cursor, _offered(cursor, lists or {}):
                try:
                    return fetch(cursor)
                except BaseException:
                    let_go(cursor)
                    raise

        return self._tried(execute)

    def _answered(self, statement: Statement, fetch: Callable[[duckdb.DuckDBPyConnection], _Result]) -> _Result:
        return self._execute(statement.sql, statement.params, fetch, statement.lists, looked=statement.looked)

    def _tried(self, call: Callable[[], _Result]) -> _Result:
        """Return what `call` returns; outside a transaction it is called again after a failure that passes."""
        attempt = 0
        while True:
            with self._held(), self._doubted(), understood():
                attempt += 1
                try:
                    return call()
                except duckdb.Error as error:
                    if self.in_transaction or not self._passes(error, attempt):
                        raise translate(error, self.url) from error
            time.sleep(_PAUSE * 2**attempt)

    def _passes(self, error: duckdb.Error, attempt: int) -> bool:
        """Tell whether a failure is one that passes, and worth another try."""
        return attempt < _ATTEMPTS and any(part in str(error) for part in self._transient)

    @contextmanager
    def _reader(self, sql: str, *, looked: bool, apart: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give the connection that a statement is to run on, this thread's or one `apart`, with what it needs."""
        found = self._nearest(sql, apart=apart) if looked and not self.in_transaction else None
        with found or nullcontext() as near:
            if near is not None:
                self._add_macros(sql)
                yield near
            elif apart:
                with self._new_cursor() as cursor:
                    self._add(sql, cursor)
                    yield cursor
            else:
                self._add(sql)
                yield self._cursor

    def _add(self, sql: str, cursor: duckdb.DuckDBPyConnection | None = None) -> None:
        """Create what a statement needs that is no part of the store: macros, and views of the connection's own.

        Macros are created on a connection of their own: a transaction may write to one database only.
        """
        self._add_macros(sql)
        self._add_views({name for name in views() if name in sql}, cursor)

    def _add_macros(self, sql: str) -> None:
        for marker, name in _MACROS.items():
            if name not in self._macros and marker in sql:
                with self._root.cursor() as aside:
                    aside.execute(session(name))
                self._macros.add(name)

    def _add_views(self, names: AbstractSet[str], cursor: duckdb.DuckDBPyConnection | None = None) -> None:
        """Give a connection, this thread's unless told, views of the migrations' text, whatever those of the store are.

        Functions in a view of the store would be looked up in the store first.
        """
        if not names:
            return
        target = cursor or self._cursor
        added: set[str] = self._local.views if cursor is None else set()
        for name in sorted(names - added):
            target.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {views()[name]}")
            added.add(name)

    def select(self, query: str, params: Any = None, *, trusted: bool = False) -> pa.Table:
        """Run one SELECT that somebody wrote by hand and return its result.

        Raises `InvalidArgument` for several statements, for one that does more than read, and, unless it is
        `trusted`, for one that reads anything but the store.
        """
        query = text(query, "what sql() takes")
        with translated(self.url):
            check_select(query)
            if not trusted:
                with self.aside() as aside:
                    self._known = self._known or Known.of(aside, tables() | {RECORDED}, views())
                    check_reading(aside, query, self._known)
        if nests_beyond(params):
            raise InvalidArgument(f"the parameters are nested too deeply, or hold themselves: {shown(params)}")
        named = params if isinstance(params, Mapping) else {}
        listed = [] if params is named or params is None else list(map(parameter, several(params, "parameters")))
        traced = {name: parameter(value) for name, value in named.items()}

        def read(cursor: duckdb.DuckDBPyConnection) -> pa.Table:
            self._add_views(set(views()))  # a name may be written in many ways
            with self._only_reading(cursor):
                return asked(cursor, query, traced or listed).to_arrow_table()

        return self._execute(query, traced, read)

    def failing(self) -> dict[str, pa.Table]:
        """Run the integrity checks, all on one snapshot, and return the rows that break them, by check.

        Inside a transaction they see what that has written.
        """
        for sql in checks().values():
            for tracer in self._tracers:
                tracer(sql, {})
        self._check_usable()

        def read() -> dict[str, pa.Table]:
            self._add_views(set(views()))
            with self._only_reading(self._cursor) as cursor:
                if not self.in_transaction:
                    self._gather(cursor)
                # A row itself would be read by Python, which has no time zones without a package more.
                exists = {
                    name: f"SELECT EXISTS (FROM ({sql.rstrip().removesuffix(';')}))" for name, sql in checks().items()
                }
                failed = [name for name, sql in exists.items() if executed(cursor, sql, {}).fetchall()[0][0]]
                return {name: cursor.sql(checks()[name]).to_arrow_table() for name in failed}

        return self._tried(read)

    @contextmanager
    def _only_reading(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
        """Have DuckDB refuse every write in the block; inside a transaction it shows what that has written."""
        if self.in_transaction:
            yield cursor
            return
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        try:
            yield cursor
        finally:
            roll_back(cursor)

    @contextmanager
    def aside(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection of its own, outside every transaction, while the block runs."""
        self._check_usable()
        with self._held(), self._root.cursor() as cursor:
            yield cursor

    def rows(self, statement: Statement) -> Rows:
        """Run a statement and return its rows as tuples."""
        sql, params = statement.sql, bindable(statement.params)
        return self._answered(statement, lambda cursor: executed(cursor, sql, params).fetchall())

    def arrow(self, statement: Statement) -> pa.Table:
        """Run a statement and return its result as an Arrow table."""
        sql, params = statement.sql, bindable(statement.params)
        return self._answered(statement, lambda cursor: asked(cursor, sql, params).to_arrow_table())

    def batches(self, statement: Statement, batch_size: int) -> pa.RecordBatchReader:
        """Run a statement and return its result as a stream of batches; rows not yet taken are not in memory.

        Inside a transaction, whose writes no other connection sees, the result is fetched whole.
        """
        import pyarrow

        if self.in_transaction:
            return self.arrow(statement).to_reader(batch_size)
        for tracer in self._tracers:
            tracer(statement.sql, statement.params)
        self._check_usable()
        stream = self._stream(statement, batch_size)
        schema: Any = next(stream)
        return pyarrow.RecordBatchReader.from_batches(schema, stream)

    def _stream(self, statement: Statement, batch_size: int) -> Iterator[Any]:
        """Yield the schema of a result, then its batches, on a connection that is closed behind them."""
        sql = statement.sql
        with (
            self._held(),
            translated(self.url),
            self._reader(sql, looked=statement.looked, apart=True) as cursor,
            _offered(cursor, statement.lists),
        ):
            reader: Any = asked(cursor, sql, bindable(statement.params)).to_arrow_reader(batch_size)
            yield reader.schema
            try:
                yield from reader
            except OSError as error:  # what Arrow makes of an error of DuckDB's in the middle of a stream
                raise translate(error, self.url) from error

    def to_parquet(self, statement: Statement, path: str, compression: str) -> None:
        """Run a statement and write its result to a Parquet file, whole, without it passing through Python."""
        params = bindable(statement.params)
        with whole(Path(path).resolve()) as written:  # a link stays one
            sql = f"COPY ({statement.sql}) TO {quoted(str(written))} (FORMAT parquet, COMPRESSION {compression})"
            self._answered(replace(statement, sql=sql), lambda cursor: cursor.execute(sql, params))

    def run(self, name: str, entity: str | None, /, **params: Any) -> Rows:
        """Run a named statement of `sql/queries` and return its rows."""
        sql = statement(name, entity)
        if writes(sql):
            self._note_write()
        bound = bindable(params)
        return self._execute(sql, params, lambda cursor: executed(cursor, sql, bound).fetchall())

    def write(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run a writing statement inside a transaction and return the number of rows it changed."""
        if not self.in_transaction:
            raise InvalidArgument("a write needs a transaction")
        self._note_write()
        bound = bindable(params or {})
        found = self._execute(sql, params or {}, lambda cursor: executed(cursor, sql, bound).fetchall())
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
            with self.registered("inserted_rows", arrow_rows(columns, listed)):
                self.write(f"INSERT INTO {table} ({names}) SELECT {names} FROM inserted_rows")
            return
        unnested = ", ".join(f"unnest($c{i}::{type_}[])" for i, type_ in enumerate(columns.values()))
        params = {f"c{i}": list(column) for i, column in enumerate(listed)}
        self.write(f"INSERT INTO {table} ({names}) SELECT {unnested}", params)

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
        with self._held():
            cursor = self._cursor
            with translated(self.url), self._doubted():
                cursor.register(name, data)
            try:
                yield name
            finally:
                if not _forgotten(cursor, name):
                    self.on_end(partial(_forget, cursor, name))

    # --- transactions ----------------------------------------------------------------------------

    @contextmanager
    def defining(self) -> Iterator[None]:
        """Have what the block creates come into the store, for migrations."""
        cursor = self._cursor
        self._local.views = set(views())  # a text that makes one needs none
        cursor.execute("USE store")
        yield
        cursor.execute(PATH)
        self._local.views = set()

    def _begin(self) -> None:
        with translated(self.url):
            self._cursor.execute("BEGIN")
        # Only here, where no id is handed out: ids given in an open transaction may not be in its tables yet.
        if self._ids_outside != self.outside:
            self._last_ids.clear()
            self._ids_outside = self.outside

    def _commit(self) -> None:
        with translated(self.url):
            if self._doubtful:
                # DuckDB takes a COMMIT of a transaction that an error has aborted, and keeps nothing of it.
                self._cursor.execute("SELECT 1")
            self._cursor.execute("COMMIT")

    def _roll_back(self) -> None:
        self._last_ids.clear()
        self._local.views = set()  # those of the transaction's own went with it
        roll_back(self._cursor)

    # --- the rest --------------------------------------------------------------------------------

    @contextmanager
    def trace(self, tracer: Tracer) -> Iterator[None]:
        """Have `tracer` called with every statement that runs inside the block."""
        check_callable(tracer, "tracer")
        self._tracers.append(tracer)
        try:
            yield
        finally:
            self._tracers.remove(tracer)

    def _check_compacting(self) -> None:
        """Raise `ReadOnlyStore` or `InvalidArgument` where a store cannot be made small."""
        self._check_usable()
        self._check_writable()
        if self.in_transaction:
            raise InvalidArgument("the store cannot be compacted inside a transaction", path=self.url)

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


_ENGINES: weakref.WeakSet[DuckEngine] = weakref.WeakSet()
_INHERITED: list[DuckEngine] = []


def _keep_inherited() -> None:
    """Keep the parent's engines alive in a forked child: taking one apart waits for threads that are not there."""
    _INHERITED.extend(_ENGINES)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_inherited)


@contextmanager
def _offered(cursor: duckdb.DuckDBPyConnection, lists: Mapping[str, BigList]) -> Iterator[None]:
    """Offer long lists as tables while the block runs."""
    for name, items in lists.items():
        cursor.register(name, arrow_list(items))
    try:
        yield
    finally:
        for name in lists:
            _forgotten(cursor, name)


def _forget(cursor: duckdb.DuckDBPyConnection, name: str) -> None:
    cursor.unregister(name)


def _forgotten(cursor: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Take back a table that was offered, and tell whether that was possible.

    A transaction that an error has aborted takes no statement, and the error is what is to be told.
    """
    try:
        _forget(cursor, name)
    except duckdb.TransactionException:
        return False
    return True
