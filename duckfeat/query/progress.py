"""Progress bars, on a terminal and in a notebook only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from duckfeat.errors import missing_extra

DELAY = 1.0
"""Seconds before a bar shows that nobody asked for: what is done sooner needs none."""


@contextmanager
def progress_bar(what: str, total: int, unit: str, *, show: bool | None = None) -> Iterator[Callable[[int], None]]:
    """Give what is called with the number done so far; with `show=None` a bar is there where somebody sees it.

    Raises `MissingExtra` for `show=True` without `tqdm`.

    >>> with progress_bar("index", 2, "names", show=False) as done:
    ...     done(2)
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if show:
            raise missing_extra("tqdm", "progress") from None
        show = False
    if show is False or (show is None and not _seen()):
        yield lambda done: None
        return
    with tqdm(total=total, desc=what, unit=f" {unit}", unit_scale=True, delay=0 if show else DELAY) as bar:

        def move(done: int) -> None:
            bar.update(done - bar.n)

        yield move


def _seen() -> bool:
    """Tell whether somebody sees what is written: on a terminal, or in a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
