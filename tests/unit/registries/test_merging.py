"""Merging a branch moves all of its records to main, or none."""

from __future__ import annotations

import pytest

import duckfeat as dft
from duckfeat.errors import DoesNotExist, IntegrityError, InvalidArgument
from duckfeat.store import Store


@pytest.fixture
def draft(store: Store) -> dft.Branch:
    """A branch with a record of every kind."""
    branch = store.Branch(name="draft").save()
    store.switch("draft")
    feature = store.Feature(name="dose", dtype=float).save()
    with store.track("draft.py"):
        record = store.Record(name="r", features={"dose": 1.5}).save()
        record.ulabels.add(store.ULabel(name="label").save())
        store.Artifact("s3://bucket/a.csv", key="a.csv").save()
        store.FeatureValue.get_or_create(feature, 2.5)
    store.switch("main")
    return branch


def test_everything_on_a_branch_moves(store: Store, draft: dft.Branch) -> None:
    assert store.Record.count() == store.ULabel.count() == store.Artifact.count() == 0
    moved = store.merge("draft")
    assert moved == {
        "Artifact": 1,
        "Feature": 1,
        "FeatureValue": 2,
        "Record": 1,
        "ULabel": 1,
        "Run": 1,
        "Transform": 1,
    }
    record = store.Record.get(name="r")
    assert record.branch.name == "main"
    assert record.features.get_values() == {"dose": 1.5}
    assert record.ulabels.all().to_list("name") == ["label"]
    assert store.Artifact.get(key="a.csv").is_latest
    assert draft.merge() == {}


def test_what_the_trash_holds_of_a_branch_is_restored_to_main(store: Store, draft: dft.Branch) -> None:
    label = store.ULabel.filter(branch=draft).one()
    label.delete()
    draft.merge()
    assert store.ULabel.count() == 0
    assert label.restore().branch.name == "main"


def test_the_newest_artifact_of_a_key_is_the_latest_after_a_merge(store: Store, draft: dft.Branch) -> None:
    on_main = store.Artifact("s3://bucket/b.csv", key="a.csv", skip_hash_lookup=True).save()
    draft.merge()
    latest = {artifact.id: artifact.is_latest for artifact in store.Artifact.filter(key="a.csv")}
    assert len(latest) == 2
    assert [id_ for id_, newest in latest.items() if newest] == [max(latest)]
    assert on_main.id in latest


def test_a_clash_of_names_moves_nothing(store: Store, draft: dft.Branch) -> None:
    engine = store._session.engine
    with engine.transaction():  # as a program that knows no uniqueness would leave it
        engine.write("UPDATE ulabels SET branch_id = -1 WHERE name = 'label'")
        store.ULabel(name="label").save()
        engine.write("UPDATE ulabels SET branch_id = $draft WHERE branch_id = -1", {"draft": draft.id})
    with pytest.raises(IntegrityError, match="another ULabel"):
        store.merge(draft)
    assert store.Record.count() == 0
    assert store.Record.filter(branch=draft).count() == 1
    store.ULabel.filter(branch=draft).update(name="another")
    assert store.merge(draft)["ULabel"] == 1


@pytest.mark.parametrize("name", ["main", "archive", "trash"])
def test_what_is_part_of_every_store_is_not_merged(store: Store, name: str) -> None:
    with pytest.raises(IntegrityError, match="part of every store"):
        store.merge(name)


def test_an_unknown_or_unsaved_branch(store: Store) -> None:
    with pytest.raises(DoesNotExist):
        store.merge("nowhere")
    with pytest.raises(InvalidArgument, match="not saved"):
        store.Branch(name="new").merge()
