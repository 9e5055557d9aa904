"""What a column of a result is, for the compiler that asks for it and the frame that shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a result: the name people see, its SQL, and what its content is.

    `content` is a kind (`str`, `int`, `instant`, ...), `json` for nested values as text, `list` for many-valued
    columns, `json_list` for both. `instants` is the SQL of the values with a time zone, of a column (or lists)
    that may hold either sort of datetime; `nested` tells that it holds lists of lists, `items` is the content of what
    lists hold.

    `exact` is the same column with its values as they are, where `sql` shows them as what a frame can hold (texts for
    values of several kinds, floats for numbers of either kind). Python values are made of it; it tells rows apart.
    `place` is the SQL of what such values are ordered by.
    """

    name: str
    sql: str
    content: str
    instants: str | None = None
    nested: bool = False
    items: str | None = None
    exact: Output | None = None
    place: str | None = None

    @property
    def identity(self) -> str:
        """The SQL of what tells two values of the column apart."""
        return self.exact.sql if self.exact else self.sql

    @property
    def order(self) -> str:
        """The SQL of what values of the column are ordered by."""
        return self.place or self.sql
