"""From questions to statements: lookups as a table, binding to fields, one parameterised statement. Pure."""
