"""Polars and pandas frames as Arrow tables, each cell of Python objects keeping its own type as JSON text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from duckfeat.errors import InvalidArgument, ValidationError
from duckfeat.model.arguments import is_text, shown
from duckfeat.model.canonical import NotJson, dumps
from duckfeat.model.dtypes import is_missing

if TYPE_CHECKING:
    import pyarrow as pa

Tabled = tuple["pa.Table", Collection[str]]
"""An Arrow table, and the names of its columns that are JSON texts."""


def polars_table(data: Any) -> Tabled:
    """Return a Polars DataFrame as an Arrow table.

    Raises `InvalidArgument` for a column that Arrow has no name or no form for, `ValidationError` for an object of no
    dtype.
    """
    import polars
    import pyarrow

    casts: dict[Any, Any] = {
        polars.Int128: polars.Decimal(38, 0),
        polars.UInt128: polars.Decimal(38, 0),
        polars.Float16: polars.Float32,
    }
    objects = {}
    for name, dtype in data.schema.items():
        if dtype in casts:
            data = data.with_columns(polars.col(name).cast(casts[type(dtype)]))
        elif dtype == polars.Object:
            objects[name] = _json_texts(name, data[name].to_list())
    broken = [name for name in data.columns if "\0" in name]
    if broken:
        raise InvalidArgument(f"a column of a Polars frame cannot be called {broken[0]!r}", columns=broken)
    try:
        table = data.drop(list(objects)).to_arrow()
    except pyarrow.ArrowException as error:
        raise InvalidArgument(f"the frame has no form in Arrow: {error}", reason=str(error)) from error
    return _with_json(table, objects, data.columns), objects


def pandas_table(data: Any) -> Tabled:
    """Return a pandas DataFrame as an Arrow table; a named index is columns too, NaN is missing.

    Raises `InvalidArgument` for names that are not text or not unique, `ValidationError` for a column that Arrow has
    no type for, or an object of no dtype.
    """
    if any(name is not None for name in data.index.names):
        data = data.reset_index()
    _check_names(list(data.columns))
    objects: dict[str, pa.Array] = {}
    for name in data.columns:
        column = data[name]
        if str(column.dtype) == "object" and _nested_or_mixed(column):
            objects[name] = _json_texts(name, column.tolist())
    rest = data.loc[:, [name for name in data.columns if name not in objects]]
    return _with_json(_without_nan(_converted(rest)), objects, list(data.columns)), objects


def _check_names(names: Sequence[Any]) -> None:
    for name in names:
        if not isinstance(name, str) or not is_text(name):
            raise InvalidArgument(f"column names are text, not {shown(name)}", value=name)
    check_unique(names)


def check_unique(names: Sequence[str]) -> None:
    """Refuse an input that has two columns of one name."""
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise InvalidArgument(f"the input has two columns called {twice[0]!r}", columns=twice)


def _converted(data: Any) -> pa.Table:
    import pyarrow

    try:
        return pyarrow.Table.from_pandas(data, preserve_index=False).replace_schema_metadata(None)
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        if len(data.columns) == 1:
            raise _no_arrow(data.columns[0], str(data.dtypes.iloc[0])) from error
        for name in data.columns:
            _converted(data[[name]])
        raise InvalidArgument(f"the frame has no form in Arrow: {error}", reason=str(error)) from error


def _no_arrow(name: str, type_: str) -> ValidationError:
    return ValidationError(
        f"column {name!r} has pandas' type {type_}, which Arrow has no form for: convert the column first",
        feature=name,
        type=type_,
    )


def _without_nan(table: pa.Table) -> pa.Table:
    """Return a table with its NaN missing, which those of columns that pandas keeps in Arrow are not yet."""
    import pyarrow
    from pyarrow import compute

    for position, field_ in enumerate(table.schema):
        if pyarrow.types.is_floating(field_.type):
            column = table.column(position)
            empty = pyarrow.scalar(None, field_.type)
            table = table.set_column(position, field_, compute.if_else(compute.is_nan(column), empty, column))
    return table


def _nested_or_mixed(column: Any) -> bool:
    """Tell whether Arrow would refuse a column of Python objects, or give each dict the keys of all others."""
    import pyarrow

    try:
        type_ = pyarrow.Array.from_pandas(column).type
    except (pyarrow.ArrowException, OverflowError, TypeError, UnicodeError):  # TypeError: a decimal that is no number
        return True
    return "struct" in str(type_)


def _json_texts(name: str, values: Sequence[Any]) -> pa.Array:
    """Return Python objects as JSON texts, so that each cell keeps its own type."""
    import pyarrow

    texts = []
    for row, value in enumerate(values):
        try:
            missing = is_missing(value) or (isinstance(value, float) and math.isnan(value))  # missing in pandas
            texts.append(None if missing else dumps(_as_text(value)))
        except NotJson as error:
            raise ValidationError(f"column {name!r}, row {row}: {error}", feature=name, row=row, value=value) from None
    return pyarrow.array(texts, pyarrow.string())


def _as_text(value: Any) -> Any:
    """Return a path or a UUID as its text, anything else as it is."""
    return str(value) if isinstance(value, PurePath | UUID) else value


def _with_json(table: pa.Table, objects: Mapping[str, pa.Array], order: Sequence[str]) -> pa.Table:
    for name, texts in objects.items():
        table = table.append_column(name, texts)
    return table.select(list(order)) if objects else table
