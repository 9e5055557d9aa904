"""Managers: the related records of a record, as a QuerySet that can be changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from duckfeat.compile.select import Query
from duckfeat.errors import InvalidArgument
from duckfeat.model.arguments import registry_of, several, shown
from duckfeat.model.fields import Relation
from duckfeat.query.queryset import QuerySet
from duckfeat.query.session import Session

R = TypeVar("R")


class Manager(QuerySet[R]):
    """The related records of one record: a QuerySet with `add`, `remove`, `set` and `clear`."""

    def __init__(self, session: Session, query: Query, relation: Relation, record: Any) -> None:
        super().__init__(session, query)
        self._relation = relation
        self._record = record

    def _with(self, query: Query) -> QuerySet[R]:
        return QuerySet(self._session, query)

    def _checked(self, records: Iterable[Any]) -> list[Any]:
        """Return records that may be given in several ways as one list, all of the right registry and store."""
        flat = _flat(records)
        for record in flat:
            registry = registry_of(record)
            if registry != self._relation.target:
                what = f"{self._relation.source}.{self._relation.name}"
                raise InvalidArgument(
                    f"{what} holds {self._relation.target} records, not {shown(record)}", value=record
                )
            self._session.check_mine(record)
        return flat

    def _saved(self, records: Iterable[Any]) -> list[Any]:
        listed = self._checked(records)
        unsaved = [record for record in listed if record.id is None]
        if unsaved:
            self._session.writer.save(unsaved)
        return listed

    def _others(self, records: Iterable[Any]) -> list[Any]:
        """Return the records to relate, flat. None is above or below itself."""
        flat = _flat(records)
        if self._relation.source == self._relation.target and self._record in flat:
            what = f"{self._relation.source}.{self._relation.name}"
            raise InvalidArgument(f"{what}: {self._record!r} cannot be related to itself", value=self._record)
        return flat

    def add(self, *records: Any) -> None:
        """Relate more records, all or nothing. Unsaved records are saved first."""
        with self._session.engine.transaction():
            self._session.writer.relate(self._relation, self._record, self._saved(self._others(records)), [])

    def remove(self, *records: Any) -> None:
        """End the relation to these records; records that are not related are ignored."""
        related = [record for record in self._checked(records) if record.id is not None]
        self._session.writer.relate(self._relation, self._record, [], related)

    def set(self, records: Iterable[Any]) -> None:
        """Make these the only related records."""
        with self._session.engine.transaction():
            wanted = self._saved(self._others(several(records, "related records")))
            ids = {record.id for record in wanted}
            gone = [record for record in self.all() if record.id not in ids]  # type: ignore[attr-defined]  # a record
            self._session.writer.relate(self._relation, self._record, wanted, gone)

    def clear(self) -> None:
        """End every relation."""
        self.set([])


def _flat(records: Iterable[Any]) -> list[Any]:
    """Return records that may be given in lists or as QuerySets, one after another."""
    flat: list[Any] = []
    for record in records:
        flat += list(record) if isinstance(record, list | tuple | set | QuerySet) else [record]
    return flat
