"""The hierarchy around a term as a drawing: by Graphviz where it is there, else as a tree of text."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duckfeat.errors import QueryError

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class HierarchyView:
    """The terms around one: `labels` by id, and `edges` from a term to one above it.

    It prints as a tree of text with the uppermost terms first; a notebook shows the drawing where Graphviz is
    installed.
    """

    term: int
    labels: Mapping[int, str]
    edges: Sequence[tuple[int, int]]

    @property
    def dot(self) -> str:
        """The drawing in Graphviz's language."""
        nodes = [
            f"  {id_} [label={json.dumps(label, ensure_ascii=False)}{', penwidth=2' if id_ == self.term else ''}];"
            for id_, label in self.labels.items()
        ]
        arrows = [f"  {above} -> {below};" for below, above in self.edges]
        return "\n".join(["digraph hierarchy {", "  node [shape=box];", *nodes, *arrows, "}"])

    def svg(self) -> str | None:
        """Return the drawing as SVG, or None where Graphviz (`dot`) is not installed.

        Raises `QueryError` with Graphviz's own words if it cannot draw.
        """
        program = shutil.which("dot")
        if program is None:
            return None
        done = subprocess.run(  # noqa: S603  # the program that was found, on text made here
            [program, "-Tsvg"], input=self.dot, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        if done.returncode:
            raise QueryError(f"Graphviz could not draw the hierarchy: {done.stderr}", reason=done.stderr)
        return done.stdout

    def __repr__(self) -> str:
        below: dict[int, list[int]] = {}
        for child, parent in self.edges:
            below.setdefault(parent, []).append(child)
        under = {child for child, _ in self.edges}
        roots = [id_ for id_ in self.labels if id_ not in under] or [self.term]
        lines: list[str] = []
        shown: set[int] = set()
        for root in sorted(roots, key=self.labels.__getitem__):
            self._lines(root, "", below, shown, lines)
        return "\n".join(lines)

    def _lines(
        self, top: int, top_indent: str, below: Mapping[int, Sequence[int]], shown: set[int], lines: list[str]
    ) -> None:
        """Write a term and what is below it; what was shown before is named only."""
        waiting = [(top, top_indent)]
        while waiting:
            id_, indent = waiting.pop()
            mark = " <" if id_ == self.term else ""
            under = sorted(below.get(id_, ()), key=self.labels.__getitem__, reverse=True)
            again = " (see above)" if id_ in shown and under else ""
            lines.append(f"{indent}{self.labels[id_]}{mark}{again}")
            if id_ not in shown:
                shown.add(id_)
                waiting += [(child, indent + "  ") for child in under]

    def _repr_html_(self) -> str:
        svg = self.svg()
        return svg[svg.index("<svg") :] if svg else f"<pre>{html.escape(repr(self))}</pre>"
