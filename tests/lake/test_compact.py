"""A lake forgets history as a file does; older versions keep it until they expire themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from duckfeat.engine import lake_places
from tests.servers import Lake

if TYPE_CHECKING:
    import pytest

    from duckfeat.store import Store

NOW = timedelta(0)
ROWS, ROUNDS = 300, 30


def test_older_versions_keep_history_until_they_expire(lake: Lake) -> None:
    with lake.connect() as store:
        store.Feature(name="dose", dtype=float).save()
        for round_ in range(ROUNDS):
            frame = pl.DataFrame({"name": [f"r{n}" for n in range(ROWS)], "dose": [n + round_ for n in range(ROWS)]})
            store.annotate(frame.cast({"dose": float}), key="name", create=True, mode="update")
        before = store.Record.all().order_by("id").pl(features=["dose"])
        version = store.versions()["version"].to_list()[-1]
        report = store.compact(expire_history=NOW)
        assert report.dropped == dict.fromkeys(("record_annotations", "record_removals"), (ROUNDS - 1) * ROWS) | {
            "changes": ROUNDS - 1
        }
        assert report.bytes_after < report.bytes_before
        record = store.Record.get(name="r7")
        assert record.features.history()["action"].to_list() == ["added"]
        with store.at(version=version) as past:
            assert past.Record.get(name="r7").features.history().height == 2 * ROUNDS - 1
        store.compact(expire=NOW, grace=NOW)
        assert version not in store.versions()["version"].to_list()
        assert store.Record.all().order_by("id").pl(features=["dose"]).equals(before)
        assert store.check().ok
    with lake.connect() as again:
        change = again.sql("SELECT max(id) FROM changes").item()
        again.Record.get(name="r7").features.update_values({"dose": -1.0})
        assert again.sql("SELECT max(id) FROM changes").item() == change + 1


def test_what_is_young_stays(lake: Lake) -> None:
    def files(store: Store) -> set[str]:
        engine: Any = store._session.engine
        with engine.aside() as aside:
            return {file for (file,) in aside.execute(f"FROM glob('{lake.options['data_path']}/**')").fetchall()}

    def numbers(store: Store) -> set[int]:
        return set(store.versions()["version"].to_list())

    with lake.connect() as store:
        for at in range(4):
            frame = pl.DataFrame({"name": [f"r{n}" for n in range(at * ROWS, (at + 1) * ROWS)]})
            store.annotate(frame.with_columns(dose=1.5), key="name", create="all")
        versions, before = numbers(store), files(store)
        store.compact(expire=timedelta(hours=1))
        assert versions <= numbers(store)
        store.compact(expire=NOW)
        assert len(numbers(store)) < len(versions)
        assert before <= files(store)
        store.compact(grace=NOW)
        assert not before <= files(store)
        assert store.Record.filter(dose=1.5).count() == 4 * ROWS
        assert store.check().ok


def test_inlined_rows_are_flushed_in_one_thread(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def checked(*, expire: timedelta | None, grace: timedelta) -> list[str]:
        flush, *others = upkeep_sql(expire=expire, grace=grace)
        alone = "CASE WHEN current_setting('threads') = 1 THEN count(*) ELSE error('flushed side by side') END"
        assert "flush" in flush
        return [flush.replace("count(*)", alone), *others]

    upkeep_sql = lake_places.upkeep_sql
    monkeypatch.setattr("duckfeat.engine.lake.upkeep_sql", checked)
    with lake.connect(threads=3) as store:
        store.Feature(name="dose", dtype=float).save()
        store.Record(name="r1").save().features.set_values({"dose": 1.5})
        store.compact()
        assert store.sql("SELECT current_setting('threads')").item() == 3
        assert store.Record.get(name="r1").features["dose"] == 1.5
