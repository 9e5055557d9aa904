"""A file that a store is open in is neither written over nor opened a second time, whatever name it is given."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

import duckfeat as dft
from duckfeat.engine import backups
from duckfeat.errors import DuckfeatError, InvalidArgument, StoreLocked
from duckfeat.store import Store


def names(path: Path) -> list[str]:
    with dft.connect(path, default=False) as store:
        return sorted(store.ULabel.all().to_list("name"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.duckdb"


@pytest.fixture
def held(path: Path) -> Store:
    """A store with something in its file, and something in its log."""
    with dft.connect(path, default=False) as store:
        store.ULabel(name="kept").save()
        store.backup(path.with_name("backup.duckdb"))
        store.export(path.with_name("export"))
    store = dft.connect(path, default=False)
    store.ULabel(name="acknowledged").save()
    return store


def called(path: Path, name: str) -> Path:
    """Return another name of a file."""
    other = path.with_name("other.duckdb")
    if name == "its own":
        return path
    other.symlink_to(path) if name == "a symlink" else os.link(path, other)
    return other


OVER: dict[str, Callable[[Store, Path, Path], object]] = {
    "backup": lambda store, folder, target: store.backup(target, overwrite=True),
    "restore": lambda store, folder, target: dft.restore(folder / "backup.duckdb", target, overwrite=True),
    "import": lambda store, folder, target: dft.import_(folder / "export", target, overwrite=True),
    "export": lambda store, folder, target: store.export(target),
    "move": lambda store, folder, target: dft.move(folder / "backup.duckdb", target),
}


@pytest.mark.parametrize("idle", [False, True], ids=["taken", "given back"])
@pytest.mark.parametrize("name", ["its own", "a symlink", "a hard link"])
@pytest.mark.parametrize("over", OVER)
def test_nothing_is_written_over_an_open_store(held: Store, path: Path, over: str, name: str, idle: bool) -> None:
    target = called(path, name)
    if idle:
        held._session.engine._lease.give_back()  # type: ignore[attr-defined]
    with pytest.raises((InvalidArgument, StoreLocked), match=r"own file|open in this process|exists"):
        OVER[over](held, path.parent, target)
    held.ULabel(name="later").save()
    held.close()
    assert names(path) == ["acknowledged", "kept", "later"]
    assert not [file for file in path.parent.iterdir() if "partial" in file.name]


def test_a_backup_goes_over_no_other_open_store(held: Store, path: Path, store: Store) -> None:
    with pytest.raises(StoreLocked, match="open in this process: close it first"):
        store.backup(path, overwrite=True)
    with pytest.raises(StoreLocked, match="close it first"):
        dft.move(path, path.with_name("moved.duckdb"))
    with pytest.raises(StoreLocked, match="close it first"):
        dft.restore(path)
    held.ULabel(name="later").save()
    held.close()
    assert names(path) == ["acknowledged", "kept", "later"]
    store.backup(path, overwrite=True)
    assert names(path) == []


@pytest.mark.parametrize("ending", ["wal", "owner", "waiting"])
def test_a_backup_goes_over_nothing_of_an_open_store(held: Store, path: Path, ending: str) -> None:
    beside = Path(f"{path}.{ending}")
    before = beside.read_bytes() if beside.exists() else None
    with pytest.raises(InvalidArgument, match="belongs to the store"):
        held.backup(beside, overwrite=True)
    assert (beside.read_bytes() if beside.exists() else None) == before
    held.close()


def test_a_store_that_is_open_for_reading_may_be_read_from(held: Store, path: Path) -> None:
    held.close()
    with dft.connect(path, read_only=True, default=False) as reading:
        with dft.restore(path, default=False) as restored:
            assert restored.ULabel.count() == 2
        assert dft.move(path, path.with_name("moved.duckdb"))["ulabels"] == 2
        assert reading.ULabel.count() == 2


def test_two_hard_links_are_one_store(held: Store, path: Path) -> None:
    other = called(path, "a hard link")
    assert dft.connect(other, default=False) is held
    with pytest.raises(StoreLocked, match=r"with other options \(none, now asked for: read_only=True\): close it"):
        dft.connect(other, read_only=True)
    with pytest.raises(StoreLocked, match="open in this process as"):
        Store(other)
    held.close()
    assert names(other) == ["acknowledged", "kept"]


HOLD = """
import sys
import duckfeat as dft
with dft.connect(sys.argv[1], idle_release=None) as store:
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("what", ["backup", "restore", "import", "the source"])
def test_who_has_a_store_is_told(held: Store, what: str, tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(other)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        acts: dict[str, Callable[[], object]] = {
            "backup": lambda: held.backup(other, overwrite=True),
            "restore": lambda: dft.restore(tmp_path / "backup.duckdb", other, overwrite=True, lock_timeout=0.2),
            "import": lambda: dft.import_(tmp_path / "export", other, overwrite=True, lock_timeout=0.2),
            "the source": lambda: dft.restore(other, tmp_path / "new.duckdb", lock_timeout=0.2),
        }
        with pytest.raises(StoreLocked, match=f"is in use by process {process.pid} ") as raised:
            acts[what]()
        assert ("within 0.2 s" in str(raised.value)) == (what != "backup")
        process.communicate("\n")
    held.close()
    assert names(other) == []
    assert not (tmp_path / "new.duckdb").exists()


def test_a_store_that_is_given_back_in_time_is_read(held: Store, path: Path, tmp_path: Path) -> None:
    held.close()
    idle = HOLD.replace("idle_release=None", "idle_release=60")
    with subprocess.Popen(
        [sys.executable, "-c", idle, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        with dft.restore(path, tmp_path / "new.duckdb", lock_timeout=20, default=False) as restored:
            assert restored.ULabel.count() == 2
        process.communicate("\n")


def test_a_note_of_a_process_that_was_killed_says_nothing(held: Store, path: Path) -> None:
    from duckfeat.engine import owner

    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
    noted = owner.owner(str(path))
    assert owner.living_owner(str(path)) == noted
    file = owner.owner_file(str(path))
    file.write_text(file.read_text().replace(str(os.getpid()), str(process.pid)))
    assert owner.living_owner(str(path)) == {}
    held.close()


def test_what_was_attached_is_let_go_when_a_copy_is_broken_off(tmp_path: Path) -> None:
    def copy(connection: duckdb.DuckDBPyConnection) -> None:
        with backups.attached(connection, f"{tmp_path}/a.duckdb", "a", "READ_WRITE"):
            connection.execute("BEGIN")
            connection.execute("CREATE TABLE a.t AS FROM range(10)")
            raise KeyboardInterrupt

    with duckdb.connect(":memory:") as connection:
        with pytest.raises(KeyboardInterrupt):
            copy(connection)
        assert not connection.execute("SELECT 1 FROM duckdb_databases() WHERE database_name = 'a'").fetchall()


KILLED = """
import os, sys
import duckfeat as dft
from duckfeat.engine import backups
backups.synced = lambda path: os.kill(os.getpid(), 9)
what, source, target = sys.argv[1:]
if what == "restore":
    dft.restore(source, target)
if what == "import":
    dft.import_(source, target)
if what == "move":
    dft.move(source, target)
store = dft.connect(source)
store.backup(target) if what == "backup" else store.export(target)
"""


@pytest.mark.parametrize("what", ["backup", "export", "restore", "import", "move"])
def test_what_a_killed_process_has_left_goes_with_the_next(held: Store, path: Path, tmp_path: Path, what: str) -> None:
    held.close()
    source, target = path, tmp_path / "new" / "target.duckdb"
    target.parent.mkdir()
    if what == "import":
        source = tmp_path / "export"
    killed = subprocess.run([sys.executable, "-c", KILLED, what, str(source), str(target)], check=False)
    assert killed.returncode == -9
    assert len([file for file in target.parent.iterdir() if file.name.endswith(".partial")]) == 1
    assert not target.exists()
    if what == "restore":
        dft.restore(source, target).close()
    elif what == "import":
        dft.import_(source, target).close()
    elif what == "move":
        dft.move(source, target)
    else:
        with dft.connect(source) as store:
            store.backup(target) if what == "backup" else store.export(target)
    assert [file.name for file in target.parent.iterdir()] == ["target.duckdb"]


def test_errors_are_ours(held: Store, path: Path) -> None:
    with pytest.raises(DuckfeatError):
        dft.restore(path.with_name("y" * 300), default=False)
    held.close()
