"""Copies of a whole store, the way back, and branches that are merged: the same on every engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.engine.resources import migrations
from duckfeat.errors import DoesNotExist, IntegrityError, InvalidArgument
from duckfeat.store import Store
from tests.counting import row_counts
from tests.servers import Lake
from tests.unit.engine.test_moving import content, fill


def test_a_backup_is_a_file_that_any_engine_is_restored_from(
    store: Store, place: Callable[[], Lake], tmp_path: Path
) -> None:
    fill(store)
    expected = content(store)
    backup = store.backup(tmp_path / "backup.duckdb")
    assert Path(backup).is_file()
    with dft.connect(backup, read_only=True, default=False) as copy:
        assert content(copy) == expected
    there = place()
    for restored in (dft.restore(backup), dft.restore(backup, there.url, **there.options)):
        with restored:
            assert content(restored) == expected
            assert restored.check().ok
            assert restored.ULabel(name="next").save().id > max(store.ULabel.filter(branch=None).to_list("id"))
    with pytest.raises(InvalidArgument, match="exists"):
        store.backup(backup)


def test_an_export_is_imported_into_any_engine(store: Store, place: Callable[[], Lake], tmp_path: Path) -> None:
    fill(store)
    expected = content(store)
    rows = store.export(tmp_path / "exported")
    assert rows == {name: len(expected.get(name, [])) for name in rows} | {"schema_migrations": len(migrations())}
    assert set(rows) == {*expected, "schema_migrations"}
    assert pl.read_parquet(tmp_path / "exported" / "ulabels.parquet").height == rows["ulabels"]
    there = place()
    with dft.import_(tmp_path / "exported", there.url, **there.options) as imported:
        assert content(imported) == expected
        assert imported.check().ok
    with pytest.raises(InvalidArgument, match="not empty"):
        store.import_(tmp_path / "exported")
    assert content(store) == expected


def test_a_branch_moves_to_main_whole(store: Store) -> None:
    store.Feature(name="dose", dtype=float).save()
    draft = store.Branch(name="draft").save()
    store.switch("draft")
    store.save([store.Record(name="r", features={"dose": 1.5}), store.ULabel(name="a"), store.ULabel(name="b")])
    store.ULabel.get(name="b").delete()
    store.switch("main")
    assert store.Record.count() == 0
    assert store.merge("draft") == {"FeatureValue": 1, "Record": 1, "ULabel": 1}
    assert store.Record.get(name="r").features.get_values() == {"dose": 1.5}
    assert store.ULabel.get(name="a").branch.name == "main"
    store.ULabel.filter(branch=None).get(name="b").restore()
    assert sorted(store.ULabel.all().to_list("name")) == ["a", "b"]
    assert store.merge(draft) == {}


def test_a_merge_that_cannot_be_changes_nothing(store: Store) -> None:
    draft = store.Branch(name="draft").save()
    store.save([store.ULabel(name="a", branch=draft), store.Record(name="r", branch=draft)])
    before = row_counts(store)
    for name in ("main", "trash", "archive"):
        with pytest.raises(IntegrityError, match="part of every store"):
            store.merge(name)
    with pytest.raises(DoesNotExist):
        store.merge("drift")
    assert row_counts(store) == before
    assert store.ULabel.filter(branch=draft).to_list("name") == ["a"]
