"""Nothing a caller passes becomes SQL, a path it did not mean, or a secret in a text."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import DuckfeatError
from duckfeat.store import Store
from tests.counting import row_counts

ROOT = Path(__file__).resolve().parents[2]

HOSTILE = [
    "",
    " ",
    "'",
    '"',
    "\\",
    "'; DROP TABLE records; --",
    '"; DROP TABLE records; --',
    "' OR '1'='1",
    "x') UNION SELECT handle FROM users --",
    "/* x",
    "*/ x",
    "-- x",
    "$p0",
    "$name",
    "?",
    "%s %(a)s {0} {a}",
    "%_",
    "a\0b",
    "a\nb\r\tc",
    "\ud800",
    "é𝒳\U0010ffff\u202e",
    "../../../etc/passwd",
    "read_text('/etc/passwd')",
    "store.main.records",
    "records",
    "__class__",
    "name__contains",
    "created_by__handle__x",
    "x" * 100_000,
]


def _given(name: str) -> dict[str, Any]:
    """Return an argument of a name."""
    return {name: 1}


def _frameable(text: str) -> str:
    """Return the text, or another for one that Polars itself cannot hold."""
    return "?" if text == "\ud800" else text


Call = Callable[[Store, str], Any]
FIELD_LOOKUPS = [
    "exact",
    "iexact",
    "contains",
    "icontains",
    "startswith",
    "istartswith",
    "endswith",
    "iendswith",
    "in",
    "regex",
    "iregex",
    "gt",
    "lt",
]
CALLS: dict[str, Call] = {
    **{
        f"filter name__{lookup}": lambda store, text, lookup=lookup: store.Record.filter(  # type: ignore[misc]
            **{f"name__{lookup}": [text] if lookup == "in" else text}
        ).to_list("name")
        for lookup in FIELD_LOOKUPS
    },
    "filter key": lambda store, text: store.Record.filter(**{text: 1}).count(),
    "filter value": lambda store, text: store.Record.filter(word=text).count(),
    "filter predicate": lambda store, text: store.Record.filter(store.Feature.get(name="word") == text).count(),
    "filter dict path": lambda store, text: store.Record.filter(**{f"info__{text}": text}).count(),
    "Q": lambda store, text: store.Record.filter(~dft.Q(name=text) | dft.Q(**{text: text})).count(),
    "exclude": lambda store, text: store.Record.exclude(name=text).count(),
    "branch": lambda store, text: store.Record.filter(branch=text).count(),
    "get": lambda store, text: store.Record.get(text),
    "get name": lambda store, text: store.Record.get(name=text),
    "order_by": lambda store, text: store.Record.all().order_by(text).to_list("name"),
    "values": lambda store, text: list(store.Record.all().values(text)),
    "values_list": lambda store, text: list(store.Record.all().values_list(text)),
    "to_list": lambda store, text: store.Record.all().to_list(text),
    "include": lambda store, text: store.Record.all().pl(include=text),
    "frame features": lambda store, text: store.Record.all().pl(features=[text]),
    "search": lambda store, text: store.Record.search(text).to_list("name"),
    "search field": lambda store, text: store.Record.search("canary", field=text).to_list("name"),
    "lookup": lambda store, text: store.Record.lookup(text),
    "lookup name": lambda store, text: store.Record.lookup()[text],
    "from_values": lambda store, text: store.ULabel.from_values([text], create=True),
    "from_values field": lambda store, text: store.ULabel.from_values(["a"], field=text),
    "validate": lambda store, text: store.Record.validate([text]),
    "inspect": lambda store, text: store.Record.inspect([text]),
    "standardize": lambda store, text: store.Record.standardize([text]),
    "update": lambda store, text: store.ULabel.filter(name="label").update(**{text: 1}),
    "update value": lambda store, text: store.ULabel.filter(name="label").update(description=text),
    "ULabel": lambda store, text: store.ULabel(name=text, description=text, synonyms=text).save(),
    "ULabel uid": lambda store, text: store.ULabel(name="uid of", uid=text).save(),
    "Feature": lambda store, text: store.Feature(name=text, dtype=str, unit=text, description=text).save(),
    "Feature dtype": lambda store, text: store.Feature(name="dtype of", dtype=text).save(),
    "Feature category": lambda store, text: store.Feature(name="category of", dtype=f"cat[{text}]").save(),
    "Record": lambda store, text: store.Record(name=text, features={"word": text, "info": {text: [text]}}).save(),
    "Record features": lambda store, text: store.Record(name="r", features={text: text}).save(),
    "Record field": lambda store, text: store.Record(**_given(text)),
    "get_or_create": lambda store, text: store.FeatureValue.get_or_create(store.Feature.get(name="word"), text),
    "set_values": lambda store, text: store.Record.get(name="other").features.set_values({text: text}),
    "remove_values": lambda store, text: store.Record.get(name="other").features.remove_values(text),
    "features[]": lambda store, text: store.Record.get(name="other").features[text],
    "Artifact": lambda store, text: store.Artifact(text, key=text).save(),
    "Artifact key": lambda store, text: store.Artifact("s3://bucket/a.csv", key=text, description=text).save(),
    "track": lambda store, text: store.track(text, name=text).__exit__(None, None, None),
    "Branch": lambda store, text: store.Branch(name=text).save(),
    "switch": lambda store, text: store.switch(text),
    "merge": lambda store, text: store.merge(text),
    "Space": lambda store, text: store.Space(name=text).save(),
    "User": lambda store, text: store.User(handle=text).save(),
    "using": lambda _store, text: dft.Record.using(text).count(),
    "annotate path": lambda store, text: store.annotate(text),
    "annotate column": lambda store, text: store.annotate(
        pl.DataFrame({"name": ["other"], _frameable(text): ["a"]}), key="name", create="all"
    ),
    "annotate cells": lambda store, text: store.annotate(
        pl.DataFrame({"name": [_frameable(text)], "word": [_frameable(text)]}), key="name", create=True
    ),
    **{
        f"annotate {option}": lambda store, text, option=option: store.annotate(  # type: ignore[misc]
            pl.DataFrame({"name": ["other"], "word": ["a"]}), **{"key": "name", option: text}
        )
        for option in ("registry", "key", "on", "mode", "create", "on_invalid")
    },
    "annotate features": lambda store, text: store.annotate(
        pl.DataFrame({"name": ["other"], "word": ["a"]}), key="name", features=[text]
    ),
    "sql": lambda store, text: store.sql(text),
    "sql parameter": lambda store, text: store.sql("SELECT $a AS a", {"a": text}),
    "sql parameter name": lambda store, text: store.sql("SELECT 1", {text: 1}),
    "sql parameters": lambda store, text: store.sql("SELECT ? AS a", [text]),
    "restore": lambda _store, text: dft.restore(text),
    "import_": lambda _store, text: dft.import_(text),
    "memory_limit": lambda _store, text: dft.connect(default=False, memory_limit=text).close(),
    "threads": lambda _store, text: dft.connect(default=False, threads=text).close(),
    "setting": lambda _store, text: dft.connect(**_given(text)).close(),
}


def test_every_kind_of_call_survives_every_hostile_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with dft.connect() as store:
        store.save([store.Feature(name="word", dtype=str), store.Feature(name="info", dtype=dict)])
        canary = store.Record(name="canary", features={"word": "tweet"}).save()
        store.save([store.Record(name="other"), store.ULabel(name="label")])
        wrong = [f"{name}({text[:30]!r}): {error}" for name, text, error in _run_all(store)]
        assert not wrong, "\n".join(wrong)
        store.switch("main")
        assert canary.refresh_from_db().features.get_values() == {"word": "tweet"}
        assert store.Record.filter(name="canary").count() == 1
        assert set(row_counts(store)) >= {"records", "users", "typed_values"}
        assert store.check().ok
    assert list(tmp_path.iterdir()) == []


def _run_all(store: Store) -> Iterator[tuple[str, str, str]]:
    """Make every call with every text and yield what raised anything but an error of ours."""
    for name, call in CALLS.items():
        for text in HOSTILE:
            try:
                call(store, text)
            except DuckfeatError:
                continue
            except BaseException as error:  # noqa: BLE001  # each is reported, a panic of Polars too
                yield name, text, f"{type(error).__name__}: {str(error)[:200]}"


def test_hostile_names_are_data(store: Store) -> None:
    texts = [text for text in HOSTILE if text != "\ud800"]
    store.save([store.Feature(name=text, dtype=str) for text in texts if text])
    record = store.Record(name="r", features={text: text for text in texts if text}).save()
    assert record.features.get_values() == {text: text for text in texts if text}
    frame = store.Record.all().pl(features=True)
    assert frame.select([text for text in texts if text and text not in {"name", "uid"}]).height == 1
    for text in texts:
        store.ULabel(name=text or "empty").save()
        assert store.ULabel.filter(name=text or "empty").to_list("name") == [text or "empty"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o027])
def test_files_are_made_with_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with dft.connect(tmp_path / "features.duckdb") as store:
            store.ULabel(name="a").save()
            store.backup(tmp_path / "backup.duckdb")
            store.export(tmp_path / "export")
            modes = {file: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.rglob("*") if file.is_file()}
    finally:
        os.umask(before)
    assert len(modes) > 5
    assert {file.name: oct(mode) for file, mode in modes.items() if mode & mask or not mode & 0o600} == {}


def test_nothing_is_unpickled() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "duckfeat").rglob("*.py"))
    assert not re.search(r"\b(?:import|from) (?:pickle|dill|cloudpickle|joblib|marshal|shelve)\b", code)
    assert not re.search(r"(?<![\w.])(?:eval|exec)\(|allow_pickle=True|yaml\.load\(", code)


def test_extensions_come_from_where_they_are_trusted(store: Store) -> None:
    settings = dict(
        store.sql("SELECT name, value FROM duckdb_settings() WHERE name LIKE '%extension%'", trusted=True).iter_rows()
    )
    assert settings["allow_community_extensions"] == "false"
    assert settings["allow_unsigned_extensions"] == "false"
    assert settings["autoinstall_known_extensions"] == "false"
