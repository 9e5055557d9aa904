"""How many rows a store's tables have, and which statements ran: what a test compares before and after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from duckfeat.store import Store

_TABLES = """
SELECT table_name FROM information_schema.tables
WHERE table_catalog = 'store' AND table_type = 'BASE TABLE' ORDER BY 1
"""
# The tables of a lake that rows have come to; a table that none has come to costs most to count.
_LAKE_TABLES = """
SELECT DISTINCT t.table_name FROM __ducklake_metadata_store.ducklake_table AS t
JOIN __ducklake_metadata_store.ducklake_table_stats AS s USING (table_id) WHERE s.next_row_id > 0 ORDER BY 1
"""
_COMMENTS = re.compile(r"^\s*--.*$", re.MULTILINE)
_COUNTED = {"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP"}
_COUNT = "SELECT $name AS name, count(*) AS n FROM query_table($name)"


def row_counts(store: Store) -> dict[str, int]:
    """Return the number of rows of each table that has some, or had."""
    listed = store.sql(_LAKE_TABLES, trusted=True) if store.url.startswith("ducklake:") else store.sql(_TABLES)
    names = dict(enumerate(listed["table_name"]))
    asked = " UNION ALL ".join(_COUNT.replace("$name", f"$n{number}") for number in names)
    counted = store.sql(asked, {f"n{number}": name for number, name in names.items()}, trusted=True)
    return dict(counted.sort("name").iter_rows())


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """Collect the text of the statements that run inside the block, without what begins and ends transactions."""
    seen: list[str] = []

    def see(sql: str, _params: object) -> None:
        if _COMMENTS.sub("", sql).split(maxsplit=1)[0].upper() in _COUNTED:
            seen.append(sql)

    with store.trace(see):
        yield seen
