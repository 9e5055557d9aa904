"""Hundreds of questions combined: the records are those of the sets, and no stack is too small."""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable
from typing import Any

import pytest

import duckfeat as dft
from duckfeat.compile.scope import DEPTH_LIMIT
from duckfeat.errors import InvalidArgument
from duckfeat.store import Store

LABELS = 60
OTHERS = 200


@pytest.fixture
def labels(store: Store) -> Store:
    """Sixty labels."""
    dft.save([dft.ULabel(name=f"l{n:02}") for n in range(LABELS)])
    return store


def named(number: int) -> Any:
    return dft.ULabel.filter(name=f"l{number % LABELS:02}")


def above(number: int) -> Any:
    return dft.ULabel.filter(name__gte=f"l{number % 7:02}").order_by("name")[: LABELS - 10 - number % 5]


def twice(number: int) -> Any:
    return dft.ULabel.filter(name__gt=f"l{number % 9:02}").filter(name__lt=f"l{50 - number % 11:02}")


def unlike(number: int) -> Any:
    return dft.ULabel.exclude(name=f"l{number % 40:02}")


def ulabels() -> Any:
    return dft.ULabel.all()


COMBINED: dict[str, tuple[Callable[[Any, list[Any]], Any], Callable[[Any, Any], Any]]] = {
    "union": (lambda first, others: first.union(*others), operator.or_),
    "intersection": (lambda first, others: first.intersection(*others), operator.and_),
    "difference": (lambda first, others: first.difference(*others), operator.sub),
    "|": (lambda first, others: functools.reduce(operator.or_, others, first), operator.or_),
    "&": (lambda first, others: functools.reduce(operator.and_, others, first), operator.and_),
    "one by one": (lambda first, others: functools.reduce(lambda a, b: a.difference(b), others, first), operator.sub),
}


@pytest.mark.usefixtures("labels", "small_stack")
@pytest.mark.parametrize("word", COMBINED)
@pytest.mark.parametrize("made", [named, above, twice, unlike])
def test_hundreds_of_questions_combine_as_sets(word: str, made: Callable[[int], Any]) -> None:
    combine, of_sets = COMBINED[word]
    sets = [set(made(number).to_list("name")) for number in range(OTHERS)]
    found: dict[str, Any] = {}

    def ask() -> None:
        first = made(3) if word in ("union", "|") else ulabels()
        asked = combine(first, [made(number) for number in range(OTHERS)])
        found["names"], found["count"] = set(asked.to_list("name")), asked.count()
        found["below"] = set(asked.filter(name__lt="l30").order_by("-name").to_list("name"))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    start = sets[3] if word in ("union", "|") else {f"l{n:02}" for n in range(LABELS)}
    expected = functools.reduce(of_sets, sets, start)
    assert found["names"] == expected
    assert found["count"] == len(expected)
    assert found["below"] == {name for name in expected if name < "l30"}


def nested(depth: int) -> Any:
    asked: Any = dft.ULabel.all()
    for number in range(depth):
        asked = asked.order_by("name")[: LABELS - 1 - number].union(named(number))
    return asked


@pytest.mark.usefixtures("labels", "small_stack")
def test_questions_nested_too_deep_are_refused() -> None:
    found: dict[str, Any] = {}

    def ask() -> None:
        found["names"] = nested(DEPTH_LIMIT).to_list("name")
        with pytest.raises(InvalidArgument, match=f"nested more than {DEPTH_LIMIT} deep"):
            nested(DEPTH_LIMIT + 1).count()
        found["after"] = nested(2).count()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert set(found["names"]) == {f"l{n:02}" for n in range(LABELS - DEPTH_LIMIT)} | {
        named(n).first().name for n in range(DEPTH_LIMIT)
    }
    assert found["after"] == LABELS - 2
