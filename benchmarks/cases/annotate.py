"""Bulk annotation as functions that return seconds: first load, the same again, and one larger than memory.

    python benchmarks/cases/annotate.py [--entities N] [--memory-limit 2GB] [--dir DIR]

The input is that of the floor (`uid` and ten features, 3.1 distinct values per entity), written by DuckDB in
parts, so that making it takes little memory whatever its size. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

import duckfeat as dft

FEATURES = 10
_PART = 1_000_000
_ROWS = """
COPY (
    SELECT
        'e' || lpad(i::VARCHAR, 9, '0') AS uid,
        round(20 + 5 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()), 3) AS temperature,
        (random() * 100000)::BIGINT AS n_cells,
        random() < 0.5 AS is_control,
        'protocol ' || (random() * 50)::BIGINT AS protocol,
        'note ' || i AS note,
        random() AS x1,
        random() AS x2,
        'tissue ' || (random() * 500)::BIGINT AS tissue,
        (random() * 10)::BIGINT * 0.5::DOUBLE AS dose,
        (random() * 200)::BIGINT AS batch
    FROM range($first, $last) AS t(i)
) TO '{path}'
"""


def write_input(folder: Path, entities: int) -> str:
    """Write the Parquet files of so many entities and return the glob that means them."""
    with duckdb.connect() as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute("SET threads = 1")  # the same numbers every time
        for part, first in enumerate(range(0, entities, _PART)):
            bounds = {"first": first, "last": min(first + _PART, entities)}
            connection.execute(_ROWS.format(path=folder / f"part{part:04}.parquet"), bounds)
    return str(folder / "part*.parquet")


def annotate(store: dft.Store, data: str, clock: Callable[[], float] = time.perf_counter) -> float:
    """Annotate records named by `uid`, features registered and records made, and return the seconds it took.

    With `clock=time.process_time` these are the seconds of all cores, which a busy machine changes little.
    """
    start = clock()
    store.annotate(data, key="uid", create="all")
    return clock() - start


def run(folder: Path, entities: int, **options: Any) -> dict[str, float | int]:
    """Load twice and return seconds, values per second, bytes per annotation and the peak of memory in MiB."""
    data = write_input(folder, entities)
    file = folder / "features.duckdb"
    with dft.connect(file, **options) as store:
        busy = time.process_time()
        first = annotate(store, data)
        first_cpu = time.process_time() - busy
        loaded = _peak_mib()
        size = _bytes(store, file)
        again = annotate(store, data)
        grown = _bytes(store, file) - size
    return {
        "entities": entities,
        "first_s": round(first, 3),
        "first_cpu_s": round(first_cpu, 3),
        "again_s": round(again, 3),
        "values_per_s": round(entities * FEATURES / first),
        "bytes_per_annotation": round(size / (entities * FEATURES), 3),
        "grown_bytes": grown,
        "peak_mib_first": loaded,
        "peak_mib": _peak_mib(),
    }


def _peak_mib() -> int:
    """Return the peak of this process's resident memory; `ru_maxrss` begins with that of whoever started it."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


def _bytes(store: dft.Store, file: Path) -> int:
    store._session.engine.checkpoint()
    return file.stat().st_size


def main() -> None:
    """Read the command line, run, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--memory-limit", default=None)
    parser.add_argument("--dir", type=Path, default=None)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.dir) as scratch:
        print(json.dumps(run(Path(scratch), chosen.entities, memory_limit=chosen.memory_limit)))


if __name__ == "__main__":
    main()
