"""Where floor and duckfeat work on the same measurements."""

from __future__ import annotations

from pathlib import Path

from floor import Floor, measurements

import duckfeat as dft

TABLES = ("records", "features", "typed_values", "record_annotations", "record_removals")


class Place:
    """A folder with measurements in a Parquet file, and what floor and duckfeat last made of them."""

    def __init__(self, folder: Path, entities: int) -> None:
        self._folder = folder
        self._source = folder / "measurements.parquet"
        measurements(entities).write_parquet(self._source)
        self._floor: Floor | None = None
        self._store: dft.Store | None = None

    @property
    def file(self) -> Path:
        """The file of the store."""
        return self._folder / "store.duckdb"

    @property
    def floor(self) -> Floor:
        """The floor, begun and loaded if it was not."""
        if self._floor is None:
            self.new_floor()
            self.load_floor()
        return self._floor

    @property
    def store(self) -> dft.Store:
        """The store, begun and its records annotated if it was not."""
        if self._store is None:
            self.new_store()
            self.annotate()
        return self._store

    def new_floor(self) -> None:
        """Begin an empty floor in a new file, with nothing else open."""
        self.close()
        self._floor = Floor(self._source, self._new("floor.duckdb"))

    def load_floor(self) -> None:
        """Load the measurements into the floor that was begun."""
        self.floor.load()

    def new_store(self) -> None:
        """Begin an empty store in a new file."""
        if self._store:
            self._store.close()
        self._store = dft.connect(self._new(self.file.name), default=False)

    def annotate(self) -> None:
        """Annotate records with the measurements, features registered and records made."""
        self.store.annotate(self._source, key="uid", create="all", progress=False)

    def rows(self) -> dict[str, int]:
        """Return how many rows the tables of the store have."""
        return {name: self.store.sql(f"SELECT count(*) AS n FROM {name}")["n"].item() for name in TABLES}

    def size(self) -> int:
        """Return the bytes of the store's file after a checkpoint."""
        self.store._session.engine.checkpoint()
        return self.file.stat().st_size

    def close(self) -> None:
        """Let go of both files."""
        for held in (self._floor, self._store):
            if held:
                held.close()
        self._floor = self._store = None

    def _new(self, name: str) -> Path:
        for old in self._folder.glob(f"{name}*"):
            old.unlink()
        return self._folder / name
