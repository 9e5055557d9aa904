"""How many SQL statements each operation takes: exactly, and as many for a hundred records as for one.

What begins and ends a transaction is not counted. The stores are warm: ids were given out in every table, and the
features were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.engine.duck import DuckEngine
from duckfeat.models import REGISTRIES
from duckfeat.store import Store
from tests.counting import statements

Action = Callable[[], object]
_NUMBERS = count()


def _names(size: int) -> list[str]:
    """Return names that no record has yet."""
    return [f"new {number}" for number in islice(_NUMBERS, size)]


def _made(store: Store, registry: str, size: int, **fields: Any) -> list[Any]:
    label = store._session.catalog[registry].label
    return [getattr(store, registry)(**{label: name, **fields}) for name in _names(size)]


def _saved(store: Store, registry: str, size: int, **fields: Any) -> list[Any]:
    return store.save(_made(store, registry, size, **fields))


def _artifacts(store: Store, folder: Path, size: int) -> list[Any]:
    paths = [folder / name for name in _names(size)]
    for path in paths:
        path.write_text(path.name)
    return [store.Artifact(path, key=path.name) for path in paths]


def _values(store: Store, size: int) -> list[Any]:
    dose = store.Feature.get(name="dose")
    return [store.FeatureValue(dose, float(number)) for number in islice(_NUMBERS, size)]


# How many statements saving new records takes: what has their names is looked for, then they are inserted.
# Runs have no unique name; of the artifacts of a key one is the latest.
SAVING = dict.fromkeys((cls.__name__ for cls in REGISTRIES), 2) | {"Run": 1, "Artifact": 3}
_FIELDS: dict[str, dict[str, Any]] = {"Feature": {"dtype": float}, "Source": {"entity": "Tissue", "url": "a.csv"}}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with a record in every table, features that are known, a label of a record, and a search index."""
    folder = tmp_path_factory.mktemp("warm")
    with dft.connect(default=False) as store:
        store.save([store.Feature(name="dose", dtype=float), store.Feature(name="tags", dtype=str, multiple=True)])
        for cls in REGISTRIES:
            store.save(_new(store, folder, cls.__name__, 1))
        sample = store.Record(name="sample", features={"dose": 1.5, "tags": ["a", "b"]}).save()
        sample.ulabels.add(store.ULabel(name="label"))
        sample.features.remove_values("dose")
        sample.features.add_values({"dose": 2.5})
        yield store
        assert store.check().ok


def _new(store: Store, folder: Path, registry: str, size: int) -> list[Any]:
    if registry == "Artifact":
        return _artifacts(store, folder, size)
    if registry == "FeatureValue":
        return _values(store, size)
    return _made(store, registry, size, **_FIELDS.get(registry, {}))


def _counted(store: Store, action: Action) -> list[str]:
    store._session.features.all()
    with statements(store) as seen:
        action()
    return seen


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize(("registry", "number"), SAVING.items(), ids=SAVING)
def test_saving_new_records(warm: Store, tmp_path: Path, registry: str, number: int, size: int) -> None:
    records = _new(warm, tmp_path, registry, size)
    seen = _counted(warm, lambda: warm.save(records))
    assert (len(seen), len({record.id for record in records})) == (number, size), seen


# --- as many for a hundred as for one ----------------------------------------------------------------

Prepare = Callable[[Store, int], Action]


def _on(make: Callable[[Store, int], Any], act: Callable[[Store, Any], object]) -> Prepare:
    """Return what prepares an action: what `make` returns for a size is given to `act`, of which statements count."""

    def prepare(store: Store, size: int) -> Action:
        given = make(store, size)
        return lambda: act(store, given)

    return prepare


def _fresh(_store: Store, size: int) -> list[str]:
    return _names(size)


def _labels(store: Store, size: int) -> list[Any]:
    return _saved(store, "ULabel", size)


def _twins(store: Store, size: int) -> list[Any]:
    return [store.ULabel(name=label.name) for label in _labels(store, size)]


def _with_uids(store: Store, size: int) -> list[Any]:
    return [store.ULabel(name=name, uid=name.replace(" ", "")) for name in _names(size)]


def _changed(store: Store, size: int) -> list[Any]:
    labels = _labels(store, size)
    for label in labels:
        label.description = "changed"
    return labels


def _with_features(store: Store, size: int) -> list[Any]:
    return [
        store.Record(name=name, features={"dose": float(next(_NUMBERS)), "tags": ["x", name]}) for name in _names(size)
    ]


def _queried(store: Store, size: int) -> Any:
    return store.ULabel.filter(name__in=[label.name for label in _labels(store, size)])


def _apart(store: Store, size: int) -> tuple[Any, list[Any]]:
    """Return a new record and new labels."""
    return _saved(store, "Record", 1)[0], _labels(store, size)


def _labelled(store: Store, size: int) -> tuple[Any, list[Any]]:
    """Return a new record and the labels it has."""
    record, labels = _apart(store, size)
    record.ulabels.add(*labels)
    return record, labels


def _frame(_store: Store, size: int) -> pl.DataFrame:
    dose = [float(number) for number in islice(_NUMBERS, size)]
    return pl.DataFrame({"name": _names(size), "dose": dose})


def _annotated(store: Store, size: int) -> pl.DataFrame:
    frame = _frame(store, size)
    store.annotate(frame, key="name", create=True)
    return frame


def _add(_store: Store, given: tuple[Any, list[Any]]) -> None:
    record, labels = given
    record.ulabels.add(*labels)


SET_BASED: dict[str, tuple[Prepare, int]] = {
    "save what exists": (_on(_twins, Store.save), 1),
    "save with uids": (_on(_with_uids, Store.save), 3),
    "save what was changed": (_on(_changed, Store.save), 3),
    "save with features": (_on(_with_features, Store.save), 7),
    "from_values": (_on(_fresh, lambda store, names: store.ULabel.from_values(names)), 1),
    "from_values, create": (_on(_fresh, lambda store, names: store.ULabel.from_values(names, create=True)), 3),
    "validate": (_on(_fresh, lambda store, names: store.ULabel.validate(names)), 1),
    "in_bulk": (_on(_fresh, lambda store, names: store.ULabel.all().in_bulk(names, field="name")), 1),
    "update": (_on(_queried, lambda _, found: found.update(description="changed")), 2),
    "delete": (_on(_queried, lambda _, found: found.delete()), 3),
    "delete for good": (_on(_queried, lambda _, found: found.delete(permanent=True)), 8),
    "manager.add": (_on(_apart, _add), 3),
    "manager.add, what it has": (_on(_labelled, _add), 1),
    "manager.set": (_on(_apart, lambda _, given: given[0].ulabels.set(given[1])), 4),
    "manager.remove": (_on(_labelled, lambda _, given: given[0].ulabels.remove(*given[1])), 3),
    "manager.clear": (_on(_labelled, lambda _, given: given[0].ulabels.clear()), 4),
    "manager.all": (_on(_labelled, lambda _, given: list(given[0].ulabels.all())), 1),
    "annotate": (_on(_frame, lambda store, frame: store.annotate(frame, key="name", create=True)), 17),
    "annotate, again": (_on(_annotated, lambda store, frame: store.annotate(frame, key="name", create=True)), 14),
}


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize(("prepare", "number"), SET_BASED.values(), ids=SET_BASED)
def test_sets(warm: Store, prepare: Prepare, number: int, size: int) -> None:
    seen = _counted(warm, prepare(warm, size))
    assert len(seen) == number, seen


# --- one record --------------------------------------------------------------------------------------


def _label(store: Store, size: int) -> Any:
    return _labels(store, size)[0]


def _trashed(store: Store, size: int) -> Any:
    label = _label(store, size)
    label.delete()
    return label


def _dose(store: Store, _size: int) -> float:
    """Return a dose that exists."""
    dose = float(next(_NUMBERS))
    store.FeatureValue.get_or_create("dose", dose)
    return dose


def _known_dose(store: Store, size: int) -> float:
    """Return a dose that was found before."""
    dose = _dose(store, size)
    store.FeatureValue.get_or_create("dose", dose)
    return dose


def _features(act: Callable[[Any], object]) -> Prepare:
    """Return what prepares an action on the features of a record that has a dose and tags."""

    def make(store: Store, _size: int) -> Any:
        return store.Record(name=_names(1)[0], features={"dose": 0.5, "tags": ["a", "b"]}).save()

    return _on(make, lambda _, record: act(record.features))


def _found(act: Callable[[Any], object]) -> Prepare:
    """Return what prepares a question about the records of a feature."""
    return _on(lambda store, _: store.Feature.get(name="dose"), lambda store, dose: act(store.Record.filter(dose > 1)))


def _searched(store: Store, _size: int) -> None:
    store.ULabel.search("label")


def _transform(store: Store, _size: int) -> Any:
    return store.Transform(key="ingest.py").save()


def _track(store: Store, size: int) -> Any:
    return store.track(_transform(store, size))


ONE: dict[str, tuple[Prepare, int]] = {
    "get by id": (_on(_label, lambda store, label: store.ULabel.get(label.id)), 1),
    "get by uid": (_on(_label, lambda store, label: store.ULabel.get(label.uid)), 1),
    "get by name": (_on(_label, lambda store, label: store.ULabel.get(name=label.name)), 1),
    "refresh": (_on(_label, lambda _, label: label.refresh_from_db()), 1),
    "delete": (_on(_label, lambda _, label: label.delete()), 3),
    "restore": (_on(_trashed, lambda _, label: label.restore()), 4),
    "delete for good": (_on(_label, lambda _, label: label.delete(permanent=True)), 7),
    "get_or_create, new": (_on(lambda *_: None, lambda store, _: _dose(store, 1)), 2),
    "get_or_create, existing": (_on(_dose, lambda store, dose: store.FeatureValue.get_or_create("dose", dose)), 1),
    "get_or_create, again": (_on(_known_dose, lambda store, dose: store.FeatureValue.get_or_create("dose", dose)), 0),
    "features.add_values": (_features(lambda values: values.add_values({"tags": _names(1)})), 5),
    "features.add_values, nothing new": (_features(lambda values: values.add_values({"tags": ["a", "b"]})), 2),
    "features.update_values": (_features(lambda values: values.update_values({"dose": float(next(_NUMBERS))})), 6),
    "features.set_values": (_features(lambda values: values.set_values({"dose": float(next(_NUMBERS))})), 6),
    "features.remove_values": (_features(lambda values: values.remove_values("tags")), 3),
    "features.get_values": (_features(lambda values: values.get_values()), 2),
    "features[...]": (_features(lambda values: values["dose"]), 2),
    "count": (_found(lambda found: found.count()), 1),
    "df": (_found(lambda found: found.df()), 1),
    "pl with features": (_found(lambda found: found.pl(features=True)), 1),
    "arrow": (_found(lambda found: found.arrow()), 1),
    "search": (_on(_searched, lambda store, _: store.ULabel.search("labl").to_list()), 1),
    "lookup": (_on(_label, lambda store, label: store.ULabel.lookup()[label.name]), 2),
    "track": (_on(_transform, lambda store, transform: store.track(transform)), 1),
    "track by name": (_on(_transform, lambda store, transform: store.track(transform.key)), 2),
    "finish": (_on(_track, lambda store, _: store.finish()), 2),
    "switch": (_on(_label, lambda store, _: store.switch("main")), 1),
}


@pytest.mark.parametrize(("prepare", "number"), ONE.values(), ids=ONE)
def test_one_record(warm: Store, prepare: Prepare, number: int) -> None:
    seen = _counted(warm, prepare(warm, 1))
    assert len(seen) == number, seen


def test_connecting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that exists is asked what tables and migrations it has, and which users."""
    dft.connect(tmp_path / "features.duckdb").close()
    seen: list[str] = []
    execute = DuckEngine._execute

    def note(engine: DuckEngine, sql: str, *args: Any, **options: Any) -> Any:
        seen.append(sql)
        return execute(engine, sql, *args, **options)

    monkeypatch.setattr(DuckEngine, "_execute", note)
    dft.connect(tmp_path / "features.duckdb").close()
    assert ["pragma_table_info" in seen[0], "schema_migrations" in seen[1], "users" in seen[2]] == [True, True, True]
    assert len(seen) == 3
