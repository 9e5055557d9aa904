"""Measure duckfeat against hand-written DuckDB SQL, both alternating in one run.

    python benchmarks/bench.py [entities] [--rounds 3] [--large] [--readme]

Prints one table of medians, ratios and targets; writes it with machine, versions and date as JSON, and how cost grows
as a plot (PNG, SVG), into `benchmarks/results/`. `--large` goes on to 100 million annotations; `--readme` puts table
and plot into README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from floor import Floor, measurements

import duckfeat as dft

HERE = Path(__file__).resolve().parent
RESULTS, README = HERE / "results", HERE.parent / "README.md"
SMALL = 100_000
"""Records in the store that single records are measured in."""


@dataclass
class Row:
    """One line of the table: what was done, the median, what it is compared with, and the target."""

    work: str
    measured: float
    unit: str
    floor: float | None
    target: float

    @property
    def compared(self) -> float:
        """The figure that the target is about: the ratio to the floor where there is one."""
        return self.measured / self.floor if self.floor else self.measured


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def alternating(rounds: int, calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of each call; they take turns, and a first round is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            took = seconds(call)
            if number:
                taken[name].append(took)
    return {name: statistics.median(found) for name, found in taken.items()}


def loads(folder: Path, source: Path, rounds: int) -> tuple[list[Row], Path, Floor]:
    """Load the source as often as there are rounds, floor and duckfeat in turns; the last files are kept."""
    floors, firsts, seconds_again = [], [], []
    for number in range(rounds):
        for old in folder.glob("*.duckdb*"):
            old.unlink()
        floor = Floor(source, folder / f"floor{number}.duckdb")
        floors.append(floor.load())
        file = folder / f"store{number}.duckdb"
        with dft.connect(file, default=False) as store:
            firsts.append(seconds(lambda store=store: store.annotate(source, key="uid", create="all", progress=False)))
            before = _counts(store)
            seconds_again.append(
                seconds(lambda store=store: store.annotate(source, key="uid", create="all", progress=False))
            )
            if _counts(store) != before:
                sys.exit("annotating again added rows")
        if number < rounds - 1:
            floor.close()
    floor_s, first, again = map(statistics.median, (floors, firsts, seconds_again))
    links = before["record_annotations"]
    rows = [
        Row("`annotate` a Parquet file, everything new", first, "s", floor_s, 1.3),
        Row("`annotate` it again, compared with the first time", again, "s", first, 1.0),
        Row("bytes per annotation on disk", file.stat().st_size / links, "B", None, 6),
    ]
    return rows, file, floor


def _counts(store: dft.Store) -> dict[str, int]:
    tables = ("records", "features", "typed_values", "record_annotations", "record_removals")
    return {name: store.sql(f"SELECT count(*) AS n FROM {name}")["n"].item() for name in tables}


def frames(file: Path, floor: Floor, rounds: int) -> list[Row]:
    """Take the wide frame of all records, and of three features of a filtered hundredth of them."""
    with dft.connect(file, default=False) as store:
        records = store.Record
        warm = records.filter(store.Feature.get(name="temperature") > 31.64)
        taken = alternating(
            rounds,
            {
                "floor": floor.wide,
                "pl": lambda: records.all().pl(features=True),
                "df": lambda: records.all().df(features=True),
                "arrow": lambda: records.all().arrow(features=True),
                "few": lambda: warm.pl(features=["n_cells", "note", "tissue"]),
            },
        )
        found = warm.count()
    return [
        Row("wide frame of all, `.pl(features=True)`", taken["pl"], "s", taken["floor"], 1.15),
        Row("wide frame of all, `.df(features=True)`", taken["df"], "s", taken["floor"], 1.5),
        Row("wide frame of all, `.arrow(features=True)`", taken["arrow"], "s", taken["floor"], 1.1),
        Row(f"3 of 10 features for {found:,} filtered records", taken["few"] * 1e3, "ms", None, 30),
    ]


def singles(folder: Path, source: Path) -> list[Row]:
    """Do what is done with single records, a hundred times each, in a store of 100,000; targets are LaminDB's."""
    numbers = count()
    with dft.connect(folder / "single.duckdb", default=False) as store:
        store.annotate(source, key="name", on="uid", create="all", progress=False)
        feature = store.Feature.get(name="temperature")
        store.FeatureValue.get_or_create(feature, -1.0)
        record, run = store.Record.get(name="e000000077"), store.Run
        values = [
            {"temperature": -i / 7, "n_cells": -i, "protocol": f"p{i}", "dose": -i / 3, "note": f"n{i}"}
            for i in range(400)
        ]
        taken = alternating(
            100,
            {
                "existing": lambda: store.FeatureValue.get_or_create(feature, -1.0),
                "new": lambda: store.FeatureValue.get_or_create(feature, -10.0 - next(numbers)),
                "run": lambda: run().save(),
                "set": lambda: record.features.set_values(values[next(numbers) % len(values)]),
                "get": lambda: store.Record.get(name=f"e{next(numbers) * 7:09d}"),
            },
        )
    labels = {
        "existing": ("`FeatureValue.get_or_create`, existing", 0.28),
        "new": ("`FeatureValue.get_or_create`, new", 2.2),
        "run": ("`Run.save`", 1.9),
        "set": ("`features.set_values` of 5", 16.7),
        "get": (f"`get(name=)` among {SMALL:,}", 14.7),
    }
    return [Row(work, taken[name] * 1e3, "ms", None, target) for name, (work, target) in labels.items()]


_START = """
import time
start = time.perf_counter()
import duckfeat
middle = time.perf_counter()
duckfeat.connect({file!r})
print(middle - start, time.perf_counter() - middle)
"""


def starting(file: Path) -> list[Row]:
    """Import duckfeat and connect to an existing store, each time in a new process."""
    taken = []
    for _ in range(7):
        code = _START.format(file=str(file))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # own code
        taken.append([float(part) * 1e3 for part in done.stdout.split()])
    imported, connected = (statistics.median(column) for column in zip(*taken, strict=True))
    return [
        Row("`import duckfeat`", imported, "ms", None, 150),
        Row("`connect` to an existing store", connected, "ms", None, 60),
    ]


def growing(folder: Path, largest: int) -> list[dict[str, float]]:
    """Load and read back stores of ten times as many records each, up to `largest`."""
    points, entities = [], 1_000
    while entities <= largest:
        place = folder / "growing"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        source = place / "measurements.parquet"
        measurements(entities).write_parquet(source)
        floor = Floor(source, place / "floor.duckdb")
        point = {"annotations": entities * 10.0, "floor load": floor.load(), "floor frame": seconds(floor.wide)}
        floor.close()
        with dft.connect(place / "store.duckdb", default=False) as store:
            point["annotate"] = seconds(
                lambda store=store, source=source: store.annotate(source, key="uid", create="all", progress=False)
            )
            point["wide frame"] = seconds(lambda store=store: store.Record.all().pl(features=True))
        points.append(point)
        entities *= 10
    shutil.rmtree(folder / "growing")
    return points


def table(rows: list[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = ["| work | duckfeat | floor | ratio | target | |", "|---|---|---|---|---|---|"]
    for row in rows:
        floor = f"{row.floor:.3g} {row.unit}" if row.floor else ""
        ratio = f"{row.compared:.2f}" if row.floor else ""
        target = f"<= {row.target:g}" + ("x" if row.floor else f" {row.unit}")
        met = "met" if row.compared <= row.target else "missed"
        lines.append(f"| {row.work} | {row.measured:.3g} {row.unit} | {floor} | {ratio} | {target} | {met} |")
    return "\n".join(lines)


def plot(points: list[dict[str, float]]) -> None:
    """Draw how cost grows with the number of annotations."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), sharex=True)
    for axis, (ours, theirs) in zip(axes, (("annotate", "floor load"), ("wide frame", "floor frame")), strict=True):
        annotations = [point["annotations"] for point in points]
        axis.loglog(annotations, [point[ours] for point in points], "o-", color="#1f5fa8", label=f"duckfeat: {ours}")
        axis.loglog(annotations, [point[theirs] for point in points], "s--", color="#777", label="hand-written SQL")
        axis.set(xlabel="annotations", ylabel="seconds", title=ours)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    figure.tight_layout()
    for suffix in ("png", "svg"):
        figure.savefig(RESULTS / f"growth.{suffix}", dpi=150)


def machine() -> dict[str, Any]:
    """Return where and with what this was measured."""
    names = ("duckfeat", "duckdb", "polars", "pyarrow", "pandas")
    return {
        "date": datetime.now(UTC).isoformat(" ", "seconds"),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
    }


_SECTION = re.compile(r"<!-- bench -->.*?<!-- /bench -->", re.DOTALL)


def write_readme(report: Mapping[str, Any]) -> None:
    """Put the table and the plot of a report between the marks in README.md."""
    where = report["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    text = (
        f"<!-- bench -->\n{report['table']}\n\nMeasured on {where['date'][:10]}, {where['cores']} cores, Python "
        f"{where['python']}, {versions}; {report['entities']:,} records x 10 features; medians. The targets of single\n"
        "records are what LaminDB 2.12.1 on SQLite took on a like machine.\n\n"
        "![Seconds against annotations, duckfeat and hand-written SQL](benchmarks/results/growth.svg)\n<!-- /bench -->"
    )
    README.write_text(_SECTION.sub(lambda _: text, README.read_text()))


def run(entities: int, rounds: int, *, large: bool) -> dict[str, Any]:
    """Measure everything and return the report."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source, small = folder / "measurements.parquet", folder / "small.parquet"
        measurements(entities).write_parquet(source)
        measurements(SMALL).write_parquet(small)
        rows, file, floor = loads(folder, source, rounds)
        rows += frames(file, floor, rounds)
        floor.close()
        rows += singles(folder, small)
        rows += starting(file)
        points = growing(folder, 10_000_000 if large else entities)
    report = {"machine": machine(), "entities": entities, "table": table(rows), "growth": points}
    return report | {"rows": [asdict(row) | {"compared": row.compared} for row in rows]}


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entities", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    report = run(given.entities, given.rounds, large=given.large)
    print(report["table"])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "bench.json").write_text(json.dumps(report, indent=2) + "\n")
    plot(report["growth"])
    if given.readme:
        write_readme(report)


if __name__ == "__main__":
    main()
