"""`record.features`: what each method does to the annotations, and what it refuses."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

import duckfeat as dft
from duckfeat.errors import FieldError, InvalidArgument, ValidationError
from duckfeat.store import Store
from tests.counting import row_counts


@pytest.fixture
def sample(store: Store) -> dft.Record:
    store.save(
        [
            store.Feature(name="dose", dtype=float),
            store.Feature(name="site", dtype=str),
            store.Feature(name="tags", dtype=str, multiple=True),
            store.Feature(name="tissue", dtype=store.ULabel),
            store.ULabel(name="lung"),
            store.ULabel(name="liver"),
        ]
    )
    return store.Record(name="s1", features={"dose": 1.5, "site": "A", "tags": ["y", "x"], "tissue": "lung"}).save()


HELD = {"dose": 1.5, "site": "A", "tags": ["x", "y"], "tissue": "lung"}


def test_values_are_read_by_name_in_order_of_registration(sample: dft.Record, store: Store) -> None:
    assert sample.features.get_values() == HELD
    assert list(sample.features.get_values()) == list(HELD)
    assert sample.features["dose"] == 1.5
    assert sample.features["tags"] == ["x", "y"]
    assert sample.features["tissue"] == store.ULabel.get(name="lung")
    assert sample.features[store.Feature.get(name="site")] == "A"
    assert "dose=1.5" in repr(sample.features)
    assert store.Record(name="bare").save().features["dose"] is None
    assert store.Record(name="bare").save().features["tags"] == []


def test_adding_the_same_again_is_nothing(sample: dft.Record, store: Store) -> None:
    before = row_counts(store)
    sample.features.add_values(HELD)
    assert row_counts(store) == before


def test_a_second_value_of_a_single_feature_is_refused(sample: dft.Record, store: Store) -> None:
    before = row_counts(store)
    with pytest.raises(
        ValidationError, match=r"'dose' takes one value and the Record has 1\.5: .*update_values"
    ) as caught:
        sample.features.add_values({"site": "A", "tags": ["new"], "dose": 2.0})
    assert (caught.value.feature, caught.value.dtype) == ("dose", "float")
    with pytest.raises(ValidationError, match="multiple=True"):
        sample.features.add_values({"dose": [1.5, 2.0]})
    assert row_counts(store) == before


def test_several_values_add_up(sample: dft.Record) -> None:
    sample.features.add_values({"tags": "z"})
    sample.features.add_values({"tags": ["a", "x"]})
    assert sample.features["tags"] == ["a", "x", "y", "z"]


def test_update_replaces_what_it_names(sample: dft.Record) -> None:
    sample.features.update_values({"dose": 2, "tags": ["q"], "tissue": "liver"})
    assert sample.features.get_values() == {"dose": 2.0, "site": "A", "tags": ["q"], "tissue": "liver"}
    sample.features.update_values({"dose": None, "tags": []})
    assert sample.features.get_values() == {"site": "A", "tissue": "liver"}


def test_set_removes_the_others(sample: dft.Record) -> None:
    sample.features.set_values({"site": "B", "dose": None})
    assert sample.features.get_values() == {"site": "B"}
    sample.features.set_values({})
    assert sample.features.get_values() == {}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("dose", ["site", "tags", "tissue"]),
        (["dose", "tags"], ["site", "tissue"]),
        ({"dose": 1.5, "site": "other"}, ["site", "tags", "tissue"]),
        ({"dose": None, "tags": None}, ["site", "tissue"]),
        ({"tags": ["x", "y"]}, ["dose", "site", "tissue"]),
        ({"tissue": "lung"}, ["dose", "site", "tags"]),
        ({"tissue": "liver"}, ["dose", "site", "tags", "tissue"]),
        ([], ["dose", "site", "tags", "tissue"]),
    ],
)
def test_remove_takes_names_and_values(given: Any, left: list[str], sample: dft.Record) -> None:
    sample.features.remove_values(given)
    assert list(sample.features.get_values()) == left


def test_remove_takes_features_and_one_of_several_values(sample: dft.Record, store: Store) -> None:
    dose, tags = store.Feature.get(name="dose"), store.Feature.get(name="tags")
    sample.features.remove_values({tags: "x"})
    assert sample.features["tags"] == ["y"]
    sample.features.remove_values(dose)
    sample.features.remove_values([tags])
    assert list(sample.features.get_values()) == ["site", "tissue"]
    before = row_counts(store)
    sample.features.remove_values(["dose", tags])
    assert row_counts(store) == before


def test_remove_takes_the_name_that_is_shown(sample: dft.Record, store: Store) -> None:
    kind = store.ULabel(name="kind", is_type=True).save()
    lung, gone = store.ULabel(name="lung", type=kind).save(), store.ULabel(name="gone").save()
    for label in (lung, gone):  # there is an older 'lung'; what is in the trash is found by no name
        sample.features.update_values({"tissue": label})
        gone.delete()
        sample.features.remove_values({"tissue": label.name})
        assert "tissue" not in sample.features.get_values()
        gone.restore()
    assert store.check().ok


@pytest.mark.parametrize("method", ["add_values", "update_values", "set_values", "remove_values"])
def test_unknown_names_come_with_the_nearest_and_lines_to_paste(method: str, sample: dft.Record, store: Store) -> None:
    before = row_counts(store)
    with pytest.raises(ValidationError) as caught:
        getattr(sample.features, method)({"dos": 1.5, "flag": True, "sites": ["a"], "site": "A"})
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 unknown features: 'dos', 'flag', 'sites'; to register:"
    assert lines[1:] == [
        "  Feature(name='dos', dtype='float').save()  # did you mean 'dose'?",
        "  Feature(name='flag', dtype='bool').save()",
        "  Feature(name='sites', dtype='list[str]').save()  # did you mean 'site'?",
    ]
    assert caught.value.features == ["dos", "flag", "sites"]
    assert row_counts(store) == before
    namespace = {"Feature": store.Feature}
    for line in lines[1:]:
        exec(line.strip(), namespace)  # noqa: S102 - what the message says to paste
    assert set(store.Feature.all().to_list("name")) >= {"dos", "flag", "sites"}


def test_values_of_the_wrong_type_are_refused_with_all_there_is_to_say(sample: dft.Record, store: Store) -> None:
    before = row_counts(store)
    for wrong in ("2.5", True, [1.0], {"a": 1}, b"x"):
        with pytest.raises(ValidationError, match="'dose'") as caught:
            sample.features.update_values({"site": "B", "dose": wrong})
        assert caught.value.feature == "dose"
        assert isinstance(caught.value, ValueError)
    assert row_counts(store) == before
    assert sample.features.get_values() == HELD


def test_a_category_takes_names_and_records_of_its_registry(sample: dft.Record, store: Store) -> None:
    sample.features.update_values({"tissue": store.ULabel.get(name="liver")})
    assert sample.features.get_values()["tissue"] == "liver"
    assert store.FeatureValue.filter(feature__name="tissue").count() == 0
    before = row_counts(store)
    with pytest.raises(ValidationError, match=r"no ULabel 'lungs' \(did you mean 'lung'\?\)"):
        sample.features.update_values({"tissue": "lungs"})
    with pytest.raises(ValidationError, match="cat"):
        sample.features.update_values({"tissue": sample})
    with pytest.raises(ValidationError, match="categorical"):
        store.FeatureValue.get_or_create("tissue", "lung")
    assert row_counts(store) == before
    assert sample.ulabels.to_list("name") == ["liver"]


def test_every_entity_carries_features(sample: dft.Record, store: Store, tmp_path: Any) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    artifact = store.Artifact(path, key="a", features={"dose": 3}).save()
    run = store.Run(name="r", features={"dose": 4}).save()
    assert artifact.features.get_values() == {"dose": 3.0}
    assert run.features.get_values() == {"dose": 4.0}
    dose = store.Feature.get(name="dose")
    assert dose.values.order_by("value").to_list("value") == [1.5, 3.0, 4.0]
    three = store.FeatureValue.get(feature=dose, value=3)
    assert (three.artifacts.one(), three.records.count(), three.runs.count()) == (artifact, 0, 0)
    assert store.Artifact.filter(dose__gt=2).one() == artifact
    assert store.Run.filter(dose > 3).one() == run
    assert store.Record.filter(dose > 1, site="A").one() == sample


def test_history_tells_who_did_what_and_nothing_is_ever_changed_in_place(sample: dft.Record, store: Store) -> None:
    facts = "SELECT * FROM record_annotations ORDER BY ALL"
    written = store.sql(facts)
    with store.track("fix.py") as run:
        sample.features.update_values({"dose": 2.0})
    sample.features.remove_values({"tags": "x"})
    sample.features.set_values({"dose": 2.0})
    assert store.sql(facts).head(len(written)).equals(written) or set(written.rows()) <= set(store.sql(facts).rows())
    assert store.sql("SELECT count(*) AS n FROM record_removals")["n"].item() == 5
    history = sample.features.history()
    assert history.columns == [
        "feature",
        "value",
        "action",
        "operation",
        "created_at",
        "created_by",
        "run",
        "run_name",
    ]
    dose = sample.features.history("dose")
    assert dose.select("value", "action", "operation").rows() == [
        ("1.5", "added", "update"),
        ("1.5", "removed", "update"),
        ("2.0", "added", "update"),
    ]
    assert dose["run"].to_list() == [None, run.uid, run.uid]
    assert dose["run_name"].to_list() == [None, "fix.py", "fix.py"]
    assert store.user is not None
    assert set(history["created_by"]) == {store.user.handle}
    assert history["created_at"].is_sorted()
    tissue = sample.features.history(store.Feature.get(name="tissue"))
    assert tissue.select("value", "action").rows() == [("lung", "added"), ("lung", "removed")]


def test_an_unsaved_record_has_no_features_yet(store: Store) -> None:
    with pytest.raises(InvalidArgument, match="save this Record"):
        store.Record(name="new").features.add_values({})


def test_a_failing_feature_leaves_no_record_behind(sample: dft.Record, store: Store) -> None:
    before = row_counts(store)
    record = store.Record(name="s2", features={"dose": "much"})
    with pytest.raises(ValidationError, match="'dose'"):
        record.save()
    assert record.id is None
    assert row_counts(store) == before
    assert sample.id is not None


def test_features_in_frames_are_columns_of_their_dtype(sample: dft.Record, store: Store) -> None:
    bare = store.Record(name="bare").save()
    frame = store.Record.pl(features=True)
    assert frame["name"].to_list() == [bare.name, sample.name]
    assert frame.columns[:2] == ["uid", "name"]
    assert frame.columns[-4:] == ["dose", "site", "tags", "tissue"]
    assert frame["tags"].to_list() == [[], ["x", "y"]]
    assert frame["dose"].to_list() == [None, 1.5]
    assert store.Record.pl(features=["tissue", "dose"]).columns[-2:] == ["tissue", "dose"]
    assert store.Record.filter(name="bare").pl(features="queryset").columns[-1] != "tissue"
    with pytest.raises(FieldError, match=r"no feature 'doze' \(did you mean 'dose'\?\)"):
        store.Record.pl(features=["doze"])
    with pytest.raises(FieldError, match="carries no features"):
        store.ULabel.pl(features=True)


def test_features_follow_a_type_that_gets_another_name(store: Store) -> None:
    donor = store.ULabel(name="Donor", is_type=True).save()
    feature = store.Feature(name="donor", dtype=donor).save()
    store.save([store.ULabel(name=name, type=donor) for name in ("d1", "d2")])
    sample = store.Record(name="s", features={"donor": "d1"}).save()
    donor.name = "Giver"
    donor.save()
    sample.features.update_values({"donor": "d2"})
    assert (feature.refresh_from_db().dtype, sample.features.get_values()) == ("cat[ULabel[Giver]]", {"donor": "d2"})


def test_lists_are_asked_for_their_items(store: Store) -> None:
    day, moment = date(2024, 5, 1), datetime(2024, 5, 1, 12)
    dtypes = {"tags": "list[str]", "sizes": "list[float]", "days": "list[date]", "moments": "list[datetime]"}
    store.save([store.Feature(name=name, dtype=dtype) for name, dtype in {**dtypes, "meta": "dict"}.items()])
    held = {"tags": ["x", 'y"'], "sizes": [0.0, 2.0], "days": [day], "moments": [moment], "meta": {"tags": ["x", 1]}}
    store.Record(name="a", features=held).save()
    store.Record(name="b", features={"tags": ["xy"], "sizes": [], "meta": {"tags": "x"}}).save()
    store.Record(name="c").save()

    def found(**asked: Any) -> list[str]:
        return store.Record.filter(**asked).order_by("name").to_list("name")

    assert found(tags__contains="x") == found(tags__contains='y"') == found(sizes__contains=2) == ["a"]
    assert found(days__contains="2024-05-01") == found(days__contains=day) == ["a"]
    assert found(moments__contains=moment) == found(moments__contains="2024-05-01T12:00") == ["a"]
    assert found(meta__tags__contains=1) == ["a"]
    assert found(meta__tags__contains="x") == ["a", "b"]
    assert found(tags__contains="y") == found(sizes__contains=0.5) == []
    tags = store.Feature.get(name="tags")
    assert store.Record.filter(~tags.contains("x")).order_by("name").to_list("name") == ["b", "c"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"tags__contains": 1}, r"feature 'tags'__contains: 1 \(int\) is not text"),
        ({"tags__contains": None}, r"cannot be compared; feature 'tags'__isnull=True finds"),
        ({"tags__contanis": "x"}, r"feature 'tags' \(list\) has no lookup 'contanis' \(did you mean 'contains'\?\)"),
        ({"tags__gt": "x"}, r"cannot have 'gt'; it has: exact, ne, contains, in, isnull. `contains` asks for an item"),
        ({"plain__contains": date(2024, 5, 1)}, r"is not a value that a list without a dtype for its items holds"),
    ],
)
def test_what_no_list_can_hold_is_refused(asked: dict[str, Any], message: str, store: Store) -> None:
    store.save([store.Feature(name="tags", dtype="list[str]"), store.Feature(name="plain", dtype=list)])
    with pytest.raises((FieldError, InvalidArgument), match=message):
        store.Record.filter(**asked)
