"""What is over is forgotten when that is asked for, and nothing else is; the same on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from duckfeat.store import Store
from tests.counting import row_counts

NOW = timedelta(0)
ENTITIES = ("Record", "Artifact", "Run")


def fill(store: Store) -> None:
    """Replace and remove much, and add some of it again."""
    store.save([store.Feature(name="dose", dtype=float), store.Feature(name="tags", dtype=str, multiple=True)])
    store.Feature(name="label", dtype=store.ULabel).save()
    first, second, _ = store.save([store.ULabel(name=name) for name in ("first", "second", "third")])
    record = store.Record(name="r", features={"dose": 1.5, "tags": ["a", "b"], "label": "third"}).save()
    record.ulabels.add(first, second)
    artifact = store.Artifact("s3://bucket/a.parquet", key="a.parquet").save()
    artifact.features.add_values({"dose": 1.5})
    with store.track("job.py") as run:
        record.features.update_values({"dose": 2.5})
        record.features.update_values({"dose": 1.5})
        record.features.remove_values({"tags": "b"})
        record.ulabels.remove(first)
        artifact.features.update_values({"dose": 3.5})
        run.features.add_values({"dose": 0.5})
        run.features.remove_values("dose")
    record.ulabels.remove(second)
    record.ulabels.add(second)
    store.Record(name="gone", features={"tags": "gone"}).save().delete()


def observed(store: Store) -> dict[str, Any]:
    """Return what holds now: frames, values and relations, with ids, uids and provenance."""
    return {
        "frames": {name: getattr(store, name).all().pl(features=True, include="id").rows() for name in ENTITIES},
        "since": {name: sorted(map(str, added(store, name))) for name in ENTITIES},
        "labels": store.Record.get(name="r").ulabels.all().order_by("id").to_list("name"),
        "values": store.FeatureValue.filter(branch=None).order_by("id").pl().rows(),
        "trash": store.Record.filter(branch=None).order_by("id").to_list("uid"),
    }


def added(store: Store, name: str) -> Iterator[Any]:
    """Give what entities have: who added it last, when, and in which run."""
    for entity in getattr(store, name).all():
        history = entity.features.history().rows()
        latest = {row[:2]: row for row in history}
        yield from ((entity.uid, *row) for row in latest.values() if row[2] == "added")


def test_what_ended_is_forgotten_when_it_is_told_to(store: Store) -> None:
    fill(store)
    before, rows = observed(store), row_counts(store)
    history = store.Record.get(name="r").features.history().rows()
    assert store.compact(expire_history=timedelta(days=1), expire_values=timedelta(days=1)).dropped == {}
    assert (observed(store), row_counts(store)) == (before, rows)
    assert store.Record.get(name="r").features.history().rows() == history

    report = store.compact(expire_history=NOW)
    after = row_counts(store)
    assert report.dropped == {
        "artifact_annotations": 1,
        "artifact_removals": 1,
        "run_annotations": 1,
        "run_removals": 1,
        "record_annotations": 3,
        "record_removals": 3,
        "links": 2,
        "link_removals": 2,
        "changes": rows["changes"] - after["changes"],
    }
    assert {table: rows[table] - after[table] for table in report.dropped} == report.dropped
    assert report.dropped["changes"] > 0
    assert "dropped 1 artifact_annotations, " in repr(report)
    assert observed(store) == before
    for name in ENTITIES:
        for entity in getattr(store, name).all():
            assert set(entity.features.history()["action"]) <= {"added"}
    assert store.compact(expire_history=NOW).dropped == {}
    assert row_counts(store) == after

    record = store.Record.get(name="r")
    record.features.update_values({"dose": 2.5})
    record.features.add_values({"tags": "b"})
    record.ulabels.add(store.ULabel.get(name="first"))
    assert record.features.get_values() == {"dose": 2.5, "tags": ["a", "b"], "label": "third"}
    assert record.ulabels.all().order_by("name").to_list("name") == ["first", "second", "third"]
    found = record.features.history("dose").select("value", "action").rows()
    assert found == [("1.5", "added"), ("1.5", "removed"), ("2.5", "added")]


def test_values_that_nothing_points_at_are_forgotten(store: Store) -> None:
    fill(store)
    tags = store.Feature.get(name="tags")
    idle, _ = store.FeatureValue.get_or_create(tags, "never used")
    store.FeatureValue.get_or_create(tags, "in the trash")[0].delete()
    assert store.FeatureValue.search("never used", limit=1).to_list("value") == ["never used"]
    values = store.FeatureValue.filter(branch=None)

    def there() -> set[tuple[str, Any]]:
        return set(values.values_list("feature__name", "value"))

    kept = there() - {("tags", "never used")}
    assert store.compact(expire_values=NOW).dropped == {"typed_values": 1}
    assert there() == kept
    assert "never used" not in store.FeatureValue.search("never used").to_list("value")
    again, created = store.FeatureValue.get_or_create(tags, "never used")
    assert created
    assert again.id > idle.id
    # What only the past points at goes with the past.
    assert store.compact(expire_history=NOW, expire_values=NOW).dropped["typed_values"] == 4
    assert there() == kept - {("dose", 2.5), ("dose", 0.5), ("tags", "b")}
