"""A transaction that wrote many rows releases its file at its end, as they are read quicker from the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.engine import embedded
from duckfeat.model.statement import Statement
from duckfeat.store import Store

MANY = 4000
LARGE = pl.DataFrame({"name": [f"r{n}" for n in range(MANY // 2)], "dose": [n / 8 for n in range(MANY // 2)]})
"""Makes a record and an annotation of each row, which are as many rows as count as many."""


@pytest.fixture(autouse=True)
def _fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_MANY", MANY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "features.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with dft.connect(path, default=False, idle_release=3600) as store:
        yield store


def load(store: Store, data: pl.DataFrame = LARGE) -> None:
    assert store.annotate(data, registry="Record", key="name", create="all").entities == len(data)


def taken(path: Path) -> bool:
    """Tell whether the store has its file; one that it released has no log, either."""
    owned = Path(f"{path}.owner").exists()
    assert owned or not Path(f"{path}.wal").exists()
    return owned


def test_a_large_load_releases_the_file(store: Store, path: Path) -> None:
    assert taken(path)
    load(store)
    assert not taken(path)
    assert store.Record.filter(dose__gte=249).count() == LARGE.filter(pl.col("dose") >= 249).height
    assert taken(path)


def test_records_that_are_saved_together_count(store: Store, path: Path) -> None:
    store.save([store.ULabel(name=f"l{n}") for n in range(MANY)])
    assert not taken(path)


def test_a_small_load_keeps_it(store: Store, path: Path) -> None:
    load(store, LARGE.head(100))
    assert taken(path)


def test_what_was_rolled_back_does_not_count(store: Store, path: Path) -> None:
    with suppress(ZeroDivisionError), store.transaction():
        load(store)
        raise ZeroDivisionError
    store.ULabel(name="after").save()
    assert taken(path)
    assert store.Record.count() == 0


def test_the_transaction_around_it_ends_first(store: Store, path: Path) -> None:
    with store.transaction():
        load(store)
        assert taken(path)
        store.ULabel(name="after").save()
    assert not taken(path)
    assert store.ULabel.get(name="after").id == 1


def test_a_result_that_is_being_read_is_read_first(store: Store, path: Path) -> None:
    load(store, LARGE.head(500))
    batches = store._session.engine.batches(Statement("SELECT name FROM records ORDER BY id", {}), 100)
    first = next(batches)
    load(store, LARGE.tail(len(LARGE) - 500).vstack(LARGE.select(pl.col("name") + " again", "dose")))
    assert taken(path)
    names = [*first["name"].to_pylist(), *(name for batch in batches for name in batch["name"].to_pylist())]
    assert names == LARGE["name"].to_list()[:500]
    assert not taken(path)
    assert store.Record.count() == 2 * len(LARGE)


def test_a_file_that_is_kept_is_kept(path: Path) -> None:
    with dft.connect(path, default=False, idle_release=None) as store:
        load(store)
        assert taken(path)


def test_memory_has_no_file() -> None:
    with dft.connect(":memory:", default=False) as memory:
        load(memory)
        assert memory.Record.count() == len(LARGE)
