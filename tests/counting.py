"""How many rows a store's tables have, and which statements ran: what a test compares before and after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from duckfeat.store import Store

_TABLES = """
SELECT table_name FROM information_schema.tables
WHERE table_catalog = current_database() AND table_type = 'BASE TABLE' ORDER BY 1
"""
_COUNT = "SELECT $name AS name, count(*) AS n FROM query_table($name)"


def row_counts(store: Store) -> dict[str, int]:
    """Return the number of rows of each table."""
    names = dict(enumerate(store.sql(_TABLES)["table_name"]))
    asked = " UNION ALL ".join(_COUNT.replace("$name", f"$n{number}") for number in names)
    counted = store.sql(asked, {f"n{number}": name for number, name in names.items()}, trusted=True)
    return dict(counted.sort("name").iter_rows())


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """Collect the text of the statements that run inside the block, without what begins and ends transactions."""
    seen: list[str] = []

    def see(sql: str, _params: object) -> None:
        if sql.split(maxsplit=1)[0].upper() in {"SELECT", "WITH", "INSERT", "UPDATE", "DELETE"}:
            seen.append(sql)

    with store.trace(see):
        yield seen
