"""What a bulk annotation refuses: an error with the first few cells, or a frame of all that were skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from duckfeat.compile import staging, staging_keys
from duckfeat.compile.staging import Part
from duckfeat.errors import ValidationError
from duckfeat.model.arguments import shown
from duckfeat.model.dtypes import if_coerced
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.sql_types import SqlType
from duckfeat.model.statement import Statement
from duckfeat.query.session import Session
from duckfeat.registries.bulk_decide import told
from duckfeat.registries.bulk_plan import Options
from duckfeat.registries.categories import nearest

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 5
_EXPLAINED = 50
"""For so many unknown names the nearest known ones are searched."""
_SECOND = "is a second value of a feature that takes one: an earlier row gives another"
_BESIDE = (
    "is a second value of a feature that takes one, and a different one is there: replace it with mode='update' or "
    "'set', or register the feature with multiple=True"
)


_Telling = tuple[str, Callable[[Any], Any]]
_AS_TOLD: _Telling = ("v", lambda value: value)


class Refusals:
    """Collects the cells that are refused. Where they raise, `raise_any` does so when all features were looked at."""

    def __init__(self, session: Session, options: Options) -> None:
        self._session = session
        self._engine = session.engine
        self._options = options
        self._skip = options.skip
        self._frames: list[pl.DataFrame] = []
        self._lines: list[str] = []
        self._facts: dict[str, Any] = {}
        self._count = 0
        self._untouched = False
        self._explained: Callable[[str], str] | None = None

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
        more = f"\n  ... {self._count - len(self._lines):,} more" if self._count > len(self._lines) else ""
        listed = "".join(f"\n  {line}" for line in self._lines)
        raise ValidationError(f"{self._count:,} values are refused:{listed}{more}", count=self._count, **self._facts)

    def skipped(self) -> pl.DataFrame:
        """Return what was skipped: `row`, `feature`, `value` as text, `reason`."""
        import polars

        return polars.concat([polars.DataFrame(schema=_schema()), *self._frames]).sort("row", maintain_order=True)

    # --- what is refused -------------------------------------------------------------------------

    def add_rows(self, rows: Sequence[tuple[int, str]]) -> None:
        """Add rows that have no entity."""
        import polars

        if rows:
            listed = [(row, None, None, reason) for row, reason in rows]
            self._frames.append(polars.DataFrame(listed, schema=_schema(), orient="row"))

    def add(self, infos: Sequence[FeatureInfo], type_: SqlType) -> None:
        """Add the staged cells that are refused."""
        self._refuse(staging.refused(), infos, told(type_))

    def add_unnamed(self, infos: Sequence[FeatureInfo], part: Part, params: Mapping[str, Any]) -> int:
        """Add the cells whose names are nobody's, and return how many there are."""
        before = self._count
        self._explained = self._explain(infos[0])
        self._refuse(staging.unnamed_cells(part), infos, _AS_TOLD, params)
        self._explained = None
        return self._count - before

    def add_second(self, infos: Sequence[FeatureInfo]) -> int:
        """Add the staged second values of entities, and return how many there are."""
        before = self._count
        if infos[0].dtype.is_cat:
            table = self._session.catalog[infos[0].dtype.registry or ""]
            self._refuse(staging.second_names(table, _SECOND, _BESIDE), infos, _AS_TOLD)
        else:
            values = self._session.registries["FeatureValue"]
            telling = ("value_id", lambda id_: values.get(id_).value)
            self._refuse(staging.second_values(_SECOND, _BESIDE), infos, telling)
        return self._count - before

    def _refuse(
        self, sql: str, infos: Sequence[FeatureInfo], telling: _Telling, params: Mapping[str, Any] | None = None
    ) -> None:
        """Add the cells of a query of row, entity_id, feature_id, v and reason."""
        given = dict(params or {})
        count = self._engine.rows(Statement(staging.counted(f"({sql})"), given))[0][0]
        self._count += count
        if not count:
            return
        by_id = {info.id: info for info in infos}
        if not self._skip:
            found = self._engine.arrow(Statement(staging.few(sql, _SHOWN, telling[0]), given))
            columns = ("feature_id", "v", "text", "row", "reason", "entity_id")
            keys = self._keys(found["entity_id"].to_pylist())
            for cell in zip(*(found[name] for name in columns), strict=True):
                if len(self._lines) < _SHOWN:
                    feature_id, text, row, reason = (cell[place].as_py() for place in (0, 2, 3, 4))
                    of = f"{self._options.key} {shown(keys[cell[5].as_py()])}"
                    told = _read(telling[1], cell[1], text)
                    self._note(by_id[feature_id], told, (row, of), reason or self._reason(text))
            return
        self._engine.write(staging.untouched(sql, again=self._untouched), given)
        self._untouched = True
        self._keep_cells(sql, given, {id_: info.name for id_, info in by_id.items()})

    def _keep_cells(self, sql: str, params: Mapping[str, Any], names: Mapping[int, str]) -> None:
        import polars

        cells = polars.DataFrame(self._engine.arrow(Statement(staging.texts(sql), dict(params))))
        values = cells.filter(reason="")["value"].unique(maintain_order=True).to_list()
        reasons = {value: self._reason(value) for value in values}
        told = polars.col("reason").replace("", None)
        self._frames.append(
            cells.select(
                "row",
                polars.col("feature_id").replace_strict(names, return_dtype=polars.String).alias("feature"),
                "value",
                told.fill_null(polars.col("value").replace_strict(reasons, default=None, return_dtype=polars.String)),
            )
        )

    def _reason(self, value: str) -> str:
        return self._explained(value) if self._explained else ""

    def _explain(self, info: FeatureInfo) -> Callable[[str], str]:
        """Return what says why a name is nobody's, with the nearest there are for the first different ones."""
        table = self._session.catalog[info.dtype.registry or ""]
        typed = f" of type {info.dtype.registry_type!r}" if info.dtype.registry_type else ""
        known: dict[str, str] = {}

        def explained(value: str) -> str:
            if value not in known:
                near = nearest(self._session, info, value) if len(known) < _EXPLAINED else []
                meant = f" (did you mean {', '.join(map(repr, near))}?)" if near else ""
                known[value] = f"is no {table.name}{typed}{meant}"
            return known[value]

        return explained

    def _keys(self, ids: Sequence[int]) -> dict[int, Any]:
        """Return what the key of the input says of entities, by their ids."""
        table = self._options.table
        sql = staging_keys.keys_of(table, table.field(self._options.key).column)
        return dict(self._engine.rows(Statement(sql, {"ids": list(ids)})))

    def _note(self, info: FeatureInfo, told: tuple[Any, str], where: tuple[int, str], reason: str) -> None:
        (value, how), (row, entity) = told, where
        remedy = "" if info.coerce or value is how else if_coerced(info.dtype, value)
        line = f"feature {info.name!r} has dtype {info.dtype.name}: {how} {reason} (row {row}, {entity}){remedy}"
        self._lines.append(line)
        if not self._facts:
            self._facts = {
                "feature": info.name,
                "dtype": info.dtype.name,
                "value": value,
                "row": row,
                "reason": reason,
            }

    def touched(self, named: str) -> str:
        """Return the query of the pairs of feature and entity that are named, but for those with a skipped cell."""
        return staging.but_untouched(named) if self._untouched else named


def _schema() -> dict[str, Any]:
    import polars

    return {"row": polars.Int64, "feature": polars.String, "value": polars.String, "reason": polars.String}


def _read(read: Callable[[Any], Any], cell: Any, text: str) -> tuple[Any, str]:
    """Return the value of an Arrow cell and how it is shown; its text for both where Python has none like it."""
    try:
        value = read(cell.as_py())
    except (ValueError, OverflowError):
        return text, text
    return value, f"{shown(value)} ({type(value).__name__})"
