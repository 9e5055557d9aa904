"""Finding one typed value of a feature, and remembering where it was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duckfeat.compile.writes import find_values
from duckfeat.model.dtypes import Typed
from duckfeat.query.session import Session

_COLUMNS = ("id", "feature_id", "created_at", "created_by_id", "run_id", "branch_id", "space_id")
_REMEMBERED = 65_536


class KnownValues:
    """The values of a store, one at a time: a value that was found once is found again without a statement.

    What a transaction has not committed is never remembered; `forget` makes everything be read again, as does a
    write by another process.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._epoch = 0
        self._remembered: dict[tuple[int, int, int, str], Mapping[str, Any]] = {}

    def forget(self) -> None:
        """Read values anew from now on: some were deleted, changed, or rolled back."""
        self._epoch += 1

    def find(self, feature_id: int, typed: Typed) -> Mapping[str, Any] | None:
        """Return the stored columns of a typed value of a feature, or None."""
        engine = self._session.engine
        key = (self._epoch, engine.refresh(), feature_id, typed.hash)
        known = self._remembered.get(key)
        if known is not None:
            return known
        committed = not engine.writing
        rows = engine.rows(find_values([(feature_id, typed)], _COLUMNS))
        if not rows:
            return None
        columns = dict(zip(_COLUMNS, rows[0][1:], strict=True))
        if committed:
            self._remember(key, columns)
        return columns

    def _remember(self, key: tuple[int, int, int, str], columns: Mapping[str, Any]) -> None:
        if len(self._remembered) >= _REMEMBERED:
            self._remembered = {}
        self._remembered[key] = columns
