"""Files that are there whole or not at all: written under another name, which then becomes theirs."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from duckfeat.engine.failures import refused

LOCKS = importlib.util.find_spec("fcntl") is not None
"""Windows has none: there a file that is open can be neither renamed nor replaced."""
# Of the name of a file so much is kept in the other name, which has to fit, too: 255 bytes, four for a letter at most.
_KEPT = 40
_PARTIAL = r"\.[0-9a-f]{32}\.partial"


@contextmanager
def whole(target: Path, take_place: Callable[[Path, Path], object] = Path.replace) -> Iterator[Path]:
    """Give another name to write under, and put what was written in its place when all of it is there.

    Nothing else stays, whatever ends the block. What is no file, such as a device, is written itself. Raises what an
    error of the system means as one of ours, for what is done outside the block.
    """
    with ExitStack() as stack:
        with refused(str(target)):
            in_place = target.exists() and not (target.is_file() or target.is_dir())
            written = target if in_place else stack.enter_context(beside(target))
        yield written
        if not in_place:
            with refused(str(target)):
                take_place(written, target)


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """Give a place beside a file where something is made that goes with the block, unless it was moved elsewhere.

    It is in a folder of its own, which this process holds a lock on. So what a process has left that was killed is
    told from what another one writes now, and goes when the same file is next written.
    """
    _clear(target)
    while True:
        folder = target.with_name(f"{target.name[:_KEPT]}.{uuid4().hex}.partial")
        folder.mkdir()
        with _locked(folder) as mine:
            if mine is False:  # another process has taken it for one that was left
                continue
            try:
                yield folder / "written"
            finally:
                with refused(str(target)):
                    remove(folder)
            return


def _clear(target: Path) -> None:
    """Remove what killed processes have left that wrote a file."""
    left = re.compile(re.escape(target.name[:_KEPT]) + _PARTIAL)
    with suppress(OSError):
        for folder in [Path(found.path) for found in os.scandir(target.parent) if left.fullmatch(found.name)]:
            with suppress(OSError), _locked(folder) as mine:
                if mine:
                    remove(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[bool | None]:
    """Hold a lock on a folder and tell whether this process has it, and the folder is there; None if nobody can."""
    if not LOCKS:
        yield None
        return
    import fcntl

    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            mine: bool | None = False
        except OSError:  # a file system without such locks
            mine = None
        else:
            mine = folder.exists()
        yield mine
    finally:
        os.close(opened)


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
