"""Synonyms: further names of a record, kept as one text in which `|` parts them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from typing import Any

from duckfeat.errors import IntegrityError, InvalidArgument
from duckfeat.model.arguments import flag, several, shown
from duckfeat.model.q import Q
from duckfeat.registries.undo import putting_back


class Synonymous:
    """A record with synonyms."""

    synonyms: Any

    def add_synonym(self, synonym: str | Iterable[str], force: bool = False) -> None:
        """Add one or several other names and save the record; those that are there already are passed over.

        Args:
            synonym: The name or names.
            force: Whether to add what another record of the registry, of the same organism if it has one, is called,
                in whichever case: `standardize` gives the name itself then, or else the record that was made first.

        Raises:
            IntegrityError: For what another record is called, unless it is forced.
            InvalidArgument: For what is no text, or has a `|` in it.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> cell = dft.ULabel(name="neutrophil").save()
        >>> cell.add_synonym(["PMN", "polymorph"])
        >>> cell.remove_synonym("PMN")
        >>> cell.synonyms
        'polymorph'
        >>> dft.ULabel(name="granulocyte").save().add_synonym("Polymorph")
        Traceback (most recent call last):
            ...
        duckfeat.errors.IntegrityError: 'Polymorph' is a synonym of ULabel 'neutrophil': force=True adds it all the same
        """
        known, forced = self._listed_synonyms(), flag(force, "force")
        added = [one for one in dict.fromkeys(_given(synonym)) if one not in known]
        if not added:
            return
        record: Any = self
        with record._bound.engine.transaction():
            if not forced:
                self._check_free(added)
            self._set_synonyms(known, known + added)

    def _check_free(self, synonyms: list[str]) -> None:
        """Raise `IntegrityError` if another record is called so."""
        record: Any = self
        registry, label = record.__registry__, record.__table__.label
        names = {one.strip().casefold(): one for one in synonyms}
        called = [Q(**{f"{label}__iexact": one}) | Q(synonyms__icontains=one) for one in names]
        others = record._bound.registries[registry].filter(functools.reduce(operator.or_, called)).exclude(id=record.id)
        if "organism" in record.__table__.fields:
            others = others.filter(organism_id=record.organism_id)
        for name, joined in others.order_by("id").values_list(label, "synonyms"):
            own = (name or "").casefold()
            taken = next((one for one in names if one in {own, *_folded(joined)}), None)
            if taken is not None:
                raise IntegrityError(
                    f"{names[taken]!r} is {'the name' if taken == own else 'a synonym'} of {registry} {name!r}: "
                    "force=True adds it all the same",
                    registry=registry,
                    name=name,
                )

    def remove_synonym(self, synonym: str | Iterable[str]) -> None:
        """Take away one or several other names and save the record; those that it does not have are passed over."""
        known, gone = self._listed_synonyms(), _given(synonym)
        self._set_synonyms(known, [one for one in known if one not in gone])

    def _listed_synonyms(self) -> list[str]:
        return [one for one in (self.synonyms or "").split("|") if one]

    def _set_synonyms(self, known: list[str], synonyms: list[str]) -> None:
        if synonyms == known:
            return
        record: Any = self
        engine = record._bound.engine
        with engine.transaction():
            engine.on_rollback(putting_back(record))
            record.synonyms = "|".join(synonyms) or None
            record.save()


def _folded(joined: str | None) -> set[str]:
    return {one.strip().casefold() for one in (joined or "").split("|")}


def _given(synonym: str | Iterable[str]) -> list[str]:
    """Return one or several synonyms as a list."""
    listed = [synonym] if isinstance(synonym, str) else several(synonym, "synonyms")
    for one in listed:
        if type(one) is not str or not one.strip() or "|" in one:
            raise InvalidArgument(f"a synonym is a text without '|', not {shown(one)}", value=one)
    return listed
