"""Every Python example in README and docs runs, page by page, in a folder and a namespace of its own.

A block fenced as `python` is run as a doctest when it has prompts and as a program when it has none; the
blocks of a page continue each other.
"""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^(?P<indent> *)```python[^\n]*\n(?P<source>.*?)^(?P=indent)```\s*$", re.DOTALL | re.MULTILINE)


class Example(NamedTuple):
    """A fenced block: its code and the line of the page that its first line stands on."""

    source: str
    line: int


def examples(text: str) -> list[Example]:
    """Return the Python blocks of a page, in their order."""
    found = []
    for match in FENCE.finditer(text):
        indent = len(match["indent"])
        source = "".join(line[indent:] or "\n" for line in match["source"].splitlines(keepends=True))
        found.append(Example(source, text.count("\n", 0, match.start("source")) + 1))
    return found


def run_session(example: Example, name: str, namespace: dict[str, Any]) -> None:
    """Run a block with prompts and compare what it prints with what the page shows."""
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    session = doctest.DocTestParser().get_doctest(example.source, {}, name, name, example.line - 1)
    session.globs = namespace
    report: list[str] = []
    if runner.run(session, out=report.append, clear_globs=False).failed:
        pytest.fail("".join(report), pytrace=False)


def run_program(example: Example, name: str, namespace: dict[str, Any]) -> None:
    """Run a block without prompts; what it raises points at its line of the page."""
    exec(compile("\n" * (example.line - 1) + example.source, name, "exec"), namespace)  # noqa: S102 - our own page


def run_page(text: str, name: str) -> int:
    """Run all examples of a page and return how many there were."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    found = examples(text)
    for example in found:
        run = run_session if example.source.lstrip().startswith(">>>") else run_program
        run(example, name, namespace)
    return len(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix())


def test_blocks_of_a_page_continue_each_other() -> None:
    first, second = "```python\nx = 2\n```\n", "   ```python\n   >>> x + 1\n   3\n   ```\n"
    page = f"{first}\n1. Then\n\n{second}\n```bash\nexit 1\n```\n"
    assert examples(page) == [Example("x = 2\n", 2), Example(">>> x + 1\n3\n", 8)]
    assert run_page(page, "page.md") == 2


def test_a_wrong_output_is_noticed() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"line 2(.|\n)*Expected:\n    3\nGot:\n    2"):
        run_page("```python\n>>> 1 + 1\n3\n```\n", "page.md")


def test_a_failing_program_is_noticed() -> None:
    with pytest.raises(ZeroDivisionError):
        run_page("```python\n1 / 0\n```\n", "page.md")
