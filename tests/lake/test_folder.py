"""The folder of a lake's files: its own, and there."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.engine import lake_folder
from duckfeat.errors import InvalidArgument, MissingFile
from duckfeat.store import Store
from tests.servers import LAKES, Lake, Lakes

NOW = timedelta(0)
STRAY = "ducklake-01a2264c-75cc-765a-b0ff-be6e24da2261.parquet"


@pytest.fixture(params=LAKES)
def new(request: pytest.FixtureRequest, lakes: Lakes) -> Lake:
    """A lake of each kind that its first `connect` makes."""
    return lakes.none_yet(request.param)


def _filled(store: Store, rows: int = 300) -> None:
    frame = pl.DataFrame({"name": [f"r{n}" for n in range(rows)], "dose": [n / 2 for n in range(rows)]})
    store.annotate(frame, key="name", create="all")


def _ask(store: Store, sql: str) -> list[tuple[Any, ...]]:
    engine: Any = store._session.engine
    with engine.aside() as aside:
        found: list[tuple[Any, ...]] = aside.execute(sql).fetchall()
        return found


def _left(store: Store, place: str) -> None:
    """Leave a file, as a writer that was killed does, or a person."""
    if "://" not in place:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
    _ask(store, f"COPY (SELECT 1 AS id) TO '{place}' (FORMAT parquet)")


def _there(store: Store, folder: str) -> set[str]:
    return {file.removeprefix(f"{folder}/") for (file,) in _ask(store, f"FROM glob('{folder}/**')")}


def test_compacting_removes_what_the_lake_itself_left_and_nothing_else(new: Lake) -> None:
    folder = new.options["data_path"]
    others = {f"sub/main/records/{STRAY}", "main/records/mine.parquet", "mine.parquet", f"main/others/{STRAY}", STRAY}
    with new.connect() as store:
        _filled(store)
        for name in (*others, f"main/records/{STRAY}"):
            _left(store, f"{folder}/{name}")
        before = _there(store, folder)
        assert {lake_folder.MARKER, *others} < before
        store.compact()
        assert before <= _there(store, folder)
        store.compact(grace=NOW)
        after = _there(store, folder)
        assert f"main/records/{STRAY}" not in after
        assert {lake_folder.MARKER, *others} < after
        assert _ask(store, "FROM __ducklake_metadata_store.ducklake_files_scheduled_for_deletion") == []
        assert store.check().ok
        assert store.Record.count() == 300


@pytest.mark.parametrize("where", ["", "/sub", "/main/records", "/.."])
def test_a_new_lake_takes_no_folder_of_another(new: Lake, where: str, tmp_path: Path) -> None:
    url = f"ducklake:sqlite:{tmp_path}/second.sqlite"
    folder = new.options["data_path"] = f"{new.options['data_path']}/own"
    options = {name: given for name, given in new.options.items() if name == "s3"}
    with new.connect() as store:
        before = _there(store, folder)
        with pytest.raises(InvalidArgument, match="cannot take the files of a new lake") as caught:
            dft.connect(url, default=False, data_path=f"{folder}{where}", **options)
        assert "data_path=" in str(caught.value)
        assert _there(store, folder) == before
    assert not (tmp_path / "second.sqlite").exists()


@pytest.mark.parametrize("name", [STRAY, f"main/records/{STRAY}"])
def test_a_new_lake_takes_no_folder_with_files_of_a_lake(new: Lake, lakes: Lakes, name: str) -> None:
    _left_before(new, lakes, name)
    with pytest.raises(InvalidArgument, match=rf"there are files of a lake in it, such as {name}"):
        new.connect()


def test_files_of_others_stay_in_the_folder_of_a_lake(new: Lake, lakes: Lakes) -> None:
    _left_before(new, lakes, "data/mine.parquet")
    with new.connect() as store:
        _filled(store)
        store.compact(grace=NOW)
        assert "data/mine.parquet" in _there(store, new.options["data_path"])


def _left_before(new: Lake, lakes: Lakes, name: str) -> None:
    """Leave a file in the folder of a lake that there is not yet."""
    with lakes.make("lake-sqlite").connect(s3=new.options.get("s3")) as store:
        engine: Any = store._session.engine
        if "s3" in new.options:
            engine._keep_keys(f"{new.options['data_path']}/")
        _left(store, f"{new.options['data_path']}/{name}")


def test_a_catalog_may_be_in_the_folder_of_its_files(tmp_path: Path) -> None:
    place = tmp_path / "lake[1]"
    place.mkdir()
    with dft.connect(f"ducklake:sqlite:{place}/catalog.sqlite", data_path=place, default=False) as store:
        _filled(store)
        store.compact(grace=NOW)
        assert store.check().ok
    assert (place / lake_folder.MARKER).read_text().strip()


def test_making_a_lake_that_failed_can_be_done_again(new: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("duckfeat.engine.lake.LakeEngine._attached", lambda self, create: fails() if create else False)
        with pytest.raises(KeyboardInterrupt):
            new.connect()
    with new.connect() as store:
        assert store.check().ok


def test_a_lake_without_a_marker_goes_on_and_leaves_what_no_catalog_lists(lake: Lake) -> None:
    folder = lake.options["data_path"]
    for _ in range(2):
        with lake.connect() as store:
            _filled(store)
            with store._session.engine.aside() as aside:  # type: ignore[attr-defined]
                lake_folder.mark(aside, f"{folder}/", "")
            _left(store, f"{folder}/main/records/{STRAY}")
            store.compact(expire=NOW, grace=NOW)
            assert f"main/records/{STRAY}" in _there(store, folder)
            assert store.check().ok


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
@pytest.mark.parametrize("kind", [kind for kind in LAKES if kind != "lake-s3"])
def test_a_folder_that_is_not_there_is_told(kind: str, left: str, lakes: Lakes) -> None:
    lake = lakes.make(kind)
    folder = Path(lake.options["data_path"])
    away = folder.with_name(f"{folder.name}.away")

    def unmount() -> None:
        shutil.move(folder, away)
        if left == "an empty folder":
            folder.mkdir()

    with lake.connect() as store:
        _filled(store)
        unmount()
        for write in (lambda: store.ULabel(name="a").save(), lambda: _filled(store, 1000), store.compact):
            with pytest.raises(MissingFile, match="mount that folder") as caught:
                write()
            assert caught.value.path == f"{folder}/"
        with pytest.raises(MissingFile):
            store.Record.filter(dose__gt=1).count()
    for options in ({}, {"read_only": True}):
        with pytest.raises(MissingFile, match="mount that folder"):
            lake.connect(**options)
    assert not folder.exists() or not list(folder.iterdir())
    shutil.rmtree(folder, ignore_errors=True)
    shutil.move(away, folder)
    with lake.connect() as store:
        assert store.Record.filter(dose__gt=1).count() == 297
        assert store.check().ok
