"""Several values of a feature, from whatever holds them: arrays of any library, views, generators, QuerySets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from duckfeat.errors import ValidationError
from duckfeat.store import Store

HOLDERS: dict[str, Callable[[list[str]], Any]] = {
    "generator": lambda values: (value for value in values),
    "dict keys": lambda values: dict.fromkeys(values).keys(),
    "set": set,
    "numpy array": np.array,
    "pandas series": pd.Series,
    "pandas index": pd.Index,
    "pandas categorical": pd.Categorical,
    "pandas array": pd.array,
    "pandas unique": lambda values: pd.Series(values).unique(),
    "polars series": pl.Series,
    "arrow array": pa.array,
    "arrow chunked array": lambda values: pa.chunked_array([values]),
}
LISTS = [name for name in HOLDERS if name not in {"generator", "dict keys", "set"}]


@pytest.fixture
def sample(store: Store) -> Any:
    store.save([store.Feature(name="tags", dtype=str, multiple=True), store.Feature(name="tag", dtype=str)])
    store.save([store.Feature(name="list", dtype=list[str]), store.Feature(name="at", dtype=datetime, multiple=True)])
    store.save([store.Feature(name="n", dtype=int), store.Feature(name="tissue", dtype=store.ULabel, multiple=True)])
    return store.Record(name="s").save()


@pytest.mark.parametrize("holder", HOLDERS)
def test_each_item_is_a_value(sample: Any, holder: str) -> None:
    sample.features.set_values({"tags": HOLDERS[holder](["b", "a"])})
    assert sample.features.get_values() == {"tags": ["a", "b"]}
    with pytest.raises(ValidationError, match="feature 'tag' takes one value, not"):
        sample.features.add_values({"tag": HOLDERS[holder](["b", "a"])})


@pytest.mark.parametrize("holder", LISTS)
def test_an_array_is_a_list(sample: Any, holder: str) -> None:
    sample.features.set_values({"list": HOLDERS[holder](["b", "a"])})
    assert sample.features.get_values() == {"list": ["b", "a"]}


def test_a_queryset_holds_categories(store: Store, sample: Any) -> None:
    store.save([store.ULabel(name="lung"), store.ULabel(name="liver")])
    sample.features.set_values({"tissue": store.ULabel.filter(name__startswith="l")})
    assert sample.features.get_values() == {"tissue": ["liver", "lung"]}


@pytest.mark.parametrize("one", [np.array("abc"), np.str_("abc"), pa.scalar("abc"), "abc"])
def test_a_text_is_one_value(sample: Any, one: Any) -> None:
    sample.features.set_values({"tags": one, "tag": one})
    assert sample.features.get_values() == {"tags": ["abc"], "tag": "abc"}


def test_what_is_missing_in_an_array_is_no_value(sample: Any) -> None:
    for values in (pd.array(["a", None]), pl.Series(["a", None]), pa.array(["a", None]), [pa.scalar(None), pd.NA, "a"]):
        sample.features.set_values({"tags": values, "n": pa.scalar(None, pa.int64())})
        assert sample.features.get_values() == {"tags": ["a"]}


def test_arrow_scalars_are_the_values_they_hold(store: Store, sample: Any) -> None:
    sample.features.set_values({"n": pa.scalar(3), "at": pa.array([datetime(2024, 5, 1)])})
    assert sample.features.get_values() == {"n": 3, "at": [datetime(2024, 5, 1)]}
    assert store.Record.filter(n=pa.scalar(3)).count() == store.Record.filter(n__in=pa.array([3, 4])).count() == 1
    with pytest.raises(ValidationError, match="below the microsecond"):
        sample.features.add_values({"at": pa.scalar(1, pa.timestamp("ns"))})


@pytest.mark.parametrize("frame", [pd.DataFrame({"a": ["b"]}), pl.DataFrame({"a": ["b"]}), pa.table({"a": ["b"]})])
def test_a_frame_is_no_value(store: Store, sample: Any, frame: Any) -> None:
    store.Feature(name="rows", dtype="list[dict]").save()
    for name in ("tags", "tag", "list", "rows"):
        with pytest.raises(ValidationError, match=f"feature '{name}' has dtype"):
            sample.features.set_values({name: frame})
    assert sample.features.get_values() == {}


def test_a_series_with_a_label_of_a_frame_is_a_series(sample: Any) -> None:
    sample.features.set_values({"tags": pd.Series({"columns": "a", "b": "b"})})
    assert sample.features.get_values() == {"tags": ["a", "b"]}


def test_what_carries_no_values_yet_is_shown(store: Store, sample: Any) -> None:
    assert repr(store.Record(name="new").features) == "<features of a Record that is not saved>"
    assert repr(sample.features) == f"<features of Record {sample.uid}: >"
