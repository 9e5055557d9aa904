"""What `view()` shows: the newest rows of every registry, or a frame with the dtypes of its features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duckfeat.errors import InvalidArgument
from duckfeat.query.session import Session

if TYPE_CHECKING:
    import polars as pl


_WIDTH = 160
_INCLUDED = ("feature__name", "created_by__handle")
"""Related fields that stand for ids nobody remembers, where a registry has them."""


@dataclass(frozen=True, slots=True)
class View:
    """Titled frames that print one below the other, as text or as HTML."""

    frames: Mapping[str, pl.DataFrame]

    def __repr__(self) -> str:
        import polars

        with polars.Config(
            tbl_cols=-1,
            tbl_width_chars=_WIDTH,
            tbl_hide_dataframe_shape=True,
            tbl_hide_column_data_types=True,
            fmt_str_lengths=40,
        ):
            return "\n\n".join(f"{title}\n{frame}" for title, frame in self.frames.items())

    def _repr_html_(self) -> str:
        return "".join(f"<h4>{title}</h4>{frame._repr_html_()}" for title, frame in self.frames.items())


def overview(session: Session, limit: int) -> View:
    """Return the newest rows of every registry that has any: the columns that say something, who made them, when."""
    frames = {}
    for name, registry in session.registries.items():
        newest = registry.all()[:limit].pl(include=[path for path in _INCLUDED if _leads_on(session, name, path)])
        if len(newest):
            frames[name] = _telling(newest)
    return View(frames)


def _leads_on(session: Session, registry: str, path: str) -> bool:
    return path.partition("__")[0] in session.catalog[registry].relations


def _telling(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame without ids of other records and columns without any value, times to the second."""
    import polars

    telling = [
        column.dt.truncate("1s").dt.strftime("%Y-%m-%d %H:%M:%S").alias(column.name)
        if column.dtype.base_type() == polars.Datetime
        else column
        for column in frame
        if not column.name.endswith("_id") and column.null_count() < len(frame)
    ]
    return polars.DataFrame(telling)


def typed_view(session: Session, df: Any) -> View:
    """Return a frame under one more line: the dtype of each column's feature."""
    import polars

    try:
        frame = df if isinstance(df, polars.DataFrame) else polars.DataFrame(df)
    except (TypeError, ValueError, polars.exceptions.PolarsError):
        raise InvalidArgument(f"view shows a frame, not {df!r}", value=df) from None
    dtypes = {}
    for name in frame.columns:
        found = session.features.find(name) if name in session.features.names() else None
        dtypes[name] = found.dtype.name if found else ""
    shown = frame.rename({name: f"{name}\n{dtype}" if dtype else name for name, dtype in dtypes.items()})
    return View({f"{frame.height} rows x {frame.width} columns": shown})
