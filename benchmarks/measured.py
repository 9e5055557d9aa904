"""Run cases with pytest-benchmark and read what it wrote; the small things that every table of figures needs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"

SINGLES = {
    "`get_or_create` of a value, existing": ("test_get_or_create", "existing"),
    "`get_or_create` of a value, new": ("test_get_or_create", "new"),
    "save a run": ("test_run_save", None),
    "`set_values` of 5, on a new record": ("test_set_values", None),
    "`set_values` of 5, replacing 5": ("test_set_again", None),
    "`get(name=)` among 100,000": ("test_get", None),
}
"""What is done with single records, and the case that does it."""


class Measured:
    """What the cases of one run took and told."""

    def __init__(self, written: dict[str, Any]) -> None:
        self._cases: list[dict[str, Any]] = written["benchmarks"]
        told = written["machine_info"]
        self.about = {
            "date": written["datetime"][:10],
            "system": f"{told['system']} {told['machine']}",
            "processor": told["cpu"]["brand_raw"],
            "cores": told["cores"],
            "python": told["python_version"],
            "versions": told["versions"],
        }

    def seconds(self, case: str, what: str | None = None, entities: int | None = None) -> float | None:
        """Return the median over the turns of a case, of the median over its rounds; None where it did not run."""
        return _median(found["stats"]["median"] for found in self._found(case, what, entities))

    def told(self, key: str, case: str, what: str | None = None, entities: int | None = None) -> float | None:
        """Return the median over the turns of a figure that a case told besides its time."""
        return _median(found["extra_info"][key] for found in self._found(case, what, entities))

    def sizes(self, case: str) -> list[int]:
        """Return the numbers of entities that a case ran with, the smallest first."""
        return sorted({found["params"]["entities"] for found in self._found(case)})

    def _found(self, case: str, what: str | None = None, entities: int | None = None) -> Iterator[dict[str, Any]]:
        wanted = {"what": what, "entities": entities}
        for found in self._cases:
            given = found["params"] or {}
            if found["name"].partition("[")[0] == case and all(
                value in (None, given.get(name)) for name, value in wanted.items()
            ):
                yield found


def _median(figures: Iterator[float]) -> float | None:
    found = list(figures)
    return statistics.median(found) if found else None


def measure(*arguments: str, python: str = sys.executable) -> Measured:
    """Run cases in the environment of an interpreter, in files that go when it ends; a failing case ends all."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "written.json"
        own = [f"--basetemp={folder}/cases", f"--benchmark-json={written}", "--benchmark-quiet"]
        if subprocess.run([python, "-m", "pytest", *arguments, *own], cwd=HERE, check=False).returncode:  # noqa: S603
            sys.exit("a case failed")
        return Measured(json.loads(written.read_text()))


def figure(number: float | None, unit: str = "") -> str:
    """Return a number with three digits that say something, and its unit; nothing for no number."""
    if number is None:
        return ""
    return f"{number:,.0f} {unit}".strip() if abs(number) >= 100 else f"{number:.3g} {unit}".strip()


def in_markdown(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    rows = [head, ("---", *("---:" for _ in head[1:])), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def in_words(about: dict[str, Any]) -> str:
    """Return when, on what and with what was measured, as a sentence."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return textwrap.fill(
        f"Measured on {about['date']}, {about['system']}, {about['processor']}, {about['cores']} cores, "
        f"Python {about['python']}, {versions}.",
        width=120,
    )
