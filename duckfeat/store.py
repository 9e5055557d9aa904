"""The store: the object that users work with."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from duckfeat import ontology, registries
from duckfeat.engine.base import Tracer
from duckfeat.engine.duck import DuckEngine
from duckfeat.engine.opening import open_engine
from duckfeat.engine.paths import MEMORY
from duckfeat.engine.resources import checks
from duckfeat.errors import InvalidArgument
from duckfeat.frame import frames
from duckfeat.keeping import Keeping
from duckfeat.model.arguments import flag, moment, registry_of, several, whole
from duckfeat.model.attributes import Telling
from duckfeat.model.statement import Statement
from duckfeat.models import REGISTRIES
from duckfeat.query.search_indexes import SearchIndexes
from duckfeat.query.session import INSTANCES, Session
from duckfeat.registries.expiring import Compaction, dropping
from duckfeat.registries.places import place_of
from duckfeat.registries.profiling import profile
from duckfeat.registries.viewing import View, overview, typed_view
from duckfeat.registries.writer import Writer
from duckfeat.tracking import Tracking, end

if TYPE_CHECKING:
    from os import PathLike

    import polars as pl

    from duckfeat.registries.bulk import Report

_CATALOG = registries.catalog_of(REGISTRIES)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What the integrity checks found: `ok`, and `failures`, a frame of the rows that break a rule for each check."""

    failures: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every check found nothing."""
        return not self.failures

    def __repr__(self) -> str:
        if self.ok:
            return f"<check: ok, {len(checks())} rules hold>"
        return "<check: " + "; ".join(f"{name}: {len(rows):,} rows" for name, rows in self.failures.items()) + ">"


class Store(Keeping, Telling):
    """An open store, as `connect` returns it. It is also a context manager, which closes it.

    `store.Feature`, `store.Artifact`, ... are the registries of this store.

    >>> import duckfeat as dft
    >>> with dft.connect() as store:
    ...     store.Feature(name="dose", dtype=float).save().name
    'dose'
    """

    Artifact: type[registries.Artifact]
    Feature: type[registries.Feature]
    FeatureValue: type[registries.FeatureValue]
    Record: type[registries.Record]
    ULabel: type[registries.ULabel]
    Run: type[registries.Run]
    Transform: type[registries.Transform]
    User: type[registries.User]
    Branch: type[registries.Branch]
    Space: type[registries.Space]
    CellLine: type[ontology.CellLine]
    CellType: type[ontology.CellType]
    DevelopmentalStage: type[ontology.DevelopmentalStage]
    Disease: type[ontology.Disease]
    Ethnicity: type[ontology.Ethnicity]
    ExperimentalFactor: type[ontology.ExperimentalFactor]
    Gene: type[ontology.Gene]
    Organism: type[ontology.Organism]
    Pathway: type[ontology.Pathway]
    Phenotype: type[ontology.Phenotype]
    Protein: type[ontology.Protein]
    Source: type[ontology.Source]
    Tissue: type[ontology.Tissue]

    def __init__(
        self, url: str | PathLike[str] | DuckEngine = MEMORY, *, name: str | None = None, **options: Any
    ) -> None:
        engine: Any = url if isinstance(url, DuckEngine) else open_engine(url, **options)
        self._session = Session(engine, _CATALOG)
        self._session.store = self
        self._options = options
        self.name = name
        self.url = engine.url
        bound = {cls.__name__: _bound(cls, self._session) for cls in REGISTRIES}
        self._session.registries = bound
        self._session.writer = Writer(self._session)
        self._session.search = SearchIndexes(self._session)
        for registry, cls in bound.items():
            setattr(self, registry, cls)
        try:
            self._register_user()
        except BaseException:
            engine.close()
            raise

    def _register_user(self) -> None:
        handle = _login()
        # Without a parameter: DuckDB 1.5 imports NumPy, pandas and PyArrow when it gets its first.
        users = self._session.engine.rows(Statement("SELECT handle, min(id) FROM users GROUP BY handle", {}))
        id_: int | None = dict[str, int](users).get(handle)
        if id_ is None and not self._session.engine.read_only:
            id_ = self.User(handle=handle).save().id
        self._session.user_id = id_

    @property
    def user(self) -> registries.User | None:
        """The user who is recorded as the author of what is written.

        None if the store was opened for reading only and does not have this user.
        """
        return None if self._session.user_id is None else self.User.get(self._session.user_id)

    # --- saving ----------------------------------------------------------------------------------

    def save(self, records: Iterable[Any], batch_size: int | None = None) -> list[Any]:
        """Save new and changed records of any registries, all or nothing, and return them.

        With `batch_size`, a statement writes at most so many records.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> [label.id for label in store.save([store.ULabel(name="a"), store.ULabel(name="b")])]
        [1, 2]
        """
        saved: list[Any] = self._session.writer.save(_listed(records), batch_size)
        return saved

    def annotate(
        self,
        data: Any,
        *,
        registry: Any = "Record",
        key: Any = "uid",
        on: str | None = None,
        features: Any = None,
        create: bool | str = False,
        mode: str = "add",
        on_invalid: str = "raise",
        run: Any = None,
        progress: bool | None = None,
    ) -> Report:
        """Add the values in a frame or file to the entities that it names, all or nothing.

        The work is done on whole columns by a few SQL statements, so that millions of rows are no problem.

        Args:
            data: A Polars DataFrame or LazyFrame, a pandas DataFrame, a pyarrow Table, RecordBatch or
                RecordBatchReader, a DuckDB relation, or the path or glob of Parquet, CSV or NDJSON files. Wide, a
                column per feature, or long, with the columns `entity` (or the key), `feature` and `value`.
            registry: The entities: Record, Artifact or Run, as a name or a class.
            key: The field that identifies an entity: `uid`, `name` (of an Artifact `key`), `id`, ... New entities get
                the uids that are given.
            on: The column that holds the key; by default the column with the name of `key`.
            features: The features to take, by name or object; by default every other column.
            create: `True` creates unknown entities, `"features"` registers unknown features with the types of their
                columns, `"all"` does both; by default both are errors.
            mode: `"add"` adds values. `"update"` replaces the values of the features in the input, and a missing cell
                removes them. `"set"` makes the input the only values that its entities have.
            on_invalid: `"raise"` raises an error for any invalid value; `"skip"` leaves such values out.
            run: The run that what is written belongs to; by default the tracked run.
            progress: Whether to show a progress bar; by default on terminals and in notebooks, after one second.

        Returns:
            A report with the counts `rows` (of the input), `values` (in the input), `new_values`, `links`
            (annotations added), `removed` (annotations ended) and `entities` (created), and with `skipped`, a Polars
            DataFrame of row, feature, value and reason.

        Raises:
            ValidationError: For values that do not fit their feature's dtype, with the first few, their rows and the
                reasons; for a second value of a feature that takes one; for unknown entities and features.
            InvalidArgument: For data that cannot be read, and for other values of arguments than these.
            MissingFile: For a path or glob that matches no file.

        >>> import duckfeat as dft, polars as pl
        >>> store = dft.connect()
        >>> frame = pl.DataFrame({"name": ["s1", "s2"], "dose": [1.5, None]})
        >>> report = store.annotate(frame, key="name", create="all")
        >>> report.rows, report.values
        (2, 1)
        """
        from duckfeat.registries.bulk import annotate

        return annotate(
            self._session,
            data,
            registry=registry,
            key=key,
            on=on,
            features=features,
            create=create,
            mode=mode,
            on_invalid=on_invalid,
            run=run,
            progress=progress,
        )

    def transaction(self) -> AbstractContextManager[None]:
        """Keep all that the block writes, or nothing if it raises an error.

        A transaction belongs to one thread, and to one asyncio task. Raises `IntegrityError` at its end if a part of it
        failed, or if a transaction inside it has not ended.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> try:
        ...     with store.transaction():
        ...         _ = store.ULabel(name="a").save()
        ...         raise ValueError("changed my mind")
        ... except ValueError:
        ...     store.ULabel.count()
        0
        """
        return self._session.engine.transaction()

    # --- runs ------------------------------------------------------------------------------------

    def track(
        self, transform: str | registries.Transform | None = None, *, name: str | None = None, **fields: Any
    ) -> Tracking:
        """Start a run. What is saved until the end of the `with` block, or until `finish()`, belongs to it.

        `transform` is the program that runs: a Transform or its key. `fields` are further fields of the Run. If the
        block raises an error, the run is marked as failed.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> with store.track("ingest.py") as run:
        ...     store.ULabel(name="a").save().run.uid == run.uid
        True
        """
        with self.transaction():
            if isinstance(transform, str):
                transform = self.Transform(key=transform).save()
            run = self.Run(transform=transform, name=name, **fields).save()
            self._session.engine.on_rollback(lambda: self._session.end_run(run))
            self._session.start_run(run)
        return Tracking(self._session, run)

    def finish(self) -> None:
        """Finish the tracked run; if it was started inside another one, that one is tracked again.

        Raises `InvalidArgument` if no run is tracked.
        """
        run = self._session.run
        if run is None:
            raise InvalidArgument("no run is tracked: store.track() starts one")
        end(self._session, run)

    # --- branches --------------------------------------------------------------------------------

    def switch(self, branch: str | registries.Branch) -> registries.Branch:
        """Make a branch the current one and return it: new records go there, and queries see it and main.

        Raises `DoesNotExist` for an unknown branch, and lists those that exist.
        """
        found: registries.Branch = place_of(self._session, "Branch", branch)
        self._session.set_current("branch_id", found.id)
        return found

    # --- looking at it ---------------------------------------------------------------------------

    def view(self, df: Any = None, *, limit: int = 7) -> View:
        """Show the newest `limit` rows of every registry, or a frame `df` with the dtypes of its features.

        Returns an object that prints as text, and as tables in a notebook.
        """
        if df is not None:
            return typed_view(self._session, df)
        return overview(self._session, limit)

    def profile(self, registry: Any = "Record", features: Any = None) -> pl.DataFrame:
        """Return statistics of features as a Polars DataFrame, a row for each feature.

        Columns: `feature`, `dtype`, `unit`, `count` (current annotations), `missing` (entities without a value),
        `distinct` (different values), `min` and `max` (as text), `mean`, `std`, `q25`, `median` and `q75` (of
        numbers), and `most_frequent` (up to five values with their counts). By default all features are described.

        Raises `InvalidArgument` for a registry without features, `FieldError` for an unknown feature.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> _ = dft.Feature(name="depth", dtype=float).save()
        >>> _ = dft.Record(name="s1", features={"depth": 2.5}).save()
        >>> store.profile().select("feature", "count", "missing", "max").rows()
        [('depth', 1, 0, '2.5')]
        """
        return profile(self._session, registry, features)

    def sql(
        self, query: str, params: Mapping[str, Any] | Iterable[Any] | None = None, *, trusted: bool = False
    ) -> pl.DataFrame:
        """Run one SELECT and return its rows as a Polars DataFrame.

        Parameters are written `$name` and given as a mapping, or `?` and given as a sequence. The query can read this
        store only: no files, no other databases, no extensions. With `trusted=True` it can read those as well. It can
        never write.

        Raises `InvalidArgument` for a query that does anything else, and for anything but one SELECT.

        >>> import duckfeat as dft
        >>> dft.connect().sql("SELECT $a::INTEGER + 1 AS b", {"a": 1})["b"].to_list()
        [2]
        """
        return frames.to_polars(self._session.engine.select(query, params, trusted=flag(trusted, "trusted")))

    def check(self) -> CheckReport:
        """Run every integrity check on one snapshot, and return a report: `.ok`, and the failing rows as frames.

        >>> import duckfeat as dft
        >>> dft.connect().check().ok
        True
        """
        failing = self._session.engine.failing()
        return CheckReport({name: frames.to_polars(rows) for name, rows in failing.items()})

    def trace(self, tracer: Tracer) -> AbstractContextManager[None]:
        """Call `tracer(sql, params)` for every statement that runs inside the `with` block."""
        return self._session.engine.trace(tracer)

    # --- the past, and upkeep --------------------------------------------------------------------

    def at(self, *, version: int | None = None, timestamp: datetime | date | str | None = None) -> Store:
        """Return a store that reads a lake as it was at a version or at a moment. Close it when you are done.

        `timestamp` is a datetime, a date or the ISO text of one; without a time zone it is in UTC. Raises
        `InvalidArgument` for a file, which keeps no snapshots, and for a version that the lake no longer has.

        >>> import duckfeat as dft
        >>> dft.connect().at(version=1)
        Traceback (most recent call last):
        duckfeat.errors.InvalidArgument: :memory: has no snapshots: only a lake keeps what was there before ...
        """
        if (version is None) == (timestamp is None):
            raise InvalidArgument("at() takes a version or a timestamp", version=version, timestamp=timestamp)
        asked = whole(version, "version") if timestamp is None else moment(timestamp, "timestamp")
        engine: Any = self._session.engine.at(asked)
        past = Store(engine)
        past._session.branch_id, past._session.space_id = self._session.branch_id, self._session.space_id
        return past

    def versions(self) -> pl.DataFrame:
        """Return the versions of a lake that `at` can read, as a Polars DataFrame of `version` and `created_at` (UTC).

        Raises `InvalidArgument` for a file, which keeps no snapshots.
        """
        return frames.to_polars(self._session.engine.versions())

    def compact(
        self,
        *,
        expire: timedelta | None = None,
        expire_history: timedelta | None = None,
        expire_values: timedelta | None = None,
        grace: timedelta | None = None,
    ) -> Compaction:
        """Make the store small and fast to read again. All history is kept unless you ask to delete some.

        If a tenth of a file or more is free, the store is copied into a new file, compared, and the old file is
        replaced. Meanwhile other threads of this process can read, and other processes wait. A lake merges small files,
        and moves rows that its catalog holds to files.

        Args:
            expire: Delete versions of a lake that are older than this; by default none.
            expire_history: Delete annotations and relations that ended longer ago than this; by default none.
                `timedelta(0)` deletes everything that ended. Deleted entries are missing from `features.history()`.
                Current values and their provenance are kept; `changes` that nothing else refers to are deleted.
            expire_values: Delete feature values that are older than this and that no annotation, current or past,
                points at; by default none. Values in the trash are kept.
            grace: How long a lake keeps files that no version needs any more, for those who are still reading them;
                by default an hour.

        Returns:
            A Compaction: `bytes_before`, `bytes_after`, and `dropped`, the number of deleted rows by table.

        Raises:
            InvalidArgument: For anything but a timedelta, inside a transaction, and for `expire` or `grace` on a file.
            ReadOnlyStore: If the store is open for reading only.
            DiskFull: If there is no room for the new file beside the old one, which is kept.
            StoreLocked: If a result is still being read in this process after `lock_timeout` seconds.

        >>> import duckfeat as dft
        >>> from datetime import timedelta
        >>> store = dft.connect()
        >>> _ = store.Feature(name="dose", dtype=float).save()
        >>> record = store.Record(name="s1", features={"dose": 1.5}).save()
        >>> record.features.set_values({"dose": 2.5})
        >>> store.compact(expire_history=timedelta(0)).dropped
        {'record_annotations': 1, 'record_removals': 1, 'changes': 1}
        """
        dropped: dict[str, int] = {}
        drop = dropping(self._session, history=expire_history, values=expire_values)
        sizes = self._session.engine.compact(lambda: dropped.update(drop()), expire=expire, grace=grace)
        return Compaction(*sizes, dropped)

    # --- closing ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the store. A tracked run is not finished. Closing a store twice does no harm."""
        INSTANCES.forget(self._session)
        self._session.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"<Store{named} {self.url}>"


def _listed(records: Any) -> list[Any]:
    return [records] if registry_of(records) is not None else several(records, "records")


def _bound(cls: type[Any], session: Session) -> type[Any]:
    """Return a registry bound to a store."""
    return type(cls.__name__, (cls,), {"__session__": session, "__module__": cls.__module__, "__doc__": cls.__doc__})


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}" if hasattr(os, "getuid") else "unknown"
