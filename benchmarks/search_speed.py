"""How fast fuzzy search is over 80,000 and 1,000,000 names, beside brute-force RapidFuzz.

    python benchmarks/search_speed.py --names names.txt --json out.json

`--names` is a file with a name in each line, a CSV.GZ whose second column is the name, or a term file of the package
cellxgene-ontology-guide (without it, that package's newest NCBI taxonomy, 1.2 million names). For each size a seeded
sample of the names is indexed; queries are names with one or two typing errors. Times are of one process, warm.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import search_quality as quality
from rapidfuzz import fuzz, process

from duckfeat.query.search_index import SearchIndex

BRUTE_FORCE_QUERIES = 3
KINDS = ("substitution", "deletion", "transposition", "two typos", "joined words")


def read_names(path: Path) -> list[str]:
    """Return the names of a file: lines of text, genes (.csv.gz), or terms (.json, .json.zst)."""
    if path.name.endswith((".json", ".json.gz", ".json.zst")):
        return quality.read_ontology(path).names
    if path.name.endswith((".csv", ".csv.gz")):
        return quality.read_genes(path).names
    return [line for line in path.read_text().splitlines() if line]


def newest_taxonomy() -> Path:
    """Return the term file of the newest NCBI taxonomy in the package cellxgene-ontology-guide."""
    return max(quality.newest_cell_ontology().parent.glob("NCBITaxon-ontology-*.json.zst"))


def sample(names: Path | None, size: int, seed: int) -> list[str]:
    """Return a seeded sample of the distinct names of a file; without one, of the newest taxonomy."""
    known = list(dict.fromkeys(read_names(names or newest_taxonomy())))
    draw = random.Random(seed)  # noqa: S311 -- a sample of names keeps no secret
    return sorted(draw.sample(known, min(size, len(known))))


def measure(names: list[str], count: int, seed: int) -> dict[str, Any]:
    """Return the figures of one size, brute-force `WRatio` among them."""
    column = pa.array(names)
    start, start_cpu = time.perf_counter(), time.process_time()
    index = SearchIndex.build(range(len(names)), [column])
    built, built_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    data = quality.Data(f"{len(names):,} names", names, [None] * len(names))
    queries = [query for kind in KINDS for query in quality.make_queries(data, kind, count, seed)[0]]
    for query in queries[:20]:
        index.search(query.typed)
    times: list[float] = []
    tally = quality.search_places(index, queries, times)
    cpu = statistics.median(_cpu_seconds(index, query.typed) for query in queries)
    start = time.perf_counter()
    for query in queries[:BRUTE_FORCE_QUERIES]:
        process.extract(query.typed, names, scorer=fuzz.WRatio, limit=20)
    brute = (time.perf_counter() - start) / BRUTE_FORCE_QUERIES
    start = time.perf_counter()
    index.add([len(names)], [["a name that is new"]])
    index.search("a nmae that is new")
    p50 = statistics.median(times)
    return {
        "names": len(names),
        "build_s": built,
        "build_cpu_s": built_cpu,
        "p50_ms": p50 * 1e3,
        "cpu_p50_ms": cpu * 1e3,
        "p95_ms": statistics.quantiles(times, n=20)[-1] * 1e3,
        "write_and_search_ms": (time.perf_counter() - start) * 1e3,
        "wratio_ms": brute * 1e3,
        "times_faster": brute / p50,
        "recall@1": tally.recall(1),
        "recall@5": tally.recall(5),
        "memory_mb": index.nbytes / 1e6,
    }


def _cpu_seconds(index: SearchIndex, typed: str) -> float:
    """Return the processor's time of one search, which other work on the machine hardly changes."""
    start = time.process_time()
    index.search(typed)
    return time.process_time() - start


def report(figures: dict[str, Any]) -> None:
    """Print the figures of one size."""
    rest = (f"{title} {value:,.3g}" for title, value in figures.items() if title != "names")
    print(f"{figures['names']:>9,} names:  " + "  ".join(rest), flush=True)


def figures(names: Path | None, sizes: Sequence[int], count: int = 100, seed: int = 1) -> list[dict[str, Any]]:
    """Return the figures of every size, printed as they come."""
    measured = []
    for size in sorted(sizes):
        measured.append(measure(sample(names, size, seed), count, seed))
        report(measured[-1])
    return measured


def main(arguments: Sequence[str]) -> None:
    """Read the arguments, measure every size, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[80_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=100, help="of each kind of error")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    measured = figures(options.names, options.sizes, options.queries, options.seed)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
