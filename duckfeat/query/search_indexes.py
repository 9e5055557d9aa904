"""The search indexes of a store: made at the first search, following every write.

What others see of a transaction is nothing until it has ended. So the shared indexes hold what is committed, and a
search inside a transaction that has written to the registry looks over what it wrote apart.

No lock is held while the store is read: whoever waits for another thread's transaction keeps nobody waiting.

The memory of the indexes is bounded: what was searched longest ago is forgotten first, and made again when it is
searched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from duckfeat.compile.columns import field_output
from duckfeat.compile.select import Query, select
from duckfeat.model.order import Order
from duckfeat.query.progress import progress_bar
from duckfeat.query.session import Session

if TYPE_CHECKING:
    from duckfeat.query.search_index import Column, Hit, SearchIndex
    from duckfeat.query.search_segment import Progress

__all__ = ["SearchIndexes", "Searchable"]

_APART_MOST = 1_000
"""A transaction that wrote to more rows than this has an index of its own, made anew from all rows."""
MEMORY_MOST = 512 << 20
"""Bytes that the indexes of a store may take together; the one searched last is kept however large it is."""
_STALE_MOST = 100_000
"""An index is forgotten when more of its rows than this have changed since it was searched."""


class Searchable(Protocol):
    """What is searched: an index, or one and what a transaction changed."""

    def search(
        self, string: str, *, limit: int | None, case_sensitive: bool = False, within: Iterable[int] | None = None
    ) -> list[Hit]:
        """Return the records nearest to a text, best first."""


class _Key(NamedTuple):
    registry: str
    fields: tuple[str, ...]
    branches: tuple[int, ...] | None


Read = Callable[[Sequence[int] | None], tuple[Any, list[Any]]]
"""Gives the ids and texts of some rows, or of all of them."""


class _Indexes:
    """Indexes, and which of their rows have to be read again."""

    def __init__(self) -> None:
        # In the order they were used, the latest last.
        self._indexes: dict[_Key, SearchIndex] = {}
        self._stale: dict[_Key, set[int]] = {}
        self._lock = threading.Lock()
        self._turns: dict[tuple[int, _Key], threading.Lock] = {}

    def touched(self, registry: str, ids: Collection[int]) -> None:
        with self._lock:
            for key in [key for key in self._stale if key.registry == registry]:
                stale = self._stale[key]
                stale.update(ids)
                if len(stale) > _STALE_MOST:
                    self._forget(key)

    def _forget(self, key: _Key) -> None:
        """Have an index made anew at its next search; the caller holds the lock."""
        self._indexes.pop(key, None)
        self._stale.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._indexes.clear()
            self._stale.clear()

    def __contains__(self, key: _Key) -> bool:
        return key in self._indexes

    def index(self, key: _Key, read: Read, *, but: Collection[int] = ()) -> SearchIndex:
        """Return an index, its rows up to date but for some.

        Who asks while another thread brings it up to date waits: that thread may have taken over what this one wrote.
        """
        with self._lock:
            # A process that was forked meanwhile takes turns of its own.
            turn = self._turns.setdefault((os.getpid(), key), threading.Lock())
        with turn:
            return self._current(key, read, but)

    def _current(self, key: _Key, read: Read, but: Collection[int]) -> SearchIndex:
        with self._lock:
            index = self._indexes.pop(key, None)
            if index is not None:
                self._indexes[key] = index
            # What is written while rows are being read is read again at the next search.
            stale = self._stale.setdefault(key, set())
            again = sorted(stale.difference(but))
            stale.intersection_update(but)
        if index is None:
            return self._made(key, read)
        if again:
            try:
                ids, texts = read(again)
            except BaseException:
                self.touched(key.registry, again)
                raise
            index.replace(again, ids, texts)
            self._bound()
        return index

    def _made(self, key: _Key, read: Read) -> SearchIndex:
        ids, texts = read(None)
        with progress_bar(f"search index of {key.registry}", len(ids), "texts") as done:
            index = _built(key.fields, ids, texts, lambda texts, _: done(texts))
        with self._lock:
            # Where it was cleared meanwhile, what was read may be out of date.
            if key in self._stale:
                index = self._indexes.setdefault(key, index)
        self._bound()
        return index

    def _bound(self) -> None:
        """Forget the indexes that were used longest ago while all of them take more memory than they may."""
        with self._lock:
            indexes = list(self._indexes.items())
        # Outside of the lock: what was added to an index is indexed before its size is known.
        sizes = [(key, index.nbytes) for key, index in indexes]
        over = sum(size for _, size in sizes) - MEMORY_MOST
        with self._lock:
            for key, size in sizes[:-1]:
                if over > 0:
                    self._forget(key)
                    over -= size


class _Changes:
    """What the open transaction has written so far, by registry; `everything` where that was too much to list."""

    def __init__(self) -> None:
        self.ids: dict[str, set[int]] = {}
        self.everything = False
        self.indexes = _Indexes()


class _Apart:
    """An index, and the rows that a transaction changed as it sees them."""

    def __init__(self, index: SearchIndex, changed: Collection[int], own: SearchIndex) -> None:
        self._index = index
        self._changed = changed
        self._own = own

    def search(
        self, string: str, *, limit: int | None, case_sensitive: bool = False, within: Iterable[int] | None = None
    ) -> list[Hit]:
        from duckfeat.query.search_index import merged

        ids = None if within is None else list(within)
        more = None if limit is None else limit + len(self._changed)
        found = self._index.search(string, limit=more, case_sensitive=case_sensitive, within=ids)
        kept = [hit for hit in found if hit.id not in self._changed]
        own = self._own.search(string, limit=limit, case_sensitive=case_sensitive, within=ids)
        return merged(string, [*kept, *own])[:limit]


class SearchIndexes:
    """The search indexes of a store, one for each registry, fields and branches that were searched."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._engine = session.engine
        self._shared = _Indexes()
        self._outside = session.engine.outside
        # Only one transaction is open at a time, and only its thread gets here.
        self._changes: _Changes | None = None

    def touched(self, registry: str, ids: Iterable[int]) -> None:
        """Have rows read again before the next search; inside a transaction, by others when it has ended."""
        listed = list(ids)
        changes = self._own()
        if changes is None:
            self._shared.touched(registry, listed)
            return
        changes.ids.setdefault(registry, set()).update(listed)
        changes.indexes.touched(registry, listed)

    def clear(self) -> None:
        """Have everything read again, as after much was written."""
        changes = self._own()
        if changes is None:
            self._shared.clear()
            return
        changes.everything = True
        changes.indexes.clear()

    def _own(self) -> _Changes | None:
        """Return what this thread's transaction has changed, None outside of one."""
        if not self._engine.in_transaction:
            return None
        if self._changes is None:
            self._changes = _Changes()
            self._engine.on_end(self._ended)
        return self._changes

    def _ended(self) -> None:
        changes, self._changes = self._changes, None
        if changes is None:
            return
        if changes.everything:
            self._shared.clear()
        for registry, ids in changes.ids.items():
            self._shared.touched(registry, ids)

    def index(self, query: Query, fields: tuple[str, ...]) -> Searchable:
        """Return the index of a registry's fields on the branches of a question, up to date."""
        key = _Key(query.table.name, fields, query.branches)
        outside = self._engine.refresh()
        if outside != self._outside:
            self._outside = outside
            self._shared.clear()

        def read(ids: Sequence[int] | None) -> tuple[Any, list[Column]]:
            return self._texts(query, fields, ids)

        changes = self._changes if self._engine.in_transaction else None
        changed = changes.ids.get(key.registry, set()) if changes else set()
        if changes is None or not (changed or changes.everything):
            return self._shared.index(key, read)
        if changes.everything or len(changed) > _APART_MOST or key not in self._shared:
            return changes.indexes.index(key, read)
        own = _built(fields, *read(sorted(changed)))
        return _Apart(self._shared.index(key, read, but=changed), frozenset(changed), own)

    def _texts(self, query: Query, fields: tuple[str, ...], ids: Sequence[int] | None) -> tuple[Any, list[Column]]:
        within = () if ids is None else (("id", tuple(ids)),)
        rows = Query(query.table, branches=query.branches, order=(Order("id"),), within=within)
        statement, _ = select(
            self._session.context(), rows, lambda scope: [field_output(scope, name) for name in ("id", *fields)]
        )
        table = self._engine.arrow(statement)
        return table.column(0).to_numpy(), [table.column(at + 1) for at in range(len(fields))]


def _built(fields: Sequence[str], ids: Any, texts: Sequence[Column], progress: Progress | None = None) -> SearchIndex:
    from duckfeat.query.search_index import SearchIndex

    split = [position for position, name in enumerate(fields) if name == "synonyms"]
    return SearchIndex.build(ids, texts, split=split, progress=progress)
