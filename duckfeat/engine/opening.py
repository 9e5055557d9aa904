"""Which engine a url means."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import Any

from duckfeat.engine.base import Engine
from duckfeat.engine.embedded import EmbeddedEngine
from duckfeat.engine.lake_places import PREFIX, lake_place
from duckfeat.engine.places import warn_of_place
from duckfeat.errors import InvalidArgument, MissingFile
from duckfeat.model.arguments import flag, is_path_text, is_text, shown

MEMORY = ":memory:"


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
    try:
        return place if place == MEMORY else str(Path(place).expanduser().resolve())
    except (ValueError, OSError, RuntimeError) as error:
        raise InvalidArgument(f"{place!r} is no path: {error}", url=place) from None


def _is_lake(place: str) -> bool:
    """Tell whether a text may be the url of a lake, of any length."""
    return place.startswith(PREFIX) and is_text(place) and "\0" not in place


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
    if not path.parent.is_dir():
        raise MissingFile(f"there is no folder {path.parent} to keep the store in", path=str(path))
    if read_only and not path.is_file():
        raise MissingFile(f"there is no store {path} to read", path=str(path))
    if path.is_dir():
        raise InvalidArgument(f"{path} is a folder; a store is a file in one", path=str(path))
    warn_of_place(str(path))
    return EmbeddedEngine(str(path), read_only=read_only, **settings)
