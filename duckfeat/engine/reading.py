"""What a SELECT that somebody wrote by hand may do: read this store, and nothing outside it.

That a statement is a SELECT says little: it may read files (`read_text`, `FROM 'x.csv'`), run SQL given as text
(`query`), change the engine (`checkpoint`), wait, write log entries, load an extension by naming its function, and
from DuckDB 2.0 on it may write inside a WITH. So DuckDB parses the text, and every node of its parse tree is
compared with what is allowed: tables of the store, DuckDB's own functions but those below, and few table functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from duckfeat.errors import InvalidArgument

_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_TABLE_FUNCTIONS = frozenset(
    [
        "duckdb_columns",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "generate_subscripts",
        "json_each",
        "json_tree",
        "pragma_table_info",
        "pragma_version",
        "range",
        "regexp_split_to_table",
        "repeat",
        "repeat_row",
        "unnest",
    ]
)
# Wait, end a query, change the engine or its log, or move a sequence.
_ACTING = frozenset(
    [
        "currval",
        "get_block_size",
        "getenv",
        "nextval",
        "pg_sleep",
        "set_config",
        "setseed",
        "setval",
        "sleep_ms",
        "write_log",
        "json_execute_serialized_sql",
    ]
)
_SCHEMAS = frozenset({"", "main", "information_schema", "pg_catalog"})
_CATALOGS = frozenset({"", "store", "system", "temp"})
_OWN = frozenset({"", "system"})
_PLAIN = re.compile(r'\w+|"(?:databases|tables|variables)"')
_OPT_IN = "; sql(..., trusted=True) lets a query that you wrote yourself do it"

_BUILT_IN = """
SELECT DISTINCT lower(function_name) FROM duckdb_functions()
WHERE database_name = 'system' AND function_type IN ('scalar', 'aggregate', 'macro')
"""
_TYPES = "SELECT lower(type_name) FROM duckdb_types() WHERE database_name = 'system'"
# Of the views only DuckDB's own: the store may have some that somebody else has put there.
_VIEWS = "SELECT lower(view_name) FROM duckdb_views() WHERE database_name = 'system'"
_STORED_VIEWS = "SELECT lower(view_name) FROM duckdb_views() WHERE database_name = 'store' AND NOT internal"
# Functions by syntax, which the catalog does not list: window functions.
_SYNTAX = frozenset(
    [
        "cume_dist",
        "dense_rank",
        "fill",
        "first_value",
        "lag",
        "last_value",
        "lead",
        "nth_value",
        "ntile",
        "percent_rank",
        "rank",
        "row_number",
        "unnest",
    ]
)


@dataclass(frozen=True, slots=True)
class Known:
    """What an engine has of its own: names in lower case."""

    functions: frozenset[str]
    types: frozenset[str]
    stored: frozenset[str]
    views: frozenset[str]
    foreign: frozenset[str]

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, tables: Iterable[str], views: Iterable[str]) -> Known:
        """Read the names beside those of the store's tables and views; it takes some 20 ms, so keep what comes back."""
        functions, types, system, stored = (
            _names(connection, sql) for sql in (_BUILT_IN, _TYPES, _VIEWS, _STORED_VIEWS)
        )
        return cls(functions, types, frozenset(tables), frozenset(views) | system, stored - frozenset(views))


def check_select(query: str) -> None:
    """Raise `InvalidArgument` unless a text is one SELECT."""
    found = duckdb.extract_statements(query)
    if len(found) != 1 or not _is_select(found[0]):
        raise InvalidArgument("sql() takes one SELECT; to write, use the registries", query=query)


def _is_select(statement: duckdb.Statement) -> bool:
    try:
        return bool(statement.type == duckdb.StatementType.SELECT)
    except ValueError:  # DuckDB has kinds of statements that its client does not know
        return False


def check_reading(connection: duckdb.DuckDBPyConnection, query: str, known: Known) -> None:
    """Raise `InvalidArgument` unless a SELECT reads this store and nothing outside it."""
    for node in _nodes(_parsed(connection, query)):
        for applies, refuse in _RULES:
            reason = refuse(node, known) if applies(node) else None
            if reason:
                raise InvalidArgument(f"sql() only reads this store: {reason}{_OPT_IN}", query=query, reason=reason)


def _names(connection: duckdb.DuckDBPyConnection, sql: str) -> frozenset[str]:
    return frozenset(name for (name,) in connection.execute(sql).fetchall())


def _parsed(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    found = connection.execute("SELECT json_serialize_sql($query::VARCHAR)", {"query": query}).fetchall()
    tree = json.loads(found[0][0])
    if tree["error"] or len(tree["statements"]) != 1:
        raise InvalidArgument(
            "sql() takes one plain SELECT, without PRAGMA, CALL or PIVOT; to write, use the registries",
            query=query,
            reason=tree.get("error_message"),
        )
    return tree["statements"][0]


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every object of a parse tree; a stack, so that no query is nested too deep."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            function = node.get("function") if node.get("type") == "TABLE_FUNCTION" else None
            waiting += [part for part in node.values() if part is not function]
            waiting += list(function.values()) if function else []
        elif isinstance(node, list):
            waiting += node


# --- rules ---------------------------------------------------------------------------------------


def _query(node: Mapping[str, Any], _: Known) -> str | None:
    return None if node["type"] in _QUERIES else "this query writes"


def _table_function(node: Mapping[str, Any], _: Known) -> str | None:
    name = str(node["function"].get("function_name", "")).lower()
    return (
        None
        if name in _TABLE_FUNCTIONS and not _foreign(node["function"])
        else f"{name}() is a table function that it does not run"
    )


def _function(node: Mapping[str, Any], known: Known) -> str | None:
    name = str(node.get("function_name", "")).lower()
    if name in _ACTING:
        return f"{name}() does more than read"
    if _foreign(node) or name not in known.functions | _SYNTAX | {""}:
        return f"{name!r} is not a function of DuckDB's own"
    return None


def _table(node: Mapping[str, Any], known: Known) -> str | None:
    path = (node.get("qualified_name") or {}).get("path") or [
        node.get(part) or "" for part in ("catalog_name", "schema_name", "table_name")
    ]
    *places, name = [str(part).lower() for part in path]
    if name in known.foreign:
        return f"{name!r} is a view that another program has put into the store"
    qualified = any(places)
    named = known.stored if "store" in places else known.stored | known.views
    if name in named and all(place in _SCHEMAS | _CATALOGS for place in places):
        return None
    if qualified or not _PLAIN.fullmatch(name):
        return f"{'.'.join(str(part) for part in path if part)!r} is not a table of the store"
    return None  # a name of the query's own WITH, or none: DuckDB tells


def _type(node: Mapping[str, Any], known: Known) -> str | None:
    name = str(node.get("type_name") or node.get("name") or "").lower()
    return None if name in known.types | {""} else f"{name!r} is not a type of DuckDB's own"


def _foreign(node: Mapping[str, Any]) -> bool:
    """Tell whether a function is named by a schema or catalog other than DuckDB's own."""
    return (node.get("schema") or "").lower() not in _SCHEMAS or (node.get("catalog") or "").lower() not in _OWN


def _is(key: str, *values: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda node: node.get(key) in values


_RULES: tuple[tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any], Known], str | None]], ...] = (
    (lambda node: str(node.get("type", "")).endswith("_NODE"), _query),
    (_is("type", "TABLE_FUNCTION"), _table_function),
    (_is("class", "FUNCTION", "WINDOW"), _function),
    (_is("type", "BASE_TABLE"), _table),
    (lambda node: node.get("type") == "SHOW_REF" and bool(node.get("table_name")), _table),
    (lambda node: node.get("class") == "TYPE" or node.get("type") == "UNBOUND_TYPE_INFO", _type),
)
