"""Where statements run: the embedded DuckDB, named statements, migrations. The only importers of duckdb."""
