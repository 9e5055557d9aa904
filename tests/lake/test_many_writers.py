"""Many processes write to one lake at once, and some are killed: nothing is lost, nothing stands twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import duckfeat as dft
from duckfeat.errors import StoreLocked
from duckfeat.store import Store
from tests.lake import worker
from tests.servers import Lake

WRITERS = 8
STATE = """
SELECT 'feature' AS what, name AS a, dtype AS b, NULL AS c FROM features
UNION ALL
SELECT 'label', name, NULL, NULL FROM ulabels
UNION ALL
SELECT 'record', name, NULL, NULL FROM records
UNION ALL
SELECT 'value', f.name, v.value, NULL FROM feature_values AS v JOIN features AS f ON v.feature_id = f.id
UNION ALL
SELECT 'annotation', r.name, f.name, v.value
FROM current_record_annotations AS a
JOIN records AS r ON a.entity_id = r.id
JOIN features AS f ON a.feature_id = f.id
JOIN feature_values AS v ON a.value_id = v.id
UNION ALL
SELECT 'link', l.relation, r.name, u.name
FROM current_links AS l
JOIN records AS r ON l.from_id = r.id OR l.to_id = r.id
JOIN ulabels AS u ON u.id IN (l.from_id, l.to_id)
WHERE r.name LIKE 'own%' AND u.name IN ('label 0', 'label 1')
"""


def state(store: Store) -> Counter[tuple[Any, ...]]:
    """Return what a store holds by names, how often each."""
    return Counter(store.sql(STATE).rows())


def start(lake: Lake, number: int) -> subprocess.Popen[str]:
    """Start a writer; it is ready when it has said so, and begins when it is told to."""
    options = json.dumps(lake.options)
    return subprocess.Popen(
        [sys.executable, worker.__file__, lake.url, options, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(dft.__file__).parents[1])},
    )


@contextmanager
def writers(lake: Lake, number: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start writers, and have none left at the end."""
    started = [start(lake, at) for at in range(number)]
    try:
        for process in started:
            assert said(process) == "ready"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_many_writers_end_where_one_after_another_does(lake: Lake, store: Store) -> None:
    worker.prepare(store)
    for number in range(WRITERS):
        worker.work(store, number)
    with lake.connect() as shared:
        worker.prepare(shared)
        with writers(lake, WRITERS) as processes:
            for process in processes:
                go(process)
            assert [said(process) for process in processes] == ["done"] * WRITERS
        assert state(shared) == state(store)
        assert shared.check().ok
