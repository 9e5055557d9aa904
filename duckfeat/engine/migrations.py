"""Forward-only migrations: what is missing in one transaction, each recorded; a backup before an old file changes."""

from __future__ import annotations

from typing import Protocol

from duckfeat.engine.base import Engine
from duckfeat.engine.resources import Migration, migrations
from duckfeat.errors import NotAStore, QueryError, ReadOnlyStore, SchemaVersionError
from duckfeat.model.statement import Statement

RECORDS = """
CREATE TABLE schema_migrations (
    version BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    checksum VARCHAR NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE NOT NULL
)
"""


class Migrated(Engine, Protocol):
    """What a migration needs of an engine: to tell what there is, and to keep what was there before."""

    def tables(self) -> list[str]:
        """Return the names of the store's tables."""

    def back_up(self, version: int) -> None:
        """Keep a copy of the store with this version of the schema, if the engine does not keep the past anyway."""


def migrate(engine: Migrated) -> None:
    """Bring a store to this program's schema.

    Raises `SchemaVersionError` for a store of a newer program or with an altered migration on record, and
    `NotAStore` for a database that holds something else. Before an existing store is changed, a copy of it is
    left beside it.
    """
    try:
        applied = _recorded(engine)  # most stores have it, and listing the tables takes longer than all the rest
    except QueryError:
        applied = _applied(engine)
    pending = [migration for migration in migrations() if migration.version not in applied]
    _compare(engine.url, applied)
    if not pending:
        return
    if engine.read_only:
        raise ReadOnlyStore(
            f"{engine.url} needs migrating to schema {pending[-1].version}; open it once for writing",
            path=engine.url,
        )
    if applied:
        engine.back_up(max(applied))
    with engine.transaction():
        # Another process may have applied some while this one waited for its turn.
        applied = _applied(engine)
        if not applied:
            engine.write(RECORDS)
        for migration in pending:
            if migration.version not in applied:
                _apply(engine, migration)


def _applied(engine: Migrated) -> dict[int, tuple[str, str]]:
    tables = engine.tables()
    if "schema_migrations" not in tables:
        if tables:
            raise NotAStore(
                f"{engine.url} is a DuckDB database but no duckfeat store: it holds {', '.join(sorted(tables)[:5])}",
                path=engine.url,
                tables=sorted(tables),
            )
        return {}
    return _recorded(engine)


def _recorded(engine: Migrated) -> dict[int, tuple[str, str]]:
    rows = engine.rows(Statement("SELECT version, name, checksum FROM schema_migrations", {}))
    return {version: (name, checksum) for version, name, checksum in rows}


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


def _apply(engine: Engine, migration: Migration) -> None:
    engine.write(migration.sql)
    engine.write(
        "INSERT INTO schema_migrations VALUES ($version, $name, $checksum, now())",
        {"version": migration.version, "name": migration.name, "checksum": migration.checksum},
    )
