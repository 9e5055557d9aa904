"""Every test here runs on every engine: the `store` fixture opens a new one of each, as the default store.

An engine is a row of `ENGINES`. Tests use the public API alone, so that they mean the same on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import duckfeat as dft
from duckfeat.store import Store
from tests.servers import LAKES, Lakes


def _lake(kind: str, request: pytest.FixtureRequest, _folder: Path) -> Store:
    lakes: Lakes = request.getfixturevalue("lakes")
    return lakes.make(kind).connect(threads=1)


ENGINES: dict[str, Callable[[pytest.FixtureRequest, Path], Store]] = {
    "memory": lambda _request, _folder: dft.connect(),
    "file": lambda _request, folder: dft.connect(folder / "features.duckdb"),
    **{kind: partial(_lake, kind) for kind in LAKES},
}


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A new store of an engine, the default one; its integrity checks must hold when the test ends."""
    opened = ENGINES[request.param](request, tmp_path)
    yield opened
    report = opened.check()
    opened.close()
    assert report.ok, report
