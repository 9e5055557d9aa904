"""LaminDB on SQLite at the work that it shares with duckfeat, through its public classes, without an account.

Samples stored at once are records of a type whose schema has the five features, from a data frame: LaminDB's quickest
way. Samples stored one by one have no type, which is quicker there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from sides import work


class LaminDB:
    """An instance of the anonymous user in a folder, its settings beside it."""

    replaces = True

    def __init__(self, folder: Path) -> None:
        os.environ["LAMIN_SETTINGS_DIR"] = str(folder)
        os.chdir(folder)
        import lamindb_setup

        lamindb_setup.init(storage=str(folder / "storage"), name="peer")
        import lamindb

        self._lamindb = lamindb
        lamindb.settings.verbosity = "error"
        self._folder = folder / "storage" / ".lamindb"
        features = [lamindb.Feature(name=name, dtype=dtype).save() for name, dtype in work.FEATURES.items()]
        schema = lamindb.Schema(features, name="samples").save()
        self._type = lamindb.Record(name="Sample", is_type=True, schema=schema).save()
        self._transform = lamindb.Transform(key="bench", kind="pipeline").save()
        self._temperature = features[0]

    def store_many(self, samples: list[tuple[str, work.Values]]) -> Callable[[], object]:
        """Save the records of a data frame."""
        frame = pd.DataFrame([{"name": name, **values} for name, values in samples])
        return lambda: self._lamindb.Record.from_dataframe(frame, type=self._type).save()

    def bytes(self) -> int:
        """Return the bytes of the database."""
        return sum(file.stat().st_size for file in self._folder.glob("lamin.db*"))

    def count_warm(self) -> int:
        """Count records."""
        return self._lamindb.Record.filter(self._temperature > work.WARM).count()

    def frame(self) -> pd.DataFrame:
        """Return all records of the type."""
        return self._lamindb.Record.filter(type=self._type).to_dataframe(include="features", limit=None)

    def search(self, text: str) -> list[str]:
        """Search records."""
        return self._lamindb.Record.search(text, limit=20).to_list("name")

    def new_sample(self) -> Any:
        """Save a record without a type."""
        return self._lamindb.Record().save()

    def set_values(self, sample: Any, values: work.Values) -> None:
        """Set values of a record."""
        sample.features.set_values(values)

    def get_or_create(self, number: float) -> object:
        """Get or create a JsonValue."""
        return self._lamindb.models.JsonValue.get_or_create(self._temperature, number)

    def save_run(self) -> None:
        """Save a Run, which needs a transform there."""
        self._lamindb.Run(self._transform).save()

    def add_names(self, names: list[str]) -> None:
        """Save records of nothing but a name, in bulk and without a search for each name."""
        self._lamindb.settings.creation.search_names = False
        self._lamindb.Record.objects.bulk_create([self._lamindb.Record(name=name) for name in names])

    def get(self, name: str) -> object:
        """Get a record."""
        return self._lamindb.Record.get(name=name)


make = LaminDB
