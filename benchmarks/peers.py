"""Measure duckfeat, LaminDB and MLflow at the same work, one after the other, each through its public interface.

    python benchmarks/peers.py PYTHON [--without mlflow]    # the interpreter of the environment that has the peers

They share no environment, for they need different releases of pyarrow. Prints one table of medians with ratios and
writes it with machine, versions and date as JSON into `benchmarks/results/`. Both peers work on SQLite, without an
account or a server; a record is a run in MLflow; what a peer has no way of doing stays empty.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from measured import RESULTS, SINGLES, Measured, figure, in_markdown, measure

FILE = RESULTS / "peers.json"
SIDES = {"duckfeat": "duckfeat", "lamindb": "LaminDB", "mlflow": "MLflow"}
BULK = {
    "store 10,000 records x 5 values at once": ("s", "test_store_many", None),
    "count `temperature > 30` among 10,000": ("ms", "test_count", None),
    "wide pandas frame of 10,000 x 5": ("s", "test_wide", None),
    "search by name": ("ms", "test_search", "typed"),
    "search by name with typos": ("ms", "test_search", "mistyped"),
}
WORK = BULK | {work: ("ms", case, what) for work, (case, what) in SINGLES.items()}
SCALE = {"s": 1.0, "ms": 1e3}


def rows(sides: dict[str, Measured]) -> list[dict[str, Any]]:
    """Return a row for each piece of work: what it took on each side, in its unit, and what a search found."""
    made: list[dict[str, Any]] = []
    for work, (unit, case, what) in WORK.items():
        row: dict[str, Any] = {"work": work, "unit": unit}
        for side, measured in sides.items():
            seconds = measured.seconds(case, what)
            row[side] = None if seconds is None else seconds * SCALE[unit]
        if case == "test_search":
            row["found"] = {side: bool(measured.told("found", case, what)) for side, measured in sides.items()}
        made.append(row)
    sizes = {side: measured.told("bytes", "test_store_many") for side, measured in sides.items()}
    return [*made, {"work": "bytes on disk for a value, its record included", "unit": "B"} | sizes]


def names(made: list[dict[str, Any]]) -> list[str]:
    """Return what was measured, by name."""
    return [name for side, name in SIDES.items() if side in made[0]]


def table(made: list[dict[str, Any]]) -> str:
    """Return the rows as a table in Markdown."""
    lines = []
    for row in made:
        missed = [side for side, found in row.get("found", {}).items() if not found]
        sides = [side for side in SIDES if side in row]
        cells = [figure(row[side], row["unit"]) + ", not found" * (side in missed) for side in sides]
        ratios = [figure(row[side] / row["duckfeat"], "x") if row[side] else "" for side in sides if side != "duckfeat"]
        lines.append((row["work"], *cells, *ratios))
    measured = names(made)
    return in_markdown(("work", *measured, *(f"{name} / duckfeat" for name in measured[1:])), lines)


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", metavar="PYTHON")
    peers = [side for side in SIDES if side != "duckfeat"]
    parser.add_argument("--without", choices=peers, action="append", default=[], help="leave a peer out")
    given = parser.parse_args()
    python = {"duckfeat": sys.executable, "lamindb": given.python}
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    asked = {side: name for side, name in SIDES.items() if side not in given.without}
    sides = {}
    for side, name in asked.items():
        print(f"{name}:", flush=True)
        where = python.get(side, python["lamindb"])
        sides[side] = measure("cases/test_records.py", f"--side={side}", python=where)
    made = rows(sides)
    about = dict(sides["duckfeat"].about)
    for side, name in asked.items():
        about["versions"] = about["versions"] | {name: sides[side].about["versions"][side]}
    report = {"about": about, "table": table(made), "rows": made}
    RESULTS.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(report, indent=2) + "\n")
    print(report["table"])


if __name__ == "__main__":
    main()
