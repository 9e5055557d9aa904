"""Records put back as they were when what was being done with them fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def putting_back(record: Any) -> Callable[[], None]:
    """Return what gives a record the fields again that it has now."""
    before = dict(record.__dict__)

    def put_back() -> None:
        record.__dict__.clear()
        record.__dict__.update(before)

    return put_back
