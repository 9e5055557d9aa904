"""What may be given as a dtype: types of frames, and what is told of anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import duckfeat as dft
from duckfeat.errors import InvalidArgument
from duckfeat.model.dtypes import parse_dtype
from duckfeat.store import Store

FRAMES: list[tuple[Any, str]] = [
    (pl.UInt64, "int"),
    (pl.Float32(), "float"),
    (pl.Decimal(10, 0), "int"),
    (pl.Decimal(10, 2), "float"),
    (pl.Boolean, "bool"),
    (pl.Enum(["a"]), "str"),
    (pl.Categorical(), "str"),
    (pl.Date(), "date"),
    (pl.Datetime("ns"), "datetime"),
    (pl.Datetime("us", "Asia/Tokyo"), "datetime[UTC]"),
    (pl.List(pl.Int8), "list[int]"),
    (pl.Struct({"a": pl.Int64}), "dict"),
    (np.dtype("int16"), "int"),
    (np.float64, "float"),
    (np.bool_, "bool"),
    (np.dtype("<U4"), "str"),
    (np.dtype("datetime64[D]"), "date"),
    (np.dtype("datetime64[ns]"), "datetime"),
    (pd.Int64Dtype(), "int"),
    (pd.BooleanDtype(), "bool"),
    (pd.StringDtype(), "str"),
    (pd.CategoricalDtype(["a"]), "str"),
    (pd.DatetimeTZDtype(tz="UTC"), "datetime[UTC]"),
    (pd.ArrowDtype(pa.int64()), "int"),
    (pa.float32(), "float"),
    (pa.large_string(), "str"),
    (pa.dictionary(pa.int32(), pa.string()), "str"),
    (pa.date64(), "date"),
    (pa.timestamp("us"), "datetime"),
    (pa.timestamp("us", "UTC"), "datetime[UTC]"),
    (pa.list_(pa.float64()), "list[float]"),
    (pa.map_(pa.string(), pa.int64()), "dict"),
]


@pytest.mark.parametrize(("spec", "dtype"), FRAMES, ids=str)
def test_the_type_of_a_column_is_a_dtype(spec: Any, dtype: str) -> None:
    assert parse_dtype(spec).name == dtype


@pytest.mark.parametrize("spec", [pl.Time, pl.Duration(), pl.Null, np.dtype("O"), pa.binary(), pl.List(pl.Binary)])
def test_a_column_of_no_dtype_is_refused(spec: Any) -> None:
    with pytest.raises(InvalidArgument, match="dtype"):
        parse_dtype(spec)


def test_features_are_registered_by_the_schema_of_a_frame(store: Store) -> None:
    frame = pl.DataFrame({"dose": [1.5], "site": ["A"], "day": [pd.Timestamp("2024-01-01")]})
    store.save([store.Feature(name=name, dtype=dtype) for name, dtype in frame.schema.items()])
    assert store.Feature.all().order_by("id").to_list("dtype") == ["float", "str", "datetime"]
    again = [store.Feature(name=str(name), dtype=dtype) for name, dtype in frame.to_pandas().dtypes.items()]
    assert [feature.dtype for feature in again] == ["float", "str", "datetime"]


@pytest.mark.parametrize(
    ("dtype", "says"),
    [
        ("ULabel", r"unknown dtype 'ULabel' \(did you mean 'cat\[ULabel\]'\?\)"),
        ("ulabel", r"did you mean 'cat\[ULabel\]'"),
        ("CelType", r"did you mean 'cat\[CellType\]'"),
        ("Run", r"did you mean 'cat\[Run\]'"),
        ("flaot", "did you mean 'float'"),
        ("Float", "did you mean 'float'"),
        ("cat", r"names its registry: 'cat\[ULabel\]'"),
        ("list[ULabel]", r"did you mean 'cat\[ULabel\]'"),
        (list[dft.ULabel], "multiple=True"),
        (complex, r"no dtype for complex\. Available: bool, "),
        ("zzzzzz", r"unknown dtype 'zzzzzz'\. Available: bool, "),
    ],
)
def test_what_is_no_dtype_is_told_with_the_nearest(dtype: Any, says: str, store: Store) -> None:
    for make in (store.Feature, dft.Feature):
        with pytest.raises(InvalidArgument, match=says):
            make(name="x", dtype=dtype)


@pytest.mark.parametrize("spec", ["cat[bionty.CellType.ontology_id]", "cat[CellType.ontology_id]", "field"])
def test_a_field_of_a_registry_is_no_dtype(spec: str) -> None:
    given = dft.CellType.ontology_id if spec == "field" else spec
    with pytest.raises(
        InvalidArgument, match=r"it is the registry whatever its values are given by, 'cat\[CellType\]'$"
    ):
        parse_dtype(given)
