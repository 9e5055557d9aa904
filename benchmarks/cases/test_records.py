"""What is done with samples, values and runs, the same for duckfeat and its peers: `--side` says whose they are.

The order matters: everything up to `test_run_save` works on ten thousand samples, `test_get` on a hundred thousand.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from sides import work

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture
    from sides.work import Side

ROUNDS = 100
numbers = count(work.SAMPLES)


def test_store_many(benchmark: BenchmarkFixture, side: Side) -> None:
    """Store all samples at once."""
    samples = [(work.name(number), work.values(number)) for number in range(work.SAMPLES)]
    before = side.bytes()
    benchmark.pedantic(side.store_many(samples))
    benchmark.extra_info["bytes"] = (side.bytes() - before) / (work.SAMPLES * len(work.FEATURES))


def test_count(benchmark: BenchmarkFixture, side: Side) -> None:
    """Count the samples above a temperature."""
    found = benchmark.pedantic(side.count_warm, rounds=20, warmup_rounds=1)
    assert found == sum(work.values(number)["temperature"] > work.WARM for number in range(work.SAMPLES))


def test_wide(benchmark: BenchmarkFixture, side: Side) -> None:
    """Take all samples as a wide frame."""
    frame = benchmark.pedantic(side.frame, rounds=5, warmup_rounds=1)
    assert len(frame) == work.SAMPLES
    assert all(any(name in column for column in frame.columns) for name in work.FEATURES)


@pytest.mark.parametrize("what", ["typed", "mistyped"])
def test_search(benchmark: BenchmarkFixture, side: Side, what: str) -> None:
    """Search a sample by its name, and by its name with a typo in each word."""
    text = {"typed": work.SEARCHED, "mistyped": work.mistyped(work.SEARCHED)}[what]
    found = work.SEARCHED in benchmark.pedantic(side.search, args=(text,), rounds=20, warmup_rounds=1)
    assert found or what == "mistyped"
    benchmark.extra_info["found"] = found


def test_set_values(benchmark: BenchmarkFixture, side: Side) -> None:
    """Set five values of a new sample."""
    benchmark.pedantic(
        side.set_values,
        setup=lambda: ((side.new_sample(), work.values(next(numbers))), {}),
        rounds=ROUNDS,
        warmup_rounds=1,
    )


def test_set_again(benchmark: BenchmarkFixture, side: Side) -> None:
    """Set five other values of the same sample, which replaces those it has."""
    if not side.replaces:
        pytest.skip("what is set cannot be set again")
    sample = side.new_sample()
    side.set_values(sample, work.values(next(numbers)))
    setup = lambda: ((sample, work.values(next(numbers))), {})  # noqa: E731 -- read where it is handed on
    benchmark.pedantic(side.set_values, setup=setup, rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.parametrize("what", ["existing", "new"])
def test_get_or_create(benchmark: BenchmarkFixture, side: Side, what: str) -> None:
    """Get a value that exists, and make one that does not."""
    if side.get_or_create is None:
        pytest.skip("values are no records")
    side.get_or_create(-1.0)
    setup = {"existing": lambda: ((-1.0,), {}), "new": lambda: ((-float(next(numbers)),), {})}[what]
    benchmark.pedantic(side.get_or_create, setup=setup, rounds=ROUNDS, warmup_rounds=1)


def test_run_save(benchmark: BenchmarkFixture, side: Side) -> None:
    """Save a new run."""
    benchmark.pedantic(side.save_run, rounds=ROUNDS, warmup_rounds=1)


def test_get(benchmark: BenchmarkFixture, side: Side) -> None:
    """Get a sample by its name among a hundred thousand."""
    if side.add_names is None:
        pytest.skip("a hundred thousand runs take half an hour")
    more = work.NAMED - work.SAMPLES
    side.add_names([f"sample {number}" for number in range(more)])
    setup = lambda: ((f"sample {next(numbers) * 7 % more}",), {})  # noqa: E731 -- as above
    benchmark.pedantic(side.get, setup=setup, rounds=ROUNDS, warmup_rounds=1)
