"""What an engine offers, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from duckfeat.model.statement import Statement

if TYPE_CHECKING:
    import pyarrow as pa

Tracer = Callable[[str, Mapping[str, Any]], None]
Rows = list[tuple[Any, ...]]


class Engine(Protocol):
    """Runs statements on a store; reads from any thread, one writer at a time."""

    url: str
    read_only: bool
    generation: int
    """Counts commits, rollbacks, and `outside`: what was cached at another count may be out of date."""
    outside: int
    """Counts how often another process has written, or may have: all that was cached before is out of date."""
    joins_narrow: bool
    """Whether a join with few ids reads only the blocks of a table that have them, as it does from DuckDB 2 on."""

    def refresh(self) -> int:
        """Notice what other processes have written, and return `outside`; nobody else writes during a transaction."""

    @property
    def forked(self) -> bool:
        """Whether this process was forked after the store was opened, and so cannot use it."""

    @property
    def writing(self) -> bool:
        """Whether a transaction is open, in whichever thread."""

    def rows(self, statement: Statement) -> Rows:
        """Run a statement and return its rows as tuples."""

    def arrow(self, statement: Statement) -> pa.Table:
        """Run a statement and return its result as an Arrow table."""

    def batches(self, statement: Statement, batch_size: int) -> pa.RecordBatchReader:
        """Run a statement and return its result as a stream of batches; rows not yet taken are not in memory."""

    def to_parquet(self, statement: Statement, path: str, compression: str) -> None:
        """Run a statement and write its result, under the names its columns have, to a Parquet file."""

    def run(self, name: str, entity: str | None, /, **params: Any) -> Rows:
        """Run a named statement of `sql/queries` and return its rows."""

    def select(self, query: str, params: Any = None, *, trusted: bool = False) -> pa.Table:
        """Run one SELECT that somebody wrote by hand, reading this store only unless it is trusted."""

    def failing(self) -> dict[str, pa.Table]:
        """Run the integrity checks, all on one snapshot, and return the rows that break them, by check."""

    def write(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run a writing statement inside a transaction and return the number of rows it changed."""

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows into a table; `columns` maps names to SQL types."""

    def transaction(self) -> AbstractContextManager[None]:
        """Hold the writer lock and make what is written inside all or nothing; nests."""

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Have `undo` called if the current transaction, or the block of it that is being run, fails."""

    def on_end(self, call: Callable[[], None]) -> None:
        """Have `call` called when the current transaction has ended, committed or not."""

    def next_ids(self, table: str, count: int) -> int:
        """Return the first of `count` consecutive new ids of a table; call it inside a transaction."""

    def registered(self, name: str, data: Any) -> AbstractContextManager[str]:
        """Offer Arrow or Polars data as a table under `name` while the block runs."""

    def trace(self, tracer: Tracer) -> AbstractContextManager[None]:
        """Have `tracer` called with every statement that runs inside the block."""

    def checkpoint(self) -> None:
        """Write what is in the log into the store's file."""

    def compact(
        self, drop: Callable[[], None], *, expire: timedelta | None = None, grace: timedelta | None = None
    ) -> tuple[int, int]:
        """Have `drop` delete rows, make the store small and quick to read again, and return its bytes before and after.

        Raises `InvalidArgument` inside a transaction and `ReadOnlyStore` in a store for reading, with nothing dropped;
        see `Store.compact`.
        """

    def at(self, moment: int | datetime) -> Engine:
        """Return an engine that reads the store as it was.

        Raises `InvalidArgument` where the past is not kept.
        """

    def versions(self) -> pa.Table:
        """Return the snapshots that can be read: `version`, `created_at`.

        Raises `InvalidArgument` where the past is not kept.
        """

    def close(self) -> None:
        """Give the store back; whatever was committed stays."""
