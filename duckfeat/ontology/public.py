"""A source looked at without saving anything: its terms as a frame, searched, looked up, validated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from duckfeat.errors import DoesNotExist, FieldError, InvalidArgument, MultipleResultsFound, hint
from duckfeat.model.arguments import flag, is_hashable, several, shown, whole
from duckfeat.model.fields import FieldRef, field_name
from duckfeat.query.checking import Inspection, Suggestions, listed_values, renamed
from duckfeat.query.lookup import Keep, Lookup

if TYPE_CHECKING:
    import pandas
    import polars

    from duckfeat.query.search_index import SearchIndex

Make = Callable[[Mapping[str, Any]], Any]


class Terms:
    """The terms of a source in memory, with what finds them quickly."""

    def __init__(self, frame: polars.DataFrame, label: str, identifier: str) -> None:
        self.frame = frame
        self.label = label
        self.identifier = identifier
        self._positions: dict[str, dict[Any, list[int]]] = {}
        self._indexes: dict[tuple[str, ...], SearchIndex] = {}

    def positions(self, field: str) -> dict[Any, list[int]]:
        """Return where each value of a field stands."""
        if field not in self._positions:
            found: dict[Any, list[int]] = {}
            for position, value in enumerate(self.frame[field].to_list()):
                if value is not None:
                    found.setdefault(value, []).append(position)
            self._positions[field] = found
        return self._positions[field]

    @cached_property
    def spellings(self) -> dict[str, int]:
        """Where the term of each case-folded name, synonym and id stands; names come before synonyms."""
        found: dict[str, int] = {}
        names, ids = self.frame[self.label].to_list(), self.frame[self.identifier].to_list()
        for values in (names, ids):
            for position, value in enumerate(values):
                if value is not None:
                    found.setdefault(value.casefold(), position)
        for position, text in enumerate(self.frame["synonyms"].to_list()):
            for synonym in (text or "").split("|"):
                if synonym.strip():
                    found.setdefault(synonym.strip().casefold(), position)
        return found

    def closure(self, ids: Iterable[str]) -> list[int]:
        """Return where terms and everything above them stand."""
        places, parents = self.positions(self.identifier), self.frame["parents"]
        seen: dict[str, int] = {}
        waiting = list(ids)
        while waiting:
            id_ = waiting.pop()
            if id_ in seen or id_ not in places:
                continue
            seen[id_] = places[id_][0]
            waiting += parents[seen[id_]].to_list()
        return list(seen.values())

    def search(
        self, string: str, fields: tuple[str, ...], limit: int | None, *, case_sensitive: bool
    ) -> tuple[list[int], list[float]]:
        """Return where the nearest terms stand, best first, and their scores."""
        from duckfeat.query.search_index import SearchIndex

        if fields not in self._indexes:
            columns = [self.frame[name].to_arrow() for name in fields]
            split = [at for at, name in enumerate(fields) if name == "synonyms"]
            self._indexes[fields] = SearchIndex.build(range(len(self.frame)), columns, split=split)
        hits = self._indexes[fields].search(string, limit=limit, case_sensitive=case_sensitive)
        return [hit.id for hit in hits], [hit.score for hit in hits]

    def nearest(self, value: Any) -> str | None:
        """Return the name of the term that a text most likely means, or None."""
        if value.strip().casefold() in self.spellings:
            return self._name(self.spellings[value.strip().casefold()])
        found, _ = self.search(value, (self.label, "synonyms"), 1, case_sensitive=False)
        return self._name(found[0]) if found else None

    def _name(self, position: int) -> str | None:
        """Return the name of a term, or its id where it has none."""
        name: str | None = self.frame[self.label][position] or self.frame[self.identifier][position]
        return name


class PublicOntology:
    """The terms of a source, none of them saved.

    `registry.public()` gives it. Frames have the fields of the registry and `parents`; what `get` and `lookup` give
    are records that `save()` saves.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> cell_types = dft.CellType.public()
    >>> cell_types.search("t lymphocyte")["name"][0]
    'T cell'
    >>> cell_types.get(name="T cell").ontology_id, dft.CellType.count()
    ('CL:0000084', 0)
    """

    def __init__(self, source: Any, terms: Terms, make: Make) -> None:
        self.source = source
        self._terms = terms
        self._make = make

    def __len__(self) -> int:
        return len(self._terms.frame)

    def __repr__(self) -> str:
        return f"<PublicOntology {self.source.entity} {self.source}: {len(self):,} terms>"

    def pl(self) -> polars.DataFrame:
        """Return the terms as a Polars DataFrame."""
        return self._terms.frame

    def df(self) -> pandas.DataFrame:
        """Return the terms as a pandas DataFrame."""
        return self._terms.frame.to_pandas()

    to_dataframe = df

    def search(
        self, string: str, *, field: Any = None, limit: int | None = 20, case_sensitive: bool = False
    ) -> polars.DataFrame:
        """Return the nearest terms as a Polars DataFrame, best first, with a `score` from 0 to 100."""
        import polars

        names = ("synonyms",) if "synonyms" in self._terms.frame.columns else ()
        listed = [self._terms.label, *names] if field is None else _fields(field)
        for name in listed:
            self._check(name)
        limit = None if limit is None else whole(limit, "limit")
        case_sensitive = flag(case_sensitive, "case_sensitive")
        found, scores = self._terms.search(string, tuple(listed), limit, case_sensitive=case_sensitive)
        return self._terms.frame[found].with_columns(polars.Series("score", scores, dtype=polars.Float64))

    def lookup(
        self,
        field: str | FieldRef | None = None,
        return_field: str | FieldRef | None = None,
        keep: Keep = "first",
    ) -> Lookup:
        """Return an object that completes the values of a field as attributes, and gives unsaved records.

        `return_field` gives that field instead; `keep` says which term stands for a value that several have.
        """
        name = self._named_field(field)
        returned = self._check(field_name(return_field)) if return_field is not None else None
        return Lookup(_Source(self, name, returned), label=f"{self.source.entity}.{name}", keep=keep)

    def get(self, **lookups: Any) -> Any:
        """Return the one term with these values of fields, as an unsaved record.

        Raises `DoesNotExist` with the nearest name, `MultipleResultsFound`.
        """
        found = self.find(**lookups)
        if len(found) > 1:
            raise MultipleResultsFound(
                f"{len(found)} terms of {self.source} have {_asked(lookups)}",
                registry=self.source.entity,
                count=len(found),
            )
        return self.record(found[0])

    def find(self, **lookups: Any) -> list[int]:
        """Return where the terms with these values stand; a synonym stands for the name of its term.

        Raises `DoesNotExist` with the nearest name.
        """
        if not lookups:
            raise InvalidArgument(f"say which term: a value of one of {', '.join(self._terms.frame.columns)}")
        places: set[int] | None = None
        for name, value in lookups.items():
            here = set(self.places(self._check(name), value))
            places = here if places is None else places & here
        if places:
            return sorted(places)
        near = next((self._terms.nearest(value) for value in lookups.values() if isinstance(value, str)), None)
        meant = f"; did you mean {near!r}?" if near else ""
        raise DoesNotExist(
            f"{self.source.entity}: no term of {self.source} has {_asked(lookups)}{meant}",
            registry=self.source.entity,
            asked=lookups,
            suggestions=[near] if near else [],
        )

    def places(self, field: str, value: Any) -> list[int]:
        """Return where the terms with a value of a field stand; for a name also by synonym and id, in any case."""
        field = self._check(field_name(field))
        places = self._terms.positions(field).get(value, []) if is_hashable(value) else []
        if places or field != self._terms.label or not isinstance(value, str):
            return places
        synonym = self._terms.spellings.get(value.strip().casefold())
        return [] if synonym is None else [synonym]

    def nearest(self, value: Any) -> str | None:
        """Return the name of the term that a text most likely means, or None."""
        return self._terms.nearest(value) if isinstance(value, str) else None

    def record(self, position: int) -> Any:
        """Return the term at a position as an unsaved record."""
        if whole(position, "position") >= len(self):
            raise InvalidArgument(f"there is no term at position {position}: {self!r}", value=position)
        return self._make(self._terms.frame.row(position, named=True))

    def validate(self, values: Any, field: str | FieldRef | None = None) -> Any:
        """Return a boolean array that tells which values are in a field of the source; for one text, a bool."""
        import numpy

        listed, single = listed_values(values)
        known = self._terms.positions(self._named_field(field))
        flags = [value in known for value in listed]
        return flags[0] if single else numpy.array(flags, dtype=bool)

    def inspect(self, values: Any, field: str | FieldRef | None = None) -> Inspection:
        """Return which values are in a field of the source, which are not, and what those may have meant."""
        name = self._named_field(field)
        listed = list(dict.fromkeys(listed_values(values)[0]))
        known = self._terms.positions(name)
        missing = [value for value in listed if value not in known]
        texts = [value for value in missing if isinstance(value, str)]
        suggested = Suggestions(texts, self._terms.nearest)
        return Inspection([value for value in listed if value in known], missing, suggested)

    def standardize(self, values: Any, *, return_mapper: bool = False) -> Any:
        """Return the values with synonyms (in any case) replaced by the name they stand for; for one text, a text.

        With `return_mapper=True` it is a dict of those that are synonyms, with their names.
        """
        mapped = flag(return_mapper, "return_mapper")
        listed, single = listed_values(values)
        known, spellings = self._terms.positions(self._terms.label), self._terms.spellings
        names = self._terms.frame[self._terms.label]
        result = []
        for value in listed:
            place = spellings.get(value.strip().casefold()) if isinstance(value, str) and value not in known else None
            result.append(value if place is None else names[place] or value)
        if mapped:
            return renamed(listed, result)
        return result[0] if single else result

    def _named_field(self, field: str | FieldRef | None) -> str:
        """Return the name of a field of the terms; of none, that of the field which names a term."""
        return self._check(self._terms.label if field is None else field_name(field))

    def _check(self, name: str) -> str:
        available = [column for column in self._terms.frame.columns if column != "parents"]
        if name not in available:
            raise FieldError(
                f"{self.source.entity} has no field {name!r}{hint(name, available)}", name=name, available=available
            )
        return name


def _fields(field: Any) -> list[str]:
    return [field_name(one) for one in ([field] if isinstance(field, str | FieldRef) else several(field, "fields"))]


def _asked(lookups: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={shown(value)}" for name, value in lookups.items())


class _Source:
    """The values of a field of a source, and the records or values at their places."""

    def __init__(self, public: PublicOntology, field: str, return_field: str | None) -> None:
        self._public = public
        self._field = field
        self._return_field = return_field

    def keys(self) -> list[str | None]:
        return [None if value is None else str(value) for value in self._public.pl()[self._field].to_list()]

    def load(self, positions: Sequence[int], /) -> list[object]:
        if self._return_field is None:
            return [self._public.record(position) for position in positions]
        values: list[object] = self._public.pl()[self._return_field].to_list()
        return [values[position] for position in positions]
