"""Statements handed to DuckDB: their texts are parsed once in a process, their results never fetched whole unasked."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import duckdb

from duckfeat.engine.version import MAJOR

# A relation with parameters is fetched whole by DuckDB 1.5, row by row; the result of a cursor by DuckDB 2.0.
_FETCHES_RELATIONS = MAJOR < 2
# Parsing takes up to a quarter of what a small statement costs. So many texts are kept parsed, those that were asked
# last; what they are parsed to belongs to no connection.
_LIMIT = 512
_kept: dict[str, tuple[Any, ...]] = {}
# DuckDB complains of statements that outlive the interpreter. Registered at import, this comes after every close().
atexit.register(_kept.clear)


def parsed(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    """Return the statements of a text.

    There is no lock, which a process that forks could leave held: a text that another thread has out is parsed again.
    """
    found = _kept.pop(sql, ()) or tuple(cursor.extract_statements(sql)) or (sql,)
    _kept[sql] = found
    if len(_kept) > _LIMIT:
        with suppress(StopIteration, RuntimeError):
            _kept.pop(next(iter(_kept)), None)
    return found


def executed(cursor: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """Run the statements of a text, the last one with the parameters, and return the cursor with its result."""
    *before, last = parsed(cursor, sql)
    for statement in before:
        cursor.execute(statement)
    return cursor.execute(last, params)


def let_go(cursor: duckdb.DuckDBPyConnection) -> None:
    """Give up a result that was not read to its end: DuckDB 2.0 holds it against the next statement."""
    if MAJOR > 1:
        cursor.abort()


def roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    """Roll back a transaction.

    There is none any more where DuckDB has rolled back by itself, as it does when a commit fails, and where the
    connection to a lake's catalog is lost. What ended the transaction is what is to be told.
    """
    with suppress(duckdb.Error):
        cursor.execute("ROLLBACK")


def asked(
    cursor: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, Any] | Sequence[Any]
) -> duckdb.DuckDBPyConnection | duckdb.DuckDBPyRelation:
    """Return what gives the result of one query as Arrow, whole or as a stream, without keeping it as rows before."""
    query = parsed(cursor, sql)[-1]
    if params and _FETCHES_RELATIONS:
        return cursor.execute(query, params)
    return cursor.sql(query, params=params or None)
