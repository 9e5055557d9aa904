"""Branches and spaces: where records are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duckfeat.errors import DoesNotExist, IntegrityError, hint
from duckfeat.model.arguments import named, registry_of, shown
from duckfeat.model.fields import Field
from duckfeat.model.tables import OWN_PLACES
from duckfeat.query.session import Session
from duckfeat.registries.base import TracksUpdates
from duckfeat.registries.merging import merge


class Place(TracksUpdates):
    """A branch or a space. Those that every store has keep their names, by which they are asked for."""

    @classmethod
    def _check_changes(cls, _session: Session, changes: Mapping[int, Mapping[str, Any]]) -> None:
        for id_, name in OWN_PLACES[cls.__registry__].items():
            if changes.get(id_, {}).get("name", name) != name:
                told = f"{cls.__registry__} {name!r} is part of every store and keeps its name"
                raise IntegrityError(told, registry=cls.__registry__, name=name)


class Branch(Place, rows="branches", uid_length=12):
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

    def merge(self) -> dict[str, int]:
        """Move every record of the branch to main, all or nothing, and return how many there were, by registry.

        The branch stays, empty. Raises `IntegrityError` for main, archive and trash, and for a name that another
        record has.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> draft = dft.Branch(name="draft").save()
        >>> _ = dft.ULabel(name="new", branch=draft).save()
        >>> draft.merge()
        {'ULabel': 1}
        """
        self._require_saved("merge")
        return merge(self._bound, self)


class Space(Place, rows="spaces", uid_length=12):
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


def place_of(session: Session, registry: str, place: Any) -> Any:
    """Return the branch or space of a name, or the given one."""
    if registry_of(place) == registry:
        session.check_mine(place)
        return place
    found = session.registries[registry].get_or_none(name=place)
    if found is None:
        names = session.registries[registry].all().to_list("name")
        told = f"no {registry.lower()} {shown(place)}{hint(named(place), names)}"
        raise DoesNotExist(told, name=place, available=names)
    return found
