"""Measure lookups of a million names: making one, its attributes, its completion in IPython, what is loaded.

    python benchmarks/lookup_speed.py [names]

Prints one line per measure with its target; ends with status 1 if a target is missed. Completion is measured
through IPython's own completer, as the Tab key and Jupyter use it, if IPython is installed.
"""

from __future__ import annotations

import functools
import importlib.util
import random
import statistics
import string
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from duckfeat.query.lookup import Lookup

REPEATS = 200
WARMUPS = 5


class Source:
    """Made-up values, and records that count how often they are loaded."""

    def __init__(self, count: int) -> None:
        draw = random.Random(1)  # noqa: S311 -- made-up names keep no secret
        words = ["".join(draw.choices(string.ascii_letters, k=draw.randint(3, 9))) for _ in range(5_000)]
        self.values = [f"{draw.choice(words)}-{draw.choice(words)} {number}" for number in range(count)]
        self.loaded = 0

    def keys(self) -> Sequence[str]:
        """Return the values."""
        return self.values

    def load(self, positions: Sequence[int], /) -> list[object]:
        """Return the positions as text."""
        self.loaded += len(positions)
        return [f"record {position}" for position in positions]


def once(action: Callable[[], object]) -> float:
    """Return how many milliseconds `action` takes."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1_000


def median(action: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """Return the median of the milliseconds that `action` takes on each of `arguments`, warm."""
    for argument in arguments[:WARMUPS]:
        action(argument)
    return statistics.median(once(functools.partial(action, argument)) for argument in arguments)


def completer() -> tuple[Callable[[str], list[str]], dict[str, Any]] | None:
    """Return what the Tab key does in IPython, and the names it knows there; None without IPython."""
    if importlib.util.find_spec("IPython") is None:
        return None
    from IPython.core.completer import provisionalcompleter
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()

    def complete(text: str) -> list[str]:
        with provisionalcompleter():
            return [found.text for found in shell.Completer.completions(text, len(text))]

    return complete, shell.user_ns


def measures(source: Source) -> Iterator[tuple[str, float, float | None]]:
    """Yield what was measured, in milliseconds, and its target."""
    draw = random.Random(2)  # noqa: S311 -- nor does the choice among them
    yield "made", once(lambda: Lookup(source, label="Gene.symbol")), 200
    lookup = Lookup(source, label="Gene.symbol")
    yield "first attribute (reads and names all values)", once(lambda: hasattr(lookup, "nothing")), None
    names = draw.sample(sorted(lookup._entries.names), REPEATS)
    yield "attribute, each for the first time", median(lambda name: getattr(lookup, name), names), 1
    yield "attribute that does not exist", median(lambda name: hasattr(lookup, f"{name}x"), names), 1
    yield "value, lookup[...]", median(lookup.__getitem__, draw.sample(source.values, REPEATS)), 1
    loaded = source.loaded
    yield "showing the error with its suggestions", once(lambda: shown(lookup, names[0] + "x")), None
    yield "first dir() (sorts the names)", once(lambda: dir(lookup)), None
    yield "dir()", once(lambda: dir(lookup)), None
    yield from completions(source, names)
    yield "records loaded without being asked for", source.loaded - loaded, 0


def completions(source: Source, names: Sequence[str]) -> Iterator[tuple[str, float, float | None]]:
    """Yield what completing in IPython takes, in milliseconds, and its target."""
    ready = completer()
    if ready is None:
        return
    complete, namespace = ready
    complete("namespa")  # IPython loads much of itself when it completes for the first time
    namespace["lookup"] = Lookup(source, label="Gene.symbol")
    yield "first completion (reads, names and sorts all)", once(lambda: complete("lookup.a")), None
    for length in (0, 1, 2, 5, 12):
        lines = [f"lookup.{name[:length]}" for name in names[:20]]
        yield f"completion of {length} characters in IPython", median(complete, lines), 50
    yield "completion of nonsense in IPython", median(complete, ["lookup.zzzzqqq"] * 20), 50
    complete('lookup["a')
    lines = [f'lookup["{value[:5]}' for value in source.values[:20]]
    yield "completion of a value in IPython", median(complete, lines), 50


def shown(lookup: Lookup, name: str) -> str:
    """Return the message for a name that is not there."""
    try:
        return str(getattr(lookup, name))
    except AttributeError as error:
        return str(error)


def memory(source: Source) -> float:
    """Return the megabytes that a lookup of `source` holds once it is used, without the values themselves."""
    tracemalloc.start()
    lookup = Lookup(source, label="Gene.symbol")
    dir(lookup)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / 1e6


def figures(count: int = 1_000_000) -> list[dict[str, Any]]:
    """Return what was measured for `count` names: what, the figure, its target, whether it is met."""
    source = Source(count)
    found = [(what, figure, target) for what, figure, target in measures(source)]
    found.append(("memory of names, positions and order, MB", memory(source), None))
    return [
        {"what": what, "figure": figure, "target": target, "met": target is None or figure <= target}
        for what, figure, target in found
    ]


def main(count: int) -> int:
    """Print the measures for `count` names; return how many targets are missed."""
    print(f"{count:,} names")
    measured = figures(count)
    for row in measured:
        goal = "" if row["target"] is None else f"  (target {row['target']:g}{'' if row['met'] else ', MISSED'})"
        print(f"{row['what']:<48} {row['figure']:10.3f}{goal}")
    return sum(not row["met"] for row in measured)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))
