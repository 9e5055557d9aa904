"""What a column of a result is, for the compiler that asks for it and the frame that shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a result: the name people see, its SQL, and what its content is.

    `content` is a kind (`str`, `int`, `instant`, ...), `json` for nested values as text, `list` for many-valued
    columns, `json_list` for both. `instants` is the SQL of the values with a time zone, of a column (or lists)
    that may hold either sort of datetime; `nested` tells that it holds lists of lists.
    """

    name: str
    sql: str
    content: str
    instants: str | None = None
    nested: bool = False
