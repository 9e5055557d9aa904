"""What `view()` shows: the newest rows of every registry, or a frame with the dtypes of its features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duckfeat.query.session import Session

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class View:
    """Titled frames that print one below the other, as text or as HTML."""

    frames: Mapping[str, pl.DataFrame]

    def __repr__(self) -> str:
        return "\n\n".join(f"{title}\n{frame}" for title, frame in self.frames.items())

    def _repr_html_(self) -> str:
        return "".join(f"<h4>{title}</h4>{frame._repr_html_()}" for title, frame in self.frames.items())


def overview(session: Session, limit: int) -> View:
    """Return the newest rows of every registry that has any."""
    frames = {}
    for name, registry in session.registries.items():
        newest = registry.all()[:limit].pl()
        if len(newest):
            frames[name] = newest
    return View(frames)


def typed_view(session: Session, df: Any) -> View:
    """Return a frame under one more line: the dtype of each column's feature."""
    import polars

    frame = df if isinstance(df, polars.DataFrame) else polars.DataFrame(df)
    dtypes = {}
    for name in frame.columns:
        found = session.features.find(name) if name in session.features.names() else None
        dtypes[name] = found.dtype.name if found else ""
    shown = frame.rename({name: f"{name}\n{dtype}" if dtype else name for name, dtype in dtypes.items()})
    return View({f"{frame.height} rows x {frame.width} columns": shown})
