"""What the compiler hands to an engine: SQL text with its parameters apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class BigList:
    """A list too long to be written out: the engine offers it as a table of one column `item`."""

    items: tuple[Any, ...]
    sql_type: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement: its text, its parameters by name, and the lists it reads as tables by name.

    `looked` tells that the store was just asked what others have written, so that what is known of it is true.
    """

    sql: str
    params: Mapping[str, Any]
    lists: Mapping[str, BigList] = field(default_factory=dict)
    looked: bool = False
