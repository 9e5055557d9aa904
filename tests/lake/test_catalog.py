"""A lake into which another program has put something: it is refused, or that is never used."""

from __future__ import annotations

from typing import Any

import pytest

from duckfeat.engine import catalog
from duckfeat.engine.resources import migrations
from duckfeat.errors import NotAStore
from duckfeat.store import Store
from tests.servers import Lake
from tests.unit.engine.test_catalog import MACROS, VIEWS, filled, seen


def _defined(store: Store, *statements: str) -> None:
    engine: Any = store._session.engine
    with engine.aside() as aside:
        aside.execute("USE store")
        for sql in statements:
            aside.execute(sql)


def test_a_lake_with_other_tables_is_refused(lake: Lake) -> None:
    with lake.connect() as store:
        _defined(store, "ALTER TABLE ulabels ALTER name SET DEFAULT 'a'")
    with pytest.raises(NotAStore, match="another definition has ulabels"):
        lake.connect()


def test_macros_and_views_of_a_lake_are_not_used(lake: Lake) -> None:
    with lake.connect() as store:
        filled(store)
        expected = seen(store)
        _defined(store, *VIEWS, *MACROS)
    with lake.connect() as store:
        assert seen(store) == expected


def test_what_a_lake_has_is_what_the_migrations_make(lake: Lake) -> None:
    with lake.connect() as store:
        engine: Any = store._session.engine
        with engine.aside() as aside:
            assert catalog.LAKE.of(lambda sql: aside.execute(sql).fetchall()) == catalog.LAKE.reference(migrations())
            assert catalog.LAKE.digest_of(lambda sql: aside.execute(sql).fetchall()) == catalog.LAKE.digest
