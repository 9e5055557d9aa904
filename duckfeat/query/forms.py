"""The forms in which the answer to a question is taken: Arrow, Polars and pandas frames, streams, Parquet files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckfeat.compile.select import Query
from duckfeat.frame import frames
from duckfeat.query.session import Session
from duckfeat.query.wide import Features, Include, Wide

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

_ARROW_BATCH = 100_000


class Frames:
    """The frames of a question, with the columns that `arrow` gives."""

    _session: Session
    _query: Query
    _fields: tuple[str, ...]

    def arrow(self, include: Include = None, features: Features = False, limit: int | None = None) -> pa.Table:
        """Return an Arrow table with a row for each record.

        Its columns are the fields of the registry, then the related fields in `include`, then the `features`: some of
        them by name or object, or with `features=True` all. The type of a column never depends on the values in it.
        All rows are returned unless `limit` is given.
        """
        return self._frame(include, features, limit)[0]

    def arrow_batches(
        self,
        include: Include = None,
        features: Features = False,
        limit: int | None = None,
        *,
        batch_size: int = _ARROW_BATCH,
    ) -> pa.RecordBatchReader:
        """Return the rows of `arrow` as a stream of record batches, so that few are in memory at once.

        Iterate over it, or pass it to anything that takes an Arrow stream. Batches have at most `batch_size` rows.
        """
        return self._wide(include, features, limit).reader(batch_size)

    def to_parquet(
        self,
        path: str | PathLike[str],
        include: Include = None,
        features: Features = False,
        limit: int | None = None,
        *,
        compression: str = "zstd",
    ) -> Path:
        """Write the rows of `arrow` to a Parquet file and return its path. They do not pass through Python.

        `compression` is zstd, snappy, gzip, lz4, brotli or uncompressed. An existing file is replaced once the new one
        is complete. (If names of columns differ only in case, which DuckDB ignores, Arrow writes the file.)

        Raises `InvalidArgument` if `path` is not the path of a file, `MissingFile` for a folder that does not exist,
        `DiskFull` or `ReadOnlyStore` for a place that cannot be written to.
        """
        return self._wide(include, features, limit).parquet(path, compression)

    def pl(self, include: Include = None, features: Features = False, limit: int | None = None) -> pl.DataFrame:
        """Return the rows and columns of `arrow` as a Polars DataFrame."""
        return frames.to_polars(self._frame(include, features, limit)[0])

    def df(self, include: Include = None, features: Features = False, limit: int | None = None) -> pd.DataFrame:
        """Return the rows and columns of `arrow` as a pandas DataFrame with a plain index.

        Raises `MissingExtra` if pandas is not installed.
        """
        return frames.to_pandas(*self._frame(include, features, limit))

    to_dataframe = df

    def _frame(self, include: Include, features: Features, limit: int | None) -> tuple[pa.Table, list[Any]]:
        return self._wide(include, features, limit).table()

    def _wide(self, include: Include, features: Features, limit: int | None) -> Wide:
        return Wide(self._session, self._query, self._fields, include, features, limit)
