"""Which source is meant: by name, version and organism among those that were added and those that packages bring."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from duckfeat.errors import DoesNotExist, InvalidArgument, hint
from duckfeat.model.arguments import registry_of
from duckfeat.ontology.packaged import PACKAGE, RELEASES, plain_version
from duckfeat.ontology.source import ALL, Source
from duckfeat.query.session import Session

_log = logging.getLogger("duckfeat")
_DEFAULT_ORGANISM = "human"


def choose(session: Session, entity: str, source: Any, version: str | None, organism: str | None) -> Source:
    """Return the source that is meant; an added one that is in use comes first, then the newest release.

    Where nothing says which organism, the sources of `settings.organism` are preferred, then those about every
    organism. Raises `DoesNotExist` with what there is, `InvalidArgument` where the organism must be said.
    """
    if registry_of(source) == "Source":
        if source.entity != entity:
            raise InvalidArgument(f"{source} is a source of {source.entity} terms, not of {entity}", source=source)
        session.check_mine(source)
        found: Source = source
        return found
    registry: type[Source] = session.registries["Source"]
    everything = registry.available(entity)
    named = [one for one in everything if source is None or _is_called(one, str(source))]
    fitting = [one for one in named if version is None or plain_version(one.version) == plain_version(version)]
    if organism is not None:
        fitting = [one for one in fitting if one.organism in {organism, ALL}]
    if not fitting:
        raise _none(entity, source, version, organism, everything)
    return _preferred(session, entity, fitting) if organism is None else _nearest(fitting, organism)


def _is_called(one: Source, name: str) -> bool:
    packaged = {release.name: release.ontology.casefold() for release in RELEASES}
    return name.casefold() in {one.name.casefold(), packaged.get(one.name, one.name)}


def _nearest(fitting: Sequence[Source], organism: str) -> Source:
    return next((one for one in fitting if one.organism == organism), fitting[0])


def _preferred(session: Session, entity: str, fitting: Sequence[Source]) -> Source:
    organisms = {one.organism for one in fitting}
    current = session.registries["Organism"]._current_name()
    for organism in (current, ALL):
        if organism in organisms:
            return _nearest(fitting, organism)
    if len(organisms) == 1:
        return fitting[0]
    packaged = all(one.url.startswith(PACKAGE) for one in fitting)
    if packaged and _DEFAULT_ORGANISM in organisms and current is None:
        _log.info("%s: no organism is set, terms of %s are used", entity, _DEFAULT_ORGANISM)
        return _nearest(fitting, _DEFAULT_ORGANISM)
    raise InvalidArgument(
        f"there are sources of {entity} terms for {', '.join(sorted(organisms))}: say which with organism=..., or "
        "set duckfeat.settings.organism",
        available=sorted(organisms),
    )


def _none(
    entity: str, source: Any, version: str | None, organism: str | None, everything: Sequence[Source]
) -> DoesNotExist:
    asked = " ".join(str(part) for part in (source, version, f"for {organism}" if organism else None) if part)
    there = [str(one) for one in everything]
    if not there:
        return DoesNotExist(
            f"there is no source of {entity} terms: Source.add({entity!r}, organism=..., path=...) adds a file",
            registry="Source",
            available=[],
        )
    return DoesNotExist(
        f"{entity}: no source {asked!r}{hint(asked, there)}", registry="Source", asked=asked, available=there
    )
