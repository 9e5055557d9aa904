"""A file that cannot be opened is told apart from others, and nothing of it is overwritten."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest

import duckfeat as dft
from duckfeat.engine.log_layout import damaged_at
from duckfeat.errors import DamagedStore, DiskFull, DuckfeatError, NotAStore, ReadOnlyStore

WORK = """
import os, sys
import duckfeat as dft
store = dft.connect(sys.argv[1])
store.ULabel(name="in the file").save()
store._session.engine.checkpoint()
for n in range(3):
    store.ULabel(name=f"in the log {n}").save()
os._exit(1)
"""
LOGGED = ["in the log 0", "in the log 1", "in the log 2"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose process ended without closing it, so that its last work is in its log."""
    path = tmp_path_factory.mktemp("killed") / "features.duckdb"
    subprocess.run([sys.executable, "-c", WORK, str(path)], check=False)
    assert Path(f"{path}.wal").stat().st_size > 0
    return path


def copied(killed: Path, folder: Path) -> tuple[Path, Path]:
    path = folder / "features.duckdb"
    for suffix in ("", ".wal"):
        Path(f"{path}{suffix}").write_bytes(Path(f"{killed}{suffix}").read_bytes())
    return path, Path(f"{path}.wal")


def labels(path: Path) -> list[str]:
    with dft.connect(path) as store:
        assert store.check().ok
        found: list[str] = store.ULabel.all().order_by("id").to_list("name")
        return found


def test_a_log_is_replayed(killed: Path, tmp_path: Path) -> None:
    path, _ = copied(killed, tmp_path)
    with dft.connect(path, read_only=True) as store:
        assert store.ULabel.count() == 4
    assert labels(path) == ["in the file", *LOGGED]


def test_a_transaction_that_was_not_written_to_its_end_leaves_nothing(killed: Path, tmp_path: Path) -> None:
    path, log = copied(killed, tmp_path)
    whole = log.read_bytes()
    half = whole[: len(whole) // 3 - 8]  # of the first of three transactions alike
    log.write_bytes(half)
    assert labels(path) == ["in the file"]
    assert not log.exists()
    path, log = copied(killed, tmp_path)
    log.write_bytes(half)
    with dft.connect(path) as store:
        store.compact()
        assert not log.exists()
        assert store.ULabel.all().to_list("name") == ["in the file"]


def test_a_log_of_an_older_state_of_the_store_is_set_aside(killed: Path, tmp_path: Path) -> None:
    path, log = copied(killed, tmp_path)
    before = log.read_bytes()
    with dft.connect(path) as store:
        store.ULabel(name="later").save()
    log.write_bytes(before)
    with pytest.raises(DamagedStore, match="older version") as caught:
        dft.connect(path)
    assert Path(caught.value.facts["log"]).read_bytes() == before
    assert labels(path) == ["in the file", *LOGGED, "later"]


def _flip(log: bytes) -> bytes:
    middle = len(log) // 2
    return log[:middle] + bytes(255 - byte for byte in log[middle : middle + 8]) + log[middle + 8 :]


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (_flip, None),
        (lambda log: b"garbage" * 500, 0),
        (lambda log: b"\xff" + log[1:], 0),
        (lambda log: bytes(len(log)), 0),
        (lambda log: log[:-40] + b"\xff" * 8 + log[-32:], None),
    ],
    ids=["flip", "garbage", "head", "zeros", "tail"],
)
def test_a_log_that_does_not_replay_is_set_aside(
    killed: Path, tmp_path: Path, damage: Callable[[bytes], bytes], kept: int | None
) -> None:
    path, log = copied(killed, tmp_path)
    broken = damage(log.read_bytes())
    log.write_bytes(broken)
    with pytest.raises(DamagedStore, match="open the store for writing once"):
        dft.connect(path, read_only=True)
    assert log.read_bytes() == broken
    with pytest.raises(DamagedStore, match="Connect again") as caught:
        dft.connect(path)
    aside = Path(caught.value.facts["log"])
    assert aside.read_bytes() == broken
    found = labels(path)
    assert found == ["in the file", *LOGGED][: len(found)]
    assert kept is None or len(found) == 1 + kept
    assert aside.read_bytes() == broken


def test_a_log_without_its_store_is_not_removed(killed: Path, tmp_path: Path) -> None:
    path, log = copied(killed, tmp_path)
    path.rename(tmp_path / "moved.duckdb")
    with pytest.raises(DamagedStore, match="there is no store"):
        dft.connect(path)
    assert log.read_bytes() == Path(f"{killed}.wal").read_bytes()
    assert not path.exists()


def test_a_log_of_another_store_is_set_aside(killed: Path, tmp_path: Path) -> None:
    path, log = copied(killed, tmp_path)
    path.unlink()
    log.rename(tmp_path / "log")
    dft.connect(path).close()
    (tmp_path / "log").rename(log)
    with pytest.raises(DamagedStore, match=r"does not match|did not replay"):
        dft.connect(path)
    assert labels(path) == []


def _sqlite(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (a)")
    other.close()


def _duckdb(path: Path) -> None:
    duckdb.connect(str(path)).execute("CREATE TABLE t AS SELECT 1").close()


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("hello\n" * 5000), "not a DuckDB database"),
    "short": (lambda path: path.write_text("hi"), "not a DuckDB database"),
    "empty": (lambda path: path.touch(), "not a DuckDB database"),
    "sqlite": (_sqlite, "not a DuckDB database"),
    "duckdb": (_duckdb, "not a duckfeat store"),
}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_left_as_it_is(kind: str, read_only: bool, tmp_path: Path) -> None:
    make, message = FOREIGN[kind]
    path = tmp_path / "foreign.duckdb"
    make(path)
    before = path.read_bytes()
    with pytest.raises(NotAStore, match=message):
        dft.connect(path, read_only=read_only)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["foreign.duckdb"]


@pytest.mark.parametrize("size", [100, 4096, 8192, 12_288, 0.5])
def test_a_file_that_was_cut_short(size: float, tmp_path: Path) -> None:
    path = tmp_path / "features.duckdb"
    with dft.connect(path) as store:
        store.save([store.ULabel(name=f"label {n}") for n in range(2000)])
    whole = path.read_bytes()
    cut = whole[: int(size if size > 1 else size * len(whole))]
    path.write_bytes(cut)
    with pytest.raises(DuckfeatError, match=r"cut short|no DuckDB|damaged"):
        labels(path)
    assert path.read_bytes() == cut


def test_a_damaged_block_is_told(tmp_path: Path) -> None:
    path = tmp_path / "features.duckdb"
    with dft.connect(path) as store:
        store.save([store.ULabel(name=f"label {n}") for n in range(2000)])
    content = bytearray(path.read_bytes())
    for position in range(12_288, len(content), 65_536):
        content[position + 100] ^= 255
    path.write_bytes(content)
    with pytest.raises(NotAStore, match="damaged"):
        dft.connect(path)
    assert path.read_bytes() == content


# --- no room, no right ---------------------------------------------------------------------------

ROOM = 4_000_000


def _mounted(folder: Path, size: int) -> bool:
    """Mount a file system of so many bytes in memory, and tell whether that is permitted here."""
    if os.name != "posix":
        return False
    command = [shutil.which("mount") or "false", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _unmounted(folder: Path) -> None:
    subprocess.run([shutil.which("umount") or "umount", str(folder)], check=True)


def _may_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        mounted = _mounted(Path(folder), 4096)
        if mounted:
            _unmounted(Path(folder))
    return mounted


FULL = ["a full disk", "a limit"] if _may_mount() else ["a limit"]
"""Where there is no room: a small file system where one may be mounted, and everywhere a limit of the process."""


@pytest.fixture(params=FULL)
def narrow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Callable[[int], str]]]:
    """A folder, and what makes room for so many bytes there: it returns the limit for the process, 0 for none."""
    if request.param == "a limit":
        yield tmp_path, str
        return
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounts = ExitStack()

    def mount(size: int) -> str:
        """Mount one, over the one before if there is any."""
        assert _mounted(folder, size)
        mounts.callback(_unmounted, folder)
        return "0"

    with mounts:
        yield folder, mount


NARROW = """
import os, resource, sys
from pathlib import Path
import duckfeat as dft
from duckfeat.errors import DiskFull
path, limit = Path(sys.argv[1]), int(sys.argv[2])
ballast = path.with_name("ballast")
def narrow():
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
def widen():
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ballast.unlink(missing_ok=True)
"""

LIMITED = """
store = dft.connect(path, idle_release=None)
if not limit:
    ballast.write_bytes(bytes(1_500_000))
narrow()
saved = 0
try:
    while True:
        store.save([store.ULabel(name=f"label {saved + n} " + "x" * 200) for n in range(500)])
        saved += 500
except DiskFull as error:
    print("full", type(error).__name__, file=sys.stderr)
assert store.ULabel.count() == saved, (store.ULabel.count(), saved)
widen()
store.save([store.ULabel(name="after")])
assert store.check().ok
store.close()
print(saved)
"""


def narrowly(code: str, path: Path, limit: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", NARROW + code, str(path), limit]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_full_disk_is_told_and_nothing_is_lost(narrow: tuple[Path, Callable[[int], str]]) -> None:
    folder, room = narrow
    path = folder / "features.duckdb"
    done = narrowly(LIMITED, path, room(ROOM))
    assert done.returncode == 0, done.stderr
    assert "full DiskFull" in done.stderr
    assert int(done.stdout) > 0
    with dft.connect(path) as store:
        assert store.ULabel.count() == int(done.stdout) + 1
        assert store.check().ok


LOADED = """
import polars as pl
with dft.connect(path) as store:
    store.ULabel(name="before").save()
size = path.stat().st_size
store = dft.connect(path, temp_directory=sys.argv[3])
narrow()
rows = 300_000
frame = pl.DataFrame({"name": [f"r{n}" for n in range(rows)], "v": [hash(str(n)) / 7 for n in range(rows)]})
try:
    store.annotate(frame, key="name", create="all", progress=False)
except DiskFull:
    print("full")
print(path.stat().st_size - size)
store.ULabel(name="after").save()
store.compact()
print(store.ULabel.count(), store.Record.count(), store.check().ok)
"""


def test_a_load_that_failed_on_a_full_disk_gives_its_room_back(
    narrow: tuple[Path, Callable[[int], str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, room = narrow
    spilled = tmp_path_factory.mktemp("spilled")
    command = [sys.executable, "-c", NARROW + LOADED, str(folder / "features.duckdb"), room(6_000_000), str(spilled)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    full, grown, counts = done.stdout.splitlines() or ("", "", done.stderr)
    assert (full, counts) == ("full", "2 0 True")
    assert int(grown) < 1_000_000


NEW = """
narrow()
try:
    dft.connect(path)
except DiskFull:
    print("full")
"""


def test_no_room_for_a_new_store_leaves_nothing(narrow: tuple[Path, Callable[[int], str]]) -> None:
    folder, room = narrow
    path = folder / "features.duckdb"
    done = narrowly(NEW, path, room(4096))
    assert done.stdout == "full\n", done.stderr
    assert list(folder.iterdir()) == []
    room(ROOM)
    labels(path)


COPIED = """
store = dft.connect()
store.save([store.ULabel(name=f"label {n} " + os.urandom(100).hex()) for n in range(3000)])
narrow()
for copy in (store.backup, store.export):
    try:
        copy(path)
    except DiskFull:
        print("full", [file.name for file in path.parent.iterdir()])
assert store.ULabel.count() == 3000
"""


def test_no_room_for_a_copy_leaves_nothing(narrow: tuple[Path, Callable[[int], str]]) -> None:
    folder, room = narrow
    done = narrowly(COPIED, folder / "copy", room(100_000))
    assert done.stdout == "full []\n" * 2, done.stderr


READ_ONLY = """
import os, sys
import duckfeat as dft
from pathlib import Path
folder = Path(sys.argv[1])
with dft.connect() as store:  # what is imported at first use may be out of reach for another user
    store.ULabel(name="x").save()
    store.ULabel.all().to_list("name")
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
for path, options in ((folder / "new.duckdb", {}), (folder / "features.duckdb", {})):
    try:
        dft.connect(path, **options)
    except dft.errors.ReadOnlyStore as error:
        print(type(error).__name__)
with dft.connect(folder / "features.duckdb", read_only=True) as store:
    print(store.ULabel.all().to_list("name"))
"""


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    path = tmp_path / "features.duckdb"
    with dft.connect(path) as store:
        store.ULabel(name="a").save()
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent.name.startswith(("pytest", "popen", "test_")):
            parent.chmod(0o755)
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(tmp_path)], capture_output=True, text=True, check=False
        )
    finally:
        tmp_path.chmod(0o755)
    assert done.stdout == "ReadOnlyStore\nReadOnlyStore\n['a']\n", done.stderr


def test_the_error_kinds_are_those_of_the_contract() -> None:
    assert issubclass(DamagedStore, NotAStore)
    assert issubclass(DiskFull, OSError)
    assert issubclass(ReadOnlyStore, DuckfeatError)


# --- logs that DuckDB cuts off without a word --------------------------------------------------------


def entries(log: bytes) -> list[int]:
    """Return where the entries after the first one begin."""
    end = bytes.fromhex("0500000000000000e7fe7d722fed3d5e640064ffff")
    begins = log.index(b"\xff\xff") + 2
    places = []
    while begins < len(log):
        places.append(begins)
        begins += 16 + int.from_bytes(log[begins : begins + 8], "little")
    assert log.count(end) == len(LOGGED), "DuckDB ends transactions in another way: see engine/log_layout.py"
    assert log.endswith(end)
    assert begins == len(log)
    return places


@pytest.mark.parametrize("offset", [1, 3, 4])
def test_what_follows_a_damaged_size_is_kept(killed: Path, tmp_path: Path, offset: int) -> None:
    path, log = copied(killed, tmp_path)
    whole = log.read_bytes()
    for place in entries(whole):
        damaged = bytearray(whole)
        damaged[place + offset] = 0x7F
        path, log = copied(killed, tmp_path)
        log.write_bytes(damaged)
        with pytest.raises(DamagedStore, match="for writing once to set the log aside"):
            dft.connect(path, read_only=True)
        with pytest.raises(DamagedStore, match="for writing once"):
            dft.restore(path)
        with pytest.raises(DamagedStore, match="It was kept as") as raised:
            dft.connect(path)
        assert Path(raised.value.log).read_bytes() == damaged
        with dft.connect(path, read_only=True) as store:
            left = store.ULabel.count()
        assert labels(path) == ["in the file", *LOGGED][:left]
        assert left < 1 + len(LOGGED)


@pytest.mark.parametrize("place", [3, 4, 6, 8])
def test_a_log_whose_first_entry_is_damaged_is_kept(killed: Path, tmp_path: Path, place: int) -> None:
    path, log = copied(killed, tmp_path)
    damaged = bytearray(log.read_bytes())
    damaged[place : place + 8] = b"\xff" * 8
    log.write_bytes(damaged)
    with pytest.raises(DamagedStore, match="It was kept as") as raised:
        dft.connect(path)
    assert Path(raised.value.log).read_bytes() == damaged
    assert labels(path) == ["in the file"]


def test_a_log_that_was_cut_off_anywhere_is_no_damage(killed: Path, tmp_path: Path) -> None:
    for end in range(0, Path(f"{killed}.wal").stat().st_size, 7):
        _, log = copied(killed, tmp_path)
        log.write_bytes(log.read_bytes()[:end])
        assert damaged_at(log) is None


def test_a_log_of_another_version_is_not_judged(killed: Path, tmp_path: Path) -> None:
    _, log = copied(killed, tmp_path)
    whole = log.read_bytes()
    first = whole.index(b"\xff\xff")
    for other in (whole[:5] + b"\x03" + whole[6:], whole[:first] + b"\x68\x00\x01" + whole[first:]):
        log.write_bytes(other[:-30] + b"\xff" * 8 + other[-22:])
        assert damaged_at(log) is None
