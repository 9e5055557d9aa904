"""A file is made small: what it holds stays as it is, whoever reads, waits, fails or is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

import duckfeat as dft
from duckfeat.engine import embedded, rewriting
from duckfeat.engine.recovery import attaching
from duckfeat.errors import DuckfeatError, IntegrityError, InvalidArgument, ReadOnlyStore, StoreLocked
from duckfeat.model.statement import Statement
from duckfeat.registries.expiring import dropping
from duckfeat.store import Store
from tests.counting import row_counts

ROOT = Path(__file__).resolve().parents[3]
NOW = timedelta(0)
ROWS = 20_000


def fill(store: Store) -> None:
    """Give records values that are replaced again and again, so that most of the file is of the past."""
    store.Feature(name="dose", dtype=float).save()
    for round_ in range(8):
        frame = pl.DataFrame({"name": [f"r{n}" for n in range(ROWS)], "dose": [n + round_ / 8 for n in range(ROWS)]})
        store.annotate(frame, key="name", create=True, mode="update")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file that is mostly of the past."""
    path = tmp_path_factory.mktemp("filled") / "features.duckdb"
    with dft.connect(path, default=False) as store:
        fill(store)
    return path.read_bytes()


@pytest.fixture
def path(filled: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "features.duckdb"
    path.write_bytes(filled)
    return path


def drop(store: Store) -> None:
    """Drop the past, and leave the file as large as it is."""
    dropping(store._session, history=NOW, values=NOW)()
    store._session.engine.checkpoint()


def content(store: Store) -> dict[str, list[str]]:
    """Return all rows of all tables, as text."""
    names = store.sql("SELECT table_name FROM duckdb_tables() WHERE database_name = 'store'")["table_name"]
    return {name: sorted(map(str, store.sql(f'FROM "{name}"').rows())) for name in names}


def doses(store: Store) -> pl.DataFrame:
    frame: pl.DataFrame = store.Record.all().order_by("id").pl(features=["dose"])
    return frame


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir() if not file.name.endswith(".owner"))


# --- what it does --------------------------------------------------------------------------------


def test_the_file_is_smaller_and_holds_the_same(path: Path) -> None:
    with dft.connect(path) as store:
        before, whole = doses(store), content(store)
        assert store.compact().dropped == {}
        assert content(store) == whole
        small = store.compact()
        assert small.bytes_before == small.bytes_after == path.stat().st_size
        report = store.compact(expire_history=NOW, expire_values=NOW)
        assert report.dropped["record_annotations"] == report.dropped["record_removals"] == 7 * ROWS
        assert report.bytes_before == small.bytes_after
        assert report.bytes_after == path.stat().st_size < 0.7 * report.bytes_before
        assert doses(store).equals(before)
        assert store.check().ok
        assert store.sql("SELECT count(*) FROM changes").item() == 1
        kept = content(store)
    with dft.connect(path) as store:
        assert content(store) == kept
        assert store.check().ok
    assert files(path) == [path.name]


def test_a_second_time_nothing_is_done(path: Path) -> None:
    with dft.connect(path, idle_release=None) as store:
        store.compact(expire_history=NOW)
        first = path.stat()
        report = store.compact(expire_history=NOW)
        assert (report.dropped, report.bytes_after) == ({}, report.bytes_before)
        assert path.stat().st_ino == first.st_ino
        assert path.stat().st_size == first.st_size


def test_ids_and_uids_go_on_where_they_were(path: Path) -> None:
    with dft.connect(path) as store:
        last = store.Record(name="last", features={"dose": -1.0}).save()
        record = last.id
        value = store.FeatureValue.filter(value=-1.0).one().id
        change = store.sql("SELECT max(id) FROM changes").item()
        last.delete(permanent=True)
        dropped = store.compact(expire_history=NOW, expire_values=NOW).dropped
        assert dropped["changes"] == 8
    with dft.connect(path) as store:
        new = store.Record(name="new", features={"dose": -1.0}).save()
        assert new.id == record + 1
        assert store.FeatureValue.filter(value=-1.0).one().id > value
        assert store.sql("SELECT max(id) FROM changes").item() > change
        assert store.check().ok


def test_only_what_ended_long_ago_is_forgotten(path: Path) -> None:
    with dft.connect(path) as store:
        before = doses(store)
        half = store.sql("SELECT max(id) FROM changes").item() - 4
        with store.transaction():
            sql = "UPDATE changes SET created_at = created_at - INTERVAL 10 DAY WHERE id <= $half"
            store._session.engine.write(sql, {"half": half})
        assert store.compact(expire_history=timedelta(days=11)).dropped == {}
        dropped = store.compact(expire_history=timedelta(days=9)).dropped
        assert dropped == {"record_annotations": 3 * ROWS, "record_removals": 3 * ROWS, "changes": 3}
        history = store.Record.get(name="r1").features.history()
        assert history["action"].to_list() == ["added", *["removed", "added"] * 4]
        assert doses(store).equals(before)
        assert store.check().ok


def test_the_format_and_the_rights_of_the_file_stay(path: Path) -> None:
    path.chmod(0o640)
    with dft.connect(path) as store:
        inode = path.stat().st_ino
        store.compact(expire_history=NOW, expire_values=NOW)
        assert path.stat().st_ino != inode
        format_ = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'store'"
        assert str(store.sql(format_, trusted=True).item()).startswith("v1.5.0")
    assert path.stat().st_mode & 0o777 == 0o640


def test_rows_that_were_deleted_under_a_reader_are_free_as_well(path: Path) -> None:
    with dft.connect(path) as store:
        reader = store._session.engine.batches(Statement("SELECT * FROM record_annotations", {}), 1000)
        assert reader.read_next_batch().num_rows
        drop(store)
        assert sum(batch.num_rows for batch in reader) > 0
        before = doses(store)
        report = store.compact()
        assert report.bytes_after < report.bytes_before
        assert doses(store).equals(before)


def test_memory_and_reading(path: Path) -> None:
    with dft.connect(path, read_only=True) as store, pytest.raises(ReadOnlyStore):
        store.compact(expire_history=NOW)
    with dft.connect() as store:
        fill(store)
        before = doses(store)
        report = store.compact(expire_history=NOW)
        assert (report.bytes_before, report.bytes_after) == (0, 0)
        assert report.dropped["record_annotations"] == 7 * ROWS
        assert doses(store).equals(before)
        assert store.check().ok


@pytest.mark.parametrize("option", ["expire", "expire_history", "expire_values", "grace"])
def test_what_cannot_be_asked_for_drops_nothing(path: Path, option: str) -> None:
    given: dict[str, Any] = {"expire_history": NOW, "expire_values": NOW}
    with dft.connect(path) as store:
        before = row_counts(store)
        for wrong in (30, True, "1 day", timedelta(seconds=-1)):
            with pytest.raises(InvalidArgument, match=f"{option} is a timedelta|has no snapshots"):
                store.compact(**given | {option: wrong})
        with store.transaction(), pytest.raises(InvalidArgument, match="inside a transaction"):
            store.compact(**given)
        assert store.compact(expire_history=timedelta.max, expire_values=timedelta.max).dropped == {}
        assert row_counts(store) == before


def test_a_file_with_two_names_is_left_as_it_is(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = path.with_name("other.duckdb")
    os.link(path, other)
    with dft.connect(path) as store:
        report = store.compact(expire_history=NOW)
        assert report.dropped["record_annotations"] == 7 * ROWS
    assert other.samefile(path)
    assert "second name" in caplog.text


def test_a_file_of_another_user_is_left_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(rewriting, "_give_rights", refuse)
    inode = path.stat().st_ino
    with dft.connect(path) as store:
        store.compact(expire_history=NOW)
        assert store.check().ok
    assert path.stat().st_ino == inode
    assert files(path) == [path.name]
    assert "its owner" in caplog.text


# --- who else is there ---------------------------------------------------------------------------


def test_threads_read_meanwhile(path: Path) -> None:
    with dft.connect(path) as store:
        total, stop = doses(store)["dose"].sum(), threading.Event()
        failed: list[BaseException] = []
        reads = [0] * 4

        def read(number: int) -> None:
            try:
                while not stop.is_set():
                    assert store.Record.filter(name__startswith="r").count() == ROWS
                    assert doses(store)["dose"].sum() == pytest.approx(total)
                    reads[number] += 1
            except BaseException as error:  # noqa: BLE001  # told by the test
                failed.append(error)

        threads = [threading.Thread(target=read, args=(number,)) for number in range(len(reads))]
        for thread in threads:
            thread.start()
        sizes = [store.compact(expire_history=age).bytes_after for age in (timedelta(days=1), NOW)]
        stop.set()
        for thread in threads:
            thread.join(60)
        assert not failed
        assert min(reads) > 0
        assert sizes[1] < sizes[0]
        assert store.check().ok


def test_a_result_that_is_open_is_told_of(path: Path) -> None:
    with dft.connect(path, lock_timeout=0.1) as store:
        before, inode = doses(store), path.stat().st_ino
        reader = store._session.engine.batches(Statement("SELECT * FROM records", {}), 100)
        assert reader.read_next_batch().num_rows
        with pytest.raises(StoreLocked, match="still being read"):
            store.compact(expire_history=NOW, expire_values=NOW)
        assert path.stat().st_ino == inode
        assert files(path) == [path.name]
        assert sum(batch.num_rows for batch in reader) > 0
        report = store.compact()
        assert report.bytes_after < report.bytes_before
        assert doses(store).equals(before)


def test_uses_of_one_reader_go_on_while_it_is_waited_for(path: Path) -> None:
    """A thread that reads a result asks for others before it has read it to its end."""
    with dft.connect(path, lock_timeout=30) as store:
        begun, done = threading.Event(), threading.Event()

        def read() -> None:
            for _ in store._session.engine.batches(Statement("SELECT * FROM records", {}), 2000):
                begun.set()
                assert store.Record.count() == ROWS
            done.set()

        reading = threading.Thread(target=read)
        reading.start()
        assert begun.wait(60)
        store.compact(expire_history=NOW)
        assert done.wait(60)
        reading.join(60)
        assert store.check().ok


WRITE = """
import sys
import duckfeat as dft
with dft.connect(sys.argv[1], lock_timeout=60) as store:
    print("waiting", flush=True)
    for n in range(int(sys.argv[2])):
        store.Record(name=f"other {n}", features={"dose": float(n)}).save()
print("written", flush=True)
"""


def run(code: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_another_process_gets_the_file_and_keeps_what_it_writes(path: Path) -> None:
    with dft.connect(path, idle_release=0.02, lock_timeout=60) as store:
        other, rounds = run(WRITE, path, 40), 0
        while other.poll() is None:
            inode = path.stat().st_ino
            with store.transaction():  # something to win
                store._session.engine.write("CREATE TABLE store.made AS SELECT hash(range) AS h FROM range(300000)")
            with store.transaction():
                store._session.engine.write("DROP TABLE store.made")
            store.compact(expire_history=NOW)
            rounds += path.stat().st_ino != inode
            time.sleep(0.05)
        assert other.communicate()[0] == "waiting\nwritten\n"
        assert rounds
        assert store.Record.filter(name__startswith="other ").count() == 40
        assert store.check().ok
    assert files(path) == [path.name]


def test_who_opened_the_old_file_finds_no_store_in_it(path: Path) -> None:
    code = "import sys, duckfeat as dft\nfrom datetime import timedelta\nstore = dft.connect(sys.argv[1])\n"
    code += "store.compact(expire_history=timedelta(0), expire_values=timedelta(0))\nstore.close()\n"
    with path.open("rb") as old:
        assert old.read(4096).count(b"DUCK") == 1
        assert run(code, path).communicate(timeout=120) == ("", "")
        assert os.fstat(old.fileno()).st_nlink == 0
        old.seek(0)
        assert old.read(4096) == bytes(4096)
    with dft.connect(path) as store:
        assert store.Record.count() == ROWS


@pytest.mark.parametrize("spoiled", [True, False])
def test_a_file_that_is_exchanged_while_it_is_opened_is_opened_again(
    path: Path, spoiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by another process between the moment that a file is opened and the one that its lock is there."""
    whole = path.read_bytes()
    path.write_bytes(bytes(4096) + whole[4096:] if spoiled else whole)
    opened: list[int] = []

    @contextmanager
    def exchanging() -> Any:
        with attaching():
            yield
            opened.append(path.stat().st_ino)

    @contextmanager
    def exchanged() -> Any:
        with attaching():
            try:
                yield
            finally:
                monkeypatch.setattr(embedded, "attaching", exchanging)
                new = path.with_name("new")
                new.write_bytes(whole)
                new.replace(path)

    monkeypatch.setattr(embedded, "attaching", exchanged)
    with dft.connect(path) as store:
        assert opened == [path.stat().st_ino]
        assert store.Record.count() == ROWS
        store.Record(name="kept").save()
    with dft.connect(path) as store:
        assert store.Record.filter(name="kept").count() == 1


# --- what fails ----------------------------------------------------------------------------------


FULL = """
import os, resource, sys
import duckfeat as dft
from duckfeat.errors import DiskFull
path = sys.argv[1]
store = dft.connect(path, idle_release=None)
before = store.Record.all().order_by("id").pl(features=["dose"])
inode = os.stat(path).st_ino
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    store.compact()
except DiskFull as error:
    print("full", flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert os.stat(path).st_ino == inode
assert sorted(os.listdir(os.path.dirname(path))) == ["features.duckdb", "features.duckdb.owner"]
assert store.Record.all().order_by("id").pl(features=["dose"]).equals(before)
store.Record(name="after").save()
report = store.compact()
assert report.bytes_after < report.bytes_before
assert store.Record.count() == before.height + 1
assert store.check().ok
store.close()
"""


@pytest.mark.parametrize("room", [1000, 600_000, 1_500_000])
def test_no_room_for_the_new_file_leaves_the_old_one(path: Path, room: int) -> None:
    with dft.connect(path) as store:
        drop(store)
    done = run(FULL, path, room)
    out, errors = done.communicate(timeout=120)
    assert (done.returncode, out) == (0, "full\n"), errors


def _fails(*_: object, **__: object) -> Any:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("place", "name", "wrong", "error"),
    [
        (rewriting, "digest", lambda table, _: f"SELECT '{table[:5]}'", IntegrityError),
        (rewriting, "_VIEWS", "SELECT $database", IntegrityError),
        (rewriting, "synced", _fails, DuckfeatError),
        (Path, "replace", _fails, DuckfeatError),
    ],
    ids=["rows", "schema", "disk", "rename"],
)
def test_what_fails_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, wrong: Any, error: type[Exception]
) -> None:
    with dft.connect(path) as store:
        drop(store)
        before, inode = content(store), path.stat().st_ino
        with monkeypatch.context() as patched:
            patched.setattr(place, name, wrong)
            with pytest.raises(error):
                store.compact()
        assert path.stat().st_ino == inode
        assert files(path) == [path.name]
        assert content(store) == before
        store.compact()
        assert content(store) == before
        assert path.stat().st_ino != inode


def test_what_cannot_be_locked_is_not_written_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "LOCKS", False)
    inode = path.stat().st_ino
    with dft.connect(path) as store:
        store.compact()
    assert path.stat().st_ino == inode


def test_what_a_killed_process_left_is_removed_at_the_next_use(path: Path) -> None:
    left = [Path(f"{path}.compact.partial"), Path(f"{path}.compact.partial.wal")]
    for file in left:
        file.write_bytes(b"left")
    with dft.connect(path, read_only=True) as store:
        assert store.Record.count() == ROWS
    assert all(file.exists() for file in left)
    with dft.connect(path) as store:
        assert store.Record.count() == ROWS
        assert not any(file.exists() for file in left)


DIE = """
import os, signal, sys
from datetime import timedelta
import duckfeat as dft
from duckfeat.engine import embedded, rewriting
from pathlib import Path

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def then_die(call):
    def both(*given, **named):
        call(*given, **named)
        die()
    return both

store = dft.connect(sys.argv[1])
store.Record(name="last").save()
for name, wrong in {
    "copying": lambda: setattr(rewriting, "log_of", die),
    "comparing": lambda: setattr(rewriting, "digest", die),
    "synced": lambda: setattr(rewriting, "synced", then_die(rewriting.synced)),
    "before": lambda: setattr(Path, "replace", die),
    "renamed": lambda: setattr(Path, "replace", then_die(Path.replace)),
    "in the folder": lambda: setattr(rewriting, "_sync_folder", then_die(rewriting._sync_folder)),
    "spoiled": lambda: setattr(rewriting, "_spoil", then_die(rewriting._spoil)),
    "marked": lambda: setattr(embedded, "forget_owner", die),
}.items():
    if name == sys.argv[2]:
        wrong()
store.compact(expire_history=timedelta(0), expire_values=timedelta(0))
"""
MOMENTS = ("copying", "comparing", "synced", "before", "renamed", "in the folder", "spoiled", "marked")


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_every_step(path: Path, moment: str) -> None:
    inode = path.stat().st_ino
    with dft.connect(path, read_only=True) as store:
        before = doses(store)
    killed = run(DIE, path, moment)
    assert killed.communicate(timeout=120) == ("", "")
    assert killed.returncode == -signal.SIGKILL
    assert (path.stat().st_ino == inode) == (MOMENTS.index(moment) < MOMENTS.index("renamed"))
    with dft.connect(path) as store:
        assert doses(store).filter(pl.col("name") != "last").equals(before)
        assert store.Record.filter(name="last").count() == 1
        assert store.sql("SELECT count(*) FROM record_removals").item() == 0
        assert store.check().ok
    assert files(path) == [path.name]


def test_to_detach_a_file_leaves_the_log_of_another_alone(tmp_path: Path) -> None:
    """What DuckDB does when the old file is let go, after another one has its name."""
    path = tmp_path / "a.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS a")
        connection.execute("CREATE TABLE a.t AS SELECT 1")
        connection.execute("CHECKPOINT a")
        Path(f"{path}.wal").write_bytes(b"of another")
        connection.execute("DETACH a")
    assert Path(f"{path}.wal").read_bytes() == b"of another"
