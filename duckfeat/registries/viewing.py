"""What `view()` shows: the newest rows of every registry, or a frame with the dtypes of its features."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duckfeat.errors import InvalidArgument
from duckfeat.model.arguments import nests_beyond, shown
from duckfeat.model.dtypes import is_missing
from duckfeat.query.session import Session

if TYPE_CHECKING:
    import polars as pl


_WIDTH, _NARROWEST = 160, 60
"""How wide the text of a frame is where no terminal says it, and at least."""
_INCLUDED = ("feature__name", "created_by__handle")
"""Related fields that stand for ids nobody remembers, where a registry has them."""


@dataclass(frozen=True, slots=True)
class View:
    """Titled frames that print one below the other, as text or as HTML; `totals` says of which there are more rows.

    The text is as wide as the terminal: columns for which that is not enough follow below, beside the first one.
    """

    frames: Mapping[str, pl.DataFrame]
    totals: Mapping[str, int] = field(default_factory=dict)

    def _headed(self) -> list[tuple[str, pl.DataFrame]]:
        """Return the frames with what stands above each."""
        return [
            (f"{title} (the newest {len(frame):,} of {self.totals[title]:,})" if title in self.totals else title, frame)
            for title, frame in self.frames.items()
        ]

    def __repr__(self) -> str:
        import polars

        width = max(shutil.get_terminal_size((_WIDTH, 0)).columns, _NARROWEST)
        with polars.Config(
            tbl_cols=-1,
            tbl_width_chars=_UNLIMITED,
            tbl_hide_dataframe_shape=True,
            tbl_hide_column_data_types=True,
            fmt_str_lengths=40,
        ):
            return "\n\n".join(f"{title}\n{_text(frame, width)}" for title, frame in self._headed())

    def _repr_html_(self) -> str:
        return "".join(f"<h4>{title}</h4>{frame._repr_html_()}" for title, frame in self._headed())


_UNLIMITED = 10_000


def _text(frame: pl.DataFrame, width: int) -> str:
    """Return a frame as tables of no more than some width, one below the other."""
    if frame.width < 2:
        return str(frame)
    widths = {name: len(str(frame.select(name)).partition("\n")[0]) - 1 for name in frame.columns}
    first, *others = frame.columns
    parts: list[list[str]] = [[first]]
    for name in others:
        if len(parts[-1]) > 1 and 1 + sum(widths[each] for each in (*parts[-1], name)) > width:
            parts.append([first])
        parts[-1].append(name)
    return "\n".join(str(frame.select(part)) for part in parts)


def overview(session: Session, limit: int) -> View:
    """Return the newest rows of every registry that has any: the columns that say something, who made them, when."""
    frames, totals = {}, {}
    for name, registry in session.registries.items():
        newest = registry.all()[:limit].pl(include=[path for path in _INCLUDED if _leads_on(session, name, path)])
        if len(newest):
            frames[name] = _telling(newest)
        if len(newest) == limit and (count := registry.all().count()) > limit:
            totals[name] = count
    return View(frames, totals)


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
    frame = _as_polars(df)
    dtypes: dict[str, set[str]] = {}
    for info in session.features.all():
        dtypes.setdefault(info.name, set()).add(info.dtype.name)
    shown = {name: "\n".join([name, " or ".join(sorted(dtypes.get(name, ())))]).rstrip("\n") for name in frame.columns}
    if len(set(shown.values())) == len(shown):
        frame = frame.rename(shown)
    return View({f"{frame.height:,} rows x {frame.width} columns": frame})


def _as_polars(df: Any) -> pl.DataFrame:
    import polars

    if isinstance(df, polars.DataFrame):
        return df
    if hasattr(df, "iloc") and hasattr(df, "columns"):
        return _of_pandas(df)
    # Polars crashes the process on a list that holds itself.
    if not isinstance(df, str | bytes) and not nests_beyond(df):
        with suppress(TypeError, ValueError, OverflowError, polars.exceptions.PolarsError):
            return polars.DataFrame(df)
    raise InvalidArgument(f"view shows a frame, not {shown(df)}; .df() and .pl() give one", value=df)


def _of_pandas(df: Any) -> pl.DataFrame:
    """Return a pandas frame column by column; what Polars has no type for is shown as text."""
    import polars

    columns: dict[str, pl.Series] = {}
    for position, label in enumerate(df.columns):
        name, number = str(label), 2
        while name in columns:
            name, number = f"{label}_{number}", number + 1
        values = df.iloc[:, position]
        try:
            column = polars.Series(name, values)
        except (TypeError, ValueError, OverflowError, polars.exceptions.PolarsError):
            column = None
        if column is None or column.dtype.is_nested():
            column = polars.Series(name, [None if is_missing(value) else str(value) for value in values], polars.String)
        columns[name] = column
    return polars.DataFrame(list(columns.values()))
