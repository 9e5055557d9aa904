"""What every test may use: a fresh store, in memory or in a file, that is clean when the test ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import duckfeat as dft
from duckfeat.store import Store
from tests.servers import lake, lakes, postgres, s3

__all__ = ["file_store", "lake", "lakes", "postgres", "s3", "store"]

settings.register_profile(
    "duckfeat", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("duckfeat")


def _closing(store: Store) -> Iterator[Store]:
    yield store
    report = store.check()
    store.close()
    assert report.ok, report


@pytest.fixture
def store() -> Iterator[Store]:
    """A new store in memory, the default one; its integrity checks must hold when the test ends."""
    yield from _closing(dft.connect())


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    """A new store in a file, the default one; its integrity checks must hold when the test ends."""
    yield from _closing(dft.connect(tmp_path / "features.duckdb"))


@pytest.fixture
def small_stack() -> Iterator[None]:
    """Give threads 512 KB, the least that systems have as their default."""
    before = threading.stack_size(512 * 1024)
    yield
    threading.stack_size(before)
