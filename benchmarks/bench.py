"""Measure duckfeat against hand-written DuckDB SQL, both in turns in one run.

    python benchmarks/bench.py [entities] [--turns 3] [--large] [--readme]

pytest-benchmark runs `benchmarks/cases` and takes the times; this script makes of them one table of medians, ratios and
targets, JSON with machine, versions and date, and a plot of how cost grows (PNG, SVG), in `benchmarks/results/`.
Single records are compared with what LaminDB took in the last run of `peers.py`, if there was one. `--large` goes on to
100 million annotations and takes the peak of memory with a limit of 2 GB; `--readme` puts tables and plot into
README.md.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

import peers
from measured import HERE, RESULTS, SINGLES, Measured, figure, in_markdown, in_words, measure

README = HERE.parent / "README.md"
FRAMES = {"pl": 1.15, "df": 1.5, "arrow": 1.1}


@dataclass
class Row:
    """One line of the table: what was done, the median, what it is compared with, and what it may be at most."""

    work: str
    measured: float
    unit: str
    target: float | None
    other: float | None = None
    whose: str = ""

    @property
    def ratio(self) -> float | None:
        """The measured figure as a multiple of the other."""
        return self.measured / self.other if self.other else None

    @property
    def met(self) -> bool | None:
        """Whether the ratio, or the figure where there is none, is within the target."""
        if self.target is None:
            return None
        return (self.measured if self.ratio is None else self.ratio) <= self.target


def bulk(found: Measured, entities: int) -> list[Row]:
    """Return the rows of loading and of frames."""
    took = {what: found.seconds("test_load", what, entities) for what in ("floor", "first", "again")}
    rate = entities * 10 / took["first"] / 1e6
    told = {key: found.told(key, "test_load", what, entities) for key, what in (("bytes", "first"), ("grown", "again"))}
    floor = found.seconds("test_frame", "floor", entities)
    records = found.told("records", "test_few", entities=entities)
    opened = found.told("seconds", "test_few_opened", entities=entities) * 1e3
    loaded = found.seconds("test_few", entities=entities) * 1e3
    return [
        Row(
            f"`annotate` a Parquet file ({rate:.1f} million values/s)", took["first"], "s", 1.3, took["floor"], "floor"
        ),
        Row("`annotate` it again", took["again"], "s", 1.0, took["first"], "first time"),
        Row("growth of the file by annotating again", told["grown"], "B", 0),
        Row("bytes on disk for an annotation, provenance included", told["bytes"], "B", 6),
        *(
            Row(f"wide frame of all, `.{what}(features=True)`", taken, "s", target, floor, "floor")
            for what, target in FRAMES.items()
            if (taken := found.seconds("test_frame", what, entities))
        ),
        Row(f"3 of 10 features for {records:,.0f} filtered records, in a new process", opened, "ms", 30),
        Row("the same in the process that has just loaded them", loaded, "ms", 30),
    ]


def single(found: Measured) -> list[Row]:
    """Return the rows of single records: beside LaminDB, both of one run, where that was written down."""
    written = json.loads(peers.FILE.read_text())["rows"] if peers.FILE.exists() else []
    beside = {row["work"]: row for row in written if row["lamindb"]}
    return [
        Row(work, beside[work]["duckfeat"], "ms", 1.0, beside[work]["lamindb"], "LaminDB")
        if work in beside
        else Row(work, found.seconds(case, what) * 1e3, "ms", None)
        for work, (case, what) in SINGLES.items()
    ]


def processes(found: Measured) -> list[Row]:
    """Return the rows of what a new process costs, in time and, where the large load ran, in memory."""
    start = {part: found.told(part, "test_start") * 1e3 for part in ("import", "connect")}
    made = [
        Row("`import duckfeat`", start["import"], "ms", 150),
        Row("`connect` to an existing store", start["connect"], "ms", 60),
    ]
    sizes = found.sizes("test_memory")
    if sizes:
        small, large = (found.told("first_s", "test_memory", entities=size) / size / 10 * 1e6 for size in sizes)
        peak = found.told("peak_mib", "test_memory", entities=sizes[-1])
        fewer, more = (f"{size * 10:,} values" for size in sizes)
        made += [
            Row(f'`annotate` {more} twice, `memory_limit="2GB"`: peak of memory', peak, "MiB", 3 * 1024),
            Row(f'`annotate` {more}, `memory_limit="2GB"`: time for a value', large, "µs", 1.5, small, fewer),
        ]
    return made


def growing(found: Measured) -> list[dict[str, float | None]]:
    """Return what load and frame took at each size."""
    return [
        {
            "annotations": size * 10,
            "floor load": found.seconds("test_load", "floor", size),
            "annotate": found.seconds("test_load", "first", size),
            "floor frame": found.seconds("test_frame", "floor", size),
            "wide frame": found.seconds("test_frame", "pl", size),
        }
        for size in found.sizes("test_load")
    ]


def table(rows: list[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = []
    for row in rows:
        compared = f"{figure(row.other, row.unit)} ({row.whose})" if row.other else ""
        target = "" if row.target is None else f"<= {figure(row.target, 'x' if row.other else row.unit)}"
        met = {True: "yes", False: "no", None: ""}[row.met]
        lines.append((row.work, figure(row.measured, row.unit), compared, figure(row.ratio, "x"), target, met))
    return in_markdown(("work", "duckfeat", "compared with", "ratio", "target", "met"), lines)


def plot(points: list[dict[str, Any]]) -> None:
    """Draw how cost grows with the number of annotations."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "duckfeat"
    from matplotlib import pyplot

    figure_, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), sharex=True)
    for axis, (ours, theirs) in zip(axes, (("annotate", "floor load"), ("wide frame", "floor frame")), strict=True):
        annotations = [point["annotations"] for point in points]
        axis.loglog(annotations, [point[ours] for point in points], "o-", color="#1f5fa8", label=f"duckfeat: {ours}")
        axis.loglog(annotations, [point[theirs] for point in points], "s--", color="#777", label="hand-written SQL")
        axis.set(xlabel="annotations", ylabel="seconds", title=ours)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    figure_.tight_layout()
    for suffix in ("png", "svg"):
        figure_.savefig(RESULTS / f"growth.{suffix}", dpi=150)


_ABOVE = """\
{entities:,} records x 10 features; medians of {turns} turns. The floor is hand-written DuckDB SQL for the same work,
with no validation, provenance or facade. A ratio is duckfeat's figure divided by the one it is compared with; the rows
with LaminDB are those of the second table, where both ran one after the other. The target is for the ratio, or for the
figure where there is none."""
_ABOVE_PEERS = """\
`make bench-peers` has {names} do the same work one after the other, each through its public interface and,
but for duckfeat, on SQLite. Medians; what there is no way of doing is left empty."""
_SECTION = re.compile(r"<!-- bench -->.*?<!-- /bench -->", re.DOTALL)


def write_readme(report: dict[str, Any]) -> None:
    """Put tables and plot between the marks in README.md."""
    parts = [
        "<!-- bench -->",
        _ABOVE.format(**report),
        report["table"],
        in_words(report["about"]),
        "![Seconds against annotations, duckfeat and hand-written SQL](benchmarks/results/growth.svg)",
    ]
    if peers.FILE.exists():
        written = json.loads(peers.FILE.read_text())
        names = peers.names(written["rows"])
        parts += [
            _ABOVE_PEERS.format(names=" and ".join(", ".join(names).rsplit(", ", 1))),
            written["table"],
            in_words(written["about"]),
        ]
    text = "\n\n".join([*parts, "<!-- /bench -->"])
    README.write_text(_SECTION.sub(lambda _: text, README.read_text()))


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entities", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    found = measure(
        "cases", f"--entities={given.entities}", f"--turns={given.turns}", *["--large"] * given.large, "--side=duckfeat"
    )
    rows = bulk(found, given.entities) + single(found) + processes(found)
    report = {"about": found.about, "entities": given.entities, "turns": given.turns, "table": table(rows)}
    report |= {"rows": [asdict(row) | {"ratio": row.ratio, "met": row.met} for row in rows], "growth": growing(found)}
    print(report["table"])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "bench.json").write_text(json.dumps(report, indent=2) + "\n")
    plot(report["growth"])
    if given.readme:
        write_readme(report)


if __name__ == "__main__":
    main()
