"""Every registry under its name."""

from __future__ import annotations

from duckfeat.registries import (
    Artifact,
    Branch,
    Feature,
    FeatureValue,
    Record,
    Run,
    Space,
    Transform,
    ULabel,
    User,
)

__all__ = [
    "Artifact",
    "Branch",
    "Feature",
    "FeatureValue",
    "Record",
    "Run",
    "Space",
    "Transform",
    "ULabel",
    "User",
]
