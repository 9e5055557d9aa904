"""Sources that are tables: CSV, TSV and Parquet, their columns named, recognised, or told by what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckfeat.errors import InvalidArgument, hint
from duckfeat.ontology.formats import suffix_of

if TYPE_CHECKING:
    import polars as pl

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}
SUFFIXES = (*_SEPARATORS, ".parquet")
_BATCH = 100_000
_SAMPLE = 200
_MOST = 0.9
"""The share of a column's texts that must look like an id for the column to hold ids."""

# How columns of common files are called, for each field; the field's own name comes first.
_CALLED: Mapping[str, tuple[str, ...]] = {
    "ontology_id": ("id", "term_id", "curie", "obo_id", "ontology_term_id"),
    "name": ("label", "term", "term_name", "common_name", "protein_name", "protein_names", "entry_name"),
    "scientific_name": ("scientific", "species"),
    "synonyms": ("synonym", "aliases", "alias", "alias_symbol", "gene_synonym", "gene_synonyms"),
    # A full name is often called so where there is a symbol, which then comes before.
    "description": ("definition", "def", "gene_description", "full_name", "approved_name", "long_name", "name"),
    "abbr": ("abbreviation",),
    "parents": ("parent", "parent_id", "parent_ids", "is_a", "subclass_of"),
    "symbol": ("gene_symbol", "gene_name", "feature_name", "hgnc_symbol", "name", "gene"),
    "ensembl_gene_id": ("ensembl_id", "gene_id", "feature_id", "gene_stable_id", "ensembl", "id"),
    "stable_id": ("systematic_name", "locus_tag"),
    "ncbi_gene_ids": ("ncbi_gene_id", "entrez_id", "entrezgene_id", "entrez_gene_id"),
    "biotype": ("gene_biotype", "gene_type", "feature_type", "type"),
    "uniprotkb_id": ("uniprot_id", "uniprot", "accession", "entry"),
    "gene_symbol": ("gene_symbols", "gene_names", "gene"),
    "ensembl_gene_ids": ("ensembl_gene_id", "gene_id"),
}

# What the columns of a table without a header hold.
_HOLDS: Mapping[str, re.Pattern[str]] = {
    "ensembl_gene_id": re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?|FBgn\d+|WBGene\d+"),
    "uniprotkb_id": re.compile(r"[OPQ]\d[A-Z\d]{3}\d|[A-NR-Z]\d([A-Z][A-Z\d]{2}\d){1,2}"),
    "ontology_id": re.compile(r"[A-Za-z]+[:_]\w*\d\w*"),
    "biotype": re.compile(r"protein_coding|artifact|TEC|ribozyme|\w*(RNA|tRNA|pseudogene|_gene)"),
}


def read_table(
    path: Path, fields: Sequence[str], telling: Sequence[str], columns: Mapping[str, str | int]
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a table in batches, columns called as the fields are; `parents` is a list.

    `telling` are the fields of which one has to be there, the name first: in place of it an id will do, where no
    other column might hold the name.

    Raises `InvalidArgument` for a column that is not there, where no column tells the terms apart, and for a file
    that is no table.
    """
    with _reading(path):
        yield from _rows(path, fields, telling, columns)


def check_columns(path: Path, columns: Mapping[str, str | int]) -> None:
    """Raise `InvalidArgument` for a column that a table does not have, and for a file that is no table."""
    with _reading(path):
        _named(path, _scan(path, list(columns), columns), columns)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Have what a library says of a file that is no table said by our own error."""
    import polars

    try:
        yield
    except (polars.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidArgument(f"{path.name} cannot be read as a table: {reason}", path=str(path)) from error


def _rows(
    path: Path, fields: Sequence[str], telling: Sequence[str], columns: Mapping[str, str | int]
) -> Iterator[pl.DataFrame]:
    frame = _scan(path, [*fields, "parents"], columns)
    label = telling[0]
    named = _named(path, frame, columns) if columns else _recognised(frame, [*fields, "parents"], label)
    by_id = any(field in named for field in telling) and (columns or not _unnamed(frame, named))
    if label not in named and not by_id:
        there = ", ".join(frame.collect_schema().names())
        ids = {field: column for field, column in named.items() if field in telling}
        without = f"For terms without one: columns={ids}. " if ids else ""
        raise InvalidArgument(
            f"{path.name}: no column is seen to hold {label!r}; say which: columns={{{label!r}: ...}}. "
            f"{without}There are: {there}.",
            path=str(path),
        )
    chosen = frame.select([_cleaned(frame, field, column) for field, column in named.items()])
    if {"ontology_id", "parents", label} <= named.keys():
        chosen = _parents_by_id(chosen, label)
    yield from chosen.collect_batches(chunk_size=_BATCH, maintain_order=True)


def _scan(path: Path, fields: Sequence[str], columns: Mapping[str, str | int]) -> pl.LazyFrame:
    import polars

    suffix = suffix_of(path)
    if suffix == ".parquet":
        return polars.scan_parquet(path)
    separator, head = _separated(path, _SEPARATORS[suffix])
    cells = {_folded(cell) for cell in head.row(0) if cell}
    titles = {name for field in fields for name in (field, *_CALLED.get(field, ()))}
    titled = bool(cells & titles) or any(isinstance(column, str) for column in columns.values()) or _is_titled(head)
    return polars.scan_csv(path, separator=separator, has_header=titled, infer_schema=False)


def _separated(path: Path, usual: str) -> tuple[str, pl.DataFrame]:
    """Return what separates the columns, and the first rows as they are.

    It is another sign than the usual one where each row is one cell that has that sign equally often.
    """
    import polars

    def head(separator: str) -> pl.DataFrame:
        return polars.read_csv(path, separator=separator, has_header=False, n_rows=_SAMPLE, infer_schema=False)

    found = head(usual)
    if found.width == 1:
        cells = found.to_series().fill_null("").to_list()
        for separator in ("\t", ";", ","):
            if cells[0].count(separator) and len({cell.count(separator) for cell in cells}) == 1:
                return separator, head(separator)
    return usual, found


def _is_titled(head: pl.DataFrame) -> bool:
    """Tell whether the first row is a title by what stands below it: ids, where it has none."""
    return any(
        first is not None and not pattern.fullmatch(first) and _share(rest, pattern) >= _MOST
        for first, *rest in (column.to_list() for column in head.iter_columns())
        for pattern in _HOLDS.values()
    )


def _share(cells: Sequence[Any], pattern: re.Pattern[str]) -> float:
    """Return how many of the texts among cells a pattern fits, from 0 to 1; 0 where there are none."""
    texts = [cell for cell in cells if isinstance(cell, str) and cell]
    return sum(bool(pattern.fullmatch(text)) for text in texts) / len(texts) if texts else 0


def _folded(name: str) -> str:
    return re.sub(r"\W+", "_", name.strip().casefold())


def _named(path: Path, frame: pl.LazyFrame, columns: Mapping[str, str | int]) -> dict[str, str]:
    names = frame.collect_schema().names()
    found = {}
    for field, column in columns.items():
        there = isinstance(column, int) and 0 <= column < len(names)
        name = names[int(column)] if there else str(column)
        if name not in names:
            raise InvalidArgument(
                f"{path.name}: there is no column {column!r}{hint(name, names)}",
                path=str(path),
                column=column,
                available=names,
            )
        found[field] = name
    return found


def _recognised(frame: pl.LazyFrame, fields: Sequence[str], label: str) -> dict[str, str]:
    """Return the column of each field that one is found for, by its name or else by what it holds."""
    names = {_folded(name): name for name in reversed(frame.collect_schema().names())}
    found: dict[str, str] = {}
    for place in range(max(len(_CALLED.get(field, ())) for field in fields) + 1):
        for field in fields:
            called = (field, *_CALLED.get(field, ()))[place : place + 1]
            if field not in found and called and called[0] in names and names[called[0]] not in found.values():
                found[field] = names[called[0]]
    return found or _by_content(frame, fields, label)


def _by_content(frame: pl.LazyFrame, fields: Sequence[str], label: str) -> dict[str, str]:
    sample = frame.head(_SAMPLE).collect()
    found: dict[str, str] = {}
    for field in fields:
        pattern = _HOLDS.get(field)
        if pattern is None:
            continue
        free = [name for name in sample.columns if name not in found.values()]
        holding = [name for name in free if _share(sample[name].to_list(), pattern) >= _MOST]
        if holding:
            found[field] = holding[0]
    rest = _unnamed(frame, found)
    # Without any id nothing tells that this is a table of such terms at all.
    return {**found, label: rest[0]} if rest and found else found


def _unnamed(frame: pl.LazyFrame, found: Mapping[str, str]) -> list[str]:
    """Return the columns of text that are no field's."""
    sample = frame.head(_SAMPLE).collect()
    return [name for name in sample.columns if name not in found.values() and _is_text(sample[name].to_list())]


def _is_text(cells: Sequence[Any]) -> bool:
    texts = [cell for cell in cells if isinstance(cell, str) and cell]
    return any(not re.fullmatch(r"[\d.+-]+", text) for text in texts)


def _cleaned(frame: pl.LazyFrame, field: str, column: str) -> pl.Expr:
    """Return a column as its field: text without what is empty, synonyms joined by bars, parents as a list."""
    import polars

    cells = polars.col(column)
    listed = isinstance(frame.collect_schema()[column], polars.List)
    if listed:
        cells = cells.cast(polars.List(polars.String)).list.join("|")
    text = cells.cast(polars.String).str.strip_chars()
    text = polars.when(text != "").then(text)  # without `otherwise` the rest is null
    if field != "parents":
        return text.alias(field)
    ids = text.str.replace_all(r"\s*[|;,]\s*", "|").str.split("|")
    return ids.fill_null(polars.lit([], dtype=polars.List(polars.String))).alias(field)


def _parents_by_id(frame: pl.LazyFrame, label: str) -> pl.LazyFrame:
    """Return the rows with the ids of parents that are given by name, where one term has that name."""
    import polars

    terms = frame.select("ontology_id", label).drop_nulls().unique()
    given = frame.select(parent=polars.col("parents").explode()).unique()
    named = given.join(terms, left_on="parent", right_on="ontology_id", how="anti")
    meant = named.join(terms, left_on="parent", right_on=label).filter(polars.len().over("parent") == 1).collect()
    if meant.is_empty():
        return frame
    by_id = polars.element().replace(meant["parent"], meant["ontology_id"])
    return frame.with_columns(polars.col("parents").list.eval(by_id))
