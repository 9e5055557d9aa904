"""Synonyms: further names of a record, kept as one text in which `|` parts them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from duckfeat.errors import InvalidArgument
from duckfeat.model.arguments import several, shown
from duckfeat.registries.undo import putting_back


class Synonymous:
    """A record with synonyms."""

    synonyms: Any

    def add_synonym(self, synonym: str | Iterable[str]) -> None:
        """Add one or several other names and save the record; those that are there already are passed over.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> cell = dft.ULabel(name="neutrophil").save()
        >>> cell.add_synonym(["PMN", "polymorph"])
        >>> cell.remove_synonym("PMN")
        >>> cell.synonyms
        'polymorph'
        """
        known = self._listed_synonyms()
        self._set_synonyms(known, list(dict.fromkeys([*known, *_given(synonym)])))

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


def _given(synonym: str | Iterable[str]) -> list[str]:
    """Return one or several synonyms as a list."""
    listed = [synonym] if isinstance(synonym, str) else several(synonym, "synonyms")
    for one in listed:
        if type(one) is not str or not one.strip() or "|" in one:
            raise InvalidArgument(f"a synonym is a text without '|', not {shown(one)}", value=one)
    return listed
