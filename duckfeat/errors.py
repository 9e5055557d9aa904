"""Every error duckfeat raises: one root, facts as attributes, and a hint at what was probably meant.

>>> from duckfeat.errors import FieldError
>>> error = FieldError("Artifact has no field 'kye'", name="kye", available=["key"])
>>> error.name, error.available
('kye', ['key'])
>>> isinstance(error, ValueError)
True
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# What others say, and where a store is: facts that may have a url in them.
_TOLD = frozenset({"path", "reason", "source", "target", "url"})
# In `scheme://user:SECRET@host`, also of a url that was taken for a path and has one slash, and in `password=SECRET`.
_SECRET = re.compile(
    r"(?P<user>:/+[^\s/@:]*:)\S*(?=@)"
    r"|(?P<key>(?:passw\w*|passphrase|pwd|secret\w*|\bpass|\bpw|access_key|(?:\b|_)token)\s*=\s*)"
    r"""(?:'(?:[^'\\]|\\.)*'|"[^"]*"|[^\s,;&'")]+)""",
    re.IGNORECASE,
)


def without_secrets(told: Any) -> Any:
    """Return a text, or whatever else it is, with `...` for the passwords in it; every error's text passes here.

    >>> without_secrets("no folder postgresql:/me:hunter2@db, nor dbname=lake PASSWORD=hunter2 host=db")
    'no folder postgresql:/me:...@db, nor dbname=lake PASSWORD=... host=db'
    """
    if not isinstance(told, str) or not (":/" in told or "=" in told):
        return told
    return _SECRET.sub(lambda found: f"{found['user'] or found['key']}...", told)


class DuckfeatError(Exception):
    """Root of all errors of this package; each keyword it is made with becomes an attribute.

    >>> DuckfeatError("too big", size=3).size
    3
    """

    def __init__(self, message: str, **facts: Any) -> None:
        message = message.encode(errors="backslashreplace").decode()  # so that a terminal or a log can show it
        message = without_secrets(message)
        facts = {name: without_secrets(fact) if name in _TOLD else fact for name, fact in facts.items()}
        super().__init__(message)
        self.message = message
        self.facts = facts
        for name, fact in facts.items():
            setattr(self, name, fact)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __copy__(self) -> Any:
        made = type(self).__new__(type(self))
        made.args = self.args
        made.__dict__.update(self.__dict__)
        return made

    def __deepcopy__(self, _memo: dict[int, Any]) -> Any:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {name: _sendable(fact) for name, fact in self.facts.items()}
        return (_rebuild, (type(self), self.message, facts), {"__notes__": list(getattr(self, "__notes__", ()))})


def _rebuild(kind: type[DuckfeatError], message: str, facts: dict[str, Any]) -> DuckfeatError:
    return kind(message, **facts)


def _sendable(fact: Any) -> Any:
    """Return a fact as another process can have it: what cannot be pickled as its text.

    A worker's error reaches the process that started it with a record that was refused, or whatever else was given.

    >>> _sendable(2.5), _sendable([number for number in (1, 2)]), _sendable([print, (n for n in ())])[:38]
    (2.5, [1, 2], '[<built-in function print>, <generator')
    """
    from multiprocessing.reduction import ForkingPickler

    try:
        ForkingPickler.dumps(fact)
    except Exception:  # noqa: BLE001  # whatever the object of a stranger raises
        return _text(fact)
    return fact


def _text(fact: Any) -> str:
    try:
        return repr(fact)
    except Exception:  # noqa: BLE001  # as above
        return f"<{type(fact).__name__}>"


class DoesNotExist(DuckfeatError, LookupError):
    """No record matches; carries `registry` and what was asked for."""


class MultipleResultsFound(DuckfeatError, LookupError):
    """More than one record matches where one was asked for; carries `count`."""


class FieldError(DuckfeatError, ValueError):
    """A field, relation or lookup that does not exist, or that its type cannot have."""


class AttributeMissing(FieldError, AttributeError):
    """A record, registry, QuerySet or store has no such attribute; carries `name` and `available`."""


class ValidationError(DuckfeatError, ValueError):
    """A value, name or combination that the schema refuses; carries `feature`, `dtype`, `value`, `row`."""


class IntegrityError(DuckfeatError, ValueError):
    """The operation would break a rule between tables: a protected reference, a duplicate, a cycle."""


class InvalidArgument(DuckfeatError, ValueError, TypeError):
    """An argument of a type or value that the call does not take."""


class InstanceNotFound(DuckfeatError, LookupError):
    """There is no open store and no file with the name or path that `using` was given."""


class StoreLocked(DuckfeatError, OSError):
    """Another process has the store; carries `path`, and of that process `pid`, `host`, `program`, `since` if known."""

    pid: int | None = None
    host: str | None = None
    program: str | None = None
    since: str | None = None
    owner: str | None = None
    seconds: float | None = None


class Unreachable(DuckfeatError, ConnectionError):
    """The catalog of a lake, or the object store with its files, does not answer or does not let this user in."""


class TransactionConflict(DuckfeatError, RuntimeError):
    """Another program wrote at the same time without waiting for its turn; nothing was kept, so run it again."""


class ReadOnlyStore(DuckfeatError, RuntimeError):
    """A write to a store that was opened for reading."""


class StoreClosed(DuckfeatError, RuntimeError):
    """The store was closed, or the process was forked after it was opened."""


class SchemaVersionError(DuckfeatError, RuntimeError):
    """The store's schema is newer than this program, or a migration on record was altered."""


class NotAStore(DuckfeatError, OSError):
    """The file is not a DuckDB database, is damaged, or holds something other than a duckfeat store."""


class DamagedStore(NotAStore):
    """The store's file or its log is damaged; a log that does not replay was set aside, as `log`."""


class DiskFull(DuckfeatError, OSError):
    """There is no room left on the disk; nothing of the operation was kept."""


class QueryError(DuckfeatError, RuntimeError):
    """The engine refused a statement; carries the engine's own words as `reason`."""


class MissingFile(DuckfeatError, FileNotFoundError):
    """A local path that does not exist; carries `path`."""


class MissingExtra(DuckfeatError, ImportError):
    """An optional library is needed; the message names the extra that brings it."""


class LookupMissing(DuckfeatError, AttributeError, KeyError):
    """A lookup object has no such name; carries `name` and `suggestions`."""

    def __str__(self) -> str:
        return self.message


NAMES = frozenset(
    name for name, kind in globals().items() if isinstance(kind, type) and issubclass(kind, DuckfeatError)
)
"""The names of the errors."""


def suggestions(name: str, available: Iterable[str], limit: int = 3) -> list[str]:
    """Return the names nearest to `name`, best first; empty when nothing is near.

    >>> suggestions("temprature", ["temperature", "protocol"])
    ['temperature']
    """
    from rapidfuzz import fuzz, process, utils

    found = process.extract(
        name,
        list(available),
        scorer=fuzz.ratio,
        processor=utils.default_process,
        score_cutoff=60,
        limit=limit,
    )
    return [match for match, _score, _index in found]


def hint(name: str, available: Iterable[str], meant: str | None = None) -> str:
    """Return the sentence that tells the nearest match and what there is, to end an error with.

    What was `meant` may be known better than by its letters.

    >>> hint("kye", ["key", "uid"])
    " (did you mean 'key'?) Available: key, uid."
    >>> hint("x", [])
    '. There are none.'
    >>> hint("key", ["", "a"])
    ". Available: '', a."
    """
    options = sorted(set(available))
    if not options:
        return ". There are none."
    near = [meant] if meant else suggestions(name, options, limit=1)
    told = f" (did you mean {near[0]!r}?)" if near else "."
    shown = ", ".join(option or "''" for option in options[:20]) + (
        f", ... {len(options) - 20:,} more" if len(options) > 20 else ""
    )
    return f"{told} Available: {shown}."


def missing_extra(library: str, extra: str) -> MissingExtra:
    """Return the error for a library that is not installed, naming the extra that brings it.

    >>> print(missing_extra("pandas", "pandas"))
    pandas is not installed; `pip install "duckfeat[pandas]"` brings it
    """
    message = f'{library} is not installed; `pip install "duckfeat[{extra}]"` brings it'
    return MissingExtra(message, library=library, extra=extra)


def attribute_missing(what: str, name: str, available: Iterable[str], meant: str | None = None) -> AttributeMissing:
    """Return the error for an attribute that does not exist, with those that do; what begins with `_` is not listed.

    What was `meant` may be known better than by its letters.

    >>> print(attribute_missing("QuerySet", "fitler", ["count", "filter"]))
    QuerySet has no attribute 'fitler' (did you mean 'filter'?) Available: count, filter.
    """
    if name.startswith("_"):  # asked by protocols, often: no one reads it
        return AttributeMissing(f"{what} has no attribute {name!r}", name=name, available=[])
    public = sorted(known for known in available if not known.startswith("_"))
    return AttributeMissing(f"{what} has no attribute {name!r}{hint(name, public, meant)}", name=name, available=public)
