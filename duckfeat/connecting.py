"""Opening stores: by url, from a backup or an export, and copying one to another url."""

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
    """Open a store, creating or migrating it as needed; it becomes the default of the module-level registries.

    `url` is a path or `:memory:`. `name` ("account/name") is what `using` finds it by. Options: `read_only`,
    `memory_limit` (a size such as "2GB"), `temp_directory` (a folder), `threads` (from 1); for a file `lock_timeout`
    (seconds to wait for another process that has it, 10) and `idle_release` (seconds without use until it is given
    back, 2; None keeps it). A file that this process has open already, by this name or another one (a link), is not
    opened twice: the open store is returned, and `close()` on it closes it for all who have it.

    Raises `InvalidArgument` for an option that does not exist or a value that it does not take, `StoreLocked` when
    another process has the store, or this one with other options, `NotAStore` for a file that is none,
    `SchemaVersionError` for a store of a newer duckfeat, `MissingFile` for a folder that does not exist.

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
    """Make a store of a backup, check it, and return it opened as `connect` does; in memory unless a path is given.

    Raises `MissingFile` and `NotAStore` for what is no backup, `InvalidArgument` for a path that exists, unless it
    shall be replaced, and `StoreLocked` for either that is open in this process, or in another one for longer than
    `lock_timeout`.

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
    """Make a store of a folder that `Store.export` wrote, check it, and return it opened as `connect` does.

    Raises `MissingFile` and `NotAStore` for a folder that is no whole export, `SchemaVersionError` for one of a
    newer duckfeat, `DamagedStore` for files that cannot be read, `InvalidArgument` for a path that exists, unless it
    shall be replaced, and `StoreLocked` for one that is in use.

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
    """Copy a store to a new one of another url, from a file to a lake or back, and return the rows of each table.

    Ids, uids, provenance and history are kept, and every table is compared before anything is kept. `data_path`, `s3`
    and `password` are those of the lake; `told(table, rows)` is called after each table. A file gets its name when all
    is in it; a lake whose process is killed meanwhile stays empty, and the store can be moved there again.

    Raises `InvalidArgument` for a target that is no new store, for a source with tables of its own, `StoreLocked` for a
    store that is open in this process, `IntegrityError` when a table is not the same in both.

    >>> import tempfile
    >>> import duckfeat as dft
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with dft.connect(f"{folder}/a.duckdb") as store:
    ...         _ = store.ULabel(name="x").save()
    ...     dft.move(f"{folder}/a.duckdb", f"{folder}/b.duckdb")["ulabels"]
    1
    """
    return move_store(source, target, data_path=data_path, s3=s3, password=password, told=told)
