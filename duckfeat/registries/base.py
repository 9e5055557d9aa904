"""What every registry has: the class is the table, an instance a row."""

from __future__ import annotations

import copy
import copyreg
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, SupportsIndex

from duckfeat.compile.select import Query
from duckfeat.errors import AttributeMissing, DuckfeatError, FieldError, InvalidArgument, attribute_missing, hint
from duckfeat.model.arguments import flag, registry_of, shown
from duckfeat.model.attributes import TellingType
from duckfeat.model.dtypes import Typed, decode
from duckfeat.model.fields import Field, FieldRef, ForeignKey, Many, Relation, Reverse, field_name
from duckfeat.model.kinds import KINDS
from duckfeat.model.q import Condition, RelatedTo
from duckfeat.model.tables import Table
from duckfeat.query.checking import Inspection
from duckfeat.query.lookup import Keep, Lookup
from duckfeat.query.queryset import QuerySet
from duckfeat.query.session import INSTANCES, Session, not_pickled
from duckfeat.query.wide import Features, Include
from duckfeat.registries import describing, naming
from duckfeat.registries.describing import Describe
from duckfeat.registries.managers import Manager
from duckfeat.registries.undo import putting_back
from duckfeat.registries.values import Records

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from duckfeat.registries.places import Branch, Space
    from duckfeat.registries.run import Run
    from duckfeat.registries.user import User


def _registry_reduced(cls: Any) -> str:
    """Return what pickle takes for a registry: its name, unless it is bound to a store."""
    if getattr(cls, "__session__", None) is not None:
        raise not_pickled(f"store.{cls.__name__}")
    name: str = cls.__qualname__
    return name


copyreg.pickle(TellingType, _registry_reduced)


def utc_now() -> datetime:
    """Return the time as it is recorded: UTC, to the microsecond."""
    return datetime.now(UTC)


class SQLRecord(metaclass=TellingType):
    """A record of a registry. Class methods such as `filter` query all records of the registry.

    Fields are given as keywords. Nothing is written before `save()`.
    """

    __registry__: ClassVar[str] = ""
    __table__: ClassVar[Table]
    __session__: ClassVar[Session | None] = None
    __found_by__: ClassVar[tuple[str, ...]] = ()
    """Fields that name a record: saving one whose names exist returns the existing one."""
    __identifiers__: ClassVar[tuple[str, ...]] = ()
    """The fields that hold the id of a record elsewhere, such as in an ontology."""
    __constant__: ClassVar[tuple[str, ...]] = ()
    """Fields that saved records keep as they are."""
    __completed__: ClassVar[tuple[str, ...]] = ()
    """Fields that an existing record takes from a new one that turns out to be it, where it has none."""

    id: Field[Any] = Field("int", "The number of the record in its registry.", settable=False, shown=False)
    uid: Field[str] = Field("str", "The random name of the record, base62.", unique=True)

    def __init_subclass__(
        cls, rows: str = "", label: str = "name", uid_length: int = 12, source: str = "", **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if rows:
            cls.__registry__ = cls.__name__
            fields, relations = _declared(cls)
            cls.__table__ = Table(
                cls.__name__, rows, source or rows, fields, relations, label, uid_length, cls.__identifiers__
            )

    def __init__(self, *args: Any, **values: Any) -> None:
        if args:
            raise InvalidArgument(f"{self.__registry__} takes its fields as keywords", value=args)
        self.__dict__["_session"] = type(self).__session__
        table = self.__table__
        for field in table.fields.values():
            self.__dict__[field.column] = field.initial()
        for name, value in values.items():
            self._set(name, value)

    def _set(self, name: str, value: Any) -> None:
        if not _is_settable(self.__table__, name):
            raise _not_settable(self.__table__, name, is_feature=bool(self.__table__.entity) and self._is_feature(name))
        setattr(self, name, value)

    @classmethod
    def _check_fixed(cls, names: Iterable[str]) -> None:
        """Raise `FieldError` for what new records of a value are not given, also where none is made."""
        for name in names:
            if not (_is_settable(cls.__table__, name) or (name == "features" and cls.__table__.entity)):
                raise _not_settable(cls.__table__, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and (reason := self._unsettable(name)) is not None:
            raise reason
        object.__setattr__(self, name, value)
        if (field := _pointing(self.__table__, name)) is not None:
            self.__dict__.pop(field.name, None)
            self._points(field)
        elif name == "is_type":
            self._points(self.__table__.fields[name])

    def __delattr__(self, name: str) -> None:
        if not name.startswith("_"):
            raise InvalidArgument(f"{self.__registry__}.{name} cannot be deleted: set it to None", name=name)
        object.__delattr__(self, name)

    def _unsettable(self, name: str) -> DuckfeatError | None:
        """Return the error for what is no field: setting it would be forgotten at the next `save()`."""
        table = self.__table__
        if name == "id" or (name in table.relations and table.relations[name].many):
            what = "is given by the store" if name == "id" else f"is changed by record.{name}.add, remove and set"
            return InvalidArgument(f"{table.name}.{name} {what}", name=name)
        field = table.fields.get(name) or _pointing(table, name)
        if field is not None:
            what = f"{table.name}.{name} is given by the store"
            return None if field.settable else InvalidArgument(what, name=name)
        if name == "features" and table.entity:
            what = "is changed by record.features.add_values, update_values and set_values"
            return InvalidArgument(f"{table.name}.{name} {what}", name=name)
        return self._missing(name, [field.name for field in table.fields.values() if field.settable])

    def _missing(self, name: str, available: Iterable[str]) -> AttributeMissing:
        missing = attribute_missing(self.__registry__, name, available)
        if self.__table__.entity is None or not self._is_feature(name):
            return missing
        meant = f"the feature's value is record.features[{name!r}]"
        return AttributeMissing(f"{self.__registry__} has no attribute {name!r}: {meant}", **missing.facts)

    def _is_feature(self, name: str) -> bool:
        try:
            return name in self._bound.features.names()
        except DuckfeatError:  # such as a closed store: what is missing is the attribute all the same
            return False

    @property
    def _bound(self) -> Session:
        session: Session | None = self.__dict__.get("_session")
        return session or INSTANCES.current()

    # --- relations -------------------------------------------------------------------------------

    def _foreign(self, field: ForeignKey[Any]) -> Any:
        if field.name in self.__dict__:
            return self.__dict__[field.name]
        id_ = self.__dict__.get(field.column)
        if id_ is None:
            return None
        peers = [peer for peer in self.__dict__.get("_peers", ()) if field.name not in peer.__dict__] or [self]
        ids = {peer.__dict__[field.column] for peer in peers if peer.__dict__.get(field.column) is not None}
        found = self._bound.registries[field.target].filter(id__in=sorted(ids | {id_}))
        by_id = {record.id: record for record in found}
        for peer in (*peers, self):
            peer.__dict__[field.name] = by_id.get(peer.__dict__.get(field.column))
        return self.__dict__[field.name]

    def _set_foreign(self, field: ForeignKey[Any], value: Any) -> None:
        registry = registry_of(value)
        if value is not None and registry != field.target:
            raise InvalidArgument(
                f"{self.__registry__}.{field.name} is a {field.target}, not {shown(value)}", value=value
            )
        self.__dict__[field.name] = value
        self.__dict__[field.column] = None if value is None else value.id
        self._points(field)

    def _points(self, field: Field[Any]) -> None:
        """Note that a field was made to point at a record, or to tell that others may, which `save()` looks at."""
        self.__dict__["_pointed"] = (*self.__dict__.get("_pointed", ()), field.name)

    def _manager(self, relation: Relation) -> Manager[Any]:
        if self.id is None:
            raise InvalidArgument(f"save this {self.__registry__} before you use its {relation.name}")
        condition = RelatedTo(relation, (self.id,))
        query = Query(self._bound.catalog[relation.target], branches=self._bound.branches)
        return Manager(self._bound, query.where(condition), relation, self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise attribute_missing(self.__registry__, name, [])
        session = self.__dict__.get("_session") or INSTANCES.default
        relations = session.catalog[self.__registry__].relations if session else {}
        if name in relations:
            return self._manager(relations[name])
        raise self._missing(name, [*dir(type(self)), *relations])

    # --- writing ---------------------------------------------------------------------------------

    def save(self) -> Self:
        """Save the record and return it.

        A new record gets an id and a uid; a saved one is updated. In a registry whose names are unique, a new record
        with an existing name becomes the existing record. The call is all or nothing.

        Raises `ValidationError` for a required field that is missing or a value of the wrong type, `IntegrityError`
        for a uid that exists.
        """
        self._bound.writer.save([self])
        return self

    def delete(self, permanent: bool | None = None) -> Any:
        """Move the record to the trash, or with `permanent=True` remove it with its annotations and relations.

        Returns None, or for a permanent deletion the number of removed rows, `(count, {registry: count})`.

        Raises `IntegrityError` for a permanent deletion if other records need this one.
        """
        return self._delete(permanent=permanent)

    def _delete(self, *, permanent: bool | None, cascade: bool = False) -> Any:
        permanent, cascade = permanent is not None and flag(permanent, "permanent"), flag(cascade, "cascade")
        self._require_saved("delete")
        writer, engine = self._bound.writer, self._bound.engine
        with engine.transaction():
            engine.on_rollback(putting_back(self))
            result = writer.delete(self.__registry__, [self.id], permanent=permanent, cascade=cascade)
            if permanent:
                self.__dict__["id"] = None
            else:
                self.refresh_from_db()
        return result

    def restore(self) -> Self:
        """Bring the record back from the trash to the branch it was on, and return it.

        Raises `IntegrityError` if a record with the same name was saved since.
        """
        self._require_saved("restore")
        engine = self._bound.engine
        with engine.transaction():
            engine.on_rollback(putting_back(self))
            self._bound.writer.restore(self.__registry__, [self.id])
            return self.refresh_from_db()

    def refresh_from_db(self) -> Self:
        """Read the record's fields again and return it."""
        self._require_saved("refresh")
        fresh = self._bound.registries[self.__registry__].get(self.id)
        kept = self.__dict__.get("_session")
        self.__dict__.clear()
        self.__dict__.update({**fresh.__dict__, "_session": kept or fresh.__dict__["_session"]})
        return self

    def _require_saved(self, what: str) -> None:
        if self.id is None:
            raise InvalidArgument(f"this {self.__registry__} is not saved: there is nothing to {what}")

    # --- looking at it ---------------------------------------------------------------------------

    describe = Describe()

    def _called(self) -> str:
        """Return what the description of a record that points at this one says."""
        return describing.short(describing.called(self))

    def __repr__(self) -> str:
        return describing.one_line(self)

    def _repr_html_(self) -> str:
        return describing.html(self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, SQLRecord) or self.__registry__ != other.__registry__ or self.id is None:
            return False
        return self._identity() == other._identity()

    def _identity(self) -> tuple[Any, ...]:
        return (self.id, self.__dict__.get("uid"), self.__dict__.get("hash"))

    def __hash__(self) -> int:
        if self.id is None:  # a hash by the object would be another one once it is saved
            what = f"this {self.__registry__} is not saved yet"
            raise InvalidArgument(f"{what}, so it cannot be a key of a dict or a member of a set")
        return hash((self.__registry__, self.id))

    # --- copies ----------------------------------------------------------------------------------

    def __copy__(self) -> Self:
        made: Self = object.__new__(type(self))
        made.__dict__.update({name: value for name, value in self.__dict__.items() if name != "_peers"})
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = self.__copy__()
        memo[id(self)] = made
        made.__dict__.update(copy.deepcopy(made.__dict__, memo))
        return made

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        if self.__dict__.get("_session") is not None:
            raise not_pickled(self.__registry__)
        return super().__reduce_ex__(protocol)

    # --- the registry ----------------------------------------------------------------------------

    @classmethod
    def _current(cls) -> Session:
        return cls.__session__ or INSTANCES.current()

    @classmethod
    def _queryset(cls) -> QuerySet[Self]:
        session = cls._current()
        return QuerySet(session, Query(session.catalog[cls.__registry__], branches=session.branches))

    @classmethod
    def _named_field(cls, field: str | FieldRef | None) -> str:
        """Return the name of a field; of none, that of the field which names a record."""
        return cls.__table__.label if field is None else field_name(field)

    @classmethod
    def _from_rows(cls, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[Self]:
        made = []
        session = cls.__session__
        for row in rows:
            record = object.__new__(cls)
            record.__dict__.update(zip(columns, row, strict=False))
            record.__dict__["_session"] = session
            _read_special(cls.__table__, record.__dict__)
            made.append(record)
        for record in made:
            record.__dict__["_peers"] = made
        return made

    @classmethod
    def _prepare(cls, _session: Session, records: Sequence[Self]) -> None:
        """Complete new records before they are saved; a registry may do what it needs here."""

    @classmethod
    def _prepare_update(cls, _session: Session, record: Self) -> None:
        """Complete a saved record before it is updated."""

    @classmethod
    def _prepare_values(cls, _session: Session, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return fields to be set in several saved records at once as they are stored."""
        return values

    @classmethod
    def _check_changes(cls, session: Session, changes: Mapping[int, Mapping[str, Any]]) -> None:
        """Raise `ValidationError` for a change that the registry does not allow; columns by id are what is set."""

    @classmethod
    def _saved(cls, session: Session, records: Sequence[Self]) -> None:
        """Do what new records that were just saved bring with them."""

    @classmethod
    def _changing(cls, _session: Session, _changes: Mapping[int, Mapping[str, Any]]) -> Callable[[], None]:
        """Return what is to be done after records were changed, moved or removed; columns by id are what is set."""
        return lambda: None

    @classmethod
    def _twin_key(cls, record: Self) -> Any:
        """Return what two new records of one call must not both have, or None."""
        return naming.key_of(cls, record)

    @classmethod
    def _existing(cls, session: Session, records: Sequence[Self]) -> dict[int, Self]:
        """Return the saved records that new ones turn out to be, by position."""
        return naming.existing(cls, session, records)

    def _agrees_with(self, existing: Self) -> None:
        """Raise `ValidationError` if this new record cannot be the existing one of its name."""

    @classmethod
    def filter(cls, /, *queries: Condition, branch: Any = ..., **lookups: Any) -> QuerySet[Self]:
        """Return the records that fulfil all of these conditions, as a QuerySet.

        Conditions are `Q` objects, feature predicates, and lookups as keywords. Only records of the current branch and
        main are found, unless a condition names a `branch`, `id`, `uid` or `hash`; `branch=None` means all branches.
        """
        return cls._queryset().filter(*queries, branch=branch, **lookups)

    @classmethod
    def exclude(cls, /, *queries: Condition, **lookups: Any) -> QuerySet[Self]:
        """Return the records that do not fulfil all of these conditions, as a QuerySet."""
        return cls._queryset().exclude(*queries, **lookups)

    @classmethod
    def all(cls) -> QuerySet[Self]:
        """Return all records, as a QuerySet."""
        return cls._queryset()

    @classmethod
    def get(cls, /, idlike: SupportsIndex | str | None = None, **lookups: Any) -> Self:
        """Return the one record with an id, a uid or its first characters, or that fulfils lookups.

        Raises `DoesNotExist` if there is none, `MultipleResultsFound` if there are several.
        """
        return cls.filter().get(idlike, **lookups)

    @classmethod
    def get_or_none(cls, /, idlike: SupportsIndex | str | None = None, **lookups: Any) -> Self | None:
        """Return the record that `get` returns, or None if there is none."""
        return cls.filter().get_or_none(idlike, **lookups)

    @classmethod
    def count(cls) -> int:
        """Return how many records there are."""
        return cls._queryset().count()

    @classmethod
    def search(
        cls, string: str, *, field: Any = None, limit: int | None = 20, case_sensitive: bool = False
    ) -> QuerySet[Self]:
        """Return the records whose texts are most similar to `string`, best first; see `QuerySet.search`."""
        return cls._queryset().search(string, field=field, limit=limit, case_sensitive=case_sensitive)

    @classmethod
    def lookup(
        cls,
        field: str | FieldRef | None = None,
        return_field: str | FieldRef | None = None,
        keep: Keep = "first",
    ) -> Lookup:
        """Return an object whose attributes are named after the values of a field, and are the records.

        IPython and Jupyter complete the names. With `return_field` an attribute is that field of the record. `keep`
        says what stands for a value of several records: the "first", the "last", or with False the list of all.
        """
        return cls._queryset().lookup(field, return_field, keep)

    @classmethod
    def df(cls, include: Include = None, features: Features = False, limit: int | None = 100) -> pd.DataFrame:
        """Return a pandas DataFrame of the newest records, by default of 100.

        A warning is logged if there are more; `limit=None` returns all. `include` adds related fields, `features` adds
        features: some by name, or with True all.
        """
        return cls._queryset().df(include, features, limit)

    to_dataframe = df

    @classmethod
    def pl(cls, include: Include = None, features: Features = False, limit: int | None = None) -> pl.DataFrame:
        """Return a Polars DataFrame of the records."""
        return cls._queryset().pl(include, features, limit)

    @classmethod
    def arrow(cls, include: Include = None, features: Features = False, limit: int | None = None) -> pa.Table:
        """Return an Arrow table of the records."""
        return cls._queryset().arrow(include, features, limit)

    @classmethod
    def using(cls, instance: str | None) -> QuerySet[Self]:
        """Return the records of another store as a QuerySet. None means the default store.

        `instance` is the name, the path or the url of a store; a store that is not open yet is opened. Raises
        `InstanceNotFound` if there is no such store.
        """
        session = INSTANCES.find(instance)
        bound: type[Self] = session.registries[cls.__registry__]
        return bound._queryset()

    @classmethod
    def from_values(
        cls, values: Iterable[Any], field: str | FieldRef | None = None, create: bool = False, **fixed: Any
    ) -> Records[Self]:
        """Return a record for each distinct value of a field, in the order of the values.

        A value that exists gives the saved record, any other a new one, which is saved with `create=True`, or by
        `save()` of the list that is returned. By default the field is the one that names records. `fixed` are further
        fields of new records.

        Raises `FieldError` for an unknown field.
        """
        create = flag(create, "create")
        return naming.from_values(cls, values, cls._named_field(field), create, fixed)

    @classmethod
    def validate(cls, values: Any, field: str | FieldRef | None = None) -> Any:
        """Tell which values exist in a field: a NumPy array of bools, or for a single text a bool."""
        return cls._queryset().validate(values, field)

    @classmethod
    def inspect(cls, values: Any, field: str | FieldRef | None = None) -> Inspection:
        """Return which values exist in a field, which do not, and what the latter may have meant."""
        return cls._queryset().inspect(values, field)

    @classmethod
    def standardize(cls, values: Any, field: str | FieldRef | None = None, *, return_mapper: bool = False) -> Any:
        """Return the values as a list, synonyms replaced by the names they stand for; for a single text, a text.

        With `return_mapper=True` the result is a dict of the values that are synonyms, with their names.
        """
        return cls._queryset().standardize(values, field, return_mapper=return_mapper)


class TracksRun(SQLRecord):
    """A record with provenance: who made it, when, in which run, on which branch, in which space."""

    run: ForeignKey[Run | None] = ForeignKey("Run", "Run that created the record.", related="output_{rows}", null=True)
    created_at: Field[datetime] = Field("instant", "Time of creation, UTC.", default=utc_now, settable=False)
    created_by: ForeignKey[User] = ForeignKey(
        "User", "Creator of the record.", related="created_{rows}", null=True, settable=False
    )
    branch: ForeignKey[Branch] = ForeignKey("Branch", "The branch the record is on.", related="{rows}")
    space: ForeignKey[Space] = ForeignKey("Space", "The space the record lives in.", related="{rows}")


class TracksUpdates(TracksRun):
    """A record that also knows when it was last changed."""

    updated_at: Field[datetime] = Field(
        "instant", "Time of the last change, UTC.", default=utc_now, settable=False, shown=False
    )


_TAIL = ("run", "created_at", "created_by", "updated_at", "branch", "space", "id")


def _declared(cls: type[SQLRecord]) -> tuple[Mapping[str, Any], Mapping[str, Relation]]:
    """Return the fields of a registry, its own before those every registry has, and its relations."""
    found: dict[str, Any] = {}
    for owner in reversed(cls.__mro__):
        found.update({name: value for name, value in vars(owner).items() if isinstance(value, Field | Many | Reverse)})
        found = {name: value for name, value in found.items() if vars(owner).get(name, value) is not None}
    fields = {name: value for name, value in found.items() if isinstance(value, Field)}
    ordered = [name for name in fields if name not in _TAIL] + [name for name in _TAIL if name in fields]
    relations = {
        field.name: Relation(field.name, cls.__name__, field.target, "fk", column=field.column)
        for field in fields.values()
        if isinstance(field, ForeignKey)
    }
    relations |= {
        name: value.relation(cls.__name__) for name, value in found.items() if isinstance(value, Many | Reverse)
    }
    return MappingProxyType({name: fields[name] for name in ordered}), MappingProxyType(relations)


def _is_settable(table: Table, name: str) -> bool:
    field = table.fields.get(name) or _pointing(table, name)
    return field is not None and field.settable


def _not_settable(table: Table, name: str, *, is_feature: bool = False) -> FieldError:
    """Return the error for what is no field that a new record takes."""
    settable = [known.name for known in table.fields.values() if known.settable]
    settable += ["features"] if table.entity else []
    meant = f": it is a feature, given as features={{{name!r}: ...}}" if is_feature else hint(name, settable)
    return FieldError(f"{table.name} has no field {name!r} to set{meant}", name=name, available=settable)


def _pointing(table: Table, column: str) -> ForeignKey[Any] | None:
    """Return the foreign key that has a column, such as `type` for `type_id`."""
    field = table.fields.get(column.removesuffix("_id")) if column.endswith("_id") else None
    return field if isinstance(field, ForeignKey) else None


def _read_special(table: Table, values: dict[str, Any]) -> None:
    """Give instants their zone back, and a feature value its Python value."""
    for field in table.fields.values():
        if field.type == "instant" and isinstance(values.get(field.name), datetime):
            values[field.name] = values[field.name].replace(tzinfo=UTC)
        elif field.type == "value":
            kind = values.pop("kind")
            columns = {column: values.pop(column, None) for column in {row.column for row in KINDS.values()}}
            typed = Typed(kind, columns[KINDS[kind].column])
            values["_typed"] = typed
            values[field.name] = decode(*typed)
