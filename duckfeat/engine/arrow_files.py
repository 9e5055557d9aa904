"""Parquet files written from a stream of record batches, for columns whose names DuckDB cannot write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from duckfeat.engine.failures import refused
from duckfeat.engine.files import whole

if TYPE_CHECKING:
    import pyarrow as pa


def write_parquet(batches: pa.RecordBatchReader, path: Path, compression: str) -> None:
    """Write a stream to a Parquet file, whole or not at all, a row group for each of its batches.

    >>> import pyarrow, tempfile
    >>> table = pyarrow.table({"dose": [1, 2], "Dose": [3, 4]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_parquet(table.to_reader(), Path(folder, "doses.parquet"), "zstd")
    ...     pyarrow.parquet.ParquetFile(Path(folder, "doses.parquet")).read() == table
    True
    """
    import pyarrow.parquet

    called = "none" if compression == "uncompressed" else compression
    with (
        whole(path.resolve()) as written,  # a link stays one
        refused(str(path)),
        pyarrow.parquet.ParquetWriter(written, batches.schema, compression=called) as file,
    ):
        for batch in batches:
            file.write_batch(batch)
