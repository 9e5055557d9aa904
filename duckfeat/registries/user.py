"""Users: who wrote what."""

from __future__ import annotations

from typing import Any

from duckfeat.model.fields import Field
from duckfeat.registries.base import TracksUpdates


class User(TracksUpdates, rows="users", label="handle", uid_length=8):
    """A person or program that writes to the store.

    `connect` registers whoever is logged in to the machine, under their login name.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> dft.User(handle="ada", name="Ada").save().handle
    'ada'
    """

    __found_by__ = ("handle",)

    handle: Field[str] = Field("str", "The short name, unique.", unique=True, search=True)
    name: Field[str | None] = Field("str", "The full name.", null=True, search=True)

    def __init__(self, handle: str | None = None, **values: Any) -> None:
        super().__init__(**values if handle is None else {"handle": handle, **values})
