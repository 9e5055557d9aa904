"""Sources: the releases of ontologies and the files of terms that terms come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from duckfeat.errors import FieldError, InvalidArgument, MissingFile, hint
from duckfeat.model.arguments import flag, is_path_text, several, shown, text
from duckfeat.model.fields import Field
from duckfeat.model.tables import Table
from duckfeat.ontology import obo, tables
from duckfeat.ontology.formats import is_archive, stem_of, suffix_of
from duckfeat.ontology.packaged import PACKAGED
from duckfeat.ontology.reading import content_fields
from duckfeat.registries.base import TracksUpdates

ENTITIES = (
    "Organism",
    "Gene",
    "Protein",
    "CellType",
    "Tissue",
    "Disease",
    "CellLine",
    "Phenotype",
    "Pathway",
    "DevelopmentalStage",
    "ExperimentalFactor",
    "Ethnicity",
)
"""The registries whose records come from sources."""

ALL = "all"
"""The organism of a source that is about every organism."""


class Source(TracksUpdates, rows="sources", uid_length=8):
    """Where terms come from: a release of an ontology, or a file.

    The releases in the package `cellxgene-ontology-guide` need not be added; `Source.available()` lists them. Add other
    sources with `Source.add`.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> dft.Source.available("Disease")[0].name
    'mondo'
    """

    __found_by__ = ("name", "version", "entity", "organism")

    entity: Field[str] = Field("str", "The registry its terms belong to: `Gene`, `CellType`, ...")
    name: Field[str] = Field("str", "The name of the ontology, such as `cl`.", search=True)
    version: Field[str] = Field("str", "The version of the release.", default="")
    organism: Field[str] = Field("str", "The organism its terms are of; `all` where that means nothing.", default=ALL)
    url: Field[str] = Field("str", "Where it is: a path, or the package that brings it.")
    options: Field[str | None] = Field("str", "How the file is read, as JSON.", null=True, shown=False)
    description: Field[str | None] = Field("str", "What it holds.", null=True, search=True)
    in_db: Field[bool] = Field("bool", "Whether it was imported as a whole.", default=False)
    currently_used: Field[bool] = Field("bool", "Whether it is preferred to others.", default=False)

    @classmethod
    def add(
        cls,
        entity: str | type[Any],
        *,
        path: str | PathLike[str],
        organism: Any = None,
        name: str | None = None,
        version: str = "",
        columns: Mapping[str, str | int] | None = None,
        prefix: str | Sequence[str] | None = None,
        currently_used: bool = True,
        description: str | None = None,
    ) -> Source:
        """Save a file as a source of terms and return it.

        Adding a source with the same name, version and organism again changes that source.

        Args:
            entity: The registry of the terms: "gene", "CellType", `dft.Gene`, ...
            path: An OBO or OWL file, a table (CSV, TSV or Parquet, also compressed), or the NCBI taxonomy (a folder,
                tar or zip with `names.dmp` and `nodes.dmp`).
            organism: The organism of the terms; by default they are of all organisms.
            name: The name of the source; by default that of the file.
            version: The version of the source.
            columns: For a table, which column holds which field, by name or position. By default columns are
                recognised by their names, or by their content if the table has no header.
            prefix: For an OBO or OWL file, the prefix of the ids to take; by default that of the ontology itself.
            currently_used: Whether the source is preferred to others.
            description: What the source holds.

        Raises:
            InvalidArgument: For an unknown entity or organism, for a column that the table does not have, and for
                `columns` or a `prefix` of a file that has none.
            FieldError: For a field that terms do not get from sources.
            MissingFile: For a path that does not exist.
        """
        place = _file(path)
        session = cls._current()
        entity = entity_name(entity)
        options = {"columns": _columns(columns, session.catalog[entity], place), "prefix": _prefixes(prefix, place)}
        given = {
            "url": str(place),
            "options": json.dumps({key: value for key, value in options.items() if value}, sort_keys=True),
            "currently_used": flag(currently_used, "currently_used"),
            "description": description,
        }
        known = session.registries["Source"]
        named = {
            "entity": entity,
            "name": stem_of(place) if name is None else text(name, "the name of a source"),
            "version": _version(version),
            "organism": session.registries["Organism"]._name_of(organism),
        }
        found: Source = known.get_or_none(**named) or known(**named, url=str(place))
        if found.url != given["url"]:
            found.in_db = False
        for field, value in given.items():
            setattr(found, field, value)
        return found.save()

    @classmethod
    def available(cls, entity: str | type[Any] | None = None) -> list[Source]:
        """Return the sources of a registry, or of all: added ones first, then those of installed packages."""
        session = cls._current()
        wanted = ENTITIES if entity is None else (entity_name(entity),)
        saved = list(session.registries["Source"].filter(entity__in=list(wanted)).order_by("-currently_used", "-id"))
        seen = {source._key() for source in saved}
        bound = session.registries["Source"]
        packaged = [bound(**fields) for name in wanted for fields in PACKAGED[name]()]
        return [*saved, *(source for source in packaged if source._key() not in seen)]

    def _key(self) -> tuple[str, ...]:
        return (self.entity, self.name, self.version, self.organism)

    @property
    def settings(self) -> dict[str, Any]:
        """How the file is read: `columns`, `prefix`."""
        read: dict[str, Any] = json.loads(self.options) if self.options else {}
        return read

    def __str__(self) -> str:
        organism = "" if self.organism == ALL else f" ({self.organism})"
        return f"{self.name} {self.version}".strip() + organism


def _file(path: Any) -> Path:
    """Return the absolute path of a file or folder that is there."""
    if not isinstance(path, str | PathLike) or not isinstance(fspath(path), str) or not is_path_text(str(fspath(path))):
        raise InvalidArgument(f"the terms of a source are in a file: {shown(path)} is not a path", path=path)
    place = Path(fspath(path)).absolute()
    try:
        there = place.exists()
    except OSError:  # such as a name that is too long
        there = False
    if not there:
        raise MissingFile(f"there is no file {place}", path=str(place))
    return place


def _version(version: Any) -> str:
    """Return a version, which may be empty."""
    return version if isinstance(version, str) and not version else text(version, "a version")


def _columns(columns: Any, table: Table, place: Path) -> dict[str, str | int]:
    """Return the columns that were given, when the registry has such fields and the file such columns."""
    if columns is not None and not isinstance(columns, Mapping):
        raise InvalidArgument(f"columns are given as {{field: column}}, not {shown(columns)}", value=columns)
    for field, column in (columns or {}).items():
        if not isinstance(field, str) or not isinstance(column, str | int) or isinstance(column, bool):
            given = {field: column}
            raise InvalidArgument(f"a field has the name or the position of a column, not {shown(given)}", value=given)
        _check_field(field, table)
    if columns:
        if place.is_dir() or is_archive(place) or suffix_of(place) in obo.SUFFIXES:
            raise InvalidArgument(f"columns are those of a table, and {place.name} is none", path=str(place))
        if suffix_of(place) in tables.SUFFIXES:
            tables.check_columns(place, columns)
    return dict(columns or {})


def _check_field(field: str, table: Table) -> None:
    available = [*content_fields(table), *(["parents"] if "parents" in table.relations else [])]
    if field not in available:
        raise FieldError(
            f"a source of {table.name} terms has no field {field!r}{hint(field, available)}",
            registry=table.name,
            name=field,
            available=available,
        )


def _prefixes(prefix: Any, place: Path) -> list[str] | None:
    if prefix is None:
        return None
    if place.is_dir() or is_archive(place) or suffix_of(place) in tables.SUFFIXES:
        message = f"a prefix tells the terms of an OBO or OWL file from others, and {place.name} is none"
        raise InvalidArgument(message, path=str(place))
    return [text(one, "a prefix") for one in ([prefix] if isinstance(prefix, str) else several(prefix, "prefixes"))]


def entity_name(entity: str | type[Any]) -> str:
    """Return the registry that a name in any spelling, or the class, means.

    Raises `InvalidArgument` with the registries there are.

    >>> entity_name("cell_type"), entity_name("gene"), entity_name("bionty.Tissue")
    ('CellType', 'Gene', 'Tissue')
    """
    given = getattr(entity, "__registry__", entity)
    by_name = {name.casefold(): name for name in ENTITIES}
    folded = str(given).rsplit(".", 1)[-1].replace("_", "").replace(" ", "").casefold()
    if folded not in by_name:
        raise InvalidArgument(f"no registry takes terms of {shown(given)}{hint(str(given), ENTITIES)}", value=entity)
    return by_name[folded]
