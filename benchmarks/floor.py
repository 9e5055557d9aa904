"""The floor: what hand-written DuckDB SQL costs for the same work, with no validation, no provenance, no facade."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import polars as pl

PHYSICAL = {"num": "DOUBLE", "str": "VARCHAR", "bool": "BOOLEAN"}


def measurements(entities: int) -> pl.DataFrame:
    """Return a wide frame, the same every time: `uid` and ten features, about 3.1 distinct values per entity."""
    rng = np.random.default_rng(0)
    pick = rng.integers
    return pl.DataFrame(
        {
            "uid": [f"e{i:09d}" for i in range(entities)],
            "temperature": np.round(rng.normal(20, 5, entities), 3),
            "n_cells": pick(0, 100_000, entities),
            "is_control": pick(0, 2, entities) == 1,
            "protocol": np.array([f"protocol {i}" for i in range(50)])[pick(0, 50, entities)],
            "note": [f"note {i}" for i in range(entities)],
            "x1": rng.random(entities),
            "x2": rng.random(entities),
            "tissue": np.array([f"tissue {i}" for i in range(500)])[pick(0, 500, entities)],
            "dose": pick(0, 10, entities) * 0.5,
            "batch": pick(0, 200, entities),
        }
    )


def _kind(dtype: pl.DataType) -> str:
    if dtype == pl.Boolean:
        return "bool"
    return "num" if dtype.is_numeric() else "str"


class Floor:
    """A value table and a link table with dense ids in a file of their own."""

    def __init__(self, source: Path, file: Path) -> None:
        schema = pl.read_parquet_schema(source)
        self._columns = {name: _kind(dtype) for name, dtype in schema.items() if name != "uid"}
        self._source = f"read_parquet('{source}')"
        self._con = duckdb.connect(str(file))
        for sql in (
            "SET preserve_insertion_order = false",
            "CREATE TABLE entity (id BIGINT, uid VARCHAR)",
            "CREATE TABLE value (id BIGINT, feature_id INTEGER, num DOUBLE, str VARCHAR, bool BOOLEAN)",
            "CREATE TABLE link (feature_id INTEGER, entity_id BIGINT, value_id BIGINT)",
            f"INSERT INTO entity SELECT row_number() OVER (), uid FROM {self._source}",
        ):
            self._con.execute(sql)

    def load(self) -> None:
        """Load values and links."""
        base = 0
        self._con.execute("BEGIN")
        for number, (name, kind) in enumerate(self._columns.items()):
            self._con.execute(
                f"INSERT INTO value (id, feature_id, {kind}) SELECT {base} + row_number() OVER (), {number}, v FROM "
                f"(SELECT DISTINCT {name}::{PHYSICAL[kind]} AS v FROM {self._source} WHERE {name} IS NOT NULL)"
            )
            self._con.execute(
                f"INSERT INTO link SELECT {number}, e.id, v.id FROM {self._source} s JOIN entity e USING (uid) "
                f"JOIN value v ON v.feature_id = {number} AND v.{kind} = s.{name}::{PHYSICAL[kind]}"
            )
            base = self._con.execute("SELECT max(id) FROM value").fetchall()[0][0]
        self._con.execute("COMMIT")

    def wide(self) -> pl.DataFrame:
        """Return the wide frame of all entities."""
        joins = " ".join(
            f"LEFT JOIN (SELECT l.entity_id AS id, v.{kind} AS {name} FROM link l JOIN value v ON l.value_id = v.id "
            f"AND v.feature_id = {number} WHERE l.feature_id = {number}) f{number} USING (id)"
            for number, (name, kind) in enumerate(self._columns.items())
        )
        return self._con.sql(f"SELECT uid, {', '.join(self._columns)} FROM entity {joins}").pl()

    def close(self) -> None:
        """Let go of the file."""
        self._con.close()
