"""A store moves whole: every row of every table, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import duckfeat as dft
from duckfeat.engine import moving
from duckfeat.errors import IntegrityError, InvalidArgument, MissingFile
from duckfeat.store import Store


def filled(url: str, **options: Any) -> None:
    """Make a store that has something of every kind, history and hard values included."""
    with dft.connect(url, default=False, **options) as store:
        fill(store)


def fill(store: Store) -> None:
    """Save something of every kind, history and hard values included."""
    store.Feature(name="number", dtype=float, multiple=True).save()
    store.Feature(name="text", dtype=str, multiple=True).save()
    store.Feature(name="label", dtype=store.ULabel).save()
    label = store.ULabel(name="a").save()
    with store.track("job.py"):
        record = store.Record(name="r").save()
        for value in (0.0, 1e300, float("nan"), float("-inf"), 5e-324):
            record.features.add_values({"number": value})
        record.features.add_values({"text": ["", "a\0b", "😀", "é"], "label": "a"})
        record.ulabels.add(label)
    record.features.remove_values({"number": 5e-324})
    store.ULabel(name="gone").save().delete()
    store.ULabel(name="really gone").save().delete(permanent=True)


def content(store: Store) -> dict[str, list[Any]]:
    """Return all rows of all tables, as text."""
    columns = moving._columns(store._session.engine)
    texts = {table: f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM {table}" for table in columns}  # noqa: S608 - our tables
    return {table: sorted(map(repr, store.sql(text).rows())) for table, text in texts.items()}


def test_a_file_moves_whole(tmp_path: Path) -> None:
    filled(f"{tmp_path}/a.duckdb")
    told: list[tuple[str, int]] = []
    rows = dft.move(tmp_path / "a.duckdb", tmp_path / "b.duckdb", told=lambda *given: told.append(given))
    assert dict(told) == rows
    assert (rows["records"], rows["typed_values"]) == (1, 9)
    with dft.connect(tmp_path / "a.duckdb") as first, dft.connect(tmp_path / "b.duckdb") as second:
        assert content(first) == content(second)
        assert second.check().ok
        record = second.Record.get(name="r")
        assert len(record.features.history()) == len(first.Record.get(name="r").features.history())
        taken = first.ULabel.filter(branch=None).count() + 1
        assert second.ULabel(name="next").save().id > taken


def test_a_target_must_be_new(tmp_path: Path) -> None:
    filled(f"{tmp_path}/a.duckdb")
    filled(f"{tmp_path}/b.duckdb")
    with dft.connect(tmp_path / "b.duckdb") as store:
        before = content(store)
    with pytest.raises(InvalidArgument, match="is not a new store"):
        dft.move(tmp_path / "a.duckdb", tmp_path / "b.duckdb")
    with pytest.raises(InvalidArgument, match="to itself"):
        dft.move(tmp_path / "a.duckdb", f"{tmp_path}/./a.duckdb")
    with pytest.raises(MissingFile):
        dft.move(tmp_path / "none.duckdb", tmp_path / "c.duckdb")
    with dft.connect(tmp_path / "b.duckdb") as store:
        assert content(store) == before


def test_a_table_that_differs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(f"{tmp_path}/a.duckdb")
    copy = moving._copy

    def lossy(source: Any, target: Any, table: str, columns: dict[str, str]) -> int:
        rows = copy(source, target, table, columns)
        if table == "typed_values":
            target.write("UPDATE typed_values SET text_value = 'é' WHERE text_value = ''")
        return rows

    monkeypatch.setattr(moving, "_copy", lossy)
    with pytest.raises(IntegrityError, match="typed_values: not the same"):
        dft.move(tmp_path / "a.duckdb", tmp_path / "b.duckdb")
    with dft.connect(tmp_path / "b.duckdb") as store:
        assert store.FeatureValue.count() == store.Record.count() == 0
