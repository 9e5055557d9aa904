"""The progress bar of a bulk annotation: rows, rate and time left, on a terminal and in a notebook only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from duckfeat.errors import missing_extra

DELAY = 1.0
"""Seconds before a bar shows: what is done sooner needs none."""


@contextmanager
def progress(show: bool | None, rows: int, steps: int) -> Iterator[Callable[[], None]]:
    """Give what is called after each of `steps` steps, which together are all `rows`.

    With `show=None` there is a bar where somebody sees it and `tqdm` is installed.

    Raises `MissingExtra` for `show=True` without `tqdm`.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if show:
            raise missing_extra("tqdm", "progress") from None
        show = False
    if show is False or (show is None and not _seen()):
        yield lambda: None
        return
    done = 0
    with tqdm(total=rows, desc="annotate", unit=" rows", unit_scale=True, delay=0 if show else DELAY) as bar:

        def step() -> None:
            nonlocal done
            before, done = rows * done // steps, done + 1
            bar.update(rows * done // steps - before)

        yield step


def _seen() -> bool:
    """Tell whether somebody sees what is written: on a terminal, or in a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
