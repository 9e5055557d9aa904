"""What `connect` takes: a value that is none is told by the option's name, before anything is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import duckfeat as dft
from duckfeat.errors import InvalidArgument

WRONG: list[tuple[str, Any, str]] = [
    ("threads", 0, "threads is a whole number from 1, not 0"),
    ("threads", "2", "threads is a whole number from 1, not '2'"),
    ("threads", True, "threads is a whole number from 1"),
    ("threads", 10**10, "threads is 1024 at most"),  # DuckDB would start them
    ("memory_limit", "x", 'memory_limit is a size from 16MiB, such as "2GB" or "512MiB", not \'x\''),
    ("memory_limit", "-1GB", "memory_limit is a size"),  # DuckDB takes it for no limit
    ("memory_limit", "1KB", "memory_limit is a size"),
    ("memory_limit", "50%", "memory_limit is a size"),  # taken by DuckDB 2.0 alone
    ("memory_limit", 2**31, "memory_limit is a size"),
    ("temp_directory", 5, "temp_directory is the path of a folder, not 5"),
    ("temp_directory", "", "temp_directory is the path of a folder"),
    ("temp_directory", __file__, "temp_directory is a folder"),
    ("lock_timeout", "soon", "lock_timeout is a number of seconds"),
    ("idle_release", -1, "idle_release is a number of seconds"),
    ("read_only", "yes", "read_only is True or False"),
]


@pytest.mark.parametrize(("option", "value", "told"), WRONG, ids=lambda part: str(part)[:20])
def test_an_option_tells_what_it_takes(option: str, value: Any, told: str, tmp_path: Path) -> None:
    for url in (":memory:", tmp_path / "new.duckdb"):
        with pytest.raises(InvalidArgument) as error:
            dft.connect(url, default=False, **{option: value})
        assert str(error.value).startswith(told)
    assert list(tmp_path.iterdir()) == []


def test_options_reach_the_engine(tmp_path: Path) -> None:
    with dft.connect(default=False, threads=3, memory_limit="1.5 gib", temp_directory=tmp_path) as store:
        asked = "SELECT name, value FROM duckdb_settings()"
        known = dict(store.sql(asked, trusted=True).rows())
    assert (known["threads"], known["memory_limit"], known["temp_directory"]) == ("3", "1.5 GiB", str(tmp_path))


def test_a_store_in_memory_is_not_for_reading_only() -> None:
    with pytest.raises(InvalidArgument, match="a store in memory is new and empty"):
        dft.connect(default=False, read_only=True)
