"""What `store.profile` and `Feature.stats` tell, against Polars on the same values."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.store import Store


@pytest.mark.usefixtures("store")
def test_numbers_are_as_polars_has_them() -> None:
    values = [1.5, -2.0, 7.25, 7.25, 100.0]
    depth = dft.Feature(name="depth", dtype=float, unit="m").save()
    for number, value in enumerate(values):
        dft.Record(name=f"r{number}", features={"depth": value}).save()
    dft.Record(name="none").save()
    row, series = depth.stats().row(0, named=True), pl.Series(values)
    assert (row["feature"], row["dtype"], row["unit"]) == ("depth", "float", "m")
    assert (row["count"], row["missing"], row["distinct"]) == (5, 1, 4)
    assert (row["min"], row["max"]) == ("-2.0", "100.0")
    assert [row["mean"], row["std"]] == pytest.approx([series.mean(), series.std()])
    quartiles = [series.quantile(part, "linear") for part in (0.25, 0.5, 0.75)]
    assert [row["q25"], row["median"], row["q75"]] == pytest.approx(quartiles)
    assert row["most_frequent"][0] == {"value": "7.25", "count": 2}
    dft.Record.get(name="r4").delete()
    assert depth.stats().select("count", "missing", "max").row(0) == (4, 1, "7.25")


@pytest.mark.parametrize(
    ("dtype", "values", "least", "most"),
    [
        (int, [9, 10, 2**63 - 1], "9", str(2**63 - 1)),
        (bool, [True, False], "false", "true"),
        (str, ["b", "a"], "a", "b"),
        (dt.date, [dt.date(2020, 1, 2), dt.date(999, 1, 1)], "0999-01-01", "2020-01-02"),
        ("datetime", [dt.datetime(2020, 1, 2, tzinfo=dt.UTC)], "2020-01-02 00:00:00+00", "2020-01-02 00:00:00+00"),
        (dict, [{"a": 1}], '{"a":1}', '{"a":1}'),
        ("list[int]", [[1, 2]], "[1,2]", "[1,2]"),
        ("cat[ULabel]", ["x", "y"], "x", "y"),
        (float, [1e308, float("inf"), float("nan")], "1e+308", "nan"),
    ],
)
def test_every_dtype(store: Store, dtype: Any, values: list[Any], least: str, most: str) -> None:
    if dtype == "cat[ULabel]":
        dft.save([dft.ULabel(name=value) for value in values])
    dft.Feature(name="f", dtype=dtype, multiple=True).save()
    record = dft.Record(name="r").save()
    for value in values:
        record.features.add_values({"f": [value]})
    row = store.profile(features="f").row(0, named=True)
    assert (row["count"], row["missing"], row["min"], row["max"]) == (len(values), 0, least, most)


def test_one_statement_in_the_order_asked_for(store: Store) -> None:
    dft.save([dft.Feature(name=name, dtype=str) for name in "abc"])
    store.profile()
    seen: list[str] = []
    with store.trace(lambda sql, _params: seen.append(sql)):
        frame = store.profile("Run", ["c", "a"])
    assert frame["feature"].to_list() == ["c", "a"]
    assert len([sql for sql in seen if "most_frequent" in sql]) == 1
    assert len(seen) == 1
    assert store.profile(dft.Artifact, []).height == 0


def test_unknown_names_are_told(store: Store) -> None:
    dft.Feature(name="depth", dtype=float).save()
    with pytest.raises(InvalidArgument, match="Record"):
        store.profile("Recrd")
    with pytest.raises(FieldError, match="depth"):
        store.profile(features=["dept"])
