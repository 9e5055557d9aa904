"""Bulk work, hand-written SQL and duckfeat in turns; then what a new process costs, in time and in memory.

pytest-benchmark knows no turns: one case takes all its rounds before the next one starts. So every turn is a case of
one round here, of five where a round takes milliseconds, and whoever reads the results takes the median over the turns.
What happens inside a new process is told by that process.
"""

from __future__ import annotations

import compileall
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from cases import few
from place import Place

import duckfeat

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

LARGE_LOAD = Path(__file__).with_name("annotate.py")
FRAMES: dict[str, Callable[[Place], object]] = {
    "floor": lambda place: place.floor.wide(),
    "pl": lambda place: place.store.Record.all().pl(features=True),
    "df": lambda place: place.store.Record.all().df(features=True),
    "arrow": lambda place: place.store.Record.all().arrow(features=True),
}
START = """
import json, time
start = time.perf_counter()
import duckfeat
imported = time.perf_counter()
duckfeat.connect({file!r})
print(json.dumps({{"import": imported - start, "connect": time.perf_counter() - imported}}))
"""

run = partial(subprocess.run, capture_output=True, text=True, check=True)


@pytest.fixture(scope="session")
def places() -> Iterator[dict[int, Place]]:
    """Return the places in use, by their size."""
    used: dict[int, Place] = {}
    yield used
    for place in used.values():
        place.close()


@pytest.fixture
def place(places: dict[int, Place], entities: int, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return the place of this size."""
    if entities not in places:
        places[entities] = Place(tmp_path_factory.mktemp("place"), entities)
    return places[entities]


@pytest.mark.usefixtures("turn")
@pytest.mark.parametrize("what", ["floor", "first", "again"])
def test_load(benchmark: BenchmarkFixture, place: Place, what: str) -> None:
    """Load the measurements into a new floor and a new store, and once more into the same store."""
    if what == "floor":
        benchmark.pedantic(place.load_floor, setup=place.new_floor)
    elif what == "first":
        benchmark.pedantic(place.annotate, setup=place.new_store)
        benchmark.extra_info["bytes"] = place.size() / place.rows()["record_annotations"]
    else:
        rows, size = place.rows(), place.size()
        benchmark.pedantic(place.annotate)
        assert place.rows() == rows
        benchmark.extra_info["grown"] = place.size() - size


@pytest.mark.both_ways(*FRAMES)
def test_frame(benchmark: BenchmarkFixture, place: Place, turn: int, what: str) -> None:
    """Take the wide frame of all; a first round is not counted."""
    benchmark.pedantic(FRAMES[what], args=(place,), warmup_rounds=int(turn == 0))


def test_few(benchmark: BenchmarkFixture, place: Place) -> None:
    """Take three features of a filtered hundredth in the process that has just loaded them.

    DuckDB 2.0 reads texts more slowly while the process that wrote them has the file open.
    """
    benchmark.pedantic(few.take, args=(place.store,), rounds=few.ROUNDS, iterations=1, warmup_rounds=few.WARMING_UP)
    benchmark.extra_info["records"] = few.warm(place.store).count()


def test_few_opened(benchmark: BenchmarkFixture, place: Place) -> None:
    """Take them in new processes that open the store; in this one, loads and frames have worn the heap."""
    place.store.close()
    command = [sys.executable, few.__file__, str(place.file)]
    taken: list[float] = []
    benchmark.pedantic(lambda: taken.append(json.loads(run(command).stdout)["seconds"]), rounds=5)
    benchmark.extra_info["seconds"] = statistics.median(taken)


def test_start(benchmark: BenchmarkFixture, place: Place) -> None:
    """Import duckfeat, compiled as pip leaves it, and connect to the store, each time in a new process."""
    place.store.close()
    packages = [Path(module.__file__ or "").parent for module in (duckfeat, duckdb)]
    assert all(compileall.compile_dir(package, quiet=1) for package in packages)
    code = START.format(file=str(place.file))
    taken: list[dict[str, float]] = []
    benchmark.pedantic(lambda: taken.append(json.loads(run([sys.executable, "-c", code]).stdout)), rounds=7)
    for part in ("import", "connect"):
        benchmark.extra_info[part] = statistics.median(told[part] for told in taken)


def test_memory(benchmark: BenchmarkFixture, tmp_path: Path, entities: int, memory_limit: str | None) -> None:
    """Annotate in a process of its own, and again, and take the peak of its resident memory."""
    limit = ["--memory-limit", memory_limit] if memory_limit else []
    command = [sys.executable, str(LARGE_LOAD), "--dir", str(tmp_path), "--entities", str(entities), *limit]
    benchmark.extra_info.update(json.loads(benchmark.pedantic(run, args=(command,)).stdout))
