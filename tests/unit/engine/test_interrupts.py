"""Ctrl-C while a statement runs: a KeyboardInterrupt as anywhere else, nothing kept, the store usable."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from duckfeat.engine.duck import DuckEngine
from duckfeat.model.statement import Statement
from duckfeat.store import Store
from tests.counting import row_counts

LONG = "SELECT md5(range::VARCHAR) AS digest FROM range(50_000_000)"
FOLDED = "SELECT max(md5(range::VARCHAR)) AS digest FROM range(50_000_000)"


class Alarm(Exception):
    """What a program's own handler raises."""


@contextmanager
def interrupted(handler: Callable[..., object] = signal.default_int_handler) -> Iterator[None]:
    """Have the block meet Ctrl-C soon, even in a process of the background, which ignores it."""
    before = signal.signal(signal.SIGINT, handler)
    timer = threading.Timer(0.3, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGINT, before)


def stream(engine: DuckEngine) -> None:
    for _ in engine.batches(Statement(LONG, {}), 1000):
        pass


def write(engine: DuckEngine) -> None:
    with engine.transaction():
        engine.write("INSERT INTO links SELECT range, 1, 1, 1 FROM range(1_000_000)")
        engine.write("INSERT INTO links SELECT 1, 1, 1, length(md5(range::VARCHAR)) FROM range(50_000_000)")


WAYS: dict[str, Callable[[DuckEngine], object]] = {
    "rows": lambda engine: engine.rows(Statement(FOLDED, {})),
    "arrow": lambda engine: engine.arrow(Statement(FOLDED, {})),
    "arrow with a parameter": lambda engine: engine.arrow(Statement(f"{FOLDED} WHERE range >= $first", {"first": 0})),
    "select": lambda engine: engine.select(FOLDED, {}),
    "stream": stream,
    "write": write,
}


@pytest.fixture
def store() -> Iterator[Store]:
    """A store of one thread: with more, DuckDB's client may notice Ctrl-C at the end of a statement only."""
    with Store(":memory:", threads=1) as store:
        yield store


@pytest.fixture
def engine(store: Store) -> DuckEngine:
    engine = store._session.engine
    assert isinstance(engine, DuckEngine)
    return engine


@pytest.mark.parametrize("act", WAYS.values(), ids=WAYS)
def test_ctrl_c_is_what_it_is_in_python(store: Store, engine: DuckEngine, act: Callable[[DuckEngine], object]) -> None:
    before = row_counts(store)
    with pytest.raises(KeyboardInterrupt), interrupted():
        act(engine)
    assert row_counts(store) == before
    store.ULabel(name="after").save()
    assert store.check().ok


@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
def test_a_file_is_whole_or_as_it_was(engine: DuckEngine, tmp_path: Path, there: bool) -> None:
    path = tmp_path / "x.parquet"
    if there:
        path.write_text("before")
    with pytest.raises(KeyboardInterrupt), interrupted():
        engine.to_parquet(Statement(LONG, {}), str(path), "zstd")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == ({"x.parquet": "before"} if there else {})


def test_a_program_s_own_handler_is_heard(engine: DuckEngine) -> None:
    def raise_alarm(*_: object) -> None:
        raise Alarm

    with pytest.raises((Alarm, KeyboardInterrupt)), interrupted(raise_alarm):  # DuckDB 2.0 does not tell which
        engine.rows(Statement(FOLDED, {}))
    assert engine.rows(Statement("SELECT 1", {})) == [(1,)]
