"""What a bound registry works on: an engine, the catalog, who writes, and where."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from duckfeat.compile.scope import Context
from duckfeat.engine.base import Engine
from duckfeat.errors import FieldError, InstanceNotFound, hint
from duckfeat.model.dtypes import parse_dtype
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.tables import Catalog

MAIN, ARCHIVE, TRASH = 1, 0, -1
"""The branches every store has."""


class FeatureIndex:
    """The registered features of a store, read with one statement and again after features were written."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loaded: dict[int, FeatureInfo] | None = None
        self._by_name: dict[str, list[FeatureInfo]] = {}
        self._by_uid: dict[str, FeatureInfo] = {}
        self._lock = threading.Lock()

    def invalidate(self) -> None:
        """Forget what was read: features were written, or a transaction with such a write was rolled back."""
        self._loaded = None

    def _load(self) -> dict[int, FeatureInfo]:
        with self._lock:
            if self._loaded is not None:
                return self._loaded
            rows = self._engine.run("features.infos", None)
            loaded: dict[int, FeatureInfo] = {}
            by_name: dict[str, list[FeatureInfo]] = {}
            for id_, uid, name, dtype, multiple, coerce, type_id in rows:
                info = FeatureInfo(id_, uid, name, parse_dtype(dtype), multiple, coerce, type_id)
                loaded[id_] = info
                by_name.setdefault(name, []).append(info)
            self._by_name, self._by_uid = by_name, {info.uid: info for info in loaded.values()}
            self._loaded = loaded
            return loaded

    def all(self) -> list[FeatureInfo]:
        """Return every feature, in the order of registration."""
        return list(self._load().values())

    def names(self) -> list[str]:
        """Return the names of all features."""
        self._load()
        return list(self._by_name)

    def by_id(self, id_: int) -> FeatureInfo:
        """Return the feature of an id."""
        return self._load()[id_]

    def find(self, key: object) -> FeatureInfo | None:
        """Return the feature that a name, a uid or a Feature object means; None if there is none.

        Raises `FieldError` when two features have the name.
        """
        loaded = self._load()
        if isinstance(key, str):
            named = self._by_name.get(key, [])
            if len(named) > 1:
                uids = ", ".join(info.uid for info in named)
                raise FieldError(
                    f"{len(named)} features are called {key!r}; tell them apart by uid ({uids}) or use the object",
                    name=key,
                    available=[info.uid for info in named],
                )
            return named[0] if named else self._by_uid.get(key)
        id_ = getattr(key, "id", None)
        return loaded.get(id_) if isinstance(id_, int) else None


class Session:
    """An open store as the registries see it.

    `registries` maps names to the classes bound to this store; `user_id`, `branch_id` and `space_id` go on what
    is written.
    """

    def __init__(self, engine: Engine, catalog: Catalog) -> None:
        self.engine = engine
        self.catalog = catalog
        self.features = FeatureIndex(engine)
        self.registries: Mapping[str, Any] = {}
        self.writer: Any = None
        self.search: Any = None
        self.user_id: int | None = None
        self.branch_id = MAIN
        self.space_id = 1
        self._run: Any = None
        self._thread_run: ContextVar[Any] = ContextVar("run", default=None)

    @property
    def run(self) -> Any:
        """The run that is tracked now: this thread's own, else the store's latest."""
        return self._thread_run.get() or self._run

    def set_run(self, run: Any) -> None:
        """Make `run` the tracked one, here and in threads that track none of their own."""
        self._thread_run.set(run)
        self._run = run

    @property
    def branches(self) -> tuple[int, ...]:
        """The branches a query sees: the current one and main."""
        return tuple({MAIN: None, self.branch_id: None})

    def context(self) -> Context:
        """Return what a new statement is compiled with."""
        return Context(self.catalog, self.features)

    def make(self, registry: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[Any]:
        """Return the records of a registry that rows of its columns stand for."""
        made: list[Any] = self.registries[registry]._from_rows(columns, rows)
        return made


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
        key = str(instance)
        for known in (key, str(Path(key).absolute())):
            if known in self.by_name:
                return self.by_name[known]
        if self.open is not None and (Path(key).is_file() or key.startswith("ducklake:")):
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
