"""Bulk annotation."""

from __future__ import annotations

from typing import Any


class Report:
    """What a bulk annotation did."""


def annotate(session: Any, data: Any, **options: Any) -> Report:
    """Annotate."""
    raise RuntimeError("being written")
