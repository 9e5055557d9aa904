"""What a bulk annotation refuses: an error with the first few cells, or a frame of all that were skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from duckfeat.compile import staging
from duckfeat.compile.staging import Cells, Part
from duckfeat.errors import ValidationError
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.sql_types import SqlType
from duckfeat.model.statement import Statement
from duckfeat.query.session import Session
from duckfeat.registries.bulk_decide import reader
from duckfeat.registries.bulk_plan import Options

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 5
_SECOND = "is a second value of a feature that takes one: an earlier row gives another"
_BESIDE = (
    "is a second value of a feature that takes one, and a different one is there: replace it with mode='update' or "
    "'set', or register the feature with multiple=True"
)


class Refusals:
    """Collects the cells that are refused. Where they raise, `raise_any` does so when all features were looked at."""

    def __init__(self, session: Session, options: Options) -> None:
        self._session = session
        self._engine = session.engine
        self._skip = options.skip
        self._frames: list[pl.DataFrame] = []
        self._lines: list[str] = []
        self._facts: dict[str, Any] = {}
        self._count = 0
        self._untouched = False

    @property
    def failed(self) -> bool:
        """Whether something was refused that raises."""
        return self._count > 0 and not self._skip

    def raise_any(self) -> None:
        """Raise `ValidationError` with the first few refused cells, if there are any and they are not skipped."""
        if not self.failed:
            return
        if self._count == 1:
            raise ValidationError(self._lines[0], count=1, **self._facts)
        more = f"\n  ... {self._count - len(self._lines)} more" if self._count > len(self._lines) else ""
        listed = "".join(f"\n  {line}" for line in self._lines)
        raise ValidationError(f"{self._count} values are refused:{listed}{more}", count=self._count, **self._facts)

    def skipped(self) -> pl.DataFrame:
        """Return what was skipped: `row`, `feature`, `value` as text, `reason`."""
        import polars

        schema = {
            "row": polars.Int64,
            "feature": polars.String,
            "value": polars.String,
            "reason": polars.String,
        }
        return polars.concat([polars.DataFrame(schema=schema), *self._frames]).sort("row", maintain_order=True)

    # --- what is refused -------------------------------------------------------------------------

    def add_rows(self, rows: Sequence[tuple[int, str]]) -> None:
        """Add rows that have no entity."""
        self._keep([(row, None, None, reason) for row, reason in rows])

    def add(self, cells: Cells, infos: Sequence[FeatureInfo], type_: SqlType) -> None:
        """Add the staged cells that are refused."""
        self._refuse(staging.refused(), infos, reader(type_, cells.dtype))

    def add_unnamed(self, infos: Sequence[FeatureInfo], part: Part, params: Mapping[str, Any]) -> int:
        """Add the cells whose names are nobody's, and return how many there are."""
        before = self._count
        self._refuse(staging.unnamed_cells(part), infos, str, params)
        return self._count - before

    def add_second(self, infos: Sequence[FeatureInfo]) -> bool:
        """Add the staged second values of entities, and tell whether there are any."""
        before = self._count
        self._refuse(staging.second_cells(_SECOND, _BESIDE), infos, _as_text)
        return self._count > before

    def _refuse(
        self, sql: str, infos: Sequence[FeatureInfo], read: Any, params: Mapping[str, Any] | None = None
    ) -> None:
        """Add the cells of a query of row, entity_id, feature_id, v and reason."""
        given = dict(params or {})
        count = self._engine.rows(Statement(staging.counted(f"({sql})"), given))[0][0]
        self._count += count
        if not count:
            return
        by_id = {info.id: info for info in infos}
        if not self._skip:
            found = self._engine.arrow(Statement(staging.few(sql, _SHOWN), given)).to_pylist()
            for cell in found[: _SHOWN - len(self._lines)]:
                self._note(by_id[cell["feature_id"]], _read(read, cell["v"]), cell["row"], cell["reason"])
            return
        self._engine.write(staging.untouched(sql, again=self._untouched), given)
        self._untouched = True
        self._keep(
            [(row, by_id[id_].name, value, reason) for row, id_, value, reason in self._rows(staging.texts(sql), given)]
        )

    def _note(self, info: FeatureInfo, value: Any, row: int, reason: str) -> None:
        shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
        kind = type(value).__name__
        self._lines.append(f"feature {info.name!r} has dtype {info.dtype.name}: {shown} ({kind}) {reason} (row {row})")
        if not self._facts:
            self._facts = {
                "feature": info.name,
                "dtype": info.dtype.name,
                "value": value,
                "row": row,
                "reason": reason,
            }

    def _keep(self, rows: Sequence[tuple[Any, ...]]) -> None:
        import polars

        schema = {"row": polars.Int64, "feature": polars.String, "value": polars.String, "reason": polars.String}
        if rows:
            self._frames.append(polars.DataFrame(rows, schema=schema, orient="row"))

    def _rows(self, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._engine.rows(Statement(sql, dict(params)))

    def touched(self, named: str) -> str:
        """Return the query of the pairs of feature and entity that are named, but for those with a skipped cell."""
        return staging.but_untouched(named) if self._untouched else named


def _read(read: Any, value: Any) -> Any:
    try:
        return read(value)
    except ValueError:
        return value


def _as_text(value: Any) -> Any:
    return value
