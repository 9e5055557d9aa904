"""The files under `sql/`: numbered migrations, named statements, integrity checks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from duckfeat.errors import InvalidArgument

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED, _CHECKOUT = _PACKAGE / "sql", _PACKAGE.parent / "sql"
_NAME = re.compile(r"^-- name: (?P<name>[a-z_]+)\s*$", re.MULTILINE)
_TABLE = re.compile(r"^CREATE TABLE (?P<name>\w+)", re.MULTILINE)
_VIEW = re.compile(r"^CREATE (?:OR REPLACE )?VIEW (?P<name>\w+) AS\s+(?P<query>[^;]+);", re.MULTILINE)
_WRITING = re.compile(r"^(?:INSERT|UPDATE|DELETE)\b", re.MULTILINE)
_ENTITY = re.compile(r"artifact|run|record")


def sql_folder() -> Path:
    """Return the folder of the SQL files: inside the installed package, or beside it in a checkout."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered, immutable schema file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of the text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def migrations() -> tuple[Migration, ...]:
    """Return the migrations in order.

    >>> [migration.version for migration in migrations()][:3]
    [1, 2, 3]
    """
    found = []
    for path in sorted((sql_folder() / "schema").glob("[0-9]*_*.sql")):
        number, _, name = path.stem.partition("_")
        found.append(Migration(int(number), name, _text(path)))
    return tuple(found)


@cache
def tables() -> frozenset[str]:
    """Return the names of the tables that the migrations make."""
    return frozenset(table["name"] for migration in migrations() for table in _TABLE.finditer(migration.sql))


@cache
def views() -> Mapping[str, str]:
    """Return the queries of the views that the migrations leave, by name.

    >>> views()["current_links"].splitlines()[1]
    'FROM links AS a'
    """
    found = (view for migration in migrations() for view in _VIEW.finditer(migration.sql))
    return MappingProxyType({view["name"]: view["query"] for view in found})


@cache
def checks() -> Mapping[str, str]:
    """Return the integrity checks by name; each returns the rows that break it."""
    return MappingProxyType({path.stem: _text(path) for path in sorted((sql_folder() / "checks").glob("*.sql"))})


@cache
def statements() -> Mapping[str, str]:
    """Return the named statements of all files under `sql/queries` as `file.name`.

    Raises `InvalidArgument` with the file for a name that stands twice.
    """
    found: dict[str, str] = {}
    for path in sorted((sql_folder() / "queries").glob("*.sql")):
        parts = _NAME.split(_text(path))
        for name, sql in zip(parts[1::2], parts[2::2], strict=True):
            key = f"{path.stem}.{name}"
            if key in found:
                raise InvalidArgument(f"{path.name}: statement {name!r} stands twice", path=str(path))
            found[key] = sql.strip().rstrip(";")
    return MappingProxyType(found)


@cache
def statement(name: str, entity: str | None = None) -> str:
    """Return a named statement; `entity` (artifact, run, record) picks the annotation tables it is about.

    >>> "record_annotations" in statement("annotations.add_links", "record")
    True
    """
    sql = statements()[name]
    if entity is None:
        return sql
    if not _ENTITY.fullmatch(entity):
        raise InvalidArgument(f"no annotation tables for {entity!r}", entity=entity)
    return sql.replace("entity_annotations", f"{entity}_annotations").replace("entity_removals", f"{entity}_removals")


@cache
def writes(sql: str) -> bool:
    """Tell whether a fixed statement changes tables.

    >>> writes(statement("annotations.add_links", "run")), writes(statement("values.find"))
    (True, False)
    """
    return bool(_WRITING.search(sql))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").replace("\r\n", "\n")


@cache
def session(name: str) -> str:
    """Return the SQL that a connection runs before it needs a macro of `sql/session`."""
    return _text(sql_folder() / "session" / f"{name}.sql")
