"""Old stores are migrated, all or nothing and with a copy beside them; new and altered ones are refused."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

import duckfeat as dft
from duckfeat.engine import migrations
from duckfeat.engine.resources import Migration
from duckfeat.engine.resources import migrations as known
from duckfeat.errors import DuckfeatError, ReadOnlyStore, SchemaVersionError
from duckfeat.model.kinds import value_hash
from tests.data.previous import NAMES, SCHEMAS, file_of, values_in


@pytest.fixture(params=SCHEMAS)
def schema(request: pytest.FixtureRequest) -> int:
    """The schema of a previous version."""
    return int(request.param)


@pytest.fixture
def old(tmp_path: Path, schema: int) -> Path:
    """A file that a previous version wrote."""
    path = tmp_path / "features.duckdb"
    path.write_bytes(gzip.decompress(file_of(schema).read_bytes()))
    return path


def changed(path: Path, sql: str) -> None:
    with duckdb.connect(str(path)) as other:
        other.execute(sql)


def test_a_file_of_a_previous_version_opens_with_all_that_was_in_it(old: Path, schema: int) -> None:
    before = old.read_bytes()
    values = values_in(schema)
    with dft.connect(old) as store:
        assert store.check().ok
        assert store.Record.all().order_by("id").to_list("name") == NAMES
        for record in store.Record.all():
            assert repr(record.features.get_values()) == repr(values)  # minus zero equals zero
            assert record.ulabels.all().to_list("name") == ["blood"]
        assert set(store.Record.all().values_list("run__transform__key", flat=True)) == {"previous.py"}
        assert store.Gene.count() == 0
        assert store.Record(name="new", features=values).save().id == len(NAMES) + 1
    backup = Path(f"{old}.schema{schema}.backup")
    with duckdb.connect(str(backup), read_only=True) as other:
        assert other.sql("SELECT max(version) FROM schema_migrations").fetchall() == [(schema,)]
        assert other.sql("SELECT count(*) FROM records").fetchall() == [(len(NAMES),)]
    after = old.read_bytes()
    dft.connect(old).close()
    assert len(after) == len(old.read_bytes()) != len(before)


def test_a_backup_of_a_previous_version_is_restored_and_migrated(old: Path, tmp_path: Path) -> None:
    with dft.restore(old, tmp_path / "restored.duckdb") as restored:
        assert restored.Record.count() == len(NAMES)
        assert restored.check().ok
    with dft.restore(old) as memory:
        assert memory.Record.count() == len(NAMES)


def test_reading_only_migrates_nothing(old: Path) -> None:
    before = old.read_bytes()
    with pytest.raises(ReadOnlyStore, match=r"needs migrating to schema \d+: open it once .* duckfeat.restore\(\)"):
        dft.connect(old, read_only=True)
    assert old.read_bytes() == before


def test_a_store_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "features.duckdb"
    dft.connect(path).close()
    newest = known()[-1].version
    changed(path, "INSERT INTO schema_migrations SELECT max(version) + 1, 'later', 'x', now() FROM schema_migrations")
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(SchemaVersionError, match="install a newer duckfeat") as caught:
            dft.connect(path, read_only=read_only)
        assert (caught.value.facts["version"], caught.value.facts["known"]) == (newest + 1, newest)
    assert path.read_bytes() == before


def test_an_altered_migration_is_refused(old: Path) -> None:
    changed(old, "UPDATE schema_migrations SET checksum = 'x' WHERE version = 2")
    with pytest.raises(SchemaVersionError, match=r"migration 2 \(values\) is not the one"):
        dft.connect(old)


def test_a_migration_that_fails_changes_nothing(old: Path, schema: int, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [*known()[:schema], Migration(schema + 1, "broken", "CREATE TABLE half (a INT); SELECT * FROM nowhere")]
    monkeypatch.setattr(migrations, "migrations", lambda: tuple(broken))
    with pytest.raises(DuckfeatError, match="nowhere"):
        dft.connect(old)
    monkeypatch.undo()
    with dft.connect(old) as store:
        assert store.sql("SELECT count(*) AS n FROM duckdb_tables() WHERE table_name = 'half'")["n"].item() == 0
        assert store.Record.count() == len(NAMES)


def test_processes_that_open_an_old_file_at_once_migrate_it_once(old: Path, schema: int) -> None:
    code = "import sys, duckfeat as dft; s = dft.connect(sys.argv[1]); print(s.Record.count(), s.check().ok)"
    command = [sys.executable, "-c", code, str(old)]
    opening = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    told = [process.communicate(timeout=120) for process in opening]
    assert told == [(f"{len(NAMES)} True\n", "")] * len(opening)
    assert sorted(place.name for place in old.parent.iterdir()) == [old.name, f"{old.name}.schema{schema}.backup"]


def test_values_are_the_same_when_the_program_is_killed_after_a_migration(old: Path, schema: int) -> None:
    code = "import os, sys, duckfeat as dft; dft.connect(sys.argv[1]); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(old)], check=True)
    assert Path(f"{old}.wal").exists()
    for _ in range(2):  # as the log is replayed, and from the file
        with dft.connect(old) as store:
            assert {repr(record.features.get_values()) for record in store.Record.all()} == {repr(values_in(schema))}
            found = store.sql("SELECT value, hash FROM feature_values WHERE kind = 'float' ORDER BY id").rows()
            assert found == [
                (str(value), value_hash("float", value))
                for value in values_in(schema).values()
                if isinstance(value, float)
            ]
            assert store.Record.pl(features=True)["dose"].to_list() == [2.5] * len(NAMES)


TAKEN: dict[str, Callable[[Path], object]] = {
    "text": lambda place: place.write_text("mine"),
    "folder": lambda place: place.mkdir(),
    "another store": lambda place: dft.connect(place, default=False).close(),
    "a log": lambda place: Path(f"{place}.wal").write_text("mine"),
    "an older copy": lambda place: shutil.copy(old_with(place.parent, "UPDATE records SET name = 'mine'"), place),
}


def old_with(folder: Path, sql: str) -> Path:
    other = folder / "other.duckdb"
    shutil.copy(folder / "features.duckdb", other)
    changed(other, sql)
    return other


@pytest.mark.parametrize("taken", TAKEN)
def test_nothing_is_written_over_by_the_copy_before_a_migration(old: Path, schema: int, taken: str) -> None:
    place = Path(f"{old}.schema{schema}.backup")
    TAKEN[taken](place)
    files = {file: file.read_bytes() for file in old.parent.iterdir() if file.is_file() and file != old}
    with dft.connect(old) as store:
        assert store.Record.all().order_by("id").to_list("name") == NAMES
    assert {file: file.read_bytes() for file in files} == files
    with dft.restore(f"{place}2") as restored:
        assert restored.Record.all().order_by("id").to_list("name") == NAMES


def test_a_copy_that_was_left_before_a_migration_will_do(old: Path, schema: int) -> None:
    before, backup = old.read_bytes(), Path(f"{old}.schema{schema}.backup")
    dft.connect(old).close()
    left = backup.stat().st_mtime_ns
    old.write_bytes(before)  # as if the migration had been killed
    dft.connect(old).close()
    assert backup.stat().st_mtime_ns == left
    assert sorted(place.name for place in old.parent.iterdir()) == [old.name, backup.name]


def test_a_store_with_a_long_name_is_migrated(old: Path, schema: int) -> None:
    long = old.rename(old.with_name("x" * 244 + ".duckdb"))
    with dft.connect(long) as store:
        assert store.Record.count() == len(NAMES)
    (backup,) = (place for place in old.parent.iterdir() if place != long)
    assert backup.name.startswith("x" * 40 + ".")
    assert backup.name.endswith(f".schema{schema}.backup")
