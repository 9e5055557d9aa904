"""Filters, excludes, orders and slices give what Django's own ORM gives on the same rows.

Where the two rightly differ, the generators leave the case out and say why.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.db import connection, models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import duckfeat as dft
from duckfeat import Q
from duckfeat.store import Store

if not django_settings.configured:
    django_settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[],
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


class User(models.Model):  # type: ignore[misc]  # Django publishes no types
    handle = models.TextField()
    name = models.TextField(null=True)

    class Meta:
        app_label = "reference"


class ULabel(models.Model):  # type: ignore[misc]  # Django publishes no types
    name = models.TextField()
    description = models.TextField(null=True)
    type = models.ForeignKey("self", models.CASCADE, null=True, related_name="instances")
    parents = models.ManyToManyField("self", symmetrical=False, related_name="children")

    class Meta:
        app_label = "reference"


class Artifact(models.Model):  # type: ignore[misc]  # Django publishes no types
    key = models.TextField(null=True)
    size = models.BigIntegerField(null=True)
    n_files = models.BigIntegerField(null=True)
    is_latest = models.BooleanField()
    created_by = models.ForeignKey(User, models.CASCADE, null=True, related_name="created_artifacts")
    ulabels = models.ManyToManyField(ULabel, related_name="artifacts")

    class Meta:
        app_label = "reference"


# Reverse relations are found among the models of installed apps only.
_APP = AppConfig("reference", sys.modules[__name__])
_APP.apps, _APP.models = apps, apps.all_models["reference"]
apps.app_configs["reference"] = _APP
apps.clear_cache()

TEXTS = ["a", "A", "ab", "b%", "50%", "a_b", "axb", "c.d", "x\\y", 'q"t', "o'k", ""]
NUMBERS = [None, -5, 0, 1, 2, 3, 10, 2**40]
"""Few values, so that conditions meet rows."""


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return the rows both sides get: every combination is somewhere, nulls and empty relations too."""
    users = [{"id": n, "handle": f"u{n}", "name": [None, "a", "ab"][n % 3]} for n in range(10, 14)]
    labels = [
        {
            "id": n,
            "name": TEXTS[n % 11],
            "description": [None, "a", "A", "b%"][n % 4],
            "type_id": None if n % 3 else 1 + n // 3 % 3,
        }
        for n in range(1, 13)
    ]
    artifacts = [
        {
            "id": n,
            "key": None if n % 7 == 0 else TEXTS[n * 5 % 12],
            "size": NUMBERS[n * 3 % 8],
            "n_files": NUMBERS[n % 5],
            "is_latest": n % 3 == 0,
            "created_by_id": None if n % 4 == 0 else 10 + n % 4,
        }
        for n in range(1, 31)
    ]
    pairs = [{"artifact_id": n, "ulabel_id": 1 + n * k % 12} for n in range(1, 31) for k in range(n % 4)]
    unique = list({(pair["artifact_id"], pair["ulabel_id"]): pair for pair in pairs}.values())
    parents = [{"from": n, "to": n // 2} for n in range(2, 13) if n % 5]
    return {"users": users, "labels": labels, "artifacts": artifacts, "pairs": unique, "parents": parents}


def fill_django(data: dict[str, list[dict[str, Any]]]) -> None:
    with connection.schema_editor() as editor:
        for model in (User, ULabel, Artifact):
            editor.create_model(model)
    # SQLite's LIKE, which Django asks for `contains` and its kin, disregards case (Django's documentation says so):
    # this makes it regard case, as those lookups mean. Those that disregard it are asked as `iregex`.
    connection.cursor().execute("PRAGMA case_sensitive_like = ON")
    connection.cursor().execute("PRAGMA foreign_keys = OFF")
    User.objects.bulk_create(User(**row) for row in data["users"])
    ULabel.objects.bulk_create(ULabel(**row) for row in data["labels"])
    Artifact.objects.bulk_create(Artifact(**row) for row in data["artifacts"])
    Artifact.ulabels.through.objects.bulk_create(Artifact.ulabels.through(**row) for row in data["pairs"])
    ULabel.parents.through.objects.bulk_create(
        ULabel.parents.through(from_ulabel_id=row["from"], to_ulabel_id=row["to"]) for row in data["parents"]
    )


def fill_store(store: Store, data: dict[str, list[dict[str, Any]]]) -> None:
    """Insert the rows as they are, ids included: what is compared is how they are asked for."""
    engine = store._session.engine
    stamp = "'2024-01-01'::TIMESTAMPTZ, '2024-01-01'::TIMESTAMPTZ"
    with engine.transaction():
        for row in data["users"]:
            engine.write(f"INSERT INTO users SELECT $id, 'u' || $id, $handle, $name, {stamp}, NULL, NULL, 1, 1", row)
        for row in data["labels"]:
            engine.write(
                "INSERT INTO ulabels SELECT $id, 'l' || $id, $name, $description, NULL, FALSE, $type_id, "
                f"{stamp}, NULL, NULL, 1, 1",
                row,
            )
        for row in data["artifacts"]:
            engine.write(
                "INSERT INTO artifacts SELECT $id, 'a' || $id, $key, NULL, 'p', '', $size, NULL, $n_files, NULL, NULL, "
                f"$is_latest, {stamp}, $created_by_id, NULL, 1, 1",
                row,
            )
        engine.write("INSERT INTO changes SELECT 1, 'test', now(), NULL, NULL")
        for row in data["pairs"]:
            engine.write("INSERT INTO links SELECT 'artifacts.ulabels', $artifact_id, $ulabel_id, 1", row)
        for row in data["parents"]:
            engine.write("INSERT INTO links SELECT 'ulabels.parents', $from, $to, 1", row)


@pytest.fixture(scope="module")
def both() -> Iterator[Store]:
    data = rows()
    fill_django(data)
    with dft.connect(threads=1) as store:
        fill_store(store, data)
        yield store


TEXT_LOOKUPS = ["exact", "contains", "startswith", "endswith", "gt", "gte", "lt", "lte", "iexact", "icontains"]
TEXT_LOOKUPS += ["istartswith", "iendswith"]
NUMBER_LOOKUPS = ["exact", "gt", "gte", "lt", "lte"]
FIELDS = {
    "key": "text",
    "size": "number",
    "n_files": "number",
    "is_latest": "flag",
    "created_by": "user",
    "created_by__handle": "text",
    "created_by__name": "text",
    "ulabels": "label",
    "ulabels__name": "text",
    "ulabels__description": "text",
    "ulabels__type__name": "text",
    "ulabels__parents__name": "text",
    "ulabels__instances__name": "text",
    "ulabels__artifacts__key": "text",
    "created_by__created_artifacts__size": "number",
}
PLAIN = [name for name in FIELDS if not name.startswith("ulabels") and "created_artifacts" not in name]

texts = st.sampled_from([text for text in TEXTS if text])
numbers = st.sampled_from([number for number in NUMBERS if number is not None] + [4, 2**62])


@st.composite
def lookups(draw: st.DrawFn, fields: list[str] | None = None) -> tuple[str, Any]:
    name = draw(st.sampled_from(fields or list(FIELDS)))
    sort = FIELDS[name]
    if draw(st.integers(0, 5)) == 0:
        return f"{name}__isnull", draw(st.booleans())
    if sort == "flag":
        return name, draw(st.booleans())
    values = texts if sort == "text" else numbers if sort == "number" else st.integers(1, 14)
    if draw(st.integers(0, 4)) == 0:
        return f"{name}__in", draw(st.lists(values, max_size=4))
    if sort not in {"user", "label"} and draw(st.integers(0, 5)) == 0:
        return f"{name}__range", (draw(values), draw(values))
    if sort in {"user", "label"}:
        return name, draw(values)
    lookup = draw(st.sampled_from(TEXT_LOOKUPS if sort == "text" else NUMBER_LOOKUPS))
    return f"{name}__{lookup}", draw(values)


FOLDED = {"iexact": r"\A{}\Z", "icontains": "{}", "istartswith": r"\A{}", "iendswith": r"{}\Z"}
Tree = Any


def trees(fields: list[str] | None = None) -> st.SearchStrategy[Tree]:
    return st.recursive(
        lookups(fields),
        lambda inner: st.tuples(
            st.sampled_from(["and", "or", "not"]), st.lists(inner, min_size=1, max_size=3), st.just("tree")
        ),
        max_leaves=6,
    )


def as_q(kind: Any, tree: Tree) -> Any:
    """Return a tree as a Q of either side."""
    if len(tree) == 2:
        name, _, lookup = tree[0].rpartition("__")
        if kind is models.Q and lookup in FOLDED:
            return kind(**{f"{name}__iregex": FOLDED[lookup].format(re.escape(tree[1]))})
        return kind(**{tree[0]: tree[1]})
    word, parts, _ = tree
    made = [as_q(kind, part) for part in parts]
    joined = made[0]
    for part in made[1:]:
        joined = joined | part if word == "or" else joined & part
    return ~joined if word == "not" else joined


Step = tuple[str, Tree]
steps = st.lists(st.tuples(st.sampled_from(["filter", "filter", "exclude"]), trees()), min_size=1, max_size=3)


def asked(start: Any, kind: Any, asking: list[Step]) -> Any:
    for word, tree in asking:
        start = getattr(start, word)(as_q(kind, tree))
    return start


PROFILE = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)


@settings(PROFILE, max_examples=500)
@given(asking=steps)
def test_filters_and_excludes(both: Store, asking: list[Step]) -> None:
    theirs = set(asked(Artifact.objects, models.Q, asking).values_list("id", flat=True))
    found = asked(both.Artifact.filter(branch=None), Q, asking)
    ours = found.to_list("id")
    assert sorted(ours) == sorted(theirs), json.dumps(asking, default=str)
    assert found.count() == len(ours)


@settings(PROFILE, max_examples=250)
@given(
    tree=trees(PLAIN),
    keys=st.lists(st.sampled_from(["key", "-key", "size", "-size", "created_by__name", "-is_latest"]), max_size=3),
    start=st.integers(0, 12),
    length=st.integers(0, 12) | st.none(),
)
def test_orders_and_slices(both: Store, tree: Tree, keys: list[str], start: int, length: int | None) -> None:
    part = slice(start, None if length is None else start + length)
    # SQLite has missing values first; here they are last unless told otherwise, and both can be told.
    told = [
        models.F(key.removeprefix("-")).desc(nulls_last=True)
        if key.startswith("-")
        else models.F(key).asc(nulls_last=True)
        for key in keys
    ]
    theirs = Artifact.objects.filter(as_q(models.Q, tree)).order_by(*told, "-id").values_list("id", flat=True)[part]
    ours = both.Artifact.filter(as_q(Q, tree), branch=None).order_by(*keys)[part]
    assert ours.to_list("id") == list(theirs)


@settings(PROFILE, max_examples=250)
@given(first=trees(), second=trees(), word=st.sampled_from(["union", "intersection", "difference", "|", "&"]))
def test_combinations(both: Store, first: Tree, second: Tree, word: str) -> None:
    left, right = (
        set(Artifact.objects.filter(as_q(models.Q, tree)).values_list("id", flat=True)) for tree in (first, second)
    )
    wanted = {"union": left | right, "|": left | right, "difference": left - right}.get(word, left & right)
    ours = [both.Artifact.filter(as_q(Q, tree), branch=None) for tree in (first, second)]
    symbol = {"|": "__or__", "&": "__and__"}.get(word, word)
    assert set(getattr(ours[0], symbol)(ours[1]).to_list("id")) == wanted
