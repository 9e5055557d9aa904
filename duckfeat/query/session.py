"""What a bound registry works on: an engine, the catalog, who writes, and where."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from os import PathLike
from pathlib import Path
from typing import Any

from duckfeat.compile.fragments import Parameters
from duckfeat.compile.scope import Context
from duckfeat.engine.base import Engine
from duckfeat.engine.paths import MEMORY
from duckfeat.errors import FieldError, InstanceNotFound, InvalidArgument, hint
from duckfeat.model.arguments import named, registry_of
from duckfeat.model.dtypes import parse_dtype
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.tables import MAIN, Catalog


class _Features:
    """The registered features as one statement found them, by id, name and uid."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self.by_id: dict[int, FeatureInfo] = {}
        self.by_name: dict[str, list[FeatureInfo]] = {}
        for id_, uid, name, dtype, *others in rows:
            info = FeatureInfo(id_, uid, name, parse_dtype(dtype), *others)
            self.by_id[id_] = info
            self.by_name.setdefault(name, []).append(info)
        self.by_uid = {info.uid: info for info in self.by_id.values()}


class FeatureIndex:
    """The registered features of a store, read with one statement and again after features were written.

    What a transaction has written to features is seen by its own thread at once, by others when it has ended.
    `check_mine` refuses a record of another store.
    """

    def __init__(self, engine: Engine, check_mine: Callable[[Any], None]) -> None:
        self._engine = engine
        self._check_mine = check_mine
        self._committed: _Features | None = None
        self._own: _Features | None = None
        self._changed = False
        self._version = 0
        self._outside = engine.outside
        self._lock = threading.Lock()

    def invalidate(self) -> None:
        """Forget what was read: the transaction of this thread has written features."""
        self._own = None
        if not self._engine.in_transaction:
            self._ended()
        elif not self._changed:
            self._changed = True
            self._engine.on_end(self._ended)

    def _ended(self) -> None:
        with self._lock:
            self._version += 1
            self._own = self._committed = None
            self._changed = False

    def _load(self) -> _Features:
        if self._outside != self._engine.outside:
            with self._lock:
                self._outside = self._engine.outside
                self._version += 1
                self._committed = None
        if self._changed and self._engine.in_transaction:
            self._own = self._own or self._read()
            return self._own
        version, loaded = self._version, self._committed
        if loaded is None:
            loaded = self._read()
            with self._lock:
                if version == self._version:
                    self._committed = loaded
        return loaded

    def _read(self) -> _Features:
        return _Features(self._engine.run("features.infos", None))

    def all(self) -> list[FeatureInfo]:
        """Return every feature, in the order of registration."""
        return list(self._load().by_id.values())

    def names(self) -> list[str]:
        """Return the names of all features."""
        return list(self._load().by_name)

    def by_id(self, id_: int) -> FeatureInfo:
        """Return the feature of an id."""
        return self._load().by_id[id_]

    def known(self, id_: int) -> FeatureInfo | None:
        """Return the feature of an id; None if it is in the trash."""
        return self._load().by_id.get(id_)

    def find(self, key: object) -> FeatureInfo | None:
        """Return the feature that a name, a uid or a Feature object means; None if there is none.

        Raises `FieldError` when two features have the name, `InvalidArgument` for a feature of another store.
        """
        loaded = self._load()
        if isinstance(key, str):
            named = loaded.by_name.get(key, [])
            if len(named) > 1:
                raise _ambiguous(key, named)
            return named[0] if named else loaded.by_uid.get(key)
        if registry_of(key) != "Feature":
            return None
        feature: Any = key
        found = loaded.by_uid.get(feature.uid)
        if found is None:
            self._check_mine(feature)
        return found

    def get(self, key: object) -> FeatureInfo:
        """Return the feature that a name, a uid or a Feature object means.

        Raises `FieldError` with the nearest name if there is none, and the errors of `find`.
        """
        found = self.find(key)
        if found is None:
            name, names = named(key), self.names()
            raise FieldError(f"no feature {name!r}{hint(name, names)}", name=name, available=sorted(names))
        return found


def _ambiguous(name: str, named: Sequence[FeatureInfo]) -> FieldError:
    """Return the error for a name that several features have, with what tells them apart."""
    told = " or ".join(f"{info.uid} ({f'of type {info.type!r}' if info.type else 'of no type'})" for info in named)
    return FieldError(
        f"{len(named)} features are called {name!r}; tell them apart by uid, {told}, or use the object",
        name=name,
        available=[info.uid for info in named],
        types=[info.type for info in named],
    )


def not_pickled(what: str) -> InvalidArgument:
    """Return the error for what belongs to an open store, which another process cannot have."""
    return InvalidArgument(
        f"{what} belongs to an open store and cannot be pickled: pickle values, such as .pl(), .to_list() and "
        ".features.get_values() return, or uids; then connect and get(uid) in the other process"
    )


class Session:
    """An open store as the registries see it.

    `registries` maps names to the classes bound to this store; `user_id`, `branch_id` and `space_id` go on what
    is written, `organism_id` on genes and proteins. `sources` keeps the terms of ontologies that were read.
    """

    def __init__(self, engine: Engine, catalog: Catalog) -> None:
        self.engine = engine
        self.catalog = catalog
        self.features = FeatureIndex(engine, self.check_mine)
        self.registries: Mapping[str, Any] = {}
        self.writer: Any = None
        self.search: Any = None
        self.store: Any = None
        self.user_id: int | None = None
        self.branch_id = MAIN
        self.space_id = 1
        self.organism_id: int | None = None
        self.sources: dict[Any, Any] = {}
        self._runs: tuple[Any, ...] = ()
        self._thread_runs: ContextVar[tuple[Any, ...]] = ContextVar("runs", default=())

    @property
    def run(self) -> Any:
        """The run that is tracked now: the latest of this thread's own, else the store's latest."""
        tracked = self._runs
        own = [run for run in self._thread_runs.get() if any(run is known for known in tracked)]
        latest = own or tracked
        return latest[-1] if latest else None

    @property
    def run_id(self) -> int | None:
        """The id of the run that is tracked now."""
        run = self.run
        return None if run is None else run.id

    @property
    def provenance(self) -> dict[str, int | None]:
        """The columns that say who writes now, in which run, on which branch and in which space."""
        return {
            "created_by_id": self.user_id,
            "run_id": self.run_id,
            "branch_id": self.branch_id,
            "space_id": self.space_id,
        }

    def set_current(self, setting: str, id_: int | None) -> None:
        """Set `branch_id`, `space_id` or `organism_id`; where a transaction fails, it is what it was before."""
        before = getattr(self, setting)
        self.engine.on_rollback(lambda: setattr(self, setting, before))
        setattr(self, setting, id_)

    def start_run(self, run: Any) -> None:
        """Track a run, here and in threads that track none of their own."""
        self._thread_runs.set((*self._thread_runs.get(), run))
        self._runs = (*self._runs, run)

    def end_run(self, run: Any) -> None:
        """Track a run no longer; the one that was tracked before it is tracked again."""
        self._thread_runs.set(tuple(known for known in self._thread_runs.get() if known is not run))
        self._runs = tuple(known for known in self._runs if known is not run)

    @property
    def branches(self) -> tuple[int, ...]:
        """The branches a query sees: the current one and main."""
        return tuple({MAIN: None, self.branch_id: None})

    def context(self, *, look: bool = True) -> Context:
        """Return what a new statement is compiled with: features as they are now, whoever wrote them.

        Without a `look` they are those that were there at the last one.
        """
        engine = self.engine
        if look:
            engine.refresh()
        params = Parameters(looked=look)
        return Context(self.catalog, self.features, self.check_mine, params, joins_narrow=engine.joins_narrow)

    def owns(self, record: Any) -> bool:
        """Tell whether a record is of this store, be it the same file opened again, or of none yet."""
        other = record.__dict__.get("_session")
        return other in (None, self) or (other.engine.url == self.engine.url and self.engine.url != MEMORY)

    def check_mine(self, record: Any) -> None:
        """Refuse a record of another store with `InvalidArgument`: its ids mean something else here."""
        if not self.owns(record):
            place = record.__dict__["_session"].place
            message = f"{record!r} belongs to another store, {place}; this one is {self.place}"
            raise InvalidArgument(message, value=record)

    def __deepcopy__(self, _memo: dict[int, Any]) -> Session:
        """Return the session itself: a copy of what belongs to a store belongs to the same one."""
        return self

    def __reduce__(self) -> Any:
        raise not_pickled("what is asked of a store")

    @property
    def place(self) -> str:
        """What people call the store: its name, if it has one, and its address."""
        name = getattr(self.store, "name", None)
        return f"{name!r} ({self.engine.url})" if name else self.engine.url

    def make(self, registry: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[Any]:
        """Return the records of a registry that rows of its columns stand for."""
        made: list[Any] = self.registries[registry]._from_rows(columns, rows)
        return made


def _local(key: str) -> Path | None:
    """Return a text as an absolute path; None for what no path can be."""
    try:
        place = Path(key).expanduser().resolve()
        place.is_file()  # raises for a name longer than file systems take
    except (ValueError, OSError, RuntimeError):
        return None
    return place


class Instances:
    """The open stores of this process by name and address, and which is the default."""

    def __init__(self) -> None:
        self.default: Session | None = None
        self.by_name: dict[str, Session] = {}
        self.open: Callable[[str], Session] | None = None

    def find(self, instance: str | None) -> Session:
        """Return the store of a name, path or url; one that is not open yet is opened.

        Raises `InstanceNotFound` with the names there are.
        """
        if instance is None:
            return self.current()
        key = str(instance) if isinstance(instance, PathLike) else named(instance)
        place = _local(key)
        for known in (key, str(place)):
            if known in self.by_name:
                return self.by_name[known]
        if self.open is not None and (key.startswith("ducklake:") or (place is not None and place.is_file())):
            return self.open(key)
        raise InstanceNotFound(
            f"no open store and no file is called {key!r}{hint(key, self.by_name)}",
            name=key,
            available=sorted(self.by_name),
        )

    def forget(self, session: Session) -> None:
        """Take a closed store off the list."""
        self.by_name = {name: known for name, known in self.by_name.items() if known is not session}
        if self.default is session:
            self.default = None

    def current(self) -> Session:
        """Return the default store's session.

        Raises `InstanceNotFound` when nothing is connected.
        """
        if self.default is None:
            raise InstanceNotFound('no store is connected: call duckfeat.connect("features.duckdb") first')
        return self.default


INSTANCES = Instances()
"""The one global: which stores this process has open, the default among them."""


@atexit.register
def _forget_all() -> None:
    """Let go of every store at the end of the program: held longer, DuckDB's objects would be told as leaks."""
    INSTANCES.default = None
    INSTANCES.by_name = {}
