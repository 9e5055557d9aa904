"""The built wheel holds what the package needs, and does the main job where nothing else is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    """Run `command` away from this project's own code and return its output; its errors end in the report."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("COV", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the working tree by the build backend."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=ROOT)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a new environment with the wheel and the DuckDB release under test."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    interpreter = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    duckdb = f"duckdb=={version('duckdb')}"
    run(interpreter, "-m", "pip", "install", "--quiet", "--no-compile", wheel, duckdb, cwd=folder)
    return interpreter


def files_below(folder: str, *, suffix: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob(f"*{suffix}")}


def test_the_wheel_holds_the_package_and_its_sql(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    sql = {f"duckfeat/{name}" for name in files_below("sql", suffix=".sql")}
    assert sql
    assert names >= files_below("duckfeat", suffix=".py") | sql | {"duckfeat/py.typed"}
    assert {name.partition("/")[0] for name in names} == {"duckfeat"}


def test_the_wheel_does_the_main_job(python: Path, tmp_path: Path) -> None:
    job = shutil.copy(Path(__file__).with_name("main_job.py"), tmp_path)
    answers = json.loads(run(python, job, cwd=tmp_path))
    error = answers.pop("error")
    assert Path(answers.pop("package")).is_relative_to(python.parents[1].resolve())
    assert answers == {
        "has_pandas": False,
        "rows": 4,
        "links": 24,
        "links_again": 0,
        "found": True,
        "same_run": True,
        "late": ["AA1141"],
        "n_late": 1,
        "equal": True,
        "typo": "tailnum",
        "clean": True,
    }
    assert "duckfeat[pandas]" in error
