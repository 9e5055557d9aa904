"""Finding one typed value of a feature, and remembering where it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from duckfeat.compile.writes import find_value
from duckfeat.model.dtypes import Typed
from duckfeat.model.statement import Statement
from duckfeat.query.session import Session

_COLUMNS = ("id", "feature_id", "created_at", "created_by_id", "run_id", "branch_id", "space_id")
_REMEMBERED = 65_536


class _Unknown(LookupError):
    """The value does not exist, which is not remembered."""


@dataclass(frozen=True, slots=True)
class _Key:
    epoch: tuple[int, int]
    feature_id: int
    hash: str
    typed: Typed = field(compare=False)


class KnownValues:
    """The values of a store, one at a time: a value that was found once is found again without a statement.

    What other transactions have not committed is never remembered; `forget` makes everything be read again, as does
    a write by another process.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._epoch = 0
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._read)

    def forget(self) -> None:
        """Read values anew from now on: some were deleted, changed, or rolled back."""
        self._epoch += 1

    def find(self, feature_id: int, typed: Typed) -> Mapping[str, Any] | None:
        """Return the stored columns of a typed value of a feature, or None."""
        key = _Key((self._epoch, self._session.engine.refresh()), feature_id, typed.hash, typed)
        try:
            return self._read(key) if self._session.engine.writing else self._remembered(key)
        except _Unknown:
            return None

    def _read(self, key: _Key) -> Mapping[str, Any]:
        kind, physical = key.typed
        params = {"feature": key.feature_id, "kind": kind, "value": physical}
        rows = self._session.engine.rows(Statement(find_value(kind, _COLUMNS), params))
        if not rows:
            raise _Unknown(key.hash)
        return dict(zip(_COLUMNS, rows[0], strict=True))
