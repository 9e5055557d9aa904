"""`annotate` keeps every cell of a frame what it is, or says of which column and cell it cannot."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy
import pandas
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import duckfeat as dft
from duckfeat.errors import DuckfeatError, InvalidArgument, QueryError, ValidationError
from duckfeat.store import Store

DAY, NOON = date(2024, 1, 1), datetime(2024, 1, 1, 12)


def cells(*values: Any) -> pandas.DataFrame:
    """Return a frame with a column of Python objects."""
    return pandas.DataFrame({"name": range(len(values)), "x": pandas.Series(values, dtype=object)}).astype(
        {"name": "string"}
    )


def loaded(store: Store, data: Any) -> tuple[str | None, list[Any]]:
    store.annotate(data, key="name", create="all")
    records = dft.Record.all().order_by("name")
    return dft.Feature.get(name="x").dtype, [record.features.get_values().get("x") for record in records]


def table(array: pa.Array) -> pa.Table:
    return pa.table({"name": [str(place) for place in range(len(array))], "x": array})


# --- columns of Python objects -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((1, 2.5), "num"),
        ((1, None, 2), "int"),
        ((1, float("nan"), "a"), None),
        (("a", float("nan")), "str"),
        ((numpy.int8(1), 2), "int"),
        ((numpy.float32(1.5), 2.5), "float"),
        (([1], [2.5]), "list"),
        (([1], [2]), "list[int]"),
        ((["a"], numpy.array(["b"])), "list[str]"),
        ((numpy.array([1.5, 2]), numpy.array([3.0])), "list[float]"),
        ((numpy.array([1, 2]), numpy.array([3])), "list[int]"),
        (([1, 2, 3], numpy.array([4]), [5, 6]), "list[int]"),
        ((numpy.array(["a", "b"]), numpy.array([1])), "list"),
        ((numpy.array([1, "a"], dtype=object), numpy.array([2])), "list"),
        ((numpy.array(["2024-01-01"], dtype="M8[us]"), numpy.array([], dtype="M8[us]")), "list[datetime]"),
        (([DAY], []), "list[date]"),
        (([True, 1], [2.5]), "list"),
        (([[1], [2.5]], [3]), "list"),
        (({"a": 1}, {"b": 2.5}), "dict"),
    ],
    ids=repr,
)
def test_each_object_stays_what_it_is(store: Store, values: tuple[Any, ...], dtype: str | None) -> None:
    if dtype is None:
        with pytest.raises(ValidationError, match=r"'x' holds values of several kinds \(int, str\)"):
            loaded(store, cells(*values))
        return
    found = loaded(store, cells(*values))
    plain = [value.tolist() if hasattr(value, "tolist") else value for value in values]
    wanted = [None if isinstance(value, float) and math.isnan(value) else value for value in plain]
    assert repr(found) == repr((dtype, wanted))


@pytest.mark.parametrize(
    "values",
    [
        (DAY, NOON),
        (NOON, DAY),
        (NOON, NOON.replace(tzinfo=UTC)),
        (numpy.datetime64("2024-01-01"), DAY),
        ([DAY], [NOON]),
        (numpy.array([NOON, NOON.replace(tzinfo=UTC)]),),
        (DAY, "2024-01-01"),
    ],
    ids=repr,
)
def test_moments_of_several_kinds_are_not_made_one(store: Store, values: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError, match="column 'x' holds values of several kinds") as caught:
        loaded(store, cells(*values))
    assert len(caught.value.kinds) == 2


def test_instants_of_several_zones_are_instants(store: Store) -> None:
    zoned = datetime.fromisoformat("2024-01-01T12:00:00+02:00")
    utc = NOON.replace(tzinfo=UTC)
    assert loaded(store, cells(zoned, utc)) == ("datetime[UTC]", [zoned.astimezone(UTC), utc])


def test_a_frame_may_have_mixed_columns_alone(store: Store) -> None:
    dft.Feature(name="x", dtype=int, coerce=True).save()
    frame = pandas.DataFrame({"name": ["a", "b"], "x": [1, "2"]}).astype(object)
    store.annotate(frame[["x", "name"]], key="name", create=True)
    with pytest.raises(InvalidArgument, match="no column 'name'"):
        store.annotate(pandas.DataFrame({"x": [1, "s"]}), key="name")
    assert [r.features["x"] for r in dft.Record.all().order_by("name")] == [1, 2]


def test_an_index_named_like_a_column_is_told(store: Store) -> None:
    with pytest.raises(InvalidArgument, match="index and a column of it are both called 'name'"):
        loaded(store, cells(1).set_index("name", drop=False))


def test_text_that_is_no_unicode_is_told(store: Store) -> None:
    with pytest.raises(ValidationError, match="column 'x', row 1: text with a lone surrogate"):
        loaded(store, cells("a", "\ud800"))
    frame = cells("a")
    frame.columns = pandas.Index(["name", "\ud800"], dtype=object)
    with pytest.raises(InvalidArgument, match="column names are text"):
        loaded(store, frame)


# --- types of Arrow and Polars ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [pl.Int128, pl.UInt128])
@pytest.mark.parametrize("lazy", [False, True])
def test_whole_numbers_of_128_bits(store: Store, dtype: Any, lazy: bool) -> None:
    frame = pl.DataFrame({"name": ["0", "1"], "x": pl.Series([3, 2**127 - 1], dtype=dtype)})
    data = frame.lazy() if lazy else frame
    with pytest.raises(ValidationError, match=rf"{2**127 - 1} \(int\) is beyond 64 bits \(row 1, name '1'\)"):
        loaded(store, data)
    assert loaded(store, data.head(1)) == ("int", [3])


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (pl.List(pl.Int128), [1, 2]),
        (pl.Struct({"a": pl.Int128}), {"a": 1}),
        (pl.List(pl.Float16), [1.5]),
        (pl.Struct({"a": pl.List(pl.Float16)}), {"a": [1.5]}),
        (pl.Float16, 1.5),
    ],
    ids=repr,
)
def test_types_that_arrow_or_duckdb_lack(store: Store, dtype: Any, value: Any) -> None:
    assert loaded(store, pl.DataFrame({"name": ["0"], "x": pl.Series([value], dtype=dtype)}))[1] == [value]


_MAP = pa.map_(pa.string(), pa.list_(pa.int64()))


def _hundreds(type_: pa.DataType) -> pa.Array:
    """Return a decimal of twelve hundred, of which a type with a negative scale keeps the hundreds."""
    return pa.Array.from_buffers(type_, 1, pa.array([Decimal(12)], pa.decimal128(38, 0)).buffers())


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (pa.array([{}, None], pa.struct([])), [{}, None]),
        (pa.array([[{}]], pa.list_(pa.struct([]))), [[{}]]),
        (pa.array(["s"], pa.string_view()), ["s"]),
        (pa.array([["s"]], pa.list_(pa.string_view())), [["s"]]),
        (pa.array([[1]], pa.list_view(pa.int64())), [[1]]),
        (pa.RunEndEncodedArray.from_arrays([1, 2], ["s", "t"]), ["s", "t"]),
        (pa.array([1, 2, 1]).dictionary_encode(), [1, 2, 1]),
        (pa.array([[("k", [1])], None], _MAP), [{"k": [1]}, None]),
        (pa.array([[[("k", None)], None]], pa.list_(_MAP)), [[{"k": None}, None]]),
        (pa.array([{"m": [("k", [1])]}, {"m": None}], pa.struct([("m", _MAP)])), [{"m": {"k": [1]}}, {"m": None}]),
        (pa.array([[("k", [("j", [])])]], pa.map_(pa.string(), _MAP)), [{"k": {"j": []}}]),
        (pa.array([Decimal("1.5")], pa.decimal32(5, 2)), [1.5]),
        (_hundreds(pa.decimal128(5, -2)), [1200.0]),
        (pa.array([[Decimal(7)]], pa.list_(pa.decimal128(5, 0))), [[7.0]]),
        (pa.array([[1000]], pa.list_(pa.timestamp("ns", "UTC"))), [[datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)]]),
        (
            pa.array([-1, 253402300799], pa.timestamp("s")),
            [datetime(1969, 12, 31, 23, 59, 59), datetime(9999, 12, 31, 23, 59, 59)],
        ),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
@pytest.mark.parametrize("streamed", [False, True])
def test_arrow_types(store: Store, array: pa.Array, values: list[Any], streamed: bool) -> None:
    data = table(array)
    assert loaded(store, data.to_reader() if streamed else data)[1] == values
    assert store.annotate(data.to_reader() if streamed else data, key="name").links == 0


@pytest.mark.parametrize(
    "array",
    [
        pa.array([Decimal("1.5")], pa.decimal256(50, 2)),
        _hundreds(pa.decimal128(38, -2)),
        pa.array([[timedelta(1)]], pa.list_(pa.duration("us"))),
        pa.array([{"d": timedelta(1)}], pa.struct([("d", pa.duration("ns"))])),
        pa.array([[(1, 2, 3)]], pa.list_(pa.month_day_nano_interval())),
        pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]),
        pa.array([timedelta(1)], pa.duration("us")),
        pa.array([b"x"], pa.binary(1)),
    ],
    ids=lambda array: str(array.type),
)
@pytest.mark.parametrize("streamed", [False, True])
def test_types_that_no_dtype_covers(store: Store, array: pa.Array, streamed: bool) -> None:
    data = table(array)
    with pytest.raises(ValidationError, match=r"column 'x' has .*type .*, which no dtype covers: convert the column"):
        loaded(store, data.to_reader() if streamed else data)
    assert dft.Feature.count() == 0


@pytest.mark.parametrize("streamed", [False, True])
def test_a_column_that_is_not_taken_may_have_any_type(store: Store, streamed: bool) -> None:
    columns = {"decimal": pa.array([Decimal("1.5")], pa.decimal256(50, 2)), "lasting": pa.array([[timedelta(1)]])}
    whole = pa.table({"name": ["0"], "x": [1], **columns})

    def given() -> Any:
        return whole.to_reader() if streamed else whole

    store.annotate(given(), key="name", create="all", features=["x"])
    assert dft.Record.get(name="0").features.get_values() == {"x": 1}
    for on in columns:
        with pytest.raises(ValidationError, match=f"column '{on}' has the type .*, which no dtype covers"):
            store.annotate(given(), key="name", on=on, features=["x"])


@pytest.mark.parametrize(
    "dtype",
    [pl.List(pl.Duration), pl.Struct({"a": pl.Array(pl.Duration, 1)}), pl.List(pl.Int128), pl.Duration],
    ids=str,
)
def test_a_lazy_frame_gives_no_bytes_or_numbers_for_what_parquet_lacks(store: Store, dtype: Any) -> None:
    frame = pl.LazyFrame({"name": ["0"], "x": pl.Series([None], dtype=dtype)})
    with pytest.raises(ValidationError, match=r"column 'x' has .*type .*, which no dtype covers: convert the column"):
        loaded(store, frame)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([Decimal("123456789012345678901234567890.5")], pa.decimal256(60, 10)),
        pa.array([[Decimal("1.5")]], pa.list_(pa.decimal256(39, 1))),
        pa.array([timedelta(1)], pa.duration("us")),
        pa.array([{"a": [timedelta(1)]}], pa.struct([("a", pa.list_(pa.duration("us")))])),
    ],
    ids=lambda array: str(array.type),
)
def test_a_parquet_file_gives_no_floats_or_numbers_for_other_types(
    store: Store, array: pa.Array, tmp_path: Any
) -> None:
    pq.write_table(table(array), tmp_path / "a.parquet")
    with pytest.raises(ValidationError, match=r"column 'x' has .*type .*, which no dtype covers: convert the column"):
        loaded(store, tmp_path / "a.parquet")


def test_parts_of_a_struct_in_a_parquet_file_keep_their_names(store: Store, tmp_path: Any) -> None:
    struct = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "A"])
    pq.write_table(table(struct), tmp_path / "a.parquet")
    assert loaded(store, tmp_path / "a.parquet") == ("dict", [{"a": 1, "A": 2}])


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_lists_of_nothing_tell_no_type_of_items(store: Store, large: bool, streamed: bool) -> None:
    data = table(pa.array([[None], [], None], (pa.large_list if large else pa.list_)(pa.null())))
    assert loaded(store, data.to_reader() if streamed else data) == ("list", [[None], [], None])


def test_a_map_of_lists_is_no_dict(store: Store) -> None:
    data = table(pa.array([[([1], 2)]], pa.map_(pa.list_(pa.int64()), pa.int64())))
    with pytest.raises(ValidationError, match="holds a key that is not text"):
        loaded(store, data)


def test_instants_in_lists_are_not_cut(store: Store) -> None:
    with pytest.raises(ValidationError, match="'x' holds an instant that has a part below the microsecond"):
        loaded(store, table(pa.array([[1001]], pa.list_(pa.timestamp("ns", "UTC")))))


@pytest.mark.parametrize("zone", [None, "UTC"])
@pytest.mark.parametrize(("unit", "number"), [("s", 253402300800), ("s", 2**60), ("ms", -(2**61)), ("us", 2**62)])
def test_moments_of_far_years_are_refused(store: Store, unit: str, number: int, zone: str | None) -> None:
    data = table(pa.array([0, number, None], pa.timestamp(unit, zone)))
    with pytest.raises(ValidationError, match=r"is .*outside the years 1 to 9999.* \(row 1, name '1'\)"):
        loaded(store, data)
    report = store.annotate(data, key="name", create="all", on_invalid="skip")
    assert (report.links, report.skipped["row"].to_list()) == (1, [1])


@pytest.mark.parametrize("given", [{}, {"x": "datetime"}, {"x": "datetime[UTC]"}])
def test_parts_of_a_text_below_the_microsecond_are_not_cut(store: Store, tmp_path: Any, given: dict[str, str]) -> None:
    dft.save([dft.Feature(name=name, dtype=dtype) for name, dtype in given.items()])
    (tmp_path / "a.csv").write_text("name,x\na,2024-01-01T12:00:00.123456789Z\n")
    (tmp_path / "a.ndjson").write_text('{"name": "a", "x": "2024-01-01T12:00:00.123456001Z"}\n')
    for path in tmp_path.iterdir():
        if not given:
            assert loaded(store, path)[0] == "str"
            return
        with pytest.raises(ValidationError, match="below the microsecond"):
            loaded(store, path)


# --- inputs that fail --------------------------------------------------------------------------------


def _fail(data: pl.DataFrame) -> pl.DataFrame:
    raise ZeroDivisionError(data)


@pytest.mark.parametrize(
    "frame",
    [
        pl.LazyFrame({"name": ["a"]}).select("nope"),
        pl.scan_parquet("nowhere/*.parquet"),
        pl.LazyFrame({"name": ["a"]}).map_batches(_fail),
    ],
    ids=["a column", "a file", "a function"],
)
def test_a_lazy_frame_that_fails_is_told(store: Store, frame: pl.LazyFrame) -> None:
    with pytest.raises(InvalidArgument, match=r"the LazyFrame cannot be read: .+"):
        store.annotate(frame, key="name", create="all")


def test_a_stream_and_a_relation_that_fail_are_told(store: Store) -> None:
    batches = (1 / 0 for _ in range(1))
    stream = pa.RecordBatchReader.from_batches(pa.schema([("name", pa.string())]), batches)
    with pytest.raises(QueryError, match=r"batches of the input cannot be read: ZeroDivisionError: division by zero$"):
        store.annotate(stream, key="name", create="all")
    for cell in ("error('boom')", "1::VARIANT"):
        with pytest.raises(DuckfeatError, match=r"boom|VARIANT|no JSON form"):
            store.annotate(duckdb.sql(f"SELECT 'a' AS name, {cell} AS x"), key="name", create="all")
    assert (dft.Record.count(), dft.Feature.count()) == (0, 0)
