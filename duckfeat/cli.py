"""The `duckfeat` command: what is done to a store as a whole, from a shell.

Passwords and keys are never arguments, which other users of a machine can see: they are read from the environment
(PGPASSWORD, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, ...).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version

from duckfeat.connecting import connect, move
from duckfeat.engine.opening import address, check_there
from duckfeat.errors import DuckfeatError, InvalidArgument

Command = Callable[[argparse.Namespace], int]


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


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="duckfeat", description="What is done to a store of feature values as a whole.")
    top.add_argument("--version", action="version", version=f"duckfeat {version('duckfeat')}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, does: Command, summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(does=does)
        return added

    moving = command(
        "move", _move, "Copy a store to a new one, from a file to a lake or back, and compare every table."
    )
    moving.add_argument("source", metavar="SOURCE", help="a file, or the url of a lake; it is only read")
    moving.add_argument("target", metavar="TARGET", help="a new file, or the url of a new lake")
    moving.add_argument("--data-path", help="where a new lake keeps its files: a folder or s3://bucket/prefix")

    checking = command("check", _check, "Run every integrity check; the exit status is 1 when one fails.")
    checking.add_argument("store", metavar="STORE", help="a file, or the url of a lake; it is only read")

    compacting = command(
        "compact", _compact, "Make a store small and quick to read again; history stays unless it is told to expire."
    )
    compacting.add_argument("store", metavar="STORE", help="a file, or the url of a lake")
    compacting.add_argument(
        "--expire-days", type=float, metavar="N", help="forget versions of a lake older than N days"
    )
    compacting.add_argument(
        "--expire-history-days",
        type=float,
        metavar="N",
        help="forget annotations and relations that ended more than N days ago",
    )
    compacting.add_argument(
        "--expire-values-days",
        type=float,
        metavar="N",
        help="forget feature values older than N days that no annotation points at",
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 2 after an error and 130 after Ctrl-C, told in a line."""
    given = parser().parse_args(arguments)
    does: Command = given.does
    try:
        status = does(given)
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
