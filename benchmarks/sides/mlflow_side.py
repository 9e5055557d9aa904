"""MLflow's tracking on SQLite at the work that it shares with duckfeat, through its public client.

A sample is a run; its numbers are metrics and its texts are parameters. Values are no records there, parameters cannot
be set again, and there is no way to make many runs at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
from mlflow.entities import Metric, Param
from sides import work

if TYPE_CHECKING:
    import pandas as pd

MOST = 50_000
"""Runs that one search gives at most."""


class MLflow:
    """A tracking database in a folder."""

    replaces = False
    get_or_create = add_names = get = None

    def __init__(self, folder: Path) -> None:
        os.chdir(folder)
        self._file = folder / "mlflow.db"
        mlflow.set_tracking_uri(f"sqlite:///{self._file}")
        self._client = mlflow.MlflowClient()
        self._experiment = self._client.create_experiment("samples")

    def store_many(self, samples: list[tuple[str, work.Values]]) -> Callable[[], object]:
        """Make a run for each sample and log its values as a batch."""

        def store() -> None:
            for name, values in samples:
                self.set_values(self._client.create_run(self._experiment, run_name=name).info.run_id, values)

        return store

    def bytes(self) -> int:
        """Return the bytes of the database."""
        return sum(file.stat().st_size for file in self._file.parent.glob("mlflow.db*"))

    def count_warm(self) -> int:
        """Count runs, which come as objects."""
        found = self._client.search_runs([self._experiment], f"metrics.temperature > {work.WARM}", max_results=MOST)
        return len(found)

    def frame(self) -> pd.DataFrame:
        """Return all runs."""
        return mlflow.search_runs([self._experiment], max_results=MOST)

    def search(self, text: str) -> list[str]:
        """Search runs whose name contains the text."""
        condition = f"attributes.run_name ILIKE '%{text}%'"
        return [run.info.run_name for run in self._client.search_runs([self._experiment], condition, max_results=20)]

    def new_sample(self) -> str:
        """Create a run and return its id."""
        return self._client.create_run(self._experiment).info.run_id

    def set_values(self, sample: str, values: work.Values) -> None:
        """Log the values of a run as one batch."""
        metrics = [Metric(name, value, 0, 0) for name, value in values.items() if not isinstance(value, str)]
        params = [Param(name, value) for name, value in values.items() if isinstance(value, str)]
        self._client.log_batch(sample, metrics=metrics, params=params)

    def save_run(self) -> None:
        """Create a run."""
        self._client.create_run(self._experiment)


make = MLflow
