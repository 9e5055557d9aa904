"""Work on a store, as a series of steps that each know what they change; a process that is killed runs it.

Step `n` is the same in every run, so whoever knows how many steps were acknowledged knows what the store holds.
Run as a program it is a server: for each line, a path and a number, on its standard input it forks a child that does
steps from that number on until it is killed, and says `end` then. The child says its process id, and then how many
steps are done whenever one is.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

import duckfeat as dft
from duckfeat.store import Store

COMPACT = -1
"""Instead of a number of steps: compact the store, again and again."""

Model = dict[str, Any]
"""Names of what is there, each with the branch it is on and what it holds."""


def empty() -> Model:
    return {"features": {}, "labels": {}, "records": {}, "artifacts": {}, "values": set()}


def prepare(store: Store) -> None:
    """Register the features that the steps use."""
    store.save([store.Feature(name="dose", dtype=float), store.Feature(name="tags", dtype=str, multiple=True)])


def observed(store: Store) -> Model:
    """Return what a store holds, in the words of the model."""
    if not store.Feature.count():  # killed before the first step was done: nothing at all
        return {**empty(), "labels": dict.fromkeys(store.ULabel.all().to_list("name"))}
    everywhere = {"branch": None}
    labels = store.ULabel.filter(**everywhere).pl(include="branch__name")
    records = store.Record.filter(**everywhere).pl(include="branch__name", features=["dose", "tags"])
    artifacts = store.Artifact.filter(**everywhere).pl(include="branch__name")
    return {
        "features": dict(store.Feature.all().values_list("name", "dtype")),
        "labels": dict(labels.select("name", "branch__name").rows()),
        "records": {
            name: (branch, dose, sorted(tags))
            for name, branch, dose, tags in records.select("name", "branch__name", "dose", "tags").rows()
        },
        "artifacts": dict(artifacts.select("key", "branch__name").rows()),
        "values": set(store.FeatureValue.filter(**everywhere).values_list("feature__name", "value")),
    }


# --- steps ---------------------------------------------------------------------------------------


def _value(model: Model, feature: str, value: Any) -> None:
    model["values"].add((feature, value))


def _record(model: Model, name: str, dose: float | None, tags: list[str], branch: str = "main") -> None:
    model["records"][name] = (branch, dose, sorted(tags))
    if dose is not None:
        _value(model, "dose", dose)
    for tag in tags:
        _value(model, "tags", tag)


def _save(store: Store | None, model: Model, n: int) -> None:
    if store is not None:
        store.ULabel(name=f"label {n}").save()
    model["labels"][f"label {n}"] = "main"


def _save_list(store: Store | None, model: Model, n: int) -> None:
    names = [f"listed {n} {i}" for i in range(25)]
    if store is not None:
        made = [
            store.Record(name=name, features={"dose": n + i / 100, "tags": [f"tag {n}", f"t{i}"]})
            for i, name in enumerate(names)
        ]
        store.save([*made, store.ULabel(name=f"listed {n}")])
    for i, name in enumerate(names):
        _record(model, name, n + i / 100, [f"tag {n}", f"t{i}"])
    model["labels"][f"listed {n}"] = "main"


def _annotate(store: Store | None, model: Model, n: int) -> None:
    names = [f"row {n} {i}" for i in range(300)]
    if store is not None:
        frame = pl.DataFrame({"name": names, "dose": [n + i / 1000 for i in range(300)], "tags": [f"tag {n}"] * 300})
        store.annotate(frame, registry="Record", key="name", create=True)
    for i, name in enumerate(names):
        _record(model, name, n + i / 1000, [f"tag {n}"])


def _oldest(model: Model, kind: str, branch: str = "main") -> str | None:
    return next((name for name, facts in model[kind].items() if (facts, facts[0])[kind == "records"] == branch), None)


def _change(store: Store | None, model: Model, n: int) -> None:
    name = _oldest(model, "records")
    if name is None:
        return _save_list(store, model, n)
    if store is not None:
        store.Record.get(name=name).features.set_values({"dose": -float(n), "tags": [f"changed {n}", "changed"]})
    return _record(model, name, -float(n), [f"changed {n}", "changed"])


def _trash(store: Store | None, model: Model, n: int) -> None:
    name = _oldest(model, "labels")
    if name is None:
        return _save(store, model, n)
    if store is not None:
        store.ULabel.get(name=name).delete()
    model["labels"][name] = "trash"
    return None


def _restore(store: Store | None, model: Model, n: int) -> None:
    name = _oldest(model, "labels", "trash")
    if name is None:
        return _save(store, model, n)
    if store is not None:
        store.ULabel.filter(name=name, branch=None).one().restore()
    model["labels"][name] = "main"
    return None


def _delete(store: Store | None, model: Model, n: int) -> None:
    name = _oldest(model, "records")
    if name is None:
        return _save_list(store, model, n)
    if store is not None:
        store.Record.get(name=name).delete(permanent=True)
    del model["records"][name]
    return None


def _delete_many(store: Store | None, model: Model, _n: int) -> None:
    if store is not None:
        store.Record.filter(name__startswith="row ").delete(permanent=True)
    model["records"] = {name: facts for name, facts in model["records"].items() if not name.startswith("row ")}


def _branch(store: Store | None, model: Model, n: int) -> None:
    names = [f"draft {n} {i}" for i in range(10)]
    if store is not None:
        with store.transaction():
            branch = store.Branch(name=f"branch {n}").save()
            store.save([store.Record(name=name, branch=branch, features={"dose": float(n)}) for name in names])
            store.save([store.ULabel(name=f"draft {n}", branch=branch)])
    for name in names:
        _record(model, name, float(n), [], f"branch {n}")
    model["labels"][f"draft {n}"] = f"branch {n}"


def _merge(store: Store | None, model: Model, n: int) -> None:
    branch = next((name for name in model["labels"].values() if name.startswith("branch ")), None)
    if branch is None:
        return _branch(store, model, n)
    if store is not None:
        store.Branch.get(name=branch).merge()
    for name, (place, dose, tags) in model["records"].items():
        model["records"][name] = ("main" if place == branch else place, dose, tags)
    model["labels"] = {name: "main" if place == branch else place for name, place in model["labels"].items()}
    return None


def _transaction(store: Store | None, model: Model, n: int) -> None:
    if store is not None:
        with store.transaction():
            store.ULabel(name=f"first {n}").save()
            store.FeatureValue.get_or_create(store.Feature.get(name="dose"), n + 0.5)
            store.Record(name=f"last {n}", features={"tags": [f"last {n}"]}).save()
            store.Artifact(f"s3://bucket/{n}.parquet", key=f"{n}.parquet").save()
    model["labels"][f"first {n}"] = "main"
    model["artifacts"][f"{n}.parquet"] = "main"
    _value(model, "dose", n + 0.5)
    _record(model, f"last {n}", None, [f"last {n}"])


def _checkpoint(store: Store | None, _model: Model, _n: int) -> None:
    if store is not None:
        store._session.engine.checkpoint()


def _compact(store: Store | None, _model: Model, _n: int) -> None:
    if store is not None:
        store.compact(expire_history=timedelta(0))


Step = Callable[[Store | None, Model, int], None]
STEPS: Mapping[str, Step] = {
    "save": _save,
    "save_list": _save_list,
    "annotate": _annotate,
    "change": _change,
    "trash": _trash,
    "restore": _restore,
    "delete": _delete,
    "delete_many": _delete_many,
    "branch": _branch,
    "merge": _merge,
    "transaction": _transaction,
    "checkpoint": _checkpoint,
    "compact": _compact,
}
_WEIGHTS = {"annotate": 3, "save_list": 3, "merge": 2, "transaction": 2}
_DRAWN = [name for name in STEPS for _ in range(_WEIGHTS.get(name, 1))]


def step(store: Store | None, model: Model, n: int) -> None:
    """Do step `n` on the model, and on a store if there is one."""
    STEPS[random.Random(n).choice(_DRAWN)](store, model, n)  # noqa: S311  # tests draw, they keep no secret


def work(path: str, done: int, say: Callable[[str], Any]) -> None:
    """Do the steps from `done` on, until the process is killed; `say` is told each that is done."""
    say(f"pid {os.getpid()}\n")
    with dft.connect(path) as store:
        while done == COMPACT:
            say("compacting\n")
            store.compact(expire_history=timedelta(0), expire_values=timedelta(0))
        if done == 0:
            prepare(store)
            done = 1
            say("1\n")
        model = replayed(done)
        while True:
            step(store, model, done)
            done += 1
            say(f"{done}\n")


def replayed(done: int) -> Model:
    """Return what a store holds after so many steps; the first is to register the features."""
    model = empty()
    model["features"] = {"dose": "float", "tags": "str"} if done else {}
    for n in range(1, done):
        step(None, model, n)
    return model


def serve() -> None:
    """Fork a child for each line of the standard input; it and its end are told on the standard output."""
    for line in sys.stdin:
        path, done = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            work(path, int(done), _say)
        os.waitpid(pid, 0)
        _say("end\n")


def _say(line: str) -> None:
    os.write(1, line.encode())


if __name__ == "__main__":
    serve()
