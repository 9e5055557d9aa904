"""Every registry: its fields and relations, getting records, saving them, names found, relations, frames."""

from __future__ import annotations

import logging
import re
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

import duckfeat as dft
from duckfeat.errors import (
    DoesNotExist,
    FieldError,
    IntegrityError,
    InvalidArgument,
    MultipleResultsFound,
    ValidationError,
)
from duckfeat.store import Store
from tests.counting import row_counts, statements

TRACKED = "id uid created_at created_by run branch space"
FIELDS = {
    "FeatureValue": "value hash created_at created_by run branch space feature artifacts runs records",
    "Feature": f"{TRACKED} name dtype unit description synonyms multiple coerce is_type type values",
    "Artifact": f"{TRACKED} key description path suffix size hash n_observations version is_latest ulabels records"
    " runs feature_values",
    "Record": f"{TRACKED} name description is_type type ulabels artifacts runs feature_values parents children",
    "Run": f"{TRACKED} name transform status started_at finished_at ulabels records artifacts feature_values",
    "Transform": f"{TRACKED} key runs",
    "ULabel": f"{TRACKED} name description synonyms is_type type parents children artifacts runs records",
    "User": f"{TRACKED} handle name",
    "Branch": f"{TRACKED} name description",
    "Space": f"{TRACKED} name description",
}
UIDS = {"Feature": 12, "Artifact": 20, "Record": 16, "Run": 16, "Transform": 16, "ULabel": 8, "User": 8}


def one_of_each(store: Store) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Feature": store.Feature(name="dose", dtype=float),
        "Artifact": store.Artifact("s3://bucket/a.parquet", key="a"),
        "Record": store.Record(name="r"),
        "Run": store.Run(store.Transform(key="t")),
        "ULabel": store.ULabel(name="l"),
        "User": store.User("ada"),
        "Branch": store.Branch("b"),
        "Space": store.Space("s"),
    }
    store.save(made.values())
    made["Transform"] = made["Run"].transform
    made["FeatureValue"] = store.FeatureValue.get_or_create("dose", 1)[0]
    return made


def test_every_field_and_relation_answers_on_the_record_and_in_queries(store: Store) -> None:
    for registry, record in one_of_each(store).items():
        cls = getattr(store, registry)
        for name in FIELDS[registry].split():
            value = getattr(record, name)
            assert str(getattr(cls, name)) == name
            if hasattr(value, "add"):
                assert value.count() == len(list(value)) == len(value.all())
                linked = cls.filter(**{f"{name}__isnull": False})
                assert (record in linked) is value.exists(), (registry, name)
            else:
                assert record in cls.filter(**{f"{name}__isnull": value is None}), (registry, name)
        assert registry in repr(record)
        assert "<table>" in record._repr_html_()
        assert record.describe(return_str=True).startswith(registry)
        assert cls.describe(return_str=True).startswith(f"{registry}: ")


def test_ids_are_dense_and_uids_are_random_base62(store: Store) -> None:
    made = one_of_each(store)
    for registry, length in UIDS.items():
        assert re.fullmatch(f"[0-9A-Za-z]{{{length}}}", made[registry].uid), registry
    labels = store.save([store.ULabel(name=str(number)) for number in range(5)])
    assert [label.id for label in labels] == list(range(2, 7))
    assert len({label.uid for label in labels}) == 5


def test_provenance(store: Store) -> None:
    before = datetime.now(UTC)
    with store.track("ingest.py") as run:
        inside = store.ULabel(name="inside").save()
    outside = store.ULabel(name="outside").save()
    assert (inside.run, outside.run) == (run, None)
    assert inside.created_by == store.user
    assert before <= inside.created_at <= outside.created_at <= datetime.now(UTC)
    assert run.output_ulabels.one() == inside


# --- getting -----------------------------------------------------------------------------------------


def test_get_by_whatever_names_one(store: Store) -> None:
    label = store.ULabel(name="ULabel7").save()
    for found in (
        store.ULabel.get(label.id),
        store.ULabel.get(label.uid),
        store.ULabel.get(label.uid[:6]),
        store.ULabel.get(name="ULabel7"),
        store.ULabel.get(label.uid, name="ULabel7"),
        store.ULabel.filter(name__startswith="U").get(),
        store.ULabel.get_or_none(name="ULabel7"),
    ):
        assert found == label
    value, _ = store.FeatureValue.get_or_create(store.Feature(name="dose", dtype=int).save(), 7)
    assert store.FeatureValue.get(value.hash) == store.FeatureValue.get(value.hash[:8]) == value
    assert store.FeatureValue.get(value=7) == value


@pytest.mark.parametrize("uid", ["s1", "TCGA-02-0001", "sample 1", "50%_a", "Zürich"])
def test_get_finds_a_uid_that_was_given_also_where_others_begin_with_it(store: Store, uid: str) -> None:
    store.save([store.Record(name=str(number), uid=f"{uid}{number}") for number in range(3)])
    made = store.Record(name="made", uid=uid).save()
    store.Record(name="last", uid=f"{uid}-last").save()
    assert store.Record.get(uid) == store.Record.get(uid, name="made") == store.Record.get_or_none(uid) == made
    assert store.Record.get(f"{uid}-l").name == "last"
    with pytest.raises(MultipleResultsFound, match="5 match"):
        store.Record.get(uid[:-1])
    with pytest.raises(DoesNotExist, match="no uid that begins with"):
        store.Record.get(f"{uid}-x")
    made.delete()
    assert store.Record.get(uid) == made


def test_get_raises_what_it_says(store: Store) -> None:
    store.save([store.ULabel(name="ULabel7"), store.ULabel(name="ULabel8")])
    before = row_counts(store)
    with pytest.raises(DoesNotExist, match=r"no such ULabel \(did you mean 'ULabel7'\?\)") as missing:
        store.ULabel.get(name="ULable7")
    assert isinstance(missing.value, LookupError)
    assert missing.value.registry == "ULabel"
    with pytest.raises(MultipleResultsFound, match="2 match") as several:
        store.ULabel.get(name__startswith="ULabel")
    assert several.value.count == 2
    with pytest.raises(DoesNotExist, match="99"):
        store.ULabel.get(99)
    with pytest.raises(DoesNotExist, match="to get by name"):
        store.ULabel.get("no uid!")
    with pytest.raises(FieldError, match=r"'nam'.*did you mean 'name'.*Available: .*uid") as field:
        store.ULabel.get(nam="x")
    assert "name" in field.value.available
    with pytest.raises(FieldError, match="startwith"):
        store.ULabel.filter(name__startwith="x")
    assert store.ULabel.get_or_none(name="x") is None
    assert row_counts(store) == before


# --- saving ------------------------------------------------------------------------------------------


def test_names_are_found_not_doubled(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    for cls, fields in (
        (store.ULabel, {"name": "a"}),
        (store.Record, {"name": "a"}),
        (store.Feature, {"name": "a", "dtype": float}),
        (store.Transform, {"key": "a"}),
        (store.Branch, {"name": "a"}),
        (store.Space, {"name": "a"}),
        (store.User, {"handle": "a"}),
    ):
        first = cls(**fields).save()
        caplog.clear()
        with caplog.at_level(logging.INFO, "duckfeat"):
            again = cls(**fields).save()
        assert (again, again.id, again.uid) == (first, first.id, first.uid)
        assert f"{cls.__name__} 'a' exists" in caplog.text
    twins = store.save([store.ULabel(name="twin"), store.ULabel(name="twin")])
    assert twins[0] == twins[1]


def test_names_are_unique_within_their_type(store: Store) -> None:
    organ = store.ULabel(name="organ", is_type=True).save()
    plain, typed = store.ULabel(name="heart").save(), store.ULabel(name="heart", type=organ).save()
    assert plain != typed
    assert store.ULabel(name="heart", type=organ).save() == typed
    assert organ.instances.one() == typed
    inner = store.ULabel(name="inner organ", is_type=True, type=organ).save()
    assert store.ULabel(name="heart", type=inner).save() not in {plain, typed}
    assert store.ULabel.filter(type__type__name="organ").one().name == "heart"


def test_a_feature_that_exists_otherwise_is_refused(store: Store) -> None:
    store.Feature(name="dose", dtype=float).save()
    before = row_counts(store)
    with pytest.raises(ValidationError, match="exists with dtype 'float', not 'int'"):
        store.Feature(name="dose", dtype=int).save()
    with pytest.raises(ValidationError, match="multiple"):
        store.Feature(name="dose", dtype=float, multiple=True).save()
    with pytest.raises(InvalidArgument, match="needs a dtype"):
        store.Feature(name="other")
    with pytest.raises(InvalidArgument, match=r"flaot.*did you mean 'float'"):
        store.Feature(name="other", dtype="flaot")
    assert row_counts(store) == before


def test_saving_a_saved_record_updates_it(store: Store) -> None:
    label = store.ULabel(name="a").save()
    same, created = store.ULabel.get(name="a"), label.created_at
    label.name, label.description = "b", "renamed"
    assert store.save(label) == [label]
    assert same.refresh_from_db().description == "renamed"
    assert (same.name, same.created_at) == ("b", created)
    assert same.updated_at > created
    store.ULabel(name="c").save()
    label.name = "c"
    before = row_counts(store)
    with pytest.raises(IntegrityError, match="another ULabel with name 'c'"):
        label.save()
    assert row_counts(store) == before
    assert store.ULabel.get(label.id).name == "b"


def test_many_are_saved_with_as_many_statements_as_one(store: Store) -> None:
    store.ULabel(name="warm").save()

    def number(size: int, batch_size: int | None = None) -> int:
        with statements(store) as seen:
            store.save([store.ULabel(name=f"{size} {batch_size} {n}") for n in range(size)], batch_size=batch_size)
        return len(seen)

    assert number(3) == number(300)
    assert number(30, batch_size=10) > number(30)
    assert store.ULabel.count() == 364


def test_many_are_all_or_nothing(store: Store) -> None:
    before = row_counts(store)
    labels = [store.ULabel(name="a"), store.ULabel(name="b", uid="same"), store.ULabel(name="c", uid="same")]
    with pytest.raises(IntegrityError, match="'same'"):
        store.save(labels)
    assert [label.id for label in labels] == [None] * 3
    assert row_counts(store) == before


def test_unsaved_records_are_saved_with_those_that_point_at_them(store: Store) -> None:
    kind = store.ULabel(name="organ", is_type=True)
    lung = store.ULabel(name="lung", type=kind).save()
    assert (kind.id, store.ULabel.get(name="lung").type) == (1, kind)
    assert lung.type_id == kind.id


def test_from_values_finds_or_makes(store: Store) -> None:
    old = store.ULabel(name="a").save()
    found = store.ULabel.from_values(["b", "a", "b", None], field="name")
    assert [label.name for label in found] == ["b", "a"]
    assert (found[1], found[0].id) == (old, None)
    store.save(found)
    assert store.ULabel.count() == 2
    assert store.ULabel.from_values(["c"], create=True)[0].id == 3
    with statements(store) as seen:
        store.ULabel.from_values([str(n) for n in range(500)], create=True)
    with statements(store) as few:
        store.ULabel.from_values([f"x{n}" for n in range(5)], create=True)
    assert len(seen) == len(few)


def test_get_or_create_under_threads_makes_one(store: Store) -> None:
    dose = store.Feature(name="dose", dtype=float).save()
    start = threading.Barrier(16)
    found: list[tuple[dft.FeatureValue, bool]] = []

    def ask() -> None:
        start.wait()
        found.extend(store.FeatureValue.get_or_create(dose, n) for n in range(6))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 96
    assert sum(created for _, created in found) == 6
    assert len({value.id for value, _ in found}) == store.FeatureValue.count() == 6


def test_get_or_create_tells_what_is_wrong(store: Store) -> None:
    store.Feature(name="dose", dtype=float).save()
    before = row_counts(store)
    with pytest.raises(ValidationError, match="not registered"):
        store.FeatureValue.get_or_create("doze", 1.0)
    with pytest.raises(ValidationError, match="None is not a value"):
        store.FeatureValue.get_or_create("dose", None)
    with pytest.raises(ValidationError, match=r"dose.*float"):
        store.FeatureValue.get_or_create("dose", "1.0")
    assert row_counts(store) == before


# --- relations ---------------------------------------------------------------------------------------


def test_managers_on_both_sides(store: Store) -> None:
    sample = store.Record(name="s").save()
    blood, fresh, old = store.save([store.ULabel(name=name) for name in ("blood", "fresh", "old")])
    sample.ulabels.add(blood, fresh)
    sample.ulabels.add(blood)
    assert sample.ulabels.order_by("name").to_list("name") == ["blood", "fresh"]
    assert blood.records.one() == sample
    blood.records.remove(sample)
    assert sample.ulabels.all().to_list() == [fresh]
    sample.ulabels.set([old, blood])
    assert sample.ulabels.filter(name__startswith="o").one() == old
    assert sample.ulabels.df()["name"].tolist() == ["old", "blood"]
    assert (sample.ulabels.count(), sample.ulabels.exists(), old in sample.ulabels) == (2, True, True)
    sample.ulabels.clear()
    assert sample.ulabels.count() == 0
    old.children.add(blood, fresh)
    assert fresh.parents.one() == old
    sample.ulabels.add(store.ULabel(name="made on the way"))
    assert sample.ulabels.one().id == 4
    sample.ulabels.remove(store.ULabel(name="never saved"))
    before = row_counts(store)
    with pytest.raises(InvalidArgument, match=r"Record\.ulabels holds ULabel records"):
        sample.ulabels.add(sample)
    with pytest.raises(InvalidArgument, match="save this Record"):
        _ = store.Record(name="new").ulabels
    assert row_counts(store) == before


def test_values_have_their_entities_and_entities_their_values(store: Store) -> None:
    dose = store.Feature(name="dose", dtype=float).save()
    value, _ = store.FeatureValue.get_or_create(dose, 1.5)
    first, second = store.save([store.Record(name="a"), store.Record(name="b")])
    value.records.add(first, second)
    assert first.features.get_values() == {"dose": 1.5}
    first.feature_values.remove(value)
    assert value.records.all().to_list() == [second]
    value.records.clear()
    assert dose.values.one() == value
    other, _ = store.FeatureValue.get_or_create(dose, 2.5)
    before = row_counts(store)
    with pytest.raises(ValidationError, match="takes one value"):
        first.feature_values.set([value, other])
    assert row_counts(store) == before


def test_relations_cost_as_many_statements_however_many_there_are(store: Store) -> None:
    sample = store.Record(name="s").save()
    labels = store.save([store.ULabel(name=str(n)) for n in range(200)])

    def cost(given: list[Any]) -> int:
        with statements(store) as seen:
            sample.ulabels.add(*given)
            [label.created_by.handle for label in sample.ulabels]
        return len(seen)

    cost(labels[:1])
    assert cost(labels[1:3]) == cost(labels[3:])
    with statements(store) as seen:
        sample.ulabels.filter(name="1")
    assert seen == []


# --- frames ------------------------------------------------------------------------------------------


def test_frames_have_fixed_columns_newest_first(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.save([store.ULabel(name=f"l{n:03}") for n in range(105)])
    store.ULabel.get(name="l104").parents.add(*store.ULabel.filter(name__in=["l001", "l000"]))
    frame = store.ULabel.pl(include=["created_by__handle", "parents__name"])
    assert frame.columns[:2] == ["uid", "name"]
    assert frame.columns[-2:] == ["created_by__handle", "parents__name"]
    assert frame["name"].to_list() == [f"l{n:03}" for n in reversed(range(105))]
    assert frame["parents__name"].to_list()[:2] == [["l000", "l001"], []]
    assert frame.height == store.ULabel.arrow().num_rows == 105
    with caplog.at_level(logging.WARNING, "duckfeat"):
        assert len(store.ULabel.df()) == len(store.ULabel.to_dataframe()) == 100
    assert "showing 100 rows, there are more" in caplog.text
    caplog.clear()
    assert len(store.ULabel.df(limit=None)) == len(store.ULabel.filter().df()) == 105
    assert store.ULabel.df(limit=None).index.tolist() == list(range(105))
    assert caplog.text == ""
    with pytest.raises(FieldError, match="handel"):
        store.ULabel.pl(include="created_by__handel")


def test_views_show_the_newest_and_dtypes(store: Store) -> None:
    store.Feature(name="dose", dtype=float).save()
    store.Record(name="s", features={"dose": 1.5}).save()
    shown = store.view()
    assert {"Feature", "Record", "User"} <= set(shown.frames)
    assert "dose" in repr(shown)
    assert "<h4>Record</h4>" in shown._repr_html_()
    typed = dft.view(store.Record.df(features=True))
    assert "float" in repr(typed)
    with pytest.raises(InvalidArgument, match="frame"):
        store.view(7)


def test_what_is_no_field_cannot_be_set(store: Store) -> None:
    sample = store.Record(name="s", uid="a" * 16).save()
    for name, value, says in (
        ("nmae", "x", r"no attribute 'nmae' \(did you mean 'name'\?\)"),
        ("ulabels", [], r"changed by record\.ulabels\.add"),
        ("id", 7, "given by the store"),
    ):
        with pytest.raises(dft.errors.DuckfeatError, match=says):
            setattr(sample, name, value)
    store.Feature(name="dose", dtype=float).save()
    with pytest.raises(AttributeError, match=r"the feature's value is record\.features\['dose'\]"):
        _ = sample.dose
    with pytest.raises(FieldError, match=r"no setting 'brnch' \(did you mean 'branch'\?\)"):
        dft.settings.brnch = "main"
    assert repr(dft.settings) == "<settings: branch='main', space='all'>"
    with pytest.raises(DoesNotExist, match=r"to get by name: get\(name='s'\)"):
        store.Record.get("s")
