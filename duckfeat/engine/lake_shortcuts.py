"""Ways to the rows of a lake that ask its catalog nothing, for a snapshot that is read again and again.

DuckLake asks the catalog several times for each table that a statement names, which takes longer than to read a few
rows. But nothing of a snapshot changes. So when tables of one are read again and again, they are from then on read in a
database of this process's own: a small table is a copy there, a large one a view of its files, without the rows that
were deleted from them, and of a copy of those rows that are in the catalog. Where files differ in their columns, or
are many, it is a view of the table as DuckLake has it at that snapshot.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from functools import lru_cache, partial

import duckdb

from duckfeat.engine.paths import literal, quoted
from duckfeat.engine.resources import tables, views

SMALL = 10_000
"""So many rows of a table at most are copied into memory when it is read often."""

_FREE = 3
"""So often a table of a snapshot is left to DuckLake: to make a way takes about as long as that."""
_FILES = 64
"""A table of more files than that is left to DuckLake, which opens only those that may hold what is looked for."""
_DATABASE = "lake_shortcuts"
# A file of a lake never changes, so what is known of one need not be asked again.
_SETTINGS = "SET search_path = 'system.main,{schema}'; SET parquet_metadata_cache = true"
# The tables that have rows, or had some once, and at most how many: DuckLake numbers every row that comes.
_ROWS = """
SELECT t.table_name, max(s.next_row_id)
FROM __ducklake_metadata_store.ducklake_table AS t
JOIN __ducklake_metadata_store.ducklake_table_stats AS s USING (table_id)
GROUP BY t.table_name HAVING max(s.next_row_id) > 0
"""
_INLINED = "starts_with(filename, 'ducklake_inlined_data_')"  # what DuckLake calls the place of rows in the catalog
# How many rows of which file a table has.
_COUNTED = f"SELECT filename, count(*) FROM {{origin}} WHERE NOT {_INLINED} GROUP BY filename"
_ROWS_OF_FILES = "SELECT file_name, num_rows FROM parquet_file_metadata({files})"
_COLUMNS_OF_ALL = """
SELECT name FROM parquet_schema({files}) WHERE num_children IS NULL
GROUP BY name, type, converted_type, logical_type HAVING count(DISTINCT file_name) = {count}
"""
_DELETED = """
CREATE OR REPLACE TABLE {gone} AS
SELECT filename, file_row_number FROM read_parquet({files}, filename = true, file_row_number = true)
EXCEPT SELECT filename, file_row_number FROM {origin} WHERE filename IN ({names})
"""


class Shortcuts:
    """The tables of the snapshots that a lake was asked about most recently, ready to be read.

    Each snapshot has a schema of its own, so that a statement reads all its tables as one snapshot has them. It goes
    when a newer one is read and no statement uses it any more.
    """

    def __init__(self, root: duckdb.DuckDBPyConnection, *, remote: bool) -> None:
        self._root = root
        self._remote = remote
        self._lock = threading.RLock()  # a stream that is given up ends wherever garbage is collected
        self._snapshot = -1
        self._asked: Counter[str] = Counter()
        self._ready: dict[int, set[str]] = {}
        self._rows: Mapping[str, int] = {}
        self._uses: Counter[int] = Counter()

    @contextmanager
    def taken(self, sql: str, snapshot: int) -> Iterator[str | None]:
        """Give the settings of a connection that finds a statement's tables as a snapshot has them, in the block.

        None if it is better left to DuckLake.
        """
        with self._lock:
            near = self._prepared(sql, snapshot)
            if near:
                self._use(snapshot, 1)
        if not near:
            yield None
            return
        try:
            yield _SETTINGS.format(schema=_schema(snapshot))
        finally:
            with self._lock:
                self._use(snapshot, -1)

    def _prepared(self, sql: str, snapshot: int) -> bool:
        """Tell whether the tables that a statement names are at hand, and make those that are missing if it pays."""
        if snapshot > self._snapshot:
            self._snapshot, self._asked = snapshot, Counter()
            self._forget_unused()
        names = named(sql)
        self._asked.update(names)
        if snapshot < self._snapshot or not names or any(self._asked[name] <= _FREE for name in names):
            return False
        missing = names - self._ready.get(snapshot, set())
        if missing:
            with self._root.cursor() as cursor:
                self._make(cursor, snapshot, missing)
        return True

    def _use(self, snapshot: int, more: int) -> None:
        before = self._uses.total()
        self._uses[snapshot] += more
        if self._remote and (before == 0) != (self._uses.total() == 0):
            self._execute(f"SET GLOBAL enable_http_metadata_cache = {before == 0}")
        self._forget_unused()

    def _forget_unused(self) -> None:
        for snapshot in [old for old in self._ready if old < self._snapshot and not self._uses[old]]:
            self._ready.pop(snapshot, None)
            self._uses.pop(snapshot, None)
            self._execute(f"DROP SCHEMA IF EXISTS {_schema(snapshot)} CASCADE")

    def _execute(self, sql: str) -> None:
        with suppress(duckdb.ConnectionException), self._root.cursor() as cursor:  # the store may be closed meanwhile
            cursor.execute(sql)

    # --- making them -----------------------------------------------------------------------------

    def _make(self, cursor: duckdb.DuckDBPyConnection, snapshot: int, missing: AbstractSet[str]) -> None:
        if snapshot not in self._ready:
            cursor.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {_DATABASE}")
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {_schema(snapshot)}")
            self._rows = rows_at_most(cursor)
            self._ready[snapshot] = set()
        for name in sorted(missing - views().keys()):
            self._make_table(cursor, snapshot, name)
            self._ready[snapshot].add(name)
        for name in sorted(missing & views().keys()):
            cursor.execute(f"CREATE OR REPLACE VIEW {_schema(snapshot)}.{name} AS {views()[name]}")
            self._ready[snapshot].add(name)

    def _make_table(self, cursor: duckdb.DuckDBPyConnection, snapshot: int, table: str) -> None:
        origin = f'store."{table}" AT (VERSION => {snapshot})'
        way = partial(_way, snapshot)
        if self._rows.get(table, 0) <= SMALL:
            cursor.execute(f"CREATE OR REPLACE TABLE {way(table)} AS FROM {origin}")
        elif not _made_of_files(cursor, way, table, origin):
            cursor.execute(f"CREATE OR REPLACE VIEW {way(table)} AS FROM {origin}")


def _made_of_files(cursor: duckdb.DuckDBPyConnection, way: Callable[[str], str], table: str, origin: str) -> bool:
    """Make a view of a table's files and of its rows in the catalog, and tell whether that could be done."""
    counts: dict[str, int] = dict(cursor.execute(_COUNTED.format(origin=origin)).fetchall())
    if not 0 < len(counts) <= _FILES:
        return False
    inlined, gone = way(f"{table} in the catalog"), way(f"{table} deleted")
    cursor.execute(f"CREATE OR REPLACE TABLE {inlined} AS FROM {origin} WHERE {_INLINED}")
    columns = [name for name, *_ in cursor.execute(f"FROM {inlined} LIMIT 0").description or ()]
    every = _files(counts)
    common = {name for (name,) in cursor.execute(_COLUMNS_OF_ALL.format(files=every, count=len(counts))).fetchall()}
    rows: dict[str, int] = dict(cursor.execute(_ROWS_OF_FILES.format(files=every)).fetchall())
    if not common.issuperset(columns) or any(rows[file] < count for file, count in counts.items()):
        return False
    whole = [file for file, count in counts.items() if rows[file] == count]
    parts = [f"read_parquet({_files(whole)})"] if whole else []
    if len(whole) < len(counts):
        touched = sorted(counts.keys() - set(whole))
        files, names = _files(touched), ", ".join(quoted(name) for name in touched)
        cursor.execute(_DELETED.format(gone=gone, files=files, names=names, origin=origin))
        parts.append(
            f"read_parquet({files}, filename = true, file_row_number = true) "
            f"ANTI JOIN {gone} USING (filename, file_row_number)"
        )
    if cursor.execute(f"SELECT 1 FROM {inlined} LIMIT 1").fetchall():
        parts.append(inlined)
    listed = ", ".join(f'"{name}"' for name in columns)
    rows_of_all = " UNION ALL ".join(f"SELECT {listed} FROM {part}" for part in parts)
    cursor.execute(f"CREATE OR REPLACE VIEW {way(table)} AS {rows_of_all}")
    return True


def _files(names: Iterable[str]) -> str:
    return f"[{', '.join(quoted(literal(name)) for name in names)}]"


def rows_at_most(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the tables of a lake that have rows, or had some once, and how many each has at most."""
    return dict(cursor.execute(_ROWS).fetchall())


def _schema(snapshot: int) -> str:
    return f"{_DATABASE}.snapshot_{snapshot}"


def _way(snapshot: int, name: str) -> str:
    return f'{_schema(snapshot)}."{name}"'


@lru_cache(maxsize=512)
def named(sql: str) -> AbstractSet[str]:
    """Return the tables and views of the store that a statement reads, those of its views too, and perhaps some more.

    >>> sorted(named("SELECT count(*) FROM current_links JOIN records AS r ON r.id = to_id"))
    ['current_links', 'link_removals', 'links', 'records']
    """
    words = set(re.findall(r"\w+", sql))
    found = words & views().keys()
    return (words & tables()).union(found, *(named(views()[view]) for view in found))
