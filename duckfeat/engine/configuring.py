"""How DuckDB is configured: what a caller may set, and what is fixed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType
from typing import Any

from duckfeat.engine.version import MAJOR
from duckfeat.errors import InvalidArgument, hint
from duckfeat.model.arguments import is_path_text, shown, whole

MOST_THREADS = 1024
"""DuckDB starts all of them at once."""
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?) *(?P<unit>[KMGT]i?B)", re.ASCII | re.IGNORECASE)
_LEAST, _MOST = 16 * 2**20, 2**50


def _threads(given: Any) -> str:
    threads = whole(given, "threads", 1)
    if threads > MOST_THREADS:
        raise InvalidArgument(f"threads is {MOST_THREADS} at most, not {shown(given)}", value=given)
    return str(threads)


def _memory_limit(given: Any) -> str:
    size = _SIZE.fullmatch(given) if isinstance(given, str) else None
    if size is None or not _LEAST <= _bytes(size["number"], size["unit"]) <= _MOST:
        raise InvalidArgument(
            f'memory_limit is a size from 16MiB, such as "2GB" or "512MiB", not {shown(given)}', value=given
        )
    return size[0]


def _bytes(number: str, unit: str) -> float:
    return float(number) * float(1024 if len(unit) == 3 else 1000) ** ("KMGT".index(unit[0].upper()) + 1)


def _temp_directory(given: Any) -> str:
    place = fspath(given) if isinstance(given, str | PathLike) else None
    if not isinstance(place, str) or not place or not place.isprintable() or not is_path_text(place):
        raise InvalidArgument(f"temp_directory is the path of a folder, not {shown(given)}", value=given)
    if Path(place).expanduser().is_file():
        raise InvalidArgument(f"temp_directory is a folder, and {place} is a file", value=given)
    return place


_SETTINGS: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {"memory_limit": _memory_limit, "temp_directory": _temp_directory, "threads": _threads}
)
"""What a caller may set, each with the function that checks it and returns it as DuckDB takes it."""
FIXED: Mapping[str, str] = {
    "preserve_insertion_order": "true",  # without, parts of an ordered Arrow result come in any order
    "allow_community_extensions": "false",
    "autoinstall_known_extensions": "false",
    "python_enable_replacements": "false",
    # DuckDB 2.0 reads and writes Parquet in threads of their own, and a query that fails meanwhile may never return
    # (https://github.com/duckdb/duckdb/issues/23885). On files of this machine they gain nothing.
    **({"async_threads": "0"} if MAJOR > 1 else {}),
}
"""What is the same for every engine."""


def config(settings: Mapping[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """Return the configuration of DuckDB for settings that a caller gives, beside an engine's own options.

    Raises `InvalidArgument` for a setting that there is none of, and for a value that it does not take.

    >>> config({"threads": 0}, [])
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: threads is a whole number from 1, not 0
    """
    unknown = sorted(set(settings) - set(_SETTINGS))
    if unknown:
        available = [*options, *_SETTINGS]
        raise InvalidArgument(
            f"unknown setting {unknown[0]!r}{hint(unknown[0], available)}", name=unknown[0], available=available
        )
    return {**FIXED, **{name: _SETTINGS[name](value) for name, value in settings.items() if value is not None}}
