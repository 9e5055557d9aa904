"""Transactions of an engine: one writer at a time, blocks that nest, and what undoes and follows them."""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from duckfeat.errors import IntegrityError, ReadOnlyStore


@dataclass(slots=True)
class _Transaction:
    """The open transaction: whose it is, what undoes and what follows it, and how it stands.

    It is `broken` when a part of it failed that wrote something, `doubtful` when the database may have aborted it.
    `blocks` are open inside it; `task` is the asyncio task that began it, if one did.
    """

    thread: int
    task: Any = None
    blocks: int = 0
    undo: list[Callable[[], None]] = field(default_factory=list)
    then: list[Callable[[], None]] = field(default_factory=list)
    writes: int = 0
    broken: bool = False
    doubtful: bool = False

    @property
    def _task_awaits(self) -> bool:
        """Whether it is of another task of this thread, which awaits something inside its block."""
        return self.task is not None and not self.task.done() and self.task is not _task()

    def check_mine(self) -> None:
        """Raise `IntegrityError` for another task than the one it is of: it would share what is kept or not.

        A task that was begun inside the block takes part in it; a thread that was begun there would wait for ever.
        """
        begun_inside = _INSIDE.get() is self
        elsewhere = self.thread != threading.get_ident()
        if begun_inside if elsewhere else (self._task_awaits and not begun_inside):
            raise IntegrityError(
                f"a transaction is open in {'the thread that began this one' if elsewhere else 'another task'}, which "
                "awaits something inside the block: a transaction is of one thread and task, so run the whole block "
                "in a function without `await`, as with asyncio.to_thread(function)"
            )

    def take_back(self, mark: int) -> None:
        """Undo what was noted since `mark`, the latest first."""
        while len(self.undo) > mark:
            self.undo.pop()()


_INSIDE: ContextVar[_Transaction | None] = ContextVar("transaction", default=None)
"""The transaction in whose block this code, or what began its task or thread, runs."""


def _task() -> Any:
    """Return the asyncio task that runs in this thread; None if there is none."""
    asyncio = sys.modules.get("asyncio")
    running = asyncio is not None and asyncio._get_running_loop() is not None
    return asyncio.current_task() if asyncio is not None and running else None


class Transactions(ABC):
    """The part of an engine that knows whose turn it is to write, and what happens when the turn ends."""

    url: str
    read_only: bool

    def __init__(self) -> None:
        self.generation = 0
        self.outside = 0
        self._writer = threading.RLock()
        self._open: _Transaction | None = None

    # --- what an engine says about itself --------------------------------------------------------

    @abstractmethod
    def _begin(self) -> None:
        """Begin a transaction of the database on this thread's connection."""

    @abstractmethod
    def _commit(self) -> None:
        """Commit it; after an error nothing of it is kept."""

    @abstractmethod
    def _roll_back(self) -> None:
        """Roll it back, also when the database has done so by itself."""

    def _held(self) -> AbstractContextManager[object]:
        """Return what is held while a connection is in use; nests, and spans a whole transaction."""
        return nullcontext()

    def _turn(self) -> AbstractContextManager[object]:
        """Return what is held around an outermost transaction, so that no other process writes meanwhile.

        It starts before the transaction sees anything. An engine that finds that others have written since it last
        had the turn calls `_notice` here.
        """
        return nullcontext()

    def _notice(self) -> None:
        """Note that another process has written, or may have: what was cached may be out of date."""
        self.outside += 1
        self.generation += 1

    # --- what its users do -----------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        return self._open is not None and self._open.thread == threading.get_ident()

    @property
    def writing(self) -> bool:
        """Whether a transaction is open, in whichever thread."""
        return self._open is not None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the writer lock and make what is written inside all or nothing; nests.

        When an inner block fails after it wrote something, the outer one cannot go on: DuckDB has no savepoints.
        Whoever catches that failure inside gets `IntegrityError` from the next write, and at the end. Another task of
        asyncio gets it as long as the block awaits something, and so does a block that ends before one inside it does.
        """
        self._check_usable()
        self._check_writable()
        if self._open is not None:
            self._open.check_mine()
        with self._writer:
            if self._open is not None:
                yield from self._nested(self._open)
                return
            with self._held(), self._turn():
                yield from self._outermost()

    @abstractmethod
    def _check_usable(self) -> None:
        """Raise `StoreClosed` if this engine can no longer be used."""

    def _check_writable(self) -> None:
        """Raise `ReadOnlyStore` if the store is open for reading only."""
        if self.read_only:
            raise ReadOnlyStore(f"{self.url} is open for reading only", path=self.url)

    def _outermost(self) -> Iterator[None]:
        self._begin()
        self._open = opened = _Transaction(threading.get_ident(), _task())
        _INSIDE.set(opened)
        try:
            yield
            self._end(opened)
        except BaseException:
            opened.take_back(0)
            self._roll_back()
            raise
        finally:
            self._open = None
            _INSIDE.set(None)
            self.generation += 1
            for call in opened.then:
                call()

    def _end(self, opened: _Transaction) -> None:
        if opened.broken:
            raise _broken()
        if opened.blocks:
            raise _overlapping()
        self._commit()

    def _nested(self, opened: _Transaction) -> Iterator[None]:
        mark, written = len(opened.undo), opened.writes
        opened.blocks += 1
        try:
            yield
            self._check_open(opened)
        except BaseException:
            opened.take_back(mark)
            opened.broken |= opened.writes > written
            raise
        finally:
            opened.blocks -= 1

    def _check_open(self, opened: _Transaction) -> None:
        """Raise `IntegrityError` inside a transaction that has ended."""
        if self._open is not opened:
            raise _overlapping()

    def _note_write(self) -> None:
        """Count a write of this thread's transaction.

        Raises `IntegrityError` in a transaction of which a part has failed.
        """
        if self._open is None or not self.in_transaction:
            return
        if self._open.broken:
            raise _broken()
        self._open.writes += 1

    @property
    def _doubtful(self) -> bool:
        """Whether the database may have aborted the open transaction."""
        return self._open is not None and self._open.doubtful

    def _doubt(self) -> None:
        """Have the commit make sure that the database has not aborted this thread's transaction."""
        if self._open is not None and self.in_transaction:
            self._open.doubtful = True

    @contextmanager
    def _doubted(self) -> Iterator[None]:
        """Doubt the transaction if the block, which asks the database for something, fails."""
        try:
            yield
        except BaseException:
            self._doubt()
            raise

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Have `undo` called if the current transaction, or the block of it that is being run, fails."""
        if self._open is not None:
            self._open.undo.append(undo)

    def on_end(self, call: Callable[[], None]) -> None:
        """Have `call` called when the current transaction has ended, committed or not."""
        if self._open is not None:
            self._open.then.append(call)


def _broken() -> IntegrityError:
    return IntegrityError("a part of this transaction failed halfway: nothing of it is kept, leave the block")


def _overlapping() -> IntegrityError:
    return IntegrityError(
        "a transaction ended before a block inside it did: nothing of either is kept; blocks of generators and tasks "
        "end in the order opposite to that in which they began"
    )
