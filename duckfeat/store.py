"""The store: what people hold."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

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
from duckfeat.ontology import CellLine as _CellLine
from duckfeat.ontology import CellType as _CellType
from duckfeat.ontology import DevelopmentalStage as _DevelopmentalStage
from duckfeat.ontology import Disease as _Disease
from duckfeat.ontology import Ethnicity as _Ethnicity
from duckfeat.ontology import ExperimentalFactor as _ExperimentalFactor
from duckfeat.ontology import Gene as _Gene
from duckfeat.ontology import Organism as _Organism
from duckfeat.ontology import Pathway as _Pathway
from duckfeat.ontology import Phenotype as _Phenotype
from duckfeat.ontology import Protein as _Protein
from duckfeat.ontology import Source as _Source
from duckfeat.ontology import Tissue as _Tissue
from duckfeat.query.search_indexes import SearchIndexes
from duckfeat.query.session import INSTANCES, Session
from duckfeat.registries import Artifact as _Artifact
from duckfeat.registries import Branch as _Branch
from duckfeat.registries import Feature as _Feature
from duckfeat.registries import FeatureValue as _FeatureValue
from duckfeat.registries import Record as _Record
from duckfeat.registries import Run as _Run
from duckfeat.registries import Space as _Space
from duckfeat.registries import Transform as _Transform
from duckfeat.registries import ULabel as _ULabel
from duckfeat.registries import User as _User
from duckfeat.registries import catalog_of
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

_CATALOG = catalog_of(REGISTRIES)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What the integrity checks found: `ok`, and the rows that break a rule as a frame per check."""

    failures: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every check found nothing."""
        return not self.failures

    def __repr__(self) -> str:
        if self.ok:
            return f"<check: ok, {len(checks())} rules hold>"
        return "<check: " + "; ".join(f"{name}: {len(rows)} rows" for name, rows in self.failures.items()) + ">"


class Store(Keeping, Telling):
    """An open store: its registries, and what is done to it as a whole. `connect` makes one.

    `store.Feature`, `store.Artifact`, ... are the registries bound to this store.

    >>> import duckfeat as dft
    >>> with dft.connect() as store:
    ...     store.Feature(name="dose", dtype=float).save().name
    'dose'
    """

    Artifact: type[_Artifact]
    Feature: type[_Feature]
    FeatureValue: type[_FeatureValue]
    Record: type[_Record]
    ULabel: type[_ULabel]
    Run: type[_Run]
    Transform: type[_Transform]
    User: type[_User]
    Branch: type[_Branch]
    Space: type[_Space]
    CellLine: type[_CellLine]
    CellType: type[_CellType]
    DevelopmentalStage: type[_DevelopmentalStage]
    Disease: type[_Disease]
    Ethnicity: type[_Ethnicity]
    ExperimentalFactor: type[_ExperimentalFactor]
    Gene: type[_Gene]
    Organism: type[_Organism]
    Pathway: type[_Pathway]
    Phenotype: type[_Phenotype]
    Protein: type[_Protein]
    Source: type[_Source]
    Tissue: type[_Tissue]

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
    def user(self) -> _User | None:
        """The user that what is written is attributed to; None in a store opened for reading that has no such one."""
        return None if self._session.user_id is None else self.User.get(self._session.user_id)

    # --- saving ----------------------------------------------------------------------------------

    def save(self, records: Iterable[Any], batch_size: int | None = None) -> list[Any]:
        """Save records of any registries, new and saved ones, all or nothing, and return them.

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
        """Annotate the entities of a frame or file with its columns, set-based and all or nothing.

        Args:
            data: A Polars DataFrame or LazyFrame, a pandas DataFrame, a pyarrow Table, RecordBatch or
                RecordBatchReader, a DuckDB relation, or the path or glob of Parquet, CSV or NDJSON files. Wide, a
                column per feature, or long, with the columns `entity` (or the key), `feature` and `value`.
            registry: The entities: Record, Artifact or Run, as a name or a class.
            key: The field that names an entity: `uid`, `name` (of an Artifact `key`), `id`, ... New entities keep
                the uids that are given.
            on: The column that holds the key; the one called like `key` unless told.
            features: The features to take, by name or object; every other column unless told.
            create: `True` makes entities that are not there, `"features"` registers features with the columns'
                types, `"all"` does both.
            mode: `"add"` adds values; `"update"` replaces those of the features that are named, where a missing
                cell removes them; `"set"` makes the input all that its entities have.
            on_invalid: `"raise"` refuses the whole input for one refused value, `"skip"` leaves it out.
            run: The run that what is written belongs to; the tracked one unless told.
            progress: Whether a bar is shown; unless told, on terminals and in notebooks, after a second.

        Returns:
            A report: `rows`, `values` (those in the input), `new_values`, `links` (annotations added), `removed`,
            `entities` (made), and `skipped`, a Polars DataFrame of row, feature, value and reason.

        Raises:
            ValidationError: For values that are not of their features' dtypes, with the first few of them, their
                rows and reasons; for a second value of a feature that takes one; for unknown entities and features.
            InvalidArgument: For data that cannot be read, and for arguments of other values than these.
            MissingFile: For a path or glob that means no file.

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
        """Make what is written inside the block all or nothing; it is of one thread, and of one task of asyncio.

        Raises `IntegrityError` at the end if a part of it failed, or if a block inside it has not ended.

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

    def track(self, transform: str | _Transform | None = None, *, name: str | None = None, **fields: Any) -> Tracking:
        """Start a run; what is saved until `finish()` (or the end of the `with` block) belongs to it.

        `transform` is a Transform or its key. A block that raises marks the run failed.

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
        """Finish the run that is tracked now; one that was tracked around it is tracked again.

        Raises `InvalidArgument` when none is.
        """
        run = self._session.run
        if run is None:
            raise InvalidArgument("no run is tracked: store.track() starts one")
        end(self._session, run)

    # --- branches --------------------------------------------------------------------------------

    def switch(self, branch: str | _Branch) -> _Branch:
        """Make a branch the current one: new records go there, and queries see it and main. Returns it.

        Raises `DoesNotExist` with the branches there are.
        """
        found: _Branch = place_of(self._session, "Branch", branch)
        self._session.set_current("branch_id", found.id)
        return found

    # --- looking at it ---------------------------------------------------------------------------

    def view(self, df: Any = None, *, limit: int = 7) -> View:
        """Show the newest rows of every registry, or a frame with the dtypes of its features.

        Returns an object that prints as text and, in a notebook, as tables.
        """
        if df is not None:
            return typed_view(self._session, df)
        return overview(self._session, limit)

    def profile(self, registry: Any = "Record", features: Any = None) -> pl.DataFrame:
        """Return what features hold, a row each: counts, extremes as text, numbers' quartiles, the commonest values.

        `count` is of current annotations, `missing` of the registry's entities without a value; one statement.

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

        Parameters are `$name` with a mapping, or `?` with a sequence. The query reads this store and nothing else:
        no file, no other database, no extension. With `trusted=True` it may; it never writes.

        Raises `InvalidArgument` for what it may not do, and for anything but one SELECT.

        >>> import duckfeat as dft
        >>> dft.connect().sql("SELECT $a::INTEGER + 1 AS b", {"a": 1})["b"].to_list()
        [2]
        """
        return frames.to_polars(self._session.engine.select(query, params, trusted=flag(trusted, "trusted")))

    def check(self) -> CheckReport:
        """Run every integrity check, all at one moment, and return a report: `.ok`, and the failing rows as frames.

        >>> import duckfeat as dft
        >>> dft.connect().check().ok
        True
        """
        failing = self._session.engine.failing()
        return CheckReport({name: frames.to_polars(rows) for name, rows in failing.items()})

    def trace(self, tracer: Tracer) -> AbstractContextManager[None]:
        """Have `tracer(sql, params)` called with every statement that runs inside the block."""
        return self._session.engine.trace(tracer)

    # --- the past, and upkeep --------------------------------------------------------------------

    def at(self, *, version: int | None = None, timestamp: datetime | date | str | None = None) -> Store:
        """Return a store for reading a lake as it was at a version, or at a moment (in UTC unless it says otherwise).

        The moment is a datetime, a date or the ISO text of one. Close the store when done. Raises `InvalidArgument`
        where no snapshots are kept (a file has none), and for one that the lake no longer has.

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
        """Return the versions of a lake that `at` reads, as a frame of `version` and `created_at` (UTC).

        Raises `InvalidArgument` where no snapshots are kept.
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
        """Make the store small and quick to read again, and return what that did; history stays unless told.

        A file of which a tenth is free is written anew, compared and put in the place of the old one; others of this
        process read meanwhile, other processes wait. A lake merges small files and flushes rows that its catalog holds.

        Args:
            expire: A lake forgets versions that are older; all stay unless told.
            expire_history: Annotations and relations that ended longer ago are forgotten: they are no longer in
                `features.history()`, and the changes that nothing else came from go, too. What holds now stays as
                it is, with its provenance. `timedelta(0)` forgets all that ended.
            expire_values: Feature values that are older and that no annotation points at, present or past, are
                forgotten. The trash is left alone.
            grace: How long after that a lake keeps files that no version needs, for who is still reading them; an
                hour unless told.

        Returns:
            `bytes_before`, `bytes_after` and `dropped`, the number of rows that went by table.

        Raises:
            InvalidArgument: For what is no timedelta, inside a transaction, and for `expire` and `grace` on a file.
            ReadOnlyStore: For a store that is open for reading.
            DiskFull: When there is no room for the new file beside the old one, which stays as it is.
            StoreLocked: When a result is read in this process for longer than `lock_timeout`.

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
        """Close the store; a tracked run is left as it is. Closing twice is nothing."""
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
