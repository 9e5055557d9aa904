"""The NCBI taxonomy as it is published: `names.dmp` and `nodes.dmp`, in a folder or an archive."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile, is_zipfile

from duckfeat.engine.base import Engine
from duckfeat.engine.resources import statement
from duckfeat.errors import InvalidArgument
from duckfeat.model.statement import Statement

if TYPE_CHECKING:
    import polars as pl

FILES = ("names.dmp", "nodes.dmp")
_BATCH = 100_000


def read_taxonomy(path: Path, engine: Engine) -> Iterator[pl.DataFrame]:
    """Yield the taxa with their names and parents, in batches; the engine keeps to its memory limit.

    Raises `InvalidArgument` where one of the two files is missing or empty.
    """
    import polars

    with _folder(path) as folder:
        empty = [name for name in FILES if not (folder / name).stat().st_size]
        if empty:
            raise InvalidArgument(f"{path}: {' and '.join(empty)} is empty", path=str(path))
        names, nodes = (str(folder / name) for name in FILES)
        given = {"names": names, "nodes": nodes}
        for batch in engine.batches(Statement(statement("ontology.taxonomy"), given), _BATCH):
            yield polars.DataFrame(polars.from_arrow(batch))


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """Give the folder of the two files, unpacked for a while if they are in an archive."""
    folder = path if path.is_dir() else path.parent
    if path.is_dir() or path.name in FILES:
        missing = [name for name in FILES if not (folder / name).exists()]
        if missing:
            raise InvalidArgument(f"{folder} holds no {' and no '.join(missing)}", path=str(path))
        yield folder
        return
    with TemporaryDirectory() as unpacked:
        _unpack(path, unpacked)
        yield Path(unpacked)


def _unpack(path: Path, folder: str) -> None:
    """Unpack the two files of a zip or tar archive into a folder."""
    try:
        if is_zipfile(path):
            with ZipFile(path) as zipped:
                for name in _members(path, zipped.namelist()):
                    zipped.extract(name, folder)
            return
        with tarfile.open(path) as archive:
            for name in _members(path, archive.getnames()):
                archive.extract(name, folder, filter="data")
    except (tarfile.TarError, BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise InvalidArgument(f"{path.name} cannot be read as an archive: {error}", path=str(path)) from error


def _members(path: Path, names: Sequence[str]) -> Sequence[str]:
    if not set(FILES) <= set(names):
        raise InvalidArgument(f"{path.name} does not hold {' and '.join(FILES)}", path=str(path))
    return FILES
