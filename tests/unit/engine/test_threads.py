"""One store, many threads: mixed reads and writes are right, and none waits for ever."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import StoreClosed
from duckfeat.store import Store

THREADS, ROUNDS = 16, 5


def in_threads(work: Callable[[int], object]) -> None:
    """Have every thread start at the same moment; a thread that waits for ever fails the test."""
    start = threading.Barrier(THREADS)

    def begin(number: int) -> object:
        start.wait(60)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(begin, number) for number in range(THREADS)]:
            future.result(120)


@pytest.mark.parametrize("idle", [0.0, 2.0], ids=["given back at once", "held"])
def test_mixed_work_in_sixteen_threads(tmp_path: Path, idle: float) -> None:
    with dft.connect(tmp_path / "features.duckdb", idle_release=idle) as store:
        dose = store.Feature(name="dose", dtype=int).save()

        def work(number: int) -> None:
            draw = random.Random(number)  # noqa: S311  # which work comes when is no secret
            for n in range(ROUNDS):
                name = f"{number} {n}"
                store.Record(name=name, features={"dose": n}).save()
                assert store.Record.get(name=name).features.get_values() == {"dose": n}
                store.FeatureValue.get_or_create(dose, draw.randrange(20))
                _one_of(store, draw, number, n)

        in_threads(work)
        assert store.Record.filter(name__contains=" ").count() == THREADS * ROUNDS
        assert store.FeatureValue.count() == len(set(store.FeatureValue.all().to_list("value")))
        assert store.check().ok


def _one_of(store: Store, draw: random.Random, number: int, n: int) -> None:
    kind = draw.randrange(5)
    if kind == 0:
        store.ULabel(name="the same in all").save()
        assert store.ULabel.filter(name="the same in all").count() == 1
    elif kind == 1:
        frame = pl.DataFrame({"name": [f"{number}-{n}-{i}" for i in range(20)], "dose": range(20)})
        store.annotate(frame, registry="Record", key="name", create=True)
    elif kind == 2:
        assert store.Record.filter(dose__gte=0).pl(features=True, limit=10).height <= 10
        assert len(list(store.Record.filter(dose=n)[:5])) <= 5
    elif kind == 3:
        with pytest.raises(ZeroDivisionError):
            _failing(store, number)
    else:
        assert store.sql("SELECT count(*) AS n FROM records")["n"].item() > 0
        store.Record.search(f"{number} {n}", limit=1)


def _failing(store: Store, number: int) -> None:
    with store.transaction():
        store.ULabel(name=f"never {number}").save()
        raise ZeroDivisionError


def test_a_store_closed_under_its_threads_says_so(tmp_path: Path) -> None:
    store = dft.connect(tmp_path / "features.duckdb")

    def save_until_closed(number: int) -> None:
        for n in range(10_000):
            store.ULabel(name=f"{number} {n}").save()
            if number == 0 and n == 3:
                store.close()

    def work(number: int) -> None:
        with pytest.raises(StoreClosed):
            save_until_closed(number)

    in_threads(work)
    with dft.connect(tmp_path / "features.duckdb") as again:
        assert again.check().ok
