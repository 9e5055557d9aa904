"""Fields and relations of a registry, as descriptors and as plain data.

On a record a field is its value; on the registry class it is a `FieldRef`, which can be given wherever a
field name can: `search(field=Gene.symbol)`, `order_by(Artifact.key)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from duckfeat.model.arguments import flag, shown
from duckfeat.model.order import Order

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FieldRef:
    """A field of a registry, named by the class attribute; usable as a field name.

    `registry` and `name` say which; `str()` gives the name.
    """

    registry: str
    name: str

    def __str__(self) -> str:
        return self.name

    def asc(self, *, nulls_first: bool = False) -> Order:
        """Return the order by this field, the least first."""
        return Order(self.name, nulls_first=flag(nulls_first, "nulls_first"))

    def desc(self, *, nulls_first: bool = False) -> Order:
        """Return the order by this field, the greatest first."""
        return Order(self.name, descending=True, nulls_first=flag(nulls_first, "nulls_first"))

    def __neg__(self) -> Order:
        return self.desc()


def field_name(field: str | FieldRef | Any) -> str:
    """Return the name of a field given as text or as a class attribute."""
    return str(field) if isinstance(field, str | FieldRef) else shown(field)


class Field(Generic[T]):
    """A stored column: its type, whether it may be missing, its default, and what may be done with it.

    `type` is one of the kinds (`str int bool instant ...`) or `value`; `unique` marks fields that name a record (within
    its type); `search` marks text that is searched by default, in the order of declaration; `settable` fields
    are accepted by the constructor.
    """

    def __init__(
        self,
        type: str,
        doc: str,
        *,
        null: bool = False,
        default: Any = None,
        unique: bool = False,
        search: bool = False,
        settable: bool = True,
        stored: bool = True,
        shown: bool = True,
        column: str | None = None,
    ) -> None:
        self.type = type
        self.__doc__ = doc
        self.null = null
        self.default = default
        self.unique = unique
        self.search = search
        self.settable = settable
        self.stored = stored
        self.shown = shown
        self.column = column or ""
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.column = self.column or name

    @overload
    def __get__(self, record: None, owner: type) -> FieldRef: ...
    @overload
    def __get__(self, record: object, owner: type) -> T: ...
    def __get__(self, record: Any, owner: type) -> FieldRef | T:
        if record is None:
            return FieldRef(owner.__name__, self.name)
        value: T = record.__dict__.get(self.name)
        return value

    def __set__(self, record: Any, value: T) -> None:
        record.__dict__[self.name] = value

    def initial(self) -> Any:
        """The value a new record starts with."""
        return self.default() if callable(self.default) else self.default

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.type}>"


class ForeignKey(Field[T]):
    """A field that points at one record of another registry; its column holds the id."""

    def __init__(self, target: str, doc: str, *, related: str, null: bool = False, **options: Any) -> None:
        super().__init__("int", doc, null=null, **options)
        self.target = target
        self.related = related

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.column = f"{name}_id"

    @overload
    def __get__(self, record: None, owner: type) -> FieldRef: ...
    @overload
    def __get__(self, record: object, owner: type) -> T: ...
    def __get__(self, record: Any, owner: type) -> FieldRef | T:
        if record is None:
            return FieldRef(owner.__name__, self.name)
        value: T = record._foreign(self)
        return value

    def __set__(self, record: Any, value: Any) -> None:
        record._set_foreign(self, value)


@dataclass(frozen=True, slots=True)
class Relation:
    """How one registry reaches another.

    `kind` is `fk` (a column here), `reverse` (a column there), `link` (direct relations, table `links`) or
    `annotation` (through features). `column` is the foreign key's column; `link` the stored relation name;
    `forward` tells on which side of the pairs this registry stands.
    """

    name: str
    source: str
    target: str
    kind: str
    column: str = ""
    link: str = ""
    forward: bool = True

    @property
    def many(self) -> bool:
        """Whether one record here may reach several there."""
        return self.kind != "fk"


class Many:
    """A to-many relation declared on a registry; on a record it is its manager.

    `via` is the stored name of the direct relation ("artifacts.ulabels"), or "annotations" for feature values.
    """

    def __init__(self, target: str, via: str, doc: str, *, forward: bool = True) -> None:
        self.target = target
        self.via = via
        self.forward = forward
        self.name = ""
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, record: Any, owner: type) -> Any:
        if record is None:
            return FieldRef(owner.__name__, self.name)
        return record._manager(self.relation(owner.__name__))

    def relation(self, source: str) -> Relation:
        """The relation as plain data, seen from registry `source`."""
        kind = "annotation" if self.via == "annotations" else "link"
        return Relation(self.name, source, self.target, kind, link=self.via, forward=self.forward)


class Reverse:
    """The many side of another registry's foreign key; on a record it is its manager."""

    def __init__(self, target: str, column: str, doc: str) -> None:
        self.target = target
        self.column = column
        self.name = ""
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, record: Any, owner: type) -> Any:
        if record is None:
            return FieldRef(owner.__name__, self.name)
        return record._manager(self.relation(owner.__name__))

    def relation(self, source: str) -> Relation:
        """The relation as plain data, seen from registry `source`."""
        return Relation(self.name, source, self.target, "reverse", column=self.column)
