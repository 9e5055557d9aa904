"""Branches and spaces: where records are."""

from __future__ import annotations

from typing import Any

from duckfeat.model.fields import Field
from duckfeat.registries.base import TracksUpdates


class Branch(TracksUpdates, rows="branches", uid_length=12):
    """A line of work on which records are seen apart from others: main, archive and trash exist in every store.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> draft = dft.Branch(name="draft").save()
    >>> store.switch("draft").name
    'draft'
    """

    __found_by__ = ("name",)

    name: Field[str] = Field("str", "The name, unique.", unique=True, search=True)
    description: Field[str | None] = Field("str", "What the branch is for.", null=True, search=True)

    def __init__(self, name: str | None = None, **values: Any) -> None:
        super().__init__(**values if name is None else {"name": name, **values})


class Space(TracksUpdates, rows="spaces", uid_length=12):
    """A place in which records live, such as that of a project; every record has one, `all` unless told.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> dft.Space(name="trial 7").save().name
    'trial 7'
    """

    __found_by__ = ("name",)

    name: Field[str] = Field("str", "The name, unique.", unique=True, search=True)
    description: Field[str | None] = Field("str", "What the space is for.", null=True, search=True)

    def __init__(self, name: str | None = None, **values: Any) -> None:
        super().__init__(**values if name is None else {"name": name, **values})
