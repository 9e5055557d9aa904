"""What `from_values` gives: the records that values mean, as a list that saves them."""

from __future__ import annotations

from typing import Any, Self, TypeVar

from duckfeat.model.fields import FieldRef, field_name

R = TypeVar("R")


class Records(list[R]):
    """Records of one registry, in the order of the values that they were asked for by.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> labels = dft.ULabel.from_values(["lung", "liver"]).save()
    >>> labels.to_list("name"), dft.ULabel.count()
    (['lung', 'liver'], 2)
    """

    __slots__ = ()

    def save(self) -> Self:
        """Save the records, all or nothing, and return them."""
        if self:
            first: Any = self[0]
            first._bound.writer.save(self)
        return self

    def to_list(self, field: str | FieldRef | None = None) -> list[Any]:
        """Return the records as a plain list, or one field of each."""
        return list(self) if field is None else [getattr(record, field_name(field)) for record in self]
