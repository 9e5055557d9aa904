"""Every parameter of every public callable, given what it does not take: an error of this package, and no row changed.

The callables and their parameters are read from the package, so that a new one is tried without being listed here.
"""

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import DuckfeatError
from duckfeat.model.arguments import shown
from duckfeat.query.queryset import QuerySet
from duckfeat.registries.managers import Manager
from duckfeat.store import Store
from tests.counting import row_counts

LOOP: list[Any] = []
LOOP.append(LOOP)
KNOT: dict[str, Any] = {}
KNOT["a"] = KNOT
DEEP: dict[str, Any] = {}
for _ in range(3000):  # deeper than Python's own `repr` goes
    DEEP = {"a": DEEP}

ODD: list[Any] = [
    None,
    True,
    -1,
    2**70,
    10**400,
    10**5000,  # more digits than Python writes
    float("nan"),
    float("-inf"),
    "",
    "\0",
    "\ud800",
    "'\"; DROP TABLE records; --",
    "x" * 100_000,
    b"x",
    [],
    ["a", None, 1, LOOP],
    LOOP,
    {},
    {"a": 1},
    KNOT,
    DEEP,
    {1: 2},
    object(),
    len,
    int,
    dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=14))),
    dft.ULabel,
    pl.DataFrame({"a": [1]}),
]

# What a parameter takes, where one that is tried has another beside it.
PLAIN: Mapping[str, Any] = {
    "data": pl.DataFrame({"name": ["r"], "dose": [1.0]}),
    "feature": "dose",
    "features": ["dose"],
    "field": "name",
    "folder": "folder",
    "backup": "backup.duckdb",
    "high": 2.0,
    "instance": ":memory:",
    "low": 1.0,
    "operands": [1.0],
    "part": "a",
    "path": "made.duckdb",
    "pattern": "a",
    "query": "SELECT 1 AS a",
    "records": [],
    "source": "source.duckdb",
    "target": "target.duckdb",
    "string": "a",
    "synonym": "a",
    "abbr": "a",
    "tracer": lambda _sql, _params: None,
    "value": 1.0,
    "values": ["a"],
    "branch": "main",
}
# Of the keywords that a callable takes any of, those that are tried, by the parameter that takes them.
KEYWORDS: Mapping[str, list[str]] = {
    "lookups": [
        "name",
        "name__in",
        "id",
        "created_at__year",
        "created_by",
        "created_by__handle__regex",
        "branch",
        "no",
    ],
    "fixed": ["description", "no"],
    "aggregates": ["n"],
    "values": ["description", "name", "created_by", "no"],
    "fields": ["reference", "no"],
    "lookup": ["name", "ontology_id"],
    "options": ["threads", "memory_limit", "read_only", "lock_timeout", "idle_release", "data_path", "password", "no"],
}
# Not tried: these end the store that the others are tried on.
ENDING = {"close"}

Try = Callable[[Any, Any], Any]
"""Hands an odd value to a callable of an object."""
WRITES = re.compile(r"\s*(?:--.*\n\s*)*(?:INSERT|UPDATE|DELETE|CREATE|DROP)", re.IGNORECASE)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patched, dft.connect() as store:
        patched.chdir(tmp_path_factory.mktemp("odd"))  # a path that is taken for a new store makes it here
        Path("a.csv").write_text("a\n1\n")
        store.save(
            [
                store.Feature(name="dose", dtype=float),
                store.Feature(name="note", dtype=str, multiple=True),
                store.Feature(name="tissue", dtype="cat[ULabel]"),
                store.ULabel(name="lung"),
                store.Organism(name="human"),
                store.CellType(name="neuron", ontology_id="CL:0000540"),
                store.Transform(key="t"),
            ]
        )
        store.Artifact("a.csv", key="a.csv").save()
        store.track("t").__exit__(None, None, None)
        yield store


def record(store: Store) -> Any:
    """Return the record that is tried on; one that was deleted is made again."""
    return store.Record.filter(name="r").first() or store.Record(name="r", features={"dose": 1.0}).save()


SUBJECTS: Mapping[str, Callable[[Store], Any]] = {
    "module": lambda store: dft,
    "store": lambda store: store,
    "Record": lambda store: store.Record,
    "FeatureValue": lambda store: store.FeatureValue,
    "CellType": lambda store: store.CellType,
    "Gene": lambda store: store.Gene,
    "a record": record,
    "a feature": lambda store: (
        store.Feature.filter(name="dose").first() or store.Feature(name="dose", dtype=float).save()
    ),
    "a value": lambda store: store.FeatureValue.get_or_create("dose", 2.0)[0],
    "an artifact": lambda store: (
        store.Artifact.filter(key="a.csv").first() or store.Artifact("a.csv", key="a.csv").save()
    ),
    "a run": lambda store: store.Run.filter(name="run").first() or store.Run(name="run").save(),
    "a term": lambda store: store.CellType.filter(name="neuron").first() or store.CellType(name="neuron").save(),
    "a queryset": lambda store: store.Record.filter(name=record(store).name),
    "a manager": lambda store: record(store).ulabels,
    "features": lambda store: record(store).features,
    "grouped": lambda store: store.Record.all().group_by("name"),
}


def callables(subject: Any) -> dict[str, Any]:
    """Return the public callables of an object, by name.

    Of a module these are its functions, of a record its own methods, of a registry those of the class; what several
    share is tried on the first of them.
    """
    names = subject.__all__ if inspect.ismodule(subject) else dir(subject)
    found = {name: getattr(subject, name) for name in names if not name.startswith("_") and name not in ENDING}
    called = {name: one for name, one in found.items() if inspect.isroutine(one)}
    if inspect.ismodule(subject):
        return called
    bound = {name: one for name, one in called.items() if inspect.ismethod(one) and one.__self__ is subject}
    return {name: one for name, one in bound.items() if not shared(subject, name, one)}


def shared(subject: Any, name: str, one: Any) -> bool:
    """Tell whether a method is that of a subject before: of `Record` or a queryset."""
    if isinstance(subject, Manager):
        return one.__func__ is getattr(QuerySet, name, None)
    alike = inspect.isclass(subject) and subject.__name__ not in {"Record", "FeatureValue"}
    return alike and one.__func__ is getattr(getattr(dft.Record, name, None), "__func__", None)


def tries(name: str, subject: Any) -> dict[str, Try]:
    """Return, by callable and parameter, the calls that hand one odd value over."""
    found: dict[str, Try] = {}
    for called, one in callables(subject).items():
        parameters = inspect.signature(one).parameters.values()
        needed = {p.name: PLAIN[p.name] for p in parameters if p.default is p.empty and p.kind in NAMED}
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                for keyword in KEYWORDS[parameter.name]:
                    found[f"{name}.{called}({keyword}=)"] = calling(called, needed, keyword)
            elif parameter.kind is parameter.VAR_POSITIONAL:
                found[f"{name}.{called}(*)"] = positional(called)
            else:
                found[f"{name}.{called}({parameter.name}=)"] = calling(called, needed, parameter.name)
    return found


NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


def positional(called: str) -> Try:
    return lambda on, odd: getattr(on, called)(odd)


def calling(called: str, needed: Mapping[str, Any], keyword: str) -> Try:
    return lambda on, odd: getattr(on, called)(**{**needed, keyword: odd})


def finish(made: Any) -> None:
    """Take what is asked for only when it is taken: rows, blocks, stores."""
    if isinstance(made, Store):
        made.close()
    elif isinstance(made, AbstractContextManager) and not isinstance(made, Path):
        with ExitStack() as stack:
            stack.enter_context(made)
    elif isinstance(made, QuerySet | Iterator):
        list(made)


class Watched:
    """Tries calls on a store, and sees whether one that fails changed a row."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.wrote = False
        self.counts = row_counts(store)
        self.wrong: list[str] = []

    def see(self, sql: str, _params: object) -> None:
        self.wrote = self.wrote or WRITES.match(sql) is not None

    def call(self, what: str, call: Callable[[], Any]) -> None:
        self.wrote = False
        try:
            finish(call())
        except DuckfeatError as error:
            # Rows are counted where something was written at all.
            if self.wrote and row_counts(self.store) != self.counts:
                self.wrong.append(f"{what[:200]}: rows were left behind by {error!r:.200}")
            if not str(error):
                self.wrong.append(f"{what[:200]}: {type(error).__name__} says nothing")
        except Exception as error:  # noqa: BLE001  # any other error is what is looked for
            self.wrong.append(f"{what[:200]}: {error!r:.300}")

        if self.store._session.branch_id != 1:
            self.store.switch("main")

    def recount(self) -> None:
        """Count the rows anew if something was written since."""
        if self.wrote:
            self.counts = row_counts(self.store)


@pytest.mark.no_cover  # nothing that is reached by odd arguments alone
@pytest.mark.parametrize("name", SUBJECTS)
def test_odd_arguments(name: str, filled: Store) -> None:
    found = tries(name, SUBJECTS[name](filled))
    assert found
    assert wrong_of(filled, found, lambda: SUBJECTS[name](filled)) == []


def wrong_of(store: Store, found: Mapping[str, Try], make: Callable[[], Any]) -> list[str]:
    """Hand every odd value to every try, each on what `make` makes, and return what went wrong."""
    watched = Watched(store)
    with store.trace(watched.see):
        for what, call in found.items():
            for odd in ODD:
                on = make()
                watched.recount()
                watched.call(f"{what} {shown(odd)}", partial(call, on, odd))
    return watched.wrong


# What a new record needs besides the field that is tried.
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "Artifact": {"path": "s3://bucket/odd"},
    "Feature": {"name": "odd", "dtype": float},
    "FeatureValue": {"feature": "dose", "value": 3.0},
    "Run": {},
    "Source": {"name": "odd", "entity": "CellType", "version": "1"},
    "Transform": {"key": "odd"},
    "User": {"handle": "odd"},
}
TOGETHER = {name for name, made in vars(dft.models).items() if hasattr(made, "__table__")}


def test_odd_fields_of_new_records(filled: Store) -> None:
    tried: set[tuple[str, str]] = set()
    found: dict[str, Try] = {}
    for name in ["Record", *sorted(TOGETHER - {"Record"})]:
        registry = getattr(filled, name)
        needed = NEEDED.get(name, {"name": "odd"})
        fields = {field.name: field.type for field in registry.__table__.fields.values()} | {"no": "none"}
        for field, type_ in fields.items():
            if (field, type_) not in tried or field in needed:
                found[f"{name}({field}=)"] = making(registry, needed, field)
        tried |= set(fields.items())
    assert len(found) > 40
    assert wrong_of(filled, found, lambda: None) == []


def making(registry: Any, needed: Mapping[str, Any], field: str) -> Try:
    return lambda _, odd: registry(**{**needed, field: odd}).save()
