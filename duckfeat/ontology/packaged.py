"""The sources that are there without being added: releases of `cellxgene-ontology-guide`, and well-known organisms.

The package keeps a file per ontology and release, of every term with its ancestors and their distances.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from duckfeat.errors import MissingFile, missing_extra
from duckfeat.ontology.organisms import KNOWN, known_organism

if TYPE_CHECKING:
    import polars as pl

PACKAGE = "package:"
BUILTIN = "builtin:organisms"
_LIBRARY = "cellxgene_ontology_guide"
_BATCH = 50_000


@dataclass(frozen=True, slots=True)
class Release:
    """Which ontology of the package is a source for which registry: its name here, in the package, its organism."""

    entity: str
    name: str
    ontology: str
    organism: str = "all"


# The first of a registry is its default.
RELEASES = (
    Release("CellType", "cl", "CL"),
    Release("Tissue", "uberon", "UBERON"),
    Release("Tissue", "fbbt", "FBbt", "fruit fly"),
    Release("Tissue", "wbbt", "WBbt", "roundworm"),
    Release("Tissue", "zfa", "ZFA", "zebrafish"),
    Release("Disease", "mondo", "MONDO"),
    Release("CellLine", "cellosaurus", "CVCL"),
    Release("Phenotype", "pato", "PATO"),
    Release("DevelopmentalStage", "hsapdv", "HsapDv", "human"),
    Release("DevelopmentalStage", "mmusdv", "MmusDv", "mouse"),
    Release("DevelopmentalStage", "fbdv", "FBdv", "fruit fly"),
    Release("DevelopmentalStage", "wbls", "WBls", "roundworm"),
    Release("ExperimentalFactor", "efo", "EFO"),
    Release("Ethnicity", "hancestro", "HANCESTRO", "human"),
    Release("Organism", "ncbitaxon", "NCBITaxon"),
    Release("Protein", "uniprot", "UniProt"),
)


def folder() -> Path | None:
    """Return the folder of the package's files, or None where the package is not installed."""
    found = find_spec(_LIBRARY)
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) / "data" if places else None


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return what sorts versions: runs of digits as numbers.

    >>> sorted(["2025-10-01", "2025-9-01", "3.9"], key=version_key)
    ['3.9', '2025-9-01', '2025-10-01']
    """
    return tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|[^\W\d]+", version)
    )


def plain_version(version: str) -> str:
    """Return a version without the `v` that may stand before it.

    >>> plain_version("v2025-01-01"), plain_version("vWS298"), plain_version("55.0")
    ('2025-01-01', 'WS298', '55.0')
    """
    return version.removeprefix("v")


def _versions(release: Release) -> list[tuple[str, str]]:
    """Return the versions of an ontology and their files, the newest first."""
    place = folder()
    files = place.glob(f"{release.ontology}-ontology-*.json.zst") if place else ()
    found = [(plain_version(file.name.split("-ontology-")[1].removesuffix(".json.zst")), file.name) for file in files]
    return sorted(found, key=lambda pair: version_key(pair[0]), reverse=True)


def _packaged(entity: str) -> list[dict[str, Any]]:
    """Return the fields of the sources that the package brings for a registry, the default first."""
    listed = [
        {
            "entity": entity,
            "name": release.name,
            "version": version,
            "organism": release.organism,
            "url": f"{PACKAGE}{_LIBRARY}/{file}",
        }
        for release in RELEASES
        if release.entity == entity
        for version, file in _versions(release)
    ]
    if entity == "Organism":
        listed.insert(0, {"entity": entity, "name": "common", "version": "1", "url": BUILTIN})
    return listed


_WITHOUT = ("Gene", "Pathway")
PACKAGED: Mapping[str, Callable[[], list[dict[str, Any]]]] = MappingProxyType(
    {name: partial(_packaged, name) for name in (*_WITHOUT, *(release.entity for release in RELEASES))}
)
"""For each registry a function that returns the fields of the sources it has without any being added."""


# --- reading -------------------------------------------------------------------------------------


def read_builtin() -> Iterator[pl.DataFrame]:
    """Yield the well-known organisms."""
    import polars

    yield polars.DataFrame(
        {
            "name": [known.name for known in KNOWN],
            "scientific_name": [known.scientific_name for known in KNOWN],
            "ontology_id": [known.ontology_id for known in KNOWN],
            "synonyms": [known.scientific_name if known.scientific_name != known.name else None for known in KNOWN],
        }
    )


def read_packaged(url: str, entity: str, organism: str | None) -> Iterator[pl.DataFrame]:
    """Yield the terms of a file of the package, in batches: those in use, without obsolete ones.

    Proteins are those of an organism where one is given and known. Raises `MissingExtra` where the package is not
    installed, `MissingFile` where it brings that release no more.
    """
    path = _file(url)
    if entity == "Organism":
        yield from _batches(_taxa(path))
    elif entity == "Protein":
        yield from _batches(_proteins(path, organism))
    else:
        yield from _batches(_terms(path))


def _file(url: str) -> Path:
    place = folder()
    if place is None:
        raise missing_extra("cellxgene-ontology-guide", "ontologies")
    path = place / url.rsplit("/", 1)[-1]
    if not path.exists():
        raise MissingFile(f"the installed cellxgene-ontology-guide does not bring {path.name}", path=str(path))
    return path


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[pl.DataFrame]:
    import polars

    schema: dict[str, Any] = {
        "ontology_id": polars.String,
        "uniprotkb_id": polars.String,
        "name": polars.String,
        "scientific_name": polars.String,
        "synonyms": polars.String,
        "description": polars.String,
        "parents": polars.List(polars.String),
    }
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield polars.DataFrame(batch, schema=schema)
            batch = []
    yield polars.DataFrame(batch, schema=schema)


def _load(path: Path) -> dict[str, Any]:
    import pyarrow

    with pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd") as stream:
        loaded: dict[str, Any] = json.loads(stream.read())
    return loaded


def _terms(path: Path) -> Iterator[dict[str, Any]]:
    terms = {id_: term for id_, term in _load(path).items() if not term.get("deprecated") and term.get("label")}
    for id_, term in terms.items():
        yield {
            "ontology_id": id_,
            "name": term["label"],
            "synonyms": joined(term.get("synonyms")),
            "description": term.get("description"),
            "parents": nearest_ancestors(id_, terms),
        }


def nearest_ancestors(id_: str, terms: Mapping[str, Any]) -> list[str]:
    """Return the parents of a term: its ancestors that are no ancestors of another of them.

    The nearest come first. Where the terms between were left out of the file, the next ones above stand in, so that
    the closure of parents is exactly the ancestors of the file.

    >>> terms = {"a": {"ancestors": {"b": 1, "c": 2, "d": 4}}, "b": {"ancestors": {"c": 1}}, "c": {}, "d": {}}
    >>> nearest_ancestors("a", terms)
    ['b', 'd']
    """
    found: list[str] = []
    covered = {id_}
    ancestors = terms[id_].get("ancestors") or {}
    for ancestor, distance in sorted(ancestors.items(), key=lambda item: item[1]):
        if ancestor in terms and (distance == 1 or ancestor not in covered):
            found.append(ancestor)
            covered.add(ancestor)
            covered.update(terms[ancestor].get("ancestors") or ())
    return found


def joined(synonyms: list[str] | None) -> str | None:
    """Return synonyms as one text; a bar inside one becomes a slash, since a bar stands between them.

    >>> joined(["a", "b|c", "a"])
    'a|b/c'
    """
    return "|".join(dict.fromkeys(one.replace("|", "/") for one in synonyms or () if one)) or None


def _proteins(path: Path, organism: str | None) -> Iterator[dict[str, Any]]:
    known = known_organism(organism) if organism else None
    ending = f"_{known.code}" if known else ""
    for id_, term in _load(path).items():
        if not term.get("deprecated") and term["label"].endswith(ending):
            yield {"uniprotkb_id": id_.split(":", 1)[-1], "name": term["label"], "parents": []}


_CHUNK = 1 << 24
_ENTRY = re.compile(r',?\s*"(?P<id>[^"]+)"\s*:\s*')


def _taxa(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the taxa of a file that is too large to be read at once."""
    for id_, term in _entries(path):
        if term.get("deprecated") or not term.get("label"):
            continue
        ancestors = term.get("ancestors") or {}
        nearest = min(ancestors, key=ancestors.__getitem__, default=None)
        yield {
            "ontology_id": id_,
            "name": term["label"],
            "scientific_name": term["label"],
            "synonyms": joined(term.get("synonyms")),
            "description": term.get("description"),
            "parents": [nearest] if nearest else [],
        }


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the members of one large JSON object, holding no more than a part of its text."""
    import codecs

    import pyarrow

    decode = codecs.getincrementaldecoder("utf-8")().decode
    read_one = json.JSONDecoder().raw_decode
    with pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd") as stream:
        text, position = decode(stream.read(_CHUNK)).lstrip().removeprefix("{"), 0
        while True:
            entry = _ENTRY.match(text, position)
            found = _whole(read_one, text, entry.end()) if entry else None
            if entry and found:
                yield entry["id"], found[0]
                position = found[1]
                continue
            more = stream.read(_CHUNK)
            if not more:
                return
            text, position = text[position:] + decode(more), 0


def _whole(read_one: Callable[[str, int], tuple[Any, int]], text: str, start: int) -> tuple[Any, int] | None:
    """Return the JSON value that starts at a place and where it ends, or None where not all of it is there yet."""
    try:
        return read_one(text, start)
    except json.JSONDecodeError:
        return None
