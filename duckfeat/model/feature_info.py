"""What the compiler and the writers need to know of a registered feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from duckfeat.model.arguments import registry_of
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
    type: str | None = None


def is_feature_key(given: Any) -> bool:
    """Tell whether something can name one feature: a text (its name or uid) or a Feature object.

    >>> is_feature_key("dose"), is_feature_key(["dose"])
    (True, False)
    """
    return isinstance(given, str) or registry_of(given) == "Feature"
