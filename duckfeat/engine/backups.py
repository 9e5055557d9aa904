"""Copies of a whole store: a database file, or a folder of Parquet files with the schema; and the way back.

A copy shows one moment: it is read in one transaction, while others go on writing. What is being written has a
name of its own until it is whole. The way back leads over a plain database file too, so that an old copy is
migrated as an old store is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import uuid4

import duckdb

from duckfeat.engine.base import Engine
from duckfeat.engine.catalog import FILE, RECORDED, RECORDS
from duckfeat.engine.configuring import FIXED
from duckfeat.engine.failures import is_locked, locked, refused, translate, translated
from duckfeat.engine.files import synced, whole
from duckfeat.engine.lease import check_not_open, open_beside, open_here, wait
from duckfeat.engine.migrations import applied_in
from duckfeat.engine.paths import STORAGE_VERSION, literal, quoted
from duckfeat.engine.recovery import check_replayed, exclusively, log_of, replay_failed
from duckfeat.engine.resources import Migration, migrations
from duckfeat.errors import (
    DamagedStore,
    IntegrityError,
    InvalidArgument,
    MissingFile,
    NotAStore,
    QueryError,
    SchemaVersionError,
)

MANIFEST, SCHEMA = "manifest.json", "schema.sql"
_FORMAT = "duckfeat-export-1"
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE database_name = $database AND NOT internal ORDER BY table_name"
_COLUMNS = (
    "SELECT column_name FROM duckdb_columns() WHERE database_name = $database AND table_name = $table "
    "ORDER BY column_index"
)


class Copied(Protocol):
    """What a copy needs of an engine: a connection that is in no transaction."""

    def aside(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return a connection of its own for the block."""


class Noticing(Protocol):
    """What an engine is told after its tables were filled from elsewhere."""

    def _notice(self) -> None: ...


# --- out -----------------------------------------------------------------------------------------


def write_backup(engine: Engine, path: str, *, overwrite: bool) -> None:
    """Write a copy of a store into a database file."""
    if open_here(path) == engine.url:
        raise InvalidArgument(f"{path} is the store's own file: a backup of it is another one", path=path)
    with new_file(path, overwrite=overwrite) as partial, translated(path), _aside(engine) as connection:
        copy_to(connection, partial, f"copied_{uuid4().hex}")  # others of this process may copy the store meanwhile


def copy_to(
    connection: duckdb.DuckDBPyConnection, path: Path, name: str, made: Callable[[], None] = lambda: None
) -> None:
    """Copy the attached store into a new database file, attached as `name`; `made` is called while it is empty."""
    with attached(connection, str(path), name, f"STORAGE_VERSION '{STORAGE_VERSION}'"):
        made()
        connection.execute(f"COPY FROM DATABASE store TO {name}")
        connection.execute(f"CHECKPOINT {name}")


@contextmanager
def attached(connection: duckdb.DuckDBPyConnection, path: str, name: str, options: str) -> Iterator[None]:
    """Have a database file attached while the block runs."""
    try:
        connection.execute(f"ATTACH {quoted(path)} AS {name} (TYPE duckdb, {options})")
        yield
    finally:
        with suppress(duckdb.TransactionException):  # there is a transaction if the block, or one statement, broke off
            connection.execute("ROLLBACK")
        connection.execute(f"DETACH DATABASE IF EXISTS {name}")


def make(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Make an empty database file."""
    with attached(connection, path, "made", f"STORAGE_VERSION '{STORAGE_VERSION}'"):
        pass


def write_export(engine: Engine, folder: str) -> dict[str, int]:
    """Write the tables of a store as Parquet files into a folder, with schema and manifest; return rows by table."""
    with (
        new_file(folder, overwrite=False) as partial,
        refused(folder),
        translated(folder),
        _aside(engine) as connection,
    ):
        partial.mkdir()
        connection.execute("BEGIN")
        counts = {}
        for table in tables(connection, "store"):
            rows = connection.sql(f'FROM store."{table}"')
            counts[table] = int(rows.count("*").fetchall()[0][0])
            rows.write_parquet(str(partial / f"{table}.parquet"), compression="zstd")
        applied = connection.execute(
            f"SELECT version, name, checksum FROM store.{RECORDED} ORDER BY version"
        ).fetchall()
        connection.execute("ROLLBACK")
        listed = [dict(zip(("version", "name", "checksum"), row, strict=True)) for row in applied]
        manifest = {
            "format": _FORMAT,
            "exported_at": datetime.now(UTC).isoformat(),
            "migrations": listed,
            "tables": counts,
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        sql = "\n".join(migration.sql for migration in migrations())
        (partial / SCHEMA).write_text(sql, encoding="utf-8")
    return counts


def _aside(engine: Engine) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    return cast("Copied", engine).aside()


def tables(connection: duckdb.DuckDBPyConnection, database: str) -> list[str]:
    """Return the names of a database's tables, in their order."""
    return [name for (name,) in connection.execute(_TABLES, {"database": database}).fetchall()]


@contextmanager
def new_file(path: str, *, overwrite: bool, timeout: float = 0.0) -> Iterator[Path]:
    """Give another name to write under, and put what was written in its place when all of it is there.

    Raises, before anything is written, `InvalidArgument` if the place is taken, `MissingFile` if there is no folder
    around it, and `StoreLocked` for a store that this process has open, or another one for longer than so many seconds.
    """
    target, log = Path(path), log_of(path)
    with refused(path):
        if not target.parent.is_dir():
            raise MissingFile(f"there is no folder {target.parent}", path=path)
        check_not_open(path)
        owner = open_beside(path)
        if owner is not None:
            raise InvalidArgument(f"{path} belongs to the store {owner}, which is open", path=path)
        if not overwrite:
            _check_free(target, log)
        elif target.exists() and not target.is_file():
            raise InvalidArgument(f"{path} is not a file: only a file can be overwritten", path=path)
        with exclusively(path, timeout):
            pass  # what is long to write shall not be in vain

    def take_place(partial: Path, target: Path) -> None:
        if log_of(str(partial)).exists():
            raise IntegrityError(f"{path} was not written: what is to be in it is in a log yet", path=path)
        synced(partial)
        check_not_open(path)
        if not overwrite:
            _check_free(target, log)
        with exclusively(path, timeout):
            log.unlink(missing_ok=True)
            partial.replace(target)

    with whole(target, take_place) as partial:
        yield partial


def _check_free(target: Path, log: Path) -> None:
    taken = next((place for place in (target, log) if place.exists()), None)
    if taken is not None:
        raise InvalidArgument(f"{taken} exists; nothing was overwritten", path=str(taken))


# --- back ----------------------------------------------------------------------------------------


def read_backup(backup: str, path: str, *, overwrite: bool, timeout: float = 0.0) -> None:
    """Write the store of a backup into a new database file; who has either is waited for so many seconds.

    Raises `MissingFile` if there is none, `NotAStore` if it is something else and `StoreLocked` if it is in use.
    """
    with refused(backup):
        if not Path(backup).is_file():
            raise MissingFile(f"there is no backup {backup}", path=backup)
    check_not_open(backup, to_read=True)
    with (
        new_file(path, overwrite=overwrite, timeout=timeout) as partial,
        translated(backup),
        _new(partial) as connection,
    ):
        _attach(connection, backup, timeout)

        def ask(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        if not applied_in(FILE, backup, ask, "copied"):
            raise NotAStore(f"{backup} is a DuckDB database but not a duckfeat store: it is empty", path=backup)
        connection.execute("COPY FROM DATABASE copied TO store")


def _attach(connection: duckdb.DuckDBPyConnection, backup: str, timeout: float) -> None:
    """Attach a database file to be read as `copied`, as soon as nobody writes to it any more."""
    refusal: list[duckdb.Error] = []

    def attempt() -> bool:
        try:
            connection.execute(f"ATTACH {quoted(backup)} AS copied (TYPE duckdb, READ_ONLY)")
        except duckdb.Error as error:
            if not is_locked(error):
                raise replay_failed(backup, error, read_only=True) or error from error
            refusal[:] = [error]
            return False
        return True

    if not wait(backup, attempt, timeout):
        advice = "Wait longer with lock_timeout=60, or close the store there"
        raise locked(backup, refusal[0], timeout, advice) from refusal[0]
    check_replayed(backup, read_only=True)


def read_export(folder: str, path: str, *, overwrite: bool, timeout: float = 0.0) -> None:
    """Write the store of an exported folder into a new database file, with the schema it had.

    Raises `MissingFile` for a file that is not there, `NotAStore` for a folder that is no export,
    `SchemaVersionError` for one of a newer duckfeat and `IntegrityError` for one whose rows are not all there.
    """
    manifest = _manifest(Path(folder))
    with (
        new_file(path, overwrite=overwrite, timeout=timeout) as partial,
        translated(folder),
        _new(partial) as connection,
    ):
        connection.execute("USE store")
        connection.execute("BEGIN")
        connection.execute(RECORDS)
        for migration in _known(manifest, folder):
            connection.execute(migration.sql)
        for table, count in manifest["tables"].items():
            with _read(Path(folder) / f"{table}.parquet"):
                _load(connection, Path(folder), table, int(count))
        connection.execute("COMMIT")
        connection.execute("USE memory")


def _manifest(folder: Path) -> Mapping[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingFile(f"there is no {path}: the folder is not an export of a store", path=str(path))
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        known = manifest["format"] == _FORMAT and all(int(m["version"]) for m in manifest["migrations"])
        tables = {str(name): int(count) for name, count in manifest["tables"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        known, tables = False, {}
    if not known or not all(name.isidentifier() for name in tables):
        raise NotAStore(f"{path} is not the manifest of an export", path=str(path))
    return cast("Mapping[str, Any]", manifest)


def _known(manifest: Mapping[str, Any], folder: str) -> list[Migration]:
    """Return the migrations that make the schema of an export."""
    known = {(migration.version, migration.checksum): migration for migration in migrations()}
    wanted = [(int(given["version"]), given.get("checksum")) for given in manifest["migrations"]]
    for version, checksum in wanted:
        if (version, checksum) not in known:
            newest = max(version for version, _ in known)
            raise SchemaVersionError(
                f"{folder} was exported with schema {version}, which is not one this duckfeat carries (it knows "
                f"{newest}): install a newer duckfeat",
                path=folder,
                version=version,
                known=newest,
            )
    return [known[key] for key in sorted(wanted)]


@contextmanager
def _read(file: Path) -> Iterator[None]:
    """Raise `DamagedStore` for what DuckDB says of a file in the block, unless it is something else that is wrong."""
    try:
        yield
    except duckdb.Error as error:
        found = translate(error, str(file))
        if isinstance(found, QueryError):
            reason = str(error).splitlines()[0]
            message = f"{file} is damaged, or not a Parquet file ({reason}); export the store again, or take a backup"
            found = DamagedStore(message, path=str(file), reason=str(error))
        raise found from error


def _load(connection: duckdb.DuckDBPyConnection, folder: Path, table: str, count: int) -> None:
    """Replace the rows of a table, which a migration may have begun to fill, by those of its Parquet file."""
    file = folder / f"{table}.parquet"
    if not file.is_file():
        raise MissingFile(f"there is no {file}, which the manifest lists", path=str(file))
    columns = [name for (name,) in connection.execute(_COLUMNS, {"database": "store", "table": table}).fetchall()]
    found = connection.execute("SELECT * FROM read_parquet($file) LIMIT 0", {"file": literal(str(file))}).description
    if sorted(columns) != sorted(name for name, *_ in found or []):
        raise NotAStore(f"{file} has other columns than table {table}: {', '.join(columns)}", path=str(file))
    names = ", ".join(f'"{name}"' for name in columns)
    connection.execute(f'DELETE FROM store."{table}"')
    given = {"file": literal(str(file))}
    sql = f'INSERT INTO store."{table}" ({names}) SELECT {names} FROM read_parquet($file)'
    rows = connection.execute(sql, given).fetchall()[0][0]
    if rows != count:
        message = f"{file} holds {rows:,} rows, the manifest says {count:,}"
        raise IntegrityError(message, path=str(file), rows=rows, expected=count)


@contextmanager
def _new(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB with a new, empty database file as `store`."""
    with duckdb.connect(":memory:", config={**FIXED}) as connection:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute(f"ATTACH {quoted(str(path))} AS store (TYPE duckdb, STORAGE_VERSION '{STORAGE_VERSION}')")
        yield connection
        connection.execute("DETACH store")


def fill(engine: Engine, path: str) -> None:
    """Replace every row of a store by those of a database file of the same schema, all or nothing.

    Raises `InvalidArgument` if records of the store's own would be lost.
    """
    with _aside(engine) as connection, translated(engine.url), attached(connection, path, "filled", "READ_ONLY"):
        _replace(engine, tables(connection, "filled"), connection)
        cast("Noticing", engine)._notice()


_SEEDED = frozenset({"branches", "spaces", "users", "sources", RECORDED})
"""Tables that have rows in a store nobody has used yet."""


def _replace(engine: Engine, tables: list[str], connection: duckdb.DuckDBPyConnection) -> None:
    with engine.transaction():
        for table in tables:
            if table not in _SEEDED and connection.execute(f'SELECT 1 FROM store."{table}" LIMIT 1').fetchall():
                raise InvalidArgument(f"the store is not empty: {table} has rows; import into a new one", table=table)
        for table in tables:
            columns = connection.execute(_COLUMNS, {"database": "filled", "table": table}).fetchall()
            names = ", ".join(f'"{name}"' for (name,) in columns)
            engine.write(f'DELETE FROM "{table}"')
            engine.write(f'INSERT INTO "{table}" ({names}) SELECT {names} FROM filled."{table}"')
