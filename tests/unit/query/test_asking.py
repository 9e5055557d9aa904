"""What QuerySets answer beyond filters, how many statements it takes, and what hostile input gets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy
import polars as pl
import pytest

from duckfeat import Q
from duckfeat.aggregates import count, max, mean, n_unique, quantile  # noqa: A004  # the package's own
from duckfeat.errors import DoesNotExist, DuckfeatError, FieldError, InvalidArgument, MultipleResultsFound, QueryError
from duckfeat.query.queryset import QuerySet
from duckfeat.store import Store


def statements(store: Store, action: Callable[[], Any]) -> int:
    seen: list[str] = []
    with store.trace(lambda sql, params: seen.append(sql)):
        action()
    return len(seen)


@pytest.fixture
def flights(store: Store) -> Store:
    frame = pl.DataFrame(
        {"name": ["1", "2", "3", "4"], "carrier": ["AA", "AA", "UA", None], "delay": [1.0, 3.0, 5.0, 7.0]}
    )
    store.annotate(frame, key="name", create="all")
    label = store.ULabel(name="late").save()
    for name in ("3", "4"):
        store.Record.get(name=name).ulabels.add(label)
    return store


@pytest.mark.parametrize(
    "ask",
    [
        lambda found: found.count(),
        list,
        lambda found: found.exists(),
        lambda found: found.first(),
        lambda found: found.to_list("name"),
        lambda found: found.values("name", "carrier").to_list(),
        lambda found: found.pl(include="ulabels__name", features=["carrier", "delay"]),
        lambda found: found.in_bulk(),
        lambda found: list(found.iterator(2)),
        lambda found: found.group_by("carrier").agg(n=count()),
        lambda found: found.aggregate(n=count("ulabels"), delay=mean("delay")),
        lambda found: list(found.annotate(n=count("ulabels")).filter(n=1).order_by("-n")),
        lambda found: found.union(found[:1]).difference(found[1:]).count(),
        lambda found: found.explain(),
    ],
)
def test_one_statement_per_question(flights: Store, ask: Callable[[Any], Any]) -> None:
    found = flights.Record.filter(delay__gt=0, created_by__isnull=False)
    assert statements(flights, lambda: ask(found)) == 1


def test_any_of_several_features_looks_for_removals_once(flights: Store) -> None:
    delay, carrier = flights.Feature.get(name="delay"), flights.Feature.get(name="carrier")
    either = flights.Record.filter((delay > 6) | (carrier == "UA"))
    asked: list[str] = []
    with flights.trace(lambda sql, _params: asked.append(sql)):
        assert either.count() == 2
    assert [sql.count("record_removals") for sql in asked] == [1]
    flights.Record.get(name="3").features.remove_values("carrier")
    assert either.count() == 1
    assert either.to_list("name") == ["4"]


def test_making_a_question_runs_nothing(flights: Store) -> None:
    flights.Record.filter(delay=1).count()
    assert statements(flights, lambda: flights.Record.filter(delay__gt=1).order_by("-delay").exclude(ulabels=1)) == 0


def test_groups_and_aggregates(flights: Store) -> None:
    found = flights.Record.all()
    frame = found.group_by("carrier").agg(n=count(), delay=mean("delay"), labels=n_unique("ulabels"))
    assert frame.rows() == [("AA", 2, 2.0, 0), ("UA", 1, 5.0, 1), (None, 1, 7.0, 1)]
    assert found.group_by("created_at__year", "ulabels__name").agg(n=count())["n"].to_list() == [2, 2]
    assert found[:2].aggregate(last=max("delay"), q=quantile("delay", 0.5)) == {"last": 7.0, "q": 6.0}
    last = found.aggregate(at=max("created_at"))["at"]
    assert (last, last.tzinfo) == (flights.Record.get(name="4").created_at, UTC)
    with pytest.raises(FieldError, match="mean takes float, int, and this is str"):
        found.aggregate(x=mean("carrier"))
    with pytest.raises(FieldError, match="did you mean 'delay'"):
        found.group_by("dealy")
    with pytest.raises(InvalidArgument, match="not 'delay'"):
        found.aggregate(x="delay")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="name what to compute"):
        found.group_by("carrier").agg()


def test_an_aggregate_is_of_something(flights: Store) -> None:
    for function in (max, mean, n_unique):
        with pytest.raises(InvalidArgument, match="takes a field, a path to one, or a feature, not None"):
            flights.Record.all().aggregate(n=function(None))
    with pytest.raises(InvalidArgument, match="quantile takes a field"):
        quantile(None, 0.5)
    assert flights.Record.all().aggregate(n=count(None)) == {"n": 4}


@pytest.mark.parametrize("name", ["save", "features", "refresh_from_db"])
def test_an_annotation_hides_nothing_of_a_record(name: str, flights: Store) -> None:
    with pytest.raises(InvalidArgument, match=f"an attribute '{name}': name the annotation otherwise"):
        flights.Record.all().annotate(**{name: count("ulabels")})


def test_a_position_is_a_whole_number_of_any_library(flights: Store) -> None:
    found: Any = flights.Record.all().order_by("name")
    assert found[numpy.int64(2)].name == found[2:][numpy.uint8(0)].name == "3"
    for odd in (-1, True, 1.0, "1", None):
        with pytest.raises(InvalidArgument, match=f"a position in a QuerySet is a whole number from 0, not {odd!r}"):
            found[odd]


def test_annotations_are_attributes_columns_and_conditions(flights: Store) -> None:
    found = flights.Record.all().annotate(labels=count("ulabels"))
    assert [(record.name, record.labels) for record in found.order_by("-labels", "name")] == [
        ("3", 1),
        ("4", 1),
        ("1", 0),
        ("2", 0),
    ]
    assert found.pl()["labels"].to_list() == [1, 1, 0, 0]
    assert found.filter(labels__lt=1).count() == 2
    assert found.exclude(labels=0).values_list("name", "labels").order_by("name").to_list() == [("3", 1), ("4", 1)]
    for name in ("name", "delay", "a__b", "_x", "labels"):
        with pytest.raises(InvalidArgument):
            found.annotate(**{name: count()})


def test_sets_of_records(flights: Store) -> None:
    late, early = flights.Record.filter(ulabels__name="late"), flights.Record.filter(delay__lt=6)
    assert sorted(late.union(early).to_list("name")) == ["1", "2", "3", "4"]
    assert late.intersection(early).to_list("name") == ["3"]
    assert early.difference(late).order_by("name").to_list("name") == ["1", "2"]
    newest = flights.Record.all()[:1]
    assert sorted((newest | flights.Record.filter(name="1")).to_list("name")) == ["1", "4"]
    assert newest.intersection(late).to_list("name") == ["4"]
    assert (newest | flights.Record.all().none()).to_list("name") == ["4"]
    with pytest.raises(InvalidArgument, match="combine with each other"):
        late.union(flights.ULabel.all())  # type: ignore[arg-type]


def test_iteration_is_one_snapshot(flights: Store) -> None:
    seen = []
    for record in flights.Record.all().order_by("name").iterator(batch_size=1):
        seen.append(record.name)
        if len(seen) == 1:
            flights.Record(name="0").save()
            flights.Record(name="5").save()
    assert seen == ["1", "2", "3", "4"]
    with flights.transaction():
        flights.Record(name="6").save()
        assert "6" in [record.name for record in flights.Record.all().iterator(2)]
    for wrong in (0, -1, True, "2"):
        with pytest.raises(InvalidArgument, match="batch_size"):
            flights.Record.all().iterator(wrong)  # type: ignore[arg-type]


def test_in_bulk(flights: Store) -> None:
    found = flights.Record.all().in_bulk(["1", "2", "x"], field="name")
    assert {name: record.name for name, record in found.items()} == {"1": "1", "2": "2"}
    assert len(flights.Record.all().in_bulk()) == 4
    with pytest.raises(InvalidArgument, match="tells them apart"):
        flights.Record.all().in_bulk(field="description")


def test_orders_say_where_missing_values_go(flights: Store) -> None:
    carrier = flights.Feature.get(name="carrier")
    found = flights.Record.all()
    assert found.order_by(carrier.desc(), "name").to_list("name") == ["3", "1", "2", "4"]
    assert found.order_by(carrier.asc(nulls_first=True), "name").to_list("name") == ["4", "1", "2", "3"]
    assert found.order_by("created_by__handle", flights.Record.name.desc()).to_list("name") == ["4", "3", "2", "1"]


def test_values_of_features_keep_their_types(store: Store) -> None:
    store.Feature(name="at", dtype=datetime).save()
    store.Feature(name="meta", dtype=dict).save()
    zoned = datetime(2024, 1, 1, 12, tzinfo=UTC)
    store.Record(name="a", features={"at": zoned, "meta": {"x": [1]}}).save()
    store.Record(name="b", features={"at": zoned.replace(tzinfo=None)}).save()
    found = store.Record.all().order_by("name").values_list("name", "at", "meta")
    assert found.to_list() == [("a", zoned, {"x": [1]}), ("b", zoned.replace(tzinfo=None), None)]
    assert found.to_list() == list(found.iterator(1))


def test_several_lists_of_moments_keep_their_zones(store: Store) -> None:
    store.Feature(name="seen", dtype="list[datetime]", multiple=True).save()
    naive = datetime(2024, 1, 1, 12)
    given: list[Any] = [[naive, None], [], [naive.replace(tzinfo=UTC)], [naive.replace(tzinfo=UTC), None]]
    for at in range(4):
        record = store.Record(name=f"r{at}", features={"seen": given[at:]}).save()
        assert store.Record.filter(id=record.id).to_list("seen") == [record.features.get_values()["seen"]]
        assert sorted(map(repr, store.Record.get(record.id).features.get_values()["seen"])) == sorted(
            map(repr, given[at:])
        )
    empty = store.Record(name="empty").save()
    assert store.Record.filter(id=empty.id).to_list("seen") == [[]]


@pytest.mark.parametrize("nested", [False, True])
def test_thousands_of_terms(flights: Store, nested: bool) -> None:
    delay = flights.Feature.get(name="delay")
    condition: Any = Q(name="1")
    for number in range(5_000):
        term: Any = (Q(name=f"x{number}"), delay == number * 7, Q(ulabels__name=f"l{number}"))[number % 3]
        condition = ~(condition | term) if nested and number % 2 else condition | term
    names = flights.Record.filter(condition).to_list("name")
    assert len(names) == flights.Record.filter(condition).count()
    if not nested:
        assert sorted(names) == ["1", "4"]


TERMS: dict[str, Callable[[Any, Any, int], Any]] = {
    "any": lambda condition, term, _number: condition | term,
    "all": lambda condition, term, _number: condition & term,
    "none": lambda condition, term, _number: condition & ~term,
    "nested": lambda condition, term, number: ~(condition | term) if number % 2 else condition | term,
}


@pytest.mark.no_cover  # the same few lines, thousands of times
@pytest.mark.usefixtures("small_stack")
@pytest.mark.parametrize(("joined", "names"), [("any", ["1"]), ("all", []), ("none", ["1"]), ("nested", ["1"])])
def test_thousands_of_terms_need_no_big_stack(flights: Store, joined: str, names: list[str]) -> None:
    condition: Any = Q(name="1")
    for number in range(5_000):
        condition = TERMS[joined](condition, Q(name=f"x{number}"), number)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(flights.Record.filter(condition).to_list("name")))
    thread.start()
    thread.join()
    assert found == names


def test_few_conditions_are_joined_and_many_others_decided_as_one(flights: Store) -> None:
    many = Q()
    for number in range(200):
        many = many & ~Q(name=f"x{number}")
    found = flights.Record.filter(many, delay__lt=4)
    where = found.sql()[0].partition(" WHERE ")[2]
    assert where.lstrip("(").startswith("t0.id IN (SELECT")
    assert where.count("CASE WHEN") == 1
    assert sorted(found.to_list("name")) == ["1", "2"]


@pytest.mark.no_cover  # the same few lines, a million times
def test_a_million_operands(flights: Store) -> None:
    assert flights.Record.filter(name__in=[str(n) for n in range(1, 1_000_000)]).count() == 4
    assert flights.Record.filter(delay__in=range(2, 1_000_000)).count() == 3


def test_two_features_of_one_name_are_told_apart(store: Store) -> None:
    kinds = [store.Feature(name=name, is_type=True).save() for name in ("Wet", "Dry")]
    made = [store.Feature(name="mass", dtype=float, type=kind).save() for kind in kinds]
    store.Record(name="a", features={made[0]: 1.0}).save()
    store.Record(name="b", features={made[1]: 1.0}).save()
    with pytest.raises(FieldError, match="tell them apart by uid") as caught:
        store.Record.filter(mass=1.0)
    told = [f"{feature.uid} (of type {name!r})" for feature, name in zip(made, ("Wet", "Dry"), strict=True)]
    assert " or ".join(told) in str(caught.value)
    assert (caught.value.available, caught.value.types) == ([feature.uid for feature in made], ["Wet", "Dry"])
    assert store.Record.filter(made[0] == 1.0).to_list("name") == ["a"]
    assert store.Record.filter(**{made[1].uid: 1.0}).to_list("name") == ["b"]


HOSTILE: list[Any] = [
    2**70,
    float("nan"),
    "",
    "a\0b",
    "'; DROP TABLE x; --",
    b"x",
    [None],
    {},
    (1,),
    object(),
    "\ud800",
]
HOSTILE += [datetime(1, 1, 1), datetime.max.replace(tzinfo=UTC), 1 + 2j, set(), range(3)]
KEYS = [
    "name",
    "id",
    "created_at",
    "ulabels",
    "delay",
    "q\"'__x",
    "q\"'__x__gt",
    "meta__a",
    "meta__a__gt",
    "\0",
    "",
    "__",
    "name__",
]
KEYS += ["name__in", "name__range", "delay__in", "created_at__year", "ulabels__name__regex", "feature_values__value"]


def answered(ask: Callable[..., Any], key: str, operand: Any) -> bool:
    """Tell whether a question is answered, or refused before the engine sees it."""
    try:
        ask(**{key: operand}).count()
    except DuckfeatError as error:
        return not isinstance(error, QueryError)
    return True


def test_hostile_input_gets_an_answer_or_an_error_of_ours(flights: Store) -> None:
    flights.Feature(name="q\"'__x", dtype=float).save()
    flights.Feature(name="meta", dtype=dict).save()
    for key in KEYS:
        for operand in HOSTILE:
            for ask in (flights.Record.filter, flights.Record.exclude):
                assert answered(ask, key, operand), (key, operand)


def test_few_ids_are_told_by_comparisons(flights: Store) -> None:
    ids = flights.Record.all().to_list("id")
    found = flights.Record.filter(id__in=[*ids[:3], None, 10_000, ids[0]])
    assert found.sql()[0].count("CASE WHEN t0.id < ") == 3
    assert sorted(found.to_list("id")) == sorted(ids[:3])
    assert flights.Record.exclude(id__in=ids[1:]).to_list("id") == ids[:1]
    assert flights.Record.filter(Q(id__in=ids[:2]) | Q(id__in=[ids[3]])).count() == 3
    assert flights.Record.filter(id__in=ids * 20).count() == len(ids)
    assert not flights.Record.filter(id__in=[]).exists()
    assert not flights.Record.filter(id__in=[None]).exists()


def test_a_feature_may_be_called_as_python_calls_an_object(store: Store) -> None:
    store.annotate(pl.DataFrame({"name": ["a", "b"], "self": [1, 2], "cls": [3, 4]}), key="name", create="all")
    for found in (store.Record.filter(self=1), store.Record.exclude(self__gt=1), store.Record.filter(Q(self=1, cls=3))):
        assert found.to_list("name") == ["a"]
    records = store.Record.all()
    assert store.Record.get(self=1) == records.get(cls=3) == records.get_or_none(self__lt=2)
    assert store.Record.get_or_none(self=9, cls=3) is None
    assert records.aggregate(self=count(), cls=max("self")) == {"self": 2, "cls": 2}
    assert records.annotate(n=count("ulabels")).group_by("self").agg(cls=count()).rows() == [(1, 1), (2, 1)]


def test_no_branch_means_all_of_them_by_field_and_by_column(store: Store) -> None:
    draft = store.Branch(name="draft").save()
    store.save([store.ULabel(name="here"), store.ULabel(name="there", branch=draft)])
    assert store.ULabel.filter(branch_id=None).count() == store.ULabel.filter(branch=None).count() == 2
    assert store.ULabel.get(name="there", branch_id=None).branch == draft
    assert store.ULabel.filter(branch_id=draft.id).one().name == "there"


@pytest.mark.parametrize(
    ("lookup", "told"),
    [
        ({"name": ["1"]}, r"Record\.name__exact: \['1'\] \(list\) is not text; any of several is asked for with __in"),
        ({"delay": (1.0,)}, r"feature 'delay'__exact: .* any of several is asked for with __in"),
        ({"ulabels": [1]}, r"ulabels__exact: \[1\] \(list\) is not a number; any of several is asked for with __in"),
        ({"name__gt": ["1"]}, r"Record\.name__gt: \['1'\] \(list\) is not text$"),
    ],
)
def test_several_where_one_is_compared_tells_of_in(flights: Store, lookup: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        flights.Record.filter(**lookup)


def test_errors_name_the_relation_or_feature_that_holds_records(flights: Store) -> None:
    flights.Feature(name="crew", dtype=flights.ULabel).save()
    record = flights.Record.get(name="1")
    for lookup, told in (("ulabels", "ulabels"), ("crew", "feature 'crew'"), ("ulabels__parents", "ulabels__parents")):
        with pytest.raises(InvalidArgument, match=rf"^{told} holds a ULabel, not a Record$"):
            flights.Record.filter(**{lookup: record})
        with pytest.raises(InvalidArgument, match=rf"^{told}: this ULabel is not saved yet$"):
            flights.Record.filter(**{lookup: flights.ULabel(name="new")})


def test_of_several_versions_the_newest_is_told_of(store: Store) -> None:
    store.save([store.Artifact(f"s3://bucket/{n}", key="a.txt") for n in range(2)])
    with pytest.raises(MultipleResultsFound, match=r"2 match, one was asked for; the newest of each key has is_latest"):
        store.Artifact.get(key="a.txt")
    assert store.Artifact.get(key="a.txt", is_latest=True).path == "s3://bucket/1"
    with pytest.raises(MultipleResultsFound, match=r"2 match, one was asked for$"):
        store.Artifact.get(key="a.txt", is_latest__isnull=False)


def test_no_record_where_one_may_be_missing_costs_one_statement_and_no_search(
    flights: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuerySet, "search", lambda *_args, **_more: pytest.fail("searched"))
    records = flights.Record.all()
    assert statements(flights, lambda: records.get_or_none(name="5")) == 1
    assert statements(flights, lambda: records.filter(name="5").one_or_none()) == 1
    assert (records.get_or_none(9), records.get_or_none("zzzz"), records.get_or_none("no uid")) == (None, None, None)
    assert flights.Record.get_or_none(name="1") == flights.Record.get(name="1")
    with pytest.raises(MultipleResultsFound, match="4 match"):
        records.get_or_none(name__gte="1")


def test_what_is_on_another_branch_is_told_of(store: Store) -> None:
    draft = store.Branch(name="draft").save()
    store.save([store.ULabel(name="there", branch=draft), store.ULabel(name="gone")])
    store.ULabel.get(name="gone").delete()
    for name, branch in (("there", "draft"), ("gone", "trash")):
        with pytest.raises(DoesNotExist, match=f"no such ULabel here, but one on branch '{branch}': ask for branch="):
            store.ULabel.get(name=name)
        with pytest.raises(DoesNotExist, match=r"no such ULabel$"):
            store.ULabel.get(name=name, branch="main")
        assert store.ULabel.get(name=name, branch=branch).branch.name == branch
    with pytest.raises(DoesNotExist, match=r"no such ULabel$"):
        store.ULabel.get(name="nowhere")


def test_categories_are_asked_for_by_name_and_as_records_together(store: Store) -> None:
    lung, liver, skin = store.save([store.ULabel(name=name) for name in ("lung", "liver", "skin")])
    tissue = store.Feature(name="tissue", dtype=store.ULabel).save()
    store.save([store.Record(name=label.name, features={"tissue": label}) for label in (lung, liver, skin)])
    store.Record(name="none").save()
    asked = store.Record.all().order_by("name")
    assert asked.filter(tissue.isin(["skin", lung])).to_list("name") == ["lung", "skin"]
    assert asked.filter(tissue__in=(lung, "no such", None)).to_list("name") == ["lung"]
    assert asked.exclude(tissue__in={"skin", lung}).to_list("name") == ["liver", "none"]
    with pytest.raises(InvalidArgument, match="feature 'tissue' holds a ULabel, not a Record"):
        asked.filter(tissue.isin(["skin", asked[0]]))
