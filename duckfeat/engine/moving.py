"""Copying a store into another one, table by table: every row as it is, ids and history included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from os import PathLike
from pathlib import Path
from typing import Any

from duckfeat.engine.backups import new_file
from duckfeat.engine.base import Engine
from duckfeat.engine.catalog import RECORDED
from duckfeat.engine.comparing import digest
from duckfeat.engine.lake_places import PREFIX
from duckfeat.engine.opening import address, open_engine
from duckfeat.engine.paths import MEMORY
from duckfeat.errors import IntegrityError, InvalidArgument
from duckfeat.model.arguments import check_callable
from duckfeat.model.statement import Statement

_BATCH = 100_000
_STAGED = "moved_rows"
# How many rows a new store has in the tables that are not empty; one user is whoever opened it.
_NEW = {"branches": 3, "spaces": 1, "users": 1}
_COLUMNS = """
SELECT table_name, column_name, data_type
FROM duckdb_columns() WHERE database_name = 'store' AND NOT internal AND table_name NOT IN (
    SELECT view_name FROM duckdb_views() WHERE database_name = 'store' AND NOT internal
)
ORDER BY table_name, column_index
"""

Columns = dict[str, dict[str, str]]
Told = Callable[[str, int], None]


def copy_store(source: Engine, target: Engine, told: Told | None = None, place: str | None = None) -> dict[str, int]:
    """Copy all rows of a store into a new one, compare every table, and return the number of rows of each.

    All or nothing, in one transaction of the target; `told(table, rows)` is called after each table. `place` is what
    the target will be called, if not as now.

    Raises `InvalidArgument` for a target that holds something or has another schema, `IntegrityError` when a table
    is not the same in both.
    """
    if told is not None:
        check_callable(told, "told")
    columns, place = _columns(source), place or target.url
    with target.transaction():
        _check_same(source.url, columns, place, _columns(target))
        _check_new(target, columns)
        rows = {}
        for table in columns:
            rows[table] = _copy(source, target, table, columns[table])
            if told is not None:
                told(table, rows[table])
        different = [name for name in columns if _digest(source, name, columns) != _digest(target, name, columns)]
        if different:
            raise IntegrityError(
                f"{', '.join(different)}: not the same in {place}, so nothing was kept", tables=different
            )
    return rows


def move_store(
    source: str | PathLike[str],
    target: str | PathLike[str],
    *,
    data_path: str | PathLike[str] | None = None,
    s3: Mapping[str, Any] | None = None,
    password: str | None = None,
    told: Told | None = None,
) -> dict[str, int]:
    """Copy a store to another url, as `copy_store` does; the options are those of whichever of the two is a lake.

    The source is only read, a lake as it is when this begins. A file gets its name when all is in it; a lake that
    fails, or whose process is killed, stays a new, empty one, into which the store can be moved again.
    """
    if address(target) == MEMORY:
        raise InvalidArgument("a store in memory would be gone with its rows: move to a file or a lake", target=target)
    if address(source) == address(target):
        raise InvalidArgument(f"{address(source)} cannot be moved to itself", source=source, target=target)
    shared = {"s3": s3, "password": password}
    with ExitStack() as stack:
        read = _opened(stack, source, read_only=True, **(shared if _is_lake(source) else {}))
        if _is_lake(source):
            read = read.at(read.versions()["version"].to_pylist()[-1])
            stack.callback(read.close)
        if _is_lake(target):
            return copy_store(read, _opened(stack, target, data_path=data_path, **shared), told)
        if data_path is not None:
            raise InvalidArgument(f"{address(target)} is a file, and a data_path is a lake's", path=data_path)
        if Path(address(target)).exists():
            return copy_store(read, _opened(stack, target), told)
        partial = stack.enter_context(new_file(address(target), overwrite=False))
        with closing(open_engine(partial)) as written:
            return copy_store(read, written, told, address(target))


def _is_lake(url: str | PathLike[str]) -> bool:
    return address(url).startswith(PREFIX)


def _opened(stack: ExitStack, url: str | PathLike[str], **options: Any) -> Engine:
    engine = open_engine(url, **options)
    stack.callback(engine.close)
    return engine


def _columns(engine: Engine) -> Columns:
    found: Columns = {}
    for table, column, type_ in engine.rows(Statement(_COLUMNS, {})):
        if table != RECORDED:
            found.setdefault(table, {})[column] = type_
    return found


def _check_same(source: str, given: Columns, target: str, expected: Columns) -> None:
    """Raise `InvalidArgument` if two stores do not have the same tables."""
    told = [
        *(f"{source} has a table {table} of its own" for table in given if table not in expected),
        *(f"{target} has a table {table} of its own" for table in expected if table not in given),
        *(f"the columns of {table} differ" for table in given if table in expected and given[table] != expected[table]),
    ]
    if told:
        message = f"{source} and {target} have different schemas, so nothing was moved: {'; '.join(told[:5])}"
        raise InvalidArgument(message, path=source, different=told)


def _check_new(target: Engine, tables: Iterable[str]) -> None:
    for table in tables:
        rows = target.rows(Statement(f"SELECT count(*) FROM {table}", {}))[0][0]
        if rows > _NEW.get(table, 0):
            raise InvalidArgument(
                f"{target.url} is not a new store: it has {rows:,} rows in {table}", path=target.url, table=table
            )


def _copy(source: Engine, target: Engine, table: str, columns: dict[str, str]) -> int:
    import pyarrow

    if table in _NEW:
        target.write(f"DELETE FROM {table}")
    listed = ", ".join(columns)
    batches = iter(source.batches(Statement(f"SELECT {listed} FROM {table}", {}), _BATCH))
    first = next(batches, None)
    if first is None:
        return 0

    def stream() -> Any:
        yield first
        yield from batches

    with target.registered(_STAGED, pyarrow.RecordBatchReader.from_batches(first.schema, stream())):
        return target.write(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {_STAGED}")


def _digest(engine: Engine, table: str, columns: Columns) -> Any:
    return engine.rows(Statement(digest(table, columns[table]), {}))[0]
