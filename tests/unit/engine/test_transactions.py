"""Transactions that the database aborts: whoever catches the error inside is told at the end, and nothing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import duckdb
import pytest

from duckfeat.engine.duck import DuckEngine
from duckfeat.errors import DuckfeatError, IntegrityError, QueryError
from duckfeat.model.statement import Statement
from duckfeat.store import Store
from tests.counting import row_counts

FAILING = "SELECT error('no') FROM branches"

FAILURES: dict[str, Callable[[DuckEngine], object]] = {
    "rows": lambda engine: engine.rows(Statement(FAILING, {})),
    "arrow": lambda engine: engine.arrow(Statement(FAILING, {})),
    "write": lambda engine: engine.write("INSERT INTO links SELECT error('no'), 1, 1, 1 FROM branches"),
    "the connection itself": lambda engine: engine.connection().execute(FAILING).fetchall(),
}


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_nothing_is_kept_after_an_error_that_was_caught(store: Store, fail: Callable[[DuckEngine], object]) -> None:
    engine = store._session.engine
    assert isinstance(engine, DuckEngine)
    label = store.ULabel(name="a")
    before = row_counts(store)

    def caught() -> None:
        label.save()
        with suppress(QueryError, duckdb.Error):
            fail(engine)

    with pytest.raises(DuckfeatError, match="aborted"), store.transaction():
        caught()
    assert (row_counts(store), label.id) == (before, None)
    label.save()
    assert store.ULabel.count() == 1


def saved(store: Store) -> list[str]:
    return sorted(store.ULabel.all().to_list("name"))


async def _saves(store: Store, name: str, *, fails: bool = False) -> None:
    with store.transaction():
        store.ULabel(name=name).save()
        await asyncio.sleep(0.01)
        store.ULabel(name=f"{name} later").save()
        if fails:
            raise ValueError(name)


def test_tasks_do_not_share_a_transaction(store: Store) -> None:
    async def together() -> list[Any]:
        async def alone() -> None:
            store.ULabel(name="alone").save()

        jobs = (_saves(store, "a", fails=True), _saves(store, "b"), alone())
        return list(await asyncio.gather(*jobs, return_exceptions=True))

    failed, refused, alone = asyncio.run(together())
    assert isinstance(failed, ValueError)
    for error in (refused, alone):
        assert isinstance(error, IntegrityError)
        assert str(error).startswith("a transaction is open in another task, which awaits something inside the block")
    assert saved(store) == []


def test_tasks_one_after_the_other_and_in_threads_have_transactions_of_their_own(store: Store) -> None:
    def whole(name: str) -> None:
        with store.transaction():
            store.ULabel(name=name).save()
            if name == "b":
                raise ValueError(name)

    async def together() -> list[Any]:
        await _saves(store, "first")
        await asyncio.create_task(_saves(store, "second"))
        threads = (asyncio.to_thread(whole, name) for name in "abc")
        return await asyncio.gather(*threads, return_exceptions=True)

    assert [type(outcome) for outcome in asyncio.run(together())] == [type(None), ValueError, type(None)]
    assert saved(store) == ["a", "c", "first", "first later", "second", "second later"]


def test_a_task_that_was_begun_inside_takes_part_and_a_thread_does_not_wait_for_ever(store: Store) -> None:
    async def inside() -> None:
        with store.transaction():
            await asyncio.gather(_saves(store, "a"), _saves(store, "b"))

    async def in_a_thread() -> None:
        with store.transaction():
            store.ULabel(name="c").save()
            await asyncio.to_thread(store.ULabel(name="d").save)

    asyncio.run(inside())
    expected = ["a", "a later", "b", "b later"]
    assert saved(store) == expected
    with pytest.raises(IntegrityError, match="open in the thread that began this one"):
        asyncio.run(in_a_thread())
    assert saved(store) == expected


def test_a_task_begun_by_what_has_ended_goes_on_with_its_transaction(store: Store) -> None:
    opened = store.transaction()

    async def begins() -> None:
        opened.__enter__()

    async def goes_on() -> None:
        store.ULabel(name="a").save()

    asyncio.run(begins())
    asyncio.run(goes_on())
    opened.__exit__(None, None, None)
    assert saved(store) == ["a"]


def test_blocks_that_overlap_keep_nothing(store: Store) -> None:
    def steps(name: str) -> Iterator[None]:
        with store.transaction():
            store.ULabel(name=name).save()
            yield

    first, second = steps("a"), steps("b")
    next(first), next(second)
    with pytest.raises(IntegrityError, match="ended before a block inside it did: nothing of either is kept"):
        next(first)
    with pytest.raises(IntegrityError, match="ended before a block inside it did"):
        next(second)
    assert saved(store) == []
    store.ULabel(name="c").save()
    assert saved(store) == ["c"]
