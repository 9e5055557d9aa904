"""A store's file written anew without what is free in it, and put in the place of the old one.

DuckDB uses free blocks again, but gives back only those at the end of a file. So the store is copied into a new
file beside its own, compared table by table, and given the old one's name while this process has the locks of both.
Whoever fails or is killed leaves the old file or the new one, each of them whole; the rest of a copy is removed when
the store is next opened for writing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import duckdb

from duckfeat.engine.backups import attached, copy_to, tables
from duckfeat.engine.comparing import digest
from duckfeat.engine.failures import translate
from duckfeat.engine.files import LOCKS, remove, synced
from duckfeat.engine.recovery import attaching, exclusively, log_of
from duckfeat.errors import IntegrityError

_log = logging.getLogger("duckfeat")

WORTH = 0.1
"""The part of a file that must be free, or of rows that were deleted, for the file to be written anew."""

_NAME = "rewritten"
_LONGEST = 235
"""Of how many bytes a store's name may be for the new file, and its log, to be called after the whole of it."""
_BLOCKS = "SELECT total_blocks, used_blocks, free_blocks FROM pragma_database_size() WHERE database_name = 'store'"
_ROWS = "SELECT sum(estimated_size) FROM duckdb_tables() WHERE database_name = 'store'"
_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable
FROM duckdb_columns() WHERE database_name = $database AND NOT internal ORDER BY table_name, column_index
"""
_VIEWS = "SELECT view_name, sql FROM duckdb_views() WHERE database_name = $database AND NOT internal ORDER BY view_name"


def partial_of(path: str) -> Path:
    """Return where the store of `path` is written anew. Only who has its file for writing uses that place."""
    return companion(path, "compact.partial")


def companion(path: str, ending: str) -> Path:
    """Return the place of another database file that goes with a store's, called after it as far as names are long.

    >>> companion("features.duckdb", "compact.partial").name
    'features.duckdb.compact.partial'
    """
    place = Path(path)
    if len(os.fsencode(place.name)) <= _LONGEST:
        return place.with_name(f"{place.name}.{ending}")
    told_apart = hashlib.sha256(place.name.encode()).hexdigest()[:16]
    return place.with_name(f"{place.name[:40]}.{told_apart}.{ending}")


def holds_the_same(connection: duckdb.DuckDBPyConnection, file: Path) -> bool:
    """Tell whether a file is a database that can be read and holds, table by table, what the attached store does."""
    try:
        with attached(connection, str(file), _NAME, "READ_ONLY"):
            return not _differences(connection, views=False)  # their text varies with who wrote the file
    except duckdb.Error:
        return False


def clear(path: str) -> None:
    """Remove what a process that was killed has left; call it with the store's file open for writing."""
    with suppress(OSError):
        remove(partial_of(path))


def worthwhile(connection: duckdb.DuckDBPyConnection, path: str) -> bool:
    """Tell whether enough of a store's file is free; its log must have been written into it.

    Rows that were deleted while others read them stay in the file as rows; they count as well.
    """
    if not LOCKS:
        return False
    if Path(path).stat().st_nlink > 1:
        _log.warning("%s has a second name in the file system, which would keep the old file: left as it is", path)
        return False
    total, used, free = connection.execute(_BLOCKS).fetchall()[0]
    stored = int(connection.execute(_ROWS).fetchall()[0][0])
    counts = " UNION ALL ".join(f'SELECT count(*) AS n FROM store."{table}"' for table in tables(connection, "store"))
    rows = int(connection.execute(f"SELECT sum(n) FROM ({counts})").fetchall()[0][0])
    deleted = max(0.0, 1 - rows / stored) if stored else 0.0
    return bool(free + used * deleted > WORTH * total)


def write(connection: duckdb.DuckDBPyConnection, path: str) -> Path | None:
    """Write the attached store anew beside its file and return where; None if the file is better left as it is.

    That is when the new one is no smaller, or cannot be given the same owner. Nobody may write to the store meanwhile.

    Raises `IntegrityError` if the copy does not hold the same.
    """
    partial, written = partial_of(path), False
    remove(partial)
    try:
        copy_to(connection, partial, _NAME, made=lambda: _give_rights(path, partial))
        if log_of(str(partial)).exists():
            raise IntegrityError(f"the copy {partial} is not whole: it has a log", path=path)
        if partial.stat().st_size < Path(path).stat().st_size:
            _compare(connection, path, partial)
            synced(partial)
            written = True
    except PermissionError as error:
        _log.warning("%s is left as it is: a new file cannot be given its owner (%s)", path, error)
    except OSError as error:
        raise translate(error, path) from error
    finally:
        if not written:
            remove(partial)
    return partial if written else None


def exchange(partial: Path, path: str, release: Callable[[], None]) -> None:
    """Put the new file in the place of a store's, which is attached and has no log; `release` detaches that.

    Nobody else uses the store in this process. Another one may have opened the old file a moment ago and get its
    lock once that is free: it finds no database there, and opens the new file. `release` is called even on failure,
    for to close a file ends the lock that the process has on it.
    """
    target = Path(path)
    with attaching(), exclusively(str(partial)), target.open("rb+") as old:
        try:
            partial.replace(target)
            with suppress(OSError):  # an old file that may come back after a power failure is not spoiled
                _sync_folder(target.parent)
                _spoil(old)
        except OSError as error:
            raise translate(error, path) from error
        finally:
            remove(partial)
            release()


def _give_rights(path: str, partial: Path) -> None:
    """Give the new file, which is empty yet, the owner, group and mode of the old one."""
    wanted, given = Path(path).stat(), partial.stat()
    if (wanted.st_uid, wanted.st_gid) != (given.st_uid, given.st_gid):
        os.chown(partial, wanted.st_uid, wanted.st_gid)
    shutil.copymode(path, partial)


def _compare(connection: duckdb.DuckDBPyConnection, path: str, partial: Path) -> None:
    """Raise `IntegrityError` if a file, read from its beginning, does not hold what the store does."""
    with attached(connection, str(partial), _NAME, "READ_ONLY"):
        different = _differences(connection)
    if different:
        raise IntegrityError(
            f"{path} was left as it is: {', '.join(different)} did not come out the same in a new file",
            path=path,
            tables=different,
        )


def _differences(connection: duckdb.DuckDBPyConnection, *, views: bool = True) -> list[str]:
    """Return the tables that are not the same in the store and its copy, and `schema` if that is not."""
    asked = (_COLUMNS, _VIEWS) if views else (_COLUMNS,)
    schemas = [[connection.execute(sql, {"database": name}).fetchall() for sql in asked] for name in ("store", _NAME)]
    columns: dict[str, dict[str, str]] = {}
    for table, column, type_, _ in schemas[0][0]:
        columns.setdefault(table, {})[column] = type_

    def digests(table: str) -> set[tuple[object, ...]]:
        found = [digest(f'{name}."{table}"', columns[table]) for name in ("store", _NAME)]
        return {tuple(connection.execute(sql).fetchall()[0]) for sql in found}

    if schemas[0] != schemas[1]:
        return ["schema"]
    return [table for table in tables(connection, "store") if len(digests(table)) > 1]


def _sync_folder(folder: Path) -> None:
    """Have the disk take the names in a folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _spoil(old: IO[bytes]) -> None:
    """Make a file no database, if no name leads to it any more."""
    if os.fstat(old.fileno()).st_nlink == 0:
        old.write(bytes(4096))
        old.flush()
