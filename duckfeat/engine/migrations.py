"""Forward-only migrations: what is missing in one transaction, each recorded; a backup before an old file changes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, Protocol

from duckfeat.engine.base import Engine, Rows
from duckfeat.engine.catalog import (
    RECORDED,
    RECORDS,
    Ask,
    Kind,
    check_empty,
    check_macros,
    check_recorded,
    check_tables,
)
from duckfeat.engine.resources import Migration, migrations
from duckfeat.errors import ReadOnlyStore, SchemaVersionError
from duckfeat.model.statement import Statement


class Migrated(Engine, Protocol):
    """What a migration needs of an engine: to tell what there is, and to keep what was there before."""

    kind: ClassVar[Kind]
    made: bool
    """Whether this engine has made the database, so that nobody else has put anything into it."""

    alone: bool
    """Whether no other process can open the database."""

    def defining(self) -> AbstractContextManager[None]:
        """Have what the block creates come into the store."""

    def back_up(self, version: int) -> None:
        """Keep a copy of the store with this version of the schema, if the engine does not keep the past anyway."""


def migrate(engine: Migrated) -> None:
    """Bring a store to this program's schema.

    Raises `SchemaVersionError` for a store of a newer program or with an altered migration on record, and
    `NotAStore` for a database that holds something else. Before an existing store is changed, a copy of it is
    left beside it.
    """

    def ask(sql: str) -> Rows:
        return engine.rows(Statement(sql, {}))

    applied = set() if engine.made else applied_in(engine.kind, engine.url, ask)
    pending = [migration for migration in migrations() if migration.version not in applied]
    if not pending:
        return
    if engine.read_only:
        raise ReadOnlyStore(
            f"{engine.url} needs migrating to schema {pending[-1].version}: open it once for writing, or where that "
            "cannot be, duckfeat.restore() makes a store of it elsewhere, which is migrated",
            path=engine.url,
        )
    if applied:
        engine.back_up(max(applied))
    with engine.transaction():
        # Another process may have migrated meanwhile.
        applied = set() if engine.alone else _applied(engine.kind, engine.url, ask)
        if not engine.made:
            check_macros(engine.url, ask)
        _apply(engine, [migration for migration in pending if migration.version not in applied], new=not applied)


def applied_in(kind: Kind, url: str, ask: Ask, database: str = "store") -> set[int]:
    """Return the versions of the migrations that a database has had, whose tables are as those make them.

    Raises `NotAStore` and `SchemaVersionError` as `migrate` does.
    """
    if kind.digest_of(ask, database) == kind.digest:
        return set(_recorded(url, ask, database))
    return _applied(kind, url, ask, database)


def _applied(kind: Kind, url: str, ask: Ask, database: str = "store") -> set[int]:
    found = kind.of(ask, database)
    if not found:
        check_empty(url, ask, database)
        return set()
    check_recorded(kind, found, url)
    applied = _recorded(url, ask, database)
    check_tables(kind, found, [migration for migration in migrations() if migration.version in applied], url)
    return applied


def _recorded(url: str, ask: Ask, database: str) -> set[int]:
    rows = ask(f"SELECT version, name, checksum FROM {database}.main.{RECORDED}")
    _compare(url, {version: (name, checksum) for version, name, checksum in rows})
    return {version for version, _, _ in rows}


def _compare(url: str, applied: dict[int, tuple[str, str]]) -> None:
    known = {migration.version: migration for migration in migrations()}
    for version, (name, checksum) in sorted(applied.items()):
        if version not in known:
            raise SchemaVersionError(
                f"{url} has schema {max(applied)}, this duckfeat knows {max(known)}: install a newer duckfeat",
                path=url,
                version=max(applied),
                known=max(known),
            )
        if known[version].checksum != checksum:
            raise SchemaVersionError(
                f"{url}: migration {version} ({name}) is not the one this duckfeat carries",
                path=url,
                version=version,
            )


def _apply(engine: Migrated, pending: Sequence[Migration], *, new: bool) -> None:
    with engine.defining():
        if new:
            engine.write(RECORDS)
        for migration in pending:
            engine.write(migration.sql)
            engine.write(
                f"INSERT INTO {RECORDED} VALUES ($version, $name, $checksum, now())",
                {"version": migration.version, "name": migration.name, "checksum": migration.checksum},
            )
