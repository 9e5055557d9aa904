"""What the compiler and the writers need to know of a registered feature."""

from __future__ import annotations

from dataclasses import dataclass

from duckfeat.model.dtypes import Dtype


@dataclass(frozen=True, slots=True)
class FeatureInfo:
    """A registered feature as plain data; `type` is the name of the group it is in."""

    id: int
    uid: str
    name: str
    dtype: Dtype
    multiple: bool = False
    coerce: bool = False
    type_id: int | None = None
    type: str | None = None
