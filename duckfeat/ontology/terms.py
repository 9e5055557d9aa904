"""What registries of terms have in common: they are filled from sources, and know what is above and below."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from duckfeat.errors import DoesNotExist, InvalidArgument, MissingFile
from duckfeat.model.arguments import first_of, flag, registry_of, shown, text
from duckfeat.model.fields import FieldRef, ForeignKey, Many
from duckfeat.ontology.choosing import choose
from duckfeat.ontology.organisms import known_organism
from duckfeat.ontology.public import PublicOntology, Terms
from duckfeat.ontology.reading import content_fields, folded, no_terms, read
from duckfeat.ontology.source import ALL, Source
from duckfeat.query.checking import Inspection, Suggestions, listed_values, renamed
from duckfeat.query.session import Session
from duckfeat.registries import naming
from duckfeat.registries.base import TracksUpdates
from duckfeat.registries.hierarchy import Hierarchical
from duckfeat.registries.synonyms import Synonymous
from duckfeat.registries.values import Records

if TYPE_CHECKING:
    from duckfeat.ontology.importing import Imported

_log = logging.getLogger("duckfeat")
_LABELLED = ("Artifact", "Run", "Record")


@dataclass(frozen=True, slots=True)
class TermInspection(Inspection):
    """Which values are saved terms and which are not; `in_source` are those of the latter that a source knows."""

    in_source: list[Any] = field(default_factory=list)

    def __repr__(self) -> str:
        text = Inspection.__repr__(self)
        if self.in_source:
            text += f"\n  {len(self.in_source)} of them are in the source: from_values() brings them"
        return text


class Sourced(Synonymous, TracksUpdates):
    """A record that may come from a source. It has an id there; saving one whose id exists gives the existing one."""

    __found_by__ = ("ontology_id",)
    __identifiers__: ClassVar[tuple[str, ...]] = ("ontology_id",)
    """The fields that hold the id of a term, the first being the one that hierarchies and sources go by."""

    source: Any
    artifacts: Any
    runs: Any
    records: Any
    synonyms: Any

    def __init_subclass__(cls, rows: str = "", **kwargs: Any) -> None:
        if rows:
            cls._relate(rows)
        super().__init_subclass__(rows=rows, **kwargs)

    @classmethod
    def _relate(cls, rows: str) -> None:
        """Declare the relations that every registry of terms has."""
        _declare(cls, "source", ForeignKey("Source", "The source it comes from.", related="{rows}", null=True))
        for target in _LABELLED:
            plural = f"{target.lower()}s"
            doc = f"The {plural} that are labelled with it."
            _declare(cls, plural, Many(target, f"{plural}.{rows}", doc, forward=False))

    # --- saving ----------------------------------------------------------------------------------

    @classmethod
    def _prepare(cls, session: Session, records: Sequence[Self]) -> None:
        if "organism" not in cls.__table__.fields or session.organism_id is None:
            return
        for record in records:
            if record.__dict__.get("organism_id") is None:
                record.__dict__["organism_id"] = session.organism_id

    @classmethod
    def _twin_key(cls, record: Self) -> Any:
        values = record.__dict__
        for name in cls.__identifiers__:
            if values.get(name) is not None:
                return (name, values[name])
        label = values.get(cls.__table__.label)
        return None if label is None else (label, values.get("organism_id"))

    @classmethod
    def _existing(cls, session: Session, records: Sequence[Self]) -> dict[int, Self]:
        found: dict[int, Self] = {}
        for name in (*cls.__identifiers__, cls.__table__.label):
            waiting = {
                at: record.__dict__[name]
                for at, record in enumerate(records)
                if at not in found and record.__dict__.get(name) is not None
            }
            if not waiting:
                continue
            saved = naming.outside_trash(session, cls.__registry__).filter(**{f"{name}__in": list(waiting.values())})
            candidates: dict[Any, list[Self]] = {}
            for one in saved.order_by("id"):
                candidates.setdefault(one.__dict__[name], []).append(one)
            for at, value in waiting.items():
                same = [one for one in candidates.get(value, ()) if records[at]._is(one, name)]
                if same:
                    found[at] = records[at]._identify(same[0])
        return found

    def _has_id(self) -> bool:
        return any(self.__dict__.get(name) is not None for name in self.__identifiers__)

    def _is(self, saved: Self, name: str) -> bool:
        """Tell whether a saved record of the same id, or of the same name, is this new one.

        By name it is where one of the two has no id, and the organism is the same.
        """
        if name in self.__identifiers__:
            return True
        organisms = {record.__dict__.get("organism_id") for record in (self, saved)}
        return (not self._has_id() or not saved._has_id()) and len(organisms - {None}) < 2

    def _identify(self, saved: Self) -> Self:
        """Return the saved record that this is; one saved by hand, without an id, gets what this one knows."""
        if saved._has_id() or not self._has_id():
            return saved
        fields = [*content_fields(self.__table__), "source", "organism"]
        columns = {name: self.__table__.fields[name].column for name in fields if name in self.__table__.fields}
        known = {name: self.__dict__.get(column) for name, column in columns.items() if name != "synonyms"}
        session = self._bound
        session.writer.update(
            self.__registry__, [saved.id], {name: value for name, value in known.items() if value is not None}
        )
        return saved.refresh_from_db()

    @classmethod
    def _saved(cls, session: Session, records: Sequence[Self]) -> None:
        """Save what is above records from a source, and the hierarchy between them."""
        from duckfeat.ontology.importing import Import

        waiting: dict[int, tuple[Terms, list[Self]]] = {}
        for record in records:
            terms = record.__dict__.pop("_lineage", None)
            if terms is not None:
                waiting.setdefault(id(terms), (terms, []))[1].append(record)
        for terms, group in waiting.values():
            ids = [record.__dict__[terms.identifier] for record in group]
            frame = terms.frame[sorted(terms.closure(ids))]
            Import(session, cls.__registry__, cls.__identifiers__, None).run(
                [frame], group[0].__dict__["source_id"], update=False
            )

    # --- sources ---------------------------------------------------------------------------------

    @classmethod
    def _chosen(cls, source: Any, version: str | None, organism: Any) -> tuple[Session, Source, str | None]:
        session = cls._current()
        if not (source is None or isinstance(source, str) or registry_of(source) == "Source"):
            raise InvalidArgument(f"a source is a name or a Source, not {shown(source)}", source=source)
        version = None if version is None else text(version, "a version")
        name = organism_name(session, organism)
        chosen = choose(session, cls.__registry__, source, version, name)
        if name is None and "organism" in cls.__table__.fields:
            name = session.registries["Organism"]._current_name()
        return session, chosen, name if chosen.organism == ALL else chosen.organism

    @classmethod
    def _terms(cls, session: Session, source: Source, organism: str | None) -> Terms:
        """Return the terms of a source; those of a file that did not change are read once."""
        import polars

        path = Path(source.url)
        stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None
        key = (cls.__registry__, source.url, source.options, organism, stamp)
        if key not in session.sources:
            frames = read(source, cls.__table__, cls.__identifiers__, session.engine, organism)
            frame = folded(polars.concat([no_terms(cls.__table__), *frames]), cls.__identifiers__[0])
            session.sources[key] = Terms(frame, cls.__table__.label, cls.__identifiers__[0])
        found: Terms = session.sources[key]
        return found

    @classmethod
    def public(cls, source: Any = None, version: str | None = None, organism: Any = None) -> PublicOntology:
        """Return the terms of a source, none of them saved.

        `source` is a name or a Source; by default the preferred one. Raises `DoesNotExist` if there is no such source,
        `MissingExtra` if a library is needed to read it.
        """
        return cls._opened(source, version, organism, parents=True)

    @classmethod
    def _opened(cls, source: Any, version: str | None, organism: Any, *, parents: bool) -> PublicOntology:
        session, chosen, name = cls._chosen(source, version, organism)
        terms = cls._terms(session, chosen, name)
        bound = session.registries[cls.__registry__]
        fixed: dict[str, Any] = {"source": chosen}
        if "organism" in cls.__table__.fields:
            fixed["organism"] = organism_record(session, name)

        def make(row: Mapping[str, Any]) -> Any:
            content = {key: value for key, value in row.items() if key != "parents" and value is not None}
            record = bound(**content, **fixed)
            if parents and row["parents"]:
                record.__dict__["_lineage"] = terms
            return record

        return PublicOntology(chosen, terms, make)

    @classmethod
    def from_source(
        cls,
        *,
        source: Any = None,
        version: str | None = None,
        organism: Any = None,
        parents: bool = True,
        **lookup: Any,
    ) -> Any:
        """Return the term of a source that has these values of fields, as an unsaved record; a list if several have.

        The term is also found by a synonym instead of its name. Saving the record also saves all terms above it, unless
        `parents=False`. Terms that are saved already are not saved again.

        Raises `DoesNotExist` for an unknown term, with the nearest name, and for an unknown source; `FieldError` for an
        unknown field.
        """
        found = cls._opened(source, version, organism, parents=flag(parents, "parents"))
        records = [found.record(position) for position in found.find(**lookup)]
        return records[0] if len(records) == 1 else records

    @classmethod
    def import_source(cls, source: Any = None, version: str | None = None, organism: Any = None) -> Imported:
        """Save every term of a source with its synonyms and the hierarchy, all or nothing, and return the numbers.

        Terms that are saved already are updated; they are found by id, and those made by hand by name. Synonyms and
        relations that were added by hand are kept. Importing the same source again changes nothing.

        Raises `DoesNotExist` if there is no such source, `MissingExtra` if a library is needed to read it.
        """
        from duckfeat.ontology.importing import Import

        session, chosen, name = cls._chosen(source, version, organism)
        with session.engine.transaction():
            chosen.in_db = True
            chosen.save()
            organism_id = None
            if "organism" in cls.__table__.fields and (owner := organism_record(session, name)) is not None:
                organism_id = owner.save().id if owner.id is None else owner.id
            frames = read(chosen, cls.__table__, cls.__identifiers__, session.engine, name)
            run = Import(session, cls.__registry__, cls.__identifiers__, organism_id)
            return run.run(frames, chosen.id, update=True)

    # --- values ----------------------------------------------------------------------------------

    @classmethod
    def from_values(
        cls,
        values: Iterable[Any],
        field: str | FieldRef | None = None,
        create: bool = False,
        *,
        source: Any = None,
        version: str | None = None,
        organism: Any = None,
        parents: bool = True,
        **fixed: Any,
    ) -> Records[Self]:
        """Return the terms that the distinct values of a field mean: saved terms, or unsaved ones from the source.

        Instead of a name, a value can also be a synonym or an id. A value that neither the registry nor the source
        has is left out, and the log says what it may have meant. `create=True` saves all terms, and also makes new
        terms of unknown values, with `fixed` as further fields. The result is a list whose `save()` saves them.

        Raises `FieldError` for an unknown field.
        """
        cls._check_fixed(fixed)
        name = cls._named_field(field)
        cls.__table__.field(name)
        create, parents = flag(create, "create"), flag(parents, "parents")
        listed = naming.distinct(values, cls.__table__.field(name))
        session = cls._current()
        by_value: dict[Any, Any] = cls._named(listed, name, organism)
        missing = [value for value in listed if value not in by_value]
        if missing:
            by_value |= cls._from_ids(missing, name) | cls._from_synonyms(missing, name, organism)
            missing = [value for value in missing if value not in by_value]
        public = cls._source_of(source, version, organism, parents=parents, required=not create) if missing else None
        by_value |= cls._from_public(public, missing, name) if public is not None else {}
        unknown = [value for value in missing if value not in by_value]
        if unknown:
            cls._report(unknown, public)
        if create:
            bound = session.registries[cls.__registry__]
            if organism is not None and "organism" in cls.__table__.fields:
                fixed.setdefault("organism", organism_record(session, organism))
            by_value |= {value: bound(**{name: value, **fixed}) for value in unknown}
        meant = [by_value[value] for value in listed if value in by_value]
        found = Records({record.id or id(record): record for record in meant}.values())
        if create:
            session.writer.save([record for record in found if record.id is None])
        return found

    @classmethod
    def _named(cls, values: Sequence[Any], name: str, organism: Any) -> dict[Any, Self]:
        """Return the saved terms that have values of a field: those of an organism only, if it was asked for.

        Of several terms with a value it is the one of the current organism, then the oldest.
        """
        session = cls._current()
        found = naming.outside_trash(session, cls.__registry__).filter(**{f"{name}__in": values}).order_by("-id")
        if "organism" not in cls.__table__.fields:
            return {record.__dict__[name]: record for record in found}
        asked = organism_record(session, organism)
        preferred = session.organism_id if asked is None else asked.id
        fitting = [record for record in found if asked is None or record.organism_id in (None, preferred)]
        fitting.sort(key=lambda record: record.organism_id == preferred)
        return {record.__dict__[name]: record for record in fitting}

    @classmethod
    def _from_ids(cls, values: Sequence[Any], name: str) -> dict[Any, Any]:
        """Return the saved terms that values are ids of, where names were asked for."""
        found: dict[Any, Any] = {}
        for identifier in cls.__identifiers__ if name == cls.__table__.label else ():
            found |= cls._named(values, identifier, None)
        return found

    @classmethod
    def _from_synonyms(cls, values: Sequence[Any], name: str, organism: Any) -> dict[Any, Any]:
        """Return the saved terms that values are synonyms of."""
        if name != cls.__table__.label or not cls._queryset().exists():
            return {}
        names = dict(zip(values, cls._queryset().standardize(values, name), strict=True))
        meant = {value: standard for value, standard in names.items() if standard != value}
        found = cls._named(list(meant.values()), name, organism)
        return {value: found[standard] for value, standard in meant.items() if standard in found}

    @classmethod
    def _from_public(cls, public: PublicOntology, values: Sequence[Any], name: str) -> dict[Any, Any]:
        made: dict[int, Any] = {}
        found: dict[Any, Any] = {}
        for value in values:
            places = public.places(name, value)
            if places:
                found[value] = made.setdefault(places[0], public.record(places[0]))
        saved = cls._of_ids(made.values())
        return {value: saved.get(id(record), record) for value, record in found.items()}

    @classmethod
    def _of_ids(cls, records: Iterable[Any]) -> dict[int, Self]:
        """Return the saved terms with the ids of new ones: a source may know names of a saved term that it does not."""
        found: dict[int, Self] = {}
        for identifier in cls.__identifiers__:
            ids = {id(record): record.__dict__[identifier] for record in records}
            known = [value for value in ids.values() if value is not None]
            saved = cls._named(known, identifier, None) if known else {}
            found |= {key: saved[value] for key, value in ids.items() if value in saved}
        return found

    @classmethod
    def _report(cls, unknown: Sequence[Any], public: PublicOntology | None) -> None:
        """Log which values are not known, and what they may have meant."""
        find = cls._queryset().inspect(unknown).suggestions.get if public is None else public.nearest
        shown = []
        for value in unknown[:10]:
            near = find(value)
            shown.append(f"{value!r} (did you mean {near!r}?)" if near else repr(value))
        where = f"known in {public.source}" if public is not None else "saved, and there is no source to look in"
        told = first_of(shown, len(unknown))
        _log.warning("%s: %d values are not %s: %s", cls.__registry__, len(unknown), where, told)

    @classmethod
    def _source_of(
        cls,
        source: Any = None,
        version: str | None = None,
        organism: Any = None,
        *,
        parents: bool = True,
        required: bool = True,
    ) -> PublicOntology | None:
        """Return the source that is asked for; None where none was and there is none.

        One of an organism is `required` unless terms are made without.

        None, too, where its file is gone and all of its terms are saved, or where it was not asked for by name.
        """
        try:
            return cls._opened(source, version, organism, parents=parents)
        except MissingFile as error:
            if not cls._chosen(source, version, organism)[1].in_db:
                if source is not None:
                    raise
                _log.warning("%s: %s; its terms are passed over", cls.__registry__, error)
            return None
        except (DoesNotExist, InvalidArgument, ImportError):
            if source is not None or version is not None or (organism is not None and required):
                raise
            return None

    @classmethod
    def inspect(cls, values: Any, field: str | FieldRef | None = None) -> TermInspection:
        """Return which values are saved terms and which are not; of the latter, which the source has.

        `suggestions` maps a value that is not a saved term to the name of which it is a synonym, or to the most similar
        name, in the registry or the source.
        """
        name = cls._named_field(field)
        found = cls._queryset().inspect(values, name)
        public = cls._source_of() if found.non_validated else None
        if public is None:
            return TermInspection(found.validated, found.non_validated, found.suggestions)
        texts = [value for value in found.non_validated if isinstance(value, str)]
        there = [value for value in texts if public.places(name, value)]

        def meant(value: Any) -> str | None:
            if value in offered:  # it means what the source has, be it under this name
                near = public.nearest(value)
                return None if near == value else near
            near = public.nearest(value) if isinstance(value, str) and value not in found.suggestions else None
            return near if near is not None and near != value else found.suggestions.get(value)

        offered = set(there)
        return TermInspection(found.validated, found.non_validated, Suggestions(found.non_validated, meant), there)

    @classmethod
    def standardize(cls, values: Any, field: str | FieldRef | None = None, *, return_mapper: bool = False) -> Any:
        """Return the values with synonyms, in any case, replaced by the names they stand for; for one text, a text.

        Saved terms are looked at first, then the source. With `return_mapper=True` the result is a dict of the values
        that are synonyms, with their names.
        """
        name, mapped = cls._named_field(field), flag(return_mapper, "return_mapper")
        listed, single = listed_values(values)
        result = cls._queryset().standardize(listed, name)
        public = None
        if name == cls.__table__.label and not all(cls.validate(result, name)):
            public = cls._source_of()
        result = result if public is None else public.standardize(result)
        if mapped:
            return renamed(listed, result)
        return result[0] if single else result


class Term(Sourced, Hierarchical):
    """A term with others above and below it."""

    parents: Any
    children: Any

    @classmethod
    def _relate(cls, rows: str) -> None:
        _declare(cls, "parents", Many(cls.__name__, f"{rows}.parents", "The terms right above."))
        _declare(cls, "children", Many(cls.__name__, f"{rows}.parents", "The terms right below.", forward=False))
        super()._relate(rows)


def _declare(cls: type[Any], name: str, declared: Any) -> None:
    declared.__set_name__(cls, name)
    setattr(cls, name, declared)


# --- organisms -----------------------------------------------------------------------------------


def organism_name(session: Session, organism: Any) -> str | None:
    """Return the name of an organism that is given as a record or by any of its names, or None for none.

    Raises `DoesNotExist` for one that is neither saved nor well known.
    """
    if organism is None or (isinstance(organism, str) and organism == ALL):
        return None
    record = organism_record(session, organism)
    return None if record is None else str(record.name)


def organism_record(session: Session, organism: Any) -> Any:
    """Return the organism of a name: the saved one, or an unsaved one that is well known; None for None."""
    registry = session.registries["Organism"]
    if organism is None:
        return None
    if registry_of(organism) == "Organism":
        session.check_mine(organism)
        return organism
    if not isinstance(organism, str):
        raise InvalidArgument(f"an organism is a name or an Organism record, not {shown(organism)}", value=organism)
    known = known_organism(organism)
    asked = {"ontology_id": known.ontology_id} if known else {"name": organism}
    saved = registry.filter(**asked).first() or registry.filter(scientific_name=organism).first()
    if saved is not None:
        return saved
    return registry.from_source(name=known.name if known else organism, source="common", parents=False)
