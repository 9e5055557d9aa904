"""What calls take: checked where it comes in, so that a wrong one is told of by its name."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from duckfeat.errors import InvalidArgument


def several(given: Any, what: str) -> list[Any]:
    """Return the items of what holds several, such as a list, a series or a generator.

    Raises `InvalidArgument` for anything else, texts, mappings and frames among it.

    >>> several((1, 2), "sizes")
    [1, 2]
    >>> several(3, "sizes")
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: sizes are given as a list, not 3
    """
    if is_frame(given) or isinstance(given, str | bytes | Mapping | type) or not isinstance(given, Iterable):
        raise InvalidArgument(f"{what} are given as a list, not {no_list(given)}", value=given)
    return list(given)


def no_list(given: Any) -> str:
    """Return what stands in an error for something that is no list; of a frame, what to pass of it."""
    return f"a {type(given).__name__}: pass a column of it" if is_frame(given) else shown(given)


_FRAMES = frozenset({"DataFrame", "LazyFrame", "Table", "RecordBatch"})


def is_frame(given: Any) -> bool:
    """Tell whether something is a frame of any library: what is in it are columns, and no values."""
    return any(base.__name__ in _FRAMES for base in type(given).__mro__)


def whole(given: Any, what: str, least: int = 0) -> int:
    """Return a whole number that is not below the least one.

    Raises `InvalidArgument` for anything else, True and 2.0 among it.

    >>> whole(2.5, "limit")
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: limit is a whole number from 0, not 2.5
    """
    try:
        number = least - 1 if isinstance(given, bool) else operator.index(given)
    except TypeError:
        number = least - 1
    if not least <= number < 2**63:
        raise InvalidArgument(f"{what} is a whole number from {least}, not {shown(given)}", value=given)
    return number


def flag(given: Any, what: str) -> bool:
    """Return what is True or False, of NumPy too, as a bool.

    >>> flag("no", "overwrite")
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: overwrite is True or False, not 'no'
    """
    if isinstance(given, bool) or (type(given).__name__ in {"bool", "bool_"} and not isinstance(given, type)):
        return bool(given)
    raise InvalidArgument(f"{what} is True or False, not {shown(given)}", value=given)


def registry_of(given: Any) -> str | None:
    """Return the name of the registry that something is a record of; None for what is no record.

    >>> registry_of(3) is None
    True
    """
    name: str | None = getattr(type(given), "__registry__", None)
    return name


def shown(given: Any) -> str:
    """Return what stands for something in an error: its first line, no more than is read; of a frame its type.

    >>> shown("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    line, more, _ = (f"<{type(given).__name__}>" if is_frame(given) else spelled(given)).partition("\n")
    return f"{line[:77]}..." if more or len(line) > 80 else line


def spelled(given: Any) -> str:
    """Return the `repr` of something; its type where Python has none, as of a dict that is nested too deep.

    >>> spelled(10**5000)
    '<int>'
    """
    try:
        return repr(given)
    except Exception:  # noqa: BLE001  # what is told is another error, and an object's own `repr` may raise anything
        return f"<{type(given).__name__}>"


def first_of(shown: Iterable[str], count: int) -> str:
    """Return the first few of `count` things as one text, which says how many more there are.

    >>> first_of(["'a'", "'b'"], 5)
    "'a', 'b', ... 3 more"
    """
    listed = list(shown)
    return ", ".join(listed) + (f", ... {count - len(listed):,} more" if count > len(listed) else "")


def named(given: Any) -> str:
    """Return what something is called by: itself if it is a text, else its name, else what stands for it.

    >>> named("key"), named(3)
    ('key', '3')
    >>> named(type("Unnamed", (), {"name": None, "__repr__": lambda _: "<unnamed>"})())
    '<unnamed>'
    """
    name = getattr(given, "name", given)
    return name if isinstance(name, str) else shown(given)


def seconds(given: Any, what: str) -> float:
    """Return a number of seconds, which may be without end.

    >>> seconds("soon", "lock_timeout")
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: lock_timeout is a number of seconds, not 'soon'
    """
    with suppress(OverflowError):
        if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:
            return float(given)
    raise InvalidArgument(f"{what} is a number of seconds, not {shown(given)}", value=given)


def moment(given: Any, what: str) -> datetime:
    """Return a moment, of a date its beginning, of an ISO text what it says; with a time zone it is told in UTC.

    >>> moment("2026-01-31T12:00+02:00", "timestamp")
    datetime.datetime(2026, 1, 31, 10, 0, tzinfo=datetime.timezone.utc)
    >>> moment(2026, "timestamp")
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: timestamp is a datetime, a date or the ISO text of one, not 2026
    """
    found = given
    with suppress(ValueError, OverflowError):
        if isinstance(found, str):
            found = datetime.fromisoformat(found)
        elif isinstance(found, date) and not isinstance(found, datetime):
            found = datetime(found.year, found.month, found.day)
        if isinstance(found, datetime):
            return found.astimezone(UTC) if found.tzinfo else found
    raise InvalidArgument(f"{what} is a datetime, a date or the ISO text of one, not {shown(given)}", value=given)


def one_of(given: Any, options: Collection[Any], what: str) -> Any:
    """Return what is one of a few options.

    >>> one_of("frist", ["first", "last"], "keep")
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: keep is 'first' or 'last', not 'frist'
    """
    if not any(given is option or (type(given) is type(option) and given == option) for option in options):
        listed = " or ".join(map(repr, options))
        raise InvalidArgument(f"{what} is {listed}, not {shown(given)}", value=given, available=list(options))
    return given


def check_callable(given: Any, what: str) -> None:
    """Raise `InvalidArgument` for what cannot be called.

    >>> check_callable(3, "tracer")
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: tracer is a function, not 3
    """
    if not callable(given):
        raise InvalidArgument(f"{what} is a function, not {shown(given)}", value=given)


def age(given: Any, what: str) -> timedelta | None:
    """Return how long what is old is kept; None for ever.

    >>> age(30, "expire")
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: expire is a timedelta, how long to keep what is old, not 30
    """
    if given is not None and (not isinstance(given, timedelta) or given < timedelta(0)):
        raise InvalidArgument(f"{what} is a timedelta, how long to keep what is old, not {shown(given)}", value=given)
    return given


def is_hashable(given: Any) -> bool:
    """Tell whether something may be a key."""
    try:
        hash(given)
    except TypeError:
        return False
    return True


_CONTAINERS = (list, tuple, set, frozenset, Mapping)


def nests_beyond(given: Any, most: int = 100) -> bool:
    """Tell whether lists and dicts stand in each other more than `most` deep, as in one that holds itself.

    >>> loop = []
    >>> loop.append(loop)
    >>> nests_beyond(loop), nests_beyond([[1], {"a": [2]}])
    (True, False)
    """
    level: list[Any] = [[given]]
    for _ in range(most + 1):
        inside = (item for one in level for item in (one.values() if isinstance(one, Mapping) else one))
        level = list({id(item): item for item in inside if isinstance(item, _CONTAINERS)}.values())
        if not level:
            return False
    return True


# The longest that the file systems in use take.
_PATH_LENGTH, _NAME_LENGTH = 4096, 255


def is_path_text(given: str) -> bool:
    """Tell whether a file may be called so: valid Unicode, no NUL, no name longer than file systems take."""
    if not is_text(given) or "\0" in given:
        return False
    return len(given) < _PATH_LENGTH and all(len(name) <= _NAME_LENGTH for name in given.encode().split(b"/"))


def is_text(given: str) -> bool:
    """Tell whether a text can be written: it has no half of a surrogate pair alone."""
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(given: Any, what: str) -> str:
    """Return a text that says something and can be written: it has no half of a surrogate pair alone.

    >>> text(7, "a name")
    Traceback (most recent call last):
    duckfeat.errors.InvalidArgument: a name is a text, not 7
    """
    if isinstance(given, str) and given and is_text(given):
        return given
    raise InvalidArgument(f"{what} is a text, not {shown(given)}", value=given)
