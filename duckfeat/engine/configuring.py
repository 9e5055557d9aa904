"""How DuckDB is configured: what a caller may set, and what is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duckfeat.engine.version import MAJOR
from duckfeat.errors import InvalidArgument, hint

_SETTINGS = ("memory_limit", "temp_directory", "threads")
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

    Raises `InvalidArgument` for a setting that there is none of, and for one that no text can be.
    """
    unknown = sorted(set(settings) - set(_SETTINGS))
    if unknown:
        available = [*options, *_SETTINGS]
        raise InvalidArgument(
            f"unknown setting {unknown[0]!r}{hint(unknown[0], available)}", name=unknown[0], available=available
        )
    for name, value in settings.items():
        if isinstance(value, str) and not value.isprintable():
            raise InvalidArgument(f"{name} cannot be {value!r}", value=value)
    return {**FIXED, **{name: str(value) for name, value in settings.items() if value is not None}}
