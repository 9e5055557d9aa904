"""Who has a store: a small file beside it, for the error that others get."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_FACTS = {"pid": int, "host": str, "program": str, "since": str}


def owner_file(path: str) -> Path:
    """Return where the owner of a store is noted."""
    return Path(f"{path}.owner")


def note_owner(path: str) -> None:
    """Note that this process has the store; a folder that cannot be written to goes without."""
    file = owner_file(path)
    facts = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "program": _program(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(OSError):
        file.write_text(json.dumps(facts), encoding="utf-8")


def forget_owner(path: str) -> None:
    """Take back what `note_owner` noted, if it is still this process that is noted."""
    facts = owner(path)
    if facts.get("pid") == os.getpid() and facts.get("host") == socket.gethostname():
        with suppress(OSError):
            owner_file(path).unlink()


def owner(path: str) -> dict[str, Any]:
    """Return who is noted: pid, host, program and since; empty for a file that is missing or says something else."""
    try:
        facts = json.loads(owner_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(facts, dict) or any(not isinstance(facts.get(name), kind) for name, kind in _FACTS.items()):
        return {}
    return {name: facts[name] for name in _FACTS}


def living_owner(path: str) -> dict[str, Any]:
    """Return who is noted, unless it is a process of this machine that has ended, as one that was killed."""
    facts = owner(path)
    if facts.get("host") == socket.gethostname() and os.name == "posix":
        try:
            os.kill(facts["pid"], 0)
        except (ProcessLookupError, OverflowError):
            return {}
        except OSError:
            return facts  # it is of another user
    return facts


def _program() -> str:
    started = sys.argv[0] if sys.argv and sys.argv[0] not in {"", "-c", "-m"} else sys.executable
    return Path(started or "python").name
