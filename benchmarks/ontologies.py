"""What ontologies cost: importing a release with its hierarchy, and everything below its root.

    python benchmarks/ontologies.py [--taxonomy]      # with the NCBI taxonomy too, which takes a minute or two

Imports the releases that `cellxgene-ontology-guide` brings into stores of their own and prints one JSON line per
release: terms, seconds, the milliseconds of a count of all terms below the root, and the process's peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import duckfeat as dft

REPEATS = 7
RELEASES = (("CellType", "cl", "cell"), ("Tissue", "uberon", None), ("Disease", "mondo", "disease"))
TAXONOMY = ("Organism", "ncbitaxon", "root")


def seconds(call: Any) -> tuple[float, Any]:
    """Return how long a call takes, and what it returns."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def imported(registry: str, source: str, root: str | None) -> dict[str, Any]:
    """Import a release into a new store and return the figures."""
    with tempfile.TemporaryDirectory() as scratch, dft.connect(Path(scratch) / "terms.duckdb", memory_limit="2GB"):
        terms: Any = getattr(dft, registry)
        first, report = seconds(lambda: terms.import_source(source))
        again, _ = seconds(lambda: terms.import_source(source))
        figures = {"registry": registry, "terms": report.terms, "parents": report.parents, "import_s": first}
        figures |= {"import_again_s": again}
        if root is not None:
            below = terms.get(name=root).query_children()
            taken = [seconds(below.count) for _ in range(REPEATS)]
            figures |= {"below_root": taken[0][1], "below_root_ms": 1000 * statistics.median(s for s, _ in taken)}
    return figures | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--taxonomy", action="store_true", help="import the NCBI taxonomy as well")
    for release in [*RELEASES, *([TAXONOMY] if parser.parse_args().taxonomy else [])]:
        print(json.dumps(imported(*release)))


if __name__ == "__main__":
    main()
