"""The folder of a lake's files, on a disk or in an object store: it belongs to one lake alone.

Compaction removes files that no version needs, and what another lake or a person keeps in the same folder is needed by
no version either. So a new lake takes a folder that no other lake is in, below or above, and leaves a marker there with
its identity, which its catalog knows; without its marker a lake removes nothing but what its catalog lists, and with it
only files that are called as its own are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import duckdb

from duckfeat.engine.failures import refused
from duckfeat.engine.paths import literal, quoted
from duckfeat.errors import InvalidArgument

MARKER = ".duckfeat-lake"
_NAME = r"ducklake-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:-delete)?\.parquet"


def is_local(folder: str) -> bool:
    """Tell whether a folder is one of this machine's, mounted ones among them.

    >>> is_local("/data/lake/"), is_local("s3://bucket/lake/")
    (True, False)
    """
    return "://" not in folder


def is_bare(folder: str) -> bool:
    """Tell whether there is no such folder on this machine, or nothing in it: a place where nothing is mounted."""
    if not is_local(folder):
        return False
    try:
        with os.scandir(folder) as found:
            return next(found, None) is None
    except (FileNotFoundError, NotADirectoryError):
        return True
    except PermissionError:  # what may not be listed may be read
        return False


def prepare(connection: duckdb.DuckDBPyConnection, folder: str, known: Collection[str] = ()) -> None:
    """Make sure that no other lake is where a new one is to be, and make its folder; `known` files are its own.

    Files that are no lake's are left alone now and later.

    Raises `InvalidArgument` for a folder that is another lake's, is in one or has one in it.
    """
    if marked(connection, folder):
        raise _taken(folder, "it has the files of another lake")
    for place in _above(folder):
        with suppress(duckdb.IOException):  # keys of an object store may be for a part of a bucket
            if marked(connection, place):
                raise _taken(folder, f"{place}, which it is in, has the files of another lake")
    given = {
        "all": f"{literal(folder)}**",
        "ignored": [*known, folder + MARKER],
        "lakes": f"/({_NAME}|{re.escape(MARKER)})$",
    }
    sql = "SELECT file FROM glob($all) WHERE NOT list_contains($ignored, file) AND regexp_matches(file, $lakes) LIMIT 1"
    found = connection.execute(sql, given).fetchone()
    if found:
        raise _taken(folder, f"there are files of a lake in it, such as {found[0].removeprefix(folder)}")
    if is_local(folder):
        with refused(folder):
            try:
                Path(folder).mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                raise _taken(folder, "it is a file, or in one") from None
    mark(connection, folder, "")  # now it is known that files can be written there


def _taken(folder: str, why: str) -> InvalidArgument:
    message = f"{folder} cannot take the files of a new lake: {why}. Give it a folder of its own, with data_path="
    return InvalidArgument(message, path=folder)


def mark(connection: duckdb.DuckDBPyConnection, folder: str, identity: str) -> None:
    """Leave the marker of a lake in its folder; without an identity it says nothing."""
    content = quoted(identity)
    connection.execute(f"COPY (SELECT {content}) TO {quoted(folder + MARKER)} (FORMAT csv, HEADER false, QUOTE '')")


def marked(connection: duckdb.DuckDBPyConnection, folder: str) -> str:
    """Return the identity of the lake that a folder belongs to; empty if there is no marker."""
    pattern = f"{literal(folder)}{MARKER[:-1]}[{MARKER[-1]}]"  # a pattern: what matches nothing is no error
    found = connection.execute("SELECT content FROM read_text($pattern)", {"pattern": pattern}).fetchone()
    return str(found[0]).strip() if found else ""


def _above(folder: str) -> Iterator[str]:
    """Yield the folders that a folder is in, the nearest first.

    >>> list(_above("s3://bucket/a/b/")), list(_above("/a/b/"))
    (['s3://bucket/a/', 's3://bucket/'], ['/a/', '/'])
    """
    scheme, separator, path = folder.rpartition("://")
    parts = path.rstrip("/").split("/")
    for length in range(len(parts) - 1, 0, -1):
        yield scheme + separator + "/".join(parts[:length]) + "/"


def written_by(files: Iterable[str], folder: str, tables: Collection[str]) -> list[str]:
    """Return the files that a lake could have written: called as DuckLake calls them, in the folder of a table.

    >>> name = "ducklake-01a2264c-75cc-765a-b0ff-be6e24da2261.parquet"
    >>> files = [f"/lake/main/records/{name}", f"/lake/sub/main/records/{name}", "/lake/main/records/mine.parquet"]
    >>> written_by(files, "/lake/", ["main/records/"])
    ['/lake/main/records/ducklake-01a2264c-75cc-765a-b0ff-be6e24da2261.parquet']
    """
    places = {folder + table for table in tables}
    split = [file.rpartition("/") for file in files]
    return [f"{place}/{name}" for place, _, name in split if f"{place}/" in places and re.fullmatch(_NAME, name)]
