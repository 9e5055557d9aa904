"""The texts that reach a lake: what they are, and that no secret is in any."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

import duckfeat as dft
from duckfeat.engine.lake_places import LakePlace, attach_sql, data_folder, data_secret, lake_place
from duckfeat.engine.opening import address
from duckfeat.errors import InvalidArgument, MissingExtra


@pytest.mark.parametrize(
    ("given", "expected", "password"),
    [
        ("dbname=lake", "dbname=lake", None),
        ("user=me host=db dbname=lake", "dbname=lake host=db user=me", None),
        ("dbname = lake  password= pw", "dbname=lake", "pw"),
        (r"dbname='my lake' password='it\'s \\ here'", "dbname='my lake'", r"it's \ here"),
        (r"dbname=it\'s", r"dbname='it\'s'", None),
        ("dbname=''", "dbname=''", None),
        ("dbname=lake sslmode=require application_name=x", "dbname=lake application_name=x sslmode=require", None),
        (
            "postgresql://me:p%40ss@db:5433/lake?sslmode=on",
            "dbname=lake host=db port=5433 user=me sslmode=on",
            "p@ss",
        ),
        ("postgres://db/lake?password=pw", "dbname=lake host=db", "pw"),
    ],
)
def test_a_catalog_in_postgresql(given: str, expected: str, password: str | None) -> None:
    place = lake_place(f"ducklake:postgres:{given}")
    assert (place.kind, place.address, place.password) == ("postgres", expected, password)
    assert lake_place(place.url) == LakePlace("postgres", expected)
    assert address(f"ducklake:postgres:{given}") == place.url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ducklake:mysql:x", "not in 'mysql'"),
        ("ducklake:x.sqlite", "ducklake:sqlite:path"),
        ("ducklake:postgres:", "does not say where"),
        ("ducklake:postgres:dbname", "not a libpq string"),
        ("ducklake:postgres:password='open", "not a libpq string"),
        ("ducklake:postgres:dbname=a'b", "not a libpq string"),
        ("ducklake:postgres:postgresql://db:port/lake", "not a valid postgresql:// address"),
        ("ducklake:postgres:dbname=lake sslpassword=hush", "sslpassword would be seen"),
        ("ducklake:postgres:dbname=lake PASSWORD=hush", "unknown key 'PASSWORD' (did you mean 'password'?)"),
        ("ducklake:postgres:dbname=lake passwrd=hush", "unknown key 'passwrd' (did you mean 'password'?)"),
        ("ducklake:postgres:postgresql://db/lake?pasword=hush", "unknown key 'pasword' (did you mean 'password'?)"),
        ("ducklake:mysql:password=hush", "not in 'mysql'"),
        ("ducklake:postgresql://me:hush@db/lake", "not in 'postgresql'"),
    ],
)
def test_a_url_that_means_nothing_is_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(said)) as caught:
        lake_place(url)
    assert "hush" not in f"{caught.value}{caught.value.facts}"
    assert "open" not in str(caught.value)


def test_a_password_is_in_no_text() -> None:
    place = lake_place("ducklake:postgres:dbname=lake password=hush")
    texts = [repr(place), place.url, attach_sql(place), address("ducklake:postgres:dbname=lake password=hush")]
    assert not [text for text in texts if "hush" in text]


def test_a_catalog_in_sqlite_is_one_file_by_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert lake_place("ducklake:sqlite:./a/../l.sqlite").url == f"ducklake:sqlite:{tmp_path}/l.sqlite"


NEW_YEAR = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "(CREATE_IF_NOT_EXISTS false)"),
        ({"create": True}, ""),
        ({"create": True, "data_path": "/it's/"}, "(DATA_PATH '/it''s/')"),
        ({"create": True, "inline": 10}, "(DATA_INLINING_ROW_LIMIT 10)"),
        ({"read_only": True, "at": 7}, "(CREATE_IF_NOT_EXISTS false, READ_ONLY, SNAPSHOT_VERSION 7)"),
        ({"create": True, "at": NEW_YEAR}, "(SNAPSHOT_TIME '2026-01-01 00:00:00+00')"),
        ({"create": True, "at": datetime(2026, 1, 1, 0, 0, 0, 1)}, "(SNAPSHOT_TIME '2026-01-01 00:00:00.000001+00')"),
    ],
)
def test_the_text_that_attaches_a_lake(options: dict[str, Any], text: str) -> None:
    expected = f"ATTACH 'ducklake:postgres:dbname=lake' AS store {text}".rstrip()
    assert attach_sql(lake_place("ducklake:postgres:dbname=lake"), **options) == expected


def test_the_text_that_attaches_a_sqlite_catalog() -> None:
    assert attach_sql(lake_place("ducklake:sqlite:/it's"), create=True) == (
        "ATTACH 'ducklake:sqlite:/it''s' AS store (META_JOURNAL_MODE 'WAL', META_BUSY_TIMEOUT 10000)"
    )


def test_a_hostile_address_stays_one_literal() -> None:
    place = lake_place("ducklake:postgres:dbname='x\\'); DROP TABLE t; --'")
    statements = duckdb.extract_statements(attach_sql(place))
    assert [statement.type for statement in statements] == [duckdb.StatementType.ATTACH]


@pytest.mark.parametrize(
    ("given", "expected"),
    [("s3://bucket/prefix", "s3://bucket/prefix/"), ("s3://bucket/p//", "s3://bucket/p/"), (Path("/data"), "/data/")],
)
def test_where_files_are(given: Any, expected: str) -> None:
    assert data_folder(given) == expected


@pytest.mark.parametrize("given", ["", " ", "a\0b", "gs://bucket", "http://x/y", 5, b"x", "\ud800", ["x"]])
def test_where_files_cannot_be(given: Any) -> None:
    with pytest.raises(InvalidArgument, match="data_path is a folder or s3://"):
        data_folder(given)


def test_keys_are_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-env")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://minio:9000/")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    sql, params = data_secret("s3://b/", {"key_id": "mine"})
    assert "hush" not in sql
    server = {"endpoint": "minio:9000", "url_style": "path", "use_ssl": True}
    assert params == {"key_id": "mine", "secret": "hush", **server}
    assert data_secret("s3://b/", {"endpoint": "http://localhost:1"})[1]["use_ssl"] is False
    assert data_secret("s3://b/", {"endpoint": "localhost:1"})[1]["use_ssl"] is True
    with pytest.raises(InvalidArgument, match="did you mean 'region'"):
        data_secret("s3://b/", {"regoin": "x"})
    given: Any
    for given in ("hush", 5, ["hush"]):
        with pytest.raises(InvalidArgument, match="s3 is a mapping of key_id") as caught:
            data_secret("s3://b/", given)
        assert "hush" not in str(caught.value)


def test_without_its_extensions_a_lake_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb_extensions", None)
    with pytest.raises(MissingExtra, match=r"duckfeat\[lake\]") as caught:
        dft.connect(f"ducklake:sqlite:{tmp_path}/l.sqlite")
    assert caught.value.duckdb == duckdb.__version__
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["data_path", "s3", "password"])
@pytest.mark.parametrize("url", [":memory:", "x.duckdb"])
def test_a_file_takes_no_options_of_a_lake(url: str, option: str, tmp_path: Path) -> None:
    place = url if url == ":memory:" else tmp_path / url
    with pytest.raises(InvalidArgument, match=f"unknown setting '{option}'") as caught:
        dft.connect(place, default=False, **{option: "hush"})
    assert "hush" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("s3://me:hush@bucket/x", "keys, region and endpoint are given with s3="),
        ("s3://bucket/x?s3_secret_access_key=hush", "keys, region and endpoint are given with s3="),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
    ],
)
def test_a_place_of_files_is_a_bucket_and_a_prefix_alone(given: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said) as refused:
        data_folder(given)
    assert "hush" not in repr((str(refused.value), refused.value.facts))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"key_id": "me"}, "s3 has no 'secret': a key is both"),
        ({"secret": "hush"}, "s3 has no 'key_id': a key is both"),
        ({"key_id": "me", "secret": b"hush"}, "s3 has 'secret' as a bytes: it is a text"),
        ({"key_id": "me", "secret": "hush\0"}, "s3 has 'secret' as a str: it is a text"),
        ({"key_id": 7, "secret": "hush"}, "s3 has 'key_id' as a int: it is a text"),
        ({"use_ssl": "hush"}, "s3 has 'use_ssl' as a str: it is True or False"),
        ({"endpoint": "http://me:hush@db"}, "keys are given as key_id and secret"),
    ],
)
def test_options_that_cannot_be_right_are_told_without_their_values(
    given: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InvalidArgument, match=said) as refused:
        data_secret("s3://b/", given)
    assert "hush" not in repr((str(refused.value), refused.value.facts))
