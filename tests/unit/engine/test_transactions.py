"""Transactions that the database aborts: whoever catches the error inside is told at the end, and nothing is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import duckdb
import pytest

from duckfeat.engine.duck import DuckEngine
from duckfeat.errors import DuckfeatError, QueryError
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
