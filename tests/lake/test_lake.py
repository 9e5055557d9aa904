"""What a lake does beyond the contract: its past, its secrets, other writers."""

from __future__ import annotations

import sqlite3
import threading
import time
import traceback
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.engine import lake as engine
from duckfeat.engine.lake import LakeEngine
from duckfeat.errors import (
    DamagedStore,
    DuckfeatError,
    FieldError,
    InvalidArgument,
    MissingFile,
    NotAStore,
    QueryError,
    ReadOnlyStore,
    StoreLocked,
    Unreachable,
)
from duckfeat.store import Store
from tests.servers import Lake, Lakes, Postgres


def test_a_lake_is_a_store(lake: Lake) -> None:
    with lake.connect() as store:
        dose = store.Feature(name="dose", dtype=float).save()
        record = store.Record(name="r").save()
        record.features.add_values({"dose": 1.5})
        assert store.Record.filter(dose > 1).to_list("name") == ["r"]
        assert store.check().ok
    with lake.connect(read_only=True) as store:
        assert store.Record.get(name="r").features.get_values() == {"dose": 1.5}


@pytest.mark.parametrize("small", [10_000, 0], ids=["small tables in memory", "all read where they are"])
def test_a_check_finds_what_is_broken(lake: Lake, small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SMALL", small)
    with lake.connect() as store:
        store.Record(name="r").save()
        before = newest(store)
        with store.transaction():
            for _ in range(2):
                store._session.engine.write("INSERT INTO links VALUES ('records.ulabels', 1, 1, 1)")
            assert list(store.check().failures) == ["link_is_current_once"]
        assert store.check().failures["link_is_current_once"]["times"].to_list() == [2]
        with store.at(version=before) as past:
            assert past.check().ok
        with store.transaction():
            store._session.engine.write("INSERT INTO link_removals VALUES ('records.ulabels', 1, 1, 2)")
        assert store.check().ok
        assert store.sql("SELECT count(*) FROM duckdb_tables() WHERE temporary").item() == 0


def newest(store: Store) -> int:
    return int(store.versions()["version"].to_list()[-1])


def test_the_past_can_be_read(lake: Lake) -> None:
    with lake.connect() as store:
        store.Feature(name="dose", dtype=float).save()
        record = store.Record(name="r").save()
        record.features.add_values({"dose": 1.5})
        first = newest(store)
        time.sleep(0.01)
        moment = datetime.now(UTC)
        time.sleep(0.01)
        record.features.update_values({"dose": 2.5})
        store.Record(name="later").save()
        for past in (store.at(version=first), store.at(timestamp=moment)):
            with past:
                assert past.Record.all().to_list("name") == ["r"]
                assert past.Record.get(name="r").features.get_values() == {"dose": 1.5}
                with pytest.raises(ReadOnlyStore):
                    past.Record(name="x").save()
        assert sorted(store.Record.all().to_list("name")) == ["later", "r"]


def test_the_past_is_backed_up_and_exported(lake: Lake, tmp_path: Path) -> None:
    with lake.connect() as store:
        store.ULabel(name="early").save()
        moment = newest(store)
        store.ULabel(name="late").save()
        with store.at(version=moment) as past:
            backup = past.backup(tmp_path / "backup.duckdb")
            assert past.export(tmp_path / "exported")["ulabels"] == 1
    with dft.restore(backup) as restored:
        assert restored.ULabel.all().to_list("name") == ["early"]
    with dft.import_(tmp_path / "exported") as imported:
        assert imported.ULabel.all().to_list("name") == ["early"]


def test_a_lake_that_holds_something_is_not_filled(lake: Lake, tmp_path: Path) -> None:
    with lake.connect() as store:
        store.ULabel(name="a").save()
        backup = store.backup(tmp_path / "backup.duckdb")
    with pytest.raises(InvalidArgument, match="only a file can be overwritten"):
        dft.restore(backup, lake.url, overwrite=True, **lake.options)
    with pytest.raises(InvalidArgument, match="not empty"):
        dft.restore(backup, lake.url, **lake.options)
    with lake.connect() as store:
        assert store.ULabel.all().to_list("name") == ["a"]
        with pytest.raises(InvalidArgument, match="a path is needed"):
            store.backup("ducklake:sqlite:backup")


def test_a_past_that_is_not_there(lake: Lake) -> None:
    with lake.connect() as store:
        with pytest.raises(InvalidArgument, match="version or a timestamp"):
            store.at()
        with pytest.raises(InvalidArgument, match="no such version"):
            store.at(version=10**6)
        with pytest.raises(InvalidArgument, match="no such version"):
            store.at(timestamp=datetime(2001, 1, 1))
        with pytest.raises(InvalidArgument, match="another schema"):
            store.at(version=0)


@pytest.mark.parametrize("version", ["x", "1", True, 2.7, -1, 2**64])
def test_a_version_is_a_whole_number(lakes: Lakes, version: Any) -> None:
    with lakes.make("lake-sqlite").connect() as store, pytest.raises(InvalidArgument, match="version is a whole"):
        store.at(version=version)


@pytest.mark.parametrize("moment", ["soon", "", 5, True, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))])
def test_a_moment_is_a_datetime(lakes: Lakes, moment: Any) -> None:
    with lakes.make("lake-sqlite").connect() as store, pytest.raises(InvalidArgument, match="timestamp is a datetime"):
        store.at(timestamp=moment)


def test_a_moment_may_be_told_as_text_or_day(lakes: Lakes) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with lakes.make("lake-sqlite").connect() as store:
        store.ULabel(name="a").save()
        for moment in (tomorrow, tomorrow.isoformat(), tomorrow.date(), tomorrow.date().isoformat()):
            with store.at(timestamp=moment) as past:
                assert past.ULabel.count() == 1
        for moment in (date(2001, 1, 1), "2001-01-01", "2001-01-01T00:00:00+02:00"):
            with pytest.raises(InvalidArgument, match="no such version"):
                store.at(timestamp=moment)


@pytest.mark.parametrize(
    ("made", "error", "said"),
    [
        (None, MissingFile, "there is no folder"),
        ("folder", InvalidArgument, "is a folder"),
        ("text", NotAStore, "not a SQLite database"),
        ("duckdb", NotAStore, "not a SQLite database"),
        ("another program's", NotAStore, "of another program, and was left as it is: it holds people"),
        ("cut short", DamagedStore, "damaged"),
    ],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_catalog_is_left_as_it_is(
    made: str | None, error: type[DuckfeatError], said: str, read_only: bool, tmp_path: Path, lakes: Lakes
) -> None:
    path = tmp_path / "none" / "x.sqlite" if made is None else tmp_path / "x.sqlite"
    if made == "folder":
        path.mkdir()
    elif made == "text":
        path.write_text("hello" * 100, encoding="utf-8")
    elif made == "duckdb":
        dft.connect(path, default=False).close()
    elif made == "another program's":
        with sqlite3.connect(path) as catalog:
            catalog.execute("CREATE TABLE people (name)")
        catalog.close()
    elif made == "cut short":
        whole = lakes.make("lake-sqlite").url.removeprefix("ducklake:sqlite:")
        path.write_bytes(Path(whole).read_bytes()[:5000])
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(error, match=said) as caught:
        dft.connect(f"ducklake:sqlite:{path}", default=False, read_only=read_only)
    assert str(path.parent) in str(caught.value)
    assert before == (path.read_bytes() if path.is_file() else None)
    assert not Path(f"{path}.files").exists()


def test_a_database_of_postgresql_may_hold_other_tables(postgres: Postgres, tmp_path: Path) -> None:
    database = postgres.create()
    postgres.sql("CREATE TABLE records (id int); INSERT INTO records VALUES (7)", database)
    lake = Lake(
        f"ducklake:postgres:{postgres.address(database)}",
        {"data_path": tmp_path / "files", "password": postgres.password},
    )
    for _ in range(2):
        with lake.connect() as store:
            store.Record(name="r").save()
            assert store.check().ok
            assert store.Record.count() == 1
    assert postgres.sql("SELECT id FROM records", database).split() == ["7"]
    names = postgres.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database).split()
    assert [name for name in names if not name.startswith("ducklake_")] == ["records"]


@pytest.mark.parametrize("password", [5, b"x"])
def test_a_password_is_a_text(password: Any) -> None:
    with pytest.raises(InvalidArgument, match="password is a text"):
        dft.connect("ducklake:postgres:dbname=x", default=False, password=password)


def test_compacting_keeps_everything(lake: Lake) -> None:
    with lake.connect() as store:
        store.Feature(name="dose", dtype=int, multiple=True).save()
        for start in range(3):
            names = [f"r{at}" for at in range(300)]
            frame = pl.DataFrame({"name": names, "dose": [at + start for at in range(300)]})
            store.annotate(frame, key="name", create=True)
        before = store.Record.all().pl(features=True).sort("name")
        versions = store.versions()
        with store.at(version=newest(store)) as past:
            store.compact()
            assert past.Record.count() == 300
        assert store.Record.all().pl(features=True).sort("name").equals(before)
        files = "SELECT count(*) FROM ducklake_list_files('store', 'record_annotations')"
        assert store.sql(files, trusted=True).item() == 1
        store.compact(expire=timedelta(0), grace=timedelta(0))
        assert store.Record.all().pl(features=True).sort("name").equals(before)
        assert len(store.versions()) < len(versions)
        assert store.check().ok
        with pytest.raises(InvalidArgument, match="expire is a timedelta"):
            store.compact(expire=3)  # type: ignore[arg-type]
        with store.transaction(), pytest.raises(InvalidArgument, match="inside a transaction"):
            store.compact()


def test_two_stores_notice_each_other(lake: Lake) -> None:
    with lake.connect() as store, Store(lake.url, **lake.options) as other:
        store.Feature(name="dose", dtype=float).save()
        dose = other.Feature.get(name="dose")
        value, created = other.FeatureValue.get_or_create(dose, 1.5)
        assert created
        mine, created = store.FeatureValue.get_or_create(store.Feature.get(name="dose"), 1.5)
        assert (mine.id, created) == (value.id, False)
        other.Record(name="sample one").save()
        assert store.Record.search("sample").to_list("name") == ["sample one"]
        other.Record(name="sample two").save()
        assert set(store.Record.search("sample").to_list("name")) == {"sample one", "sample two"}
        dose.name = "amount"
        dose.save()
        store.Record.get(name="sample one").features.add_values({"amount": 1.5})
        assert other.Record.filter(amount=1.5).to_list("name") == ["sample one"]
        other.FeatureValue.get(value.id).delete(permanent=True)
        again, created = store.FeatureValue.get_or_create(store.Feature.get(name="amount"), 1.5)
        assert created
        assert again.id != value.id
        assert store.check().ok


def test_questions_look_once_at_what_others_wrote(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look asks the catalog: narrowing a question takes one only for what is not known yet."""
    looks = []
    look = LakeEngine._look

    def counted(engine: LakeEngine) -> None:
        looks.append(engine.url)
        look(engine)

    monkeypatch.setattr(LakeEngine, "_look", counted)
    with lake.connect() as store, Store(lake.url, **lake.options) as other:
        store.Feature(name="tissue", dtype=str).save()
        assert other.Record.filter(tissue="lung").count() == 0
        store.Feature(name="dose", dtype=float).save()
        looks.clear()
        assert other.Record.filter(dose__gt=1).exclude(dose=5).filter(name="a").count() == 0
        assert len(looks) == 2  # before, the feature was not known to this store
        looks.clear()
        assert other.Record.filter(dose__gt=1).exclude(dose=5).filter(name="a").count() == 0
        assert len(looks) == 1
        looks.clear()
        with pytest.raises(FieldError, match="did you mean 'dose'"):
            other.Record.filter(dosis=1)
        assert len(looks) == 1


def test_a_lake_that_is_not_there(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="no lake"):
        Lake(f"ducklake:sqlite:{tmp_path}/none.sqlite", {}).connect(read_only=True)
    with lake.connect():
        pass
    with pytest.raises(InvalidArgument, match="keeps its files in"):
        Lake(lake.url, {**lake.options, "data_path": str(tmp_path)}).connect()


def test_secrets_are_in_no_text(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    hidden = [str(lake.options.get("password")), *map(str, lake.options.get("s3", {}).values())]
    texts: list[str] = []
    with lake.connect() as store, store.trace(lambda sql, params: texts.append(f"{sql} {params}")):
        store.ULabel(name="a").save()
        with pytest.raises(StoreLocked) as caught:
            lake.connect(threads=1)
        texts += [repr(store), store.url, str(caught.value), repr(caught.value.facts)]
        texts += [
            str(store.sql(f"FROM {view}()", trusted=True).rows()) for view in ("duckdb_secrets", "duckdb_databases")
        ]
        with pytest.raises(QueryError) as refused:
            store.sql("SELECT * FROM nowhere")
        texts.append(str(refused.value))
    wrong = Lake(lake.url.replace("dbname=", "dbname=no"), lake.options)
    if wrong != lake:
        with pytest.raises(Unreachable) as unreachable:
            wrong.connect()
        texts += traceback.format_exception(unreachable.value)
    seen = "\n".join([*texts, caplog.text])
    assert not [secret for secret in hidden if secret not in {"None", "lake", "us-east-1"} and secret in seen]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"s3": {"secret": "hush"}}, "the object store refuses the keys, or does not let them do this: see key_id"),
        ({"s3": {"key_id": "nobody", "secret": "hush"}}, "the object store refuses the keys"),
        ({"data_path": "s3://no-such-bucket/x"}, "the object store has no such bucket or file: see data_path"),
        ({"s3": {"endpoint": "http://127.0.0.1:1"}}, "the object store cannot be reached: see endpoint"),
    ],
)
def test_an_object_store_that_cannot_be_used_is_told_with_what_to_look_at(
    options: dict[str, Any], said: str, lakes: Lakes
) -> None:
    lake = lakes.none_yet("lake-s3")
    given = {**lake.options, **options, "s3": {**lake.options["s3"], **options.get("s3", {})}}
    with pytest.raises(Unreachable, match=said) as unreachable:
        Lake(lake.url, given).connect()
    assert "hush" not in repr((str(unreachable.value), unreachable.value.facts))
    with lake.connect() as store:
        assert store.check().ok


def test_closing_waits_for_a_transaction_of_another_thread(lake: Lake) -> None:
    store = lake.connect()
    begun, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with store.transaction():
            store.ULabel(name="a").save()
            begun.set()
            go_on.wait(60)

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(60)
    closing = threading.Thread(target=store.close)
    closing.start()
    go_on.set()
    writer.join()
    closing.join()
    with lake.connect(read_only=True) as again:
        assert again.ULabel.all().to_list("name") == ["a"]
