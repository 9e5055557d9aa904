"""What a record tells of itself, and what is told of words that are no fields of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import duckfeat as dft
from duckfeat.errors import DoesNotExist, FieldError, InvalidArgument
from duckfeat.store import Store


@pytest.fixture
def sample(store: Store) -> dft.Record:
    store.save([store.Feature(name="dose", dtype=float), store.Feature(name="site", dtype=str)])
    kind = store.Record(name="mouse", is_type=True)
    with store.track("ingest.py", name="nightly"):
        made = store.Record(name="s1", type=kind, features={"dose": 1.5}).save()
    made.ulabels.add(store.ULabel(name="fresh"), store.ULabel(name="blood"))
    return made


def test_a_description_names_what_is_pointed_at(sample: dft.Record, store: Store) -> None:
    assert store.user is not None
    lines = str(sample.describe(return_str=True)).splitlines()
    assert lines[:2] == ["Record", f"  uid: {sample.uid!r}"]
    assert lines[2:5] == ["  name: 's1'", "  type: 'mouse'", "  run: 'nightly'"]
    assert lines[6:] == [
        f"  created_by: {store.user.handle!r}",
        "  ulabels: 'blood', 'fresh'",
        "  features:",
        "    dose = 1.5",
    ]
    assert "  transform: 'ingest.py'" in str(store.Run.get().describe(return_str=True))
    assert "  feature: 'dose'" in str(store.FeatureValue.get().describe(return_str=True))
    assert str(store.Record(name="new").describe(return_str=True)).splitlines()[:2] == ["Record", "  name: 'new'"]


@pytest.mark.parametrize("program", ["", "ingest.py"])
def test_a_run_without_a_name_is_told_by_its_program_and_time(program: str, store: Store) -> None:
    with store.track(*[program] * bool(program)) as unnamed:
        label = store.ULabel(name="x").save()
    began = f"{unnamed.started_at:%Y-%m-%d %H:%M:%S}+00:00 ({unnamed.uid})"
    transform = unnamed.transform.key if unnamed.transform else ""
    assert program in transform
    assert f"  run: {transform + ', ' if transform else ''}{began}" in str(label.describe(return_str=True)).splitlines()


def test_describe_prints_unless_told(sample: dft.Record, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert sample.describe() is None
    assert capsys.readouterr().out == f"{sample.describe(return_str=True)}\n"
    assert store.Record.describe() is None
    assert capsys.readouterr().out.startswith("Record: 2 records\n")


def test_the_features_of_a_record_are_listed_counted_and_found(sample: dft.Record, store: Store) -> None:
    features = sample.features
    assert (list(features), len(features), bool(store.Record(name="bare").save().features)) == (["dose"], 1, False)
    assert ("dose" in features, "site" in features, "nothing" in features, 7 in features) == (True, False, False, False)
    assert store.Feature.get(name="dose") in features


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (
            lambda s: s.Record(dose=1),
            FieldError,
            r"'dose' to set: it is a feature, given as features=\{'dose': \.\.\.\}",
        ),
        (lambda s: s.Record.all().update(dose=1), FieldError, "'dose': it is a feature; set it with .*update_values"),
        (lambda s: s.ULabel(dose=1), FieldError, r"no field 'dose' to set\. Available: "),
        (
            lambda s: setattr(s.Record.get(name="s1"), "features", {}),
            InvalidArgument,
            "features is changed by .*set_values",
        ),
        (lambda s: s.Record.get(np.int64(99)), DoesNotExist, "no such Record"),
        (
            lambda s: dft.connect(read_onyl=True),
            InvalidArgument,
            r"unknown setting 'read_onyl' \(did you mean 'read_only'",
        ),
    ],
)
def test_near_misses_are_told(
    call: Callable[[Store], Any], error: type[Exception], says: str, sample: dft.Record, store: Store
) -> None:
    with pytest.raises(error, match=says):
        call(store)
    assert sample.refresh_from_db().features.get_values() == {"dose": 1.5}


def test_an_id_of_numpy_is_an_id(sample: dft.Record, store: Store) -> None:
    assert store.Record.get(np.int64(sample.id)) == sample


def test_settings_show_themselves(store: Store) -> None:
    dft.settings.organism = "human"
    assert repr(dft.settings) == "<settings: branch='main', space='all', organism='human'>"
    dft.settings.organism = None
    assert repr(dft.settings) == "<settings: branch='main', space='all'>"
    assert store.Organism.count() == 1
