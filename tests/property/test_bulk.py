"""Bulk annotation decides and stores what `Dtype.encode` does, for every pair of a column's type and a dtype."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

import duckfeat as dft
from duckfeat.model.dtypes import Refused, is_missing, parse_dtype
from duckfeat.store import Store

pytestmark = pytest.mark.usefixtures("store")

SCALARS = ["bool", "int", "float", "num", "str", "date", "datetime", "datetime[UTC]", "path", "url"]
LISTS = [f"list[{item}]" for item in ("int", "float", "num", "str", "bool", "date", "datetime", "dict")]
FLOATS = [0.0, -0.0, 1.0, -3.0, 1.5, math.nan, math.inf, -math.inf, 5e-324, 2.2250738585072014e-308, 0.1, 1e16, 1e21]
FLOATS += [1e22, 1e-7, 9007199254740993.0, 9223372036854774784.0, 9223372036854775808.0, -9223372036854775808.0]
LONGS = [0, 1, -1, 2, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**62 + 1]
TEXTS = ["", "\0", "a\0b", "😀", "𝒳\U0010ffff", "é", "é", "1", "1.0", "true", "T", "no", "null", "nan", "inf", "1e400"]
TEXTS += ["'\"\\%_", " 1 ", "1_000", "٣", "+5", "-0", "007", "99999999999999999999", "0.1", "1e5", "2024-02-30"]
TEXTS += ["2024-02-29", "2024-02-29 10:00", "2024-02-29T10:00:00", "2024-02-29T10:00:00.123456+02:00", "0001-01-01"]
TEXTS += ["2024-02-29T10:00:00Z", "10000-01-01", "20240229", "2024-W09-4", "{}", "[]", "True", "2024-02-29 10:00:60"]
DATES = [date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]
MOMENTS = [datetime(1970, 1, 1), datetime(2024, 2, 29, 12, 30, 1, 120000), datetime(1969, 12, 31, 23, 59, 59, 999999)]
FAR = [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)]


def _utc(moments: Sequence[datetime]) -> list[datetime]:
    return [moment.replace(tzinfo=UTC) for moment in moments]


def _seconds(moments: Sequence[datetime], unit: int) -> list[datetime]:
    return [moment.replace(microsecond=moment.microsecond // unit * unit) for moment in moments]


COLUMNS: Mapping[str, pa.Array] = {
    "bool": pa.array([True, False, None]),
    "int8": pa.array([0, 1, -128, 127, None], pa.int8()),
    "uint8": pa.array([0, 1, 255, None], pa.uint8()),
    "int16": pa.array([0, 1, -32768], pa.int16()),
    "uint16": pa.array([0, 65535], pa.uint16()),
    "int32": pa.array([0, 1, -(2**31), None], pa.int32()),
    "uint32": pa.array([0, 2**32 - 1], pa.uint32()),
    "int64": pa.array([*LONGS, None], pa.int64()),
    "uint64": pa.array([0, 1, 2**63 - 1, 2**63, 2**64 - 1, 2**53 + 1], pa.uint64()),
    "float16": pa.array([0.0, -0.0, 1.0, 0.5, math.nan], pa.float16()),
    "float32": pa.array([0.0, -0.0, 1.0, 0.1, math.nan, math.inf, 1e-45, 3e38, None], pa.float32()),
    "float64": pa.array([*FLOATS, None], pa.float64()),
    "decimal(10, 2)": pa.array([Decimal("1.10"), Decimal("3.00"), Decimal("-0.05"), None], pa.decimal128(10, 2)),
    "decimal(15, 0)": pa.array([Decimal(0), Decimal(1), Decimal(999999999999999)], pa.decimal128(15, 0)),
    "decimal(38, 0)": pa.array([Decimal(1), Decimal(2**63), Decimal(10) ** 37], pa.decimal128(38, 0)),
    "decimal(38, 20)": pa.array([Decimal("0.1"), Decimal("0.33333333333333333333"), Decimal(7)], pa.decimal128(38, 20)),
    "text": pa.array([*TEXTS, None]),
    "large text": pa.array([*TEXTS, None], pa.large_string()),
    "enum": pa.array(["a", "1", None, "a"]).dictionary_encode(),
    "date": pa.array([*DATES, None], pa.date32()),
    "timestamp s": pa.array(_seconds([*MOMENTS, *FAR], 10**6), pa.timestamp("s")),
    "timestamp ms": pa.array(_seconds([*MOMENTS, *FAR], 1000), pa.timestamp("ms")),
    "timestamp us": pa.array([*MOMENTS, *FAR, None], pa.timestamp("us")),
    "timestamp ns": pa.array([0, 1000, 1001, -1, None], pa.timestamp("ns")),
    "instant us": pa.array([*_utc(MOMENTS), *_utc(FAR), None], pa.timestamp("us", "UTC")),
    "instant ns": pa.array([0, 1000, 1001, -1000, None], pa.timestamp("ns", "UTC")),
    "list of ints": pa.array([[1, 2], [], [None, 3], None], pa.list_(pa.int64())),
    "list of int32s": pa.array([[1, 2], [2**31 - 1]], pa.list_(pa.int32())),
    "list of floats": pa.array([[1.0, -0.0, 0.1], FLOATS, [None], [0.0], [-0.0]], pa.list_(pa.float64())),
    "list of texts": pa.array([TEXTS, ["a", None], []], pa.list_(pa.string())),
    "list of bools": pa.array([[True, None]], pa.list_(pa.bool_())),
    "list of dates": pa.array([[*DATES, None], []], pa.list_(pa.date32())),
    "list of moments": pa.array([[*MOMENTS, None], FAR], pa.list_(pa.timestamp("us"))),
    "list of lists": pa.array([[[1], []], [None]], pa.list_(pa.list_(pa.int64()))),
    "array": pa.array([[1, 2], [3, 4], None], pa.list_(pa.int64(), 2)),
    "struct": pa.array([{"a": 1, "b": "x\0"}, {"a": None, "b": '"'}, None]),
    "nested struct": pa.array([{"b": [1.0, -0.0], "a": {"x": True}}, {"b": [0.0, 0.0], "a": None}]),
    "struct of a date": pa.array([{"d": date(2024, 1, 1)}, {"d": None}]),
    "list of structs": pa.array([[{"a": 1}, None], []], pa.list_(pa.struct([("a", pa.int64())]))),
    "map": pa.array([[("a", 1), ("b", None)], []], pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(2),
    "binary": pa.array([b"a", None]),
    "time": pa.array([0, 1], pa.time64("us")),
    "duration": pa.array([timedelta(1)], pa.duration("us")),
}


SEVERAL = "is a list, and the feature takes one value: register it with multiple=True for several"


def decided(dtype: str, value: Any, *, coerce: bool) -> Any:
    """Return what `Dtype.encode` makes of a value: kind and hash, the reason it is refused, None for no value.

    A list is not one value, which `set_values` says before it encodes it.
    """
    if is_missing(value):
        return None
    if isinstance(value, list) and not dtype.startswith("list"):
        return SEVERAL
    try:
        typed = parse_dtype(dtype).encode(value, coerce=coerce)
    except Refused as error:
        return str(error)
    return (typed.kind, typed.hash)


def stored(store: Store, features: Mapping[str, str], report: Any) -> dict[tuple[str, int], Any]:
    """Return what was stored or refused by dtype and row; rows are the records' names."""
    found = store.sql(
        "SELECT f.name AS feature, r.name AS name, v.kind, v.hash FROM current_record_annotations AS a "
        "JOIN records AS r ON a.entity_id = r.id JOIN features AS f ON a.feature_id = f.id "
        "JOIN feature_values AS v ON a.value_id = v.id"
    )
    result: dict[tuple[str, int], Any] = {
        (features[feature], int(name)): (kind, hash_) for feature, name, kind, hash_ in found.rows()
    }
    for row, feature, _value, reason in report.skipped.rows():
        assert (features[feature], row) not in result
        result[features[feature], row] = reason
    return result


def annotated(store: Store, column: pa.Array, *, coerce: bool, dtypes: Sequence[str]) -> dict[Any, Any]:
    """Annotate with one column as every dtype and return what became of each cell."""
    features = {f"as {dtype}": dtype for dtype in dtypes}
    dft.save([dft.Feature(name=name, dtype=dtype, coerce=coerce) for name, dtype in features.items()])
    table = pa.table({"name": [str(row) for row in range(len(column))], **dict.fromkeys(features, column)})
    report = store.annotate(table, key="name", create=True, on_invalid="skip")
    return stored(store, features, report)


@pytest.mark.parametrize("coerce", [False, True], ids=["exact", "coerced"])
@pytest.mark.parametrize("kind", COLUMNS)
def test_every_type_of_column_is_taken_as_every_dtype_takes_its_values(store: Store, kind: str, coerce: bool) -> None:
    column = COLUMNS[kind]
    # A list is no scalar, and a scalar no list, whichever it is.
    dtypes = ["dict", "list", *(["int", *LISTS] if "list" in kind or kind == "array" else [*SCALARS, "list[int]"])]
    values = [dict(value) if kind == "map" and value is not None else value for value in column.to_pylist()]
    found = annotated(store, column, coerce=coerce, dtypes=dtypes)
    expected = {
        (dtype, row): outcome
        for dtype in dtypes
        for row, value in enumerate(values)
        if (outcome := decided(dtype, value, coerce=coerce)) is not None
    }
    wrong = {
        (dtype, repr(values[row])): (found.get((dtype, row)), expected.get((dtype, row)))
        for dtype, row in expected | found
        if found.get((dtype, row)) != expected.get((dtype, row))
    }
    assert not wrong
