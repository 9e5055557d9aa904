"""Pieces of SQL text, and the parameters that stay apart from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from duckfeat.model.statement import BigList, Statement

LIST_LIMIT = 50
"""Lists up to this length are written as single parameters; longer ones are handed in as a table."""

_PLACEHOLDER = re.compile(r"\$(p\d+)\b")

TRUE = "TRUE"
FALSE = "FALSE"


class Parameters:
    """Collects the parameters of one statement; `add` returns the placeholder that stands for a value.

    `looked` is what the statement tells of itself.

    >>> parameters = Parameters()
    >>> parameters.add(3), parameters.add("x"), parameters.values
    ('$p0', '$p1', {'p0': 3, 'p1': 'x'})
    """

    def __init__(self, *, looked: bool = False) -> None:
        self._looked = looked
        self.values: dict[str, Any] = {}
        self.lists: dict[str, BigList] = {}
        self._once: dict[tuple[type, Any], str] = {}

    def once(self, value: Any) -> str:
        """Return the placeholder for a value that the statement holds once, however often it is asked for."""
        key = (type(value), value)
        if key not in self._once:
            self._once[key] = self.add(value)
        return self._once[key]

    def add(self, value: Any) -> str:
        """Return the placeholder for one value."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"

    def member(self, lhs: str, items: Sequence[Any], sql_type: str) -> str:
        """Return the condition that `lhs` is one of `items`; of none it is false.

        >>> Parameters().member("t0.id", [1, 2], "BIGINT")
        't0.id IN ($p0, $p1)'
        """
        if not items:
            return FALSE
        if len(items) <= LIST_LIMIT:
            return f"{lhs} IN ({', '.join(self.add(item) for item in items)})"
        name = f"list_{len(self.lists)}"
        self.lists[name] = BigList(tuple(items), sql_type)
        return f"{lhs} IN (SELECT item FROM {name})"

    def ids(self, column: str, ids: Sequence[int], *, compared: bool) -> str:
        """Return the condition that an id column is one of `ids`, for tables in which ids ascend.

        With `compared` few ids are told by comparisons, see `compared_ids`; without, by a join.

        >>> Parameters().ids("t0.id", [7, 5], compared=False)
        't0.id IN (SELECT unnest($p0::BIGINT[]))'
        """
        if len(ids) < 2 or len(ids) > LIST_LIMIT:
            return self.member(column, ids, "BIGINT")
        if compared:
            return self.compared_ids(column, ids)
        return f"{column} IN (SELECT unnest({self.add(list(ids))}::BIGINT[]))"

    def compared_ids(self, column: str, ids: Sequence[int]) -> str:
        """Return the condition that an id column is one of `ids`, some at least, as a tree of comparisons.

        All rows of a block take the same way through it, so that a scan compares each row with few of the ids, and
        reads the other columns only of blocks that have one.

        >>> Parameters().compared_ids("t0.id", [7, 5])
        'CASE WHEN t0.id < $p1 THEN t0.id = $p0 ELSE t0.id = $p1 END'
        """
        return self._compared(column, [self.add(id_) for id_ in sorted(set(ids))])

    def _compared(self, column: str, names: Sequence[str]) -> str:
        if len(names) == 1:
            return f"{column} = {names[0]}"
        middle = len(names) // 2
        below, above = self._compared(column, names[:middle]), self._compared(column, names[middle:])
        return f"CASE WHEN {column} < {names[middle]} THEN {below} ELSE {above} END"

    def statement(self, sql: str) -> Statement:
        """Return the finished statement; a value that a condition which became constant asked for is left out."""
        used = set(_PLACEHOLDER.findall(sql))
        given = {name: value for name, value in self.values.items() if name in used}
        return Statement(sql, given, self.lists, looked=self._looked)


def tree(connector: str, parts: Sequence[str]) -> str:
    """Return the parts joined by AND or OR as a balanced tree, so that thousands of terms stay shallow.

    >>> tree("OR", ["a", "b", "c"])
    '(a OR (b OR c))'
    """
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({tree(connector, parts[:middle])} {connector} {tree(connector, parts[middle:])})"


def all_of(parts: Sequence[str]) -> str:
    """Return the conjunction; of none it is true."""
    return tree("AND", parts) if parts else TRUE


def any_of(parts: Sequence[str]) -> str:
    """Return the disjunction; of none it is false."""
    return tree("OR", parts) if parts else FALSE


def whole(condition: str) -> str:
    """Return a condition that DuckDB decides as one.

    Conditions joined by AND it takes apart, and plans each inside the one before it: of thousands that overflows the
    stack of a thread (DuckDB 2.0) and takes a time that grows with their square.

    >>> whole("a AND b")
    '(CASE WHEN a AND b THEN TRUE ELSE FALSE END)'
    """
    return f"(CASE WHEN {condition} THEN {TRUE} ELSE {FALSE} END)"


def quote(identifier: str) -> str:
    """Return an identifier, quoted.

    >>> quote('n"x')
    '"n""x"'
    """
    return '"' + identifier.replace('"', '""') + '"'
