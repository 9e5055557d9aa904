"""What one of many writers does: the same names, labels and values as the others, and some of its own."""

from __future__ import annotations

import json
import sys
from typing import Any

import polars as pl

import duckfeat as dft
from duckfeat.store import Store

SHARED, OWN, ROUNDS = 40, 10, 2


def prepare(store: Store) -> None:
    """Register what all writers use."""
    store.Feature(name="shared", dtype=int, multiple=True).save()


def work(store: Store, number: int, rounds: int = ROUNDS) -> None:
    """Write what writer `number` writes; each writer goes through the shared names in an order of its own."""
    for turn in range(rounds):
        store.Feature(name=f"feature {turn}", dtype=str).save()
        labels = [store.ULabel(name=f"label {(at * 7 + number) % SHARED}") for at in range(SHARED)]
        store.save([*labels, store.ULabel(name=f"label of {number} in {turn}")])
        shared = store.Feature.get(name="shared")
        for at in range(3):
            store.FeatureValue.get_or_create(shared, (turn * 3 + at + number) % 12)
        store.annotate(frame(number, turn), key="name", create=True, mode="add")
        record = store.Record.get(name=f"own {number} 0")
        record.features.add_values({f"feature {turn}": f"by {number}"})
        record.ulabels.add(store.ULabel.get(name=f"label {turn}"))


def frame(number: int, turn: int) -> pl.DataFrame:
    """Return records that all writers annotate with the same values, and some of the writer's own."""
    shared = [f"shared {(at + number) % SHARED}" for at in range(SHARED)]
    own = [f"own {number} {at}" for at in range(OWN)]
    values = [(at + number) % SHARED + 100 * turn for at in range(SHARED)] + [number * 1000 + at for at in range(OWN)]
    return pl.DataFrame({"name": [*shared, *own], "shared": values})


def main(url: str, options: str, number: str) -> None:
    """Be writer `number` of the lake of a url."""
    given: dict[str, Any] = json.loads(options)
    with dft.connect(url, **given) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        work(store, int(number))
        print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
