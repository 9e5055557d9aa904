"""Turns by a file: one at a time, told who has it, free when given back or when the file is gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from duckfeat.engine.lake_places import lake_place
from duckfeat.engine.turns import FileTurns
from duckfeat.errors import StoreLocked, TransactionConflict


def test_one_at_a_time(tmp_path: Path) -> None:
    place = lake_place(f"ducklake:sqlite:{tmp_path}/l.sqlite")
    first, second = FileTurns(place), FileTurns(place)
    first.take(1)
    first.check()
    with pytest.raises(StoreLocked, match=f"process {os.getpid()} on ") as caught:
        second.take(0.05)
    assert caught.value.path == place.url
    first.give()
    second.take(0.05)
    second.check()
    second.give()
    second.give()
    first.close()


def test_a_turn_that_was_lost_is_noticed(tmp_path: Path) -> None:
    turns = FileTurns(lake_place(f"ducklake:sqlite:{tmp_path}/l.sqlite"))
    with pytest.raises(TransactionConflict, match="taken away"):
        turns.check()
    turns.take(1)
    (tmp_path / "l.sqlite.turn").unlink()
    with pytest.raises(TransactionConflict, match="taken away"):
        turns.check()
    turns.give()
