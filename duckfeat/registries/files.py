"""The files, folders and addresses behind artifacts: what they are, and what is in them.

The hash of a file is the MD5 of its content, that of a folder the MD5 of its files' names and contents, both
as 22 characters of URL-safe base64. MD5 is what object stores and other catalogs publish, so that hashes can
be compared with theirs; it tells whether data is the same, and protects against nothing.

Links are followed: a dataset is what one reads under its path. Empty folders inside a folder do not count.
"""

from __future__ import annotations

import base64
import functools
import glob
import gzip
import hashlib
import json
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from duckfeat.errors import DuckfeatError, InvalidArgument, MissingFile, suggestions

if TYPE_CHECKING:
    import polars as pl

AnyPath = str | os.PathLike[str]
_T = TypeVar("_T")

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SUFFIX = re.compile(r"\.[a-z0-9_+-]+")
_COMPRESSIONS = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip", ".lz4"})
# What a compressed file holds: `.csv` of `.csv.gz`, but neither a version nor a date before the `.gz`.
_INNER = re.compile(r"\.(?!v\d+$)[a-z][a-z0-9]{0,9}")
_COMPOSITE = frozenset({".anndata.zarr", ".mudata.zarr", ".spatialdata.zarr", ".ome.zarr", ".ome.tif", ".ome.tiff"})
_SEEN_FOR_HINTS = 10_000


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of a path: of an address elsewhere its suffix alone.

    `size` is in bytes, of a folder the sum of its files. `n_files` is the number of files in a folder, at any
    depth, and None for a single file.
    """

    size: int | None
    hash: str | None
    n_files: int | None
    suffix: str


# --- paths ---------------------------------------------------------------------------------------


def local_path(path: AnyPath) -> Path | None:
    """Return `path` as a path of this machine, None if it is an address elsewhere.

    >>> local_path("s3://bucket/key.csv") is None
    True
    >>> local_path("file:///data/my%20table.csv").as_posix()
    '/data/my table.csv'
    """
    text = os.fspath(path)
    if not _URI.match(text):
        return Path(text)
    from urllib.request import url2pathname  # brings the network stack, which a path never needs

    parts = urlsplit(text)
    is_here = parts.scheme.lower() == "file" and parts.netloc in ("", "localhost")
    return Path(url2pathname(parts.path)) if is_here else None


def suffix_of(path: AnyPath) -> str:
    """Return the suffix in lower case, that of compressed and nested formats in full; `""` if there is none.

    >>> [suffix_of(path) for path in ["a.csv", "a.CSV.gz", "s3://b/x.tar.gz?versionId=1", "run.v2.gz", "README"]]
    ['.csv', '.csv.gz', '.tar.gz', '.gz', '']
    """
    text = os.fspath(path)
    if local_path(text) is None:
        text = re.split(r"[?#]", text, maxsplit=1)[0]
    name = PurePosixPath(Path(text).name.lower())
    outer, inner = name.suffix, PurePosixPath(name.stem).suffix
    if not _SUFFIX.fullmatch(outer):
        return ""
    nested = (outer in _COMPRESSIONS and _INNER.fullmatch(inner)) or inner + outer in _COMPOSITE
    return inner + outer if nested else outer


def describe_path(path: AnyPath) -> FileFacts:
    """Return size, content hash, number of files and suffix of a file or folder.

    Of an address elsewhere (`s3://`, `https://`, ...) nothing is fetched: its size and hash are None.

    Raises:
        MissingFile: there is nothing at a local path, or a link in a folder leads nowhere.
        InvalidArgument: it cannot be read, is neither file nor folder, is a folder without any file, or an address
            with a password in it.

    >>> describe_path("s3://bucket/table.csv.gz")
    FileFacts(size=None, hash=None, n_files=None, suffix='.csv.gz')
    """
    place, suffix = local_path(path), suffix_of(path)
    if place is None:
        _check_no_password(os.fspath(path))
        return FileFacts(None, None, None, suffix)
    mode = _mode(place)
    with _reading(place):
        if stat.S_ISDIR(mode):
            return _describe_folder(place, suffix)
        if not stat.S_ISREG(mode):
            raise _neither(place)
        size, digest = _digest(place)
    return FileFacts(size, _text_of(digest), None, suffix)


def _check_no_password(address: str) -> None:
    """Raise `InvalidArgument` for an address with a password, which everyone who reads the store would see."""
    if ":" in address.partition("://")[2].partition("/")[0].rpartition("@")[0]:
        raise InvalidArgument("an address with a password in it is not kept: leave out user and password", path=address)


def _mode(place: Path) -> int:
    try:
        return place.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(place) from None
    except (OSError, ValueError) as error:
        raise _unreadable(place, error) from error


def _missing(path: AnyPath) -> MissingFile:
    place = local_path(path)
    hint = _nearest(place) if place else ""
    return MissingFile(f"{path} does not exist{hint}", path=str(path))


def _nearest(place: Path) -> str:
    try:
        with os.scandir(place.parent) as entries:
            beside = [entry.name for entry in islice(entries, _SEEN_FOR_HINTS)]
    except OSError:
        return f", nor does the folder {place.parent}"
    near = suggestions(place.name, sorted(beside), limit=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _unreadable(path: AnyPath, error: Exception, what: str = "") -> InvalidArgument:
    reason = getattr(error, "strerror", None) or str(error)
    return InvalidArgument(f"{path} cannot be read{what}: {reason}", path=str(path), reason=reason)


def _neither(place: Path) -> InvalidArgument:
    return InvalidArgument(f"{place} is neither a file nor a folder", path=str(place))


@contextmanager
def _reading(path: AnyPath, what: str = "", failures: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    """Turn what reading `path` raises into errors of this package, which name the very file."""
    try:
        yield
    except DuckfeatError:
        raise
    except FileNotFoundError as error:
        raise _missing(error.filename or path) from error
    except failures as error:
        raise _unreadable(getattr(error, "filename", None) or path, error, what) from error


# --- hashes --------------------------------------------------------------------------------------


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _digest(place: Path) -> tuple[int, bytes]:
    """Return how many bytes a file has and their digest, from one pass that holds little of it at a time."""
    with place.open("rb") as file:
        digest = hashlib.file_digest(file, _md5).digest()
        return file.tell(), digest


def _text_of(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _describe_folder(folder: Path, suffix: str) -> FileFacts:
    """Digest the files in the order of names: each name, a NUL, which no name holds, the file's digest."""
    total, count, whole = 0, 0, _md5()
    for name, file in sorted((os.fsencode(name), file) for name, file in _files_in(folder)):
        size, digest = _digest(file)
        whole.update(name + b"\0" + digest)
        total, count = total + size, count + 1
    if not count:
        raise InvalidArgument(f"the folder {folder} holds no files", path=str(folder))
    return FileFacts(total, _text_of(whole.digest()), count, suffix)


def _files_in(folder: Path, prefix: str = "", above: tuple[Path, ...] = ()) -> Iterator[tuple[str, Path]]:
    """Yield the files at any depth, each with its name relative to the outermost folder."""
    real = folder.resolve()
    if real in above:
        raise InvalidArgument(f"{folder} links to a folder that it lies in", path=str(folder))
    with os.scandir(folder) as entries:
        for entry in entries:
            name, place = prefix + entry.name, Path(entry.path)
            if entry.is_dir():
                yield from _files_in(place, f"{name}/", (*above, real))
            elif entry.is_file():
                yield name, place
            elif entry.is_symlink():
                target = place.readlink()
                raise MissingFile(f"{place} links to {target}, which does not exist", path=str(place))
            else:
                raise _neither(place)


# --- formats -------------------------------------------------------------------------------------


def _parquet(source: str | list[str], hive: bool | None) -> pl.LazyFrame:
    import polars as pl

    return pl.scan_parquet(source, glob=False, hive_partitioning=hive)


def _ipc(source: str | list[str], hive: bool | None) -> pl.LazyFrame:
    import polars as pl

    return pl.scan_ipc(source, glob=False, hive_partitioning=hive)


# A column's type is taken from all of its rows: a guess from the first hundred fails on the first surprise.
def _csv(source: str | list[str], _hive: bool | None, separator: str = ",") -> pl.LazyFrame:
    import polars as pl

    return pl.scan_csv(source, glob=False, separator=separator, infer_schema_length=None)


def _ndjson(source: str | list[str], _hive: bool | None) -> pl.LazyFrame:
    import polars as pl

    # The only reader without a switch for patterns.
    paths = [source] if isinstance(source, str) else source
    return pl.scan_ndjson([glob.escape(path) for path in paths], infer_schema_length=None)


_Scan = Callable[[str | list[str], bool | None], "pl.LazyFrame"]
_Read = Callable[[bytes], object]


def _and_gzipped(table: Mapping[str, _T]) -> dict[str, _T]:
    return {**table, **{f"{suffix}.gz": each for suffix, each in table.items()}}


_TABLES: dict[str, _Scan] = {
    ".parquet": _parquet,
    ".arrow": _ipc,
    ".feather": _ipc,
    ".ipc": _ipc,
    **_and_gzipped(
        {".csv": _csv, ".tsv": functools.partial(_csv, separator="\t"), ".ndjson": _ndjson, ".jsonl": _ndjson}
    ),
}
_OTHERS: dict[str, _Read] = _and_gzipped({".json": json.loads, ".txt": bytes.decode, ".md": bytes.decode})
# The suffixes of tables, which can also be opened, and of all that can be loaded.
TABLE_SUFFIXES = tuple(sorted(_TABLES))
SUFFIXES = tuple(sorted(_TABLES | _OTHERS))
_BROKEN = (OSError, ValueError, EOFError, zlib.error)


def load(path: AnyPath, suffix: str | None = None) -> Any:
    """Return what a file or folder holds, in memory: a Polars DataFrame, what JSON says, or text.

    Args:
        path: a local file, a folder as in `open`, or for tables also an address elsewhere.
        suffix: the format, if it is not what the path ends with.

    Raises:
        MissingFile: there is nothing at a local path.
        InvalidArgument: the suffix is not among `SUFFIXES`, or the content is not what it says.

    >>> load("s3://bucket/notes.docx")
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: s3://bucket/notes.docx cannot be loaded: no reader for '.docx'. ...
    """
    place, suffix = local_path(path), _lower(path, suffix)
    if _is_folder(place) or suffix in _TABLES:
        table = open(path, suffix)
        with _reading_table(path, suffix):
            return table.collect()
    read = _known(path, suffix, _OTHERS, "loaded", SUFFIXES)
    if place is None:
        raise InvalidArgument(f"{path} cannot be loaded: only tables are read from elsewhere", path=str(path))
    with _reading(place, f" as {suffix}", _BROKEN):
        content = place.read_bytes()
        return read(gzip.decompress(content) if suffix.endswith(".gz") else content)


def open(path: AnyPath, suffix: str | None = None) -> pl.LazyFrame:  # noqa: A001 -- `files.open`, beside `files.load`
    """Return a table as a Polars LazyFrame, which reads what is asked of it, when it is asked.

    A folder is one table of all its files of one format, at any depth; files of other kinds beside them, and
    names that begin with `_` or `.`, are passed over. Folders named `column=value` become columns of Parquet
    and Arrow tables.

    Args:
        path: a local file, a folder, or an address elsewhere.
        suffix: the format, if it is not what the path ends with, or if a folder holds tables of several.

    Raises:
        MissingFile: there is nothing at a local path.
        InvalidArgument: the suffix is not among `TABLE_SUFFIXES`, or a folder holds none or several of them.
    """
    place, suffix = local_path(path), _lower(path, suffix)
    source: str | list[str] = os.fspath(path)
    hive = None
    if place is not None and _is_folder(place):
        source, hive, suffix = _dataset(place, suffix)
    elif place is not None:
        source, hive = str(place), False
    scan = _known(path, suffix, _TABLES, "opened", TABLE_SUFFIXES)
    with _reading_table(path, suffix):
        return scan(source, hive)


def _lower(path: AnyPath, suffix: str | None) -> str:
    return suffix_of(path) if suffix is None else suffix.lower()


def _is_folder(place: Path | None) -> bool:
    return place is not None and stat.S_ISDIR(_mode(place))


def _known(path: AnyPath, suffix: str, table: Mapping[str, _T], what: str, offered: Sequence[str]) -> _T:
    if suffix in table:
        return table[suffix]
    lacking = f"no reader for {suffix!r}" if suffix else "its name has no suffix; pass one"
    message = f"{path} cannot be {what}: {lacking}. Suffixes: {', '.join(offered)}"
    raise InvalidArgument(message, path=str(path), suffix=suffix, available=list(offered))


def _dataset(folder: Path, suffix: str) -> tuple[str | list[str], bool, str]:
    """Return the files of the table that a folder is, whether folders in it name columns, and the suffix."""
    with _reading(folder):
        names = sorted(name for name, _ in _files_in(folder) if not re.search(r"(^|/)[_.]", name))
    kinds = {kind for kind in map(suffix_of, names) if kind in _TABLES}
    if suffix not in kinds and (suffix in _TABLES or len(kinds) != 1):
        found = ", ".join(sorted(kinds)) or "none"
        message = f"{folder} is opened as one table of files of one format; the formats it holds: {found}"
        raise InvalidArgument(message, path=str(folder), available=sorted(kinds))
    (kind,) = {suffix} & kinds or kinds
    chosen = [name for name in names if suffix_of(name) == kind]
    hive = any("=" in part for name in chosen for part in name.split("/")[:-1])
    # Polars takes `column=value` from all of a file's path, but from below the folder when given the folder.
    if hive and any("=" in part for part in folder.parts):
        return str(folder), hive, kind
    return [str(folder / name) for name in chosen], hive, kind


@contextmanager
def _reading_table(path: AnyPath, suffix: str) -> Iterator[None]:
    import polars as pl

    what = f" as {suffix}" if suffix else ""
    with _reading(path, what, (*_BROKEN, pl.exceptions.PolarsError)):
        yield
