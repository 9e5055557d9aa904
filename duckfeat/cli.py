"""The `duckfeat` command, which works on whole stores from a shell. Adding a command is adding a row to `COMMANDS`.

Passwords and keys are never arguments, which other users of a machine can see: they are read from the environment
(PGPASSWORD, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, ...).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from duckfeat.connecting import connect, move
from duckfeat.engine.opening import address, check_there
from duckfeat.errors import DuckfeatError, InvalidArgument


def _move(given: argparse.Namespace) -> int:
    def told(table: str, rows: int) -> None:
        print(f"{table}: {rows:,} rows")

    rows = move(given.source, given.target, data_path=given.data_path, told=told)
    print(f"{sum(rows.values()):,} rows of {len(rows)} tables are the same in {address(given.target)}")
    return 0


def _check(given: argparse.Namespace) -> int:
    check_there(given.store)
    with connect(given.store, read_only=True, default=False) as store:
        report = store.check()
    print(report)
    for name, rows in report.failures.items():
        print(f"\n{name}\n{rows}")
    return 0 if report.ok else 1


def _compact(given: argparse.Namespace) -> int:
    check_there(given.store)
    expire, history, values = (
        None if days is None else _days(days)
        for days in (given.expire_days, given.expire_history_days, given.expire_values_days)
    )
    with connect(given.store, default=False) as store:
        print(store.compact(expire=expire, expire_history=history, expire_values=values))
    return 0


def _days(number: float) -> timedelta:
    if number < 0:
        raise InvalidArgument(f"{number:g} is not a number of days: it is 0 or more", value=number)
    try:
        return timedelta(days=number)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(f"{number} is not a number of days: {error}", value=number) from None


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, what it does, its help, and its arguments with their options for argparse."""

    name: str
    does: Callable[[argparse.Namespace], int]
    summary: str
    arguments: Mapping[str, Mapping[str, Any]]


def _argument(shown: str, meaning: str) -> dict[str, Any]:
    return {"metavar": shown, "help": meaning}


def _age(meaning: str) -> dict[str, Any]:
    return {"type": float, "metavar": "N", "help": meaning}


COMMANDS = (
    Command(
        "move",
        _move,
        "Copy a store to a new one, from a file to a lake or back, and compare every table.",
        {
            "source": _argument("SOURCE", "a file, or the url of a lake; it is only read"),
            "target": _argument("TARGET", "a new file, or the url of a new lake"),
            "--data-path": {"help": "where a new lake keeps its files: a folder or s3://bucket/prefix"},
        },
    ),
    Command(
        "check",
        _check,
        "Run every integrity check; the exit status is 1 when one fails.",
        {"store": _argument("STORE", "a file, or the url of a lake; it is only read")},
    ),
    Command(
        "compact",
        _compact,
        "Make a store small and fast to read again; all history is kept unless an option says otherwise.",
        {
            "store": _argument("STORE", "a file, or the url of a lake"),
            "--expire-days": _age("delete versions of a lake that are older than N days"),
            "--expire-history-days": _age("delete annotations and relations that ended more than N days ago"),
            "--expire-values-days": _age("delete feature values older than N days that no annotation points at"),
        },
    ),
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="duckfeat", description="Work on a whole store of feature values.")
    top.add_argument("--version", action="version", version=f"duckfeat {version('duckfeat')}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        added = commands.add_parser(command.name, help=command.summary, description=command.summary)
        added.set_defaults(does=command.does)
        for name, options in command.arguments.items():
            added.add_argument(name, **options)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 2 after an error and 130 after Ctrl-C, told in a line."""
    given = parser().parse_args(arguments)
    try:
        status: int = given.does(given)
        if sys.stdout is not None:  # there is none, perhaps
            sys.stdout.flush()
    except DuckfeatError as error:
        print(f"duckfeat: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("duckfeat: interrupted; what was not finished is not kept", file=sys.stderr)
        return 130
    except OSError as error:
        return _not_written(error)
    return status


def _not_written(error: OSError) -> int:
    """Say that standard output takes no more, and have the interpreter not try again when it ends."""
    if isinstance(error, BrokenPipeError):
        message = "who reads standard output has closed it"
    else:
        message = f"standard output cannot be written to: {error.strerror or error}"
    print(f"duckfeat: {message}", file=sys.stderr)
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return 2


if __name__ == "__main__":
    sys.exit(main())
