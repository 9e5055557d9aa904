"""Opening a store by its url, making one from a backup or an export, and copying one to another url."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from duckfeat.engine.lease import open_here
from duckfeat.engine.moving import move_store
from duckfeat.engine.opening import address
from duckfeat.engine.paths import MEMORY
from duckfeat.errors import StoreLocked
from duckfeat.keeping import from_backup, from_export, make
from duckfeat.model.arguments import flag, shown, text
from duckfeat.query.session import INSTANCES, Session
from duckfeat.store import Store

if TYPE_CHECKING:
    from os import PathLike

_SECRET = {"password", "s3"}


def connect(
    url: str | PathLike[str] = MEMORY, *, name: str | None = None, default: bool = True, **options: Any
) -> Store:
    """Open a store; create it if it does not exist, and migrate it if it is an old one.

    A file that this process has already open, under this path or a link to it, is not opened twice: the open store is
    returned, and `close()` closes it for all who use it.

    Args:
        url: The path of a file, `:memory:`, or the url of a lake: `ducklake:sqlite:PATH` or `ducklake:postgres:...`.
        name: A name, such as "account/name", under which `using` finds the store.
        default: Whether `dft.Record`, `dft.Feature` and the other module-level registries use this store from now on.
        **options: For every store `read_only` (False), `memory_limit` (a size such as "2GB"), `temp_directory` (a
            folder) and `threads` (1 or more). For a file `lock_timeout` (how many seconds to wait while another
            process has it: 10) and `idle_release` (after how many seconds without use it is released: 2; None keeps
            it). For a lake `data_path`, `password`, `s3` and `lock_timeout` (how many seconds to wait for the turn to
            write: 60).

    Returns:
        The open store.

    Raises:
        InvalidArgument: For an unknown option, or a value that an option does not take.
        StoreLocked: If another process has the store, or this process has it open with other options.
        NotAStore: For a file that is not a store.
        SchemaVersionError: For a store that a newer duckfeat has written.
        MissingFile: For a folder that does not exist, and with `read_only` for a store that does not.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> dft.Feature.count()
    0
    """
    name, default = None if name is None else text(name, "the name of a store"), flag(default, "default")
    store = _open_already(url, options) or Store(url, **options)
    store.name = name or store.name
    for key in (store.name, store.url if store.url != MEMORY else None):
        if key is not None:
            INSTANCES.by_name[key] = store._session
    if default:
        INSTANCES.default = store._session
    return store


def restore(
    backup: str | PathLike[str], path: str | PathLike[str] = MEMORY, *, overwrite: bool = False, **options: Any
) -> Store:
    """Make a new store from a backup, check it, and return it as `connect` does, with the same options.

    Without a path the store is in memory. With `overwrite=True` a file at `path` is replaced.

    Raises `MissingFile` or `NotAStore` if `backup` is not a backup, `InvalidArgument` if `path` exists, and
    `StoreLocked` if either is open in this process, or in another one for longer than `lock_timeout`.

    >>> import duckfeat as dft, tempfile, os
    >>> store = dft.connect()
    >>> _ = store.ULabel(name="a").save()
    >>> backup = store.backup(os.path.join(tempfile.mkdtemp(), "backup.duckdb"))
    >>> dft.restore(backup).ULabel.all().to_list("name")
    ['a']
    """
    overwrite = flag(overwrite, "overwrite")
    write = from_backup(backup, overwrite=overwrite, timeout=options.get("lock_timeout"))
    store: Store = make(path, write, lambda: connect(path, **options), overwrite=overwrite)
    return store


def import_(
    folder: str | PathLike[str], path: str | PathLike[str] = MEMORY, *, overwrite: bool = False, **options: Any
) -> Store:
    """Make a new store from a folder that `Store.export` wrote, check it, and return it as `connect` does.

    Without a path the store is in memory. With `overwrite=True` a file at `path` is replaced.

    Raises `MissingFile` or `NotAStore` if the folder is not a complete export, `SchemaVersionError` if a newer duckfeat
    wrote it, `DamagedStore` for files that cannot be read, `InvalidArgument` if `path` exists, and `StoreLocked` if it
    is in use.

    >>> import duckfeat as dft, tempfile, os
    >>> store = dft.connect()
    >>> _ = store.ULabel(name="a").save()
    >>> folder = os.path.join(tempfile.mkdtemp(), "export")
    >>> _ = store.export(folder)
    >>> dft.import_(folder).ULabel.all().to_list("name")
    ['a']
    """
    overwrite = flag(overwrite, "overwrite")
    write = from_export(folder, overwrite=overwrite, timeout=options.get("lock_timeout"))
    store: Store = make(path, write, lambda: connect(path, **options), overwrite=overwrite)
    return store


def _open_already(url: str | PathLike[str], options: Mapping[str, Any]) -> Store | None:
    """Return the open store of a file.

    Raises `StoreLocked` if it was opened with other options.
    """
    place = address(url)
    session = INSTANCES.by_name.get(place) or INSTANCES.by_name.get(open_here(place) or "")
    if session is None or session.engine.forked:
        return None
    store: Store = session.store
    if _given(store._options) != _given(options):
        raise StoreLocked(
            f"{store.url} is open in this process with other options ({_told(store._options)}, now asked for: "
            f"{_told(options)}): close it first, or ask for the same",
            path=store.url,
            options=_shown(store._options),
        )
    return store


def _shown(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they may be seen."""
    return {name: "..." if name in _SECRET else value for name, value in _given(options).items()}


def _told(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={shown(value)}" for name, value in _shown(options).items()) or "none"


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, False)}


def _open_session(url: str) -> Session:
    return connect(url, default=False)._session


INSTANCES.open = _open_session


def move(
    source: str | PathLike[str],
    target: str | PathLike[str],
    *,
    data_path: str | PathLike[str] | None = None,
    s3: Mapping[str, Any] | None = None,
    password: str | None = None,
    told: Callable[[str, int], None] | None = None,
) -> dict[str, int]:
    """Copy a store to a new store with another url, from a file to a lake or back.

    Ids, uids, provenance and history stay the same, and every table is compared before the copy is kept. A file gets
    its name when it is complete. If the process is killed while it fills a lake, the lake stays empty, and the store
    can be moved there again.

    Args:
        source: The store to copy; it is only read.
        target: The new store.
        data_path: Where a new lake keeps its files: a folder, or `s3://bucket/prefix`.
        s3: The keys of the lake's object store, as in `connect`.
        password: The password of the lake's catalog.
        told: Called as `told(table, rows)` after each table, for example to print the progress.

    Returns:
        The number of rows of each table, by the table's name.

    Raises:
        InvalidArgument: If the target is not new, or the source has tables of its own.
        StoreLocked: If a store is open in this process.
        IntegrityError: If a table is not the same in both.

    >>> import tempfile
    >>> import duckfeat as dft
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with dft.connect(f"{folder}/a.duckdb") as store:
    ...         _ = store.ULabel(name="x").save()
    ...     dft.move(f"{folder}/a.duckdb", f"{folder}/b.duckdb")["ulabels"]
    1
    """
    return move_store(source, target, data_path=data_path, s3=s3, password=password, told=told)
