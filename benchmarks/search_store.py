"""Search, lookup and inspect over the records of a store, as a user calls them, end to end.

    python benchmarks/search_store.py --names names.txt --size 1000000 --json out.json

`--names` is what `search_speed.py` takes (without it, the newest NCBI taxonomy of cellxgene-ontology-guide). A store in
a scratch folder gets a record for each of a seeded sample of the names; times are of one process, warm unless they are
called first.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import search_quality as quality
import search_speed as speed

import duckfeat as dft
from duckfeat.store import Store

REPEATS = 60
UNKNOWN = 10_000
TARGETS = {"search_p50_ms": 8.0, "first_search_s": 4.0, "lookup_made_ms": 200.0, "lookup_attribute_p50_ms": 1.0}
"""What a million names may cost at most."""


def seconds(action: Callable[[], object]) -> float:
    """Return how long `action` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def p50_ms(action: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """Return the median of the milliseconds that `action` takes on each of `arguments`."""
    return statistics.median(seconds(lambda given=given: action(given)) for given in arguments) * 1e3  # type: ignore[misc]


def cpu_p50_ms(action: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """Return the median of the processor's time, which other work on the machine changes less."""
    times = []
    for given in arguments:
        start = time.process_time()
        action(given)
        times.append(time.process_time() - start)
    return statistics.median(times) * 1e3


def filled(path: Path, names: Sequence[str]) -> Store:
    """Return a new store with a record for each of the names."""
    store = dft.connect(path)
    store.annotate(pl.DataFrame({"name": names}), key="name", create=True, progress=False)
    return store


def figures(names: Sequence[str], *, seed: int = 1) -> dict[str, float]:
    """Return what search, lookup and inspect cost over a store of these names."""
    data = quality.Data("names", list(names), [None] * len(names))
    typed = [query.typed for kind in speed.KINDS for query in quality.make_queries(data, kind, REPEATS, seed)[0]]
    random.Random(seed).shuffle(typed)  # noqa: S311 -- the order of queries keeps no secret
    with tempfile.TemporaryDirectory() as folder, filled(Path(folder) / "names.duckdb", names) as store:
        measured = {"names": float(len(names))}
        cpu = time.process_time()
        measured["first_search_s"] = seconds(lambda: store.Record.search(typed[0], field="name"))
        measured["first_search_cpu_s"] = time.process_time() - cpu
        measured["search_p50_ms"] = p50_ms(lambda text: store.Record.search(text, field="name"), typed)
        measured["search_cpu_p50_ms"] = cpu_p50_ms(lambda text: store.Record.search(text, field="name"), typed)
        measured["search_and_read_20_p50_ms"] = p50_ms(
            lambda text: store.Record.search(text, field="name").to_list("name"), typed[:REPEATS]
        )
        measured["save_and_search_ms"] = seconds(lambda: _written(store)) * 1e3
        measured |= _lookup(store, names, seed)
        unknown = [f"{name}x" for name in names[:UNKNOWN]]
        measured["inspect_10000_unknown_s"] = seconds(lambda: store.Record.inspect(unknown))
        found = store.Record.inspect(unknown)
        measured["suggestion_p50_ms"] = p50_ms(found.suggestions.get, unknown[:REPEATS])
    return measured


def _written(store: Store) -> None:
    store.Record(name="a name that is new").save()
    if store.Record.search("a nmae that is new", field="name", limit=1).to_list("name") != ["a name that is new"]:
        raise SystemExit("a search missed what was written before it")


def _lookup(store: Store, names: Sequence[str], seed: int) -> dict[str, float]:
    made = seconds(store.Record.lookup) * 1e3
    lookup = store.Record.lookup()
    first = seconds(lambda: hasattr(lookup, "nothing_of_that_name"))
    draw = random.Random(seed)  # noqa: S311 -- as above
    chosen = draw.sample(sorted(lookup._entries.names), min(2 * REPEATS, len(names)))
    return {
        "lookup_made_ms": made,
        "lookup_names_read_s": first,
        "lookup_attribute_p50_ms": p50_ms(lambda name: getattr(lookup, name), chosen[::2]),
        "lookup_attribute_cpu_p50_ms": cpu_p50_ms(lambda name: getattr(lookup, name), chosen[1::2]),
    }


def report(measured: dict[str, float]) -> None:
    """Print the figures with their targets, which are those of a million names."""
    for what, figure in measured.items():
        target = TARGETS.get(what)
        goal = "" if target is None else f"  (target {target:g}{'' if figure <= target else ', MISSED'})"
        print(f"{what:<30} {figure:>14,.2f}{goal}")


def main(arguments: Sequence[str]) -> None:
    """Read the arguments, measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=Path)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    measured = figures(speed.sample(options.names, options.size, options.seed), seed=options.seed)
    report(measured)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
