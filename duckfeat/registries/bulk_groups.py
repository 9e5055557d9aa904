"""The features of a bulk annotation in groups whose cells are converted alike: by column, or by dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from duckfeat.compile import staging
from duckfeat.compile.conversions import SEVERAL, conversion
from duckfeat.compile.staging import Cells, Rows
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.sql_types import Column, SqlType
from duckfeat.registries.bulk_plan import Long, Plan, name_sql

_Columns = Sequence[tuple[FeatureInfo, Column]]


@dataclass(frozen=True, slots=True)
class Group:
    """Features whose cells are converted alike, and those cells.

    `cell` is the column of the input that the cells stand in, None if that is more than one. `named` is the query of
    the pairs of feature and entity that the input is about, `spread` tells whether a cell may hold several values.
    """

    infos: tuple[FeatureInfo, ...]
    type: SqlType
    cells: Cells
    cell: str | None
    named: str
    spread: bool

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the features."""
        return tuple(info.id for info in self.infos)

    @property
    def first(self) -> FeatureInfo:
        """One of the features, which stands for all: their dtypes are the same."""
        return self.infos[0]


_MANY_COLUMNS = 25
"""With more columns than that the time for statements about each of them is felt."""
_CELLS_TOGETHER = 100_000
"""So many cells of several columns at most are looked at together: of more, the cells take longer than statements."""


def groups(plan: Plan, rows: Rows, total: int, mode: str) -> list[Group]:
    """Return the groups of a plan for so many rows: by column of a wide input, by dtype of a long one.

    The columns of a wide input that are many and short are grouped by their types and dtypes, too.
    """
    if plan.long is None:
        together = _CELLS_TOGETHER // max(total, 1)
        if together > 1 and len(plan.columns) > _MANY_COLUMNS:
            return [_several(rows, part) for part in _alike(plan.columns, together)]
        return [_group((info,), column, _wide(rows, info, column), whole=True) for info, column in plan.columns]
    alike: dict[Any, list[FeatureInfo]] = {}
    for _, info in plan.long.features:
        alike.setdefault((info.dtype, info.coerce, info.multiple), []).append(info)
    return [
        _group(tuple(infos), plan.long.value, _long(rows, plan.long, infos), whole=mode == "set")
        for infos in alike.values()
    ]


def _alike(columns: _Columns, most: int) -> Iterator[_Columns]:
    """Yield the columns that are converted alike, so many together at most."""
    alike: dict[Any, list[tuple[FeatureInfo, Column]]] = {}
    for info, column in columns:
        alike.setdefault((column.type, info.dtype, info.coerce, info.multiple), []).append((info, column))
    for found in alike.values():
        for start in range(0, len(found), most):
            yield found[start : start + most]


def _several(rows: Rows, columns: _Columns) -> Group:
    """Return the group of columns of one type whose features have one dtype."""
    infos, ids = tuple(info for info, _ in columns), [column.id for _, column in columns]
    column = replace(columns[0][1], id=staging.CELL)
    group = _group(
        infos,
        column,
        lambda cell: staging.together(rows, ids, [info.id for info in infos], cell),
        whole=True,
    )
    return replace(group, cell=None)


def _wide(rows: Rows, info: FeatureInfo, column: Column) -> Callable[[str], str]:
    return lambda cell: staging.wide(rows, column.id, info.id, cell)


def _long(rows: Rows, long: Long, infos: Sequence[FeatureInfo]) -> Callable[[str], str]:
    columns, name, ids = (long.name.id, long.value.id), name_sql(long.name), [info.id for info in infos]
    return lambda cell: staging.long(rows, columns, name, ids, cell)


def _group(infos: tuple[FeatureInfo, ...], column: Column, cells: Callable[[str], str], *, whole: bool) -> Group:
    info, ids = infos[0], tuple(info.id for info in infos)
    spread = _spread(info, column) if info.multiple else None
    type_, cell = spread or (column.type, column.id)
    several = type_.family == "list" and not info.multiple and info.dtype.base.name != "list"
    taken = SEVERAL if several else conversion(type_, info.dtype, coerce=info.coerce)
    named = staging.pairs_of_all(ids) if whole else staging.pairs_in(cells(column.id))
    raw = Cells(staging.present(cells(cell)), info.dtype, taken, _key_of(type_), ids)
    return Group(infos, type_, raw, column.id, named, spread is not None)


def _spread(info: FeatureInfo, column: Column) -> tuple[SqlType, str] | None:
    """Return the type and the expression of the values in a cell that may hold several; None if it holds one."""
    lists = info.dtype.base.name == "list"
    if column.type.family == "json":
        return column.type, staging.items(column.id, lists=lists)
    item = column.type.item
    # Of a feature whose values are lists, a cell of several values holds lists.
    if item is None or (lists and item.family != "list"):
        return None
    return item, f"unnest({column.id})"


def _key_of(type_: SqlType) -> str:
    """Return the expression that tells cells of a type apart as text, also minus zero from zero."""
    if type_.family in {"text", "raw", "json", "decimal", "big", "date"}:
        return "v::VARCHAR"
    return "to_json(v)::VARCHAR"
