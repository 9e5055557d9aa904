"""The entities of a bulk annotation: the records that keys name, and new ones for keys that name none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from duckfeat.compile import staging, staging_keys
from duckfeat.errors import IntegrityError, InvalidArgument, ValidationError
from duckfeat.model.arguments import first_of
from duckfeat.model.fields import Field
from duckfeat.model.kinds import KINDS
from duckfeat.model.sql_types import Column
from duckfeat.model.statement import Statement
from duckfeat.model.tables import Table
from duckfeat.query.session import Session
from duckfeat.registries.bulk_plan import Options, Plan

_SHOWN = 5
_FORGOTTEN = 10_000
"""From this many new records on, search reads a registry anew rather than row by row."""


@dataclass(frozen=True, slots=True)
class Entities:
    """Which entity each input row is.

    `distinct` tells that no two rows are of one entity, `all_new` that none was there before; `skipped` are the
    rows without a key.
    """

    rows: staging.Rows
    total: int
    made: int
    distinct: bool
    all_new: bool
    skipped: tuple[tuple[int, str], ...] = ()


def find_entities(session: Session, plan: Plan, options: Options, now: datetime) -> Entities:
    """Find the entities of all rows, and make those that are not there if that was asked for.

    Raises `ValidationError` for a row without a key, and for a key that names several records or none.
    """
    return _Finder(session, plan, options, now).find()


class _Finder:
    def __init__(self, session: Session, plan: Plan, options: Options, now: datetime) -> None:
        self._session = session
        self._engine = session.engine
        self._table = options.table
        self._field = options.table.field(options.key)
        self._options = options
        self._now = now
        self._source = plan.source
        self._column = plan.key
        self._key = key_sql(options.table, self._field, plan.key)

    def find(self) -> Entities:
        """Match keys with records, make what is missing, and tell which entity each row is."""
        self._temporary(staging.KEYS, staging_keys.keys(self._source.sql, self._key), self._source.params)
        total = self._rows(staging.counted(self._source.sql), self._source.params)[0][0]
        given, distinct = self._rows(staging_keys.keys_counted())[0]
        skipped = self._without_key() if given < total else ()
        self._temporary(staging.ROWS, staging_keys.named(self._table, self._field.column))
        known = self._rows(staging_keys.matched())[0]
        if known[0] > known[1]:
            raise self._ambiguous()
        missing = distinct - known[1]
        unique = distinct == total
        if missing and not self._options.create_entities:
            raise self._unknown(missing)
        if missing:
            self._check_makable()
            first = self._engine.next_ids(self._table.rows, missing)
            if unique and missing == total:
                self._make(staging_keys.new_rows(self._source.sql, self._key), first, missing, self._source.params)
                return Entities(staging.Rows(self._source.sql, first), total, missing, distinct=True, all_new=True)
            self._engine.write(staging_keys.newly_numbered(), {"first": first})
            self._make(staging_keys.made(), first, missing, {})
        if given > distinct:
            rows = staging_keys.rows_of_keys(self._source.sql, self._key)
            self._temporary(staging.ROWS, rows, self._source.params)
        return Entities(staging.Rows(self._source.sql), total, missing, distinct == given, missing == distinct, skipped)

    # --- making ----------------------------------------------------------------------------------

    def _make(self, rows: str, first: int, count: int, params: Mapping[str, Any]) -> None:
        """Make records of rows of key and entity_id, with provenance, and check that no uid is there twice."""
        columns, values = self._columns()
        self._engine.write(staging_keys.make(self._table, columns, rows), {**params, **values, "first": first})
        if "secret" in values and self._rows(staging_keys.uids_twice(self._table), {"first": first})[0][0]:
            raise IntegrityError(f"a new {self._table.name} has the uid of another one", registry=self._table.name)
        refresh_search(self._session, self._table.name, first, count)

    def _columns(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the expressions of the columns of new records, and their parameters."""
        placed = {
            **self._session.provenance,
            "run_id": self._options.run_id,
            "created_at": self._now,
            "updated_at": self._now,
        }
        columns, values = {"id": "entity_id"}, {}
        for field in self._table.stored:
            value = placed.get(field.column, field.initial())
            if field.column not in columns and value is not None:
                columns[field.column] = f"${field.column}::{KINDS[field.type].sql_type}"
                values[field.column] = value
        if self._field.name != "uid":
            columns["uid"], values["secret"] = staging_keys.new_uid(self._table.uid_length), secrets.token_hex(16)
        columns[self._field.column] = "key"
        values.pop(self._field.column, None)
        return columns, values

    def _check_makable(self) -> None:
        if self._table.name == "Artifact":
            raise InvalidArgument(
                "an Artifact is made of its content, not of a key alone: save Artifact(path, key=...) first",
                registry="Artifact",
            )
        if self._field.name == "id":
            raise InvalidArgument("ids are given by the store: to make records name them by another key", key="id")
        taken = self._rows(staging_keys.in_trash(self._table)) if self._field.name == "uid" else []
        if taken:
            uid, row = taken[0]
            raise IntegrityError(
                f"{self._table.name} with uid {uid!r} is in the trash: restore it, or delete it permanently",
                registry=self._table.name,
                uid=uid,
                row=row,
            )

    # --- refusing --------------------------------------------------------------------------------

    def _without_key(self) -> tuple[tuple[int, str], ...]:
        reason = f"has no {self._options.table.name} {self._field.name}"
        sql = staging_keys.without_key(self._source.sql, self._key)
        rows = [row for (row,) in self._rows(sql, self._source.params)]
        if self._options.skip:
            return tuple((row, reason) for row in rows)
        shown = first_of(map(str, rows[:_SHOWN]), len(rows))
        given = self._given(rows[0])
        table, column = self._options.table, self._column.name
        told = (
            f"column {column!r} {reason} in row {shown}"
            if given is None
            else f"{_is_of_kind(table, self._field)}, column {column!r} holds {given} in row {shown}"
        )
        raise ValidationError(
            told,
            key=self._field.name,
            row=rows[0],
            value=given,
        )

    def _given(self, row: int) -> str | None:
        """Return what a row without a key has in its place, as a text file has it; None if that is nothing."""
        params = {**self._source.params, "row": row}
        given = self._rows(staging_keys.content(self._source.sql, self._column.id), params)[0][0]
        return given if given not in {None, "", '""', "null"} else None

    def _ambiguous(self) -> ValidationError:
        key, row, count = self._rows(staging_keys.ambiguous())[0]
        name = self._table.name
        return ValidationError(
            f"{count} {name}s have the {self._field.name} {key!r} (row {row}): name them by uid",
            registry=name,
            value=key,
            row=row,
        )

    def _unknown(self, count: int) -> ValidationError:
        name, field = self._table.name, self._field.name
        rows = self._rows(f"{staging_keys.unknown()} LIMIT {_SHOWN}")
        shown = first_of((f"{key!r} (row {row})" for row, key in rows), count)
        return ValidationError(
            f"there is no {name} with {field} {shown}{self._nearest(rows[0][1])}{self._making()}",
            registry=name,
            key=field,
            value=rows[0][1],
            row=rows[0][0],
            count=count,
        )

    def _nearest(self, key: Any) -> str:
        """Return the hint at the record whose name is nearest to a key, where keys are such as search looks at."""
        name, field = self._table.name, self._field.name
        if field not in self._table.text_fields:
            return ""
        near = self._session.registries[name].all().search(key, field=field, limit=1).to_list(field)
        return f" (did you mean {near[0]!r}?)" if near else ""

    def _making(self) -> str:
        """Return what would make the records that are not there."""
        if self._table.name == "Artifact":
            return "; an Artifact is saved with its content first"
        return "" if self._field.name == "id" else "; create=True makes them"

    # --- talking to the engine -------------------------------------------------------------------

    def _rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self._engine.rows(Statement(sql, dict(params or {})))

    def _temporary(self, name: str, sql: str, params: Mapping[str, Any] | None = None) -> None:
        self._engine.write(staging.temporary(name, sql), params)


def refresh_search(session: Session, registry: str, first: int, count: int) -> None:
    """Have new records found by search from now on, and no longer if they are rolled back."""

    def touch() -> None:
        if count < _FORGOTTEN:
            session.search.touched(registry, range(first, first + count))
        else:
            session.search.clear()

    touch()
    session.engine.on_end(touch)


def key_sql(table: Table, field: Field[Any], column: Column) -> str:
    """Return the expression of the key in an input row; missing where there is none.

    Raises `ValidationError` for a column of another type than the field.
    """
    wanted = "BIGINT" if field.type == "int" else "VARCHAR"
    found = _KEYS.get((field.type, column.type.family))
    if found is None:
        raise ValidationError(
            f"{_is_of_kind(table, field)}, column {column.name!r} has type {column.type.text}: "
            "convert the column first",
            key=field.name,
            column=column.name,
        )
    return found.format(column=column.id, type=wanted)


def _is_of_kind(table: Table, field: Field[Any]) -> str:
    return f"{table.name}.{field.name} is {'an int' if field.type == 'int' else 'text'}"


_KEYS = {
    ("str", "text"): "nullif({column}::VARCHAR, '')",
    ("str", "raw"): "nullif({column}, '')",
    ("str", "json"): "CASE WHEN json_type({column}) = 'VARCHAR' THEN nullif({column} ->> '$', '') END",
    ("str", "null"): "{column}",
    ("int", "integer"): "{column}::BIGINT",
    ("int", "long"): "{column}",
    ("int", "raw"): "CASE WHEN regexp_full_match({column}, '-?[0-9]+') THEN try_cast({column} AS BIGINT) END",
    ("int", "json"): "CASE WHEN regexp_full_match({column}, '-?[0-9]+') THEN try_cast({column} ->> '$' AS BIGINT) END",
    ("int", "null"): "{column}::BIGINT",
}
