"""Many processes write to one lake at once, and some are killed: nothing is lost, nothing stands twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import duckfeat as dft
from duckfeat.engine.turns import PostgresTurns
from duckfeat.errors import StoreLocked, TransactionConflict, Unreachable
from duckfeat.store import Store
from tests.lake import worker
from tests.servers import Lake, Lakes, Postgres

WRITERS = 8
STATE = """
SELECT 'feature' AS what, name AS a, dtype AS b, NULL AS c FROM features
UNION ALL
SELECT 'label', name, NULL, NULL FROM ulabels
UNION ALL
SELECT 'record', name, NULL, NULL FROM records
UNION ALL
SELECT 'value', f.name, v.value, NULL FROM feature_values AS v JOIN features AS f ON v.feature_id = f.id
UNION ALL
SELECT 'annotation', r.name, f.name, v.value
FROM current_record_annotations AS a
JOIN records AS r ON a.entity_id = r.id
JOIN features AS f ON a.feature_id = f.id
JOIN feature_values AS v ON a.value_id = v.id
UNION ALL
SELECT 'link', l.relation, r.name, u.name
FROM current_links AS l
JOIN records AS r ON l.from_id = r.id OR l.to_id = r.id
JOIN ulabels AS u ON u.id IN (l.from_id, l.to_id)
WHERE r.name LIKE 'own%' AND u.name IN ('label 0', 'label 1')
"""


def state(store: Store) -> Counter[tuple[Any, ...]]:
    """Return what a store holds by names, how often each."""
    return Counter(store.sql(STATE).rows())


def start(lake: Lake, number: int) -> subprocess.Popen[str]:
    """Start a writer; it is ready when it has said so, and begins when it is told to."""
    options = json.dumps(lake.options)
    return subprocess.Popen(
        [sys.executable, worker.__file__, lake.url, options, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(dft.__file__).parents[1])},
    )


@contextmanager
def writers(lake: Lake, number: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start writers, and have none left at the end."""
    started = [start(lake, at) for at in range(number)]
    try:
        for process in started:
            assert said(process) == "ready"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_many_writers_end_where_one_after_another_does(lake: Lake, store: Store) -> None:
    worker.prepare(store)
    for number in range(WRITERS):
        worker.work(store, number)
    with lake.connect() as shared:
        worker.prepare(shared)
        with writers(lake, WRITERS) as processes:
            for process in processes:
                go(process)
            assert [said(process) for process in processes] == ["done"] * WRITERS
        assert state(shared) == state(store)
        assert shared.check().ok


def test_a_killed_writer_leaves_nothing_and_blocks_nobody(lake: Lake) -> None:
    with lake.connect(lock_timeout=20) as store:
        worker.prepare(store)
        with writers(lake, 1) as (killed,):
            go(killed)
            while not store.ULabel.count():
                time.sleep(0.01)
            # In the middle of whatever it does; and once more with the turn in its hand.
            killed.send_signal(signal.SIGKILL)
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDING, lake.url, json.dumps(lake.options)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(dft.__file__).parents[1])},
        )
        try:
            assert said(holder) == "holding"
            assert store.ULabel.get_or_none(name="never") is None
            started = time.monotonic()
            holder.send_signal(signal.SIGKILL)
            store.ULabel(name="after").save()
            waited = time.monotonic() - started
        finally:
            holder.kill()
            holder.communicate()
        assert waited < 10
        assert store.ULabel.get_or_none(name="never") is None
        assert store.check().ok
        for number in range(2):
            worker.work(store, number, rounds=1)
        assert store.check().ok


HOLDING = """
import json, sys, time
import duckfeat as dft
with dft.connect(sys.argv[1], **json.loads(sys.argv[2])) as store, store.transaction():
    store.ULabel(name="never").save()
    store.save([store.Record(name=f"never {at}") for at in range(500)])
    print("holding", flush=True)
    time.sleep(600)
"""


def test_who_waits_too_long_is_told_who_has_the_turn(lake: Lake) -> None:
    with lake.connect() as store, Store(lake.url, **lake.options, lock_timeout=0.2) as other:
        with store.transaction():
            store.ULabel(name="a").save()
            # Readers never wait.
            assert other.ULabel.count() == 0
            with pytest.raises(StoreLocked, match=f"process {os.getpid()}") as caught:
                other.ULabel(name="b").save()
            told: Any = caught.value
            assert (told.pid, told.host) == (os.getpid(), socket.gethostname())
            assert told.program in Path(sys.argv[0]).name
            assert told.seconds < 60
            assert told.since <= datetime.now(UTC).isoformat()
        assert other.ULabel.all().to_list("name") == ["a"]
        other.ULabel(name="b").save()
        assert store.ULabel.count() == 2


@pytest.mark.parametrize("lost", [0, 2], ids=["at once", "although the first tries to end the wait are lost"])
def test_who_waits_can_be_interrupted(lake: Lake, lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cancel, tries = PostgresTurns._cancel, iter(range(lost))
    monkeypatch.setattr(PostgresTurns, "_cancel", lambda *given: cancel(*given) if next(tries, None) is None else None)
    begun, go_on = threading.Event(), threading.Event()

    def hold(store: Store) -> None:
        with store.transaction():
            store.ULabel(name="a").save()
            begun.set()
            go_on.wait(120)

    with lake.connect() as store, Store(lake.url, **lake.options) as other:
        holder = threading.Thread(target=hold, args=[store])
        holder.start()
        assert begun.wait(60)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
        interrupt = threading.Timer(0.5, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
        interrupt.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                other.ULabel(name="b").save()
            assert holder.is_alive()  # so the turn was still another's
        finally:
            go_on.set()
            holder.join()
            interrupt.join()
            signal.signal(signal.SIGINT, before)
        assert other.ULabel.all().to_list("name") == ["a"]
        for each, name in ((store, "c"), (other, "d")):
            each.ULabel(name=name).save()
        assert set(store.ULabel.all().to_list("name")) == {"a", "c", "d"}


def test_a_lost_turn_keeps_nothing(lake: Lake, request: pytest.FixtureRequest) -> None:
    def write_and_lose_the_turn(store: Store) -> None:
        with store.transaction():
            store.ULabel(name="a").save()
            if lake.url.startswith("ducklake:sqlite:"):
                Path(f"{lake.url.removeprefix('ducklake:sqlite:')}.turn").unlink()
                return
            server: Postgres = request.getfixturevalue("postgres")
            server.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")

    with lake.connect() as store:
        with pytest.raises(TransactionConflict, match=r"taken away|was lost"):
            write_and_lose_the_turn(store)
        assert store.ULabel.count() == 0
        store.ULabel(name="b").save()
        assert store.ULabel.all().to_list("name") == ["b"]
        assert store.check().ok


@contextmanager
def _refusing(server: Postgres, lake: Lake) -> Iterator[None]:
    """Have PostgreSQL end the connections of a lake, and take no new one while the block runs."""
    database = lake.url.partition("dbname=")[2].split()[0]
    server.sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")  # noqa: S608 - our own
    try:
        yield
    finally:
        server.sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")


@pytest.mark.parametrize("then", ["write", "read", "commit"])
def test_a_catalog_that_restarts_in_a_transaction(then: str, lakes: Lakes, postgres: Postgres) -> None:
    lake = lakes.make("lake-postgres")

    def restarted(store: Store) -> None:
        with store.transaction():
            store.ULabel(name="a").save()
            with _refusing(postgres, lake):
                pass
            if then == "write":
                store.ULabel(name="b").save()
            elif then == "read":
                store.ULabel.filter(name="a").count()

    with lake.connect() as store:
        for _ in range(3):
            with pytest.raises(TransactionConflict, match="was lost"):
                restarted(store)
            assert store.ULabel.count() == 0
        store.ULabel(name="c").save()
        assert store.ULabel.all().to_list("name") == ["c"]


def test_a_catalog_that_is_down(lakes: Lakes, postgres: Postgres, tmp_path: Path) -> None:
    lake = lakes.make("lake-postgres")
    with lake.connect() as store:
        store.ULabel(name="a").save()
        calls: list[Callable[[], object]] = [
            lambda: store.backup(tmp_path / "backup.duckdb"),
            lambda: store.export(tmp_path / "exported"),
            store.check,
            store.ULabel.count,
            store.ULabel(name="b").save,
            store.compact,
        ]
        for call in calls:
            with _refusing(postgres, lake):
                for _ in range(2):
                    with pytest.raises(Unreachable):
                        call()
        assert store.ULabel.all().to_list("name") == ["a"]
        store.backup(tmp_path / "backup.duckdb")
        assert store.check().ok
