"""Which DuckDB this is: versions 1.5 and 2.0 differ in what few modules here have to know."""

from __future__ import annotations

import duckdb

MAJOR = int(duckdb.__version__.partition(".")[0])
