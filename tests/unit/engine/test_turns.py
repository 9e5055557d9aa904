"""Turns by a file: one at a time, told who has it, free when given back or when the file is gone."""

from __future__ import annotations

import os
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from duckfeat.engine.lake_places import lake_place
from duckfeat.engine.turns import FileTurns
from duckfeat.errors import MissingFile, StoreLocked, TransactionConflict


def test_one_at_a_time(tmp_path: Path) -> None:
    place = lake_place(f"ducklake:sqlite:{tmp_path}/l.sqlite")
    first, second = FileTurns(place), FileTurns(place)
    first.take(1)
    first.check()
    with pytest.raises(StoreLocked, match=f"process {os.getpid()} on ") as caught:
        second.take(0.05)
    told: Any = caught.value
    assert (told.path, told.pid, told.host) == (place.url, os.getpid(), socket.gethostname())
    assert told.program == Path(sys.argv[0]).name
    assert told.owner == f"process {told.pid} on {told.host} ({told.program})"
    assert 0 <= told.seconds < 60
    assert timedelta() < datetime.now(UTC) - datetime.fromisoformat(told.since) < timedelta(minutes=1)
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


def test_who_is_not_known_is_told_as_nobody(tmp_path: Path) -> None:
    place = lake_place(f"ducklake:sqlite:{tmp_path}/l.sqlite")
    first = FileTurns(place)
    first.take(1)
    (tmp_path / "l.sqlite.turn").write_text("", encoding="utf-8")
    with pytest.raises(StoreLocked, match="another process has it") as caught:
        FileTurns(place).take(0.01)
    first.give()
    told = caught.value
    assert (told.pid, told.host, told.program, told.owner) == (None, None, None, "another process")


def test_a_place_for_turns_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        FileTurns(lake_place(f"ducklake:sqlite:{tmp_path}/none/l.sqlite")).take(1)
