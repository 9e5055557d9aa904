"""The writing statements that are made from table descriptions; every value is a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from duckfeat.model.dtypes import Typed
from duckfeat.model.kinds import KINDS, MINUS_ZERO
from duckfeat.model.statement import Statement
from duckfeat.model.tables import MAIN, TRASH, Table

IDS = "SELECT unnest($ids::BIGINT[])"
"""The ids a statement is about, as a subquery of parameter `ids`."""


def taken_uids(table: Table) -> str:
    """Return the statement that finds which of `uids` exist."""
    return f"SELECT uid FROM {table.rows} WHERE uid IN (SELECT unnest($uids::VARCHAR[])) LIMIT 1"


def update_rows(table: Table, columns: Mapping[str, str]) -> str:
    """Return the statement that sets columns (name to SQL type) row by row, from lists `c0`, `c1`, ... with ids."""
    staged = ", ".join(f"unnest($c{i}::{type_}[]) AS {name}" for i, (name, type_) in enumerate(columns.items()))
    assigned = ", ".join(f"{name} = s.{name}" for name in columns if name != "id")
    return f"UPDATE {table.rows} SET {assigned} FROM (SELECT {staged}) AS s WHERE {table.rows}.id = s.id"


def update_row(table: Table, columns: Mapping[str, str]) -> str:
    """Return the statement that sets columns (name to SQL type) of one record to the parameters of the same names."""
    assigned = ", ".join(f"{name} = ${name}::{type_}" for name, type_ in columns.items() if name != "id")
    return f"UPDATE {table.rows} SET {assigned} WHERE id = $id"


def set_columns(table: Table, columns: Sequence[str]) -> str:
    """Return the statement that sets columns of the records of `ids` to the parameters of the same names."""
    assigned = ", ".join(f"{column} = ${column}" for column in columns)
    return f"UPDATE {table.rows} SET {assigned} WHERE id IN ({IDS})"


def remember_branches(table: Table) -> str:
    """Return the statement that notes where records are before they go to the trash."""
    return (
        f"INSERT INTO trashed SELECT $table, id, branch_id FROM {table.rows} "
        f"WHERE id IN ({IDS}) AND branch_id <> {TRASH}"
    )


def bring_back(table: Table) -> str:
    """Return the statement that puts records in the trash back where they were."""
    return (
        f"UPDATE {table.rows} SET branch_id = coalesce("
        f"(SELECT max(t.branch_id) FROM trashed AS t JOIN branches AS b ON t.branch_id = b.id "
        f"WHERE t.table_name = $table AND t.record_id = {table.rows}.id), {MAIN}) "
        f"WHERE id IN ({IDS}) AND branch_id = {TRASH}"
    )


def forget_trashed() -> str:
    """Return the statement that drops the notes of `remember_branches`."""
    return f"DELETE FROM trashed WHERE table_name = $table AND record_id IN ({IDS})"


def on_branch(table: Table) -> str:
    """Return the statement that finds the ids of the records on `branch`."""
    return f"SELECT id FROM {table.rows} WHERE branch_id = $branch ORDER BY id"


def move_trashed() -> str:
    """Return the statement that has what was moved from `branch` to the trash be restored to main."""
    return f"UPDATE trashed SET branch_id = {MAIN} WHERE branch_id = $branch"


def twins(table: Table, columns: Sequence[str]) -> str:
    """Return the statement that finds a record of `ids` whose columns another one outside the trash has, too."""
    others = "".join(f" AND a.{column} IS NOT DISTINCT FROM b.{column}" for column in columns[1:])
    return (
        f"SELECT a.{columns[0]} FROM {table.rows} AS a "
        f"JOIN {table.rows} AS b ON a.{columns[0]} = b.{columns[0]}{others} AND a.id <> b.id "
        f"WHERE a.id IN ({IDS}) AND a.branch_id <> {TRASH} AND b.branch_id <> {TRASH} LIMIT 1"
    )


def count_pointing(table: Table, column: str, *, itself: bool) -> str:
    """Return the statement that counts the rows whose `column` points at `ids`; not those rows if `itself`."""
    others = f" AND id NOT IN ({IDS})" if itself else ""
    return f"SELECT count(*) FROM {table.rows} WHERE {column} IN ({IDS}){others}"


def delete_rows(table: Table, column: str = "id") -> str:
    """Return the statement that deletes the rows whose `column` is one of `ids`."""
    return f"DELETE FROM {table.rows} WHERE {column} IN ({IDS})"


def keep_id_floor(table: Table) -> str:
    """Return the statement that notes the highest id, so that no id is given out twice."""
    return f"INSERT INTO id_floors SELECT $table, max(id) FROM {table.rows} HAVING max(id) IS NOT NULL"


def delete_links(rows: str, sides: Iterable[str]) -> str:
    """Return the statement that deletes links (or their removals) of relations, listed by side, on these sides."""
    ended = (f"(relation IN (SELECT unnest(${side}::VARCHAR[])) AND {side} IN ({IDS}))" for side in sides)
    return f"DELETE FROM {rows} WHERE {' OR '.join(ended)}"


def current_links(near: str) -> str:
    """Return the statement of the pairs that a relation holds for one record."""
    return f"SELECT from_id, to_id FROM current_links WHERE relation = $relation AND {near} = $id"


def find_values(wanted: Sequence[tuple[int, Typed]], columns: Sequence[str] = ("id",)) -> Statement:
    """Return the statement that finds a few values of features: their positions and columns, each by a scan."""
    listed = ", ".join(f"timezone('UTC', {name})" if name == "created_at" else name for name in columns)
    found = [
        f"SELECT {number}, {listed} FROM typed_values WHERE {_is_value(number, typed)}"
        for number, (_, typed) in enumerate(wanted)
    ]
    params: dict[str, Any] = {}
    for number, (feature_id, (kind, physical)) in enumerate(wanted):
        params |= {f"feature{number}": feature_id, f"kind{number}": kind, f"value{number}": physical}
    return Statement(" UNION ALL ".join(found), params)


def _is_value(number: int, typed: Typed) -> str:
    """Return the condition of a typed value; minus zero is not zero."""
    column = KINDS[typed.kind].column
    zero = typed.kind == "float" and typed.physical == 0
    signed = f" AND coalesce({MINUS_ZERO}, FALSE) = signbit($value{number}::DOUBLE)" if zero else ""
    return f"feature_id = $feature{number} AND kind = $kind{number} AND {column} = $value{number}{signed}"
