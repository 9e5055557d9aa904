"""The trash, deletion for good, branches and spaces."""

from __future__ import annotations

import pytest

import duckfeat as dft
from duckfeat.errors import DoesNotExist, IntegrityError
from duckfeat.store import Store
from tests.counting import row_counts


@pytest.fixture
def sample(store: Store) -> dft.Record:
    store.Feature(name="dose", dtype=float).save()
    return store.Record(name="s1", features={"dose": 1.5}).save()


def test_the_trash_hides_and_gives_back(sample: dft.Record, store: Store) -> None:
    assert sample.delete() is None
    assert sample.branch.name == "trash"
    assert (store.Record.count(), store.Record.get_or_none(name="s1")) == (0, None)
    assert store.Record.filter(dose__gt=1).count() == 0
    assert store.Record.get(sample.uid) == store.Record.get(sample.id) == sample
    assert store.Record.filter(branch="trash").one() == sample
    assert store.Record.filter(branch=None).one() == sample
    assert sample.restore() is sample
    assert (sample.branch.name, store.Record.get().name) == ("main", "s1")
    assert sample.features.get_values() == {"dose": 1.5}


def test_a_restored_record_is_on_the_branch_it_was_on(store: Store) -> None:
    store.Branch(name="draft").save()
    store.switch("draft")
    idea = store.Record(name="idea").save()
    idea.delete()
    store.switch("main")
    assert idea.restore().branch.name == "draft"


def test_a_name_in_the_trash_is_free(sample: dft.Record, store: Store) -> None:
    sample.delete()
    again = store.Record(name="s1").save()
    assert again.id != sample.id
    with pytest.raises(IntegrityError, match="'s1'"):
        sample.restore()
    assert sample.branch.name == "trash"


def test_deleting_for_good_says_what_went(sample: dft.Record, store: Store) -> None:
    label = store.ULabel(name="blood").save()
    sample.ulabels.add(label)
    assert sample.delete(permanent=True) == (3, {"Annotation": 1, "Link": 1, "Record": 1})
    assert sample.id is None
    assert store.Record.filter(branch=None).count() == 0
    assert label.records.count() == 0
    with pytest.raises(dft.errors.InvalidArgument, match="not saved"):
        sample.delete()


def test_a_querysets_records_go_together(store: Store) -> None:
    store.save([store.Record(name=name) for name in "abc"])
    assert store.Record.filter(name__in=["a", "b"]).delete() is None
    assert store.Record.all().to_list("name") == ["c"]
    assert store.Record.filter(branch="trash").delete(permanent=True) == (2, {"Record": 2})
    assert store.Record.count() == 1
    assert store.Record.filter(name="zz").delete(permanent=True) == (0, {})


def test_a_feature_with_values_goes_only_when_told(sample: dft.Record, store: Store) -> None:
    dose, before = store.Feature.get(name="dose"), row_counts(store)
    with pytest.raises(IntegrityError, match=r"1 values and 1 annotations.*cascade=True") as caught:
        dose.delete(permanent=True)
    assert (caught.value.values, caught.value.annotations) == (1, 1)
    assert row_counts(store) == before
    assert dose.delete(permanent=True, cascade=True) == (3, {"FeatureValue": 1, "Annotation": 1, "Feature": 1})
    assert sample.features.get_values() == {}
    assert store.FeatureValue.count() == 0


def test_what_others_need_stays(store: Store) -> None:
    user, before = store.user, row_counts(store)
    assert user is not None
    kind = store.ULabel(name="tissue", is_type=True).save()
    store.ULabel(name="lung", type=kind).save()
    with pytest.raises(IntegrityError, match="1 ULabel record would lose their type"):
        kind.delete(permanent=True)
    for kept in (user, store.Branch.get(name="main"), store.Branch.get(name="trash"), store.Space.get(name="all")):
        with pytest.raises(IntegrityError):
            kept.delete(permanent=True)
    assert row_counts(store) == {**before, "ulabels": 2}


def test_branches_apart(store: Store) -> None:
    assert sorted(store.Branch.all().values_list("id", "name")) == [(-1, "trash"), (0, "archive"), (1, "main")]
    on_main = store.Record(name="main one").save()
    draft = store.Branch(name="draft").save()
    assert store.switch("draft") == draft == dft.settings.branch
    on_draft = store.Record(name="draft one").save()
    assert store.Record.all().to_list() == [on_draft, on_main]
    dft.settings.branch = "main"
    assert store.Record.all().to_list() == [on_main]
    assert store.Record.filter(branch="draft").one() == on_draft
    assert store.Record.filter(branch=draft).one() == on_draft
    assert store.Record.filter(branch__name="draft").one() == on_draft
    assert store.Record.filter(uid=on_draft.uid).one() == on_draft
    assert store.Record.filter(id=on_draft.id).one() == on_draft
    everything = store.Record.all()
    assert everything.filter(branch="draft").one() == store.Record.get(branch="draft") == on_draft
    assert store.Record.filter(dft.Q(branch="draft") | dft.Q(name="main one")).count() == 2
    assert everything.filter(branch=None).count() == store.Record.exclude(branch="trash").count() == 2
    assert store.Record.get(name="draft one", branch=None) == on_draft
    on_draft.branch = store.Branch.get(name="main")
    on_draft.save()
    assert store.Record.count() == 2
    with pytest.raises(DoesNotExist, match=r"no branch 'drft' \(did you mean 'draft'\?\)"):
        store.switch("drft")


def test_the_trash_and_branches_are_no_bar_on_the_way_through_relations(store: Store) -> None:
    """What a record carries is shown and found alike, wherever it lies; only the answers are of a branch."""
    store.Feature(name="tissue", dtype="cat[ULabel]").save()
    store.Branch(name="draft").save()
    with_label, with_value = store.Record(name="label").save(), store.Record(name="value").save()
    lung = store.ULabel(name="lung").save()
    store.switch("draft")
    draft = store.ULabel(name="draft label").save()
    store.switch("main")
    with_label.ulabels.add(lung, draft)
    with_value.features.add_values({"tissue": "lung"})
    lung.delete()
    found = store.Record.filter
    assert sorted(found(ulabels__name="lung").to_list("name")) == ["label", "value"]
    assert found(ulabels__name="draft label").one() == with_label
    assert found(tissue="lung").one() == with_value
    assert with_value.features.get_values() == {"tissue": "lung"}
    assert store.Record.pl(features=["tissue"]).filter(name="value")["tissue"].to_list() == ["lung"]
    assert found(ulabels__name="lung").exclude(ulabels__branch="trash").count() == 0
    assert found(ulabels__name="lung", ulabels__branch="main").count() == 0
    assert found(ulabels__name="draft label", ulabels__branch="draft").one() == with_label
    assert found(tissue="lung", tissue__branch__name="main").count() == 0
    assert with_label.ulabels.to_list() == []
    assert with_label.ulabels.filter(branch=None).count() == 2
    lung.restore()
    assert found(ulabels__name="lung", ulabels__branch="main").count() == 2


def test_every_record_lives_in_a_space(store: Store) -> None:
    first = store.Record(name="first").save()
    trial = store.Space(name="trial 7").save()
    dft.settings.space = "trial 7"
    second = store.Record(name="second").save()
    assert (first.space.name, second.space, dft.settings.space) == ("all", trial, trial)
    assert store.Record.filter(space=trial).one() == second
    assert store.Record.filter(space__name="all").to_list("name") == ["first"]
    with pytest.raises(DoesNotExist, match="no space 'trial'"):
        dft.settings.space = "trial"


def test_a_value_in_the_trash_is_brought_back_when_it_is_made_again(store: Store) -> None:
    dose = store.Feature(name="dose", dtype=float).save()
    value, _ = store.FeatureValue.get_or_create(dose, 2.5)
    value.delete()
    again, created = store.FeatureValue.get_or_create(dose, 2.5)
    assert (again.id, again.branch.name, created) == (value.id, "main", False)
    assert store.FeatureValue.get(feature=dose, value=2.5) == again
    again.delete()
    made = store.FeatureValue(feature=dose, value=2.5).save()
    assert (made.id, made.branch.name, dose.values.count()) == (value.id, "main", 1)
