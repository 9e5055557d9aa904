"""Bulk annotation: the cells of a frame or file become feature values of many entities, as sets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from duckfeat.engine.sources import opened
from duckfeat.query.session import Session
from duckfeat.registries.bulk_entities import find_entities
from duckfeat.registries.bulk_plan import checked_options, plan
from duckfeat.registries.bulk_values import Annotator

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Report:
    """What `annotate` did, in numbers.

    `rows` and `values` are those of the input. `new_values` are the values that did not exist before, `links` the
    annotations that were added, `removed` those that ended, and `entities` the records that were created. `skipped` is
    a Polars DataFrame of the values that were left out: `row`, `feature`, `value`, `reason`.
    """

    rows: int
    values: int
    new_values: int
    links: int
    removed: int
    entities: int
    skipped: pl.DataFrame

    def __repr__(self) -> str:
        parts = [
            _counted(self.rows, "row", "rows"),
            f"{_counted(self.values, 'value', 'values')} ({self.new_values:,} new)",
            f"{_counted(self.links, 'annotation', 'annotations')} added",
        ]
        for count, one, many in (
            (self.removed, "removed", "removed"),
            (self.entities, "entity made", "entities made"),
            (len(self.skipped), "skipped", "skipped"),
        ):
            parts += [_counted(count, one, many)] if count else []
        return f"<annotate: {', '.join(parts)}>"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def annotate(session: Session, data: Any, **arguments: Any) -> Report:
    """Annotate the entities of a frame or file with its columns; the arguments are those of `Store.annotate`."""
    options = checked_options(session, **arguments)
    with session.engine.transaction(), opened(session.engine, data) as source:
        bound = plan(session, source, options)
        now = datetime.now(UTC)
        found = find_entities(session, bound, options, now)
        annotator = Annotator(session, bound, options, found, now)
        annotator.run()
        return Report(
            rows=found.total,
            values=annotator.values,
            new_values=annotator.new_values,
            links=annotator.links,
            removed=annotator.removed,
            entities=found.made,
            skipped=annotator.refusals.skipped(),
        )
