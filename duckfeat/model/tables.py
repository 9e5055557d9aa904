"""Table descriptions: what the compiler knows of each registry, and the catalog of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from duckfeat.errors import FieldError, hint
from duckfeat.model.fields import Field, ForeignKey, Relation

MAIN, ARCHIVE, TRASH = 1, 0, -1
"""The ids of the branches that every store has."""
OWN_PLACES: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        "Branch": MappingProxyType({MAIN: "main", ARCHIVE: "archive", TRASH: "trash"}),
        "Space": MappingProxyType({1: "all"}),
    }
)
"""The branches and the space that every store has, by id."""

ENTITIES: Mapping[str, str] = MappingProxyType({"Artifact": "artifact", "Run": "run", "Record": "record"})
"""Registries whose records carry features, and the word their annotation tables begin with."""


@dataclass(frozen=True, slots=True)
class Table:
    """A registry's description: where its rows are, its fields in order, its relations by name.

    `rows` is the table written to, `source` the table or view read from. `label` is the field that names a
    record for people, `uid_length` how long its random uid is. `identifiers` are the fields of its ids elsewhere.
    """

    name: str
    rows: str
    source: str
    fields: Mapping[str, Field[object]]
    relations: Mapping[str, Relation]
    label: str
    uid_length: int
    identifiers: tuple[str, ...] = ()

    def __deepcopy__(self, _memo: object) -> Table:
        return self  # nothing in it changes

    @property
    def entity(self) -> str | None:
        """The word its annotation tables begin with, for registries whose records carry features."""
        return ENTITIES.get(self.name)

    @property
    def stored(self) -> list[Field[object]]:
        """The fields that are columns of the table written to."""
        return [field for field in self.fields.values() if field.stored]

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that a record may be named by as the value of a feature, the likeliest first."""
        uid = ("uid",) if self.fields[self.label].null else ()
        return (self.label, *self.identifiers, *uid)

    @property
    def called(self) -> tuple[str, ...]:
        """The fields of which the first that is not missing is what people call a record."""
        return self.names if self.fields[self.label].null else (self.label,)

    @property
    def text_fields(self) -> list[str]:
        """The fields that are searched unless one is named."""
        return [field.name for field in self.fields.values() if field.search]

    def field(self, name: str) -> Field[object]:
        """Return the field called `name`.

        Raises `FieldError` with what there is and the nearest match.
        """
        if name == "pk":
            return self.fields["id"]
        if name in self.fields:
            return self.fields[name]
        for field in self.fields.values():
            if isinstance(field, ForeignKey) and field.column == name:
                return field
        raise self.unknown(name)

    def has(self, name: str) -> bool:
        """Tell whether `name` is a field or relation of this registry."""
        return (
            name == "pk"
            or name in self.fields
            or name in self.relations
            or any(isinstance(field, ForeignKey) and field.column == name for field in self.fields.values())
        )

    def unknown(self, name: str) -> FieldError:
        """Return the error for a name that is neither a field nor a relation."""
        available = [*self.fields, *self.relations]
        what = f"{name!r} is a relation of {self.name}, and no field"
        return FieldError(
            what if name in self.relations else f"{self.name} has no field {name!r}{hint(name, available)}",
            registry=self.name,
            name=name,
            available=sorted(available),
        )


class Catalog(Mapping[str, Table]):
    """All registries of a program by name; `catalog["Artifact"]` is its table description."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = MappingProxyType(dict(tables))

    def __getitem__(self, name: str) -> Table:
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)
