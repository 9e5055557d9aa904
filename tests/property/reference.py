"""The same random rows in Django's ORM on SQLite and in a store: what test_django.py asks both about.

What Django has as nullable columns of artifacts and runs (`FEATURES`) are features of one value here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import django
import polars as pl
from django.apps import AppConfig, apps
from django.conf import settings
from django.db import connection, models

from duckfeat.store import Store

if not settings.configured:
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[],
        USE_TZ=True,
        TIME_ZONE="UTC",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


class User(models.Model):  # type: ignore[misc]  # Django publishes no types
    handle = models.TextField()
    name = models.TextField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        app_label = "reference"


class Run(models.Model):  # type: ignore[misc]  # Django publishes no types
    name = models.TextField(null=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(User, models.CASCADE, null=True, related_name="created_runs")
    weight = models.FloatField(null=True)
    sampled_on = models.DateField(null=True)

    class Meta:
        app_label = "reference"


class ULabel(models.Model):  # type: ignore[misc]  # Django publishes no types
    name = models.TextField()
    description = models.TextField(null=True)
    is_type = models.BooleanField()
    created_at = models.DateTimeField()
    type = models.ForeignKey("self", models.CASCADE, null=True, related_name="instances")
    parents = models.ManyToManyField("self", symmetrical=False, related_name="children")

    class Meta:
        app_label = "reference"


class Artifact(models.Model):  # type: ignore[misc]  # Django publishes no types
    key = models.TextField(null=True)
    size = models.BigIntegerField(null=True)
    n_files = models.BigIntegerField(null=True)
    is_latest = models.BooleanField()
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.CASCADE, null=True, related_name="created_artifacts")
    run = models.ForeignKey(Run, models.CASCADE, null=True, related_name="output_artifacts")
    ulabels = models.ManyToManyField(ULabel, related_name="artifacts")
    weight = models.FloatField(null=True)
    cells = models.BigIntegerField(null=True)
    note = models.TextField(null=True)
    checked = models.BooleanField(null=True)
    sampled_on = models.DateField(null=True)
    measured_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    label = models.ForeignKey(ULabel, models.CASCADE, null=True, related_name="+")

    class Meta:
        app_label = "reference"


# Reverse relations are found among the models of installed apps only.
_APP = AppConfig("reference", sys.modules[__name__])
_APP.apps, _APP.models = apps, apps.all_models["reference"]
apps.app_configs["reference"] = _APP
apps.clear_cache()

MODELS: Mapping[str, Any] = {"User": User, "Run": Run, "ULabel": ULabel, "Artifact": Artifact}
FEATURES: Mapping[str, Any] = {
    "weight": float,
    "cells": int,
    "note": str,
    "checked": bool,
    "sampled_on": date,
    "measured_at": datetime,
    "seen_at": "datetime[UTC]",
    "label": "cat[ULabel]",
}
"""Features and their dtypes."""

# Few values, so that conditions meet rows; of dates the ends of years, ISO years, months, days and of time itself.
TEXTS = ["a", "A", "ab", "b%", "50%", "a_b", "axb", "c.d", "x\\y", 'q"t', "o'k", "äÖ", "\U0001f600", ""]
NUMBERS = [-5, 0, 1, 2, 3, 10, 2**40, 2**63 - 1]
# Of NaN SQLite makes NULL.
FLOATS = [-1.5, -0.0, 0.0, 0.1, 1.0, 2.5, 1e300, float("inf"), float("-inf")]
MOMENTS = [
    datetime(1, 1, 1),
    datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime(1970, 1, 1),
    datetime(2020, 12, 31, 23, 59, 59),
    datetime(2021, 1, 3, 12),
    datetime(2024, 2, 29),
    datetime(2024, 2, 29, 0, 0, 0, 1),
    datetime(2024, 2, 29, 23, 59, 59, 500000),
    datetime(2024, 12, 30, 8, 15),
    datetime(2025, 6, 15, 10, 30, 45, 120),
    datetime(9999, 12, 31, 23, 59, 59, 999999),
]
INSTANTS = [moment.replace(tzinfo=UTC) for moment in MOMENTS]
DAYS = sorted({moment.date() for moment in MOMENTS} | {date(2024, 3, 1), date(2024, 12, 29)})

Rows = Mapping[str, list[dict[str, Any]]]
"""The rows of each model, and of each relation between many and many, by its name."""


def random_rows(seed: int) -> Rows:
    """Return rows of every model and relation, a quarter of what may be missing missing."""
    chance = Random(seed)  # noqa: S311  # no secret: the rows of a seed are the same each time

    def perhaps(pool: Any) -> Any:
        return chance.choice([None, *pool]) if chance.random() < 0.8 else None

    def pick(pool: Any) -> Any:
        return chance.choice(pool)

    users, runs, labels, artifacts = range(1, 7), range(1, 11), range(1, 15), range(1, 61)
    return {
        "User": [
            {"id": id_, "handle": f"u{id_}", "name": perhaps(TEXTS), "created_at": pick(INSTANTS)} for id_ in users
        ],
        "Run": [
            {
                "id": id_,
                "name": perhaps(TEXTS),
                "started_at": pick(INSTANTS),
                "finished_at": perhaps(INSTANTS),
                "created_by_id": perhaps(users),
                "weight": perhaps(FLOATS),
                "sampled_on": perhaps(DAYS),
            }
            for id_ in runs
        ],
        "ULabel": [
            {
                "id": id_,
                "name": pick(TEXTS),
                "description": perhaps(TEXTS),
                "is_type": pick([True, False]),
                "created_at": pick(INSTANTS),
                "type_id": perhaps(labels),
            }
            for id_ in labels
        ],
        "Artifact": [
            {
                "id": id_,
                "key": perhaps(TEXTS),
                "size": perhaps(NUMBERS),
                "n_files": perhaps(NUMBERS[:5]),
                "is_latest": pick([True, False]),
                "created_at": pick(INSTANTS),
                "created_by_id": perhaps(users),
                "run_id": perhaps(runs),
                "weight": perhaps(FLOATS),
                "cells": perhaps(NUMBERS),
                "note": perhaps(TEXTS),
                "checked": perhaps([True, False]),
                "sampled_on": perhaps(DAYS),
                "measured_at": perhaps(MOMENTS),
                "seen_at": perhaps(INSTANTS),
                "label_id": perhaps(labels),
            }
            for id_ in artifacts
        ],
        "artifacts.ulabels": pairs(chance, artifacts, labels, 3),
        "ulabels.parents": pairs(chance, labels, labels, 2),
    }


def pairs(chance: Random, near: range, far: range, most: int) -> list[dict[str, Any]]:
    """Return links from each id of one range to none up to `most` ids of another."""
    return [{"from_id": id_, "to_id": other} for id_ in near for other in chance.sample(far, chance.randint(0, most))]


def aware(value: Any) -> Any:
    """Return a value as Django takes it: where time zones are used, a datetime without one is an error."""
    if isinstance(value, list | tuple):
        return [aware(item) for item in value]
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def fill_django(rows: Rows) -> None:
    """Fill a new database of Django's; whatever an earlier module of this process left in memory is gone."""
    if connection.connection is not None:
        connection.connection.close()
    connection.connection = None
    with connection.schema_editor() as editor:
        for model in MODELS.values():
            editor.create_model(model)
    # SQLite's LIKE, which Django asks for `contains` and its kin, disregards case (Django's documentation says so):
    # this makes it regard case, as those lookups mean. Those that disregard it are asked as `iregex`.
    connection.cursor().execute("PRAGMA case_sensitive_like = ON")
    connection.cursor().execute("PRAGMA foreign_keys = OFF")
    for name, model in MODELS.items():
        model.objects.bulk_create(model(**{field: aware(value) for field, value in row.items()}) for row in rows[name])
    link(ULabel.parents.through, "from_ulabel_id", "to_ulabel_id", {pair(row) for row in rows["ulabels.parents"]})
    # The labels of an artifact are those that it is linked to and those that are the value of a feature.
    named = {(row["id"], row["label_id"]) for row in rows["Artifact"] if row["label_id"]}
    linked = {pair(row) for row in rows["artifacts.ulabels"]}
    link(Artifact.ulabels.through, "artifact_id", "ulabel_id", linked | named)


def pair(row: Mapping[str, Any]) -> tuple[int, int]:
    return row["from_id"], row["to_id"]


def link(through: Any, near: str, far: str, ids: set[tuple[int, int]]) -> None:
    through.objects.bulk_create(through(**{near: one, far: other}) for one, other in sorted(ids))


# What the tables here have besides, and cannot be without.
_BESIDES: Mapping[str, Mapping[str, Any]] = {
    "User": {},
    "Run": {"status": "completed", "created_at": INSTANTS[2]},
    "ULabel": {},
    "Artifact": {"path": "p", "suffix": ""},
}
_COLUMNS = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $name"


def fill_store(store: Store, rows: Rows) -> None:
    """Insert the rows as they are, ids included: what is compared is how they are asked for."""
    with store._session.engine.transaction():
        store._session.engine.write("DELETE FROM users")  # that of this process, which Django knows nothing of
    for name in MODELS:
        placed = {"updated_at": INSTANTS[2], "branch_id": 1, "space_id": 1, **_BESIDES[name]}
        own = [{key: row[key] for key in row if key.removesuffix("_id") not in FEATURES} for row in rows[name]]
        insert(store, f"{name.lower()}s", [{**row, "uid": f"{name}{row['id']}", **placed} for row in own])
    insert(store, "changes", [{"id": 1, "operation": "test", "created_at": INSTANTS[2]}])
    for relation in ("artifacts.ulabels", "ulabels.parents"):
        insert(store, "links", [{"relation": relation, "change_id": 1, **row} for row in rows[relation]])
    store.save([store.Feature(name=name, dtype=dtype) for name, dtype in FEATURES.items()])
    for name in ("Run", "Artifact"):
        frame = pl.DataFrame(rows[name], infer_schema_length=None)
        store.annotate(frame.select("id", *(set(frame.columns) & set(FEATURES))), registry=name, key="id")
    # Labels share their names, and a name that several have is none to annotate with.
    feature = {"feature_id": store.Feature.get(name="label").id, "change_id": 1}
    named = [(row["id"], row["label_id"]) for row in rows["Artifact"] if row["label_id"]]
    insert(store, "artifact_annotations", [{**feature, "entity_id": id_, "value_id": label} for id_, label in named])


def insert(store: Store, table: str, rows: list[dict[str, Any]]) -> None:
    types = dict(store.sql(_COLUMNS, {"name": table}).iter_rows())
    with store._session.engine.transaction():
        store._session.engine.insert(
            table, {key: types[key] for key in rows[0]}, [[row[key] for key in rows[0]] for row in rows]
        )
