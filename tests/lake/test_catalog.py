"""A lake into which another program has put something: it is refused, or that is never used."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from duckfeat.engine import catalog
from duckfeat.engine.lake import LakeEngine
from duckfeat.engine.resources import migrations
from duckfeat.errors import NotAStore
from duckfeat.store import Store
from tests.servers import LAKES, Lake, Lakes
from tests.unit.engine.test_catalog import MACROS, VIEWS, filled, seen


def _defined(store: Store, *statements: str) -> None:
    engine: Any = store._session.engine
    with engine.aside() as aside:
        aside.execute("USE store")
        for sql in statements:
            aside.execute(sql)


def test_a_lake_with_other_tables_is_refused(lake: Lake) -> None:
    with lake.connect() as store:
        _defined(store, "ALTER TABLE ulabels ALTER name SET DEFAULT 'a'")
    with pytest.raises(NotAStore, match="another definition has ulabels"):
        lake.connect()


def test_macros_and_views_of_a_lake_are_not_used(lake: Lake) -> None:
    with lake.connect() as store:
        filled(store)
        expected = seen(store)
        _defined(store, *VIEWS, *MACROS)
    with lake.connect() as store:
        assert seen(store) == expected


def test_what_a_lake_has_is_what_the_migrations_make(lake: Lake) -> None:
    with lake.connect() as store:
        engine: Any = store._session.engine
        with engine.aside() as aside:
            assert catalog.LAKE.of(lambda sql: aside.execute(sql).fetchall()) == catalog.LAKE.reference(migrations())
            assert catalog.LAKE.digest_of(lambda sql: aside.execute(sql).fetchall()) == catalog.LAKE.digest


_STATISTICS = """
SELECT t.table_name, s.record_count, d.column_name, c.contains_null, c.min_value, c.max_value
FROM __ducklake_metadata_store.ducklake_table AS t
LEFT JOIN __ducklake_metadata_store.ducklake_table_stats AS s USING (table_id)
LEFT JOIN __ducklake_metadata_store.ducklake_table_column_stats AS c USING (table_id)
LEFT JOIN __ducklake_metadata_store.ducklake_column AS d USING (table_id, column_id)
ORDER BY ALL
"""


def _statistics(lake: Lake) -> list[tuple[Any, ...]]:
    with lake.connect() as store:
        engine: Any = store._session.engine
        found: list[tuple[Any, ...]] = engine._cursor.execute(_STATISTICS).fetchall()
        return found


def test_an_empty_table_is_known_to_be_empty(lake: Lake) -> None:
    found = _statistics(lake)
    assert all(None not in row[1:4] for row in found)
    assert {row[0] for row in found if row[0].endswith("_removals") and row[1] == 0} == {
        "artifact_removals",
        "link_removals",
        "record_removals",
        "run_removals",
    }
    assert _statistics(lake) == found  # nothing is counted twice


@pytest.mark.parametrize("kind", LAKES)
def test_first_rows_are_noted_as_they_would_be_without(
    kind: str, lakes: Lakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noted() -> list[tuple[Any, ...]]:
        lake = lakes.make(kind)
        with lake.connect() as store:
            store.save([store.Feature(name="dose", dtype=float), store.Feature(name="note", dtype=str)])
            names = [f"r{n}" for n in range(500)]
            frame = pl.DataFrame({"name": names, "dose": [n / 8 for n in range(500)], "note": names})
            store.annotate(frame, key="name", create=True)
            store.annotate(frame[:3].with_columns(dose=pl.lit(0.0)), key="name", mode="update")
        tables = {"record_annotations", "record_removals", "typed_values"}
        return [row for row in _statistics(lake) if row[0] in tables and row[2] != "created_at"]

    counted = noted()
    monkeypatch.setattr(LakeEngine, "_count_none", lambda self: None)
    assert noted() == counted
