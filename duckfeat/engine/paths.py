"""Paths and other texts in SQL: what a user gives stands between quotes, and is not taken for a pattern."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MEMORY = ":memory:"
"""The address of a store that has no file."""

STORAGE_VERSION = "v1.5.0"
"""The storage format of new files, which every supported DuckDB opens."""


def quoted(text: str) -> str:
    """Return a text, such as a path, as an SQL literal, for statements that take no parameter.

    >>> quoted("it's.duckdb")
    "'it''s.duckdb'"
    """
    return "'" + text.replace("'", "''") + "'"


def literal(path: str) -> str:
    """Return a file's path with what would be a pattern taken as it stands.

    >>> literal("a[1]*.csv")
    'a[[]1][*].csv'
    """
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in path)


def named(written: Path, name: Path) -> None:
    """Give a file its name, unless another has it already."""
    with suppress(FileExistsError):
        try:
            os.link(written, name)
        except (PermissionError, NotImplementedError):  # a file system without links
            if not name.exists():
                written.rename(name)
