"""The embedded engine: one DuckDB file, or memory."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckfeat.engine.base import Engine
from duckfeat.engine.duck import DuckEngine
from duckfeat.engine.failures import translated
from duckfeat.engine.migrations import migrate
from duckfeat.errors import InvalidArgument

if TYPE_CHECKING:
    import pyarrow as pa

STORAGE_VERSION = "v1.5.0"
"""The storage format of new files, which every supported DuckDB opens."""


class EmbeddedEngine(DuckEngine):
    """A store in a DuckDB file or in memory."""

    def _attach(self) -> None:
        path = Path(self.url)
        existed = self.url != ":memory:" and path.exists() and path.stat().st_size > 0
        options = ["READ_ONLY"] if self.read_only else []
        if not existed:
            options.append(f"STORAGE_VERSION '{STORAGE_VERSION}'")
        place = self.url.replace("'", "''")
        listed = f" ({', '.join(options)})" if options else ""
        self._root.execute(f"ATTACH '{place}' AS store{listed}")
        self._root.execute("SET GLOBAL TimeZone = 'UTC'")
        self._root.execute("USE store")

    def _prepare(self) -> None:
        migrate(self)

    def back_up(self, version: int) -> None:
        """Leave a copy of the file beside it, as before a migration."""
        self.checkpoint()
        self.detach()
        shutil.copy2(self.url, f"{self.url}.schema{version}.backup")
        self.attach()

    def detach(self) -> None:
        """Let go of the file for a moment, as a backup copy needs."""
        self._root.execute("USE memory")
        self._root.execute("DETACH store")

    def attach(self) -> None:
        """Take the file again after `detach`."""
        self._attach()

    def compact(self, *, expire: timedelta | None = None, grace: timedelta | None = None) -> None:
        """Write what is in the log into the file."""
        if expire is not None or grace is not None:
            raise _no_past(self.url)
        self.checkpoint()

    def at(self, moment: int | datetime) -> Engine:
        """Raise `InvalidArgument`: a file has no snapshots."""
        raise _no_past(self.url, moment=moment)

    def versions(self) -> pa.Table:
        """Raise `InvalidArgument`: a file has no snapshots."""
        raise _no_past(self.url)

    def checkpoint(self) -> None:
        """Write what is in the log into the store's file."""
        with self._writer, self._held(), translated(self.url):
            self._cursor.execute("CHECKPOINT store")


def _no_past(url: str, **facts: Any) -> InvalidArgument:
    message = f"{url} has no snapshots: only a lake keeps what was there before (`features.history` works everywhere)"
    return InvalidArgument(message, path=url, **facts)
