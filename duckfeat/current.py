"""What acts on the default store: saving, viewing, and the settings that hold for it."""

from __future__ import annotations

from typing import Any

from duckfeat.errors import FieldError, hint
from duckfeat.model.attributes import Telling
from duckfeat.ontology import Organism, set_organism
from duckfeat.query.session import INSTANCES
from duckfeat.registries import Branch, Space
from duckfeat.registries.places import place_of
from duckfeat.registries.viewing import View


def save(records: Any, batch_size: int | None = None) -> list[Any]:
    """Save records of any registries to the default store, all or nothing, and return them.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> [label.name for label in dft.save([dft.ULabel(name="a"), dft.ULabel(name="b")])]
    ['a', 'b']
    """
    saved: list[Any] = INSTANCES.current().store.save(records, batch_size)
    return saved


def view(df: Any = None, *, limit: int = 7) -> View:
    """Show the newest rows of every registry of the default store, or a frame with the dtypes of its features.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> _ = dft.ULabel(name="a").save()
    >>> "ULabel" in repr(dft.view())
    True
    """
    shown: View = INSTANCES.current().store.view(df, limit=limit)
    return shown


class Settings(Telling):
    """The current branch and space of the default store, and the organism of new genes and proteins. All can be set.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> dft.settings.branch.name
    'main'
    """

    def __setattr__(self, name: str, value: object) -> None:
        settable = [known for known, kept in vars(type(self)).items() if isinstance(kept, property)]
        if name not in settable:
            raise FieldError(f"there is no setting {name!r}{hint(name, settable)}", name=name, available=settable)
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        if INSTANCES.default is None:
            return "<settings: no store is connected>"
        organism = f", organism={self.organism.name!r}" if self.organism else ""
        return f"<settings: branch={self.branch.name!r}, space={self.space.name!r}{organism}>"

    @property
    def branch(self) -> Branch:
        """The branch that new records go to; queries see it and main. Set it to a Branch or a name."""
        session = INSTANCES.current()
        found: Branch = session.registries["Branch"].get(session.branch_id)
        return found

    @branch.setter
    def branch(self, branch: str | Branch) -> None:
        session = INSTANCES.current()
        session.set_current("branch_id", place_of(session, "Branch", branch).id)

    @property
    def space(self) -> Space:
        """The space that new records live in. Set it to a Space or a name."""
        session = INSTANCES.current()
        found: Space = session.registries["Space"].get(session.space_id)
        return found

    @space.setter
    def space(self, space: str | Space) -> None:
        session = INSTANCES.current()
        session.set_current("space_id", place_of(session, "Space", space).id)

    @property
    def organism(self) -> Organism | None:
        """The organism of new genes and proteins, whose sources are preferred; None unless set.

        Set it to an Organism or to one of its names, such as "human" or "Mus musculus". A well-known organism is saved
        if the store does not have it yet.
        """
        session = INSTANCES.current()
        if session.organism_id is None:
            return None
        found: Organism = session.registries["Organism"].get(session.organism_id)
        return found

    @organism.setter
    def organism(self, organism: str | Organism | None) -> None:
        set_organism(INSTANCES.current(), organism)


settings = Settings()
