"""duckfeat at the work that it shares with its peers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from sides import work

import duckfeat as dft


class Duckfeat:
    """A store in a file."""

    replaces = True

    def __init__(self, folder: Path) -> None:
        self._file = folder / "features.duckdb"
        self._store = dft.connect(self._file, default=False)
        features = [self._store.Feature(name=name, dtype=dtype).save() for name, dtype in work.FEATURES.items()]
        self._temperature = features[0]

    def store_many(self, samples: list[tuple[str, work.Values]]) -> Callable[[], object]:
        """Annotate records."""
        frame = pl.DataFrame([{"name": name, **values} for name, values in samples])
        return lambda: self._store.annotate(frame, key="name", create=True, progress=False)

    def bytes(self) -> int:
        """Return the bytes of the file."""
        self._store._session.engine.checkpoint()
        return self._file.stat().st_size

    def count_warm(self) -> int:
        """Count records."""
        return self._store.Record.filter(self._temperature > work.WARM).count()

    def frame(self) -> Any:
        """Return all records."""
        return self._store.Record.all().df(features=True)

    def search(self, text: str) -> list[str]:
        """Search records."""
        return self._store.Record.search(text, limit=20).to_list("name")

    def new_sample(self) -> dft.Record:
        """Save a record."""
        return self._store.Record().save()

    def set_values(self, sample: dft.Record, values: work.Values) -> None:
        """Set values of a record."""
        sample.features.set_values(values)

    def get_or_create(self, number: float) -> object:
        """Get or create a FeatureValue."""
        return self._store.FeatureValue.get_or_create(self._temperature, number)

    def save_run(self) -> None:
        """Save a Run."""
        self._store.Run().save()

    def add_names(self, names: list[str]) -> None:
        """Annotate records with nothing."""
        self._store.annotate(pl.DataFrame({"name": names}), key="name", create=True, progress=False)

    def get(self, name: str) -> dft.Record:
        """Get a record."""
        return self._store.Record.get(name=name)


make = Duckfeat
