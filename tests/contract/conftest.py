"""Every test here runs on every engine: the `store` fixture opens a new one of each, as the default store.

An engine is a row of `ENGINES`. Tests use the public API alone, so that they mean the same on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from duckfeat.store import Store
from tests.servers import LAKES, Lake, Lakes


def _file(_request: pytest.FixtureRequest, folder: Path) -> Lake:
    name = "another" if (folder / "features.duckdb").exists() else "features"
    return Lake(str(folder / f"{name}.duckdb"), {})


def _lake(kind: str, request: pytest.FixtureRequest, _folder: Path) -> Lake:
    lakes: Lakes = request.getfixturevalue("lakes")
    made = lakes.make(kind)
    return Lake(made.url, {**made.options, "threads": 1})


ENGINES: dict[str, Callable[[pytest.FixtureRequest, Path], Lake]] = {
    "memory": lambda _request, _folder: Lake(":memory:", {}),
    "file": _file,
    **{kind: partial(_lake, kind) for kind in LAKES},
}


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Lake]:
    """What gives places for new stores of an engine: their urls and options."""
    return partial(ENGINES[request.param], request, tmp_path)


@pytest.fixture
def store(place: Callable[[], Lake]) -> Iterator[Store]:
    """A new store of an engine, the default one; its integrity checks must hold when the test ends."""
    opened = place().connect()
    yield opened
    report = opened.check()
    opened.close()
    assert report.ok, report
