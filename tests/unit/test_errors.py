"""Every error class has a test that provokes it, and a row in the table of errors."""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

from duckfeat import errors
from tests.contract.test_errors import CASES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "errors.md"
ALL: dict[str, type[errors.DuckfeatError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.DuckfeatError) and kind is not errors.DuckfeatError
}
ELSEWHERE = {
    "StoreLocked": "tests/crash/test_sharing.py",
    "Unreachable": "tests/lake/test_lake.py",
    "TransactionConflict": "tests/unit/engine/test_turns.py",
    "ReadOnlyStore": "tests/contract/test_errors.py",
    "StoreClosed": "tests/contract/test_errors.py",
    "NotAStore": "tests/contract/test_connect.py",
    "DamagedStore": "tests/unit/engine/test_recovery.py",
    "DiskFull": "tests/unit/engine/test_recovery.py",
}
"""Errors of files, servers and other programs, and the tests that make those fail."""


def _named_in_tests(path: Path) -> set[str]:
    """Return the names that the tests of a file use."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            found |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            found |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    return found


def test_every_error_is_provoked_by_a_test() -> None:
    assert {case.kind.__name__ for case in CASES.values()} | set(ELSEWHERE) == set(ALL)
    assert {name for name, path in ELSEWHERE.items() if name not in _named_in_tests(ROOT / path)} == set()


def _builtin(kind: type[errors.DuckfeatError]) -> list[type]:
    """Return the builtin errors that an error is too, those nearest to it."""
    found = [base for base in kind.__mro__ if base.__module__ == "builtins" and base not in (Exception, BaseException)]
    return [
        base for base in found if base is not object and not any(issubclass(o, base) for o in found if o is not base)
    ]


@pytest.mark.parametrize("name", ALL)
def test_an_error_is_a_builtin_one_carries_its_facts_and_can_be_sent(name: str) -> None:
    kind = ALL[name]
    assert [base for base in _builtin(kind) if getattr(builtins, base.__name__) is not base] == []
    assert _builtin(kind) != []
    made = kind("what was wrong", size=3, name="x")
    error: Any
    for error in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):  # noqa: S301  # just made
        told = (type(error), str(error), error.args, error.size, error.facts)
        assert told == (kind, "what was wrong", ("what was wrong",), 3, {"size": 3, "name": "x"})
    with pytest.raises(AttributeError, match=f"{name} has no attribute 'sise'"):
        _ = error.sise


def page() -> str:
    """Return the table of errors as it is to be, made from the classes."""
    rows = []
    for name, kind in ALL.items():
        besides = ", ".join(f"`{base.__name__}`" for base in _builtin(kind))
        rows.append(f"| `{name}` | {besides} | {inspect.cleandoc(kind.__doc__ or '')} |")
    return "\n".join(["", "| error | is also | when |", "|---|---|---|", *rows, "", ""])


def test_the_table_of_errors_is_made_from_the_classes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.startswith("# Errors\n\nEvery error is a `duckfeat.DuckfeatError`, and also the builtin error")
    assert page() in text


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("no folder /a/postgresql:/me:hush@db/x", "no folder /a/postgresql:/me:...@db/x"),
        ("postgresql://me:hu@s/h@db/x is none", "postgresql://me:...@db/x is none"),
        ("redis://:hush@db", "redis://:...@db"),
        ("dbname=x PASSWORD=hush host=db", "dbname=x PASSWORD=... host=db"),
        ("passwd = 'hu\\'sh hush' host=db", "passwd = ... host=db"),
        ('(\'secret="hush", pw=hush)', "('secret=..., pw=...)"),
        ("http://localhost:8333/x, a=1", "http://localhost:8333/x, a=1"),
        ("connect(path, password=)", "connect(path, password=)"),
        ("passfile=/home/me/.pgpass tokens=5 compass=north", "passfile=/home/me/.pgpass tokens=5 compass=north"),
    ],
)
def test_no_error_tells_a_password(told: str, expected: str) -> None:
    error = errors.Unreachable(told, path=told, reason=told, name=3)
    assert (str(error), error.path, error.reason, error.name) == (expected, expected, expected, 3)
    assert "hush" not in repr(vars(pickle.loads(pickle.dumps(error))))  # noqa: S301  # what was just made


def test_who_has_a_store_is_told_the_same_way_everywhere() -> None:
    error = errors.StoreLocked("in use", path="x", pid=7)
    assert (error.pid, error.host, error.program, error.since, error.owner, error.seconds) == (7, *[None] * 5)
