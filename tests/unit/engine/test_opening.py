"""What the address of a store may be, and what is said of one that it cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import duckfeat as dft
from duckfeat.engine.version import MAJOR
from duckfeat.errors import DamagedStore, InvalidArgument, MissingFile


@pytest.mark.parametrize(
    ("url", "nearest"),
    [
        ("s3://bucket/x.duckdb", "data_path='s3://...'"),
        ("https://host/x.duckdb", "ducklake:"),
        ("file:///tmp/x.duckdb", "a file on this machine"),
        ("md:foo", "ducklake:postgres:"),
        ("postgres:foo", "ducklake:postgres:"),
        ("postgresql://me@host/db", "ducklake:postgres:"),
        ("sqlite:foo.db", "ducklake:sqlite:catalog.sqlite"),
    ],
)
def test_the_address_of_something_else_is_no_path(
    url: str, nearest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument, match="is not a path") as raised:
        dft.connect(url)
    assert nearest in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_colon_in_a_name_is_a_letter(tmp_path: Path) -> None:
    with dft.connect(tmp_path / "a:b.duckdb") as store:
        assert store.check().ok


def test_a_backslash_works_or_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a\\b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for path in (tmp_path / "x\\y.duckdb", Path("z.duckdb")):
        if MAJOR > 1:
            with pytest.raises(InvalidArgument, match="backslash"):
                dft.connect(path)
        else:
            with dft.connect(path) as store:
                store.ULabel(name="a").save()
            with dft.connect(path) as store:
                assert store.ULabel.count() == 1
    with dft.connect() as store:
        for write in (store.backup, store.export):
            if MAJOR > 1:
                with pytest.raises(InvalidArgument, match="backslash"):
                    write(tmp_path / f"{write.__name__}\\x")
            else:
                write(tmp_path / f"{write.__name__}\\x")


@pytest.mark.parametrize("length", [236, 247, 251])
def test_names_that_leave_room_for_a_log(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("x" * length)
    with dft.connect(path) as store:
        store.save([store.ULabel(name=f"{n} " + os.urandom(500).hex()) for n in range(3000)])
        store.ULabel.filter(name__startswith="1").delete(permanent=True)
        store.compact()
    with dft.connect(path, read_only=True) as store:
        assert store.check().ok
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("length", [252, 255, 256, 5000])
def test_names_that_do_not(tmp_path: Path, length: int) -> None:
    for read_only in (False, True):
        with pytest.raises(InvalidArgument):
            dft.connect(tmp_path / ("x" * length), read_only=read_only)
    assert list(tmp_path.iterdir()) == []


def test_a_device_or_a_folder_is_no_store(tmp_path: Path) -> None:
    for path, said in (("/dev/null", "device"), ("/dev/full", "device"), (tmp_path, "folder")):
        with pytest.raises(InvalidArgument, match=said):
            dft.connect(path)
        with pytest.raises(InvalidArgument):
            dft.connect(path, read_only=True)


def test_a_store_that_became_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with dft.connect(path, idle_release=0.05) as store:
        store.ULabel(name="a").save()
        until = time.monotonic() + 20
        while store._session.engine._lease.taken and time.monotonic() < until:  # type: ignore[attr-defined]
            time.sleep(0.05)
        path.rename(tmp_path / "elsewhere")
        path.mkdir()
        with pytest.raises(InvalidArgument, match="is a folder"):
            store.ULabel.count()


def test_a_damaged_file_of_an_export(tmp_path: Path) -> None:
    with dft.connect() as store:
        store.ULabel(name="a").save()
        store.export(tmp_path / "export")
    file = tmp_path / "export" / "ulabels.parquet"
    whole = file.read_bytes()
    for damaged in (b"", b"hello", whole[:40], whole[:30] + b"\xff" * 30 + whole[60:]):
        file.write_bytes(damaged)
        with pytest.raises(DamagedStore, match=r"ulabels\.parquet is damaged"):
            dft.import_(tmp_path / "export", tmp_path / "new.duckdb")
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_an_import_does_not_go_over_a_folder(tmp_path: Path) -> None:
    with dft.connect() as store:
        store.export(tmp_path / "export")
    (tmp_path / "target").mkdir()
    with pytest.raises(InvalidArgument, match="only a file can be overwritten"):
        dft.import_(tmp_path / "export", tmp_path / "target", overwrite=True)
    assert (tmp_path / "target").is_dir()


def test_a_move_goes_to_a_file_or_a_lake(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with dft.connect(path) as store:
        store._session.engine._root.execute("CREATE TABLE store.mine (a INTEGER)")  # type: ignore[attr-defined]
    with pytest.raises(InvalidArgument, match="memory would be gone"):
        dft.move(path, ":memory:")
    with pytest.raises(InvalidArgument, match="a data_path is a lake's"):
        dft.move(path, tmp_path / "b.duckdb", data_path=tmp_path)
    with pytest.raises(InvalidArgument, match="has a table mine of its own"):
        dft.move(path, tmp_path / "b.duckdb")
    with pytest.raises(MissingFile):
        dft.move(tmp_path / "none.duckdb", tmp_path / "b.duckdb")
    assert [file.name for file in tmp_path.iterdir()] == ["a.duckdb"]


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    dft.connect(path).close()
    path.chmod(0)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent.name.startswith(("pytest", "popen", "test_")):
            parent.chmod(0o755)
    program = """
import os, sys
import duckfeat as dft
dft.connect().close()
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
for options in ({}, {"read_only": True}):
    try:
        dft.connect(sys.argv[1], **options)
    except dft.errors.ReadOnlyStore as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["this user may not read the file"] * 2


def test_where_no_thread_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoThread:
        def __init__(self, **_: object) -> None: ...

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "Thread", NoThread)
    with dft.connect(tmp_path / "a.duckdb") as store:
        store.ULabel(name="a").save()
        store._session.engine._lease.leave()  # type: ignore[attr-defined]
        assert store.ULabel.count() == 1
