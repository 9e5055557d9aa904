"""Make `schema3.duckdb.gz`: a store as a duckfeat that knew the first three migrations left it.

A released migration never changes, and so this file never has to. Until 0.1.0 is out, run this again when one of the
three has changed: `python -m tests.data.make_previous`.
"""

from __future__ import annotations

import gzip
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import duckfeat as dft
from duckfeat.engine import embedded, migrations, resources

SCHEMA = 3
FILE = Path(__file__).with_name(f"schema{SCHEMA}.duckdb.gz")
VALUES = {"dose": 2.5, "site": "A", "count": 3, "at": datetime(2020, 1, 1, tzinfo=UTC), "info": {"b": [1, None]}}
NAMES = [f"sample {n}" for n in range(5)]


def make(path: Path) -> None:
    """Write the store with as many migrations as there were."""
    known = resources.migrations()[:SCHEMA]
    with (
        mock.patch.object(migrations, "migrations", return_value=known),
        mock.patch.object(embedded, "migrations", return_value=known),
        dft.connect(path, default=False) as store,
    ):
        dtypes = {"dose": float, "site": str, "count": int, "at": "datetime[UTC]", "info": dict}
        store.save([store.Feature(name=name, dtype=dtype) for name, dtype in dtypes.items()])
        with store.track("previous.py"):
            label = store.ULabel(name="blood").save()
            for record in store.save([store.Record(name=name, features=VALUES) for name in NAMES]):
                record.ulabels.add(label)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "features.duckdb"
        make(made)
        FILE.write_bytes(gzip.compress(made.read_bytes(), 9, mtime=0))
