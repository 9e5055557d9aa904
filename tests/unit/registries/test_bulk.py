"""`annotate`: entities, features, modes, what is refused, what is counted."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.compile import staging
from duckfeat.errors import (
    DuckfeatError,
    FieldError,
    IntegrityError,
    InvalidArgument,
    MissingExtra,
    ValidationError,
)
from duckfeat.registries import bulk_groups
from duckfeat.store import Store

FRAME = pl.DataFrame({"name": ["a", "b", "c"], "dose": [1.5, None, 2.0], "site": ["A", "B", "A"]})


def sizes(store: Store) -> dict[str, int]:
    names = store.sql("SELECT table_name FROM duckdb_tables() WHERE database_name = 'store' ORDER BY 1")
    return {name: store.sql(f"SELECT count(*) AS n FROM {name}")["n"][0] for name in names["table_name"]}  # noqa: S608


def values(name: str) -> dict[str, Any]:
    return dft.Record.get(name=name).features.get_values()


def loaded(store: Store) -> Store:
    store.annotate(FRAME, key="name", create="all")
    return store


def refused(store: Store, error: type[DuckfeatError], data: Any, **options: Any) -> Any:
    """Return the error of an annotation, which must leave the store as it was."""
    before = sizes(store)
    with pytest.raises(error) as caught:
        store.annotate(data, **{"key": "name", **options})
    assert sizes(store) == before
    assert not store.sql("SELECT * FROM duckdb_tables() WHERE starts_with(table_name, 'bulk_')").height
    return caught.value


# --- what it does ----------------------------------------------------------------------------------


def test_the_report_counts_what_was_there_and_what_was_added(store: Store) -> None:
    report = store.annotate(FRAME, key="name", create="all")
    counts = (report.rows, report.values, report.new_values, report.links, report.entities, report.removed)
    assert counts == (3, 5, 4, 5, 3, 0)
    assert report.skipped.schema == {"row": pl.Int64, "feature": pl.String, "value": pl.String, "reason": pl.String}
    assert repr(report) == "<annotate: 3 rows, 5 values (4 new), 5 annotations added, 3 entities made>"
    one = store.annotate(pl.DataFrame({"name": ["d"], "dose": [3.0]}), key="name", create=True)
    assert repr(one) == "<annotate: 1 row, 1 value (1 new), 1 annotation added, 1 entity made>"
    assert values("a") == {"dose": 1.5, "site": "A"}
    assert values("b") == {"site": "B"}


def test_the_same_again_adds_nothing_at_all(store: Store) -> None:
    before = sizes(loaded(store))
    for mode in ("add", "update", "set"):
        report = store.annotate(FRAME, key="name", create="all", mode=mode)
        assert (report.links, report.removed, report.new_values, report.entities) == (0, 0, 0, 0)
        assert sizes(store) == before


def test_what_is_written_has_a_run_an_author_a_branch_and_one_time(store: Store) -> None:
    dft.Branch(name="draft").save()
    store.switch("draft")
    start = datetime.now(UTC)
    with store.track("ingest.py") as run:
        store.annotate(FRAME, key="name", create="all")
    record, feature = dft.Record.get(name="a"), dft.Feature.get(name="dose")
    value = dft.FeatureValue.filter(feature=feature, value=1.5).one()
    for made in (record, feature, value):
        assert (made.run, made.created_by, made.branch.name) == (run, store.user, "draft")
        assert start <= made.created_at <= datetime.now(UTC)
    history = record.features.history("dose").row(0, named=True)
    assert (history["run"], history["operation"], history["created_by"]) == (run.uid, "add", store.user.handle)  # type: ignore[union-attr]
    assert record.created_at == value.created_at == history["created_at"]


def test_a_run_may_be_given(store: Store) -> None:
    run = dft.Run(name="nightly").save()
    store.annotate(FRAME, key="name", create="all", run=run)
    assert run.output_records.count() == 3
    assert dft.Feature.get(name="dose").run == run
    assert dft.Record.get(name="a").features.history()["run"].unique().to_list() == [run.uid]


def test_new_records_have_random_uids_of_base_62(store: Store) -> None:
    store.annotate(pl.DataFrame({"name": [f"r{i}" for i in range(2000)]}), key="name", create=True)
    uids = dft.Record.all().to_list("uid")
    assert len(set(uids)) == 2000
    assert all(len(uid) == 16 and uid.isascii() and uid.isalnum() for uid in uids)
    assert len(set("".join(uids))) == 62


def test_ids_follow_the_rows(store: Store) -> None:
    dft.Record(name="r3").save()
    store.annotate(pl.DataFrame({"name": [f"r{i}" for i in range(6)]}), key="name", create=True)
    assert dft.Record.all().order_by("id").to_list("name") == ["r3", "r0", "r1", "r2", "r4", "r5"]


def test_given_uids_are_kept(store: Store) -> None:
    frame = pl.DataFrame({"uid": ["x1", "x2"], "dose": [1.0, 2.0]})
    store.annotate(frame, create="all")
    assert dft.Record.get(uid="x2").features.get_values() == {"dose": 2.0}
    assert store.annotate(frame).links == 0


def test_new_records_and_values_are_found_by_search(store: Store) -> None:
    dft.Record(name="zebrafish").save()
    assert dft.Record.search("zebrafish").count() == 1
    store.annotate(pl.DataFrame({"name": ["axolotl"], "site": ["Mexico"]}), key="name", create="all")
    assert dft.Record.search("axolotl").first().name == "axolotl"  # type: ignore[union-attr]
    assert dft.FeatureValue.search("Mexico").first().value == "Mexico"  # type: ignore[union-attr]


@pytest.mark.parametrize("registry", ["Run", "Record", "Artifact"])
def test_every_registry_with_features_can_be_annotated(store: Store, registry: str, tmp_path: Any) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x")
    new: dict[str, Any] = {
        "Run": dft.Run(name="k"),
        "Record": dft.Record(name="k"),
        "Artifact": dft.Artifact(path, key="k"),
    }
    made = new[registry].save()
    label = "key" if registry == "Artifact" else "name"
    for key in (label, "uid", "id"):
        frame = pl.DataFrame({"which": [getattr(made, key)], f"by {key}": [1]})
        assert store.annotate(frame, registry=registry, key=key, on="which", create="features").links == 1
    assert made.features.get_values() == {f"by {label}": 1, "by uid": 1, "by id": 1}


def test_runs_can_be_made(store: Store) -> None:
    store.annotate(pl.DataFrame({"name": ["r"], "loss": [0.5]}), registry=dft.Run, key="name", create="all")
    run = dft.Run.get(name="r")
    assert (run.status, run.features.get_values()) == ("started", {"loss": 0.5})
    assert run.started_at.tzinfo is not None


def test_the_newest_artifact_of_a_key_is_annotated(store: Store, tmp_path: Any) -> None:
    for text in ("old", "new"):
        path = tmp_path / f"{text}.txt"
        path.write_text(text)
        dft.Artifact(path, key="k").save()
    frame = pl.DataFrame({"key": ["k"], "n": [1]})
    store.annotate(frame, registry="Artifact", key="key", create="features")
    assert [artifact.is_latest for artifact in dft.Artifact.filter(n=1)] == [True]


def test_a_record_in_the_trash_is_nobody(store: Store) -> None:
    dft.Record(name="a").save().delete()
    store.annotate(FRAME.select("name"), key="name", create=True)
    assert dft.Record.filter(name="a").count() == 1


def test_the_key_may_stand_in_another_column(store: Store) -> None:
    store.annotate(pl.DataFrame({"sample": ["a"], "n": [1]}), key=dft.Record.name, on="sample", create="all")
    assert values("a") == {"n": 1}


def test_only_the_features_that_are_listed_are_taken(store: Store) -> None:
    site = dft.Feature(name="site", dtype=str).save()
    store.annotate(FRAME, key="name", create=True, features=[site])
    assert values("a") == {"site": "A"}
    store.annotate(FRAME, key="name", create="all", features="dose")
    assert values("a") == {"site": "A", "dose": 1.5}


def test_entities_and_features_are_made_apart(store: Store) -> None:
    refused(store, ValidationError, FRAME, create=True)
    refused(store, ValidationError, FRAME, create="features")
    dft.save([dft.Record(name=name) for name in "abc"])
    assert store.annotate(FRAME, key="name", create="features").links == 5


def test_a_column_of_nothing_registers_nothing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "duckfeat"):
        store.annotate(pl.DataFrame({"name": ["a"], "empty": [None]}), key="name", create="all")
    assert "'empty' has no value" in caplog.text
    assert dft.Feature.count() == 0


# --- modes -----------------------------------------------------------------------------------------


def test_update_replaces_and_removes_what_the_input_names(store: Store) -> None:
    loaded(store)
    frame = pl.DataFrame({"name": ["a", "b"], "dose": [None, 7.0]})
    report = store.annotate(frame, key="name", mode="update")
    assert (report.links, report.removed) == (1, 1)
    assert values("a") == {"site": "A"}
    assert values("b") == {"dose": 7.0, "site": "B"}
    assert values("c") == {"dose": 2.0, "site": "A"}


def test_set_leaves_what_the_input_says_and_nothing_else(store: Store) -> None:
    loaded(store)
    report = store.annotate(pl.DataFrame({"name": ["a", "b"], "dose": [None, 7.0]}), key="name", mode="set")
    assert (report.links, report.removed) == (1, 3)
    assert (values("a"), values("b"), values("c")) == ({}, {"dose": 7.0}, {"dose": 2.0, "site": "A"})


def test_what_was_removed_can_be_added_again(store: Store) -> None:
    loaded(store)
    store.annotate(FRAME.select("name", "dose").head(1), key="name", mode="set")
    assert store.annotate(FRAME, key="name").links == 1
    assert values("a") == {"dose": 1.5, "site": "A"}


def test_update_of_a_long_input_names_its_pairs_only(store: Store) -> None:
    loaded(store)
    frame = pl.DataFrame({"entity": ["a", "b"], "feature": ["dose", "site"], "value": [None, "C"]})
    assert (
        refused(store, ValidationError, frame.with_columns(value=pl.Series(["x", "C"])), mode="update").feature
        == "dose"
    )
    store.annotate(frame, key="name", mode="update")
    assert (values("a"), values("b"), values("c")) == ({"site": "A"}, {"site": "C"}, {"dose": 2.0, "site": "A"})


# --- several values --------------------------------------------------------------------------------


def several(dtype: str = "str", **options: Any) -> None:
    dft.Feature(name="tags", dtype=dtype, multiple=True, **options).save()


def test_a_list_holds_several_values(store: Store) -> None:
    several()
    frame = pl.DataFrame({"name": ["a", "b", "c"], "tags": [["x", "y", "x", None], [], None]})
    assert store.annotate(frame, key="name", create=True).links == 2
    assert (values("a"), values("b")) == ({"tags": ["x", "y"]}, {})
    assert store.annotate(frame.head(1), key="name").links == 0
    store.annotate(pl.DataFrame({"name": ["a"], "tags": [["z", "y"]]}), key="name", mode="update")
    assert values("a") == {"tags": ["y", "z"]}


def test_rows_hold_several_values(store: Store) -> None:
    several("int")
    frame = pl.DataFrame({"entity": ["a", "a", "b"], "feature": "tags", "value": [1, 2, 1]})
    assert store.annotate(frame, key="name", create=True).links == 3
    assert values("a") == {"tags": [1, 2]}


def test_lists_of_lists_are_several_lists(store: Store) -> None:
    several("list[int]")
    store.annotate(pl.DataFrame({"name": ["a"], "tags": [[[1, 2], [3]]]}), key="name", create=True)
    assert values("a") == {"tags": [[1, 2], [3]]}
    store.annotate(pl.DataFrame({"name": ["b"], "tags": [[1, 2]]}), key="name", create=True)
    assert values("b") == {"tags": [[1, 2]]}


def test_a_list_is_too_much_for_a_feature_that_takes_one_value(store: Store) -> None:
    dft.Feature(name="n", dtype=int).save()
    error = refused(store, ValidationError, pl.DataFrame({"name": ["a"], "n": [[1, 2]]}), create=True)
    assert (error.feature, error.row, error.value) == ("n", 0, [1, 2])
    assert "multiple=True" in str(error)


def test_rows_of_one_entity_may_say_the_same(store: Store) -> None:
    frame = pl.DataFrame({"name": ["a", "a"], "dose": [1.5, 1.5], "site": ["A", None]})
    assert store.annotate(frame, key="name", create="all").links == 2


# --- categories ------------------------------------------------------------------------------------


def test_a_key_that_is_a_column_is_told_from_a_field(store: Store) -> None:
    frame = pl.DataFrame({"sample": ["a"], "dose": [1.0]})
    told = r"names a Record, and there is none called 'sample'.* Available: id, name, uid\..* on='sample'"
    with pytest.raises(FieldError, match=told):
        store.annotate(frame, key="sample", create="all")
    with pytest.raises(InvalidArgument, match=r"the Record's uid\. Available: dose, sample\. key= is the field"):
        store.annotate(frame)


def test_an_entity_that_is_not_there_is_told_with_the_nearest_and_what_makes_it(store: Store) -> None:
    dft.Record(name="sample one").save()
    for registry, frame, told in (
        (
            "Record",
            {"name": ["sampl one"]},
            r"'sampl one' \(row 0\) \(did you mean 'sample one'\?\); create=True makes them$",
        ),
        ("Record", {"id": [99]}, r"with id 99 \(row 0\)$"),
        ("Artifact", {"key": ["a.csv"]}, r"'a.csv' \(row 0\); an Artifact is saved with its content first$"),
    ):
        with pytest.raises(ValidationError, match=told):
            store.annotate(pl.DataFrame(frame), registry=registry, key=next(iter(frame)))


def test_names_become_records_of_their_registry(store: Store) -> None:
    dft.save([dft.ULabel(name="liver"), dft.ULabel(name="kidney", synonyms="ren|nephros")])
    dft.Feature(name="tissue", dtype="cat[ULabel]").save()
    frame = pl.DataFrame({"name": ["a", "b"], "tissue": ["liver", "livr"]})
    error = refused(store, ValidationError, frame, create=True)
    assert "'livr' (str) is no ULabel (did you mean 'liver'?) (row 1, name 'b')" in str(error)
    report = store.annotate(frame, key="name", create=True, on_invalid="skip")
    assert (report.values, report.links, report.skipped["row"].to_list()) == (1, 1, [1])
    assert dft.Record.get(name="a").features["tissue"] == dft.ULabel.get(name="liver")
    assert store.annotate(frame.head(1), key="name").links == 0
    assert refused(store, ValidationError, pl.DataFrame({"name": ["a"], "tissue": ["kidney"]})).row == 0
    store.annotate(pl.DataFrame({"name": ["a"], "tissue": ["kidney"]}), key="name", mode="update")
    assert values("a") == {"tissue": "kidney"}


def test_a_feature_that_coerces_takes_synonyms(store: Store) -> None:
    dft.ULabel(name="kidney", synonyms="ren|nephros").save()
    dft.Feature(name="tissue", dtype="cat[ULabel]", coerce=True, multiple=True).save()
    store.annotate(pl.DataFrame({"name": ["a"], "tissue": [["Nephros", "kidney"]]}), key="name", create=True)
    assert values("a") == {"tissue": ["kidney"]}
    record = dft.Record(name="b", features={"tissue": "REN"}).save()
    assert record.features.get_values() == {"tissue": ["kidney"]}
    refused(store, ValidationError, pl.DataFrame({"name": ["a"], "tissue": [["lung"]]}))


def test_names_of_a_type_are_told_from_others(store: Store) -> None:
    donor = dft.ULabel(name="Donor", is_type=True).save()
    dft.save([dft.ULabel(name="d1", type=donor), dft.ULabel(name="x1")])
    dft.Feature(name="donor", dtype="cat[ULabel[Donor]]").save()
    frame = pl.DataFrame({"name": ["a", "b"], "donor": ["d1", "x1"]})
    assert store.annotate(frame, key="name", create=True, on_invalid="skip").skipped["row"].to_list() == [1]
    assert "is no ULabel of type 'Donor'" in str(refused(store, ValidationError, frame, create=True))


# --- what is refused -------------------------------------------------------------------------------


def test_the_first_refused_values_of_all_features_are_told(store: Store) -> None:
    dft.save([dft.Feature(name="n", dtype=int), dft.Feature(name="d", dtype="date")])
    frame = pl.DataFrame({"name": list("abcdefgh"), "n": [0.5] * 8, "d": ["x"] * 8})
    error = refused(store, ValidationError, frame, create=True)
    assert str(error).splitlines()[0] == "16 values are refused:"
    assert "feature 'n' has dtype int: 0.5 (float) is not a whole number (row 0, name 'a')" in str(error)
    assert "11 more" in str(error)
    facts = (error.feature, error.dtype, error.value, error.row, error.reason, error.count)
    assert facts == ("n", "int", 0.5, 0, "is not a whole number", 16)


def test_skipped_values_are_told_and_the_rest_is_written(store: Store) -> None:
    dft.Feature(name="n", dtype=int).save()
    frame = pl.DataFrame({"name": ["a", "b", None], "n": [0.5, 2.0, 3.0]})
    report = store.annotate(frame, key="name", create=True, on_invalid="skip")
    assert report.skipped.rows() == [
        (0, "n", "0.5", "is not a whole number"),
        (2, None, None, "has no Record name"),
    ]
    assert (report.rows, report.values, report.links, report.entities) == (3, 1, 1, 2)
    assert "2 skipped" in repr(report)
    assert values("a") == {}


def test_skipping_a_value_does_not_remove_the_one_that_is_there(store: Store) -> None:
    dft.Feature(name="n", dtype=int).save()
    store.annotate(pl.DataFrame({"name": ["a", "b"], "n": [1, 2]}), key="name", create=True)
    for mode in ("update", "set"):
        store.annotate(pl.DataFrame({"name": ["a", "b"], "n": [0.5, None]}), key="name", mode=mode, on_invalid="skip")
        assert (values("a"), values("b")) == ({"n": 1}, {})


@pytest.mark.parametrize("mode", ["update", "set"])
@pytest.mark.parametrize("cells", [[1, 2, 7], [1.0, 2.5, 7.0]], ids=["a second value", "no int"])
def test_a_value_takes_the_place_of_another_beside_a_skipped_one(store: Store, mode: str, cells: list[float]) -> None:
    dft.Feature(name="x", dtype=int).save()
    dft.save([dft.Record(name=name, features={"x": 5}) for name in "ab"])
    frame = pl.DataFrame({"name": ["a", "a", "b"], "x": cells})
    report = store.annotate(frame, key="name", mode=mode, on_invalid="skip")
    assert (report.links, report.removed, report.skipped["row"].to_list()) == (2, 2, [1])
    assert (values("a"), values("b")) == ({"x": 1}, {"x": 7})
    assert store.check().ok


@pytest.mark.parametrize("convert", [pl.DataFrame.clone, pl.DataFrame.to_arrow, pl.DataFrame.lazy])
def test_nan_is_a_value_like_any_other(store: Store, convert: Any) -> None:
    cells = [float("nan"), 1.0, 2.0, 3.0, 4.0]
    frame = convert(pl.DataFrame({"name": list("abcde"), "x": cells}))
    for mode, links in (("add", 5), ("add", 0), ("update", 0)):
        report = store.annotate(frame, key="name", create="all", mode=mode)
        assert (report.values, report.links, report.removed) == (5, links, 0)
        found = dft.Record.all().order_by("name").pl(features=["x"])["x"]
        assert str(found.to_list()) == str(cells)


def test_a_second_value_is_refused(store: Store) -> None:
    loaded(store)
    error = refused(store, ValidationError, pl.DataFrame({"name": ["b", "a"], "dose": [3.0, 9.0]}))
    assert (error.feature, error.row, error.dtype, error.value) == ("dose", 1, "float", 9.0)
    assert "mode='update'" in str(error)
    twice = pl.DataFrame({"name": ["x", "x", "x"], "dose": [1.0, 2.0, 1.0]})
    error = refused(store, ValidationError, twice, create=True)
    assert (error.row, error.count) == (1, 1)
    assert "an earlier row gives another" in str(error)
    for mode in ("add", "update", "set"):
        report = store.annotate(twice, key="name", create=True, mode=mode, on_invalid="skip")
        assert report.skipped.rows() == [(1, "dose", "2.0", report.skipped["reason"][0])]
        assert values("x") == {"dose": 1.0}


def test_entities_that_are_not_there_are_told(store: Store) -> None:
    frame = pl.DataFrame({"name": [f"r{i}" for i in range(9)]})
    error = refused(store, ValidationError, frame)
    assert "'r0' (row 0)" in str(error)
    assert "4 more; create=True makes them" in str(error)
    assert (error.value, error.row, error.count) == ("r0", 0, 9)


def test_rows_without_a_key_are_told(store: Store) -> None:
    error = refused(store, ValidationError, pl.DataFrame({"name": [None] * 7, "n": 1}), create="all")
    assert "column 'name' has no Record name in row 0, 1, 2, 3, 4, ... 2 more" in str(error)


def test_a_name_of_several_records_is_ambiguous(store: Store) -> None:
    group = dft.Record(name="group", is_type=True).save()
    dft.save([dft.Record(name="a"), dft.Record(name="a", type=group)])
    error = refused(store, ValidationError, FRAME.select("name"), create=True)
    assert "2 Records have the name 'a' (row 0)" in str(error)


def test_a_uid_in_the_trash_is_not_taken_again(store: Store) -> None:
    record = dft.Record(name="a").save()
    record.delete()
    error = refused(store, IntegrityError, pl.DataFrame({"uid": [record.uid]}), key="uid", create=True)
    assert error.uid == record.uid


def test_unknown_features_are_told_with_the_line_that_registers_them(store: Store) -> None:
    dft.Feature(name="dose", dtype=float).save()
    error = refused(store, ValidationError, pl.DataFrame({"name": ["a"], "doze": [1.5]}), create=True)
    assert "Feature(name='doze', dtype='float').save()  # did you mean 'dose'?" in str(error)


UNTYPED = pl.DataFrame({"name": ["a"], "x": [datetime(2024, 1, 2) - datetime(2024, 1, 1)]})


@pytest.mark.parametrize(
    ("error", "data", "options", "told"),
    [
        (InvalidArgument, FRAME, {"mode": "replace"}, "mode is one of 'add', 'update', 'set'"),
        (InvalidArgument, FRAME, {"create": "everything"}, "create is one of"),
        (InvalidArgument, FRAME, {"create": 1}, "create is one of"),
        (InvalidArgument, FRAME, {"on_invalid": None}, "on_invalid is one of"),
        (InvalidArgument, FRAME, {"registry": "ULabel"}, "Artifact, Run, Record"),
        (InvalidArgument, FRAME, {"on": "nmae"}, "did you mean 'name'"),
        (InvalidArgument, FRAME, {"features": ["doze"]}, "did you mean 'dose'"),
        (InvalidArgument, FRAME, {"run": "ingest.py"}, "saved Run"),
        (InvalidArgument, FRAME, {"on": 5}, "on is the name of a column"),
        (InvalidArgument, FRAME, {"features": 5}, "features is a list of names"),
        (InvalidArgument, FRAME, {"features": [5]}, "features is a list of names"),
        (InvalidArgument, pl.DataFrame(), {}, "no column"),
        (FieldError, FRAME, {"key": "nmae"}, "did you mean 'name'"),
        (FieldError, FRAME, {"key": "description"}, "key is one of uid, name, id"),
        (InvalidArgument, 5, {}, "annotate takes no int. It takes a Polars DataFrame"),
        (InvalidArgument, [1], {}, "annotate takes no list"),
        (InvalidArgument, "x.xlsx", {}, ".parquet"),
        (FileNotFoundError, "nowhere.parquet", {}, "no file"),
        (InvalidArgument, pl.DataFrame({"id": [99]}), {"key": "id", "create": True}, "ids are given by the store"),
        (ValidationError, pl.DataFrame({"id": [99]}), {"key": "id"}, "no Record with id 99"),
        (ValidationError, pl.DataFrame({"name": [1]}), {"create": True}, "Record.name is text"),
        (ValidationError, pl.DataFrame({"id": ["1"]}), {"key": "id"}, "Record.id is an int"),
        (ValidationError, UNTYPED, {"create": "all"}, "no dtype covers"),
    ],
)
def test_bad_arguments_are_told(
    store: Store, error: type[DuckfeatError], data: Any, options: dict[str, Any], told: str
) -> None:
    assert told in str(refused(store, error, data, **options))


def test_artifacts_are_not_made_of_keys(store: Store) -> None:
    error = refused(store, InvalidArgument, FRAME.rename({"name": "key"}), registry="Artifact", key="key", create="all")
    assert "Artifact(path, key=...)" in str(error)


def test_two_columns_of_one_feature_are_refused(store: Store) -> None:
    feature = dft.Feature(name="n", dtype=int).save()
    error = refused(store, InvalidArgument, pl.DataFrame({"name": ["a"], "n": [1], feature.uid: [2]}), create=True)
    assert "mean one feature" in str(error)


def test_an_error_inside_a_transaction_takes_all_of_it_back(store: Store) -> None:
    dft.Feature(name="dose", dtype=int).save()
    before = sizes(store)

    def both() -> None:
        with store.transaction():
            store.annotate(FRAME.select("name", "site"), key="name", create="all")
            store.annotate(FRAME, key="name", create="all")

    with pytest.raises(ValidationError):
        both()
    assert sizes(store) == before
    assert dft.Feature.get_or_none(name="site") is None


# --- long ------------------------------------------------------------------------------------------

LONG = pl.DataFrame(
    {"entity": ["a", "a", "b"], "feature": ["x", "y", "x"], "value": [1, 2, None]}, schema_overrides={"value": pl.Int64}
)


def test_long_input_has_a_row_per_value(store: Store) -> None:
    report = store.annotate(LONG, key="name", create="all")
    assert (report.rows, report.values, report.links, report.entities) == (3, 2, 2, 2)
    assert (values("a"), values("b")) == ({"x": 1, "y": 2}, {})
    assert store.annotate(LONG, key="name").links == 0


def test_long_input_of_chosen_features(store: Store) -> None:
    store.annotate(LONG, key="name", create="all", features=["y"])
    assert values("a") == {"y": 2}
    dft.Feature(name="absent", dtype=int).save()
    assert store.annotate(LONG, key="name", features=["y", "absent"]).values == 1
    message = str(refused(store, InvalidArgument, LONG, create="all", features=["xx"]))
    assert message.startswith("the input has no row of a feature 'xx' (did you mean 'x'?)")


def test_long_input_with_features_of_several_dtypes(store: Store) -> None:
    dft.save([dft.Feature(name="x", dtype=int), dft.Feature(name="y", dtype=float), dft.Feature(name="z", dtype=str)])
    frame = pl.DataFrame({"name": ["a", "a", "a"], "feature": ["x", "y", "z"], "value": [1, 2, 3]})
    report = store.annotate(frame, key="name", create=True, on_invalid="skip")
    assert report.skipped.rows() == [(2, "z", "3", "is not text")]
    assert values("a") == {"x": 1, "y": 2.0}
    assert type(values("a")["y"]) is float


def test_rows_without_a_feature_are_told(store: Store) -> None:
    frame = pl.DataFrame({"name": ["a", "b", "c"], "feature": ["x", None, ""], "value": [1, 2, 3]})
    assert refused(store, ValidationError, frame, create="all").row == 1
    report = store.annotate(frame, key="name", create="all", on_invalid="skip")
    assert report.skipped.rows() == [(1, None, None, "has no feature"), (2, None, None, "has no feature")]
    refused(store, ValidationError, frame.with_columns(feature=pl.lit(1)), create="all")


def test_columns_called_feature_and_value_may_be_features(store: Store) -> None:
    frame = pl.DataFrame({"name": ["a"], "feature": ["x"], "value": [1]})
    store.annotate(frame, key="name", create="all", features=["feature", "value"])
    assert values("a") == {"feature": "x", "value": 1}
    assert store.annotate(frame, key="name").links == 0


# --- how it does it --------------------------------------------------------------------------------


def traced(store: Store, frame: pl.DataFrame, **options: Any) -> int:
    """Return the number of statements of an annotation."""
    statements: list[str] = []
    with store.trace(lambda sql, _params: statements.append(sql)):
        store.annotate(frame, key="name", create="all", **options)
    return len(statements)


def test_values_of_many_rows_are_numbered_without_gaps(store: Store) -> None:
    rows = staging.MANY
    numbers = pl.int_range(rows, eager=True)
    frame = pl.DataFrame({"name": numbers.cast(pl.String), "x": numbers / 8, "y": "note " + numbers.cast(pl.String)})
    frame = frame.with_columns(x=pl.when(numbers == 3).then(-0.0).otherwise(pl.col("x")))
    assert store.annotate(frame, key="name", create="all").new_values == 2 * rows
    moved = frame.with_columns(x=pl.col("x") + rows / 16, y=pl.lit("the same"))
    assert store.annotate(moved, key="name", mode="update").new_values == rows // 2 + 1
    ids = store.sql("SELECT count(DISTINCT id) AS ids, min(id) AS first, max(id) AS last FROM typed_values")
    assert ids.row(0) == (rows * 5 // 2 + 1, 1, rows * 5 // 2 + 1)
    assert store.check().ok
    told = dft.Record.get(name="3").features.history("x")["value"].to_list()
    assert set(map(str, told)) == {"-0.0", str(rows / 16)}


@pytest.mark.parametrize(("mode", "first", "again"), [("add", 21, 16), ("update", 21, 29), ("set", 21, 30)])
def test_the_number_of_statements_does_not_depend_on_the_rows(store: Store, mode: str, first: int, again: int) -> None:
    def frame(rows: int) -> pl.DataFrame:
        columns = {f"f{i}": [float(row % 7) for row in range(rows)] for i in range(3)}
        return pl.DataFrame({"name": [f"{rows} {i}" for i in range(rows)], **columns})

    store.annotate(frame(1), key="name", create="all")
    store.annotate(frame(1), key="name", create="all")
    counts = [traced(store, frame(rows), mode=mode) for rows in (3, 3, 3000, 3000)]
    assert counts == [first, again] * 2


def test_statements_per_feature_are_few(store: Store) -> None:
    def frame(features: int) -> pl.DataFrame:
        names = [f"{features} a", f"{features} b"]
        return pl.DataFrame({"name": names, **{f"f{i}": [1.5, 2.5] for i in range(features)}})

    first = [traced(store, frame(features)) for features in (5, 10)]
    traced(store, frame(5))
    again = [traced(store, frame(features)) for features in (5, 10)]
    assert first[1] - first[0] <= 5 * 2 + 5
    assert again[1] - again[0] == 5  # what is there already is found by one statement


# --- progress --------------------------------------------------------------------------------------


def test_a_progress_bar_tells_rows(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.annotate(FRAME, key="name", create="all", progress=True)
    told = capsys.readouterr().err
    assert "annotate" in told
    assert "3.00/3.00" in told


def test_there_is_none_where_nobody_sees_it(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.annotate(FRAME, key="name", create="all")
    store.annotate(FRAME, key="name", progress=False)
    assert capsys.readouterr().err == ""


def test_a_bar_that_was_asked_for_needs_its_library(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert "duckfeat[progress]" in str(refused(store, MissingExtra, FRAME, create="all", progress=True))
    assert store.annotate(FRAME, key="name", create="all").links == 5


@pytest.mark.parametrize("cells", [(1, 2.5), (2.5, 1)])
def test_of_two_numbers_of_several_kinds_the_earlier_row_counts(store: Store, cells: tuple[float, float]) -> None:
    dft.Feature(name="n", dtype="num").save()
    store.annotate(pl.DataFrame({"name": ["z"], "n": [0]}), key="name", create=True)
    frame = pl.DataFrame({"name": ["a", "a"], "n": pl.Series(cells, dtype=pl.Object)})
    report = store.annotate(frame, key="name", create=True, on_invalid="skip")
    assert report.skipped.select("row", "value").rows() == [(1, str(cells[1]))]
    assert dft.Record.get(name="a").features["n"] == cells[0]


@pytest.mark.parametrize("mode", ["add", "update", "set"])
def test_a_value_that_is_skipped_is_not_left_behind(store: Store, mode: str) -> None:
    dft.Feature(name="n", dtype=int).save()
    store.annotate(pl.DataFrame({"name": ["z"], "n": [5]}), key="name", create=True)
    frame = pl.DataFrame({"name": ["a", "a", "b", "b", "b"], "n": [1, 2, 2, 3, 5]})
    report = store.annotate(frame, key="name", create=True, mode=mode, on_invalid="skip")
    assert (report.values, report.new_values, report.links, len(report.skipped)) == (2, 2, 2, 3)
    assert sorted(value.value for value in dft.FeatureValue.all()) == [1, 2, 5]
    assert dft.FeatureValue.search("3").count() == 0
    assert store.check().ok


def test_a_second_category_is_told_by_its_name(store: Store) -> None:
    dft.save([dft.ULabel(name="one"), dft.ULabel(name="two")])
    dft.Feature(name="c", dtype="cat[ULabel]").save()
    frame = pl.DataFrame({"name": ["a", "a"], "c": ["one", "two"]})
    with pytest.raises(ValidationError, match=r"'two' \(str\) is a second value"):
        store.annotate(frame, key="name", create=True)
    report = store.annotate(frame, key="name", create=True, on_invalid="skip")
    assert report.skipped["value"].to_list() == ["two"]


def test_a_second_text_is_not_told_to_be_coerced(store: Store) -> None:
    store.Feature(name="t", dtype=str).save()
    frame = pl.DataFrame({"name": ["a", "a"], "t": ["1", "2"]})
    with pytest.raises(ValidationError, match=r"'2' \(str\) is a second value .*gives another \(row 1, name 'a'\)$"):
        store.annotate(frame, key="name", create=True)


# --- many columns ----------------------------------------------------------------------------------


def _columns(rows: int) -> dict[str, tuple[Any, pl.Series]]:
    """Return columns by name, with the dtype that each is annotated as."""
    kinds: dict[str, tuple[Any, pl.Series]] = {
        "int": (int, pl.Series([5, None, 7, 5])),
        "small": (int, pl.Series([5, None, 7, 5], dtype=pl.Int8)),
        "float": (float, pl.Series([0.0, -0.0, float("nan"), None])),
        "whole": (float, pl.Series([1, 2, None, 2])),
        "num": ("num", pl.Series([1.0, None, 2.5, 1.0])),
        "text": (str, pl.Series(["", "é\0", None, "x"])),
        "enum": (str, pl.Series(["a", "b", None, "a"], dtype=pl.Enum(["a", "b"]))),
        "other": (str, pl.Series(["b", "c", None, "c"], dtype=pl.Enum(["c", "b"]))),
        "ok": (bool, pl.Series([True, None, False, True])),
        "at": ("datetime", pl.Series([datetime(1960, 1, 1), None, datetime(2024, 1, 1), None])),
        "seen": ("datetime[UTC]", pl.Series([datetime(1960, 1, 1, tzinfo=UTC), None, None, None])),
        "list": ("list[int]", pl.Series([[1, None], [], None, [2]])),
        "dict": (dict, pl.Series([{"a": 1}, None, {"a": None}, {"a": 1}])),
        "label": (dft.ULabel, pl.Series(["red", None, "blue", "red"])),
    }
    return {
        f"{kind} {number}": (dtype, column.gather([(place + number) % 4 for place in range(rows)]))
        for kind, (dtype, column) in kinds.items()
        for number in range(3)
    } | {"several": (str, pl.Series([["a", "b"], [], None, ["b"]]).gather([place % 4 for place in range(rows)]))}


def _held(store: Store) -> list[tuple[Any, ...]]:
    return store.sql(
        "SELECT r.name, f.name AS feature, v.kind, v.hash FROM current_record_annotations AS a "
        "JOIN records AS r ON r.id = a.entity_id JOIN features AS f ON f.id = a.feature_id "
        "JOIN feature_values AS v ON v.id = a.value_id ORDER BY ALL"
    ).rows()


@pytest.mark.parametrize("mode", ["add", "update", "set"])
@pytest.mark.parametrize("case", ["new", "known", "repeated"])
def test_many_columns_are_annotated_as_few_are(mode: str, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = _columns(6)
    frame = pl.DataFrame({"name": list("abcdef"), **{name: column for name, (_, column) in columns.items()}})
    before = frame.select("name", pl.exclude("name").shift(0 if mode == "add" else 2)).head(4)
    given = pl.concat([frame, frame[2:4]]) if case == "repeated" else frame
    found = []
    for few in (0, len(columns)):
        monkeypatch.setattr(bulk_groups, "_MANY_COLUMNS", few)
        with dft.connect(":memory:") as store:
            dft.save([dft.ULabel(name="red"), dft.ULabel(name="blue")])
            dft.save([dft.Feature(name=n, dtype=d, multiple=n == "several") for n, (d, _) in columns.items()])
            if case != "new":
                store.annotate(before, key="name", create=True)
            report = store.annotate(given, key="name", create=True, mode=mode)
            told = (report.rows, report.values, report.new_values, report.links, report.removed, report.entities)
            found.append((_held(store), told))
            assert store.annotate(given, key="name", mode=mode).links == 0
            assert store.check().ok
    assert len(found[0][0]) > 100
    assert found[0] == found[1]


def test_what_is_refused_of_many_columns_is_what_is_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"name": ["a", "b", None], **{f"x{n}": [1.5, float(n), 0.5] for n in range(30)}})
    found = []
    for few in (0, 30):
        monkeypatch.setattr(bulk_groups, "_MANY_COLUMNS", few)
        with dft.connect(":memory:") as store:
            dft.save([dft.Feature(name=f"x{n}", dtype=int) for n in range(30)])
            report = store.annotate(frame, key="name", create=True, on_invalid="skip")
            assert report.links == 30
            found.append((_held(store), sorted(report.skipped.rows(), key=str)))
            with pytest.raises(
                ValidationError, match=r"30 values are refused:\n.*1.5 .* is not a whole number"
            ) as caught:
                store.annotate(frame.head(2), key="name", mode="update")
            assert caught.value.count == 30
    assert found[0] == found[1]
    assert len(found[0][1]) == 31


def test_the_columns_of_a_wide_frame_share_statements(store: Store) -> None:
    frame = pl.DataFrame({"name": ["a", "b"], **{f"x{n}": [float(n), None] for n in range(300)}})
    dft.save([dft.Feature(name=name, dtype=float) for name in frame.columns[1:]])
    seen: list[str] = []
    with store.trace(lambda sql, _params: seen.append(sql)):
        assert store.annotate(frame, key="name", create=True).links == 300
    assert len(seen) < 40
