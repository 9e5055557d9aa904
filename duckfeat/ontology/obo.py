"""Sources that are OBO or OWL files, read through pronto."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckfeat.errors import InvalidArgument, MissingExtra, missing_extra
from duckfeat.ontology.packaged import joined

if TYPE_CHECKING:
    import polars as pl
    from pronto.ontology import Ontology

SUFFIXES = (".obo", ".owl", ".json", ".ofn")
_PASSED_ON = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, MissingExtra)


def read_obo(path: Path, prefix: Sequence[str] | None) -> Iterator[pl.DataFrame]:
    """Yield the terms of an OBO, OWL or OBO graph file that are in use, with the terms that they are directly below.

    Of an ontology that brings terms of others only its own are given, unless prefixes say otherwise; what was
    above a term through such others is then directly above it. Raises `MissingExtra` where pronto is not installed,
    `InvalidArgument` for a file that it cannot read.
    """
    import polars

    terms = _loaded(path)
    wanted = tuple(f"{one.rstrip(':_')}{sign}" for one in prefix or _own_prefix(terms) for sign in ":_")
    kept = {id_: term for id_, term in terms.items() if id_.startswith(wanted)} if wanted else dict(terms)
    columns: dict[str, list[Any]] = {"ontology_id": list(kept)}
    columns["name"] = [term["name"] for term in kept.values()]
    columns["synonyms"] = [joined(term["synonyms"]) for term in kept.values()]
    columns["description"] = [term["description"] for term in kept.values()]
    columns["parents"] = [_above(id_, terms, kept) for id_ in kept]
    yield polars.DataFrame(columns, schema_overrides={"parents": polars.List(polars.String)})


def _loaded(path: Path) -> dict[str, dict[str, Any]]:
    with warnings.catch_warnings():
        # It warns of every construct that it passes over, which is of no use to whoever imports terms.
        warnings.simplefilter("ignore")
        try:
            ontology = _opened(path)
        except _PASSED_ON:
            raise
        except BaseException as error:  # pronto lets its parsers' errors through, and one of them panics
            raise InvalidArgument(f"{path.name} cannot be read as an ontology: {error}", path=str(path)) from error
        return {
            term.id: {
                "name": term.name,
                "synonyms": sorted(synonym.description for synonym in term.synonyms),
                "description": str(term.definition) if term.definition else None,
                "parents": sorted(ontology._terms.lineage[term.id].sup - {term.id}),
                "ontology": ontology.metadata.ontology,
            }
            for term in ontology.terms()
            if not term.obsolete and term.name
        }


def _opened(path: Path) -> Ontology:
    """Return the ontology of a file, be there parents that it does not have."""
    try:
        from pronto.ontology import Ontology
    except ImportError:
        raise missing_extra("pronto", "ontologies") from None

    class Lenient(Ontology):
        def __init__(self, path: str) -> None:
            try:
                super().__init__(path)
            except KeyError as error:
                # When everything is read, pronto notes below each parent what it is above, and ends at a missing one.
                lineage = self._terms.lineage
                if error.args[0] not in {above for one in lineage.values() for above in one.sup - lineage.keys()}:
                    raise

    return Lenient(str(path))


def _own_prefix(terms: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the prefix of the ontology's own terms, if it says its name and has such."""
    names = {str(term["ontology"]).casefold() for term in terms.values() if term["ontology"]}
    prefixes = {id_.split(":", 1)[0] for id_ in terms if ":" in id_}
    return tuple(prefix for prefix in prefixes if prefix.casefold() in names)


def _above(id_: str, terms: Mapping[str, Mapping[str, Any]], kept: Mapping[str, Any]) -> list[str]:
    """Return the kept terms that are above a term with no kept one between, and the missing ones there."""
    found: dict[str, None] = {}
    seen = {id_}
    waiting = list(terms[id_]["parents"])
    while waiting:
        above = waiting.pop(0)
        if above in seen:
            continue
        seen.add(above)
        if above in kept or above not in terms:
            found[above] = None
        else:
            waiting += terms[above]["parents"]
    return list(found)
