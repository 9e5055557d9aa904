"""Annotating a frame is adding, updating or setting the values of its records one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import duckfeat as dft
from duckfeat.compile import staging
from duckfeat.errors import ValidationError
from duckfeat.store import Store

NAMES = ["a", "b", "c"]
SCHEMA: dict[str, Any] = {"name": pl.String, "one": pl.Int64, "several": pl.List(pl.String), "label": pl.String}
ONE = st.none() | st.integers(1, 3)
SEVERAL = st.none() | st.lists(st.none() | st.sampled_from("xyz"), max_size=3)
LABEL = st.none() | st.sampled_from(["liver", "kidney"])
VALUES = st.fixed_dictionaries({"one": ONE, "several": SEVERAL, "label": LABEL})
ROWS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)


@pytest.fixture(autouse=True, scope="module", params=[staging.MANY, 1], ids=["few rows", "many rows"])
def many(request: pytest.FixtureRequest) -> Iterator[None]:
    """New values are numbered as those of few rows, and as those of many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "MANY", request.param)
        yield


def new_store() -> Store:
    store = dft.connect(default=False)
    store.save([store.ULabel(name=name) for name in ("liver", "kidney")])
    store.save(
        [
            store.Feature(name="one", dtype=int),
            store.Feature(name="several", dtype=str, multiple=True),
            store.Feature(name="label", dtype="cat[ULabel]"),
            store.Feature(name="other", dtype=int),
        ]
    )
    store.save([store.Record(name=name, features={"other": 1}) for name in NAMES])
    return store


def one_by_one(store: Store, rows: Mapping[str, Mapping[str, Any]], mode: str) -> bool:
    """Write the values record by record, all or nothing, and tell whether they were taken."""
    try:
        with store.transaction():
            for name, values in rows.items():
                getattr(store.Record.get(name=name).features, f"{mode}_values")(values)
    except ValidationError:
        return False
    return True


def wide(rows: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{"name": name, **values} for name, values in rows.items()], schema=SCHEMA)


def at_once(store: Store, frame: Any, mode: str) -> bool:
    try:
        store.annotate(frame, key="name", mode=mode)
    except ValidationError:
        return False
    return True


def held(store: Store) -> list[dict[str, Any]]:
    return [store.Record.get(name=name).features.get_values() for name in NAMES]


def facts(store: Store) -> tuple[int, ...]:
    tables = ("record_annotations", "record_removals", "typed_values")
    return tuple(store.sql(f"SELECT count(*) AS n FROM {table}")["n"].item() for table in tables)  # noqa: S608


@pytest.mark.parametrize("mode", ["add", "update", "set"])
@settings(max_examples=8)
@given(steps=st.lists(ROWS, min_size=1, max_size=3))
def test_a_frame_says_what_its_records_say_one_by_one(
    mode: str, steps: Sequence[Mapping[str, Mapping[str, Any]]]
) -> None:
    with new_store() as bulk, new_store() as single:
        for rows in steps:
            assert at_once(bulk, wide(rows), mode) == one_by_one(single, rows, mode)
            assert held(bulk) == held(single)
            assert facts(bulk) == facts(single)
        assert bulk.check().ok


@pytest.mark.parametrize("mode", ["add", "update", "set"])
@settings(max_examples=5)
@given(steps=st.lists(ROWS, min_size=1, max_size=2))
def test_a_long_frame_says_what_a_wide_one_says(mode: str, steps: Sequence[Mapping[str, Mapping[str, Any]]]) -> None:
    with new_store() as bulk, new_store() as single:
        for rows in steps:
            listed = [
                {"entity": name, "feature": feature, "value": item}
                for name, values in rows.items()
                for feature in ("several", "label")
                for item in (values[feature] if isinstance(values[feature], list) else [values[feature]]) or [None]
            ]
            schema = {"entity": pl.String, "feature": pl.String, "value": pl.String}
            frame = pl.DataFrame(listed, schema=schema)
            given_ = {name: {**values} for name, values in rows.items()}
            for values in given_.values():
                del values["one"]
            assert at_once(bulk, frame, mode) == one_by_one(single, given_, mode)
            assert held(bulk) == held(single)
