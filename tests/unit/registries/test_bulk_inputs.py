"""`annotate` takes every kind of input and finds the same in it."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import duckdb
import numpy
import pandas
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import duckfeat as dft
from duckfeat.errors import DuckfeatError, InvalidArgument, MissingFile, QueryError, ValidationError
from duckfeat.store import Store

FRAME = pl.DataFrame(
    {
        "name": ["a", "b", "c"],
        "dose": [1.5, None, 2.0],
        "n": [1, 2, 3],
        "ok": [True, False, None],
        "day": [date(2024, 1, 1), None, date(2024, 1, 3)],
        "at": [datetime(2024, 1, 1, 12), datetime(2024, 1, 2, 0, 0, 0, 5), None],
        "seen": [datetime(2024, 1, 1, 12, tzinfo=UTC), None, datetime(2024, 1, 3, tzinfo=UTC)],
        "text": ["x", "", "\0é😀"],
    }
)
WANTED = [
    {"name": row["name"], **{name: value for name, value in row.items() if value is not None}}
    for row in FRAME.to_dicts()
]


# pandas has no column of dates.
PANDAS = FRAME.to_pandas().assign(day=FRAME["day"].to_list())


def found() -> list[dict[str, Any]]:
    records = dft.Record.all().order_by("name")
    return [{"name": record.name, **record.features.get_values()} for record in records]


def _parquet(folder: Path) -> Path:
    FRAME.write_parquet(folder / "all.parquet")
    return folder / "all.parquet"


def _parquets(folder: Path) -> str:
    for position in range(3):
        FRAME.slice(position, 1).write_parquet(folder / f"part {position} [x].parquet")
    return str(folder / "part*.parquet")


def _csv(folder: Path) -> str:
    # Empty text needs its quotes; what stands without them is missing. A CSV file can hold no NUL.
    FRAME.write_csv(folder / "all.csv", quote_style="non_numeric", datetime_format="%Y-%m-%d %H:%M:%S%.6f")
    return str(folder / "all.csv")


INPUTS: dict[str, Callable[[Path], Any]] = {
    "polars": lambda folder: FRAME,
    "lazy": lambda folder: FRAME.lazy(),
    "pandas": lambda folder: PANDAS,
    "pandas with an index": lambda folder: PANDAS.set_index("name"),
    "pandas of arrow": lambda folder: FRAME.to_pandas(use_pyarrow_extension_array=True),
    "table": lambda folder: FRAME.to_arrow(),
    "chunked table": lambda folder: pa.concat_tables([FRAME.head(1).to_arrow(), FRAME.slice(1).to_arrow()]),
    "record batch": lambda folder: FRAME.to_arrow().combine_chunks().to_batches()[0],
    "reader": lambda folder: FRAME.to_arrow().to_reader(max_chunksize=1),
    "relation": lambda folder: duckdb.connect().from_arrow(FRAME.to_arrow()),
    "parquet": _parquet,
    "parquet path": lambda folder: str(_parquet(folder)),
    "parquet glob": _parquets,
}


@pytest.mark.parametrize("kind", INPUTS)
def test_every_input_says_the_same(store: Store, kind: str, tmp_path: Path) -> None:
    report = store.annotate(INPUTS[kind](tmp_path), key="name", create="all")
    assert (report.rows, report.links) == (3, 16)
    assert found() == WANTED
    assert [dft.Feature.get(name=name).dtype for name in FRAME.columns[1:]] == [
        *("float", "int", "bool", "date", "datetime", "datetime[UTC]", "str")
    ]
    before = store.sql("SELECT count(*) AS n FROM changes")["n"].item()
    assert store.annotate(INPUTS[kind](tmp_path), key="name", create="all").links == 0
    assert store.sql("SELECT count(*) AS n FROM changes")["n"].item() == before


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv"])
def test_csv(store: Store, tmp_path: Path, suffix: str) -> None:
    rows = [
        "name,dose,n,ok,day,at,seen,text,code,mixed",
        "a,1.5,1,true,2024-01-01,2024-01-01 12:00:00,2024-01-01T12:00:00Z,x,007,1",
        'b,,2,False,,2024-01-02 00:00:00.000005,,"",1,x',
        "c,-2e3,3,,2024-01-03,,2024-01-03 02:00:00+02:00,é😀,2,3.5",
    ]
    text = "\n".join(rows) + "\n"
    text = text.replace(",", "\t") if suffix == ".tsv" else text
    path = tmp_path / f"all{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith(".gz") else text.encode())
    store.annotate(path, key="name", create="all")
    a, b, c = found()
    assert a | b == {**WANTED[0], **WANTED[1], "code": "1", "mixed": "x"} | {"ok": False}
    assert (a["code"], a["mixed"], b["text"], c["dose"], c["text"]) == ("007", "1", "", -2000.0, "é😀")
    assert c["seen"] == datetime(2024, 1, 3, tzinfo=UTC)
    assert dft.Feature.get(name="seen").dtype == "datetime[UTC]"
    assert store.annotate(path, key="name", create="all").links == 0


def test_the_cells_of_a_csv_file_are_read_as_the_dtypes_say(store: Store, tmp_path: Path) -> None:
    dtypes = {"i": "int", "f": "float", "m": "num", "t": "str", "o": "dict", "l": "list[int]", "u": "datetime[UTC]"}
    dft.save([dft.Feature(name=name, dtype=dtype) for name, dtype in dtypes.items()])
    (tmp_path / "a.csv").write_text(
        "name;i;f;m;t;o;l;u\n"
        'a;3.0;1e400;1.5;1;{"a": 1.50};[1, 2];2024-01-01T00:00:00Z\n'
        "b;1.5;x;y;2;{;[1.5];2024-01-01T00:00:00\n"
        "c; 7 ;nan;9;3;[];{};x\n"
    )
    report = store.annotate(tmp_path / "a.csv", key="name", create=True, on_invalid="skip")
    a, _, c = found()
    assert a == {
        "name": "a",
        "i": 3,
        "f": math.inf,
        "m": 1.5,
        "t": "1",
        "o": {"a": 1.5},
        "l": [1, 2],
        "u": datetime(2024, 1, 1, tzinfo=UTC),
    }
    assert type(a["i"]) is int
    assert (c["i"], c["m"], math.isnan(c["f"])) == (7, 9, True)
    assert {(row, feature): reason for row, feature, _, reason in report.skipped.rows()} == {
        (1, "i"): "is not a whole number",
        (1, "f"): "is not a float",
        (1, "m"): "is not a number",
        (1, "o"): "is not JSON",
        (1, "l"): "holds 1.5 at [0], which is not a whole number",
        (1, "u"): "has no time zone",
        (2, "o"): "is not a dict",
        (2, "l"): "is not a list",
        (2, "u"): "is not a datetime",
    }


def ndjson(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_ndjson(store: Store, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "a", "o": {"b": [1, 1.0, None], "a": {}}, "l": [1, "x"], "t": "\0é", "i": 2**63 - 1, "f": 1.0, "m": 1},
        {"name": "b", "f": -0.0, "m": 2.5, "ok": True},
        {"name": "c", "o": None},
    ]
    path = ndjson(tmp_path / "all.ndjson", rows)
    store.annotate(path, key="name", create="all")
    a, b, c = found()
    assert a == rows[0]
    assert [type(value) for value in a["o"]["b"]] == [int, float, type(None)]
    assert list(a["o"]) == ["b", "a"]
    assert b == rows[1]
    assert math.copysign(1, b["f"]) == -1
    assert c == {"name": "c"}
    assert store.annotate(path, key="name", create="all").links == 0
    dtypes = {feature.name: feature.dtype for feature in dft.Feature.all()}
    assert dtypes == {"o": "dict", "l": "list", "t": "str", "i": "int", "f": "float", "m": "num", "ok": "bool"}


def test_keys_of_ndjson_are_told_apart_by_their_case(store: Store, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "a", "e": 1, "E": "\0é", "a/b~c": [1], 'q"t': True, "0": 0.5, "none": None, "": 7},
        {"name": "b", "E": "x", "e": 2**63 - 1, "o": {"e": 1.0, "E": 1}},
    ]
    path = ndjson(tmp_path / "a.ndjson", rows)
    features = ["e", "E", "a/b~c", 'q"t', "0", "none", "o"]
    store.annotate(path, key="name", create="all", features=features)
    kept = [{key: value for key, value in row.items() if key and value is not None} for row in rows]
    assert found() == kept
    assert type(dft.Record.get(name="b").features["o"]["e"]) is float
    assert store.annotate(path, key="name", features=[name for name in features if name != "none"]).links == 0


@pytest.mark.parametrize(
    ("lists", "dtype"),
    [
        ([["a", None], []], "list[str]"),
        ([[1], [2, None]], "list[int]"),
        ([[1.5], [2.0]], "list[float]"),
        ([[True]], "list[bool]"),
        ([[{"a": 1}]], "list[dict]"),
        ([[1], [2.5]], "list"),
        ([[1, "a"]], "list"),
        ([[[1]]], "list"),
        ([[], [None]], "list"),
    ],
    ids=repr,
)
def test_lists_of_ndjson_are_typed_by_their_items(store: Store, tmp_path: Path, lists: list[Any], dtype: str) -> None:
    rows = [{"name": str(place), "x": items} for place, items in enumerate(lists)]
    store.annotate(ndjson(tmp_path / "a.ndjson", rows), key="name", create="all")
    assert dft.Feature.get(name="x").dtype == dtype
    assert repr(found()) == repr(rows)


def test_whole_numbers_beyond_64_bits_in_lists_of_ndjson_are_no_floats(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"dtype list\[int\].*beyond 64 bits"):
        store.annotate(ndjson(tmp_path / "a.ndjson", [{"name": "a", "x": [2**70]}]), key="name", create="all")


def test_a_column_without_a_name_may_be_the_key(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", '"","dose"\n"a",1.5\n"b",\n')
    with pytest.raises(InvalidArgument, match=r"no column 'name'.*Available: '', dose\. key= is .* on= the column"):
        store.annotate(path, key="name", create="all")
    with pytest.raises(
        InvalidArgument, match=r"column 1 of the input has no name.*features=\[\.\.\.\].*on=''"
    ) as caught:
        store.annotate(path, key="name", on="dose", create="all")
    assert caught.value.number == 1
    assert dft.Record.count() == dft.Feature.count() == 0
    store.annotate(path, key="name", on="", create="all")
    assert found() == [{"name": "a", "dose": 1.5}, {"name": "b"}]


def test_in_a_json_file_moments_are_text(store: Store, tmp_path: Path) -> None:
    dtypes = {"day": "date", "at": "datetime", "seen": "datetime[UTC]"}
    dft.save([dft.Feature(name=name, dtype=dtype) for name, dtype in dtypes.items()])
    row = {"name": "a", "day": "2024-01-01", "at": "2024-01-01T12:00:00", "seen": "2024-01-01T12:00:00Z"}
    store.annotate(ndjson(tmp_path / "a.jsonl", [row]), key="name", create=True)
    assert found() == [
        {
            "name": "a",
            "day": date(2024, 1, 1),
            "at": datetime(2024, 1, 1, 12),
            "seen": datetime(2024, 1, 1, 12, tzinfo=UTC),
        }
    ]
    bad = ndjson(tmp_path / "b.jsonl", [{"name": "a", "day": "yesterday", "at": 5, "seen": "2024-01-01T12:00:00"}])
    reasons = store.annotate(bad, key="name", mode="update", on_invalid="skip").skipped["reason"].to_list()
    assert sorted(reasons) == ["has no time zone", "is not a date", "is not a datetime"]


def test_json_values_of_several_kinds_need_a_feature(store: Store, tmp_path: Path) -> None:
    path = ndjson(tmp_path / "a.ndjson", [{"name": "a", "x": 1}, {"name": "b", "x": "y"}])
    with pytest.raises(ValidationError, match="of several kinds"):
        store.annotate(path, key="name", create="all")
    dft.Feature(name="x", dtype=str).save()
    with pytest.raises(ValidationError, match=r"'x' has dtype str: 1 \(int\) is not text \(row 0, name 'a'\)"):
        store.annotate(path, key="name", create="all")


def test_json_lists_are_several_values(store: Store, tmp_path: Path) -> None:
    dft.Feature(name="tags", dtype=str, multiple=True).save()
    dft.Feature(name="pairs", dtype="list[int]", multiple=True).save()
    rows: list[dict[str, Any]] = [
        {"name": "a", "tags": ["x", None, "y"], "pairs": [[1, 2], [3]]},
        {"name": "b", "tags": "z", "pairs": [4]},
    ]
    store.annotate(ndjson(tmp_path / "a.ndjson", rows), key="name", create=True)
    assert found() == [
        {"name": "a", "tags": ["x", "y"], "pairs": [[1, 2], [3]]},
        {"name": "b", "tags": ["z"], "pairs": [[4]]},
    ]


@pytest.mark.parametrize("suffix", ["csv", "ndjson"])
def test_long_files_give_each_feature_its_dtype(store: Store, tmp_path: Path, suffix: str) -> None:
    facts = [("a", "dose", 1.5), ("a", "n", 2), ("b", "dose", 2.5), ("b", "site", "X")]
    path = tmp_path / f"long.{suffix}"
    if suffix == "csv":
        path.write_text("entity,feature,value\n" + "".join(f"{a},{b},{c}\n" for a, b, c in facts))
    else:
        ndjson(path, [{"entity": a, "feature": b, "value": c} for a, b, c in facts])
    assert store.annotate(path, key="name", create="all").links == 4
    assert found() == [{"name": "a", "dose": 1.5, "n": 2}, {"name": "b", "dose": 2.5, "site": "X"}]
    assert store.annotate(path, key="name", create="all").links == 0


def test_rows_are_numbered_through_all_files(store: Store, tmp_path: Path) -> None:
    dft.Feature(name="n", dtype=int).save()
    for position in range(3):
        pl.DataFrame({"name": [f"{position}{i}" for i in range(4)], "n": [1.0, 2.0, 0.5, 3.0]}).write_parquet(
            tmp_path / f"{position}.parquet"
        )
    report = store.annotate(tmp_path / "*.parquet", key="name", create=True, on_invalid="skip")
    assert report.skipped["row"].to_list() == [2, 6, 10]


# --- libraries -------------------------------------------------------------------------------------


def test_nan_is_missing_in_pandas_and_a_value_elsewhere(store: Store) -> None:
    frame = pandas.DataFrame({"name": ["a", "b"], "x": [math.nan, 1.0]})
    kept = pa.array([math.nan, 2.0])
    frame["y"] = pandas.Series(pandas.arrays.ArrowExtensionArray(kept))
    store.annotate(frame, key="name", create="all")
    assert found() == [{"name": "a"}, {"name": "b", "x": 1.0, "y": 2.0}]
    store.annotate(pl.DataFrame({"name": ["a"], "x": [math.nan]}), key="name")
    assert math.isnan(found()[0]["x"])


def test_objects_in_pandas_keep_their_types(store: Store) -> None:
    frame = pandas.DataFrame(
        {
            "name": ["a", "b", "c"],
            "o": [{"x": 1}, {"y": [1.0, None]}, None],
            "l": [[1, "x"], [], math.nan],
            "big": [2**70, 1, None],
            "mixed": ["x", 1, None],
            "nothing": [None, None, None],
        },
        dtype=object,
    )
    dft.save(
        [dft.Feature(name="o", dtype=dict), dft.Feature(name="l", dtype=list), dft.Feature(name="mixed", dtype=str)]
    )
    with pytest.raises(ValidationError, match="beyond 64 bits"):
        store.annotate(frame, key="name", create="all")
    report = store.annotate(frame.drop(columns="big"), key="name", create="all", on_invalid="skip")
    assert report.skipped.rows() == [(1, "mixed", "1", "is not text")]
    assert found() == [
        {"name": "a", "o": {"x": 1}, "l": [1, "x"], "mixed": "x"},
        {"name": "b", "o": {"y": [1.0, None]}, "l": []},
        {"name": "c"},
    ]


def test_columns_of_pandas_are_called_by_text(store: Store) -> None:
    with pytest.raises(InvalidArgument, match="column names are text, not 0"):
        store.annotate(pandas.DataFrame(numpy.zeros((1, 2))), key="name")


def test_special_types_of_polars(store: Store) -> None:
    frame = pl.DataFrame(
        {
            "name": pl.Series(["a"], dtype=pl.Categorical),
            "e": pl.Series(["x"], dtype=pl.Enum(["x"])),
            "big": pl.Series([5], dtype=pl.Int128),
            "u": pl.Series([2**63 - 1], dtype=pl.UInt64),
            "d": pl.Series(["1.25"]).str.to_decimal(scale=2),
            "o": pl.Series([{"a": {1: 2}.keys().__len__()}], dtype=pl.Object),
            "arr": pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2)),
            "s": pl.Series([{"a": 1, "b": None}]),
        }
    )
    store.annotate(frame, key="name", create="all")
    assert found() == [
        {
            "name": "a",
            "e": "x",
            "big": 5,
            "u": 2**63 - 1,
            "d": 1.25,
            "o": {"a": 1},
            "arr": [1, 2],
            "s": {"a": 1, "b": None},
        }
    ]


def test_a_lazy_frame_keeps_what_parquet_has_no_type_for(store: Store) -> None:
    frame = pl.DataFrame(
        {
            "name": ["a"],
            "empty": pl.Series([None], dtype=pl.Null),
            "t": pl.Series([1], dtype=pl.Duration),
        }
    )
    with pytest.raises(ValidationError, match="'t' has type INTERVAL"):
        store.annotate(frame.lazy(), key="name", create="all")
    store.annotate(frame.lazy().drop("t"), key="name", create="all")
    assert dft.Feature.count() == 0


@pytest.mark.parametrize("kind", ["table", "parquet", "reader"])
def test_nanoseconds_of_an_instant_are_never_lost(store: Store, kind: str, tmp_path: Path) -> None:
    table = pa.table({"name": ["a", "b"], "at": pa.array([1_000, 1_001], pa.timestamp("ns", "UTC"))})
    pq.write_table(table, tmp_path / "a[1].parquet")
    data = {"table": table, "parquet": tmp_path / "a[1].parquet", "reader": table.to_reader()}[kind]
    report = store.annotate(data, key="name", create="all", on_invalid="skip")
    assert report.skipped["row"].to_list() == [1]
    assert found()[0]["at"] == datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)


# --- what cannot be read ---------------------------------------------------------------------------


OF_NO_DTYPE: dict[str, tuple[Any, str]] = {
    "period": (pandas.Series(pandas.period_range("2020", periods=1, freq="M")), "the type pandas.period"),
    "interval": (pandas.Series(pandas.interval_range(0, 1)), "the type pandas.interval"),
    "complex": (pandas.Series([1j]), "pandas' type complex128"),
    "sparse": (pandas.Series(pandas.arrays.SparseArray([1])), "pandas' type Sparse"),
    "duration": (pandas.Series(pandas.to_timedelta([1], unit="s")), "type INTERVAL"),
    "time": (pandas.Series([time(1)]), "type TIME"),
    "bytes": (pandas.Series([b"x"]), "type BLOB"),
    "kinds": (pandas.Series([1, "a", 2.5])[:2], r"several kinds \(int, str\)"),
    "object": (pandas.Series([object()]), r"row 0: a value that has no JSON form \(object\)"),
}


@pytest.mark.parametrize("kind", OF_NO_DTYPE)
def test_a_column_that_no_dtype_covers_is_told_with_its_type(store: Store, kind: str) -> None:
    column, told = OF_NO_DTYPE[kind]
    names = [f"r{at}" for at in range(len(column))]
    with pytest.raises(ValidationError, match=f"column {kind!r}.*{told}"):
        store.annotate(pandas.DataFrame({"name": names, kind: column}), key="name", create="all")
    assert dft.Record.all().count() == dft.Feature.all().count() == 0


def test_a_union_is_refused(store: Store) -> None:
    relation = duckdb.connect().sql("SELECT 'r' AS name, union_value(num := 2) AS u")
    with pytest.raises(ValidationError, match=r"column 'u' has type UNION\(num INTEGER\)"):
        store.annotate(relation, key="name", create="all")


def test_uuids_and_paths_are_text(store: Store, tmp_path: Path) -> None:
    uuid = UUID(int=2**100)
    stored = pa.array([uuid.bytes], pa.binary(16))
    arrow = pa.table({"name": ["r"], "arrow": pa.ExtensionArray.from_storage(pa.uuid(), stored)})
    duckdb.connect().sql(f"COPY (SELECT 'r' AS name, '{uuid}'::UUID AS parquet) TO '{tmp_path / 'u.parquet'}'")
    objects = pandas.DataFrame({"name": ["r"], "object": [uuid], "path": [PurePosixPath("a/b")]})
    for data in (arrow, tmp_path / "u.parquet", objects):
        store.annotate(data, key="name", create="all")
    text = str(uuid)
    assert found() == [{"name": "r", "arrow": text, "parquet": text, "object": text, "path": "a/b"}]
    dft.Feature(name="number", dtype=int, coerce=True).save()
    with pytest.raises(ValidationError, match=f"{text!r} .* is not an int"):
        store.annotate(arrow.rename_columns(["name", "number"]), key="name")


def test_two_columns_of_one_name_are_refused(store: Store) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([1]), pa.array([2])], names=["name", "x", "x"])
    with pytest.raises(InvalidArgument, match="two columns called 'x'"):
        store.annotate(table, key="name", create="all")


def test_a_file_of_something_else_is_told(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(InvalidArgument, match=r"a\.parquet cannot be read"):
        store.annotate(tmp_path / "a.parquet", key="name")
    (tmp_path / "a.ndjson").write_text("{no\n")
    with pytest.raises(InvalidArgument, match=r"a\.ndjson cannot be read"):
        store.annotate(tmp_path / "a.ndjson", key="name")


def test_a_folder_or_a_link_to_nothing_is_no_file(store: Store, tmp_path: Path) -> None:
    (tmp_path / "spark.parquet").mkdir()
    with pytest.raises(InvalidArgument, match=r"spark.parquet is a folder; its files are given as a glob: '.*/\*'$"):
        store.annotate(tmp_path / "spark.parquet", key="name")
    (tmp_path / "link.csv").symlink_to(tmp_path / "gone.csv")
    for name in ("link.csv", "*.csv"):
        with pytest.raises(MissingFile, match=r"there is no file .*link.csv$"):
            store.annotate(str(tmp_path / name), key="name")


@pytest.mark.parametrize(("ending", "codec"), [("gz", "gzip"), ("zst", "zstd")])
@pytest.mark.parametrize("name", ["a.csv", "a.ndjson"])
def test_a_compressed_file_that_is_cut_off_or_damaged_is_refused(
    store: Store, tmp_path: Path, name: str, ending: str, codec: str
) -> None:
    FRAME.write_csv(tmp_path / "a.csv")
    FRAME.select("name").write_ndjson(tmp_path / "a.ndjson")
    # Two members are one file: of one that is cut off within the second, the first is whole.
    packed = pa.compress((tmp_path / name).read_bytes(), codec=codec, asbytes=True)
    path = tmp_path / f"{name}.{ending}"
    for given in (packed[:-1], packed + packed[:20], packed[:-6] + b"\0\0" + packed[-4:], b"nothing packed"):
        path.write_bytes(given)
        with pytest.raises(InvalidArgument, match=f"{path.name} cannot be read"):
            store.annotate(path, key="name", create="all")
    path.write_bytes(packed)
    assert store.annotate(path, key="name", create="all").rows == 3


@pytest.mark.parametrize(("name", "text"), [("a.ndjson", '{"name": "a", "x": %s}'), ("a.csv", "name|x\na|%s\n")])
def test_an_object_that_has_a_key_twice_is_refused(store: Store, tmp_path: Path, name: str, text: str) -> None:
    dft.Feature(name="x", dtype=dict).save()
    (tmp_path / name).write_text(text % '{"a": [{"b": 1, "b": 2}]}')
    with pytest.raises(ValidationError, match=r"has dtype dict: .* has the key 'b' twice \(row 0, name 'a'\)"):
        store.annotate(tmp_path / name, key="name", create=True)


def test_a_cell_of_a_csv_file_may_be_megabytes_of_text(store: Store, tmp_path: Path) -> None:
    text = "a line\n" * 700_000
    (tmp_path / "long.csv").write_text(f'name,text\ns0,short\ns1,"{text}"\ns2,\n')
    assert store.annotate(tmp_path / "long.csv", key="name", create="all").values == 2
    assert store.Record.get(name="s1").features["text"] == text


def test_what_is_told_of_a_line_that_cannot_be_read_is_brief(store: Store, tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(f"name,text\ns1,{'x' * 1_000_000},too many\n")
    with pytest.raises(InvalidArgument, match=r"Original Line: s1,x+\.\.\. \([\d,]+ characters\)\nExpected") as caught:
        store.annotate(tmp_path / "long.csv", key="name", create="all")
    assert len(str(caught.value)) < 600


def test_an_empty_input_is_nothing(store: Store) -> None:
    empty = FRAME.clear()
    report = store.annotate(empty, key="name", create="all")
    assert (report.rows, report.links) == (0, 0)
    assert dft.Feature.count() == 7
    assert store.annotate(empty, key="name", mode="set").removed == 0


@pytest.mark.parametrize("data", [pl.DataFrame(), pl.LazyFrame(), pa.table({}), pa.table({}).to_reader()], ids=type)
def test_an_input_without_columns_is_told(store: Store, data: Any) -> None:
    with pytest.raises(InvalidArgument, match="the input has no column"):
        store.annotate(data, key="name", create="all")


def test_a_stream_that_breaks_is_told_and_nothing_is_kept(store: Store) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"name": pa.array(["a"])})
        raise RuntimeError("the line is dead")

    stream = pa.RecordBatchReader.from_batches(pa.schema([("name", pa.string())]), batches())
    with pytest.raises(QueryError, match="the line is dead"):
        store.annotate(stream, key="name", create="all")
    assert dft.Record.count() == 0
    assert store.annotate(FRAME, key="name", create="all").links == 16


def test_moments_beyond_all_years_are_refused(store: Store) -> None:
    table = pa.table({"name": ["a"], "at": pa.array([2**62], pa.timestamp("s", "UTC"))})
    with pytest.raises(ValidationError, match="outside the years 1 to 9999"):
        store.annotate(table, key="name", create="all")
    assert dft.Record.count() == 0
    assert store.annotate(FRAME, key="name", create="all").links == 16


# --- files as they come ----------------------------------------------------------------------------


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", ["file_row_number", "File_Index"])
@pytest.mark.parametrize("files", [1, 2])
def test_a_column_called_like_what_tells_rows_is_a_feature(store: Store, tmp_path: Path, name: str, files: int) -> None:
    for number in range(files):
        pl.DataFrame({"name": [f"a{number}", f"b{number}"], name: [7, 7]}).write_parquet(tmp_path / f"{number}.parquet")
    store.annotate(tmp_path / "*.parquet", key="name", create="all")
    assert found() == [{"name": record, name: 7} for record in sorted(f"{a}{n}" for n in range(files) for a in "ab")]
    assert store.check().ok


def test_a_missing_place_in_a_struct_is_no_column(store: Store) -> None:
    frame = pl.DataFrame({"name": ["a"], "x": [1], "meta": [{"x": None}]})
    store.annotate(frame.lazy(), key="name", create="all")
    assert found() == [{"name": "a", "x": 1, "meta": {"x": None}}]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "ndjson"])
def test_a_folder_says_nothing_of_a_column(store: Store, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "batch=7").mkdir()
    frame = pl.DataFrame({"name": ["a"], "batch": [1]})
    path = tmp_path / "batch=7" / f"t.{suffix}"
    getattr(frame, f"write_{suffix}")(path)
    store.annotate(path, key="name", create="all")
    assert found() == [{"name": "a", "batch": 1}]


def test_files_have_their_columns_together(store: Store, tmp_path: Path) -> None:
    pl.DataFrame({"name": ["a"], "x": [None]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"y": ["q"], "name": ["b"], "x": [5]}).write_parquet(tmp_path / "2.parquet")
    small = pl.DataFrame({"name": ["c"], "x": [6]}, schema_overrides={"x": pl.Int8})
    small.write_parquet(tmp_path / "3.parquet")
    write(tmp_path / "1.csv", "name,x\nd,7\n")
    write(tmp_path / "2.csv", "y,name\nr,e\n")
    for number in range(40):
        late = ', "y": "s"' if number == 38 else ""
        write(tmp_path / f"{number:02}.ndjson", f'{{"name": "r{number}"{late}}}\n')
    for suffix in ("parquet", "csv", "ndjson"):
        store.annotate(tmp_path / f"*.{suffix}", key="name", create="all")
    wanted = [{"name": "a"}, {"name": "b", "x": 5, "y": "q"}, {"name": "c", "x": 6}, {"name": "d", "x": 7}]
    assert found()[:5] == [*wanted, {"name": "e", "y": "r"}]
    assert dft.Record.get(name="r38").features.get_values() == {"y": "s"}


@pytest.mark.parametrize("others", [[5.5], ["5"], [True]])
def test_files_that_disagree_on_a_column_are_refused(store: Store, tmp_path: Path, others: list[Any]) -> None:
    for number, cells in enumerate(([1], others)):
        pl.DataFrame({"name": [f"r{number}"], "x": cells}).write_parquet(tmp_path / f"{number}.parquet")
    with pytest.raises(InvalidArgument, match=r"column 'x' is int64 in .*0\.parquet and .* in .*1\.parquet"):
        store.annotate(tmp_path / "*.parquet", key="name", create="all")


def test_quotes_in_csv_are_double_wherever_they_come(store: Store, tmp_path: Path) -> None:
    late = "".join(f"r{number},v\n" for number in range(25_000))
    text = f'name,x\na,5\'\nb,\'5-3\'\n{late}c,"say ""hi"""\nd,"a, b"\ne,""\n'
    store.annotate(write(tmp_path / "t.csv", text), key="name", create="all")
    cells = {name: dft.Record.get(name=name).features.get_values()["x"] for name in "abcde"}
    assert cells == {"a": "5'", "b": "'5-3'", "c": 'say "hi"', "d": "a, b", "e": ""}


def test_whole_numbers_in_csv_keep_their_digits(store: Store, tmp_path: Path) -> None:
    lines = ["name,int,text", "a,1234567890123456789,18446744073709551617", "b,-9223372036854775808,1"]
    store.annotate(write(tmp_path / "t.csv", "\n".join(lines)), key="name", create="all")
    assert found() == [
        {"name": "a", "int": 1234567890123456789, "text": "18446744073709551617"},
        {"name": "b", "int": -(2**63), "text": "1"},
    ]


@pytest.mark.parametrize("suffix", ["csv", "ndjson"])
def test_an_id_is_a_whole_number(store: Store, tmp_path: Path, suffix: str) -> None:
    dft.save([dft.Record(name=name) for name in "abc"])
    texts = {"csv": "id,x\n1,1\n2.6,2\n", "ndjson": '{"id": 1, "x": 1}\n{"id": 2.6, "x": 2}\n'}
    path = write(tmp_path / f"t.{suffix}", texts[suffix])
    with pytest.raises(ValidationError, match=r"Record\.id is an int, column 'id' holds 2\.6 in row 1"):
        store.annotate(path, key="id", create="features")
    store.annotate(path, key="id", create="features", on_invalid="skip")
    assert found() == [{"name": "a", "x": 1}, {"name": "b"}, {"name": "c"}]


@pytest.mark.parametrize("key", ["name", "uid"])
def test_a_blank_key_is_none(store: Store, key: str) -> None:
    frame = pl.DataFrame({key: ["one", ""], "x": [1, 2]})
    with pytest.raises(ValidationError, match=f"no Record {key} in row 1"):
        store.annotate(frame, key=key, create="all")
    report = store.annotate(frame, key=key, create="all", on_invalid="skip")
    assert (report.entities, report.skipped["row"].to_list()) == (1, [1])


def _objects(*values: Any) -> pl.Series:
    return pl.Series(values, dtype=pl.Object)


def test_whole_numbers_beyond_64_bits_are_no_floats(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text('{"name": "a", "n": 1}\n{"name": "b", "n": 1180591620717411303424}\n')
    frame = pl.DataFrame({"name": ["a", "b"], "n": _objects(1, 2**70)})
    for data in (tmp_path / "a.ndjson", frame):
        with pytest.raises(
            ValidationError, match=r"1180591620717411303424 \(int\) is beyond 64 bits \(row 1, name 'b'\)"
        ):
            store.annotate(data, key="name", create="all")
        report = store.annotate(data, key="name", create="all", on_invalid="skip")
        assert report.skipped.rows() == [(1, "n", "1180591620717411303424", "is beyond 64 bits")]
    assert dft.Feature.get(name="n").dtype == "int"
    dft.Feature(name="x", dtype="float").save()
    report = store.annotate(frame.rename({"n": "x"}), key="name", on_invalid="skip")
    assert [value for *_, value in dft.Record.filter().values_list("name", "x")] == [2.0**70, 1.0]


# --- names as they stand ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".parquet", "lazy"])
def test_names_that_differ_in_case_or_have_spaces_stay(store: Store, tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame({"name": ["a"], "X": [1], "x": [2], "x_1": [3], " x ": [4]})
    path = tmp_path / f"a{suffix}"
    if suffix == ".csv":
        frame.write_csv(path)
    elif suffix == ".parquet":
        frame.write_parquet(path)
    store.annotate(frame.lazy() if suffix == "lazy" else path, key="name", create="all")
    assert found() == [{"name": "a", "X": 1, "x": 2, "x_1": 3, " x ": 4}]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "name,x,x\na,1,2\n", "two columns called 'x'"),
        ("a.csv", ",name\n0,a\n", "column 1 of the input has no name"),
        ("a.csv", "name,x\na,1\nb\n", "Line: 3\nOriginal Line: b\nExpected Number of Columns: 2 Found: 1$"),
        ("a.csv", "name,x\na,1,2\n", "Expected Number of Columns: 2 Found: 3$"),
        ("a.csv", "", "has no column"),
        ("a.csv", "name,x\na,1\r\nb,2\n", "invalid state(.|\n)*\nSave it with one ending for all of its lines"),
        ("a.ndjson", '{"name": "a", "X": 1, "x": 2, "x": 3}\n', "an object with two keys 'x'$"),
        ("a.ndjson", '{"name": "a", "": 1}\n', "column 2 of the input has no name"),
        ("a.ndjson", '{"name": "a"}\n[1]\n', "every line of an NDJSON file is an object.*ARRAY"),
        ("a.ndjson", '{"name": "a", "x": 1, "x": 2}\n', 'duplicate key "x"$'),
        ("a.ndjson", '{"name": "a"}\nnope\n', "Malformed JSON"),
        ("a.ndjson", "", "has no column"),
    ],
)
def test_files_that_cannot_be_read_are_told(store: Store, tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DuckfeatError, match=message):
        store.annotate(tmp_path / name, key="name", create="all")
    assert (dft.Record.count(), dft.Feature.count()) == (0, 0)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name\na;b\nc|d\n", [{"name": "a;b"}, {"name": "c|d"}]),
        ("name;x\na,1;b,2\n", [{"name": "a,1", "x": "b,2"}]),
        ('name|"x,y,z"\na|1\n', [{"name": "a", "x,y,z": 1}]),
        ('name,"x\ny"\n#a,1\n', [{"name": "#a", "x\ny": 1}]),
        ("\ufeffname\tx\r\na\t1\r\n\r\nb\t2", [{"name": "a", "x": 1}, {"name": "b", "x": 2}]),
        ('name,x\r\na,"u\nv"\r\nb,w\r\n', [{"name": "a", "x": "u\nv"}, {"name": "b", "x": "w"}]),
        ('name,x\na,"u\r\nv"\nb,"\r"\n', [{"name": "a", "x": "u\r\nv"}, {"name": "b", "x": "\r"}]),
        ("name,x\x1fy\na,u\x1fv\n", [{"name": "a", "x\x1fy": "u\x1fv"}]),
    ],
)
def test_the_header_tells_what_separates_cells(store: Store, tmp_path: Path, text: str, wanted: list[Any]) -> None:
    (tmp_path / "a.csv").write_text(text, newline="")
    store.annotate(tmp_path / "a.csv", key="name", create="all")
    assert found() == wanted


def test_the_ending_of_a_file_tells_of_tabs_and_not_its_folder(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "all.tsv"
    folder.mkdir()
    (folder / "a.csv").write_text("name,x\na,1\n")
    (folder / "b.TSV").write_text("name\tx,y\nb\t2\n")
    for file in sorted(folder.iterdir()):
        store.annotate(file, key="name", create="all")
    assert found() == [{"name": "a", "x": 1}, {"name": "b", "x,y": 2}]


def test_csv_files_of_several_headers_have_their_columns_together(store: Store, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("name,x\na,1\nb,\n")
    (tmp_path / "2.csv").write_text("name,x\nc,3\n")
    (tmp_path / "3.csv").write_text("y;x;name\n7;4;d\n")
    (tmp_path / "4.csv").write_text("name,x\ne,oops\n")
    dft.save([dft.Feature(name=name, dtype=int) for name in "xy"])
    with pytest.raises(ValidationError, match=r"'oops' .* \(row 4, name 'e'\)"):
        store.annotate(str(tmp_path / "*.csv"), key="name", create=True)
    assert store.annotate(str(tmp_path / "[123].csv"), key="name", create=True).rows == 4
    assert found() == [{"name": "a", "x": 1}, {"name": "b"}, {"name": "c", "x": 3}, {"name": "d", "x": 4, "y": 7}]
