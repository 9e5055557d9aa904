"""Plain descriptions: fields, tables, dtypes, values, questions. Imports no data library."""
