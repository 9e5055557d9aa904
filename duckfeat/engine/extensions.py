"""DuckDB extensions, from Python packages: each carries the file for one DuckDB release, signed by DuckDB."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable

import duckdb

from duckfeat.errors import MissingExtra

_RELEASE = "1.5.5"
_ATTEMPTS = 5


def load(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Load extensions from their packages.

    Raises `MissingExtra`, naming the extra that brings them, when a package is missing or of another DuckDB.
    """
    for name in names:
        try:
            _import(connection, name)
        except (ImportError, duckdb.Error) as error:
            raise MissingExtra(
                f"a lake needs duckdb {_RELEASE} with its packages of extensions; here is duckdb {duckdb.__version__}, "
                f"and extension {name!r} cannot be loaded ({str(error).splitlines()[0]}): "
                '`pip install "duckfeat[lake]"` brings what works together',
                library=f"duckdb_extension_{name}",
                extra="lake",
                duckdb=duckdb.__version__,
                reason=str(error),
            ) from error


def _import(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    import_extension = importlib.import_module("duckdb_extensions").import_extension
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            import_extension(name, con=connection)
            connection.execute(f"LOAD {name}")
        except duckdb.IOException:
            # Several processes that start at once put the file in its place at the same time.
            if attempt == _ATTEMPTS:
                raise
            time.sleep(0.1 * attempt)
        else:
            return
