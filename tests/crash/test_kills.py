"""A process is killed at any moment: what it acknowledged is all there, what it did not is not there at all."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO

import polars as pl
import pytest

import duckfeat as dft
from tests.crash.workload import COMPACT, observed, replayed
from tests.data.previous import NAMES, SCHEMAS, file_of, values_in

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("DUCKFEAT_KILLS", "60"))
"""How often a process is killed; by hand, hundreds: `DUCKFEAT_KILLS=500 pytest tests/crash`."""
FILES = 3


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported everything and forks workers."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crash.workload"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        _input(process).close()


def _input(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None
    return process.stdin


def killed(server: subprocess.Popen[str], path: Path, done: int, draw: random.Random) -> int:
    """Have a worker go on from `done`, kill it at a random moment, and return how many steps it acknowledged."""
    _input(server).write(f"{path}\t{done}\n")
    _input(server).flush()
    assert server.stdout is not None
    pid = int(server.stdout.readline().removeprefix("pid "))
    # Now and then early enough to hit the opening, and the recovery after the kill before; else inside a later step.
    for _ in range(draw.choice([0, 1, 1, 2, 3])):
        done = int(server.stdout.readline())
    time.sleep(draw.uniform(0, draw.choice([0.01, 0.03, 0.1])))
    os.kill(pid, signal.SIGKILL)
    while (line := server.stdout.readline()) != "end\n":
        done = int(line)
    return done


@pytest.mark.parametrize("file", range(FILES))
def test_acknowledged_work_is_there_and_other_work_is_not(
    file: int, tmp_path: Path, server: subprocess.Popen[str]
) -> None:
    path = tmp_path / "features.duckdb"
    draw = random.Random(file)  # noqa: S311  # when to kill is no secret
    done = 0
    for _ in range(KILLS // FILES):
        acknowledged = killed(server, path, done, draw)
        with dft.connect(path) as store:
            found = observed(store)
            assert store.check().ok, store.check()
        done = next((n for n in (acknowledged, acknowledged + 1) if found == replayed(n)), -1)
        assert done >= 0, (acknowledged, found)
    assert done > KILLS // FILES  # most rounds got somewhere


def test_a_migration_is_all_or_nothing(tmp_path: Path, server: subprocess.Popen[str]) -> None:
    draw = random.Random(0)  # noqa: S311  # when to kill is no secret
    for number in range(max(4, KILLS // 6)):
        path = tmp_path / f"features{number}.duckdb"
        path.write_bytes(gzip.decompress(file_of(SCHEMAS[-1]).read_bytes()))
        _input(server).write(f"{path}\t0\n")
        _input(server).flush()
        assert server.stdout is not None
        pid = int(server.stdout.readline().removeprefix("pid "))
        time.sleep(draw.uniform(0, 0.08))
        os.kill(pid, signal.SIGKILL)
        while server.stdout.readline() != "end\n":
            pass
        with dft.connect(path) as store:
            assert store.check().ok
            old = store.Record.filter(name__in=NAMES)
            assert sorted(old.to_list("name")) == NAMES
            assert [record.features.get_values() for record in old] == [values_in(SCHEMAS[-1])] * len(NAMES)
            assert store.FeatureValue.filter(feature__name="offset").one().value == 0


ROUNDS, ROWS = 6, 10_000
SLOW = 6
"""So many more rounds, each twice as long, there may be where the process that is killed is slower than this one."""


def test_a_store_is_made_small_or_left_as_it_is(tmp_path: Path, server: subprocess.Popen[str]) -> None:
    first = tmp_path / "first.duckdb"
    with dft.connect(first) as store:
        store.Feature(name="dose", dtype=float).save()
        for round_ in range(ROUNDS):
            dose = [n + round_ / 8 for n in range(ROWS)]
            frame = pl.DataFrame({"name": [f"r{n}" for n in range(ROWS)], "dose": dose})
            store.annotate(frame, key="name", create=True, mode="update")
        expected = store.Record.all().order_by("id").pl(features=["dose"])
    whole = first.read_bytes()
    with dft.connect(first) as store:
        started = time.monotonic()
        store.compact(expire_history=timedelta(0), expire_values=timedelta(0))
        lasted = time.monotonic() - started
    rounds = max(12, KILLS // 4)
    seen: set[tuple[bool, bool, bool]] = set()
    for number in range(rounds + SLOW):
        if number >= rounds and len(seen) > 1:
            break
        path = tmp_path / str(number) / "features.duckdb"
        path.parent.mkdir()
        path.write_bytes(whole)
        _input(server).write(f"{path}\t{COMPACT}\n")
        _input(server).flush()
        assert server.stdout is not None
        pid = int(server.stdout.readline().removeprefix("pid "))
        assert server.stdout.readline() == "compacting\n"
        time.sleep(2 * lasted * number / rounds * 2 ** max(0, number - rounds + 1))
        os.kill(pid, signal.SIGKILL)
        while server.stdout.readline() != "end\n":
            pass
        left = {file.name.removeprefix(path.name) for file in path.parent.iterdir()}
        with dft.connect(path) as store:
            assert store.Record.all().order_by("id").pl(features=["dose"]).equals(expected)
            past = store.sql("SELECT count(*) FROM record_removals").item()
            assert past in {0, (ROUNDS - 1) * ROWS}
            assert store.check().ok
            seen.add((past == 0, ".compact.partial" in left, path.stat().st_size < 0.8 * len(whole)))
        assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert len(seen) > 1, seen  # some were killed before, some after
