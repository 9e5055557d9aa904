"""Files that are there whole or not at all: written under another name, which then becomes theirs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from duckfeat.engine.failures import refused

# Of the name of a file so much is kept in the other name, which has to fit, too: 255 bytes, four for a letter at most.
_KEPT = 40


@contextmanager
def whole(target: Path, take_place: Callable[[Path, Path], object] = Path.replace) -> Iterator[Path]:
    """Give another name to write under, and put what was written in its place when all of it is there.

    Nothing else stays, whatever ends the block. What is no file, such as a device, is written itself. Raises what an
    error of the system means as one of ours.
    """
    partial = target.with_name(f"{target.name[:_KEPT]}.{uuid4().hex}.partial")
    try:
        with refused(str(target)):
            if target.exists() and not (target.is_file() or target.is_dir()):
                yield target
            else:
                yield partial
                take_place(partial, target)
    finally:
        remove(partial)


def remove(path: Path) -> None:
    """Remove a file with its log, or a folder; what is not there is passed over."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    Path(f"{path}.wal").unlink(missing_ok=True)


def synced(path: Path) -> None:
    """Have the disk take what was written before it gets its name."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
