"""Every error class: what provokes it, what it says and carries, and that it leaves the store as it was."""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast
from unittest.mock import patch

import polars as pl
import pytest

import duckfeat as dft
from duckfeat import errors
from duckfeat.store import Store
from tests.counting import row_counts


class Case(NamedTuple):
    """A call that fails: its error, what that is besides, what its message says, and what it carries."""

    kind: type[errors.DuckfeatError]
    builtin: type[Exception]
    call: Callable[[Store], Any]
    says: str
    carries: dict[str, Any]


def _sample(store: Store) -> dft.Record:
    return store.Record.get(name="s1")


def _without_pandas(store: Store) -> None:
    with patch.dict(sys.modules, {"pandas": None}):
        store.Record.df()


def _newer_export(_store: Store) -> None:
    with tempfile.TemporaryDirectory() as folder, dft.connect(default=False) as other:
        exported = Path(folder) / "export"
        other.export(exported)
        manifest = json.loads((exported / "manifest.json").read_text(encoding="utf-8"))
        manifest["migrations"].append({**manifest["migrations"][-1], "version": 9999})
        (exported / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        dft.import_(exported)


CASES = {
    "no such record": Case(
        errors.DoesNotExist,
        LookupError,
        lambda s: s.Record.get(name="s11"),
        r"no such Record \(did you mean 's1'\?\)",
        {"registry": "Record"},
    ),
    "no such position": Case(
        errors.DoesNotExist, IndexError, lambda s: s.Record.all()[9], "no record at position 9", {"position": 9}
    ),
    "two records": Case(
        errors.MultipleResultsFound, LookupError, lambda s: s.Record.get(name__startswith="s"), "2 match", {"count": 2}
    ),
    "none where one was asked for": Case(
        errors.DoesNotExist,
        LookupError,
        lambda s: s.Record.filter(name="s11").one(),
        r"^Record: no such Record \(did you mean 's1'\?\)",
        {"registry": "Record"},
    ),
    "two where one was asked for": Case(
        errors.MultipleResultsFound,
        LookupError,
        lambda s: s.Record.filter(name__startswith="s").one_or_none(),
        "^Record: 2 match, one was asked for",
        {"count": 2},
    ),
    "no such field": Case(
        errors.FieldError,
        ValueError,
        lambda s: s.Record.filter(nmae="x"),
        r"'nmae'.*did you mean 'name'.*Available: ",
        {"name": "nmae"},
    ),
    "no such field of a relation": Case(
        errors.FieldError,
        ValueError,
        lambda s: s.Record.filter(created_by__handel="x"),
        r"'handel'.*did you mean 'handle'",
        {"name": "handel"},
    ),
    "no such lookup": Case(
        errors.FieldError, ValueError, lambda s: s.Record.filter(name__strtswith="x"), "strtswith", {}
    ),
    "no such field to set": Case(
        errors.FieldError,
        ValueError,
        lambda s: s.ULabel(nam="x"),
        r"no field 'nam' to set \(did you mean 'name'\?\)",
        {"name": "nam"},
    ),
    "no such attribute": Case(
        errors.FieldError,
        AttributeError,
        lambda s: _sample(s).ulabel,
        r"no attribute 'ulabel' \(did you mean 'ulabels'\?\)",
        {"name": "ulabel"},
    ),
    "an unknown feature": Case(
        errors.ValidationError,
        ValueError,
        lambda s: _sample(s).features.add_values({"doze": 1}),
        r"'doze'; to register:\n  Feature\(name='doze', dtype='int'\).save\(\)  # did you mean 'dose'\?",
        {"features": ["doze"]},
    ),
    "a value of another type": Case(
        errors.ValidationError,
        ValueError,
        lambda s: _sample(s).features.update_values({"dose": "much"}),
        "'dose'.*float.*'much'",
        {"feature": "dose", "dtype": "float", "value": "much"},
    ),
    "a second value": Case(
        errors.ValidationError,
        ValueError,
        lambda s: _sample(s).features.add_values({"dose": 9}),
        "takes one value",
        {"feature": "dose"},
    ),
    "an integer too large": Case(
        errors.ValidationError, ValueError, lambda s: s.FeatureValue.get_or_create("n", 2**63), "'n'", {"feature": "n"}
    ),
    "a missing name": Case(
        errors.ValidationError, ValueError, lambda s: s.ULabel().save(), "ULabel needs a name", {"field": "name"}
    ),
    "another dtype": Case(
        errors.ValidationError,
        ValueError,
        lambda s: s.Feature(name="dose", dtype=int).save(),
        "exists with dtype 'float', not 'int'",
        {"feature": "dose"},
    ),
    "a used feature's dtype": Case(
        errors.ValidationError,
        ValueError,
        lambda s: s.Feature.filter(name="dose").update(dtype="int"),
        "has values: its dtype stays 'float'",
        {"feature": "dose"},
    ),
    "a uid that exists": Case(
        errors.IntegrityError,
        ValueError,
        lambda s: s.Record(uid=_sample(s).uid).save(),
        "exists",
        {"registry": "Record"},
    ),
    "a feature with values": Case(
        errors.IntegrityError,
        ValueError,
        lambda s: s.Feature.get(name="dose").delete(permanent=True),
        "would remove 1 values and 1 annotations",
        {"values": 1, "annotations": 1},
    ),
    "a protected record": Case(
        errors.IntegrityError,
        ValueError,
        lambda s: s.User.get().delete(permanent=True),
        "who writes now",
        {"registry": "User"},
    ),
    "an argument": Case(
        errors.InvalidArgument,
        TypeError,
        lambda s: s.Record.df(limit=cast("int", "all")),
        "limit is a whole number",
        {},
    ),
    "a positional argument": Case(
        errors.InvalidArgument, ValueError, lambda s: s.save([1]), "only records can be saved, not 1", {}
    ),
    "no such store": Case(
        errors.InstanceNotFound,
        LookupError,
        lambda s: s.Record.using("account/nothing"),
        "no open store and no file is called 'account/nothing'",
        {"name": "account/nothing"},
    ),
    "SQL that writes": Case(errors.InvalidArgument, ValueError, lambda s: s.sql("DELETE FROM users"), "SELECT", {}),
    "SQL that fails": Case(errors.QueryError, RuntimeError, lambda s: s.sql("SELECT 1 / nothing"), "nothing", {}),
    "no such file": Case(
        errors.MissingFile, FileNotFoundError, lambda s: s.Artifact("/nowhere/a.csv"), "/nowhere/a.csv", {}
    ),
    "a library that is not installed": Case(
        errors.MissingExtra,
        ImportError,
        _without_pandas,
        r'pandas is not installed; `pip install "duckfeat\[pandas\]"` brings it',
        {"library": "pandas", "extra": "pandas"},
    ),
    "an export of a newer program": Case(
        errors.SchemaVersionError, RuntimeError, _newer_export, "schema 9999.*install a newer duckfeat", {}
    ),
    "an attribute of a registry": Case(
        errors.AttributeMissing,
        AttributeError,
        lambda s: s.Record.fitler(name="x"),  # type: ignore[attr-defined]
        "Record has no attribute 'fitler' .did you mean 'filter'.*Available: ",
        {"name": "fitler"},
    ),
    "an attribute of a record": Case(
        errors.AttributeMissing,
        AttributeError,
        lambda s: _sample(s).nmae,
        "Record has no attribute 'nmae' .did you mean 'name'",
        {"name": "nmae"},
    ),
    "an attribute of a QuerySet": Case(
        errors.AttributeMissing,
        AttributeError,
        lambda s: s.Record.all().oder_by("name"),  # type: ignore[attr-defined]
        "QuerySet has no attribute 'oder_by' .did you mean 'order_by'",
        {"name": "oder_by"},
    ),
    "an attribute of the features": Case(
        errors.AttributeMissing,
        AttributeError,
        lambda s: _sample(s).features.get_value(),  # type: ignore[attr-defined]
        "FeatureManager has no attribute 'get_value' .did you mean 'get_values'",
        {"name": "get_value"},
    ),
    "an attribute of a store": Case(
        errors.AttributeMissing,
        AttributeError,
        lambda s: s.anotate(),  # type: ignore[attr-defined]
        "Store has no attribute 'anotate' .did you mean 'annotate'",
        {"name": "anotate"},
    ),
    "an attribute of the settings": Case(
        errors.AttributeMissing,
        AttributeError,
        lambda _: dft.settings.brnch,  # type: ignore[attr-defined]
        "Settings has no attribute 'brnch' .did you mean 'branch'",
        {"name": "brnch"},
    ),
    "an attribute of the package": Case(
        errors.AttributeMissing,
        AttributeError,
        lambda _: dft.Recrod,  # type: ignore[attr-defined]
        "duckfeat has no attribute 'Recrod' .did you mean 'Record'",
        {"name": "Recrod"},
    ),
    "an error of the package's errors": Case(
        errors.AttributeMissing,
        AttributeError,
        lambda _: dft.ValidationError,  # type: ignore[attr-defined]
        "duckfeat has no attribute 'ValidationError' .did you mean 'errors.ValidationError'",
        {"name": "ValidationError"},
    ),
    "an aggregate of the package's aggregates": Case(
        errors.AttributeMissing,
        AttributeError,
        lambda _: dft.n_unique,  # type: ignore[attr-defined]
        "duckfeat has no attribute 'n_unique' .did you mean 'aggregates.n_unique'",
        {"name": "n_unique"},
    ),
    "an attribute of the models": Case(
        errors.AttributeMissing,
        AttributeError,
        lambda _: dft.models.Recrod,  # type: ignore[attr-defined]
        "duckfeat.models has no attribute 'Recrod' .did you mean 'Record'",
        {"name": "Recrod"},
    ),
    "a lookup's name": Case(
        errors.LookupMissing,
        AttributeError,
        lambda s: s.Record.lookup().s11,
        "no name 's11'; did you mean 's1'",
        {"name": "s11"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_error_says_what_is_wrong_and_changes_nothing(name: str, store: Store) -> None:
    case = CASES[name]
    store.save([store.Feature(name="dose", dtype=float), store.Feature(name="n", dtype=int)])
    store.save([store.Record(name="s1", features={"dose": 1.5}), store.Record(name="s2")])
    before = row_counts(store)
    with pytest.raises(case.kind, match=case.says) as caught:
        case.call(store)
    assert isinstance(caught.value, case.builtin)
    assert isinstance(caught.value, errors.DuckfeatError)
    for fact, value in case.carries.items():
        assert getattr(caught.value, fact) == value
    again = copy.copy(caught.value)  # as another process gets it
    assert isinstance(caught.value, type(again))
    assert str(again) == str(caught.value)
    assert row_counts(store) == before
    assert _sample(store).features.get_values() == {"dose": 1.5}


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    before = row_counts(store)
    record = store.Record(name="new")

    def work() -> None:
        with store.transaction():
            store.Feature(name="dose", dtype=float).save()
            record.save().features.add_values({"doze": 1.0})

    with pytest.raises(errors.ValidationError, match="did you mean 'dose'"):
        work()
    assert row_counts(store) == before
    assert record.id is None
    assert store.Feature.count() == 0


def test_a_closed_store_says_so(store: Store, tmp_path: Path) -> None:
    with dft.connect(tmp_path / "other.duckdb", default=False) as other:
        label = other.ULabel(name="a").save()
    for call in (other.ULabel.count, label.save, lambda: other.sql("SELECT 1"), other.check, lambda: other.track("x")):
        with pytest.raises(errors.StoreClosed, match="closed"):
            call()
    other.close()
    assert store.ULabel.count() == 0


def test_a_read_only_store_refuses_to_write(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "other.duckdb"
    with dft.connect(path, default=False) as other:
        other.ULabel(name="a").save()
    with dft.connect(path, default=False, read_only=True) as other:
        label = other.ULabel.get(name="a")
        for call in (other.ULabel(name="b").save, label.delete, lambda: other.track("x")):
            with pytest.raises(errors.ReadOnlyStore):
                call()
        assert other.ULabel.count() == 1
    assert store.ULabel.count() == 0


def test_records_of_another_store_are_refused(store: Store) -> None:
    with dft.connect(name="account/other", default=False) as other:
        foreign, feature = other.ULabel(name="a").save(), other.Feature(name="label", dtype="cat[ULabel]").save()
        store.save([store.ULabel(name="a"), store.Feature(name="label", dtype="cat[ULabel]")])
        mine = store.Record(name="r", features={"label": "a"}).save()
        assert (foreign.id, foreign in store.ULabel.all(), foreign in other.ULabel.all()) == (1, False, True)
        before = row_counts(store)
        for call in (
            lambda: store.save(foreign),
            lambda: mine.ulabels.add(foreign),
            lambda: store.Record(name="c", features={"label": foreign}).save(),
            lambda: store.switch(other.Branch.get(name="main")),
            lambda: store.ULabel(name="b", type=foreign).save(),
            lambda: store.ULabel.all().update(type=foreign),
            lambda: store.Record.filter(ulabels=foreign),
            lambda: store.Record.filter(ulabels__in=[foreign]),
            lambda: store.Record.filter(label=foreign),
            lambda: store.Record.exclude(created_by=other.user),
            lambda: store.Record.filter(store.Feature.get(name="label") == foreign),
            lambda: store.Record.filter(feature.is_null()),
            lambda: store.Record.all().order_by(feature),
            lambda: store.Record.pl(features=[feature]),
            lambda: mine.features.add_values({feature: "a"}),
            lambda: store.annotate(pl.DataFrame({"name": ["r"]}), key="name", run=other.Run().save()),
        ):
            with pytest.raises(errors.InvalidArgument, match=r"belongs to another store, 'account/other' \(:memory:\)"):
                call()
        assert row_counts(store) == before
