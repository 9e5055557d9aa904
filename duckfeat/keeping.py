"""What keeps a store safe as a whole: backups, exports, the way back, and merging branches."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckfeat.engine import backups
from duckfeat.engine.backups import fill, read_backup, read_export
from duckfeat.engine.base import Engine
from duckfeat.engine.embedded import lock_timeout_of
from duckfeat.engine.opening import address, open_engine
from duckfeat.engine.paths import MEMORY
from duckfeat.errors import IntegrityError, InvalidArgument, StoreLocked
from duckfeat.model.arguments import flag, registry_of, shown
from duckfeat.query.session import INSTANCES, Session

if TYPE_CHECKING:
    from duckfeat.registries import Branch


class Keeping(ABC):
    """The part of a store that copies it, fills it and merges its branches."""

    _session: Session

    def backup(self, path: str | PathLike[str], *, overwrite: bool = False) -> str:
        """Write a copy of the store to a new file, check it, and return its path. The store may be in use.

        The copy shows the store at one moment. It is itself a store: `connect` opens it, and `restore` makes another
        store from it. With `overwrite=True` an existing file is replaced.

        Raises `InvalidArgument` for a file that exists and for the store's own file, `StoreLocked` for a file that is
        open as a store, `IntegrityError` if the copy does not pass the store's checks.

        >>> import duckfeat as dft, tempfile, os
        >>> store = dft.connect()
        >>> _ = store.ULabel(name="a").save()
        >>> path = store.backup(os.path.join(tempfile.mkdtemp(), "backup.duckdb"))
        >>> dft.ULabel.using(path).to_list("name")
        ['a']
        """
        target = file_address(path)
        backups.write_backup(self._session.engine, target, overwrite=flag(overwrite, "overwrite"))
        _verify(target)
        return target

    def export(self, folder: str | PathLike[str]) -> dict[str, int]:
        """Write every table to a Parquet file in a new folder, and return the number of rows by table.

        The folder also gets the schema (`schema.sql`) and a manifest. Any program that reads Parquet can read it, and
        `import_` makes a store of it again. Raises `InvalidArgument` for a folder that exists.

        >>> import duckfeat as dft, tempfile, os
        >>> store = dft.connect()
        >>> _ = store.ULabel(name="a").save()
        >>> store.export(os.path.join(tempfile.mkdtemp(), "export"))["ulabels"]
        1
        """
        return backups.write_export(self._session.engine, file_address(folder))

    def import_(self, folder: str | PathLike[str]) -> None:
        """Fill this new, empty store from a folder that `export` wrote: with the same rows, ids and uids.

        Raises `InvalidArgument` if the store has records, `MissingFile` or `NotAStore` if the folder is not a complete
        export, `SchemaVersionError` if a newer duckfeat wrote it.
        """
        place = file_address(folder)
        self._fill(lambda raw: read_export(place, raw, overwrite=False))

    def _fill(self, write: Callable[[str], None]) -> None:
        """Replace all rows by those of the database file that `write` writes."""
        with tempfile.TemporaryDirectory(prefix="duckfeat-") as temporary:
            raw = str(Path(temporary) / "filling.duckdb")
            write(raw)
            open_engine(raw).close()  # brings it to this program's schema
            fill(self._session.engine, raw)
        self._register_user()
        _check(self._session.engine)

    @abstractmethod
    def _register_user(self) -> None:
        """Save who uses the store, unless it has this user."""

    def merge(self, branch: str | Branch) -> dict[str, int]:
        """Move every record of a branch to main, all or nothing, and return how many there were, by registry.

        The branch stays, empty. Raises `DoesNotExist` for an unknown branch and `IntegrityError` for main, archive
        and trash, and for a name that another record has.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> draft = store.Branch(name="draft").save()
        >>> _ = store.save([store.ULabel(name="a", branch=draft), store.Record(name="b", branch=draft)])
        >>> store.merge("draft")
        {'Record': 1, 'ULabel': 1}
        """
        found: Any = self._session.registries["Branch"].get(name=branch) if isinstance(branch, str) else branch
        if registry_of(found) != "Branch":
            raise InvalidArgument(f"a branch is a name or a Branch, not {shown(branch)}", value=branch)
        self._session.check_mine(found)
        merged: dict[str, int] = found.merge()
        return merged


def file_address(path: str | PathLike[str]) -> str:
    """Return the absolute path of a file to be written; a lake or memory is none."""
    place = address(path)
    if place == MEMORY or place != str(Path(fspath(path)).expanduser().resolve()):
        raise InvalidArgument(f"a path is needed here, not {place}", path=place)
    return place


def make(url: str | PathLike[str], write: Callable[[str], None], connect: Callable[[], Any], *, overwrite: bool) -> Any:
    """Return the store at `url`, made by `write`, which writes a database file; `connect` opens it."""
    place = address(url)
    if place in INSTANCES.by_name:
        raise StoreLocked(f"{place} is open in this process: close it first", path=place)
    if Path(place).parent.is_dir() and place != MEMORY and not place.startswith("ducklake:"):
        write(place)
        store = connect()
        _check(store._session.engine)
        return store
    if overwrite:
        raise InvalidArgument("only a file can be overwritten", path=place)
    store = connect()
    try:
        store._fill(write)
    except BaseException:
        store.close()
        raise
    return store


def from_backup(backup: str | PathLike[str], *, overwrite: bool, timeout: Any = None) -> Callable[[str], None]:
    """Return what writes the store of a backup into a file, as soon as nobody uses either."""
    place, wait = file_address(backup), lock_timeout_of(timeout)
    return lambda target: read_backup(place, target, overwrite=overwrite, timeout=wait)


def from_export(folder: str | PathLike[str], *, overwrite: bool, timeout: Any = None) -> Callable[[str], None]:
    """Return what writes the store of an exported folder into a file, as soon as nobody uses that."""
    place, wait = file_address(folder), lock_timeout_of(timeout)
    return lambda target: read_export(place, target, overwrite=overwrite, timeout=wait)


def _verify(path: str) -> None:
    engine = open_engine(path, read_only=True)
    try:
        _check(engine)
    finally:
        engine.close()


def _check(engine: Engine) -> None:
    failed = list(engine.failing())
    if failed:
        raise IntegrityError(
            f"{engine.url} does not pass the checks {', '.join(failed)}; store.check() shows the rows",
            path=engine.url,
            failed=failed,
        )
