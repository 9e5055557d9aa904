"""A program that ends without closing its store leaves nothing behind and says nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import duckfeat as dft
store = dft.connect("features.duckdb")
dft.ULabel(name="a").save()
print(dft.ULabel.count())
"""


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("wait", ["", "import time; time.sleep(0.3)"], ids=["at once", "a little later"])
def test_an_open_store_at_the_end_of_a_program(tmp_path: Path, wait: str) -> None:
    done = run(PROGRAM + wait, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["features.duckdb"]


@pytest.mark.parametrize("library", ["numpy", "polars", "pandas", "pyarrow"])
@pytest.mark.parametrize("store", ["", "'features.duckdb'"], ids=["memory", "file"])
def test_whatever_else_is_imported(tmp_path: Path, library: str, store: str) -> None:
    program = f"import {library}\nimport duckfeat as dft\nstore = dft.connect({store})\n"
    program += "label = store.ULabel(name='a').save()\n"
    program += "found = iter(store.ULabel.all())\nprint(next(found).created_by == store.user)"
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_an_error_is_all_that_is_said(tmp_path: Path) -> None:
    done = run(f"{PROGRAM}dft.ULabel.get(name='b')", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.splitlines()[-1].startswith("duckfeat.errors.DoesNotExist: ULabel.get(name='b')")
