"""Backups and exports hold all that a store holds, at one moment, and come back as they were."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

import duckfeat as dft
from duckfeat.engine import backups
from duckfeat.errors import (
    DuckfeatError,
    IntegrityError,
    InvalidArgument,
    MissingFile,
    NotAStore,
    SchemaVersionError,
    StoreLocked,
)
from duckfeat.store import Store


def tables(store: Store) -> dict[str, list[str]]:
    """Return every row of every table, as text so that NaN equals itself."""
    names = store.sql("SELECT table_name FROM duckdb_tables() WHERE database_name = 'store'")["table_name"]
    return {name: sorted(str(row) for row in store.sql(f'FROM "{name}"').rows()) for name in names}


@pytest.fixture
def full(file_store: Store) -> Store:
    """A store with something in every kind of column."""
    store = file_store
    dtypes = {
        "int": 1,
        "float": float("nan"),
        "str": "a\0'\"",
        "bool": True,
        "date": date(2020, 1, 1),
        "dict": {"a": [1]},
    }
    store.save([store.Feature(name=name, dtype=name) for name in dtypes])
    store.save([store.Feature(name="at", dtype="datetime"), store.Feature(name="tags", dtype=str, multiple=True)])
    with store.track("ingest.py"):
        label = store.ULabel(name="blood").save()
        record = store.Record(
            name="s1", features={**dtypes, "at": datetime(2020, 1, 1, tzinfo=UTC), "tags": ["a", "b"]}
        )
        record.save().ulabels.add(label)
        record.features.remove_values("int")
        store.Artifact("s3://bucket/a.parquet", key="a.parquet").save()
    store.Record(name="gone").save().delete()
    store.Record(name="for good").save().delete(permanent=True)
    store.Branch(name="draft").save()
    return store


def test_a_backup_is_the_store(full: Store, tmp_path: Path) -> None:
    path = full.backup(tmp_path / "backup.duckdb")
    with dft.connect(path, read_only=True) as copy:
        assert tables(copy) == tables(full)
        assert copy.check().ok
    assert sorted(file.name for file in tmp_path.iterdir() if "backup" in file.name) == ["backup.duckdb"]


def test_a_backup_of_memory(store: Store, tmp_path: Path) -> None:
    store.ULabel(name="a").save()
    with dft.connect(store.backup(tmp_path / "backup.duckdb")) as copy:
        assert copy.ULabel.all().to_list("name") == ["a"]


def test_a_backup_shows_what_is_committed_while_others_write(full: Store, tmp_path: Path) -> None:
    before = tables(full)
    with full.transaction():
        full.ULabel(name="not yet").save()
        copied = threading.Thread(target=full.backup, args=(tmp_path / "backup.duckdb",))
        copied.start()
        copied.join()
    with dft.connect(tmp_path / "backup.duckdb", read_only=True) as copy:
        assert tables(copy) == before


def test_several_threads_back_up_at_once(full: Store, tmp_path: Path) -> None:
    places = [tmp_path / f"backup{n}.duckdb" for n in range(4)]
    with ThreadPoolExecutor(len(places)) as pool:
        list(pool.map(full.backup, places))
    for place in places:
        with duckdb.connect(str(place), read_only=True) as copy:
            assert copy.sql("SELECT count(*) FROM records").fetchall() == [(full.Record.filter(branch=None).count(),)]


def test_nothing_is_overwritten_unless_told(full: Store, tmp_path: Path) -> None:
    path = tmp_path / "backup.duckdb"
    path.write_text("precious")
    with pytest.raises(InvalidArgument, match="exists"):
        full.backup(path)
    assert path.read_text() == "precious"
    full.backup(path, overwrite=True)
    with pytest.raises(InvalidArgument, match="exists"):
        dft.restore(path, path)
    with dft.restore(path, tmp_path / "restored.duckdb") as restored:
        assert tables(restored) == tables(full)


@pytest.mark.parametrize("place", ["missing/backup.duckdb", ":memory:", "", "a\0b", "ducklake:sqlite:x"])
def test_a_backup_needs_a_place(store: Store, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DuckfeatError):
        store.backup(place)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_fails_leaves_nothing(full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "quoted", lambda path: f"'{path}' oops")
    with pytest.raises(DuckfeatError):
        full.backup(tmp_path / "backup.duckdb")
    assert not [file for file in tmp_path.iterdir() if "backup" in file.name]


def test_restore_brings_back_the_store(full: Store, tmp_path: Path) -> None:
    backup = full.backup(tmp_path / "backup.duckdb")
    expected = tables(full)
    with pytest.raises(StoreLocked, match="open in this process"):
        dft.restore(backup, full.url, overwrite=True)
    with dft.restore(backup) as memory:
        assert tables(memory) == expected
        assert memory.Record(name="next").save().id == 4
    with dft.restore(backup, tmp_path / "restored.duckdb", read_only=True) as restored:
        assert tables(restored) == expected


def test_a_damaged_store_is_replaced_by_its_backup(tmp_path: Path) -> None:
    path = tmp_path / "features.duckdb"
    with dft.connect(path) as store:
        store.ULabel(name="a").save()
        backup = store.backup(tmp_path / "backup.duckdb")
    path.write_bytes(b"\xff" * 100_000)
    Path(f"{path}.wal").write_bytes(b"\xff" * 100)
    with dft.restore(backup, path, overwrite=True) as restored:
        assert restored.ULabel.all().to_list("name") == ["a"]


def test_what_is_no_backup(tmp_path: Path) -> None:
    text, other = tmp_path / "text.duckdb", tmp_path / "other.duckdb"
    text.write_text("hello")
    duckdb.connect(str(other)).execute("CREATE TABLE t AS SELECT 1").close()
    for backup, error in ((tmp_path / "missing.duckdb", MissingFile), (text, NotAStore), (other, NotAStore)):
        with pytest.raises(error):
            dft.restore(backup, tmp_path / "restored.duckdb")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other.duckdb", "text.duckdb"]
    with pytest.raises(InvalidArgument, match="only a file"):
        dft.restore(text, overwrite=True)


# --- export and import ---------------------------------------------------------------------------


def test_an_export_comes_back_row_by_row(full: Store, tmp_path: Path) -> None:
    counts = full.export(tmp_path / "export")
    expected = tables(full)
    assert counts == {name: len(rows) for name, rows in expected.items()}
    assert (tmp_path / "export" / "records.parquet").is_file()
    assert "CREATE TABLE records" in (tmp_path / "export" / "schema.sql").read_text()
    with dft.import_(tmp_path / "export", tmp_path / "imported.duckdb") as imported:
        assert tables(imported) == expected
        assert imported.Record.get(name="s1").features.get_values()["tags"] == ["a", "b"]
    with dft.import_(tmp_path / "export") as memory:
        assert tables(memory) == expected
        with pytest.raises(InvalidArgument, match="not empty"):
            memory.import_(tmp_path / "export")
        assert tables(memory) == expected


def test_an_empty_store_is_filled_and_notices(full: Store, tmp_path: Path) -> None:
    full.export(tmp_path / "export")
    with dft.connect(tmp_path / "empty.duckdb") as store:
        assert store.Feature.count() == 0
        store.import_(tmp_path / "export")
        assert store.Record.filter(bool=True).to_list("name") == ["s1"]
        assert store.ULabel(name="next").save().id == 2
        assert store.user is not None


def test_an_export_does_not_overwrite(full: Store, tmp_path: Path) -> None:
    full.export(tmp_path / "export")
    with pytest.raises(InvalidArgument, match="exists"):
        full.export(tmp_path / "export")


def _without_a_table(folder: Path) -> None:
    (folder / "records.parquet").unlink()


def _with_fewer_rows(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tables"]["records"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _with_other_columns(folder: Path) -> None:
    with duckdb.connect() as other:
        other.sql("SELECT 1 AS x").write_parquet(str(folder / "artifacts.parquet"))


def _of_a_newer_program(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["migrations"].append({"version": 999, "name": "later", "checksum": "x"})
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _with_a_hostile_table(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tables"]['records" CASCADE; --'] = 0
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _with_no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _with_a_broken_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[]")


def _with_a_broken_file(folder: Path) -> None:
    (folder / "records.parquet").write_text("no Parquet")


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (_without_a_table, MissingFile),
        (_with_fewer_rows, IntegrityError),
        (_with_other_columns, NotAStore),
        (_of_a_newer_program, SchemaVersionError),
        (_with_a_hostile_table, NotAStore),
        (_with_no_manifest, MissingFile),
        (_with_a_broken_manifest, NotAStore),
        (_with_a_broken_file, DuckfeatError),
    ],
)
def test_what_is_no_whole_export(full: Store, tmp_path: Path, broken: Any, error: type[DuckfeatError]) -> None:
    folder = tmp_path / "export [1]*"
    full.export(folder)
    broken(folder)
    with pytest.raises(error):
        dft.import_(folder, tmp_path / "imported.duckdb")
    with pytest.raises(error):
        dft.import_(folder)
    assert not (tmp_path / "imported.duckdb").exists()
