"""Values keep every bit, in every engine and however their columns are compressed."""

from __future__ import annotations

import math

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import ValidationError
from duckfeat.store import Store

ROWS = 3000
ZEROS = [0.0 if n % 3 else -0.0 for n in range(ROWS)]


def _signs(values: list[float]) -> list[float]:
    return [math.copysign(1, value) for value in values]


def test_minus_zero_stays_minus_zero_where_columns_are_compressed(store: Store) -> None:
    feature = store.Feature(name="charge", dtype=float).save()
    several = store.Feature(name="charges", dtype=float, multiple=True).save()
    store.Feature(name="number", dtype="num").save()
    minus, _ = store.FeatureValue.get_or_create(several, -0.0)
    store.annotate(
        pl.DataFrame({"name": [f"r{n:04}" for n in range(ROWS)], "charge": ZEROS, "number": ZEROS}),
        key="name",
        create=True,
    )
    store.compact()
    frame = store.Record.all().order_by("name").pl(features=["charge", "number"])
    assert _signs(frame["charge"].to_list()) == _signs(frame["number"].to_list()) == _signs(ZEROS)
    found = store.FeatureValue.filter(feature=feature)
    assert sorted(_signs([value.value for value in found])) == sorted(_signs(found.pl()["value"].cast(float).to_list()))
    hashes = {dft.FeatureValue.get_or_create(feature, zero)[0].hash for zero in (0.0, -0.0)}
    assert {value.hash for value in found} == hashes
    assert store.Record.filter(charge=0.0).count() == store.Record.filter(charge=-0.0).count() == ROWS  # as numbers go
    record = store.Record.get(name="r0003")
    assert _signs([record.features["charge"], record.features.get_values()["number"]]) == [-1, -1]
    record.features.add_values({"charges": [0.0, -0.0]})
    assert sorted(_signs(record.features["charges"])) == [-1, 1]
    assert minus.records.count() == 1
    assert _signs([store.FeatureValue.get(minus.id).value, minus.refresh_from_db().value]) == [-1, -1]
    assert record.features.history(several)["value"].sort().to_list() == ["-0.0", "0.0"]
    store.compact()
    record.features.remove_values({"charges": -0.0})
    assert _signs(record.features["charges"]) == [1]


def test_the_nearest_feature_is_told_where_a_value_is_of_none(store: Store) -> None:
    store.Feature(name="dose", dtype=float).save()
    with pytest.raises(ValidationError, match=r"feature 'dsoe' is not registered: save it first \(did you mean 'dose'"):
        store.FeatureValue.get_or_create("dsoe", 1.0)
