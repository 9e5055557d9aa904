"""Reading a source, whatever its format, as batches of rows that have the fields of a registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckfeat.engine.base import Engine
from duckfeat.errors import InvalidArgument, MissingFile
from duckfeat.model.fields import ForeignKey
from duckfeat.model.kinds import KINDS
from duckfeat.model.tables import Table
from duckfeat.ontology import obo, packaged, tables, taxonomy
from duckfeat.ontology.formats import is_archive, suffix_of

if TYPE_CHECKING:
    import polars as pl


def content_fields(table: Table) -> dict[str, str]:
    """Return the fields that terms get from a source, with their SQL types."""
    return {
        name: KINDS[field.type].sql_type
        for name, field in table.fields.items()
        if field.settable and field.stored and name != "uid" and not isinstance(field, ForeignKey)
    }


def read(
    source: Any, table: Table, identifiers: Sequence[str], engine: Engine, organism: str | None
) -> Iterator[pl.DataFrame]:
    """Yield the terms of a source in batches: every content field of the registry, and `parents`, a list of ids.

    A source without terms may have no batch.
    `identifiers` are the fields that hold the id of a term; where a term needs no name, a table of ids will do.

    Raises `MissingFile` for a file that is gone, `InvalidArgument` for one that cannot be read, `MissingExtra`
    for a library that is needed.
    """
    fields = content_fields(table)
    telling = (table.label, *identifiers) if table.field(table.label).null else (table.label,)
    for frame in _frames(source, table, engine, organism, fields, telling):
        yield _completed(frame, fields)


def no_terms(table: Table) -> pl.DataFrame:
    """Return the frame of a source that has no terms."""
    import polars

    return _completed(polars.DataFrame({"parents": []}), content_fields(table))


def folded(frame: pl.DataFrame, identifier: str) -> pl.DataFrame:
    """Return terms with one row for each id: the first one, with the synonyms and parents of all.

    >>> import polars as pl
    >>> frame = pl.DataFrame({"id": ["a", "a"], "synonyms": ["x", "y|x"], "parents": [["b"], []]})
    >>> folded(frame, "id").row(0)
    ('a', 'x|y', ['b'])
    """
    import polars

    repeated = polars.col(identifier).is_not_null() & polars.col(identifier).is_duplicated()
    numbered = frame.with_row_index("_at").with_columns(_repeated=repeated)
    if not numbered["_repeated"].any():
        return frame

    def every(column: polars.Expr) -> polars.Expr:
        return column.explode().drop_nulls().unique(maintain_order=True)

    joined = every(polars.col("synonyms").str.split("|")).str.join("|")
    several = numbered.filter("_repeated").group_by(identifier, maintain_order=True)
    first = several.agg(
        polars.exclude("synonyms", "parents").first(), joined.replace("", None), every(polars.col("parents"))
    )
    alone = numbered.filter(~polars.col("_repeated"))
    return polars.concat([alone, first.select(alone.columns)]).sort("_at").select(frame.columns)


def _frames(
    source: Any,
    table: Table,
    engine: Engine,
    organism: str | None,
    fields: Mapping[str, str],
    telling: Sequence[str],
) -> Iterator[pl.DataFrame]:
    if source.url == packaged.BUILTIN:
        return packaged.read_builtin()
    if source.url.startswith(packaged.PACKAGE):
        return packaged.read_packaged(source.url, table.name, organism)
    path, settings = Path(source.url), source.settings
    if not path.exists():
        raise MissingFile(f"the file of source {source} is gone: {path}", path=str(path))
    if path.is_dir() or path.name in taxonomy.FILES or is_archive(path):
        return taxonomy.read_taxonomy(path, engine)
    suffix = suffix_of(path)
    if suffix in obo.SUFFIXES:
        return obo.read_obo(path, settings.get("prefix"))
    if suffix in tables.SUFFIXES:
        return tables.read_table(path, list(fields), telling, settings.get("columns") or {})
    known = ", ".join((*tables.SUFFIXES, *obo.SUFFIXES))
    raise InvalidArgument(f"{path.name}: no format of sources is called {suffix!r}; there are: {known}", path=str(path))


def _completed(frame: pl.DataFrame, fields: Mapping[str, str]) -> pl.DataFrame:
    import polars

    types: dict[str, Any] = {"VARCHAR": polars.String, "BIGINT": polars.Int64, "DOUBLE": polars.Float64}
    columns = [
        (polars.col(name) if name in frame.columns else polars.lit(None)).cast(types[type_]).alias(name)
        for name, type_ in fields.items()
    ]
    parents = polars.col("parents") if "parents" in frame.columns else polars.lit([])
    return frame.select(*columns, parents.cast(polars.List(polars.String)).alias("parents"))
