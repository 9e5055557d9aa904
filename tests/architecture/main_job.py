"""The main job for someone who has installed the package and nothing else; prints its answers as JSON."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

import duckfeat as dft

# A naive time, an aware one, nulls, a number written as text, quotes, and letters of another alphabet.
FLIGHTS = pl.DataFrame(
    {
        "name": ["UA1545", "UA1714", "AA1141", "B6725"],
        "origin": ["EWR", "LGA", "JFK", "JFK"],
        "dep_delay": [2.0, None, 121.5, -1.0],
        "seats": [149, 149, 178, None],
        "tailnum": ["14228", "N24211", None, "N804'JB Ω"],
        "left_at": [datetime(2013, 1, 1, 5, minute) for minute in (17, 33, 42, 44)],
        "seen_at": [datetime(2013, 1, 1, 10, minute, tzinfo=UTC) for minute in (17, 33, 42, 44)],
        "diverted": [False, False, True, None],
    }
)


def annotate(store: dft.Store) -> dict[str, object]:
    """Annotate a record per flight, twice; return what the reports and the provenance say."""
    with store.track("ingest.py") as run:
        first = store.annotate(FLIGHTS, registry="Record", key="name", create="all")
        second = store.annotate(FLIGHTS, registry="Record", key="name", create="all")
    delay = dft.Feature.get(name="dep_delay")
    value, created = dft.FeatureValue.get_or_create(delay, 121.5)
    return {
        "rows": first.rows,
        "links": first.links,
        "links_again": second.links,
        "found": not created,
        "same_run": value.run == run,
    }


def ask() -> dict[str, object]:
    """Return what is found by value, by predicate and by a misspelt name, and the frame of everything."""
    delay = dft.Feature.get(name="dep_delay")
    late = dft.Record.filter(delay > 120, origin="JFK")
    wide = dft.Record.filter().pl(features=FLIGHTS.columns[1:]).select(FLIGHTS.columns).sort("name")
    return {
        "late": late.to_list("name"),
        "n_late": late.count(),
        "equal": wide.equals(FLIGHTS.sort("name")),
        "typo": dft.Feature.search("tialnum")[0].name,
    }


def error_without_pandas() -> str:
    """Return what is said when a pandas frame is asked for and pandas is not there."""
    try:
        dft.Record.df()
    except dft.errors.DuckfeatError as error:
        return str(error)
    return ""


def main() -> None:
    """Run the job in a store of its own and print what came of it."""
    with tempfile.TemporaryDirectory() as folder, dft.connect(Path(folder) / "features.duckdb") as store:
        answers = {
            "package": str(Path(dft.__file__).resolve().parent),
            "has_pandas": importlib.util.find_spec("pandas") is not None,
            **annotate(store),
            **ask(),
            "error": error_without_pandas(),
            "clean": store.check().ok,
        }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
