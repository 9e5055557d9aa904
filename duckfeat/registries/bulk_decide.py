"""Cells that SQL cannot decide as Python does: their distinct values are handed to the dtype itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from duckfeat.compile import staging
from duckfeat.compile.conversions import columns_of
from duckfeat.compile.staging import Cells
from duckfeat.model.dtypes import DTYPES, TOO_FINE, Dtype, Refused, is_missing
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.kinds import KINDS, VALUE_COLUMNS
from duckfeat.model.sql_types import SqlType
from duckfeat.model.statement import Statement
from duckfeat.query.session import Session

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 50_000


class Decider:
    """Decides the cells that a conversion leaves undecided, each distinct one once, in batches."""

    def __init__(self, session: Session, params: Mapping[str, Any]) -> None:
        self._engine = session.engine
        self._params = params

    def decide(self, cells: Cells, type_: SqlType, info: FeatureInfo) -> None:
        """Put what becomes of the undecided cells into a temporary table: kind and value, or a reason."""
        columns = {"key": "VARCHAR", "kind": "VARCHAR", "reason": "VARCHAR"}
        columns |= {column: VALUE_COLUMNS[column] for column in columns_of(info.dtype)}
        self._engine.write(staging.empty(staging.DECIDED, columns))
        sql = staging.temporary(staging.ASKED, cells.asked(shown(type_)))
        self._engine.write(sql, self._params)
        total = self._engine.rows(Statement(staging.counted(staging.ASKED), {}))[0][0]
        read = reader(type_, info.dtype)
        for start in range(0, total, _BATCH):
            span = {"low": start, "high": start + _BATCH}
            found = self._engine.arrow(Statement(staging.span(), span))
            rows = [
                [key, *_decided(info.dtype, read, value, list(columns)[3:], info.coerce)]
                for key, value in zip(found["key"].to_pylist(), _pythons(found["v"]), strict=True)
            ]
            self._engine.insert(staging.DECIDED, columns, rows)


def _decided(
    dtype: Dtype, read: Callable[[Any], Any], value: Any, columns: list[str], coerce: bool
) -> list[str | Any | None]:
    """Return the kind, the reason and the columns of a cell."""
    nothing = [None] * len(columns)
    try:
        given = _read(read, value)
        if is_missing(given):
            return [None, None, *nothing]
        if dtype.is_cat:
            kind, physical = "str", _name(given)
        else:
            kind, physical = dtype.encode(given, coerce=coerce)
    except Refused as error:
        return [None, str(error), *nothing]
    own = KINDS[kind].column
    return [kind, None, *(physical if column == own else None for column in columns)]


_BEYOND = object()
"""Stands for a value with a date that Python has none for."""


def _read(read: Callable[[Any], Any], value: Any) -> Any:
    if value is _BEYOND:
        raise Refused("is outside the years 1 to 9999")
    return read(value)


def _pythons(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of an Arrow column; `_BEYOND` for those with a date outside the years 1 to 9999."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [_python(scalar) for scalar in column]


def _python(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return _BEYOND


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("is not the name of a record")
    return value


def reader(type_: SqlType, dtype: Dtype) -> Callable[[Any], Any]:
    """Return what makes the Python value of a cell that `shown` gave."""
    if type_.id == "ndjson" and dtype.base.name in _MOMENTS:
        return lambda text: _MOMENTS[dtype.base.name](_json(text))
    if type_.family == "raw":
        return _json if dtype.is_json else _AS_TEXT.get(dtype.base.name, _as_is)
    return _reader(type_)


def _reader(type_: SqlType) -> Callable[[Any], Any]:
    return _dicts(type_) if _has_map(type_) else _READERS.get(type_.family, _as_is)


def _has_map(type_: SqlType) -> bool:
    return type_.family == "map" or any(_has_map(part) for _, part in type_.children)


def _dicts(type_: SqlType) -> Callable[[Any], Any]:
    """Return what makes dicts of the maps in a nested value, which Arrow gives as lists of pairs.

    >>> text = SqlType("varchar", "VARCHAR")
    >>> made = SqlType("map", "MAP(VARCHAR, VARCHAR)", (("key", text), ("value", text)))
    >>> _dicts(SqlType("list", "", (("", made),)))([[("a", "b")], None])
    [{'a': 'b'}, None]
    """
    parts = {name: _dicts(part) for name, part in type_.children}
    made: Mapping[str, Callable[[Any], Any]] = {
        "map": lambda pairs: _of_pairs(pairs, parts["value"]),
        "struct": lambda given: {name: parts[name](item) for name, item in given.items()},
        "list": lambda items: [next(iter(parts.values()))(item) for item in items],
    }
    make = made.get(type_.family, _as_is)
    return lambda value: None if value is None else make(value)


def _of_pairs(pairs: Iterable[tuple[Any, Any]], read: Callable[[Any], Any]) -> dict[Any, Any]:
    try:
        return {key: read(item) for key, item in pairs}
    except TypeError:  # a list, for one
        raise Refused("holds a key that is not text") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except Refused:
        raise
    except ValueError:
        raise Refused("is not JSON") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; one that has a key twice is refused, for Python would keep the last alone."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise Refused(f"has the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return made


def _as_is(value: Any) -> Any:
    return value


# In a file every moment is text, and in a CSV file every number, too. A text of digits is a whole number.
_MOMENTS = {name: DTYPES[name.partition("[")[0]].coerce for name in ("date", "datetime", "datetime[UTC]")}
_AS_TEXT: Mapping[str, Callable[[Any], Any]] = {
    "bool": DTYPES["bool"].coerce,
    "int": DTYPES["num"].coerce,
    "num": DTYPES["num"].coerce,
    "float": DTYPES["float"].coerce,
    **_MOMENTS,
}


_NS = {"timestamp_ns": None, "instant_ns": UTC}
_EPOCH = datetime(1970, 1, 1)


def _moment(zone: tzinfo | None) -> Callable[[int], datetime]:
    """Return what makes the moment of nanoseconds since 1970."""

    def read(nanoseconds: int) -> datetime:
        if nanoseconds % 1000:
            raise Refused(TOO_FINE)
        return (_EPOCH + timedelta(microseconds=nanoseconds // 1000)).replace(tzinfo=zone)

    return read


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "json": _json,
    "big": int,
    "decimal": Decimal,
    **{family: _moment(zone) for family, zone in _NS.items()},
}


def shown(type_: SqlType) -> str:
    """Return the expression that hands a cell to Python."""
    if type_.family in _NS:
        return "epoch_ns(v)"
    return "v::VARCHAR" if type_.family in {"big", "decimal", "json"} else "v"


def told(type_: SqlType) -> tuple[str, Callable[[Any], Any]]:
    """Return the expression that hands a refused cell to an error, and what reads it."""
    if type_.family in _NS:
        return "v::VARCHAR", _as_is
    return shown(type_), _reader(type_)
