"""Foreign keys point at records of their registry that are there, and a type is declared as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from duckfeat.errors import DuckfeatError, IntegrityError, InvalidArgument, ValidationError
from duckfeat.store import Store
from tests.counting import row_counts

Call = Callable[[Store], Any]


def _id(store: Store) -> int:
    return int(store.Record.get(name="r").id)


def _changed(store: Store, name: str, value: Any) -> None:
    record = store.Record.get(name="r")
    setattr(record, name, value)
    record.save()


def _own_type(store: Store) -> None:
    kind = store.Record.get(name="kind")
    kind.type = kind
    kind.save()


REFUSED: dict[str, tuple[type[DuckfeatError], str, Call]] = {
    "an id of nothing": (IntegrityError, "no Record with id 99", lambda s: s.Record(name="n", type_id=99).save()),
    "a branch of nothing": (IntegrityError, "no Branch with id 99", lambda s: s.ULabel(name="n", branch_id=99).save()),
    "set to nothing": (IntegrityError, "no Run with id 99", lambda s: _changed(s, "run_id", 99)),
    "set to a text": (InvalidArgument, "type is a Record, not 'kind'", lambda s: _changed(s, "type_id", "kind")),
    "updated to nothing": (IntegrityError, "no Branch with id 99", lambda s: s.Record.all().update(branch=99)),
    "updated to another registry": (
        InvalidArgument,
        r"Record\.type is a Record, not ULabel",
        lambda s: s.Record.all().update(type=s.ULabel.get(name="label")),
    ),
    "updated to an unsaved record": (
        InvalidArgument,
        "not saved yet",
        lambda s: s.Record.all().update(type=s.Record(name="n", is_type=True)),
    ),
    "no type": (ValidationError, "is_type=True", lambda s: s.Record(name="n", type=s.Record.get(name="r")).save()),
    "the id of no type": (ValidationError, "is_type=True", lambda s: s.Record(name="n", type_id=_id(s)).save()),
    "updated to no type": (ValidationError, "is_type=True", lambda s: s.Record.all().update(type=_id(s))),
    "a label that is no type": (
        ValidationError,
        "is_type=True",
        lambda s: s.ULabel.get(name="label").instances.add(s.ULabel(name="n")),
    ),
    "its own type": (IntegrityError, "cannot be its own type", _own_type),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_field_cannot_point_at_is_told_and_nothing_is_written(case: str, store: Store) -> None:
    error, says, call = REFUSED[case]
    store.save([store.Record(name="r"), store.Record(name="kind", is_type=True), store.ULabel(name="label")])
    before = row_counts(store)
    with pytest.raises(error, match=says):
        call(store)
    assert row_counts(store) == before
    assert store.Record.filter(type__isnull=True).count() == 2


def test_ids_and_records_mean_the_same(store: Store) -> None:
    kind = store.Record(name="kind", is_type=True).save()
    with store.track("a.py") as run:
        pass
    made = store.save([store.Record(name="a", type=kind, run_id=run.id), store.Record(name="b", type_id=kind.id)])
    assert [record.type for record in made] == [kind, kind]
    assert made[0].run == run
    assert store.Record.filter(name="a").update(type=None) == 1
    assert kind.instances.one() == made[1]
    assert store.Record.filter(name="a").update(type=kind.id) == 1
    assert kind.instances.count() == 2


def test_a_name_where_a_record_is_compared_is_told_with_how_to_ask_by_it(store: Store) -> None:
    for given, says in (
        ({"ulabels": "a"}, "ulabels is compared with a ULabel or its id; to ask by name: ulabels__name='a'"),
        ({"ulabels__in": ["a"]}, r"ulabels__name__in=\['a'\]"),
        ({"created_by": "ada"}, r"Record\.created_by is compared .*: created_by__handle='ada'"),
        ({"ulabels__parents": "a"}, "ulabels__parents__name='a'"),
    ):
        with pytest.raises(InvalidArgument, match=says):
            store.Record.filter(**given)
    assert store.Record.filter(space="all", branch__in=["main", "trash"]).count() == 0
