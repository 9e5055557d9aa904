"""`Store.sql` reads the store and nothing outside it, whatever the text says."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy
import pandas
import polars
import pyarrow
import pytest

import duckfeat as dft
from duckfeat.errors import DuckfeatError, InvalidArgument, QueryError
from duckfeat.store import Store

READING = [
    "SELECT 1",
    "SELECT * FROM records",
    "FROM main.records",
    "FROM store.main.records",
    "FROM information_schema.columns",
    "DESCRIBE records",
    "SUMMARIZE records",
    "SHOW TABLES",
    "WITH a AS (SELECT 1 AS x) SELECT *, row_number() OVER (ORDER BY x) FROM a",
    "WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a WHERE x < 5) FROM a",
    "SELECT count(*), sum(id) FILTER (WHERE id > 1), list(id ORDER BY id) FROM records GROUP BY ALL",
    "SELECT unnest([1, 2]), range(3), {'a': 1}, [x + 1 FOR x IN [1]], map {'a': 1}",
    "FROM range(3)",
    "FROM (VALUES (1)) AS t(x)",
    "SELECT now() + INTERVAL 1 DAY, DATE '2020-01-01', now(), current_user",
    "SELECT id::VARCHAR, CAST(id AS DECIMAL(3, 2)), id::INT[], try_cast('a' AS INT) FROM records",
    "SELECT list_transform([1], lambda x: x + 1)",
    "SELECT lag(id) OVER (PARTITION BY id), rank() OVER (ORDER BY id) FROM records",
    "SELECT * EXCLUDE (name), COLUMNS('na.*') FROM records",
    "SELECT json_extract('{\"a\": 1}', '$.a')",
    "SELECT id FROM records UNION ALL BY NAME SELECT id FROM ulabels",
    "SELECT random(), uuid(), 'a' ILIKE 'b', regexp_matches('a', 'b')",
    "SELECT $a::INT",
]
OUTSIDE = [
    "PRAGMA table_info('records')",
    "SELECT * FROM '{file}'",
    'FROM "{file}"',
    "FROM secret.csv",
    "FROM main.csv",
    "FROM read_text('{file}')",
    "FROM read_csv('{file}')",
    "SELECT (SELECT content FROM read_text('{file}'))",
    "WITH x AS (FROM read_blob('{file}')) FROM x",
    "WITH RECURSIVE x AS (SELECT '' AS c UNION SELECT content FROM read_text('{file}')) FROM x",
    "SELECT id FROM records WHERE id IN (SELECT size FROM read_blob('{file}'))",
    "SELECT id FROM records LIMIT (SELECT count(*) FROM glob('*'))",
    "SELECT id FROM records ORDER BY (SELECT 1 FROM glob('*'))",
    "FROM records JOIN '{file}' USING (id)",
    "FROM (DESCRIBE '{file}')",
    "SUMMARIZE '{file}'",
    "FROM query('SELECT 1')",
    "FROM query_table('records')",
    "FROM json_execute_serialized_sql('[]')",
    "FROM sniff_csv('{file}')",
    "FROM read_duckdb('{file}')",
    "FROM 'https://example.com/a.parquet'",
    "FROM 's3://bucket/a.parquet'",
    "SELECT getenv('HOME')",
    "SELECT list_transform(['HOME'], lambda x: getenv(x))",
    "SELECT sleep_ms(1)",
    "SELECT pg_sleep(1)",
    "SELECT write_log('x')",
    "SELECT nextval('s')",
    "FROM checkpoint()",
    "FROM force_checkpoint()",
    "FROM enable_logging()",
    "FROM duckdb_secrets()",
    "FROM duckdb_settings()",
    "FROM arrow_scan(1, 2, 3)",
    "FROM sqlite_scan('a', 'b')",
    "SELECT 1::INET",
    "SELECT st_point(1, 2)",
    "SELECT other.f(1)",
]
NO_READING = [
    "UPDATE EXTENSIONS",  # a kind of statement that the client of DuckDB 2.0 does not know
    "WITH x AS (INSERT INTO id_floors VALUES ('a', 1) RETURNING *) FROM x",
    "WITH x AS (DELETE FROM branches RETURNING *) FROM x",
    "INSERT INTO id_floors VALUES ('a', 1)",
    "DELETE FROM branches",
    "DROP TABLE branches",
    "CREATE TABLE x AS SELECT 1",
    "ATTACH 'x.duckdb'",
    "COPY records TO 'x.csv'",
    "COPY (SELECT 1) TO 'x.csv'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 1",
    "CALL range(3)",
    "EXPORT DATABASE 'x'",
    "EXPLAIN ANALYZE DELETE FROM branches",
    "SELECT 1; SELECT 2",
    "BEGIN",
    "",
    "no SQL",
    "\ud800",
]


@pytest.mark.parametrize("query", READING)
def test_what_reads_the_store_is_run(store: Store, query: str) -> None:
    store.sql(query, {"a": 1} if "$a" in query else None)


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("secret.csv", "main.csv", "csv"):
        (tmp_path / name).write_text("id\n42\n")
    return tmp_path / "secret.csv"


@pytest.mark.parametrize("query", OUTSIDE)
def test_what_reaches_outside_is_refused(store: Store, secret: Path, query: str) -> None:
    with pytest.raises(InvalidArgument, match=r"only reads this store|takes one"):
        store.sql(query.format(file=secret))


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("query", NO_READING)
def test_what_writes_is_refused_trusted_or_not(store: Store, query: str, trusted: bool) -> None:
    with pytest.raises(DuckfeatError):
        store.sql(query, trusted=trusted)
    assert store.Branch.count() == 3


def test_a_trusted_query_reads_files(store: Store, secret: Path) -> None:
    assert store.sql("SELECT id FROM read_csv($file)", {"file": str(secret)}, trusted=True)["id"].to_list() == [42]


def test_a_query_is_text(store: Store) -> None:
    with pytest.raises(InvalidArgument, match="text"):
        store.sql(1)  # type: ignore[arg-type]


def test_a_query_inside_a_transaction_sees_what_it_wrote(store: Store) -> None:
    with store.transaction():
        dft.ULabel(name="a").save()
        assert store.sql("SELECT name FROM ulabels")["name"].to_list() == ["a"]
    assert store.sql("SELECT name FROM ulabels")["name"].to_list() == ["a"]


def test_a_macro_in_the_file_is_no_function_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "features.duckdb"
    dft.connect(path).close()
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE MACRO abs(x) AS (SELECT content FROM read_text(x))")
        other.execute("CREATE MACRO harmless(x) AS x")
    with dft.connect(path) as store:
        for query in ("SELECT harmless(1)", f"SELECT store.main.abs('{path}')", "SELECT store.main.harmless(1)"):
            with pytest.raises(InvalidArgument):
                store.sql(query)
        assert store.sql("SELECT abs(-1)").item() == 1


@pytest.mark.parametrize("query", ["SELECT 1 AS a, 2 AS a", "SELECT INTERVAL 1 DAY AS a"])
def test_what_polars_has_no_frame_for_is_told(store: Store, query: str) -> None:
    with pytest.raises(InvalidArgument, match="Polars cannot hold this"):
        store.sql(query)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM recordz", 'recordz does not exist! Did you mean "records"'),
        ("SELECT nme FROM records", '"nme" not found in FROM clause! Candidate bindings: .*"name"'),
        ("SELECT 1 +", "syntax error at"),
    ],
)
def test_what_a_query_has_wrong_is_told_with_what_was_meant(store: Store, query: str, told: str) -> None:
    with pytest.raises(QueryError, match=told) as caught:
        store.sql(query)
    assert "LINE 1" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (numpy.int64(3), 3),
        (numpy.float32(0.5), 0.5),
        (numpy.bool_(True), True),
        (numpy.str_("a"), "a"),
        (numpy.datetime64("2024-05-01"), date(2024, 5, 1)),
        (numpy.array([1.5, 2.5]), [1.5, 2.5]),
        (pandas.Timestamp("2024-05-01 12:00:00.000001"), datetime(2024, 5, 1, 12, 0, 0, 1)),
        (pandas.Series(["a"]), ["a"]),
        (pandas.NA, None),
        (pandas.NaT, None),
        (polars.Series([1]), [1]),
        (pyarrow.scalar("a"), "a"),
        (Decimal("1.50"), Decimal("1.50")),
    ],
    ids=lambda given: type(given).__name__,
)
def test_parameters_of_any_library(given: Any, read: Any, store: Store) -> None:
    for params, query in (({"a": given}, "SELECT $a AS a"), ([given], "SELECT ? AS a")):
        assert store.sql(query, params)["a"].to_list() == [read]
    with pytest.raises(InvalidArgument, match=r"the parameter Timestamp.* has a part below the microsecond"):
        store.sql("SELECT ? AS a", [pandas.Timestamp(1)])
