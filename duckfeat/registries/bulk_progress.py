"""The progress bar of a bulk annotation: rows, rate and time left, on a terminal and in a notebook only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from duckfeat.query.progress import progress_bar


@contextmanager
def progress(show: bool | None, rows: int, steps: int) -> Iterator[Callable[[], None]]:
    """Give what is called after each of `steps` steps, which together are all `rows`.

    With `show=None` there is a bar where somebody sees it and `tqdm` is installed.

    Raises `MissingExtra` for `show=True` without `tqdm`.
    """
    taken = 0
    with progress_bar("annotate", rows, "rows", show=show) as done:

        def step() -> None:
            nonlocal taken
            taken += 1
            done(rows * taken // steps)

        yield step
