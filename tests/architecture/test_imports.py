"""Importing duckfeat is light, and its modules import each other at their top, but for a few that load when used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("numpy", "pandas", "polars", "pyarrow")
DEFERRED = {
    "duckfeat.engine.lake",
    "duckfeat.registries.drawing",
    "duckfeat.ontology.importing",
    "duckfeat.query.search_index",
    "duckfeat.registries.bulk",
}
"""The doors to parts that many programs never use. What they import is theirs; nobody imports them at the top."""
MODULES = sorted((ROOT / "duckfeat").rglob("*.py"))


def loaded_after(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after `statement`."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def own_imports(node: ast.AST) -> bool:
    """Return whether `node` imports a module of this package that is not deferred."""
    match node:
        case ast.Import(names=names):
            return any(alias.name.partition(".")[0] == "duckfeat" for alias in names)
        case ast.ImportFrom(module=module, level=level):
            return level > 0 or ((module or "").partition(".")[0] == "duckfeat" and module not in DEFERRED)
    return False


def local_imports(source: str) -> list[int]:
    """Return the lines on which a function imports a module of this package that is not deferred."""
    functions = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    )
    inner = (node for function in functions for node in ast.walk(function) if own_imports(node))
    return sorted({node.lineno for node in inner if isinstance(node, ast.stmt)})


def test_import_is_light() -> None:
    assert loaded_after("import duckfeat").intersection(HEAVY) == set()


def test_parts_that_are_not_used_are_not_loaded() -> None:
    used = "import duckfeat as dft; dft.connect(); dft.Record(name='sample 1').save(); dft.Record.filter().exists()"
    assert loaded_after(used).isdisjoint(DEFERRED | {"rapidfuzz"})
    assert loaded_after(f"{used}; dft.Record.search('sample').exists()") >= {"duckfeat.query.search_index", "rapidfuzz"}


def test_the_look_at_loaded_modules_sees_a_heavy_one() -> None:
    assert "polars" in loaded_after("import polars")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_own_modules_are_imported_at_the_top(path: Path) -> None:
    assert local_imports(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import duckfeat\nfrom duckfeat import errors\n", []),
        ("def f():\n    import polars\n", []),
        ("def f():\n    import duckfeat.errors\n", [2]),
        ("async def f():\n    if True:\n        from duckfeat import errors\n", [3]),
        ("class C:\n    def f(self):\n        from . import errors\n", [3]),
        ("def f():\n    from duckfeat.registries.bulk import annotate\n", []),
        ("def f():\n    from duckfeat.registries.bulk_plan import plan\n", [2]),
    ],
)
def test_a_local_import_is_found(source: str, lines: list[int]) -> None:
    assert local_imports(source) == lines
