"""Transforms and runs: which program wrote what, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from duckfeat.model.fields import Field, ForeignKey, Many, Reverse
from duckfeat.registries.base import TracksUpdates, utc_now
from duckfeat.registries.describing import short
from duckfeat.registries.features import FeatureManager


class Transform(TracksUpdates, rows="transforms", label="key", uid_length=16):
    """A program, script or notebook that runs.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> dft.Transform(key="ingest.py").save().key
    'ingest.py'
    """

    __found_by__ = ("key",)

    key: Field[str] = Field("str", "The name, such as the script's path; unique.", unique=True, search=True)
    description: Field[str | None] = Field("str", "What it does.", null=True, search=True)
    kind: Field[str | None] = Field("str", "What it is: script, notebook, pipeline, function.", null=True)
    version: Field[str | None] = Field("str", "Its version.", null=True)
    is_latest: Field[bool] = Field("bool", "Whether no later version is known.", default=True)

    runs = Reverse("Run", "transform_id", "The runs of this transform.")

    def __init__(self, key: str | None = None, **values: Any) -> None:
        super().__init__(**values if key is None else {"key": key, **values})


class Run(TracksUpdates, rows="runs", label="name", uid_length=16):
    """One run of a transform. What is saved while it is tracked belongs to it. It can have feature values.

    `status` is `started`, `finished` or `failed`.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> with store.track("ingest.py") as run:
    ...     label = dft.ULabel(name="new").save()
    >>> label.run == run, run.status
    (True, 'finished')
    """

    name: Field[str | None] = Field("str", "A name.", null=True, search=True)
    transform: ForeignKey[Transform | None] = ForeignKey(
        "Transform", "The program that ran.", related="runs", null=True
    )
    status: Field[str] = Field("str", "started, finished or failed.", default="started")
    started_at: Field[datetime] = Field("instant", "When it began, UTC.", default=utc_now)
    finished_at: Field[datetime | None] = Field("instant", "When it ended, UTC.", null=True)
    error: Field[str | None] = Field("str", "What a failed run ended with.", null=True)
    reference: Field[str | None] = Field("str", "A reference, such as the URL of a log.", null=True, search=True)

    feature_values = Many("FeatureValue", "annotations", "The values this run is annotated with.")
    ulabels = Many("ULabel", "runs.ulabels", "Labels of this run, its own and those through features.")
    records = Many("Record", "runs.records", "Records of this run, its own and those through features.")
    artifacts = Many("Artifact", "artifacts.runs", "Artifacts related to this run.", forward=False)

    def __init__(self, transform: Transform | None = None, *, features: Any = None, **values: Any) -> None:
        super().__init__(**values if transform is None else {"transform": transform, **values})
        self.__dict__["_features_given"] = features

    def _called(self) -> str:
        if self.name is not None:
            return super()._called()
        program = f"{self.transform.key}, " if self.transform else ""
        return f"{program}{short(self.started_at)} ({self.uid})"

    @property
    def features(self) -> FeatureManager:
        """The feature values of this run."""
        return FeatureManager(self)
