"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import duckfeat as dft
from duckfeat.engine.files import whole
from duckfeat.errors import DiskFull, DuckfeatError, InvalidArgument, ReadOnlyStore
from duckfeat.store import Store


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EPERM, ReadOnlyStore), (errno.EACCES, ReadOnlyStore), (errno.ENOSPC, DiskFull)]
)
def test_what_the_system_refuses_is_an_error_of_ours(tmp_path: Path, number: int, kind: type[DuckfeatError]) -> None:
    target = tmp_path / "x"
    target.write_text("before")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(kind, match=os.strerror(number)), whole(target, refuse) as partial:
        partial.write_text("after")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"x": "before"}


def test_a_place_that_is_taken_by_a_folder_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(DuckfeatError, match="Is a directory"), whole(tmp_path / "x") as partial:
        partial.write_text("after")
    assert [(file.name, file.is_dir()) for file in tmp_path.iterdir()] == [("x", True)]


def test_two_at_once_do_not_meet(tmp_path: Path) -> None:
    with whole(tmp_path / "x") as one, whole(tmp_path / "x") as other:
        one.write_text("one")
        other.write_text("other")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"x": "one"}


def test_names_as_long_as_they_may_be(store: Store, tmp_path: Path) -> None:
    store.ULabel(name="a").save()
    backup, folder = tmp_path / ("y" * 240 + ".duckdb"), tmp_path / ("z" * 251)
    store.backup(backup)
    store.export(folder)
    assert sorted(file.name for file in tmp_path.iterdir()) == [backup.name, folder.name]
    with dft.restore(backup, tmp_path / "back.duckdb") as back:
        assert back.ULabel.all().to_list("name") == ["a"]
    for write in (store.backup, store.export):
        with pytest.raises(InvalidArgument, match="longer than a file's may be"):
            write(tmp_path / ("y" * 254))  # its log would not fit
