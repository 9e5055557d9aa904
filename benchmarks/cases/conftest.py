"""What the cases share: options, sizes and turns, whose records are worked with, what is told of the machine."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sides.work import Side

SMALLEST, LARGE = 1_000, 10_000_000
PACKAGES = ("duckfeat", "duckdb", "polars", "pyarrow", "pandas", "lamindb", "mlflow", "pytest-benchmark")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the cases."""
    group = parser.getgroup("cases")
    group.addoption("--entities", type=int, default=1_000_000, help="records with ten features of the largest size")
    group.addoption("--turns", type=int, default=3, help="how often cases that are compared take turns")
    group.addoption("--large", action="store_true", help="go on to 100 million annotations, with a memory limit too")
    group.addoption("--side", choices=("duckfeat", "lamindb", "mlflow"), default="duckfeat", help="whose records")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give cases with a `turn` each size, ten times as many records as the last, and its turns; the large has one.

    A later parameter varies faster, so the cases that are compared follow each other in every turn. Those marked
    `both_ways` do so forwards and backwards, so that none always comes behind the same other.
    """
    given = metafunc.config.option
    large = (LARGE,) if given.large else ()
    if "turn" in metafunc.fixturenames:
        sizes = [SMALLEST * 10**power for power in range(8) if SMALLEST * 10**power < given.entities]
        turns = [(size, turn) for size in (*sizes, given.entities) for turn in range(given.turns)]
        turns += [(size, 0) for size in large]
        both_ways = metafunc.definition.get_closest_marker("both_ways")
        if both_ways:
            compared = [(size, turn, what) for size, turn in turns for what in both_ways.args[:: -1 if turn % 2 else 1]]
            metafunc.parametrize(("entities", "turn", "what"), compared)
        else:
            metafunc.parametrize(("entities", "turn"), turns)
    elif "memory_limit" in metafunc.fixturenames:
        limits = [(size, limit) for size in large for size, limit in ((size // 10, None), (size, "2GB"))]
        metafunc.parametrize(("entities", "memory_limit"), limits)
    elif "entities" in metafunc.fixturenames:
        metafunc.parametrize("entities", [given.entities])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the large cases last: their files are still being written to disk for a while, which slows what follows."""
    items.sort(key=_is_large)


def _is_large(item: pytest.Item) -> bool:
    given = getattr(item, "callspec", None)
    return given is not None and given.params.get("entities") == LARGE


@pytest.fixture(scope="session")
def side(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Side:
    """Return the side whose records are worked with, its store new and empty."""
    name = pytestconfig.option.side
    made: Side = import_module(f"sides.{name}_side").make(tmp_path_factory.mktemp(name))
    return made


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Add cores and versions, and leave out the name of the host."""
    del machine_info["node"]
    machine_info["cores"] = os.cpu_count()
    machine_info["versions"] = {}
    for name in PACKAGES:
        try:
            machine_info["versions"][name] = version(name)
        except PackageNotFoundError:
            continue
