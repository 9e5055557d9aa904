"""What goes in comes out: every dtype, by every way in and every way out, on values that break stores."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import duckfeat as dft
from duckfeat.model.canonical import dumps, loads
from duckfeat.model.dtypes import Typed, decode_as, parse_dtype
from duckfeat.store import Store
from tests.counting import row_counts

pytestmark = pytest.mark.usefixtures("store")

FEW = settings(max_examples=8)

INTS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)])
FLOATS = st.floats() | st.sampled_from(
    [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 2.2250738585072014e-308, 1e16, 1e21, 1e22, 1e-7, 0.1]
)
TEXTS = st.text() | st.sampled_from(["", "\0", "a\0b", "😀", "𝒳\U0010ffff", "é", "é", "1", "true", "null", "'\"\\%_"])
_FIRST, _LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)
NAIVE = st.datetimes() | st.sampled_from([_FIRST, _LAST, datetime(1970, 1, 1), datetime(1969, 12, 31, 23)])
INSTANTS = st.datetimes(
    datetime(1, 1, 3),
    datetime(9999, 12, 29),
    timezones=st.timezones() | st.just(UTC) | st.just(timezone(timedelta(hours=-11, minutes=-7, seconds=-3))),
) | st.sampled_from([_LAST.replace(tzinfo=UTC), _FIRST.replace(tzinfo=UTC)])
SCALARS = st.none() | st.booleans() | INTS | FLOATS | TEXTS
NESTED = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
DICTS = st.dictionaries(TEXTS, NESTED, max_size=4)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": INTS,
    "float": FLOATS,
    "num": INTS | FLOATS,
    "str": TEXTS,
    "date": st.dates(),
    "datetime": NAIVE | INSTANTS,
    "datetime[UTC]": INSTANTS,
    "dict": DICTS,
    "list": st.lists(NESTED, max_size=4),
    "path": TEXTS,
    "url": TEXTS,
}
_LISTED = ["bool", "int", "float", "num", "str", "date", "datetime", "datetime[UTC]", "dict", "path", "url"]
LISTS = {f"list[{item}]": st.lists(st.none() | VALUES[item], max_size=4) for item in _LISTED}
VALUES |= LISTS
every_dtype = pytest.mark.parametrize("dtype", VALUES)


def exact(value: Any) -> Any:
    """Return what tells two values apart: type, bits of a float (NaN is one), order of keys, the instant."""
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else struct.pack(">d", value))
    if isinstance(value, dict):
        return ("dict", [(key, exact(item)) for key, item in value.items()])
    if isinstance(value, list):
        return ("list", [exact(item) for item in value])
    if isinstance(value, datetime):
        sort, moment = ("naive", value) if value.tzinfo is None else ("instant", value.astimezone(UTC))
        return (sort, moment.replace(fold=0))  # which of two wall clock readings it was is no part of a moment
    return (type(value).__name__, value)


def alike(left: Any, right: Any) -> bool:
    return bool(exact(left) == exact(right))


_numbers = iter(range(10**9))


def new_feature(dtype: str, **options: Any) -> dft.Feature:
    return dft.Feature(name=f"feature {next(_numbers)}", dtype=dtype, **options).save()


def distinct(values: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if not any(alike(value, other) for other in kept):
            kept.append(value)
    return kept


# --- through FeatureValue --------------------------------------------------------------------------


@every_dtype
@FEW
@given(data=st.data())
def test_a_feature_value_keeps_its_value(dtype: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(VALUES[dtype], min_size=1, max_size=6))
    feature = new_feature(dtype)
    for position, value in enumerate(values):
        twin = any(alike(value, other) for other in values[:position])
        made, created = dft.FeatureValue.get_or_create(feature, value)
        assert created is not twin
        assert alike(made.value, value)
        again = dft.FeatureValue(feature, value).save()
        assert (again.id, again.hash) == (made.id, made.hash)
        assert alike(again.value, value)
        assert alike(dft.FeatureValue.get(made.id).value, value)
    saved = dft.FeatureValue.filter(feature=feature).order_by("id")
    wanted = distinct(values)
    assert alike([found.value for found in saved], wanted)
    assert alike(saved.to_list("value"), wanted)
    assert alike([row for (row,) in saved.values_list("value")], wanted)


@every_dtype
@FEW
@given(data=st.data())
def test_values_saved_together_are_those_saved_one_by_one(dtype: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(VALUES[dtype], min_size=1, max_size=6))
    feature = new_feature(dtype)
    records = dft.save([dft.FeatureValue(feature, value) for value in values])
    assert alike([record.value for record in records], values)
    assert feature.values.count() == len(distinct(values))
    for record, value in zip(records, values, strict=True):
        assert dft.FeatureValue.get_or_create(feature, value)[0].id == record.id


@every_dtype
@FEW
@given(data=st.data())
def test_sql_computes_the_hash_that_python_computes(dtype: str, data: st.DataObject, store: Store) -> None:
    feature = new_feature(dtype)
    for value in data.draw(st.lists(VALUES[dtype], min_size=1, max_size=6)):
        typed = parse_dtype(dtype).encode(value)
        made, _ = dft.FeatureValue.get_or_create(feature, value)
        rows = store.sql("SELECT hash FROM feature_values WHERE id = $id", {"id": made.id})
        assert [typed.hash] == [made.hash] == rows["hash"].to_list()
        assert len(typed.hash) == 22


@st.composite
def two_typed(draw: st.DrawFn) -> tuple[Typed, Typed]:
    """Return two typed values, of one dtype or two; half of the time the second is the first once more."""
    names = st.sampled_from(sorted(VALUES))
    first = draw(names)
    value = draw(VALUES[first])
    typed = parse_dtype(first).encode(value)
    if draw(st.booleans()):
        return typed, parse_dtype(first).encode(value)
    second = draw(names)
    return typed, parse_dtype(second).encode(draw(VALUES[second]))


@settings(max_examples=400)
@given(pair=two_typed())
@example(pair=(Typed("float", 0.0), Typed("float", -0.0)))
@example(pair=(Typed("float", 1.0), Typed("int", 1)))
@example(pair=(Typed("bool", True), Typed("int", 1)))
@example(pair=(Typed("str", "1"), Typed("int", 1)))
@example(pair=(Typed("str", "[]"), Typed("list", "[]")))
@example(pair=(Typed("datetime", datetime(2024, 1, 1)), Typed("instant", datetime(2024, 1, 1, tzinfo=UTC))))
@example(pair=(Typed("dict", '{"a":1,"b":2}'), Typed("dict", '{"b":2,"a":1}')))
@example(pair=(Typed("float", math.nan), Typed("float", struct.unpack(">d", b"\xff\xf8\0\0\0\0\0\x01")[0])))
def test_hashes_are_equal_if_and_only_if_the_typed_values_are(pair: tuple[Typed, Typed]) -> None:
    left, right = pair
    assert (left.hash == right.hash) == ((left.kind, exact(left.physical)) == (right.kind, exact(right.physical)))


# --- the conversion alone --------------------------------------------------------------------------


@every_dtype
@settings(max_examples=60)
@given(data=st.data())
def test_encoding_and_decoding_give_the_value_back(dtype: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[dtype])
    parsed = parse_dtype(dtype)
    typed = parsed.encode(value)
    assert typed.kind in parsed.base.kinds
    assert alike(decode_as(parsed, *typed), value)
    assert parsed.encode(decode_as(parsed, *typed)) == typed or typed.physical != typed.physical  # NaN


@settings(max_examples=200)
@given(value=NESTED)
def test_nested_values_read_back_from_their_text(value: Any) -> None:
    assert alike(loads(dumps(value)), value)


@pytest.mark.parametrize(
    ("dtype", "sql_type"),
    [
        ("bool", "BOOLEAN"),
        ("int", "BIGINT"),
        ("float", "DOUBLE"),
        ("str", "VARCHAR"),
        ("date", "DATE"),
        ("datetime", "TIMESTAMP"),
        ("datetime[UTC]", "TIMESTAMP WITH TIME ZONE"),
    ],
)
@settings(max_examples=30)
@given(data=st.data())
def test_the_text_of_a_list_is_the_one_that_duckdb_writes(dtype: str, sql_type: str, data: st.DataObject) -> None:
    items = NAIVE if dtype == "datetime" else VALUES[dtype]
    values = data.draw(st.lists(st.none() | items, max_size=5))
    physical = [None if item is None else parse_dtype(dtype).encode(item).physical for item in values]
    given_: list[Any] = [repr(item) if isinstance(item, float) else item for item in physical]
    found = _duckdb().execute(f"SELECT to_json($items::{sql_type}[])::VARCHAR", {"items": given_}).fetchall()
    assert parse_dtype(f"list[{dtype}]").encode(values) == Typed("list", found[0][0])


_connections: list[duckdb.DuckDBPyConnection] = []


def _duckdb() -> duckdb.DuckDBPyConnection:
    if not _connections:
        _connections.append(duckdb.connect(":memory:"))
        _connections[0].execute("SET TimeZone = 'UTC'")
    return _connections[0]


@pytest.fixture(scope="module", autouse=True)
def _closing_duckdb() -> Iterator[None]:
    yield
    for connection in _connections:
        connection.close()
    _connections.clear()


# --- through records -------------------------------------------------------------------------------


@every_dtype
@FEW
@given(data=st.data())
def test_a_record_gives_back_what_it_was_given(dtype: str, data: st.DataObject) -> None:
    feature, record = new_feature(dtype), dft.Record().save()
    for value in data.draw(st.lists(VALUES[dtype], min_size=1, max_size=4)):
        record.features.set_values({feature: value})
        assert alike(record.features.get_values(), {feature.name: value})
        assert alike(record.features[feature.name], value)
        assert alike(record.features[feature], value)
        assert record.feature_values.count() == 1
        assert alike(record.feature_values.one().value, value)


@every_dtype
@settings(max_examples=4)
@given(data=st.data())
def test_saving_twice_is_saving_once(dtype: str, data: st.DataObject, store: Store) -> None:
    feature = new_feature(dtype)
    several = new_feature(dtype, multiple=True)
    value = data.draw(VALUES[dtype])
    given_ = {feature: value, several: [value, data.draw(VALUES[dtype])]}
    record = dft.Record(features=given_).save()
    held, before = record.features.get_values(), row_counts(store)
    record.features.add_values(given_)
    record.features.update_values(given_)
    record.features.set_values(given_)
    record.features.set_values(held)
    dft.FeatureValue(feature, value).save()
    dft.FeatureValue.get_or_create(feature, value)
    assert row_counts(store) == before
    assert alike(record.features.get_values(), held)


@every_dtype
@FEW
@given(data=st.data())
def test_several_values_come_back_in_one_fixed_order(dtype: str, data: st.DataObject) -> None:
    feature = new_feature(dtype, multiple=True)
    values = data.draw(st.lists(VALUES[dtype], min_size=1, max_size=5))
    record, reversed_ = dft.Record().save(), dft.Record().save()
    record.features.add_values({feature: values})
    for value in reversed(values):
        reversed_.features.add_values({feature: [value]})
    held = record.features[feature]
    assert sorted(map(repr, map(exact, held))) == sorted(map(repr, map(exact, distinct(values))))
    assert alike(held, reversed_.features[feature])


# --- frames ----------------------------------------------------------------------------------------

_TYPES: dict[str, Any] = {
    "bool": pl.Boolean,
    "int": pl.Int64,
    "float": pl.Float64,
    "num": pl.Float64,
    "str": pl.String,
    "date": pl.Date,
    "datetime": pl.Datetime("us"),
    "datetime[UTC]": pl.Datetime("us", "UTC"),
    "dict": pl.String,
    "list": pl.String,
    "path": pl.String,
    "url": pl.String,
    "list[dict]": pl.String,
}
_TYPES |= {name: pl.List(_TYPES[name[5:-1]]) for name in LISTS if name not in _TYPES}

# A column of datetimes is naive or of instants, so these are drawn of one sort at a time.
_ONE_SORT = {"datetime": NAIVE, "list[datetime]": st.lists(st.none() | NAIVE, max_size=4)}


def in_frame(dtype: str, value: Any) -> Any:
    """Return a value as a Polars or Arrow frame has it: `num` as float, nested ones as their JSON text."""
    if value is None:
        return None
    if _TYPES[dtype] == pl.String and dtype in {"dict", "list", "list[dict]"}:
        return dumps(value)
    if dtype == "num":
        return float(value)
    if dtype == "list[num]":
        return [None if item is None else float(item) for item in value]
    return value


def in_pandas(dtype: str, value: Any) -> Any:
    return value if dtype in {"dict", "list", "list[dict]"} else in_frame(dtype, value)


@every_dtype
@FEW
@given(data=st.data())
def test_frames_agree_with_get_values(dtype: str, data: st.DataObject) -> None:
    one, several = new_feature(dtype), new_feature(dtype, multiple=True)
    strategy = _ONE_SORT.get(dtype, VALUES[dtype])
    rows = data.draw(st.lists(st.tuples(st.none() | strategy, st.lists(strategy, max_size=3)), min_size=1, max_size=4))
    records = dft.save([dft.Record(features={one: value, several: values}) for value, values in rows])
    asked = dft.Record.filter(id__in=[record.id for record in records]).order_by("id")
    held = [record.features.get_values() for record in records]
    singles = [values.get(one.name) for values in held]
    lists = [values.get(several.name, []) for values in held]
    arrow = asked.arrow(features=[one, several])
    polars_frame, pandas_frame = asked.pl(features=[one, several]), asked.df(features=[one, several])
    assert polars_frame.schema[one.name] == _TYPES[dtype]
    assert polars_frame.schema[several.name] == pl.List(_TYPES[dtype])
    for frame in (polars_frame, pl.DataFrame(pl.from_arrow(arrow))):
        assert alike(frame[one.name].to_list(), [in_frame(dtype, value) for value in singles])
        wanted = [[in_frame(dtype, value) for value in values] for values in lists]
        assert alike(frame[several.name].to_list(), wanted)
    assert alike(
        pandas_frame[several.name].to_list(), [[in_pandas(dtype, value) for value in values] for values in lists]
    )
    shown = [None if _missing(value) else _python(value) for value in pandas_frame[one.name]]
    # In pandas a float that is NaN is missing.
    assert alike(shown, [None if _missing(value) else in_pandas(dtype, value) for value in singles])


def _missing(value: Any) -> bool:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float) and math.isnan(value)


def _python(value: Any) -> Any:
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    return value.tolist() if type(value).__module__ == "numpy" else value


@every_dtype
@FEW
@given(data=st.data())
def test_the_type_of_a_column_is_a_matter_of_the_dtype_alone(dtype: str, data: st.DataObject) -> None:
    features = [new_feature(dtype), new_feature(dtype, multiple=True)]
    empty, bare = dft.Record.filter(name="nobody"), dft.Record().save()
    value = data.draw(_ONE_SORT.get(dtype, VALUES[dtype]))
    full = dft.Record(features={features[0]: value, features[1]: [value]}).save()
    asked = [empty, dft.Record.filter(id=bare.id), dft.Record.filter(id=full.id), dft.Record.filter(id__gte=bare.id)]
    assert len({repr(found.arrow(features=features).schema) for found in asked}) == 1
    assert len({repr(found.pl(features=features).schema) for found in asked}) == 1
    assert len({repr(found.df(features=features).dtypes.to_dict()) for found in asked}) == 1


@FEW
@given(values=st.lists(INSTANTS, min_size=1, max_size=4), naive=NAIVE)
def test_a_datetime_column_is_naive_unless_its_values_are_instants(values: list[datetime], naive: datetime) -> None:
    features = [new_feature("datetime"), new_feature("datetime", multiple=True), new_feature("list[datetime]")]
    for feature in features:
        first = dft.Record(features={feature: [] if feature is features[2] else None}).save()
        whole: Any = values[0] if feature is features[0] else values
        second = dft.Record(features={feature: whole}).save()
        both = dft.Record.filter(id__in=[first.id, second.id]).order_by("id")
        column = both.pl(features=[feature])[feature.name]
        instants: Any = pl.Datetime("us", "UTC")
        assert column.dtype == (instants if feature is features[0] else pl.List(instants))
        assert alike(column.to_list()[1], second.features[feature])
        first.features.set_values({feature: naive if feature is features[0] else [naive]})
        with pytest.raises(dft.errors.ValidationError, match="with and without time zone"):
            both.pl(features=[feature])
        assert alike(first.features[feature], naive if feature is features[0] else [naive])
        assert dft.Record.filter(id=first.id).pl(features=[feature])[feature.name].to_list() is not None


@FEW
@given(naive=NAIVE, moment=INSTANTS)
def test_a_list_of_both_sorts_of_datetime_is_kept_but_makes_no_column(naive: datetime, moment: datetime) -> None:
    feature = new_feature("list[datetime]")
    record = dft.Record(features={feature: [naive, None, moment]}).save()
    assert alike(record.features[feature], [naive, None, moment])
    with pytest.raises(dft.errors.ValidationError, match="with and without time zone"):
        dft.Record.filter(id=record.id).arrow(features=[feature])


@FEW
@given(names=st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
def test_categorical_values_come_back_as_names_and_as_records(names: list[str]) -> None:
    one, several = new_feature("cat[ULabel]"), new_feature("cat[ULabel]", multiple=True)
    labels = dft.save([dft.ULabel(name=name) for name in names])
    record = dft.Record(features={one: names[0], several: labels}).save()
    assert record.features.get_values() == {one.name: names[0], several.name: sorted(names)}
    assert record.features[one] == labels[0]
    assert [label.name for label in record.features[several]] == sorted(names)
    row = dft.Record.filter(id=record.id).pl(features=[one, several]).row(0, named=True)
    assert (row[one.name], row[several.name]) == (names[0], sorted(names))
    bare = dft.Record().save()
    frame = dft.Record.filter(id=bare.id).pl(features=[one, several])
    assert dict(frame.select(one.name, several.name).schema) == {
        one.name: pl.String(),
        several.name: pl.List(pl.String),
    }
    assert frame.row(0, named=True)[several.name] == []


@FEW
@given(data=st.data())
def test_arrow_bulk_inserts_keep_values_as_single_ones_do(data: st.DataObject) -> None:
    """More rows than parameters are made for travel as Arrow; they are the same values."""
    dtype = data.draw(st.sampled_from(["float", "str", "int", "datetime", "list[float]"]))
    some = data.draw(st.lists(VALUES[dtype], min_size=1, max_size=5))
    assume(some)
    several = new_feature("num" if dtype in {"float", "int"} else dtype, multiple=True)
    filler: list[Any] = [float(n) if dtype == "float" else n for n in range(250)]
    fills: dict[str, list[Any]] = {
        "str": [str(n) for n in range(250)],
        "datetime": [datetime(2024, 1, 1) + timedelta(days=n) for n in range(250)],
        "list[float]": [[float(n)] for n in range(250)],
    }
    values = distinct(some) + [value for value in fills.get(dtype, filler) if not any(alike(value, s) for s in some)]
    record = dft.Record(features={several: values}).save()
    held = record.features[several]
    assert sorted(map(repr, map(exact, held))) == sorted(map(repr, map(exact, values)))
    assert {found.hash for found in several.values} == {several.parsed_dtype.encode(value).hash for value in values}
