"""Take three features of a hundredth of the records, again and again, and return what each time took.

    python benchmarks/cases/few.py FILE

FILE is a store that `annotate.py` or a benchmark filled. Prints the median in seconds as one JSON line.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import duckfeat as dft
from duckfeat.query.queryset import QuerySet

ROUNDS, WARMING_UP = 15, 2


def warm(store: dft.Store) -> QuerySet:
    """Return about a hundredth of the records, those that are the warmest."""
    return store.Record.filter(store.Feature.get(name="temperature") > 31.64)


def take(store: dft.Store) -> None:
    """Take the frame."""
    warm(store).pl(features=["n_cells", "note", "tissue"])


def median(store: dft.Store) -> float:
    """Return the median of the seconds that the frame takes."""
    taken = []
    for _ in range(WARMING_UP + ROUNDS):
        start = time.perf_counter()
        take(store)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[WARMING_UP:])


if __name__ == "__main__":
    with dft.connect(sys.argv[1], default=False) as opened:
        print(json.dumps({"seconds": median(opened)}))
