"""Which engine a url means."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from duckfeat.engine.base import Engine
from duckfeat.engine.embedded import EmbeddedEngine, check_file
from duckfeat.engine.failures import refused
from duckfeat.engine.lake_places import PREFIX, lake_place
from duckfeat.engine.paths import MEMORY
from duckfeat.engine.places import warn_of_place
from duckfeat.engine.version import MAJOR
from duckfeat.errors import InvalidArgument, MissingFile
from duckfeat.model.arguments import flag, is_path_text, is_text, shown

LONGEST_NAME = 251
"""How many bytes a name may have: of 255, those of `.wal` are the log's."""
_SCHEME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9+.-]+):(?P<rest>.*)", re.DOTALL)
_LAKE = "ducklake:postgres:dbname=... host=... or ducklake:sqlite:catalog.sqlite"
_CATALOGS: Mapping[str, str] = {
    **dict.fromkeys(("md", "motherduck", "mysql", "duckdb", "iceberg", "delta", "quack"), _LAKE),
    **dict.fromkeys(("postgres", "postgresql", "pg"), "ducklake:postgres:dbname=... host=..."),
    "sqlite": "ducklake:sqlite:catalog.sqlite",
}
"""Prefixes that DuckDB takes for other kinds of databases, each with the nearest that there is here."""


def address(url: str | PathLike[str]) -> str:
    """Return the one address of a store: a path is made absolute, links in it are followed, no password is in it.

    >>> address("features.duckdb") == address("./features.duckdb")
    True
    """
    try:
        place = fspath(url)
    except TypeError:
        place = ""
    if type(place) is not str or not place or not (is_path_text(place) or _is_lake(place)):
        raise InvalidArgument(f"a store is a path, a url or ':memory:', not {shown(url)}", url=url)
    if place.startswith(PREFIX):
        return lake_place(place).url
    _check_path(place)
    try:
        resolved = place if place == MEMORY else str(Path(place).expanduser().resolve())
    except (ValueError, OSError, RuntimeError) as error:
        raise InvalidArgument(f"{place!r} is not a path: {error}", url=place) from None
    if "\\" in resolved and os.sep == "/" and MAJOR > 1:
        message = f"{resolved!r} has a backslash, at which DuckDB {MAJOR} parts names of folders: call it otherwise"
        raise InvalidArgument(message, url=place)
    return resolved


def _check_path(place: str) -> None:
    """Raise `InvalidArgument` for the address of another kind of store."""
    scheme = _SCHEME.match(place)
    if scheme and (scheme["rest"].startswith("//") or scheme["name"].lower() in _CATALOGS):
        raise InvalidArgument(
            f"{place!r} is not a path: a store is a file on this machine (features.duckdb), ':memory:', or a lake "
            f"({_CATALOGS.get(scheme['name'].lower(), _LAKE)}), whose files may be in S3 (data_path='s3://...')",
            url=place,
        )


def _is_lake(place: str) -> bool:
    """Tell whether a text may be the url of a lake, of any length."""
    return place.startswith(PREFIX) and is_text(place) and "\0" not in place


def check_there(url: str | PathLike[str]) -> None:
    """Raise `MissingFile` for a file that does not exist, and `InvalidArgument` for memory, where nothing is yet."""
    place = address(url)
    if place == MEMORY:
        raise InvalidArgument("a store in memory is new and empty: there is nothing in it", url=url)
    lake = lake_place(place) if place.startswith(PREFIX) else None
    if lake is not None and lake.kind != "sqlite":
        return
    with refused(place):
        if not Path(lake.address if lake else place).exists():
            raise MissingFile(f"there is no store {place}", path=place)


def open_engine(url: str | PathLike[str], *, read_only: bool = False, **settings: Any) -> Engine:
    """Return the engine of a url: `:memory:`, the path of a DuckDB file, or a lake's (`ducklake:...`).

    Raises `MissingFile` for a folder that does not exist, or a file to read that does not, `InvalidArgument` for a
    store in memory that is to be read only.
    """
    place, read_only = address(url), flag(read_only, "read_only")
    if place.startswith(PREFIX):
        from duckfeat.engine.lake import LakeEngine

        return LakeEngine(str(fspath(url)), read_only=read_only, **settings)
    if place == MEMORY:
        if read_only:
            raise InvalidArgument("a store in memory is new and empty: read_only=True is for a file or a lake", url=url)
        return EmbeddedEngine(MEMORY, read_only=read_only, **settings)
    path = Path(place)
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        message = f"the name of a store has {LONGEST_NAME} bytes at most, for its log is called after it: {path.name}"
        raise InvalidArgument(message, path=place)
    with refused(place):
        if not path.parent.is_dir():
            raise MissingFile(f"there is no folder {path.parent} to keep the store in", path=place)
        if read_only and not path.exists():
            raise MissingFile(f"there is no store {path} to read", path=place)
    check_file(place)
    warn_of_place(place)
    return EmbeddedEngine(place, read_only=read_only, **settings)
