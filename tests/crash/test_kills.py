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
from pathlib import Path
from typing import IO

import pytest

import duckfeat as dft
from tests.crash.workload import observed, replayed
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
