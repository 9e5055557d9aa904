"""Telling whether two tables hold the same rows."""

from __future__ import annotations

from collections.abc import Mapping


def digest(table: str, columns: Mapping[str, str]) -> str:
    """Return the statement whose row is equal for equal rows, in whichever order; `columns` maps names to types.

    A float's text tells zero from minus zero.

    >>> digest("labels", {"id": "BIGINT", "weight": "DOUBLE"})
    'SELECT count(*), bit_xor(hash(id, weight::VARCHAR)), sum(hash(id, weight::VARCHAR)::HUGEINT) FROM labels'
    """
    exact = ", ".join(f"{name}::VARCHAR" if type_ == "DOUBLE" else name for name, type_ in columns.items())
    return f"SELECT count(*), bit_xor(hash({exact})), sum(hash({exact})::HUGEINT) FROM {table}"
