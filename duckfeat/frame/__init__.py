"""From Arrow to what people hold: Polars, pandas, records."""
