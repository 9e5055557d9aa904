"""Any sequence of public operations leaves the store as a model in plain dictionaries says, errors included."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import duckfeat as dft
from duckfeat.errors import DuckfeatError, IntegrityError, ValidationError
from tests.property.test_values import VALUES, alike, exact

NAMES = st.sampled_from(
    [
        "a",
        "b",
        "A",
        "a b",
        "it's",
        '"quoted"',
        "; DROP TABLE records; --",
        "/* c */",
        "$name",
        "?",
        "%_",
        "é",
        "é",
        "\0",
        "🧬",
    ]
)
DTYPES = {
    "count": "int",
    "dose": "float",
    "text": "str",
    "on": "bool",
    "day": "date",
    "info": "dict",
    "all": "list[str]",
}
MULTIPLE = {"tags": "str", "sizes": "int"}
FEATURES = {**DTYPES, **MULTIPLE}


@dataclass
class Thing:
    """A record or a label of the model: its name, the branch it is on, where it was before, its values."""

    name: str
    branch: str = "main"
    before: str = "main"
    values: dict[str, Any] = field(default_factory=dict)
    labels: set[int] = field(default_factory=set)


def named(things: dict[int, Thing], name: str) -> int | None:
    """Return the id of what has a name outside the trash."""
    return next((id_ for id_, thing in things.items() if thing.name == name and thing.branch != "trash"), None)


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a store and to a model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="duckfeat-"))
        self.path = self.folder / "features.duckdb"
        self.store = dft.connect(self.path, default=False)
        self.records: dict[int, Thing] = {}
        self.labels: dict[int, Thing] = {}
        self.values: set[tuple[str, Any]] = set()
        self.branches = ["main"]

    def teardown(self) -> None:
        report = self.store.check()
        self.store.close()
        shutil.rmtree(self.folder)
        assert report.ok, report

    @initialize()
    def register(self) -> None:
        features = [self.store.Feature(name=name, dtype=dtype) for name, dtype in DTYPES.items()]
        many = [self.store.Feature(name=name, dtype=dtype, multiple=True) for name, dtype in MULTIPLE.items()]
        self.store.save([*features, *many])

    # --- drawing ---------------------------------------------------------------------------------

    def assigned(self, data: st.DataObject, most: int = 3) -> dict[str, Any]:
        names = data.draw(st.lists(st.sampled_from(sorted(FEATURES)), max_size=most, unique=True))
        given: dict[str, Any] = {}
        for name in names:
            one = VALUES[FEATURES[name]]
            given[name] = data.draw(st.lists(one, max_size=3) if name in MULTIPLE else st.none() | one)
        return given

    def some(self, data: st.DataObject, things: dict[int, Thing], *, trash: bool = False) -> int:
        return data.draw(st.sampled_from([id_ for id_, thing in things.items() if (thing.branch == "trash") == trash]))

    def refused(self, kind: type[DuckfeatError], call: Callable[[], Any]) -> None:
        with pytest.raises(kind):
            call()

    # --- what is expected ------------------------------------------------------------------------

    def note(self, thing: Thing, given: dict[str, Any]) -> None:
        """Have the values given be those of their features."""
        for name, value in given.items():
            if name in MULTIPLE:
                distinct = {_key(item): item for item in value}
                thing.values[name] = list(distinct.values())
                self.values |= {(name, key) for key in distinct}
            elif value is None:
                thing.values.pop(name, None)
            else:
                thing.values[name] = value
                self.values.add((name, _key(value)))
        thing.values = {name: value for name, value in thing.values.items() if value != [] or name not in MULTIPLE}

    # --- saving ----------------------------------------------------------------------------------

    @rule(names=st.lists(NAMES, min_size=1, max_size=4))
    def save_labels(self, names: list[str]) -> None:
        saved = self.store.save([self.store.ULabel(name=name) for name in names])
        for name, label in zip(names, saved, strict=True):
            known = named(self.labels, name)
            assert known in (None, label.id)
            if known is None:
                branch = self.store._session.registries["Branch"].get(label.branch_id).name
                self.labels[label.id] = Thing(name, branch)

    @rule(name=NAMES, data=st.data())
    def save_record(self, name: str, data: st.DataObject) -> None:
        given = self.assigned(data)
        record = self.store.Record(name=name, features=given).save()
        known = named(self.records, name)
        assert known in (None, record.id)
        thing = self.records.setdefault(record.id, Thing(name, record.branch.name))
        self.note(thing, given)

    @rule(data=st.data())
    def get_or_create(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(DTYPES)))
        value = data.draw(VALUES[DTYPES[name]])
        found, created = self.store.FeatureValue.get_or_create(self.store.Feature.get(name=name), value)
        assert created == ((name, _key(value)) not in self.values)
        assert alike(found.value, value)
        self.values.add((name, _key(value)))

    @precondition(lambda self: any(thing.branch != "trash" for thing in self.records.values()))
    @rule(data=st.data(), mode=st.sampled_from(["update", "set", "add"]))
    def write_values(self, data: st.DataObject, mode: str) -> None:
        id_ = self.some(data, self.records)
        thing, given = self.records[id_], self.assigned(data)
        features = self.store.Record.get(id_).features
        if mode == "add":
            given = {name: value for name, value in given.items() if value is not None}
            clashing = any(
                name in DTYPES and name in thing.values and not alike(thing.values[name], value)
                for name, value in given.items()
            )
            if clashing:
                return self.refused(ValidationError, lambda: features.add_values(given))
            features.add_values(given)
            given = {
                name: [*thing.values.get(name, []), *value] if name in MULTIPLE else value
                for name, value in given.items()
            }
        elif mode == "set":
            features.set_values(given)
            thing.values = {}
        else:
            features.update_values(given)
        return self.note(thing, given)

    @precondition(lambda self: any(thing.branch != "trash" and thing.values for thing in self.records.values()))
    @rule(data=st.data())
    def remove_values(self, data: st.DataObject) -> None:
        filled = {id_: thing for id_, thing in self.records.items() if thing.values}
        if not any(thing.branch != "trash" for thing in filled.values()):
            return
        id_ = self.some(data, filled)
        name = data.draw(st.sampled_from(sorted(self.records[id_].values)))
        self.store.Record.get(id_).features.remove_values(name)
        del self.records[id_].values[name]

    @rule(
        rows=st.lists(st.tuples(NAMES, VALUES["int"], VALUES["str"]), min_size=1, max_size=5, unique_by=lambda r: r[0])
    )
    def annotate(self, rows: list[tuple[str, int, str]]) -> None:
        frame = pl.DataFrame(rows, schema={"name": pl.String, "count": pl.Int64, "text": pl.String}, orient="row")
        report = self.store.annotate(frame, registry="Record", key="name", mode="update", create=True)
        assert report.rows == len(rows)
        for name, count, text in rows:
            record = self.store.Record.filter(name=name, branch=None).exclude(branch__name="trash").one()
            thing = self.records.setdefault(record.id, Thing(name, record.branch.name))
            self.note(thing, {"count": count, "text": text})

    @precondition(lambda self: named_any(self.records))
    @rule(data=st.data(), name=NAMES, how=st.sampled_from(["save", "update"]))
    def rename(self, data: st.DataObject, name: str, how: str) -> None:
        id_ = self.some(data, self.records)
        record = self.store.Record.get(id_)

        def work() -> None:
            if how == "save":
                record.name = name
                record.save()
            else:
                self.store.Record.filter(id=id_).update(name=name)

        if named(self.records, name) not in (None, id_):
            return self.refused(IntegrityError, work)
        work()
        self.records[id_].name = name
        return None

    # --- links -----------------------------------------------------------------------------------

    @precondition(lambda self: named_any(self.records) and named_any(self.labels))
    @rule(data=st.data(), how=st.sampled_from(["add", "remove"]))
    def label(self, data: st.DataObject, how: str) -> None:
        record, label = self.some(data, self.records), self.some(data, self.labels)
        manager = self.store.Record.get(record).ulabels
        getattr(manager, how)(self.store.ULabel.get(label))
        labels = self.records[record].labels
        labels.add(label) if how == "add" else labels.discard(label)

    # --- trash and branches ----------------------------------------------------------------------

    @precondition(lambda self: named_any(self.records))
    @rule(data=st.data())
    def trash(self, data: st.DataObject) -> None:
        id_ = self.some(data, self.records)
        self.store.Record.get(id_).delete()
        thing = self.records[id_]
        thing.before, thing.branch = thing.branch, "trash"

    @precondition(lambda self: any(thing.branch == "trash" for thing in self.records.values()))
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        id_ = self.some(data, self.records, trash=True)
        thing, record = self.records[id_], self.store.Record.get(id_)
        if named(self.records, thing.name) is not None:
            return self.refused(IntegrityError, record.restore)
        record.restore()
        thing.branch = thing.before
        return None

    @precondition(lambda self: bool(self.records))
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.records)))
        self.store.Record.get(id_).delete(permanent=True)
        del self.records[id_]

    @precondition(lambda self: len(self.branches) < 3)
    @rule()
    def branch(self) -> None:
        name = f"draft {len(self.branches)}"
        self.store.Branch(name=name).save()
        self.branches.append(name)

    @rule(data=st.data())
    def switch(self, data: st.DataObject) -> None:
        self.store.switch(data.draw(st.sampled_from(self.branches)))

    @precondition(lambda self: len(self.branches) > 1)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        branch = data.draw(st.sampled_from(self.branches[1:]))
        self.store.Branch.get(name=branch).merge()
        for thing in [*self.records.values(), *self.labels.values()]:
            thing.branch = "main" if thing.branch == branch else thing.branch
            thing.before = "main" if thing.before == branch else thing.before

    # --- what must change nothing ----------------------------------------------------------------

    @rule(name=NAMES, data=st.data())
    def unknown_feature(self, name: str, data: st.DataObject) -> None:
        given = {**self.assigned(data, 1), "no such feature": 1}
        self.refused(ValidationError, lambda: self.store.Record(name=name, features=given).save())

    @rule(name=NAMES)
    def failing_transaction(self, name: str) -> None:
        def work() -> None:
            with self.store.transaction():
                self.store.ULabel(name=name).save()
                self.store.Record(name=name, features={"count": 1}).save()
                self.store.Record(features={"count": "one"}).save()

        self.refused(ValidationError, work)

    @rule()
    def reopen(self) -> None:
        branch = self.store._session.branch_id
        self.store.close()
        self.store = dft.connect(self.path, default=False)
        self.store._session.branch_id = branch

    @rule()
    def compact(self) -> None:
        self.store.compact()

    @rule(how=st.sampled_from(["backup", "export"]))
    def go_on_with_a_copy(self, how: str) -> None:
        branch, copy = self.store._session.branch_id, self.folder / f"{len(list(self.folder.iterdir()))}"
        self.path = copy.with_suffix(".duckdb")
        if how == "backup":
            self.store.backup(copy.with_suffix(".backup"))
            self.store.close()
            dft.restore(copy.with_suffix(".backup"), self.path, default=False).close()
        else:
            self.store.export(copy)
            self.store.close()
            dft.import_(copy, self.path, default=False).close()
        self.store = dft.connect(self.path, default=False)
        self.store._session.branch_id = branch

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def the_store_is_the_model(self) -> None:
        everywhere = self.store.Record.filter(branch=None)
        frame = everywhere.pl(include=["branch__name", "ulabels__name"], features=list(FEATURES)).to_dicts()
        places = {record.id: record.uid for record in everywhere}
        by_uid = {row["uid"]: row for row in frame}
        assert set(places) == set(self.records)
        for id_, thing in self.records.items():
            row = by_uid[places[id_]]
            assert (row["name"], row["branch__name"]) == (thing.name, thing.branch)
            assert sorted(row["ulabels__name"]) == sorted(self.labels[label].name for label in thing.labels)
            got = self.store.Record.get(id_).features.get_values()
            assert alike(_comparable(got), _comparable(thing.values)), (got, thing.values)
        labels = self.store.ULabel.filter(branch=None).values_list("id", "name", "branch__name")
        assert set(labels) == {(id_, thing.name, thing.branch) for id_, thing in self.labels.items()}
        assert self.store.FeatureValue.filter(branch=None).count() == len(self.values)


def named_any(things: dict[int, Thing]) -> bool:
    return any(thing.branch != "trash" for thing in things.values())


def _key(value: Any) -> Any:
    """Return a hashable that tells typed values apart."""
    return repr(exact(value))


def _comparable(values: dict[str, Any]) -> dict[str, Any]:
    """Return values by name in one order; those of a feature that takes several are in no order."""
    return {
        name: sorted(value, key=_key) if name in MULTIPLE else value
        for name, value in sorted(values.items())
        if value != [] or name not in MULTIPLE
    }


StoreMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=24)
TestStore = StoreMachine.TestCase
