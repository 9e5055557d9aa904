"""The order of a question: what to sort by, which way, and where missing values go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """One key of an order: a field, a related field or a feature; missing values last unless told otherwise."""

    key: Any
    descending: bool = False
    nulls_first: bool = False

    @classmethod
    def of(cls, key: Any) -> Order:
        """Return the order that a name, a name with a minus, a class attribute or a feature means.

        >>> Order.of("-size")
        Order(key='size', descending=True, nulls_first=False)
        """
        if isinstance(key, Order):
            return key
        if isinstance(key, str):
            return cls(key.removeprefix("-").removeprefix("+"), descending=key.startswith("-"))
        return cls(key)

    @property
    def reversed(self) -> Order:
        """The same key the other way round, missing values at the other end."""
        return Order(self.key, descending=not self.descending, nulls_first=not self.nulls_first)
