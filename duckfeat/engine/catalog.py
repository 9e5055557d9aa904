"""Whether a database holds the tables of a store as its migrations make them, and nothing that changes what runs.

A file from elsewhere may have a view in place of a table, a default, computed columns, indexes and triggers, and macros
called like DuckDB's own functions. So the tables are compared before anything in them is read.
Views and macros of the file are not used at all: names are looked up in DuckDB's own schema before the store's
(`PATH`), and a connection has views of its own, from the migrations' text, before both.

What is compared first is a digest; only if that is another one, which it is for an old store and may be for a new
DuckDB, are the tables made in memory and compared one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from duckfeat.engine.resources import Migration, tables
from duckfeat.engine.version import MAJOR
from duckfeat.errors import NotAStore, QueryError

PATH = "SET search_path = 'system.main,store.main'"
"""Has a connection look names up; its temporary tables and views always come first."""
RECORDED = "schema_migrations"
"""The table of the migrations that a store has had."""
RECORDS = f"""
CREATE TABLE {RECORDED} (
    version BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    checksum VARCHAR NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE NOT NULL
)
"""

Definitions = Mapping[str, str]
"""The definition of each table, by its name; those of another schema than `main` have it in their names."""
Ask = Callable[[str], Iterable[tuple[Any, ...]]]

_HAS_TRIGGERS = MAJOR > 1
_TABLES = """
SELECT if(schema_name = 'main', '', schema_name || '.') || table_name,
    replace(sql, ' DEFAULT(NULL)', '') || if(index_count > 0, ' and an index', '')
FROM duckdb_tables() WHERE database_name = '{database}' AND NOT internal
"""
_TRIGGERS = "SELECT 'trigger ' || trigger_name, sql FROM duckdb_triggers() WHERE database_name = 'store'"
# The lake's own tables say it in two scans; duckdb_tables() would ask for the statistics of each table.
_LAKE_TABLES = """
SELECT
    if(s.schema_name = 'main', '', s.schema_name || '.') || t.table_name,
    string_agg(concat(
        c.column_name, ' ', c.column_type, if(c.nulls_allowed::BOOLEAN, '', ' NOT NULL'),
        ' DEFAULT ' || nullif(c.default_value, 'NULL'), ' DEFAULT ' || nullif(c.initial_default, 'NULL')
    ), ', ' ORDER BY c.column_order)
FROM __ducklake_metadata_{database}.ducklake_table AS t
JOIN __ducklake_metadata_{database}.ducklake_schema AS s USING (schema_id)
JOIN __ducklake_metadata_{database}.ducklake_column AS c USING (table_id)
CROSS JOIN ducklake_current_snapshot('{database}') AS now
WHERE now.id >= t.begin_snapshot AND (t.end_snapshot IS NULL OR now.id < t.end_snapshot)
    AND now.id >= c.begin_snapshot AND (c.end_snapshot IS NULL OR now.id < c.end_snapshot)
GROUP BY ALL
"""
_AS_IN_A_LAKE = """
SELECT table_name, string_agg(concat(column_name, ' ', CASE data_type
    WHEN 'BIGINT' THEN 'int64'
    WHEN 'DOUBLE' THEN 'float64'
    WHEN 'TIMESTAMP WITH TIME ZONE' THEN 'timestamptz'
    ELSE lower(data_type)
END, if(is_nullable, '', ' NOT NULL')), ', ' ORDER BY column_index)
FROM duckdb_columns() WHERE database_name = '{database}' AND NOT internal AND table_name NOT IN (
    SELECT view_name FROM duckdb_views() WHERE database_name = '{database}'
)
GROUP BY ALL
"""
_OTHERS = """
SELECT 'view ' || view_name FROM duckdb_views() WHERE database_name = '{database}' AND NOT internal
UNION ALL SELECT 'schema ' || schema_name
FROM duckdb_schemas() WHERE database_name = '{database}' AND NOT internal AND schema_name != 'main'
UNION ALL SELECT 'type ' || type_name FROM duckdb_types() WHERE database_name = '{database}' AND NOT internal
UNION ALL SELECT 'sequence ' || sequence_name FROM duckdb_sequences() WHERE database_name = '{database}'
UNION ALL SELECT 'macro ' || function_name FROM duckdb_functions() WHERE database_name = '{database}' AND NOT internal
"""
_MACROS = "SELECT DISTINCT function_name, function_type FROM duckdb_functions() WHERE database_name = '{database}'"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of database, and the statements that tell what is in it.

    `quick` tells enough of the tables that migrations make to know them by `digest`, `listing` the definition of every
    table there is, `made` the same of those made in memory.
    """

    quick: str
    digest: str
    listing: str
    made: str

    def of(self, ask: Ask, database: str = "store") -> Definitions:
        """Return the definitions of a database's tables."""
        return dict(ask(self.listing.replace("{database}", database)))

    def digest_of(self, ask: Ask, database: str = "store") -> str:
        """Return the digest of a database; of one without some table there is none."""
        try:
            found = list(ask(self.quick.replace("{database}", database)))
        except (QueryError, duckdb.CatalogException):
            return ""
        # What is copied out of a lake has defaults of NULL.
        rows = sorted(repr([None if fact == "NULL" else fact for fact in row]) for row in found)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def reference(self, applied: Iterable[Migration]) -> Definitions:
        """Return the definitions of what migrations make."""
        with duckdb.connect(":memory:") as connection:
            connection.execute(RECORDS)
            for migration in applied:
                connection.execute(migration.sql)
            return dict(connection.execute(self.made.replace("{database}", "memory")).fetchall())


def _quick() -> str:
    """Return the statement that describes the columns of each table: a view has none that takes no NULL.

    On DuckDB 2.0 duckdb_tables() takes three times as long, for it makes DuckDB's own views first.
    """
    columns = [f"FROM pragma_table_info('{{database}}.main.{name}')" for name in sorted({*tables(), RECORDED})]
    indexes = "SELECT 0, index_name, sql, false, NULL, false FROM duckdb_indexes() WHERE database_name = '{database}'"
    return " UNION ALL ".join([*columns, indexes])


# Of what the newest migration leaves; a test tells when it is not.
FILE = Kind(_quick(), "b40c8a203e5f0b309ca2134e3f924cae00377cf840c8ed37f63b2a59dbf9a7d4", _TABLES, _TABLES)
LAKE = Kind(
    _LAKE_TABLES, "5b7aa02e852fbd9b10cb8a11c5d841a7d93bfa7b3a7c6b816f5a377e56cdabf2", _LAKE_TABLES, _AS_IN_A_LAKE
)


def check_recorded(kind: Kind, found: Definitions, url: str) -> None:
    """Raise `NotAStore` unless the table of the migrations is one, and may be read."""
    if RECORDED not in found:
        raise NotAStore(
            f"{url} is a DuckDB database but not a duckfeat store: "
            f"it holds {', '.join(sorted(found)[:5]) or 'nothing'}",
            path=url,
            tables=sorted(found),
        )
    _compare({RECORDED: found[RECORDED]}, {RECORDED: kind.reference([])[RECORDED]}, url)


def check_tables(kind: Kind, found: Definitions, applied: Iterable[Migration], url: str) -> None:
    """Raise `NotAStore` unless the tables that migrations make are as those make them; other tables are never read."""
    expected = kind.reference(applied)
    _compare({name: sql for name, sql in found.items() if name in expected}, expected, url)


def check_macros(url: str, ask: Ask, database: str = "store") -> None:
    """Raise `NotAStore` for a database with macros, which the statements of a migration might call."""
    macros = sorted(name for name, _ in ask(_MACROS.replace("{database}", database)))
    if macros:
        raise _foreign(url, [f"it has a macro {name}" for name in macros])


def check_empty(url: str, ask: Ask, database: str = "store") -> None:
    """Raise `NotAStore` for a database without tables that something else is in, which another program has made."""
    found = sorted({str(name) for (name,) in ask(_OTHERS.replace("{database}", database))})
    if found:
        raise NotAStore(
            f"{url} is a DuckDB database but not a duckfeat store: it holds {', '.join(found[:5])}",
            path=url,
            found=found,
        )


def check_triggers(url: str, ask: Ask) -> None:
    """Raise `NotAStore` for a store with triggers; looked for before the first write, as it takes long."""
    if _HAS_TRIGGERS:
        _compare(dict(ask(_TRIGGERS)), {}, url)


def _compare(found: Definitions, expected: Definitions, url: str) -> None:
    wrong = {
        "there is no table": sorted(set(expected) - set(found)),
        "it also has": sorted(set(found) - set(expected)),
        "another definition has": sorted(name for name in set(found) & set(expected) if found[name] != expected[name]),
    }
    told = [f"{what} {', '.join(names[:5])}" for what, names in wrong.items() if names]
    if told:
        raise _foreign(url, told)


def _foreign(url: str, told: list[str]) -> NotAStore:
    return NotAStore(f"{url} is not as duckfeat makes a store, so it was left as it is: {'; '.join(told)}", path=url)
