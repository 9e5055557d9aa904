"""A database from elsewhere: what another program has put into it is refused, or never used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

import duckfeat as dft
from duckfeat.engine import catalog
from duckfeat.engine.embedded import EmbeddedEngine
from duckfeat.engine.resources import migrations, views
from duckfeat.engine.version import MAJOR
from duckfeat.errors import InvalidArgument, NotAStore
from duckfeat.store import Store

HAS_TRIGGERS = MAJOR > 1
RECORDED = "SELECT version, name, checksum, applied_at FROM kept"
TRASHED = "DROP TABLE trashed; CREATE TABLE trashed (table_name VARCHAR NOT NULL, record_id BIGINT NOT NULL, "
# What may be done to a file, and what the error names.
TABLES: dict[str, tuple[str, str]] = {
    "a view for a table": ("ALTER TABLE ulabels RENAME TO x; CREATE VIEW ulabels AS FROM x", "no table ulabels"),
    "a view for the migrations": (
        "ALTER TABLE schema_migrations RENAME TO kept; CREATE VIEW schema_migrations AS " + RECORDED,
        "not a duckfeat store",
    ),
    "another type": ("ALTER TABLE spaces ALTER name TYPE BLOB", "another definition has spaces"),
    "a default": ("ALTER TABLE ulabels ALTER name SET DEFAULT getvariable('a')", "another definition has ulabels"),
    "a column more": ("ALTER TABLE users ADD COLUMN more INTEGER", "another definition has users"),
    "a column less": ("ALTER TABLE users DROP COLUMN name", "another definition has users"),
    "an index": ("CREATE INDEX found ON ulabels (lower(name))", "another definition has ulabels"),
    "a computed column": (
        TRASHED + "branch_id BIGINT GENERATED ALWAYS AS (record_id + 1))",
        "another definition has trashed",
    ),
    "a table less": ("DROP TABLE genes", "there is no table genes"),
}
# What DuckDB looks up in the database before its own schema.
MACROS = (
    'CREATE MACRO "="(a, b) AS false',
    "CREATE MACRO \"||\"(a, b) AS 'hostile'",
    "CREATE MACRO md5(a) AS 'hostile'",
    "CREATE MACRO lower(a) AS 'hostile'",
    "CREATE MACRO max(a) AS 4711",
    "CREATE MACRO count_star() AS 4711",
    "CREATE MACRO count(a) AS 4711",
    "CREATE MACRO now() AS TIMESTAMPTZ '1970-01-01'",
    "CREATE MACRO coalesce(a, b) AS 4711",
    "CREATE MACRO list_contains(a, b) AS false",
    "CREATE MACRO range(a) AS TABLE SELECT 'hostile' AS range",
    "CREATE MACRO duckdb_tables() AS TABLE SELECT 'hostile' AS table_name",
    "CREATE MACRO unnest(a) AS 'hostile'",
)
VIEWS = (
    "CREATE OR REPLACE VIEW feature_values AS SELECT v.*, 'hostile' AS value, 'hostile' AS hash FROM typed_values AS v",
    "CREATE OR REPLACE VIEW current_record_annotations AS SELECT * FROM record_annotations WHERE false",
    "CREATE VIEW duckdb_tables AS SELECT 'hostile' AS table_name",
)


def changed(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as other:
        for sql in statements:
            other.execute(sql)


def filled(store: Store) -> None:
    store.Feature(name="dose", dtype=float).save()
    store.save([store.Record(name=f"r{at}", features={"dose": at + 0.5}) for at in range(5)])


def seen(store: Store) -> object:
    """Return what a store tells of what `filled` has put into it."""
    value = store.FeatureValue.get(value=1.5)
    return (
        store.Record.filter(dose__gt=1).order_by("name").to_list("name"),
        store.Record.all().order_by("name").pl(features=["dose"])["dose"].to_list(),
        (value.value, value.hash),
        store.Record.filter(name__in=["R0", "r1"], name__icontains="R").to_list("name"),
        store.Record.get(name="r2").features.get_values(),
        store.sql("SELECT count(*), max(hash), max(value) FROM feature_values").rows(),
        store.sql("FROM range(2)").rows(),
        [row.value for row in store.FeatureValue.all().order_by("id")],
        store.check().ok,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with records and their values."""
    path = tmp_path / "features.duckdb"
    with dft.connect(path, default=False) as store:
        filled(store)
    return path


@pytest.mark.parametrize(("sql", "told"), TABLES.values(), ids=TABLES)
def test_other_tables_are_refused_and_the_file_is_left_as_it_is(file: Path, sql: str, told: str) -> None:
    changed(file, sql)
    before = file.read_bytes()
    for read_only in (False, True):
        with pytest.raises(NotAStore, match=told):
            dft.connect(file, read_only=read_only)
    with pytest.raises(NotAStore, match=told):
        dft.restore(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


if HAS_TRIGGERS:

    def test_a_trigger_is_refused(tmp_path: Path, file: Path) -> None:
        copy = tmp_path / "copy.duckdb"
        with duckdb.connect() as other:
            other.execute(f"ATTACH '{file}' AS a; ATTACH '{copy}' AS b (STORAGE_VERSION 'v2.0.0')")
            other.execute("COPY FROM DATABASE a TO b; USE b")
            inserted = "AFTER INSERT ON ulabels FOR EACH STATEMENT INSERT INTO trashed VALUES ('a', 1, 1)"
            other.execute(f"CREATE TRIGGER told {inserted}")
        with dft.connect(copy) as store:
            with pytest.raises(NotAStore, match="it also has trigger told"):
                store.ULabel(name="a").save()
            assert store.ULabel.count() == store.sql("SELECT count(*) FROM trashed").item() == 0


def test_macros_and_views_of_the_file_are_not_used(file: Path) -> None:
    with dft.connect(file, default=False) as store:
        expected = seen(store)
    changed(file, *VIEWS, *MACROS)
    with dft.connect(file, read_only=True, default=False) as store:
        assert seen(store) == expected
    with dft.connect(file, default=False) as store:
        assert seen(store) == expected
        with store.transaction():
            store.Record(name="r5", features={"dose": 9.5}).save()
            assert store.Record.filter(dose=9.5).one().created_at.year > 2000
            assert store.FeatureValue.filter(value=9.5).one().value == 9.5
        assert [row["dose"] for row in store.Record.filter(name="r5").pl(features=True).to_dicts()] == [9.5]
        assert store.Record.count() == 6
        assert store.check().ok


@pytest.mark.parametrize(
    "query",
    [
        "SELECT store.main.md5('a')",
        "FROM store.main.range(2)",
        "FROM store.range(2)",
        "FROM store.main.feature_values",
        "FROM store.Current_Record_Annotations",
        "FROM evil",
        'FROM "EVIL"',
    ],
)
def test_a_query_by_hand_does_not_reach_what_the_file_defines(file: Path, query: str) -> None:
    changed(file, *VIEWS, *MACROS, "CREATE VIEW evil AS FROM read_text('/etc/hosts')")
    with dft.connect(file) as store, pytest.raises(InvalidArgument, match="only reads this store"):
        store.sql(query)


def test_an_old_store_or_an_empty_database_with_macros_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.duckdb"
    changed(path, "CREATE MACRO now() AS TIMESTAMPTZ '1970-01-01'")
    with pytest.raises(NotAStore, match="it holds macro now"):
        dft.connect(path)
    changed(path, "DROP MACRO now")
    with dft.connect(path) as store:
        assert store.check().ok


@pytest.mark.parametrize(
    "sql",
    [
        "VIEW records AS SELECT 1 AS a",
        "VIEW v AS SELECT 1 AS a",
        "TYPE mood AS ENUM ('a')",
        "SEQUENCE q",
        "SCHEMA other",
    ],
)
def test_a_database_that_holds_no_table_but_something_else_is_left_as_it_is(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "other.duckdb"
    changed(path, f"CREATE {sql}")
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(NotAStore, match="not a duckfeat store: it holds"):
            dft.connect(path, read_only=read_only)
    assert path.read_bytes() == before


@pytest.mark.parametrize("digest", [catalog.FILE.digest, "that of another version"])
def test_a_table_more_is_left_alone(file: Path, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddedEngine, "kind", replace(catalog.FILE, digest=digest))
    changed(
        file,
        "CREATE TABLE more (a INTEGER)",
        'CREATE TABLE "trigger more" (a INTEGER)',
        "CREATE SCHEMA s",
        "CREATE TABLE s.users (a INTEGER)",
    )
    with dft.connect(file) as store:
        store.User(handle="other").save()
        assert store.check().ok
    with duckdb.connect(str(file)) as other:
        assert other.sql("SELECT count(*) FROM s.users").fetchall() == [(0,)]


def test_what_a_connection_knows_is_what_the_migrations_make(file: Path) -> None:
    with duckdb.connect(str(file)) as other:

        def ask(sql: str) -> list[tuple[Any, ...]]:
            return other.execute(sql).fetchall()

        assert catalog.FILE.of(ask, "features") == catalog.FILE.reference(migrations())
        assert catalog.FILE.digest_of(ask, "features") == catalog.FILE.digest
        names = other.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        assert {name for (name,) in names} == set(views())
