"""Files are described by size and content hash, and read as what their suffix says."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from duckfeat.errors import DuckfeatError, InvalidArgument, MissingFile
from duckfeat.registries import files
from duckfeat.registries.files import FileFacts, describe_path, load, local_path, suffix_of
from duckfeat.store import Store

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
WRITERS: dict[str, Callable[[pl.DataFrame, BytesIO], Any]] = {
    ".parquet": pl.DataFrame.write_parquet,
    ".arrow": pl.DataFrame.write_ipc,
    ".feather": pl.DataFrame.write_ipc,
    ".ipc": pl.DataFrame.write_ipc,
    ".csv": pl.DataFrame.write_csv,
    ".tsv": lambda frame, target: frame.write_csv(target, separator="\t"),
    ".ndjson": pl.DataFrame.write_ndjson,
    ".jsonl": pl.DataFrame.write_ndjson,
}


def write(path: Path, suffix: str, frame: pl.DataFrame = FRAME) -> Path:
    """Write `frame` in the format of `suffix`, compressed if it ends with `.gz`."""
    content = BytesIO()
    WRITERS[suffix.removesuffix(".gz")](frame, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content.getvalue()) if suffix.endswith(".gz") else content.getvalue())
    return path


def md5(content: bytes) -> str:
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).decode().removesuffix("==")


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("table.parquet", ".parquet"),
        ("/data/Table.CSV", ".csv"),
        ("table.csv.gz", ".csv.gz"),
        ("a.b.ndjson.gz", ".ndjson.gz"),
        ("reads.fastq.gz", ".fastq.gz"),
        ("backup.tar.zst", ".tar.zst"),
        ("run.v2.gz", ".gz"),
        ("run.2024-01-31.gz", ".gz"),
        ("version.1.2.csv", ".csv"),
        ("cells.anndata.zarr", ".anndata.zarr"),
        ("my.cells.zarr", ".zarr"),
        ("image.ome.tiff", ".ome.tiff"),
        ("archive.7z", ".7z"),
        ("README", ""),
        (".bashrc", ""),
        (".bashrc.gz", ".gz"),
        ("Dr. Smith", ""),
        ("ends with dot.", ""),
        ("folder.zarr/", ".zarr"),
        ("a.csv/b", ""),
        ("what?.csv", ".csv"),
        ("s3://bucket/key/table.csv.gz", ".csv.gz"),
        ("https://host.org/table.parquet?token=a.b#part", ".parquet"),
        ("https://host.org", ".org"),
        ("gs://bucket/folder/", ""),
        ("file:///data/table.csv", ".csv"),
        (Path("table.json"), ".json"),
        ("", ""),
    ],
)
def test_suffix(path: str | Path, suffix: str) -> None:
    assert suffix_of(path) == suffix


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("table.csv", Path("table.csv")),
        (Path("/a/b"), Path("/a/b")),
        ("file:///a/b%20c", Path("/a/b c")),
        ("file://localhost/a", Path("/a")),
        ("file://elsewhere/a", None),
        ("s3://bucket/a", None),
        ("https://host/a", None),
        ("c:/a", Path("c:/a")),
    ],
)
def test_local_path(path: str | Path, local: Path | None) -> None:
    assert local_path(path) == local


# --- facts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(256)) * 5_000])
def test_a_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(content)
    facts = FileFacts(len(content), md5(content), None, ".bin")
    assert describe_path(path) == describe_path(str(path)) == describe_path(path.as_uri()) == facts
    assert facts.hash is not None
    assert len(facts.hash) == 22


def test_the_hash_of_an_empty_file_is_the_known_one(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert describe_path(tmp_path / "empty").hash == "1B2M2Y8AsgTpgAmY7PhCfg"


@pytest.mark.parametrize("address", ["s3://bucket/a.csv", "gs://bucket/a.csv", "https://host/a.csv", "S3://b/a.csv"])
def test_an_address_elsewhere_has_no_size_and_no_hash(address: str) -> None:
    assert describe_path(address) == FileFacts(None, None, None, ".csv")


def folder_of(path: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def test_a_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "set.zarr", {"b": b"2", "a/c": b"33", "a.txt": b""})
    parts = [(b"a.txt", b""), (b"a/c", b"33"), (b"b", b"2")]
    whole = b"".join(name + b"\0" + hashlib.md5(text, usedforsecurity=False).digest() for name, text in parts)
    assert describe_path(folder) == FileFacts(3, md5(whole), 3, ".zarr")
    (folder / "empty").mkdir()
    assert describe_path(folder).hash == md5(whole)


@pytest.mark.parametrize(
    "other",
    [
        {"a": b"1", "b": b"3"},
        {"a": b"1", "c": b"2"},
        {"a": b"2", "b": b"1"},
        {"a": b"1"},
        {"a": b"1", "x/b": b"2"},
    ],
)
def test_another_name_or_content_is_another_hash(tmp_path: Path, other: dict[str, bytes]) -> None:
    one = folder_of(tmp_path / "one", {"a": b"1", "b": b"2"})
    two = folder_of(tmp_path / "two", {"b": b"2", "a": b"1"})
    assert describe_path(one).hash == describe_path(two).hash
    assert describe_path(folder_of(tmp_path / "three", other)).hash != describe_path(one).hash


def test_links_are_followed(tmp_path: Path) -> None:
    real = folder_of(tmp_path / "real", {"a": b"1", "sub/b": b"2"})
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "a").symlink_to(real / "a")
    (linked / "sub").symlink_to(real / "sub")
    assert describe_path(linked) == describe_path(real)
    (tmp_path / "whole").symlink_to(real)
    assert describe_path(tmp_path / "whole") == describe_path(real)
    (tmp_path / "one").symlink_to(real / "a")
    assert describe_path(tmp_path / "one").hash == md5(b"1")


def test_the_same_folder_linked_twice_is_no_cycle(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "set", {"a/x": b"1"})
    (folder / "b").symlink_to(folder / "a")
    assert describe_path(folder).n_files == 2


def test_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / "set" / name).write_bytes(b"1")
    assert describe_path(tmp_path / "set").n_files == 1


# --- what cannot be described --------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "batch1.parquet").touch()
    with pytest.raises(MissingFile, match=r"batch_1.parquet does not exist; did you mean 'batch1.parquet'\?") as caught:
        describe_path(tmp_path / "batch_1.parquet")
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.path == str(tmp_path / "batch_1.parquet")
    with pytest.raises(MissingFile, match=r"/none/a.csv does not exist, nor does the folder .*/none$"):
        describe_path(tmp_path / "none" / "a.csv")
    with pytest.raises(MissingFile, match=r"zzz does not exist$"):
        describe_path(tmp_path / "zzz")
    with pytest.raises(MissingFile, match="does not exist"):
        describe_path(tmp_path / "batch1.parquet" / "part")


def test_a_link_to_nowhere(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "set", {"a": b"1"})
    (folder / "gone").symlink_to("nowhere")
    with pytest.raises(MissingFile, match="gone links to nowhere, which does not exist"):
        describe_path(folder)
    with pytest.raises(MissingFile, match="gone does not exist"):
        describe_path(folder / "gone")


def test_a_folder_that_contains_itself(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "set", {"sub/a": b"1"})
    (folder / "sub" / "up").symlink_to(folder)
    with pytest.raises(InvalidArgument, match="up links to a folder that it lies in"):
        describe_path(folder)
    (folder / "loop").symlink_to(folder / "loop")
    with pytest.raises(InvalidArgument, match="loop cannot be read"):
        describe_path(folder / "loop")


@pytest.mark.parametrize("contents", ["nothing", "folders alone"])
def test_a_folder_without_files(tmp_path: Path, contents: str) -> None:
    if contents == "folders alone":
        (tmp_path / "set" / "sub").mkdir(parents=True)
    else:
        (tmp_path / "set").mkdir()
    with pytest.raises(InvalidArgument, match="set holds no files"):
        describe_path(tmp_path / "set")


def test_what_is_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(InvalidArgument, match="pipe is neither a file nor a folder"):
            describe_path(path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path / "set", {"secret": b"1"})

    def refuse(self: Path, _mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    for path in (folder, folder / "secret"):
        with pytest.raises(InvalidArgument, match="secret cannot be read: Permission denied") as caught:
            describe_path(path)
        assert caught.value.path == str(folder / "secret")


def test_a_path_that_no_file_can_have() -> None:
    with pytest.raises(InvalidArgument, match="cannot be read"):
        describe_path("a\0b")


# --- content -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", files.TABLE_SUFFIXES)
def test_tables(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"table [1]*{suffix}", suffix)
    assert_frame_equal(load(path), FRAME)
    assert_frame_equal(load(str(path)), FRAME)
    assert_frame_equal(load(path.as_uri()), FRAME)
    opened = files.open(path)
    assert isinstance(opened, pl.LazyFrame)
    assert_frame_equal(opened.collect(), FRAME)


@pytest.mark.parametrize("suffix", files.TABLE_SUFFIXES)
def test_the_suffix_can_be_told(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / "table", suffix)
    assert_frame_equal(load(path, suffix.upper()), FRAME)
    assert_frame_equal(files.open(path, suffix).collect(), FRAME)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", b'{"x": [1, 2.5, null]}', {"x": [1, 2.5, None]}),
        ("a.json", b'\xef\xbb\xbf["x"]', ["x"]),
        ("a.json.gz", gzip.compress(b"[]", mtime=0), []),
        ("a.txt", "one\r\nüwo\n".encode(), "one\r\nüwo\n"),
        ("a.md.gz", gzip.compress(b"# title", mtime=0), "# title"),
    ],
)
def test_what_is_no_table(tmp_path: Path, name: str, content: bytes, expected: object) -> None:
    (tmp_path / name).write_bytes(content)
    assert load(tmp_path / name) == expected


def test_gzip_is_known_by_the_suffix_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(b"text"))
    assert load(tmp_path / "a", ".txt.gz") == "text"


def test_a_late_surprise_decides_the_type_of_a_column(tmp_path: Path) -> None:
    numbers = [str(number) for number in range(20_000)] + ["0.5"]
    (tmp_path / "a.csv").write_text("n\n" + "\n".join(numbers), encoding="utf-8")
    (tmp_path / "a.ndjson").write_text("".join(f'{{"n": {n}}}\n' for n in numbers), encoding="utf-8")
    assert load(tmp_path / "a.csv").schema == load(tmp_path / "a.ndjson").schema == {"n": pl.Float64}


@pytest.mark.parametrize("suffix", [".parquet", ".csv.gz", ".ndjson", ".arrow"])
def test_a_folder_is_one_table(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "k=1" / "set [1]"
    write(folder / f"1{suffix}", suffix, FRAME[:1])
    write(folder / "sub" / f"2{suffix}", suffix, FRAME[1:].with_columns(b=pl.lit("y")))
    write(folder / "_temporary" / f"3{suffix}", suffix)
    (folder / "_SUCCESS").touch()
    (folder / "README.md").touch()
    expected = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert_frame_equal(files.open(folder).collect(), expected)
    assert_frame_equal(load(folder), expected)
    assert_frame_equal(load(folder, suffix), expected)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("parent", ["plain", "year=1"])
def test_folders_can_name_columns(tmp_path: Path, suffix: str, parent: str) -> None:
    folder = tmp_path / parent / "set"
    for kind in ("x", "y"):
        write(folder / f"kind={kind}" / f"part{suffix}", suffix, FRAME[:1])
    assert load(folder).to_dict(as_series=False) == {"a": [1, 1], "b": ["x", "x"], "kind": ["x", "y"]}


def test_a_folder_of_several_formats(tmp_path: Path) -> None:
    write(tmp_path / "set" / "1.parquet", ".parquet")
    write(tmp_path / "set" / "2.csv", ".csv")
    with pytest.raises(InvalidArgument, match=r"one format; the formats it holds: .csv, .parquet") as caught:
        files.open(tmp_path / "set")
    assert caught.value.available == [".csv", ".parquet"]
    assert_frame_equal(load(tmp_path / "set", ".csv"), FRAME)
    with pytest.raises(InvalidArgument, match=r"the formats it holds: .csv, .parquet"):
        load(tmp_path / "set", ".tsv")


def test_a_folder_without_tables(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(InvalidArgument, match="the formats it holds: none"):
        load(tmp_path)


# --- what cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize("read", [load, files.open])
def test_reading_a_missing_file(tmp_path: Path, read: Callable[[Path], object]) -> None:
    for name in ("a.parquet", "a.json", "a.docx", "folder"):
        with pytest.raises(MissingFile, match=f"{name} does not exist"):
            read(tmp_path / name)


def test_an_unknown_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.docx").touch()
    (tmp_path / "a").touch()
    (tmp_path / "a.json").touch()
    with pytest.raises(
        InvalidArgument, match=r"no reader for '.docx'. Suffixes: .arrow, .csv, .csv.gz, .*.txt"
    ) as caught:
        load(tmp_path / "a.docx")
    assert caught.value.available == list(files.SUFFIXES)
    with pytest.raises(InvalidArgument, match="cannot be loaded: its name has no suffix; pass one"):
        load(tmp_path / "a")
    with pytest.raises(InvalidArgument, match=r"cannot be opened: no reader for '.json'. Suffixes: .arrow") as caught:
        files.open(tmp_path / "a.json")
    assert caught.value.available == list(files.TABLE_SUFFIXES)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"no parquet"),
        ("a.arrow", b"no arrow"),
        ("a.csv", b""),
        ("a.csv.gz", gzip.compress(b"a\n1\n", mtime=0)[:-9]),
        ("a.ndjson", b"{"),
        ("a.json", b"{"),
        ("a.json.gz", b"{}"),
        ("a.txt.gz", gzip.compress(b"text", mtime=0)[:-9]),
        ("a.txt", b"\xff"),
    ],
)
def test_content_that_is_not_what_the_suffix_says(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidArgument, match=f"{name} cannot be read as {suffix_of(name)}: .") as caught:
        load(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)


def test_only_tables_are_read_from_elsewhere() -> None:
    with pytest.raises(InvalidArgument, match=r"^s3://bucket/a.json cannot be loaded: only tables are read"):
        load("s3://bucket/a.json")


def test_an_address_reaches_the_reader_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def scan(source: object, **_options: object) -> pl.LazyFrame:
        asked.append(source)
        return FRAME.lazy()

    monkeypatch.setattr(pl, "scan_parquet", scan)
    assert_frame_equal(load("s3://bucket//a b.parquet?versionId=1"), FRAME)
    assert asked == ["s3://bucket//a b.parquet?versionId=1"]


@pytest.mark.parametrize(
    ("raised", "error", "message"),
    [
        (FileNotFoundError("gone"), MissingFile, "^s3://bucket/a.parquet does not exist$"),
        (
            OSError("no route"),
            InvalidArgument,
            "^s3://bucket/a.parquet cannot be read as .parquet: no route$",
        ),
        (
            pl.exceptions.ComputeError("bad"),
            InvalidArgument,
            "^s3://bucket/a.parquet cannot be read as .parquet: bad$",
        ),
    ],
)
def test_an_address_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, error: type[DuckfeatError], message: str
) -> None:
    def fail(_source: object, **_options: object) -> None:
        raise raised

    monkeypatch.setattr(pl, "scan_parquet", fail)
    with pytest.raises(error, match=message):
        files.open("s3://bucket/a.parquet")


@pytest.mark.parametrize("address", ["s3://me:hush@bucket/x.csv", "https://me:hush@host/x.csv", "ftp://:hush@host"])
def test_an_address_with_a_password_is_refused(address: str) -> None:
    with pytest.raises(InvalidArgument, match="leave out user and password") as refused:
        describe_path(address)
    assert "hush" not in repr((str(refused.value), refused.value.facts))
    assert describe_path("https://host/a:b@c.csv").suffix == ".csv"


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("a.csv", "name\nä\n".encode("utf-16"), "Save it as UTF-8, or read it .* encoding='utf-16'"),
        ("a.csv", "name\nä\n".encode("latin-1"), "Save it as UTF-8, or read it .* or 'latin-1'"),
        ("a.ndjson", '{"name": "ä"}\n'.encode("utf-8-sig"), "Save it as UTF-8 without a byte order mark"),
    ],
)
def test_a_file_in_another_encoding_is_told_with_what_to_do(
    name: str, content: bytes, remedy: str, store: Store, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidArgument, match=remedy):
        store.annotate(tmp_path / name, key="name", create="all")
    assert store.Record.all().count() == 0
