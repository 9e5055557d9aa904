"""Stores as earlier schemas left them, to be migrated by tests: `schema3.duckdb.gz` and so on.

Before a migration is added, `python -m tests.data.previous` writes the store of the schema that it will migrate; a
file stays as long as duckfeat migrates stores of that age.
"""

from __future__ import annotations

import gzip
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckfeat as dft
from duckfeat.engine.resources import migrations

FOLDER = Path(__file__).parent
SCHEMAS = sorted(int(file.name[6:].split(".")[0]) for file in FOLDER.glob("schema*.duckdb.gz"))
NAMES = [f"sample {n}" for n in range(5)]
_DTYPES = {"dose": float, "site": str, "count": int, "at": "datetime[UTC]", "info": dict, "offset": float}
_VALUES = {"dose": 2.5, "site": "A", "count": 3, "at": datetime(2020, 1, 1, tzinfo=UTC), "info": {"b": [1, None]}}


def file_of(schema: int) -> Path:
    """Return the file of the store that a schema left."""
    return FOLDER / f"schema{schema}.duckdb.gz"


def values_in(schema: int) -> dict[str, Any]:
    """Return the values that each of the `NAMES` has in it."""
    return _VALUES if schema == 3 else {**_VALUES, "offset": -0.0}


def make(path: Path) -> None:
    """Write the store with today's schema."""
    with dft.connect(path, default=False) as store:
        store.save([store.Feature(name=name, dtype=dtype) for name, dtype in _DTYPES.items()])
        with store.track("previous.py"):
            label = store.ULabel(name="blood").save()
            values = values_in(migrations()[-1].version)
            for record in store.save([store.Record(name=name, features=values) for name in NAMES]):
                record.ulabels.add(label)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "features.duckdb"
        make(made)
        file_of(migrations()[-1].version).write_bytes(gzip.compress(made.read_bytes(), 9, mtime=0))
