"""QuerySets: lazy, immutable queries of one registry, and the ways to take their results."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from operator import index
from typing import Any, Generic, SupportsIndex, TypeVar, overload

from duckfeat.compile.columns import field_output, record_outputs
from duckfeat.compile.computed import python_column
from duckfeat.compile.groups import grouped
from duckfeat.compile.scope import Scope
from duckfeat.compile.select import Query, count, select
from duckfeat.errors import DoesNotExist, DuckfeatError, InvalidArgument, MultipleResultsFound
from duckfeat.model.aggregates import Aggregate
from duckfeat.model.arguments import flag, is_text, registry_of, shown, whole
from duckfeat.model.attributes import Telling
from duckfeat.model.columns import Output
from duckfeat.model.fields import FieldRef, field_name
from duckfeat.model.order import Order
from duckfeat.model.q import Condition, Q
from duckfeat.model.statement import Statement
from duckfeat.query import checking
from duckfeat.query.checking import Inspection
from duckfeat.query.combining import both, either, with_annotations, without
from duckfeat.query.finding import find_lookup, search_query
from duckfeat.query.forms import Frames
from duckfeat.query.grouping import Grouped, aggregated
from duckfeat.query.lookup import Keep, Lookup
from duckfeat.query.reading import in_utc, python_rows, streamed
from duckfeat.query.session import Session
from duckfeat.query.wide import sliced

R = TypeVar("R")
_BATCH = 10_000
_SHOWN = 20
_log = logging.getLogger("duckfeat")


class QuerySet(Frames, Telling, Generic[R]):
    """The records of a registry that fulfil some conditions. Nothing runs until the records are needed.

    Every method that filters or orders returns another QuerySet and leaves this one as it is. Conditions are checked
    when they are given. No record comes twice; the newest come first unless ordered otherwise.
    """

    def __init__(self, session: Session, query: Query, *, fields: tuple[str, ...] = (), flat: bool = False) -> None:
        self._session = session
        self._query = query
        self._fields = fields
        self._flat = flat
        self._held: list[Any] | None = None
        self._length: tuple[int, int] | None = None

    def _with(self, query: Query) -> QuerySet[R]:
        return QuerySet(self._session, query, fields=self._fields, flat=self._flat)

    # --- narrowing -------------------------------------------------------------------------------

    def filter(self, /, *queries: Condition, branch: Any = ..., **lookups: Any) -> QuerySet[R]:
        """Return the records that also fulfil all of these conditions.

        Conditions are `Q` objects, feature predicates, and lookups as keywords. Only records of the current branch and
        main are found, unless a condition names a `branch`, `id`, `uid` or `hash`; `branch=None`, or `branch_id=None`,
        means all branches.

        Raises `FieldError` for an unknown field, relation, feature or lookup, `InvalidArgument` for a value that cannot
        be compared.
        """
        if lookups.get("branch_id", ...) is None:
            del lookups["branch_id"]
            branch = None
        if branch is None:
            return self._with(self._query.everywhere())._narrowed(Q(*queries, **lookups))
        place = {} if branch is ... else {"branch": branch}
        return self._narrowed(Q(*queries, **place, **lookups))

    def exclude(self, /, *queries: Condition, **lookups: Any) -> QuerySet[R]:
        """Return the records that do not fulfil all of these conditions; a missing value fulfils none."""
        return self._narrowed(~Q(*queries, **lookups))

    def _narrowed(self, condition: Q) -> QuerySet[R]:
        if not condition.children:
            return self._with(self._query)
        narrowed = self._with(self._query.where(condition))
        narrowed._check()
        return narrowed

    def _check(self) -> None:
        """Raise what is wrong with the question; what seems so is looked at again with what others have written."""
        query = replace(self._query, ranking=None)
        try:
            count(self._session.context(look=False), query)
        except DuckfeatError:
            count(self._session.context(), query)

    def all(self) -> QuerySet[R]:
        """Return a copy, which reads the records again."""
        return self._with(self._query)

    def none(self) -> QuerySet[R]:
        """Return a QuerySet without records."""
        return self._with(replace(self._query, empty=True))

    def order_by(self, *keys: Any) -> QuerySet[R]:
        """Return the records ordered by fields, related fields or features, given by name or as objects.

        A minus before a name, as in `"-name"`, means descending. Missing values come last. Records with equal keys
        come newest first, and so do all records if no key is given.

        Raises `InvalidArgument` for a slice: order before you slice.
        """
        if self._query.sliced:
            raise InvalidArgument("a slice keeps its order: order first, then slice")
        ordered = self._with(replace(self._query, order=tuple(Order.of(key) for key in keys)))
        ordered._statement()
        return ordered

    def distinct(self) -> QuerySet[R]:
        """Return each row of `values()` or `values_list()` once; records never come twice anyway."""
        return self._with(replace(self._query, distinct=bool(self._fields)))

    def __or__(self, other: QuerySet[R]) -> QuerySet[R]:
        return self._with(either(self._query, [self._partner(other)]))

    def __and__(self, other: QuerySet[R]) -> QuerySet[R]:
        return self._with(both(self._query, [self._partner(other)]))

    def _partner(self, other: Any) -> Query:
        if not isinstance(other, QuerySet) or other._query.table.name != self._query.table.name:
            raise InvalidArgument(
                f"{self._query.table.name} querysets combine with each other, not with {shown(other)}"
            )
        if other._session is not self._session:
            raise InvalidArgument("querysets of two stores do not combine")
        return other._query

    def union(self, *others: QuerySet[R]) -> QuerySet[R]:
        """Return the records that are in this QuerySet or in any of the others, each once."""
        return self._with(either(self._query, map(self._partner, others)))

    def intersection(self, *others: QuerySet[R]) -> QuerySet[R]:
        """Return the records that are in this QuerySet and in all of the others."""
        return self._with(both(self._query, map(self._partner, others)))

    def difference(self, *others: QuerySet[R]) -> QuerySet[R]:
        """Return the records that are in this QuerySet and in none of the others."""
        return self._with(without(self._query, map(self._partner, others)))

    # --- being asked about -----------------------------------------------------------------------

    def asked(self) -> Query | None:
        """Return the question, where its records are meant: the operand of `in` is a subquery then."""
        return None if self._fields else self._query

    def answers(self) -> Iterable[Any]:
        """Return the values of the one field that is asked for: the operand of `in` is a list then.

        Raises `InvalidArgument` where several fields are.
        """
        if len(self._fields) != 1:
            table = self._query.table
            given = ", ".join(self._fields) or f"records of {table.name}"
            raise InvalidArgument(f"`in` takes values here, as .values_list({table.label!r}) gives, not {given}")
        return self.values_list(*self._fields, flat=True)

    # --- computing -------------------------------------------------------------------------------

    def annotate(self, /, **aggregates: Aggregate) -> QuerySet[R]:
        """Return the same records, each with aggregates of its related records or features.

        Each keyword becomes an attribute of the records, which `filter`, `order_by`, `values` and frames know by name.

        Raises `FieldError` for an unknown field or feature, or one of a type that the aggregate does not take,
        `InvalidArgument` for a name that is taken.

        >>> import duckfeat as dft
        >>> from duckfeat.aggregates import count
        >>> store = dft.connect()
        >>> dft.Record(name="sample").save().ulabels.add(dft.ULabel(name="a"), dft.ULabel(name="b"))
        >>> dft.Record.all().annotate(labels=count("ulabels")).filter(labels__gt=1).values_list("name", "labels")[0]
        ('sample', 2)
        """
        annotated = self._with(with_annotations(self._session, self._query, aggregates))
        annotated._statement()
        return annotated

    def aggregate(self, /, **aggregates: Aggregate) -> dict[str, Any]:
        """Return aggregates over all records as a dict, by keyword; instants are in UTC.

        >>> import duckfeat as dft
        >>> from duckfeat.aggregates import count, max
        >>> store = dft.connect()
        >>> _ = dft.save([dft.ULabel(name="a"), dft.ULabel(name="b")])
        >>> dft.ULabel.all().aggregate(n=count(), last=max("name"))
        {'n': 2, 'last': 'b'}
        """
        row = aggregated(self._session, self._query, (), aggregates).to_pylist()[0]
        return {name: in_utc(value) for name, value in row.items()}

    def group_by(self, *keys: Any) -> Grouped:
        """Return the records in groups of equal keys; call `agg` on the result to get a frame.

        Keys are fields, paths to related fields, features, or parts of dates. A record with several values of a key is
        in the group of each.

        Raises `FieldError` for an unknown key or one with nested values.
        """
        grouped(self._session.context(), self._query, keys, {})
        return Grouped(self._session, self._query, keys)

    # --- records ---------------------------------------------------------------------------------

    def _statement(self, *, extra: int = 0) -> tuple[Statement, list[Any]]:
        paths = self._fields or tuple(name for name, _ in self._query.annotations)

        def columns(scope: Scope) -> list[Output]:
            own = [] if self._fields else record_outputs(scope)
            return own + [python_column(scope, path) for path in paths]

        return select(self._session.context(), self._query, columns, extra=extra)

    def _fetch(self) -> list[Any]:
        statement, outputs = self._statement()
        return self._made(self._session.engine.rows(statement), outputs)

    def _made(self, rows: list[tuple[Any, ...]], outputs: Sequence[Output]) -> list[Any]:
        """Return the rows of the statement as what the QuerySet gives."""
        contents = [output.content for output in outputs]
        if self._fields:
            return self._values(python_rows(rows, contents))
        if self._query.annotations:
            own = len(outputs) - len(self._query.annotations)
            rows = python_rows(rows, [*[""] * own, *contents[own:]])  # the record reads its own
        return self._session.make(self._query.table.name, [output.name for output in outputs], rows)

    def _values(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        width = len(self._fields)
        if self._flat:
            return [row[0] for row in rows] if width == 1 else [tuple(row[:width]) for row in rows]
        return [dict(zip(self._fields, row, strict=False)) for row in rows]

    def iterator(self, batch_size: int = _BATCH) -> Iterator[R]:
        """Yield the records, reading `batch_size` of them at a time, so that few are in memory at once.

        All records are as they were when the iteration began. Inside a transaction the whole result is held in memory,
        as columns.
        """
        return self._iterated(whole(batch_size, "batch_size", 1))

    def _iterated(self, batch_size: int) -> Iterator[R]:
        statement, outputs = self._statement()
        for rows in streamed(self._session, statement, batch_size):
            yield from self._made(rows, outputs)

    def __iter__(self) -> Iterator[R]:
        if self._held is not None:
            return iter(self._held)
        if self._query.limit is not None and self._query.limit <= _BATCH:
            self._held = self._fetch()
            return iter(self._held)
        return self._few() or self.iterator()

    def _few(self) -> Iterator[R] | None:
        """Return the records if they are so few that a connection of their own would cost more than they do."""
        statement, outputs = self._with(sliced(self._query, slice(0, _BATCH + 1)))._statement()
        rows = self._session.engine.rows(statement)
        if len(rows) > _BATCH:
            return None
        self._length = (self._session.engine.generation, len(rows))
        return iter(self._made(rows, outputs))

    def in_bulk(self, keys: Iterable[Any] | None = None, field: str | FieldRef = "id") -> dict[Any, R]:
        """Return the records, or those with some `keys`, as a dict by a field that is unique.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> _ = dft.save([dft.ULabel(name="a"), dft.ULabel(name="b")])
        >>> sorted(dft.ULabel.all().in_bulk(["a", "x"], field="name"))
        ['a']
        """
        name = field_name(field)
        if self._fields or not (name == "id" or self._query.table.field(name).unique or name in {"uid", "hash"}):
            raise InvalidArgument(
                f"in_bulk gives records by a field that tells them apart, not by {name!r}", field=name
            )
        asked = self if keys is None else self.filter(**{f"{name}__in": keys})
        return {getattr(record, name): record for record in asked}

    @overload
    def __getitem__(self, key: int) -> R: ...
    @overload
    def __getitem__(self, key: slice) -> QuerySet[R]: ...
    def __getitem__(self, key: int | slice) -> R | QuerySet[R]:
        if isinstance(key, slice):
            return self._with(sliced(self._query, key))
        position = whole(key, "a position in a QuerySet")
        found = self._with(sliced(self._query, slice(position, position + 1)))._fetch()
        if not found:
            raise _no_position(self._query.table.name, position)
        record: R = found[0]
        return record

    def __len__(self) -> int:
        if self._held is not None:
            return len(self._held)
        known, self._length = self._length, None
        if known and known[0] == self._session.engine.generation and not self._session.engine.in_transaction:
            return known[1]  # `list()` asks for it when it has begun to read
        return self.count()

    def __bool__(self) -> bool:
        return self.exists()

    def __contains__(self, record: object) -> bool:
        id_ = getattr(record, "id", None)
        if registry_of(record) != self._query.table.name or id_ is None:
            return False
        if not self._session.owns(record):
            return False
        if self._query.sliced:
            return any(other.id == id_ for other in self._fetch())
        return self._with(replace(self._query, within=(*self._query.within, ("id", (id_,))))).exists()

    def to_list(self, field: str | FieldRef | None = None) -> list[Any]:
        """Return the records as a list, or one field of each."""
        return list(self.iterator()) if field is None else list(iter(self.values_list(field_name(field), flat=True)))

    def values(self, *fields: str | FieldRef) -> QuerySet[Any]:
        """Return a dict of fields for each record. Paths to related fields work; by default all fields are returned."""
        return self._projected(fields, flat=False)

    def values_list(self, *fields: str | FieldRef, flat: bool = False) -> QuerySet[Any]:
        """Return a tuple of fields for each record, or with `flat=True` the values of one field."""
        if flag(flat, "flat") and len(fields) != 1:
            raise InvalidArgument(f"flat=True goes with one field, not {len(fields)}")
        projected = self._projected(fields, flat=True)
        if len(fields) == 1 and not flat:
            return _Tuples(self._session, self._query, fields=projected._fields, flat=True)
        return projected

    def _projected(self, fields: Sequence[str | FieldRef], *, flat: bool) -> QuerySet[Any]:
        names = tuple(field_name(field) for field in fields)
        names = names or tuple(
            [field.column for field in self._query.table.fields.values() if field.shown]
            + [name for name, _ in self._query.annotations]
        )
        projected: QuerySet[Any] = QuerySet(self._session, self._query, fields=names, flat=flat)
        projected._statement()
        return projected

    # --- one record ------------------------------------------------------------------------------

    def get(self, /, idlike: SupportsIndex | str | None = None, **lookups: Any) -> R:
        """Return the one record with an id, a uid or its first characters, or that fulfils lookups.

        Raises `DoesNotExist` if there is none, `MultipleResultsFound` if there are several.
        """
        found = self._asked_for(idlike, lookups)
        records = found._few_called(idlike)
        if not records and isinstance(idlike, str) and "uid" in self._query.table.fields and not lookups:
            raise self._no_uid(idlike)
        return _one(records, self._query.table.name, _spelled(idlike, lookups), found)

    def _asked_for(self, idlike: Any, lookups: Mapping[str, Any]) -> QuerySet[R]:
        found = self._identified(idlike) if idlike is not None else self
        return found.filter(**lookups) if lookups else found

    def _few_called(self, idlike: Any) -> list[R]:
        """Return up to two records; where several uids begin with a text, the one that it is the whole of."""
        records = self._some(2)
        if len(records) > 1 and isinstance(idlike, str) and "uid" in self._query.table.fields:
            return self.filter(uid=idlike)._some(1) or records
        return records

    def _some(self, count: int) -> list[R]:
        """Return up to `count` records: any of them, of a slice its first."""
        some = replace(sliced(self._query, slice(0, count)), ordered=self._query.sliced)
        return self._with(some)._fetch()

    def _identified(self, idlike: SupportsIndex | str) -> QuerySet[R]:
        if not isinstance(idlike, str | bool):
            with suppress(TypeError):
                return self.filter(id=index(idlike))
        if not isinstance(idlike, str):
            raise InvalidArgument(f"get takes an id, a uid or its beginning, not {shown(idlike)}", value=idlike)
        table = self._query.table
        if "uid" not in table.fields:
            return self.filter(hash__startswith=idlike)
        if not idlike or not is_text(idlike):
            raise self._no_uid(idlike)
        return self.filter(uid__startswith=idlike)

    def _no_uid(self, idlike: str) -> DoesNotExist:
        table = self._query.table
        message = f"{table.name} has no uid that begins with {idlike!r}; to get by name: get({table.label}={idlike!r})"
        return DoesNotExist(message, registry=table.name, asked=repr(idlike))

    def get_or_none(self, /, idlike: SupportsIndex | str | None = None, **lookups: Any) -> R | None:
        """Return the record that `get` returns, or None if there is none.

        Raises `MultipleResultsFound` if there are several.
        """
        try:
            found = self._asked_for(idlike, lookups)
        except DoesNotExist:  # a text that is no uid
            return None
        records = found._few_called(idlike)
        return _one(records, self._query.table.name, _spelled(idlike, lookups), found) if records else None

    def one(self) -> R:
        """Return the only record.

        Raises `DoesNotExist` if there is none, `MultipleResultsFound` if there are several.
        """
        return self.get()

    def one_or_none(self) -> R | None:
        """Return the only record, or None if there is none.

        Raises `MultipleResultsFound` if there are several.
        """
        return self.get_or_none()

    def first(self) -> R | None:
        """Return the first record, or None if there is none.

        Without an order it is the oldest; of a slice it is the first in the slice.
        """
        query = self._query
        ordered = self if query.order or query.ranking or query.sliced else self.order_by("id")
        return next(iter(ordered[:1]), None)

    def last(self) -> R | None:
        """Return the last record, or None if there is none.

        Without an order it is the newest; of a slice it is the last in the slice.
        """
        if self._query.sliced or (self._query.ranking and not self._query.order):
            length = self.count()
            return self[length - 1] if length else None
        if not self._query.order:
            return next(iter(self[:1]), None)
        order = (*(key.reversed for key in self._query.order), Order("id"))
        return next(iter(self._with(replace(self._query, order=order))[:1]), None)

    def count(self) -> int:
        """Return how many records there are."""

        def columns(scope: Scope) -> list[Output]:
            return [python_column(scope, path) for path in self._fields or ()]

        statement = count(self._session.context(), self._query, columns if self._fields else None)
        return int(self._session.engine.rows(statement)[0][0])

    def exists(self) -> bool:
        """Tell whether there are any records."""
        return bool(self._some(1))

    # --- finding by name -------------------------------------------------------------------------

    def search(
        self,
        string: str,
        *,
        field: Any = None,
        limit: int | None = 20,
        case_sensitive: bool = False,
    ) -> QuerySet[R]:
        """Return the records whose texts are most similar to `string`, best first.

        Their frames have a column `score` from 60 to 100, which is an exact match. All text fields are searched unless
        `field` names one or several. `limit=None` returns everything that is found.
        """
        query = search_query(
            self._session, self._query, string, field=field, limit=limit, case_sensitive=case_sensitive
        )
        return self._with(query)

    def lookup(
        self,
        field: str | FieldRef | None = None,
        return_field: str | FieldRef | None = None,
        keep: Keep = "first",
    ) -> Lookup:
        """Return an object whose attributes are named after the values of a field, and are the records.

        IPython and Jupyter complete the names. By default the field is the one that names records. With `return_field`
        an attribute is that field of the record. `keep` says what stands for a value of several records: the "first",
        the "last", or with False the list of all.
        """
        return find_lookup(self, self._query, field, return_field, keep)

    # --- values against the records --------------------------------------------------------------

    def validate(self, values: Any, field: str | FieldRef | None = None) -> Any:
        """Return a boolean array that tells which values exist in a field of these records; for one text, a bool."""
        return checking.validate(self, values, field)

    def inspect(self, values: Any, field: str | FieldRef | None = None) -> Inspection:
        """Return which values exist in a field of these records, which do not, and what those may have meant."""
        return checking.inspect(self, values, field)

    def standardize(self, values: Any, field: str | FieldRef | None = None, *, return_mapper: bool = False) -> Any:
        """Return the values with synonyms of these records replaced by the name they stand for.

        With `return_mapper=True` it is a dict of those that are synonyms, with their names.
        """
        return checking.standardize(self, values, field, return_mapper=return_mapper)

    # --- writing ---------------------------------------------------------------------------------

    def delete(self, permanent: bool | None = None) -> Any:
        """Move the records to the trash, or with `permanent=True` remove them with their annotations and relations.

        Returns None, or for a permanent deletion the number of removed rows, `(count, {registry: count})`.

        Raises `IntegrityError` for a permanent deletion of records that others need.
        """
        gone = False if permanent is None else flag(permanent, "permanent")
        return self._session.writer.delete(self._query.table.name, self._ids(), permanent=gone)

    def update(self, /, **values: Any) -> int:
        """Set fields of all records in one statement, and return how many records there were."""
        return int(self._session.writer.update(self._query.table.name, self._ids(), values))

    def _ids(self) -> list[int]:
        statement, _ = select(self._session.context(), self._query, lambda scope: [field_output(scope, "id")])
        return [row[0] for row in self._session.engine.rows(statement)]

    # --- looking at it ---------------------------------------------------------------------------

    def sql(self) -> tuple[str, dict[str, Any]]:
        """Return the SQL text and the parameters of the statement that reads the records."""
        statement, _ = self._statement()
        return statement.sql, dict(statement.params)

    def explain(self) -> str:
        """Return DuckDB's plan of the statement that reads the records."""
        statement, _ = self._statement()
        explained = Statement(f"EXPLAIN {statement.sql}", statement.params, statement.lists)
        return "\n".join(str(row[1]) for row in self._session.engine.rows(explained))

    def __repr__(self) -> str:
        shown = list(self[: _SHOWN + 1]) if not self._query.sliced else list(islice(self, _SHOWN + 1))
        lines = [repr(record) for record in shown[:_SHOWN]]
        if len(shown) > _SHOWN:
            lines.append(f"... showing {_SHOWN}, there are more")
        inner = ",\n ".join(lines)
        return f"<QuerySet {self._query.table.name} [{inner}]>"

    def _repr_html_(self) -> str:
        rendered: str = self.pl(limit=_SHOWN)._repr_html_()
        return rendered


class _Tuples(QuerySet[Any]):
    """Rows of one field as tuples of one."""

    def _values(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        return [tuple(row[:1]) for row in rows]

    def _with(self, query: Query) -> QuerySet[Any]:
        return _Tuples(self._session, query, fields=self._fields, flat=True)


class PositionMissing(DoesNotExist, IndexError):
    """No record stands at the position."""


def _no_position(registry: str, position: int) -> IndexError:
    return PositionMissing(f"{registry}: no record at position {position}", registry=registry, position=position)


def _spelled(idlike: Any, lookups: Mapping[str, Any]) -> str:
    """Return what one record was asked for by, as it was written."""
    return ", ".join(
        ([shown(idlike)] if idlike is not None else []) + [f"{name}={shown(value)}" for name, value in lookups.items()]
    )


def _one(records: Sequence[R], registry: str, asked: str, found: QuerySet[R]) -> R:
    what = f"{registry}.get({asked})" if asked else registry
    if not records:
        raise DoesNotExist(f"{what}: no such {registry}{_where_else(found)}", registry=registry, asked=asked)
    if len(records) > 1:
        number = found.count()
        versions = found._query.table.has("is_latest") and "is_latest" not in asked
        newest = "; the newest of each key has is_latest=True" if versions else ""
        message = f"{what}: {number} match, one was asked for{newest}"
        raise MultipleResultsFound(message, registry=registry, count=number)
    return records[0]


def _where_else(found: QuerySet[Any]) -> str:
    """Return the hint at the branch that has what was asked for, else at the nearest name."""
    if found._query.branches is not None and not found._query.sliced:
        branch = found._with(found._query.everywhere()).values_list("branch__name", flat=True).first()
        if branch is not None:
            return f" here, but one on branch {branch!r}: ask for branch={branch!r}, or branch=None"
    return _nearest(found)


def _nearest(found: QuerySet[Any]) -> str:
    """Return the hint at the nearest name, where one exact name was asked for."""
    query = found._query
    last = query.conditions[-1] if query.conditions else None
    pairs = [child for child in last.children if isinstance(child, tuple)] if isinstance(last, Q) else []
    if len(pairs) != 1 or pairs[0][0] != query.table.label or not isinstance(pairs[0][1], str):
        return ""
    everything = QuerySet[Any](found._session, replace(query, conditions=(), limit=None, offset=0))
    near = list(
        everything.search(pairs[0][1], field=query.table.label, limit=1).values_list(query.table.label, flat=True)
    )
    return f" (did you mean {near[0]!r}?)" if near and near != [pairs[0][1]] else ""
