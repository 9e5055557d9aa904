"""Questions to a store: QuerySets, search, lookup, frames of columns."""
