"""What a lake answers without its catalog is what DuckLake answers, for every table, whatever was written and how."""

from __future__ import annotations

import math
import threading
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from duckfeat.engine import lake_shortcuts
from duckfeat.engine.lake import LakeEngine
from duckfeat.engine.resources import tables
from duckfeat.model.statement import Statement
from duckfeat.store import Store
from tests.servers import Lake

VALUES = {
    "bool": True,
    "int": -(2**63),
    "float": [math.nan, -0.0, math.inf, 5e-324],
    "str": ["", "nul \0 inside", "🦆 duck", "it's"],
    "date": date(1, 1, 1),
    "datetime": [datetime(2026, 1, 2, 3, 4, 5, 678901), datetime(2026, 1, 2, tzinfo=UTC)],
    "dict": {"b": [1, None, "x"], "a": {}},
}


@pytest.fixture(params=[10_000, 0], ids=["small tables copied", "all tables from files"])
def _at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have shortcuts made for the first statement, and for tables of all sizes."""
    monkeypatch.setattr(lake_shortcuts, "_FREE", 0)
    monkeypatch.setattr(lake_shortcuts, "SMALL", request.param)


def engine_of(store: Store) -> LakeEngine:
    engine = store._session.engine
    assert isinstance(engine, LakeEngine)
    return engine


def rows(store: Store, name: str, *, looked: bool) -> list[str]:
    found = engine_of(store).arrow(Statement(f"FROM {name} ORDER BY ALL", {}, looked=looked))
    return [repr(row) for row in found.to_pylist()]


def ways(store: Store) -> dict[str, str]:
    """Return how each large table of the newest snapshot is read."""
    with engine_of(store).aside() as cursor:
        found = cursor.execute(
            "SELECT view_name, sql FROM duckdb_views() WHERE database_name = 'lake_shortcuts' ORDER BY schema_name"
        ).fetchall()
    return {name: sql for name, sql in found if name in tables()}


def apart(lake: Lake, **options: Any) -> Store:
    """Open a lake as another process does."""
    return Store(lake.url, **lake.options, **options)


def compare(store: Store) -> None:
    """Read every table that ever had rows, and a view of the largest."""
    engine_of(store).refresh()
    with engine_of(store).aside() as cursor:
        filled = lake_shortcuts.rows_at_most(cursor).keys()
    for name in sorted(filled | {"current_record_annotations", "artifacts"}):
        assert rows(store, name, looked=True) == rows(store, name, looked=False), name


def write_everything(store: Store) -> None:
    for name, value in VALUES.items():
        first = value[0] if isinstance(value, list) else value
        store.Feature(name=name, dtype=type(first), multiple=isinstance(value, list)).save()
        store.Record(name=name).save().features.add_values({name: value})
    data = pl.DataFrame({"name": [f"r{at}" for at in range(500)], "n": range(500), "text": ["a", "b"] * 250})
    store.annotate(data, key="name", create="all")


@pytest.mark.usefixtures("_at_once")
def test_tables_have_the_same_rows(lake: Lake) -> None:
    with lake.connect() as store:
        write_everything(store)
        compare(store)
        renamed = store.Record.get(name="r7")
        renamed.name = "renamed"
        renamed.save()
        store.Record.get(name="r8").delete()
        compare(store)
        store.Record.filter(name__in=[f"r{at}" for at in range(100, 400)]).delete()
        compare(store)
        store.Record.get(name="r9").delete(permanent=True)
        renamed.features.set_values({"n": 3})
        compare(store)
        store.compact()
        compare(store)
        with apart(lake, read_only=True) as reader:
            compare(reader)


def test_files_are_read_without_the_catalog(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_shortcuts, "_FREE", 0)
    monkeypatch.setattr(lake_shortcuts, "SMALL", 0)
    with lake.connect() as store:
        write_everything(store)
        store.Record.get(name="r8").delete()
        assert store.Record.filter(n__lt=20).count() == 19
        found = ways(store)
        assert {"records", "record_annotations", "typed_values"} <= found.keys()
        for name in ("records", "record_annotations", "typed_values"):
            assert "read_parquet" in found[name]
            assert "store." not in found[name]
        assert "ANTI JOIN" in found["records"]


@pytest.mark.usefixtures("_at_once")
def test_files_that_differ_are_left_to_the_catalog(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with lake.connect() as store:
        write_everything(store)
        with engine_of(store).aside() as cursor:
            cursor.execute("ALTER TABLE store.typed_values ADD COLUMN more BIGINT")
        compare(store)
        monkeypatch.setattr(lake_shortcuts, "_FILES", 0)
        store.Record(name="one more").save()
        compare(store)
        assert all("read_parquet" not in sql for sql in ways(store).values())


def test_few_questions_about_a_snapshot_are_left_to_the_catalog(lake: Lake) -> None:
    with lake.connect() as store:
        write_everything(store)
        for _ in range(3):
            assert store.Record.filter(n__lt=20).count() == 20
        assert "lake_shortcuts" not in store.sql("SELECT database_name FROM duckdb_tables()")["database_name"].to_list()
        assert store.Record.filter(n__lt=20).count() == 20
        assert "lake_shortcuts" in store.sql("SELECT database_name FROM duckdb_tables()")["database_name"].to_list()


@pytest.mark.usefixtures("_at_once")
def test_only_the_newest_snapshot_is_kept(lake: Lake) -> None:
    with lake.connect() as store, apart(lake) as other:
        for at in range(5):
            (store, other)[at % 2].Record(name=f"r{at}").save()
            assert store.Record.filter(name__startswith="r").count() == at + 1
        made = engine_of(store)._shortcuts
        assert list(made._ready) == [made._snapshot]
        with engine_of(store).aside() as cursor:
            schemas = cursor.execute(
                "SELECT count(*) FROM duckdb_schemas() WHERE database_name = 'lake_shortcuts' AND NOT internal"
            ).fetchall()
        assert schemas == [(1,)]


@pytest.mark.usefixtures("_at_once")
def test_a_transaction_sees_what_it_wrote(lake: Lake) -> None:
    with lake.connect() as store:
        store.Record(name="a").save()
        assert store.Record.all().count() == 1
        with store.transaction():
            store.Record(name="b").save()
            assert store.Record.all().count() == 2
            assert sorted(store.Record.all().to_list("name")) == ["a", "b"]
        assert store.Record.all().count() == 2


@pytest.mark.usefixtures("_at_once")
def test_a_stream_goes_on_while_others_write(lake: Lake) -> None:
    with lake.connect() as store:
        write_everything(store)
        records = store.Record.filter(name__startswith="r").iterator(batch_size=100)
        first = next(records)
        for at in range(3):
            store.Record(name=f"later {at}").save()
            assert store.Record.filter(name__startswith="later").count() == at + 1
        assert len({first.name, *(record.name for record in records)}) == 500


@pytest.mark.usefixtures("_at_once")
def test_a_stream_may_be_given_up_at_any_time(lake: Lake) -> None:
    with lake.connect() as store:
        write_everything(store)
        made = engine_of(store)._shortcuts
        given_up = store.Record.filter(name__startswith="r").iterator(batch_size=100)
        next(given_up)
        store.Record(name="later").save()
        with made._lock:  # as if garbage were collected here
            del given_up
        assert store.Record.filter(name__startswith="r").count() == 500
        assert list(made._ready) == [made._snapshot]
        assert made._uses.total() == 0
        left: Any = store.Record.filter(name__startswith="r").iterator(batch_size=100)
        next(left)
    left.close()


@pytest.mark.usefixtures("_at_once")
def test_a_statement_reads_one_snapshot(lake: Lake) -> None:
    told = "SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM record_annotations)"
    stop = threading.Event()
    seen: set[int] = set()
    wrong: list[tuple[int, ...]] = []

    def read(store: Store) -> None:
        while not stop.is_set():
            engine_of(store).refresh()
            found = engine_of(store).rows(Statement(told, {}, looked=True))[0]
            seen.add(found[0])
            if found[0] != found[1]:
                wrong.append(found)

    with lake.connect() as writer, apart(lake, read_only=True) as reader:
        writer.Feature(name="n", dtype=int).save()
        threads = [threading.Thread(target=read, args=(store,)) for store in (writer, reader, reader)]
        for thread in threads:
            thread.start()
        try:
            for at in range(15):
                with writer.transaction():
                    writer.Record(name=f"r{at}").save().features.add_values({"n": at})
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert not wrong
    assert len(seen) > 2


@pytest.mark.usefixtures("_at_once")
def test_only_files_of_the_lake_are_remembered(lake: Lake) -> None:
    with lake.connect() as store:
        if not store._session.engine._folder.startswith("s3://"):  # type: ignore[attr-defined]
            assert not engine_of(store)._shortcuts._remote
            return
        write_everything(store)
        asked = "SELECT current_setting('enable_http_metadata_cache'), count(*) FROM records"
        engine = engine_of(store)
        engine.refresh()
        assert engine.rows(Statement(asked, {}, looked=True))[0][0] is True
        assert engine.rows(Statement(asked, {}))[0][0] is False
