"""The import contracts of pyproject.toml hold, and each of them notices what it forbids."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(no_cache=True, no_logo=True))
"""


def lint_imports(project: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on the package in `project`, in a process that finds that package first."""
    return subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the package and its contracts, free to be broken."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "duckfeat", tmp_path / "duckfeat", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_are_kept() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("model/extra.py", "import duckfeat.engine", "Imports point down only"),
        ("compile/extra.py", "import duckfeat.frame", "Imports point down only"),
        ("stray.py", "import duckfeat.errors", "Imports point down only"),
        ("query/extra.py", "import duckdb", "duckdb is imported in duckfeat.engine alone"),
        ("compile/extra.py", "import polars", "compile and model import no data library"),
        ("model/extra.py", "def f():\n    import numpy", "compile and model import no data library"),
    ],
)
def test_a_broken_contract_is_noticed(project: Path, module: str, statement: str, contract: str) -> None:
    (project / "duckfeat" / module).write_text(f"{statement}\n", encoding="utf-8")
    done = lint_imports(project)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout


def test_a_cycle_is_noticed(project: Path) -> None:
    (project / "duckfeat/model/one.py").write_text("import duckfeat.model.two\n", encoding="utf-8")
    (project / "duckfeat/model/two.py").write_text("import duckfeat.model.one\n", encoding="utf-8")
    done = lint_imports(project)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No import cycles inside any layer BROKEN" in done.stdout
