"""Polars and pandas frames as Arrow tables, each cell of Python objects keeping its own type as JSON text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from numbers import Integral, Real
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from duckfeat.errors import InvalidArgument, ValidationError
from duckfeat.model.arguments import is_text, shown
from duckfeat.model.canonical import NotJson, dumps
from duckfeat.model.dtypes import is_missing
from duckfeat.model.sql_types import JSON, SqlType

if TYPE_CHECKING:
    import pyarrow as pa

Tabled = tuple["pa.Table", Mapping[str, SqlType]]
"""An Arrow table, and the types of those of its columns of which Arrow does not tell."""

_WHOLE = SqlType("hugeint", "VARCHAR")


def polars_table(data: Any) -> Tabled:
    """Return a Polars DataFrame as an Arrow table.

    Raises `InvalidArgument` for a column that Arrow has no name or no form for, `ValidationError` for an object of no
    dtype.
    """
    import polars
    import pyarrow

    broken = [name for name in data.columns if "\0" in name]
    if broken:
        raise InvalidArgument(f"a column of a Polars frame cannot be called {broken[0]!r}", columns=broken)
    data, told = without_int128(data)
    objects = {
        name: json_texts(name, data[name].to_list())
        for name, dtype in data.schema.items()
        if dtype == polars.Object or (dtype.is_nested() and "Int128" in str(dtype))
    }
    try:
        table = data.drop(list(objects)).to_arrow() if len(objects) < len(data.columns) else None
    except pyarrow.ArrowException as error:
        raise InvalidArgument(f"Arrow cannot hold this frame: {error}", reason=str(error)) from error
    return _with_json(table, objects, data.columns), told | dict.fromkeys(objects, JSON)


def without_int128(data: Any) -> tuple[Any, dict[str, SqlType]]:
    """Return a Polars frame, eager or lazy, with whole numbers that Arrow has no type for as texts, and their types."""
    import polars

    whole = [name for name, dtype in data.collect_schema().items() if dtype in (polars.Int128, polars.UInt128)]
    return data.with_columns(polars.col(*whole).cast(polars.String)) if whole else data, dict.fromkeys(whole, _WHOLE)


def pandas_table(data: Any) -> Tabled:
    """Return a pandas DataFrame as an Arrow table; a named index is columns too, NaN is missing.

    Raises `InvalidArgument` for names that are not text or not unique, `ValidationError` for a column that Arrow has
    no type for, or an object of no dtype.
    """
    if any(name is not None for name in data.index.names):
        both = sorted(name for name in data.index.names if name in data.columns)
        if both:
            raise InvalidArgument(f"the frame's index and a column of it are both called {both[0]!r}", columns=both)
        data = data.reset_index()
    _check_names(list(data.columns))
    objects: dict[str, pa.Array] = {}
    for name in data.columns:
        if str(data[name].dtype) == "object" and not _alike(name, values := data[name].tolist()):
            objects[name] = json_texts(name, values)
    rest = data.loc[:, [name for name in data.columns if name not in objects]]
    table = _without_nan(_converted(rest)) if len(rest.columns) else None
    return _with_json(table, objects, list(data.columns)), dict.fromkeys(objects, JSON)


def _check_names(names: Sequence[Any]) -> None:
    for name in names:
        if not isinstance(name, str) or not is_text(name):
            raise InvalidArgument(f"column names are text, not {shown(name)}", value=name)
    check_unique(names)


def check_unique(names: Sequence[str]) -> None:
    """Refuse an input that has two columns of one name."""
    twice = duplicates(names)
    if twice:
        raise InvalidArgument(f"the input has two columns called {twice[0]!r}", columns=twice)


def duplicates(names: Iterable[str]) -> list[str]:
    """Return the names that are there more than once, in order.

    >>> duplicates(["x", "a", "A", "x"])
    ['x']
    """
    return sorted(name for name, times in Counter(names).items() if times > 1)


def _converted(data: Any) -> pa.Table:
    import pyarrow

    try:
        return pyarrow.Table.from_pandas(data, preserve_index=False).replace_schema_metadata(None)
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        if len(data.columns) == 1:
            raise _no_arrow(data.columns[0], str(data.dtypes.iloc[0])) from error
        for name in data.columns:
            _converted(data[[name]])
        raise InvalidArgument(f"Arrow cannot hold this frame: {error}", reason=str(error)) from error


def _no_arrow(name: str, type_: str) -> ValidationError:
    return ValidationError(
        f"column {name!r} has pandas' type {type_}, which Arrow cannot hold: convert the column first",
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


def _alike(name: str, values: Sequence[Any]) -> bool:
    """Tell whether Arrow keeps each cell of a column of Python objects, or of its lists, as what it is.

    Raises `ValidationError` for moments of several kinds, of which Arrow would make one, and which JSON does not have.
    """
    import pyarrow

    kinds = _kinds(values)
    if kinds == {"list"}:
        kinds = _kinds(_items(values))
    if len(kinds) > 1 and any(kind.startswith("date") for kind in kinds):
        several = sorted(kinds)
        raise ValidationError(
            f"column {name!r} holds values of several kinds ({', '.join(several)}): convert the column first",
            feature=name,
            kinds=several,
        )
    if kinds & {"list", "dict"} or (len(kinds) > 1 and kinds != {"int", "Decimal"}):
        return False
    try:
        pyarrow.Array.from_pandas(values)
    except (pyarrow.ArrowException, OverflowError, TypeError, UnicodeError):  # TypeError: a decimal that is no number
        return False
    return True


_KINDS: tuple[tuple[Any, str], ...] = (
    (str, "str"),
    (Integral, "int"),
    (Decimal, "Decimal"),
    (Real, "float"),
    (datetime, "datetime"),
    (date, "date"),
    (Mapping, "dict"),
    ((list, tuple), "list"),
)
_CALLED = {"bool": "bool", "bool_": "bool", "datetime64": "datetime", "ndarray": "list"}
_DATETIMES = {True: "datetime", False: "datetime with a time zone"}
_MISSING = frozenset({"NoneType", "NAType", "NaTType"})


def _kinds(values: Sequence[Any]) -> set[str]:
    """Return the kinds of Python objects that are not missing; in pandas NaN is."""
    by_type = {type_: _kind(type_) for type_ in set(map(type, values))}
    kinds = {kind for kind in by_type.values() if kind}
    numbers = (value for value in values if by_type[type(value)] == "float")
    if len(kinds) > 1 and "float" in kinds and all(map(math.isnan, numbers)):
        kinds.remove("float")
    if "datetime" in kinds:
        moments = (value for value in values if by_type[type(value)] == "datetime")
        kinds.remove("datetime")
        kinds |= {_DATETIMES[getattr(value, "tzinfo", None) is None] for value in moments}
    return kinds


def _kind(type_: type) -> str | None:
    """Return what kind of value a Python type has, None if its values are missing ones."""
    name = type_.__name__
    if name in _MISSING:
        return None
    return _CALLED.get(name) or next((kind for types, kind in _KINDS if issubclass(type_, types)), name)


def _items(values: Iterable[Any]) -> list[Any]:
    """Return the items of lists; one stands for all that a NumPy array has, unless they are objects."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, list | tuple):
            found.extend(value)
        elif _kind(type(value)) == "list":
            # `+=` would have NumPy add its array to the items, number by number.
            found.extend(_of_array(value) if value.ndim == 1 else [[]])
    return found


def _of_array(value: Any) -> Any:
    return value if value.dtype.kind == "O" else value[:1]


def json_texts(name: str, values: Sequence[Any]) -> pa.Array:
    """Return Python objects as JSON texts, so that each cell keeps its own type."""
    import pyarrow

    texts = []
    for row, value in enumerate(values):
        try:
            missing = is_missing(value) or (isinstance(value, float) and math.isnan(value))  # missing in pandas
            texts.append(None if missing else _text(value))
        except NotJson as error:
            raise ValidationError(f"column {name!r}, row {row}: {error}", feature=name, row=row, value=value) from None
    return pyarrow.array(texts, pyarrow.string())


def _text(value: Any) -> str:
    """Return the JSON text of a cell: a path or a UUID is its text, and an int of any size is for a dtype to refuse."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value)
    return dumps(str(value) if isinstance(value, PurePath | UUID) else value)


def _with_json(table: pa.Table | None, objects: Mapping[str, pa.Array], order: Sequence[str]) -> pa.Table:
    """Return a table with columns of JSON texts, in an order; there may be no others."""
    import pyarrow

    if table is None or not objects:
        return table if table is not None else pyarrow.table({name: objects[name] for name in order})
    for name, texts in objects.items():
        table = table.append_column(name, texts)
    return table.select(list(order))
