"""The statements of a bulk annotation that read its keys: which entity a row is of, and which features there are."""

from __future__ import annotations

from collections.abc import Mapping

from duckfeat.compile.conversions import JSON_TYPE, filled
from duckfeat.compile.staging import KEYS, ROWS
from duckfeat.model.tables import TRASH, Table

# --- entities ------------------------------------------------------------------------------------


def keys(source: str, key: str) -> str:
    """Return the query of the distinct keys of an input, each with its first row."""
    return (
        f"SELECT key, min(row) AS row, count(*) AS times FROM (SELECT {key} AS key, row FROM {source}) "
        "WHERE key IS NOT NULL GROUP BY ALL"
    )


def keys_counted() -> str:
    """Return the query of the number of rows that have a key, and of keys."""
    return f"SELECT coalesce(sum(times), 0)::BIGINT, count(*) FROM {KEYS}"


def matched() -> str:
    """Return the query of the number of records found, and of keys that found one."""
    return f"SELECT count(*), count(DISTINCT row) FROM {ROWS}"


def without_key(source: str, key: str) -> str:
    """Return the query of the rows that have no key."""
    return f"SELECT row FROM {source} WHERE ({key}) IS NULL ORDER BY row"


def keys_of(table: Table, field: str) -> str:
    """Return the query of the ids of some records and what a field of theirs holds."""
    return f"SELECT id, {field} FROM {table.rows} WHERE id IN (SELECT unnest($ids::BIGINT[]))"


def content(source: str, column: str) -> str:
    """Return the query of what the first of some rows has in a column, as text."""
    return f"SELECT {column}::VARCHAR FROM {source} WHERE row = $row"


def named(table: Table, field: str) -> str:
    """Return the query of the records that the keys name; those in the trash do not count."""
    latest = " AND r.is_latest" if field == "key" and "is_latest" in table.fields else ""
    return (
        f"SELECT k.row, k.key, r.id AS entity_id FROM {KEYS} AS k JOIN {table.rows} AS r ON r.{field} = k.key "
        f"WHERE r.branch_id <> {TRASH}{latest}"
    )


def ambiguous() -> str:
    """Return the query of the keys that name several records."""
    return f"SELECT key, min(row), count(*) FROM {ROWS} GROUP BY key HAVING count(*) > 1 ORDER BY ALL"


def unknown() -> str:
    """Return the query of the keys that name no record, in the order of their first rows."""
    return f"SELECT row, key FROM {KEYS} AS k ANTI JOIN {ROWS} AS r ON k.row = r.row ORDER BY row"


def in_trash(table: Table) -> str:
    """Return the query of the keys that are uids of records in the trash."""
    return f"SELECT k.key, k.row FROM {KEYS} AS k JOIN {table.rows} AS r ON r.uid = k.key WHERE r.branch_id = {TRASH}"


def new_uid(length: int) -> str:
    """Return the expression of a random uid: `secret` is random for the statement, `entity_id` tells rows apart.

    The digits of the digest in base 64, with its two marks written as a digit and a letter.
    """
    digest = "to_base64(unhex(md5($secret::VARCHAR || entity_id::VARCHAR)))"
    return f"left(translate({digest}, '+/', '0a'), {int(length)})"


def numbered(first: str) -> str:
    """Return the query of the unknown keys with new ids."""
    return f"SELECT row, key, {first} - 1 + row_number() OVER (ORDER BY row) AS entity_id FROM ({unknown()})"


def new_rows(source: str, key: str) -> str:
    """Return the query of all rows of an input with new ids, in their order."""
    return f"SELECT row, {key} AS key, row + $first::BIGINT AS entity_id FROM {source}"


def newly_numbered() -> str:
    """Return the statement that gives the unknown keys their ids, from `first` on."""
    return f"INSERT INTO {ROWS} {numbered('$first::BIGINT')}"


def made() -> str:
    """Return the query of the keys whose records are to be made."""
    return f"SELECT * FROM {ROWS} WHERE entity_id >= $first"


def make(table: Table, columns: Mapping[str, str], rows: str) -> str:
    """Return the statement that makes records; `columns` maps columns to expressions."""
    return f"INSERT INTO {table.rows} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM ({rows}) AS n"


def uids_twice(table: Table) -> str:
    """Return the query that counts uids of new records that another record has."""
    return (
        f"SELECT count(*) FROM (SELECT uid FROM {table.rows} WHERE id >= $first GROUP BY uid HAVING count(*) > 1 "
        f"UNION ALL SELECT n.uid FROM {table.rows} AS n SEMI JOIN (SELECT uid FROM {table.rows} WHERE id < $first) "
        "AS o ON n.uid = o.uid WHERE n.id >= $first)"
    )


def rows_of_keys(source: str, key: str) -> str:
    """Return the query of the entity of every row, where several rows are of one."""
    keyed = f"SELECT row, {key} AS key FROM {source}"
    return f"SELECT s.row, r.entity_id FROM ({keyed}) AS s JOIN {ROWS} AS r ON s.key = r.key"


# --- features ------------------------------------------------------------------------------------


def feature_names(source: str, name: str) -> str:
    """Return the query of the names of features in a long input, in the order of their first rows."""
    return f"SELECT {name} AS name FROM {source} WHERE {name} IS NOT NULL GROUP BY ALL ORDER BY min(row)"


def nameless(source: str, name: str, value: str) -> str:
    """Return the query of the rows of a long input that have a value and no feature."""
    return f"SELECT row FROM {source} WHERE ({name}) IS NULL AND {value} IS NOT NULL ORDER BY row"


_NUMBER = "-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?"
_WHOLE = "-?(0|[1-9][0-9]*)"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT = f"{_DAY}[ T][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{1,6}})?)?"
_LOOKS: Mapping[str, str] = {
    "bool": "lower(v) IN ('true', 'false')",
    "int": f"regexp_full_match(v, '{_WHOLE}') AND try_cast(v AS BIGINT) IS NOT NULL",
    # A whole number that is too large for an int would lose digits.
    "float": (
        f"CASE WHEN regexp_full_match(v, '{_WHOLE}') THEN try_cast(v AS BIGINT) IS NOT NULL "
        f"ELSE regexp_full_match(v, '{_NUMBER}') OR lower(v) IN ('nan', 'inf', '-inf') END"
    ),
    "date": f"regexp_full_match(v, '{_DAY}') AND try_cast(v AS DATE) IS NOT NULL",
    "datetime": f"regexp_full_match(v, '{_MOMENT}') AND try_cast(v AS TIMESTAMP) IS NOT NULL",
    "datetime[UTC]": (
        f"regexp_full_match(v, '{_MOMENT}(Z|[+-][0-9]{{2}}:?[0-9]{{2}})') "
        "AND try_cast(v AS TIMESTAMP WITH TIME ZONE) IS NOT NULL"
    ),
}
RAW_DTYPES = tuple(_LOOKS)
"""The dtypes that the cells of a text file may look like, the first that all of them do counts."""


def inferred(source: str, name: str, value: str, family: str) -> str:
    """Return the query of what all cells are, by name.

    That is flags for `RAW_DTYPES`, or the list of JSON types and that of the types of the items of arrays.
    """
    items = f"list_distinct(list_transform(json_extract(v, '$[*]'), lambda item: {filled(JSON_TYPE, 'item')}))"
    facts = (
        f"list(DISTINCT {filled(JSON_TYPE, 'v')}), "
        f"list_distinct(flatten(list(DISTINCT {items}) FILTER (json_type(v) = 'ARRAY')))"
    )
    if family == "raw":
        facts = ", ".join(f"bool_and({looks})" for looks in _LOOKS.values())
    return (
        f"SELECT name, {facts} FROM (SELECT {name} AS name, {value} AS v FROM {source}) "
        "WHERE v IS NOT NULL GROUP BY ALL"
    )
