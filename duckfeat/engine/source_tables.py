"""The relation that bulk work reads, and what the engine says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from duckfeat.engine.base import Engine
from duckfeat.engine.failures import translated
from duckfeat.errors import IntegrityError, QueryError
from duckfeat.model.sql_types import JSON, Column, SqlType
from duckfeat.model.statement import Statement

if TYPE_CHECKING:
    import duckdb

INPUT = "bulk_input"
"""The name of the input in the engine."""


@dataclass(frozen=True, slots=True)
class Source:
    """An input that can be scanned: `sql` stands after FROM and needs `params`."""

    sql: str
    columns: tuple[Column, ...]
    params: Mapping[str, Any] = field(default_factory=dict)


class _Connected(Protocol):
    def connection(self) -> duckdb.DuckDBPyConnection: ...


def ids_of(count: int) -> list[str]:
    """Return the names that columns are scanned by."""
    return [f"c{position}" for position in range(count)]


def copied(engine: Engine, sql: str, params: Mapping[str, Any]) -> None:
    """Copy what a query gives into the temporary table `INPUT`."""
    engine.write(f"CREATE OR REPLACE TEMP TABLE {INPUT} AS {sql}", params)


def dropped(engine: Engine) -> None:
    """Drop the temporary tables of bulk work, as far as the transaction still takes statements."""
    mine = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'temp' AND starts_with(table_name, 'bulk_')"
    try:
        for (table,) in engine.rows(Statement(mine, {})):
            engine.write(f"DROP TABLE IF EXISTS temp.{table}")
    except (QueryError, IntegrityError):
        return  # the transaction has failed: it takes its tables with it


def described(
    engine: Engine,
    sql: str,
    names: Sequence[str] | None,
    known: Mapping[int, SqlType],
    params: Mapping[str, Any] | None = None,
) -> tuple[Column, ...]:
    """Return the columns a query gives, under `names` where the engine would change them, with `known` types.

    It is asked for no rows: DuckDB 1.5 would read them all where there are parameters.
    """
    connection = cast("_Connected", engine).connection()
    with translated(engine.url):
        relation = connection.sql(f"{sql} LIMIT 0", params=dict(params or {}) or None)
        types = [known.get(position) or sql_type(type_) for position, type_ in enumerate(relation.types)]
        names = names or list(relation.columns)
    return tuple(Column(*facts) for facts in zip(names, ids_of(len(names)), types, strict=True))


def sql_type(type_: Any) -> SqlType:
    """Return a DuckDB type as plain data."""
    text = str(type_)
    if text == "JSON":
        return JSON
    if type_.id == "decimal":
        sizes = dict(type_.children)
        return SqlType("decimal", text, scale=sizes["scale"], width=sizes["precision"])
    if type_.id not in {"list", "array", "struct", "map"}:
        return SqlType(type_.id, text)
    children = [(name, sql_type(child)) for name, child in type_.children if not isinstance(child, int)]
    return SqlType(type_.id, text, tuple(children))
