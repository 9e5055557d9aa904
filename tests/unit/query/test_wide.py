"""Frames of a question: whole, as a stream of batches, as a Parquet file; only what is asked for is read."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import duckfeat as dft
from duckfeat.errors import DiskFull, DuckfeatError, FieldError, InvalidArgument, MissingFile, ValidationError
from duckfeat.store import Store

NAIVE, INSTANT = datetime(2024, 5, 1, 12), datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def samples(store: Store) -> Store:
    """Twenty records with a number each, a text for every other one, and tags; one value was replaced."""
    dft.save([dft.Feature(name="n", dtype=int), dft.Feature(name="text", dtype=str)])
    dft.save([dft.Feature(name="tags", dtype=str, multiple=True), dft.Feature(name="label", dtype=dft.ULabel)])
    labels = dft.save([dft.ULabel(name="red"), dft.ULabel(name="blue")])
    dft.save(
        [
            dft.Record(
                name=f"s{i:02d}",
                features={
                    "n": i,
                    "text": f"t{i}" if i % 2 else None,
                    "tags": ["b", "a"][: i % 3],
                    "label": labels[i % 2],
                },
            )
            for i in range(20)
        ]
    )
    dft.Record.get(name="s03").features.update_values({"text": "changed"})
    dft.Record.get(name="s04").features.remove_values("n")
    return store


QUESTIONS: dict[str, Any] = {
    "all": dft.Record.all,
    "some": lambda: dft.Record.filter(n__gt=5),
    "ordered": lambda: dft.Record.filter(n__lt=15).order_by("-text", "name"),
    "sliced": lambda: dft.Record.all()[2:9],
    "ordered and sliced": lambda: dft.Record.all().order_by("text")[1:6],
    "found": lambda: dft.Record.search("s1", limit=5),
    "none": lambda: dft.Record.filter(n__gt=1_000),
}
each_question = pytest.mark.parametrize("question", QUESTIONS)


@pytest.mark.usefixtures("samples")
@each_question
def test_a_frame_holds_the_records_in_their_order_with_their_values(question: str) -> None:
    asked = QUESTIONS[question]()
    frame = asked.pl(include="created_by__handle", features=True)
    records = asked.to_list() if question != "found" else list(asked)
    assert frame["uid"].to_list() == [record.uid for record in records]
    for row, record in zip(frame.iter_rows(named=True), records, strict=True):
        values = record.features.get_values()
        assert {name: row[name] for name in ("n", "text", "label")} == {
            name: values.get(name) for name in ("n", "text", "label")
        }
        assert row["tags"] == values.get("tags", [])


@pytest.mark.usefixtures("samples")
@each_question
@pytest.mark.parametrize("batch_size", [3, 1_000])
def test_a_stream_and_a_file_hold_what_the_frame_holds(question: str, batch_size: int, tmp_path: Path) -> None:
    asked = QUESTIONS[question]()
    table = asked.arrow(include="ulabels__name", features=True)
    reader = asked.arrow_batches(include="ulabels__name", features=True, batch_size=batch_size)
    batches = list(reader)
    assert all(batch.num_rows <= batch_size for batch in batches)
    assert pa.Table.from_batches(batches, reader.schema).equals(table)
    path = asked.to_parquet(tmp_path / "it's.parquet", include="ulabels__name", features=True)
    assert pl.read_parquet(path).equals(pl.DataFrame(pl.from_arrow(table)))


@pytest.mark.usefixtures("samples")
def test_a_stream_inside_a_transaction_sees_what_it_has_written(store: Store) -> None:
    with store.transaction():
        dft.Record(name="new", features={"n": 99}).save()
        rows = [row for batch in dft.Record.filter(n=99).arrow_batches(features=["n"]) for row in batch.to_pylist()]
    assert [row["n"] for row in rows] == [99]


@pytest.mark.usefixtures("samples")
def test_a_stream_that_is_dropped_leaves_the_store_usable(store: Store) -> None:
    reader = dft.Record.all().arrow_batches(features=True, batch_size=2)
    assert reader.read_next_batch().num_rows == 2
    reader.close()
    del reader
    assert dft.Record(name="after").save().id
    assert store.check().ok


@pytest.mark.usefixtures("samples")
def test_a_limit_that_cuts_rows_says_so_in_every_form(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    def warned(act: Any) -> bool:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "duckfeat"):
            act()
        return "there are more" in caplog.text

    everything = dft.Record.all()
    for take in (
        lambda limit: everything.pl(features=["n"], limit=limit),
        lambda limit: everything.arrow_batches(features=["n"], limit=limit).read_all(),
        lambda limit: everything.to_parquet(tmp_path / "x.parquet", features=["n"], limit=limit),
    ):
        assert warned(lambda take=take: take(5))
        assert not warned(lambda take=take: take(20))
    assert everything.arrow_batches(limit=5).read_all().num_rows == 5
    assert not warned(lambda: everything[:5].pl(limit=10))


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("moment", "type_"), [(NAIVE, pa.timestamp("us")), (INSTANT, pa.timestamp("us", "UTC"))])
def test_datetimes_have_one_type_in_every_form(moment: datetime, type_: pa.DataType, tmp_path: Path) -> None:
    dft.save([dft.Feature(name="at", dtype=datetime), dft.Feature(name="all", dtype="list[datetime]")])
    dft.save([dft.Record(name="a", features={"at": moment, "all": [moment, None]}), dft.Record(name="b")])
    everything = dft.Record.all()
    table = everything.arrow(features=True)
    assert table.schema.field("at").type == type_
    assert everything.arrow_batches(features=True, batch_size=1).read_all().equals(table)
    path = everything.to_parquet(tmp_path / "x.parquet", features=True)
    assert pl.read_parquet(path).equals(pl.DataFrame(pl.from_arrow(table)))


@pytest.mark.usefixtures("store")
def test_datetimes_of_both_sorts_make_no_column_in_any_form(tmp_path: Path) -> None:
    dft.Feature(name="at", dtype=datetime).save()
    dft.save([dft.Record(features={"at": NAIVE}), dft.Record(features={"at": INSTANT})])
    everything = dft.Record.all()
    for take in (
        lambda: everything.arrow(features=True),
        lambda: everything.arrow_batches(features=True),
        lambda: everything.to_parquet(tmp_path / "x.parquet", features=True),
    ):
        with pytest.raises(ValidationError, match="with and without time zone"):
            take()
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.usefixtures("samples")
def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    everything = dft.Record.all()
    for path in ("", "a\0b", tmp_path, 3):
        with pytest.raises(InvalidArgument, match="path of a file"):
            everything.to_parquet(path)  # type: ignore[arg-type]
    with pytest.raises(MissingFile, match="no folder"):
        everything.to_parquet(tmp_path / "nowhere" / "x.parquet")
    with pytest.raises(InvalidArgument, match=r"unknown compression 'zst'.*'zstd'"):
        everything.to_parquet(tmp_path / "x.parquet", compression="zst")
    with pytest.raises(DuckfeatError):
        everything.to_parquet("/dev/full")
    with pytest.raises(InvalidArgument, match="batch_size"):
        everything.arrow_batches(batch_size=0)


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("name", ["x" * 247 + ".parquet", "\N{SEEDLING}" * 61 + ".parquet"])
def test_the_longest_names_that_files_have_are_taken(tmp_path: Path, name: str) -> None:
    path = dft.Record.all().to_parquet(tmp_path / name)
    assert pl.read_parquet(path, glob=False).height == dft.Record.count()
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("there", [False, True])
def test_a_link_stays_one_and_its_file_is_written(tmp_path: Path, there: bool) -> None:
    link, file = tmp_path / "link.parquet", tmp_path / "kept" / "file.parquet"
    file.parent.mkdir()
    link.symlink_to(file)
    if there:
        file.write_text("before")
    dft.Record.all().to_parquet(link)
    assert link.is_symlink()
    assert pl.read_parquet(file).height == dft.Record.count()


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "brotli", "uncompressed"])
def test_columns_whose_names_differ_in_case_alone_are_written(
    tmp_path: Path, compression: str, caplog: pytest.LogCaptureFixture
) -> None:
    dft.save([dft.Feature(name="N", dtype=int), dft.Feature(name="Name", dtype=str)])
    dft.Record.get(name="s07").features.add_values({"N": 70, "Name": "seven"})
    asked = dft.Record.all().order_by("name")
    path = asked.to_parquet(tmp_path / "x.parquet", features=True, limit=15, compression=compression)
    with pq.ParquetFile(path) as file:
        assert file.read().equals(asked.arrow(features=True, limit=15))
        assert file.metadata.row_group(0).column(0).compression.lower() == compression
    assert caplog.text.count("limit=None gives all") == 2
    assert [place.name for place in tmp_path.iterdir()] == ["x.parquet"]


@pytest.mark.usefixtures("samples")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_whatever_writes_the_file() -> None:
    dft.Feature(name="N", dtype=int).save()
    with pytest.raises(DiskFull):
        dft.Record.all().to_parquet("/dev/full", features=True)


@pytest.mark.usefixtures("samples")
def test_filtered_rows_read_only_their_own_annotations() -> None:
    seen: list[str] = []
    with dft.Record._current().store.trace(lambda sql, _params: seen.append(sql)):
        dft.Record.filter(n__gt=5).pl(features=["n", "text"])
    assert len(seen) == 1
    assert seen[0].startswith("WITH chosen AS MATERIALIZED")
    assert seen[0].count("n.entity_id IN (SELECT id FROM chosen WHERE id IS NOT NULL)") == 1


def test_ordered_rows_come_in_order_however_many_cores_read_them(file_store: Store) -> None:
    names = [f"r{n:05}" for n in range(6000)]
    frame = pl.DataFrame({"name": names, "n": range(6000), "m": [n % 2 for n in range(6000)]})
    file_store.annotate(frame, key="name", create="all")
    file_store.compact()
    records = file_store.Record.all().order_by("name")
    for _ in range(40):
        assert records.pl(features=["n", "m"])["name"].to_list() == names
        assert records.arrow_batches(features=["n"]).read_all()["name"].to_pylist() == names
    assert file_store.sql("SELECT name FROM records ORDER BY name")["name"].to_list() == names
    assert [record.name for record in records] == records.to_list("name") == names


def test_features_of_alike_names_have_columns_of_their_own(store: Store, tmp_path: Path) -> None:
    names = ["a", "a\0b", "x", "X", "name", "uid", "id", "created_at", "é", "É", 'q"t', "score"]
    store.save([dft.Feature(name=name, dtype=int) for name in names])
    values = {name: number for number, name in enumerate(names)}
    dft.Record(name="r", features=values).save()
    polars, arrow, pandas = dft.Record.pl(features=True), dft.Record.arrow(features=True), dft.Record.df(features=True)
    for name, value in values.items():
        assert polars[name].to_list() == arrow[name].to_pylist() == pandas[name].to_list() == [value]
        assert dft.Record.pl(features=[name])[name].to_list() == [value]
    for own in ("record.name", "record.uid"):
        assert own in polars.columns
    assert polars["record.name"].to_list() == ["r"]
    assert pq.read_table(dft.Record.all().to_parquet(tmp_path / "all.parquet", features=True)).equals(arrow)
    rest = [name for name in names if name not in {"a\0b", "X"}]
    written = pl.read_parquet(dft.Record.all().to_parquet(tmp_path / "rest.parquet", features=rest))
    assert {name: written[name][0] for name in rest} == {name: values[name] for name in rest}


def test_features_are_included_by_their_name_in_newer_lamindb(samples: Store) -> None:
    asked = samples.Record.filter(n__gt=5)
    assert asked.pl(include="features").equals(asked.pl(features=True))
    both = asked.pl(include=["features", "ulabels__name"], features=["n"])
    assert both.columns[-2:] == ["ulabels__name", "n"]
    assert samples.Branch.pl(include="features")["features"].to_list()[0] == ["label", "n", "tags", "text"]
    with pytest.raises(FieldError, match="ULabel has no field 'features'"):
        samples.ULabel.pl(include="features")


def test_the_number_of_a_column_makes_no_name_of_another(store: Store) -> None:
    dft.save([dft.Feature(name="x", dtype=int), dft.Feature(name="x_2", dtype=int)])
    store.Record(name="a", features={"x": 1, "x_2": 2}).save()
    wanted = {"x": 1, "x_3": 1, "x_2": 2}
    assert store.Record.all().pl(features=["x", "x", "x_2"]).select(list(wanted)).to_dicts() == [wanted]
    assert store.Record.all().pl(include=["name", "name"]).columns[-2:] == ["name_2", "name_3"]
