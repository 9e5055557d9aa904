"""Measure filters over features and relations against hand-written SQL on the same rows.

    python benchmarks/query_speed.py [records] [--dir DIR]      # default 1,000,000 records x 10 features

Annotates made-up records in a store, and loads the same rows into plain tables with dense ids: that is the floor.
Every question is asked of both in turn; medians are printed with the difference. Questions over features may cost
5 ms more than the floor, those over three relations 1.3 times as much; ends with status 1 if one costs more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

import duckfeat as dft
from duckfeat.store import Store

REPEATS = 31
EXTRA_MS = 5.0
EXTRA_TIMES = 1.3
COLUMNS = {
    "temperature": "num",
    "n_cells": "num",
    "is_control": "bool",
    "protocol": "str",
    "note": "str",
    "x1": "num",
    "x2": "num",
    "tissue": "str",
    "dose": "num",
    "batch": "num",
}
SQL_TYPES = {"num": "DOUBLE", "str": "VARCHAR", "bool": "BOOLEAN"}
HAND_RELATIONS = """
    SELECT count(*) FROM records AS r JOIN users AS u ON u.id = r.created_by_id
    WHERE u.handle = ? AND r.branch_id = 1
    AND r.id IN (SELECT l.from_id FROM links AS l JOIN ulabels AS u ON u.id = l.to_id
        WHERE l.relation = 'records.ulabels' AND u.name = 'label 7')
    AND r.id IN (SELECT l.to_id FROM links AS l JOIN artifacts AS a ON a.id = l.from_id
        WHERE l.relation = 'artifacts.records' AND starts_with(a.key, 'run1/'))
"""


def measurements(records: int) -> pl.DataFrame:
    """Return a wide frame: `uid` and ten features, with about 3.1 distinct values per record."""
    rng = np.random.default_rng(0)
    pick = rng.integers
    return pl.DataFrame(
        {
            "uid": [f"e{i:015d}" for i in range(records)],
            "temperature": np.round(rng.normal(20, 5, records), 3),
            "n_cells": pick(0, 100_000, records),
            "is_control": pick(0, 2, records) == 1,
            "protocol": np.array([f"protocol {i}" for i in range(50)])[pick(0, 50, records)],
            "note": [f"note {i}" for i in range(records)],
            "x1": rng.random(records),
            "x2": rng.random(records),
            "tissue": np.array([f"tissue {i}" for i in range(500)])[pick(0, 500, records)],
            "dose": pick(0, 10, records) * 0.5,
            "batch": pick(0, 200, records),
        }
    )


def load_floor(file: Path, parquet: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection to plain tables that hold the frame: entities, typed values, links."""
    con = duckdb.connect(str(file))
    con.execute("SET preserve_insertion_order = false")
    source = f"read_parquet('{parquet}')"
    con.execute("CREATE TABLE entity (id BIGINT, uid VARCHAR)")
    con.execute("CREATE TABLE value (id BIGINT, feature_id INTEGER, num DOUBLE, str VARCHAR, bool BOOLEAN)")
    con.execute("CREATE TABLE link (feature_id INTEGER, entity_id BIGINT, value_id BIGINT)")
    con.execute(f"INSERT INTO entity SELECT row_number() OVER (), uid FROM {source}")
    base = 0
    for feature, (name, kind) in enumerate(COLUMNS.items()):
        value = f"{name}::{SQL_TYPES[kind]}"
        con.execute(
            f"INSERT INTO value (id, feature_id, {kind}) SELECT {base} + row_number() OVER (), {feature}, v "
            f"FROM (SELECT DISTINCT {value} AS v FROM {source})"
        )
        con.execute(
            f"INSERT INTO link SELECT {feature}, e.id, v.id FROM {source} AS s JOIN entity AS e USING (uid) "
            f"JOIN value AS v ON v.feature_id = {feature} AND v.{kind} = s.{value}"
        )
        base = con.execute("SELECT max(id) FROM value").fetchall()[0][0]
    con.execute("CHECKPOINT")
    return con


def load_store(file: Path, frame: pl.DataFrame) -> Store:
    """Return a store whose records are annotated with the frame and related to labels and artifacts."""
    store = dft.connect(file)
    store.annotate(frame, key="uid", create="all")
    store.save([store.ULabel(name=f"label {number}") for number in range(200)])
    store.save([store.Artifact(f"s3://b/run{n % 20}/{n}", key=f"run{n % 20}/{n}") for n in range(1_000)])
    engine = store._session.engine
    with engine.transaction():
        engine.write("INSERT INTO links SELECT 'records.ulabels', id, 1 + id % 200, 1 FROM records")
        engine.write("INSERT INTO links SELECT 'artifacts.records', 1 + id % 997, id, 1 FROM records")
    engine.checkpoint()
    return store


def holding(name: str, condition: str) -> str:
    """Return the hand-written subquery of the entities whose value of a feature fulfils a condition."""
    number = list(COLUMNS).index(name)
    return (
        f"SELECT entity_id FROM link WHERE feature_id = {number} AND value_id IN "
        f"(SELECT id FROM value WHERE feature_id = {number} AND {condition})"
    )


def one(name: str, condition: str) -> str:
    """Return the hand-written count over one feature."""
    return holding(name, condition).replace("SELECT entity_id", "SELECT count(DISTINCT entity_id)", 1)


def both(first: tuple[str, str], second: tuple[str, str]) -> str:
    """Return the hand-written count over two features."""
    return f"{one(*first)} AND entity_id IN ({holding(*second)})"


def either(first: tuple[str, str], second: tuple[str, str]) -> str:
    """Return the hand-written count of what has one feature or the other."""
    return f"SELECT count(DISTINCT entity_id) FROM ({holding(*first)} UNION ALL {holding(*second)})"


Question = tuple[str, str, Callable[[], Any]]


def questions(store: Store) -> Iterator[Question]:
    """Yield what is asked: a name, the SQL by hand, and the QuerySet."""
    found = store.Record.filter
    hot, many = ("temperature", "num > 30"), ("n_cells", "num >= 50000")
    feature = {name: store.Feature.get(name=name) for name in COLUMNS}
    yield "temperature > 30", one(*hot), lambda: found(feature["temperature"] > 30)
    yield "temperature__gt=10", one("temperature", "num > 10"), lambda: found(temperature__gt=10)
    yield "n_cells >= 50000", one(*many), lambda: found(n_cells__gte=50_000)
    yield "is_control", one("is_control", "bool"), lambda: found(is_control=True)
    yield "protocol = ...", one("protocol", "str = 'protocol 7'"), lambda: found(protocol="protocol 7")
    tissue = "str IN ('tissue 1', 'tissue 2', 'tissue 3')"
    yield (
        "tissue in 3",
        one("tissue", tissue),
        lambda: found(tissue__in=["tissue 1", "tissue 2", "tissue 3"]),
    )
    yield "note = ...", one("note", "str = 'note 77'"), lambda: found(note="note 77")
    yield "note contains", one("note", "contains(str, '777')"), lambda: found(note__contains="777")
    yield "x1 < 0.001", one("x1", "num < 0.001"), lambda: found(x1__lt=0.001)
    yield "temperature and n_cells", both(hot, many), lambda: found(temperature__gt=30, n_cells__gte=50_000)
    yield (
        "n_cells and is_control",
        both(many, ("is_control", "bool")),
        lambda: found(n_cells__gte=50_000, is_control=True),
    )
    yield (
        "x1 and x2",
        both(("x1", "num < 0.5"), ("x2", "num < 0.5")),
        lambda: found(x1__lt=0.5, x2__lt=0.5),
    )
    yield (
        "temperature or dose",
        either(hot, ("dose", "num > 4")),
        lambda: found((feature["temperature"] > 30) | (feature["dose"] > 4)),
    )


def in_turn(hand: Callable[[], int], ours: Callable[[], int], name: str) -> tuple[float, float]:
    """Return the medians in milliseconds of two ways to one answer, asked in turn."""
    if hand() != ours():
        raise SystemExit(f"{name}: by hand {hand()}, ours {ours()}")
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for times, ask in zip(taken, (hand, ours), strict=True):
            start = time.perf_counter()
            ask()
            times.append((time.perf_counter() - start) * 1_000)
    return statistics.median(taken[0]), statistics.median(taken[1])


def run(records: int, folder: Path) -> bool:
    """Load both, ask every question of both, print the medians; tell whether all stay within the target."""
    parquet = folder / "measurements.parquet"
    if not parquet.exists():
        folder.mkdir(parents=True, exist_ok=True)
        measurements(records).write_parquet(parquet)
        load_floor(folder / "floor.duckdb", parquet).close()
        load_store(folder / "store.duckdb", pl.read_parquet(parquet)).close()
    floor = duckdb.connect(str(folder / "floor.duckdb"))
    store = dft.connect(folder / "store.duckdb")
    within = True
    print(f"duckdb {duckdb.__version__}, {records:,} records; milliseconds by hand, ours")
    for name, sql, ask in questions(store):
        hand, ours = in_turn(lambda sql=sql: floor.execute(sql).fetchall()[0][0], lambda ask=ask: ask().count(), name)
        good = ours - hand <= EXTRA_MS
        within &= good
        print(f"{name:28} {hand:8.2f} {ours:8.2f}  +{ours - hand:.2f} ms{'' if good else '  OVER'}")
    own = store._session.engine.connection()
    handle = store.user.handle if store.user else ""
    hand, ours = in_turn(
        lambda: own.execute(HAND_RELATIONS, [handle]).fetchall()[0][0],
        lambda: store.Record.filter(
            created_by__handle=handle, ulabels__name="label 7", artifacts__key__startswith="run1/"
        ).count(),
        "three relations",
    )
    good = ours <= hand * EXTRA_TIMES
    print(f"{'three relations':28} {hand:8.2f} {ours:8.2f}  x{ours / hand:.2f}{'' if good else '  OVER'}")
    store.close()
    return within and good


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--dir", type=Path, default=None, help="keep the data here, and use what is there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(0 if run(given.records, given.dir or Path(scratch)) else 1)


if __name__ == "__main__":
    main()
