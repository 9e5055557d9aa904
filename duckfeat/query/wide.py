"""Frames of a question: which columns they have, and the ways to take them: whole, as a stream, as a file."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count as counted
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from duckfeat.compile.chosen import select_wide
from duckfeat.compile.columns import feature_output, field_output, own_outputs
from duckfeat.compile.computed import annotation, column_of
from duckfeat.compile.scope import Scope
from duckfeat.compile.select import Columns, Query, count, ids_sql, named_sql, select
from duckfeat.engine.arrow_files import write_parquet
from duckfeat.errors import FieldError, InvalidArgument, MissingFile, hint
from duckfeat.frame import frames
from duckfeat.model.arguments import is_path_text, named, several, shown, whole
from duckfeat.model.columns import Output
from duckfeat.model.feature_info import FeatureInfo, is_feature_key
from duckfeat.model.fields import FieldRef, field_name
from duckfeat.model.statement import Statement
from duckfeat.query.session import Session

if TYPE_CHECKING:
    import pyarrow as pa

Include = str | FieldRef | Sequence[str | FieldRef] | None
Features = bool | Literal["queryset"] | Sequence[Any]

COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4", "brotli", "uncompressed")
_BATCH = 100_000
_log = logging.getLogger("duckfeat")


class Wide:
    """The frame of a question: the registry's own columns, `include`d related ones, features.

    Of records that carry features, `include="features"` is another name for `features=True`.

    Raises `FieldError` for an unknown field or feature, or features of a registry whose records carry none.
    """

    def __init__(
        self,
        session: Session,
        query: Query,
        fields: Sequence[str],
        include: Include,
        features: Features,
        limit: int | None = None,
    ) -> None:
        self._session = session
        self._query = query if limit is None else sliced(query, slice(0, limit))
        self._whole = query
        self._cuts = self._query.limit != query.limit
        self._fields = tuple(fields)
        self._included = [field_name(path) for path in _listed(include)]
        if query.table.entity and "features" in self._included:
            self._included = [path for path in self._included if path != "features"]
            features = True if features is False or features is None else features
        self._infos = _features(session, query, features)

    # --- taking it -------------------------------------------------------------------------------

    def table(self) -> tuple[pa.Table, list[Output]]:
        """Return the rows and the columns; that the limit cut rows is told in the log."""
        statement, outputs = self._statement(self._columns, extra=int(self._cuts))
        table = self._session.engine.arrow(statement)
        if self._cuts and self._query.limit is not None and table.num_rows > self._query.limit:
            self._tell_cut()
            table = table.slice(0, self._query.limit)
        return frames.to_arrow(table, outputs), outputs

    def reader(self, batch_size: int) -> pa.RecordBatchReader:
        """Return the rows as a stream of record batches, with the columns and types that `table` gives."""
        import pyarrow

        whole(batch_size, "batch_size", 1)
        instants = self._instants()
        statement, outputs = self._statement(self._columns)
        stream = self._session.engine.batches(statement, batch_size)
        self._look_for_cut()

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in stream:
                yield from frames.to_arrow(pyarrow.Table.from_batches([batch]), outputs, instants).to_batches()

        schema = frames.to_arrow(stream.schema.empty_table(), outputs, instants).schema
        return pyarrow.RecordBatchReader.from_batches(schema, batches())

    def parquet(self, path: str | PathLike[str], compression: Any) -> Path:
        """Write the rows to a Parquet file and return its path: straight from the engine, if it can write the names."""
        place = _writable(path)
        if not isinstance(compression, str) or compression not in COMPRESSIONS:
            unknown = f"unknown compression {shown(compression)}{hint(named(compression), COMPRESSIONS)}"
            raise InvalidArgument(unknown, compression=compression)
        instants = self._instants()

        def columns(scope: Scope) -> list[Output]:
            return frames.settled(self._columns(scope), instants)

        statement, outputs = self._statement(columns, listed=named_sql)
        if _are_told_apart([output.name for output in outputs]):
            self._session.engine.to_parquet(statement, str(place), compression)
            self._look_for_cut()
        else:
            write_parquet(self.reader(_BATCH), place, compression)
        return place

    # --- the statement ---------------------------------------------------------------------------

    def _statement(self, columns: Columns, **options: Any) -> tuple[Statement, list[Output]]:
        if self._fields or not (self._infos or self._included):
            return select(self._session.context(), self._query, columns, **options)
        return select_wide(self._session.context(), self._query, columns, **options)

    def _columns(self, scope: Scope) -> list[Output]:
        names = frozenset(info.name for info in self._infos)
        own = [column_of(scope, path) for path in self._fields] if self._fields else own_outputs(scope, names)
        own += [] if self._fields else [annotation(scope, name) for name in scope.annotations]
        related = [field_output(scope, path) for path in self._included]
        score = [Output("score", scope.score, "float")] if self._query.ranking else []
        return _unique([*own, *score, *related, *(feature_output(scope, info) for info in self._infos)])

    def _undecided(self, scope: Scope) -> list[Output]:
        return [output for output in self._columns(scope) if output.instants]

    def _instants(self) -> list[bool]:
        """Return which of the columns that may hold either sort of datetime hold instants, known by all their rows."""
        undecided = [info for info in self._infos if _may_be_either(info)]
        if self._fields or not (undecided or self._query.annotations):
            return []
        part = Wide(self._session, self._query, (), None, undecided)
        make = select_wide if undecided else select
        statement, outputs = make(self._session.context(), self._query, part._undecided)
        if not outputs:
            return []
        return frames.hold_instants(self._session.engine.batches(statement, _BATCH), outputs)

    # --- limits ----------------------------------------------------------------------------------

    def _tell_cut(self) -> None:
        name = self._query.table.name
        _log.warning("%s: showing %s rows, there are more; limit=None gives all", name, f"{self._query.limit:,}")

    def _look_for_cut(self) -> None:
        if not self._cuts:
            return
        beyond = sliced(self._whole, slice(self._query.limit, (self._query.limit or 0) + 1))
        if self._session.engine.rows(count(self._session.context(), beyond))[0][0]:
            self._tell_cut()


def sliced(query: Query, part: slice) -> Query:
    """Return the question for a part of the rows of one.

    Raises `InvalidArgument` for a step or a position from the end.
    """
    if part.step not in (None, 1):
        raise InvalidArgument("a slice goes forward, one by one", value=part)
    start = whole(part.start, "a slice's start") if part.start is not None else 0
    stop = whole(part.stop, "limit") if part.stop is not None else None
    if query.limit is not None:
        stop = query.limit if stop is None else min(stop, query.limit)
    limit = None if stop is None else max(stop - start, 0)
    return replace(query, offset=query.offset + start, limit=limit)


def _may_be_either(info: FeatureInfo) -> bool:
    return (info.dtype.item or info.dtype).base.name == "datetime"


def _writable(path: str | PathLike[str]) -> Path:
    """Return the path of a file to write.

    Raises `InvalidArgument` for what is no path of a file, `MissingFile` for a folder that does not exist.
    """
    try:
        place = fspath(path)
    except TypeError:
        place = ""
    if type(place) is not str or not place or not is_path_text(place) or Path(place).expanduser().is_dir():
        raise InvalidArgument(f"to_parquet takes the path of a file, not {shown(path)}", path=path)
    found = Path(place).expanduser().absolute()
    if not found.parent.is_dir():
        raise MissingFile(f"there is no folder {found.parent} to write {found.name} in", path=str(found))
    return found


def _are_told_apart(names: Sequence[str]) -> bool:
    """Tell whether the engine can write columns of these names: it would give others to some, and cut one at a NUL.

    >>> _are_told_apart(["n", "é", "É"]), _are_told_apart(["n", "N"])
    (True, False)
    """
    folded = {name.encode().lower() for name in names}  # as the engine does it: ASCII only
    return len(folded) == len(names) and not any(name == "" or "\0" in name for name in names)


def _listed(include: Include) -> Sequence[str | FieldRef]:
    if include is None:
        return ()
    return (include,) if isinstance(include, str | FieldRef) else several(include, "fields to include")


def _unique(outputs: list[Output]) -> list[Output]:
    """Give columns of one name a number from the second on, as two features of one name would have.

    A number that makes the name of another column is passed over.
    """
    taken, seen = {output.name for output in outputs}, set[str]()
    unique = []
    for output in outputs:
        name = output.name
        if name in seen:
            name = next(free for number in counted(2) if (free := f"{output.name}_{number}") not in taken)
        taken.add(name)
        seen.add(name)
        unique.append(replace(output, name=name))
    return unique


def _features(session: Session, query: Query, features: Features) -> list[FeatureInfo]:
    if features is False or features is None:
        return []
    if query.table.entity is None:
        raise FieldError(f"{query.table.name} carries no features: only Artifact, Run and Record do")
    if features is True:
        return session.features.all()
    if isinstance(features, str) and features == "queryset":
        return _used(session, query)
    if is_feature_key(features):
        features = [features]
    listed = several(features, "features")
    return [feature if isinstance(feature, FeatureInfo) else session.features.get(feature) for feature in listed]


def _used(session: Session, query: Query) -> list[FeatureInfo]:
    """Return the features that the rows of a question have values of."""
    context = session.context()
    if query.ranking is not None:
        raise InvalidArgument('features="queryset" does not go with a search; name the features')
    sql = (
        f"SELECT DISTINCT feature_id FROM current_{query.table.entity}_annotations "
        f"WHERE entity_id IN ({ids_sql(context, query)})"
    )
    used = {row[0] for row in session.engine.rows(context.params.statement(sql))}
    return [info for info in session.features.all() if info.id in used]
