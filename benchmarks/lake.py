"""What a lake costs beside a file: load, filter, wide frame, size, and writers that share one lake.

Run with DuckDB 1.5 and the extra `lake`, from the root of the repository:

    python -m benchmarks.lake --entities 1000000

Each store gets `entities` records with ten features: 3 integers, 3 floats, 4 texts; about a third of the values are
distinct. PostgreSQL and S3 are real servers on this machine, started for the run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import duckfeat as dft
from tests.servers import running_postgres, running_s3

FEATURES = [*(f"int{i}" for i in range(3)), *(f"float{i}" for i in range(3)), *(f"text{i}" for i in range(4))]


def frame(entities: int, first: int = 0, seed: int = 0) -> pl.DataFrame:
    """Return the records `first` to `first + entities` with a value of each feature."""
    random = np.random.default_rng([seed, first])
    columns: dict[str, Any] = {"name": [f"sample {at}" for at in range(first, first + entities)]}
    for name in FEATURES:
        if name.startswith("int"):
            columns[name] = random.integers(0, 1000, entities)
        elif name.startswith("float"):
            columns[name] = random.random(entities).round(7)
        else:
            columns[name] = pl.Series(random.integers(0, 1000, entities)).cast(pl.String) + "-label"
    return pl.DataFrame(columns)


def median(call: Callable[[], object], times: int) -> float:
    """Return the median of some runs, in seconds."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def measure(store: dft.Store, data: pl.DataFrame) -> dict[str, float]:
    """Load a store and read from it; seconds each."""
    started = time.perf_counter()
    store.annotate(data, key="name", create="all")
    found = {"load": time.perf_counter() - started}
    found["filter"] = median(lambda: store.Record.filter(int0__lt=10).count(), 25)
    found["wide"] = median(lambda: store.Record.all().arrow(features=True), 3)
    started = time.perf_counter()
    store.compact()
    found["compact"] = time.perf_counter() - started
    found["filter after"] = median(lambda: store.Record.filter(int0__lt=10).count(), 25)
    found["wide after"] = median(lambda: store.Record.all().arrow(features=True), 3)
    return found


def size(folder: Path) -> float:
    """Return what the files of a folder hold, in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def write(url: str, options: str, first: str, entities: str) -> None:
    """Be one of several writers: annotate records of one's own."""
    data = frame(int(entities), int(first))
    with dft.connect(url, **json.loads(options), lock_timeout=3600) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        store.annotate(data, key="name", create=True)
        print("done", flush=True)


def together(url: str, options: dict[str, Any], writers: int, entities: int, first: int) -> float:
    """Return the seconds that writers need to annotate `entities` records in all."""
    each = entities // writers
    command = [sys.executable, "-m", "benchmarks.lake", "--writer", url, json.dumps(options)]
    processes = [
        subprocess.Popen(  # noqa: S603 - this program
            [*command, str(first + at * each), str(each)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for at in range(writers)
    ]
    lines = [_said(process) for process in processes]
    started = time.perf_counter()
    for process in processes:
        if process.stdin is not None:
            process.stdin.write("go\n")
            process.stdin.flush()
    lines += [_said(process) for process in processes]
    taken = time.perf_counter() - started
    for process in processes:
        process.communicate()
    if lines != ["ready"] * writers + ["done"] * writers:
        raise SystemExit(f"a writer failed: {lines}")
    return taken


def _said(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline().strip() if process.stdout is not None else ""


def stores(stack: ExitStack, folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield a name, a url and options of each kind of store."""
    yield "file", str(folder / "features.duckdb"), {}
    yield "lake, SQLite, folder", f"ducklake:sqlite:{folder}/lake.sqlite", {"data_path": str(folder / "files-sqlite")}
    server, bucket = stack.enter_context(running_postgres()), stack.enter_context(running_s3())
    for name, more in (
        ("lake, PostgreSQL, folder", {"data_path": str(folder / "files-postgres")}),
        ("lake, PostgreSQL, S3", {"data_path": f"s3://{bucket.bucket}/benchmark", "s3": bucket.options}),
    ):
        yield name, f"ducklake:postgres:{server.address(server.create())}", {"password": server.password, **more}


def main(entities: int) -> None:
    """Measure every kind of store and print a table."""
    data = frame(entities)
    print(f"{entities:,} records x {len(FEATURES)} features, DuckDB {dft.connect().sql('SELECT version()').item()}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dft-bench-")))
        for name, url, options in stores(stack, folder):
            with dft.connect(url, **options) as store:
                found = measure(store, data)
                held = store.sql("SELECT count(*) FROM typed_values").item()
            shown = "  ".join(f"{what} {seconds:.4f} s" for what, seconds in found.items())
            place = Path(url if name == "file" else str(options["data_path"]))
            held_mb = place.stat().st_size / 1e6 if place.is_file() else size(place)
            print(
                f"{name:26} {shown}  {held:,} values  {held_mb:.0f} MB" if held_mb else f"{name:26} {shown}", flush=True
            )
            if name != "file":
                part, at = entities // 10, entities
                for writers in (1, 2, 4):
                    taken = together(url, options, writers, part, at)
                    at += part
                    print(f"{'':26} {writers} writers, {part * len(FEATURES):,} values: {taken:.2f} s", flush=True)


if __name__ == "__main__":
    given = argparse.ArgumentParser(description="What a lake costs beside a file.")
    given.add_argument("--entities", type=int, default=1_000_000)
    given.add_argument("--writer", nargs=4, metavar=("URL", "OPTIONS", "FIRST", "ENTITIES"), help=argparse.SUPPRESS)
    asked = given.parse_args()
    if asked.writer:
        write(*asked.writer)
    else:
        main(asked.entities)
