"""The dtypes a feature may have, as a table, and the conversion of Python values to typed values.

`parse_dtype` reads what a user may write (`float`, `"float"`, `"list[int]"`, `"cat[ULabel[Donor]]"`, a
registry class). `Dtype.encode` turns a Python value into a `Typed`: the kind it is stored as and the stored
value. Conversions between numbers that lose nothing are made; anything else raises `ValidationError`
unless the feature coerces.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from os import PathLike, fspath
from types import GenericAlias, MappingProxyType
from typing import Any, NamedTuple, get_args, get_origin

from duckfeat.errors import InvalidArgument, ValidationError, hint, suggestions
from duckfeat.model.arguments import is_frame, is_text, shown
from duckfeat.model.canonical import NotJson, dumps, float_text, loads
from duckfeat.model.frame_types import frame_dtype
from duckfeat.model.kinds import INT_MAX, INT_MIN, value_hash


class Typed(NamedTuple):
    """A value as it is stored: its kind and the value of that kind's column."""

    kind: str
    physical: Any

    @property
    def hash(self) -> str:
        """The 22-character digest of the typed value."""
        return value_hash(self.kind, self.physical)


class Refused(ValueError):
    """Why a value cannot be of a dtype; the caller adds feature, value and row."""


def plain(value: Any) -> Any:
    """Return a decimal, a NumPy, pandas, Polars or Arrow scalar or array as the Python value it stands for.

    Anything else stays as it is. A moment with a part below the microsecond is refused: it would be truncated.
    """
    if isinstance(value, Decimal):
        return _number(value)
    module = type(value).__module__.partition(".")[0]
    if module == "numpy" and hasattr(value, "tolist"):
        return _numpy(value)
    if module in _OF_FRAMES and (listing := _listing(value)):
        return listing()
    if module == "pyarrow" and hasattr(value, "as_py"):
        return _arrow(value)
    if module == "pandas" and hasattr(value, "to_pydatetime") and not is_missing(value):
        if value.nanosecond:
            raise Refused(TOO_FINE)
        return value.to_pydatetime()
    return value


def _number(value: Decimal) -> int | float | Decimal:
    """Return a decimal as the number it stands for: an int if it has no decimals, else the float that reads alike.

    One that no float reads alike stays what it is.
    """
    if not value.is_finite():
        return math.nan if value.is_nan() else float(value)
    if value.adjusted() > sys.float_info.max_10_exp:
        return value  # as an int it may have a million digits
    if value.as_tuple().exponent >= 0:  # type: ignore[operator]  # a number, as it is finite
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else value


def _with_loss(value: Any) -> Any:
    """Return a decimal that no float reads alike as the nearest one, anything else as it is."""
    near = float(value) if isinstance(value, Decimal) else 0.0
    return value if math.isinf(near) or not isinstance(value, Decimal) else near


def _arrow(value: Any) -> Any:
    """Return an Arrow scalar as a Python value."""
    try:
        return plain(value.as_py())
    except ValueError:
        raise Refused(TOO_FINE) from None


def _listing(value: Any) -> Callable[[], list[Any]] | None:
    """Return what gives the values of an array or a series as a list; None of anything else."""
    ways = () if is_frame(value) else (getattr(value, way, None) for way in LISTING)
    return next(filter(None, ways), None)


_OF_FRAMES = frozenset({"pandas", "polars", "pyarrow"})
LISTING = ("to_pylist", "to_list", "tolist")
"""What gives the values of Arrow, Polars, pandas and NumPy as a list."""

TOO_FINE = "has a part below the microsecond, which would be lost"
TOO_LONG = "has more digits than a float keeps"


def _numpy(value: Any) -> Any:
    """Return a NumPy scalar or array as Python values; those of times, which `tolist` may give as numbers, by hand."""
    if value.dtype.kind not in "mM":
        return value.tolist()
    if value.shape:
        return list(value)
    if value.dtype.kind == "m" or is_missing(value):
        return value
    exact = value if value.dtype.str[3:] in _WHOLE_DAYS else value.astype("datetime64[us]")
    if exact != value:
        raise Refused(TOO_FINE)
    moment = exact.tolist()
    if not isinstance(moment, date):
        raise Refused("is outside the years 1 to 9999")
    return moment


_WHOLE_DAYS = {"[D]", "[W]", "[M]", "[Y]"}


def is_missing(value: Any) -> bool:
    """Tell whether `value` means "no value": `None`, pandas' `NA`, every `NaT`, Arrow's null. A NaN is a value."""
    if value is None:
        return True
    name = type(value).__name__
    if name.endswith("Scalar") and hasattr(value, "is_valid"):
        return not value.is_valid
    return name in {"NAType", "NaTType"} or (name == "datetime64" and bool(value != value))  # noqa: PLR0124  # NaT


def _bool(value: Any) -> Typed:
    if isinstance(value, bool):
        return Typed("bool", value)
    raise Refused("is not a bool")


def _in_range(value: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise Refused("is beyond 64 bits")
    return value


def _int(value: Any) -> Typed:
    if isinstance(value, int) and not isinstance(value, bool):
        return Typed("int", _in_range(int(value)))
    if isinstance(value, float):
        if not value.is_integer():
            raise Refused("is not a whole number")
        return Typed("int", _in_range(int(value)))
    raise Refused(TOO_LONG if isinstance(value, Decimal) else "is not an int")


def _float(value: Any) -> Typed:
    if isinstance(value, float):
        return Typed("float", float(value))
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            exact = float(value)
        except OverflowError:
            raise Refused("is beyond the range of a float") from None
        if int(exact) != value:
            raise Refused("has no exact float")
        return Typed("float", exact)
    raise Refused(TOO_LONG if isinstance(value, Decimal) else "is not a float")


def _num(value: Any) -> Typed:
    if isinstance(value, float):
        return Typed("float", float(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Typed("int", _in_range(int(value)))
    raise Refused(TOO_LONG if isinstance(value, Decimal) else "is not a number")


def _valid_text(value: str) -> str:
    if not is_text(value):
        raise Refused("holds a lone surrogate, which is not valid Unicode")
    return str.__str__(value)


def _str(value: Any) -> Typed:
    if isinstance(value, str):
        return Typed("str", _valid_text(value))
    raise Refused("is not text")


def _path(value: Any) -> Typed:
    return _str(fspath(value) if isinstance(value, PathLike) else value)


def _date(value: Any) -> Typed:
    if isinstance(value, date) and not isinstance(value, datetime):
        return Typed("date", value)
    raise Refused("is not a date")


def _datetime(value: Any) -> Typed:
    if not isinstance(value, datetime):
        raise Refused("is not a datetime")
    if value.tzinfo is None or value.utcoffset() is None:
        return Typed("datetime", value.replace(tzinfo=None, fold=0))
    try:
        return Typed("instant", value.astimezone(UTC).replace(fold=0))
    except OverflowError:
        raise Refused("is an instant outside the years 1 to 9999 in UTC") from None


def _instant(value: Any) -> Typed:
    typed = _datetime(value)
    if typed.kind != "instant":
        raise Refused("has no time zone")
    return typed


def _json(kind: str, types: tuple[type, ...]) -> Callable[[Any], Typed]:
    def encode(value: Any) -> Typed:
        if not isinstance(value, types):
            raise Refused(f"is not a {kind}")
        try:
            return Typed(kind, dumps(value))
        except NotJson as error:
            raise Refused(f"holds {error}") from None

    return encode


def _category(_value: Any) -> Typed:
    raise Refused("is a categorical value, which its registry resolves")


_TRUE = {"true", "t", "yes", "y", "1"}
_FALSE = {"false", "f", "no", "n", "0"}


def _coerce_bool(value: Any) -> Any:
    if isinstance(value, str):
        folded = value.strip().casefold()
        return True if folded in _TRUE else False if folded in _FALSE else value
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else value


def _coerce_number(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def coerce(value: Any) -> Any:
        try:
            return convert(value) if isinstance(value, str | bool | int | float) else value
        except (ValueError, OverflowError):
            return value

    return coerce


def _int_or_float(value: Any) -> int | float:
    try:
        return int(value) if isinstance(value, str | bool) else value
    except ValueError:
        return float(value)


def _coerce_str(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, date):
        return moment_text(_datetime(value).physical if isinstance(value, datetime) else value)
    return _digits(value) if isinstance(value, int) else value


def _digits(value: int) -> str:
    try:
        return str(int(value))
    except ValueError:
        raise Refused("has more digits than Python writes") from None


def _coerce_date(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.date()
    return _parsed(date.fromisoformat, value)


def _coerce_datetime(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return _parsed(_moment, value)


def _moment(text: str) -> datetime:
    """Return the moment of a text; one with a part below the microsecond is refused, which Python would cut off."""
    moment = datetime.fromisoformat(text)
    finer = re.search(r"[.,][0-9]{6}([0-9]+)", text)
    if finer and finer[1].strip("0"):
        raise Refused(TOO_FINE)
    return moment


def _coerce_instant(value: Any) -> Any:
    moment = _coerce_datetime(value)
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) and moment.tzinfo is None else moment


def _parsed(parse: Callable[[str], Any], value: Any) -> Any:
    try:
        return parse(value.strip()) if isinstance(value, str) else value
    except Refused:
        raise
    except ValueError:
        return value


def _as_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Base:
    """One row of the dtype table.

    `python` is the type that stands for it, `kinds` what its values may be stored as, `sql_type` the type of
    its column in a frame, `encode` and `coerce` the conversions.
    """

    name: str
    python: type | None
    kinds: tuple[str, ...]
    sql_type: str
    encode: Callable[[Any], Typed]
    coerce: Callable[[Any], Any] = _as_is


_ROWS = (
    Base("bool", bool, ("bool",), "BOOLEAN", _bool, _coerce_bool),
    Base("int", int, ("int",), "BIGINT", _int, _coerce_number(int)),
    Base("float", float, ("float",), "DOUBLE", _float, _coerce_number(float)),
    Base("num", None, ("float", "int"), "DOUBLE", _num, _coerce_number(_int_or_float)),
    Base("str", str, ("str",), "VARCHAR", _str, _coerce_str),
    Base("date", date, ("date",), "DATE", _date, _coerce_date),
    Base("datetime", datetime, ("datetime", "instant"), "TIMESTAMP", _datetime, _coerce_datetime),
    Base("datetime[UTC]", None, ("instant",), "TIMESTAMP WITH TIME ZONE", _instant, _coerce_instant),
    Base("dict", dict, ("dict",), "VARCHAR", _json("dict", (Mapping,))),
    Base("list", list, ("list",), "VARCHAR", _json("list", (list, tuple))),
    Base("path", None, ("str",), "VARCHAR", _path),
    Base("url", None, ("str",), "VARCHAR", _str),
    Base("cat", None, (), "VARCHAR", _category),
)

DTYPES: Mapping[str, Base] = MappingProxyType({row.name: row for row in _ROWS})
_BY_PYTHON = {row.python: row.name for row in _ROWS if row.python}
_ALIASES = {"object": "dict", "string": "str", "integer": "int", "boolean": "bool", "number": "num"}
_SCALARS = frozenset(DTYPES) - {"cat", "list", "dict"}
_CAT = re.compile(r"cat\[(?P<registry>[A-Za-z_][\w.]*)(?:\[(?P<type>.+)\])?\]", re.DOTALL)
_LIST = re.compile(r"list\[(?P<item>.+)\]", re.DOTALL)


def category(registry: str, type_: str | None = None) -> str:
    """Return the dtype of values that are records of a registry, or of a type in it.

    >>> category("ULabel"), category("ULabel", "Donor")
    ('cat[ULabel]', 'cat[ULabel[Donor]]')
    """
    return f"cat[{registry}[{type_}]]" if type_ else f"cat[{registry}]"


@dataclass(frozen=True, slots=True)
class Dtype:
    """A feature's dtype: a row of the table, with the item of a list or the registry of a category.

    >>> parse_dtype("list[int]").item.name, parse_dtype("cat[ULabel[Donor]]").registry_type
    ('int', 'Donor')
    """

    base: Base
    item: Dtype | None = None
    registry: str | None = None
    registry_type: str | None = None

    @property
    def name(self) -> str:
        """The canonical text, as it is stored and shown."""
        if self.item:
            return f"list[{self.item.name}]"
        return category(self.registry, self.registry_type) if self.registry else self.base.name

    @property
    def is_cat(self) -> bool:
        """Whether values are records of a registry."""
        return self.base.name == "cat"

    @property
    def is_json(self) -> bool:
        """Whether values are nested."""
        return self.base.name in {"dict", "list"}

    @property
    def frame_type(self) -> str:
        """The SQL type of the dtype's column in a frame; nested values, and lists of them, are JSON text."""
        return f"{self.item.base.sql_type}[]" if self.item and not self.item.is_json else self.base.sql_type

    def encode(self, value: Any, *, coerce: bool = False) -> Typed:
        """Return `value` as it is stored.

        Raises `Refused` with the reason when the value is not of this dtype.

        >>> parse_dtype(float).encode(1)
        Typed(kind='float', physical=1.0)
        >>> parse_dtype(int).encode("1")
        Traceback (most recent call last):
        ...
        duckfeat.model.dtypes.Refused: is not an int
        """
        value = plain(value)
        if coerce:
            value = _with_loss(value)
        if self.item:
            value = self._items(value, coerce)
        return self.base.encode(self.base.coerce(value) if coerce else value)

    def _items(self, value: Any, coerce: bool) -> list[Any]:
        item = self.item
        if item is None or not isinstance(value, list | tuple):
            raise Refused("is not a list")
        return [_list_item(item, position, entry, coerce) for position, entry in enumerate(value)]


def _list_item(item: Dtype, position: int, entry: Any, coerce: bool) -> Any:
    """Return one entry of a typed list in its JSON form; a missing entry stays missing."""
    if is_missing(entry):
        return None
    try:
        return to_json(item.encode(entry, coerce=coerce))
    except Refused as error:
        raise Refused(f"holds {shown(entry)} at [{position}], which {error}") from None


def to_json(typed: Typed) -> Any:
    """Return a typed value in the form it has inside JSON: dates and moments as text."""
    if typed.kind in {"dict", "list"}:
        return loads(typed.physical)
    if typed.kind in {"date", "datetime", "instant"}:
        return moment_text(typed.physical)
    return typed.physical


def moment_text(value: date) -> str:
    """Return a date or datetime as DuckDB writes it: no more digits than it has, instants in UTC.

    >>> moment_text(datetime(2024, 5, 1, 12, 30, 0, 120000, tzinfo=UTC)), moment_text(date(2024, 5, 1))
    ('2024-05-01 12:30:00.12+00', '2024-05-01')
    """
    if not isinstance(value, datetime):
        return value.isoformat()
    naive = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    text = naive.isoformat(" ")
    return (text.rstrip("0") if naive.microsecond else text) + ("" if value.tzinfo is None else "+00")


def decode(kind: str, physical: Any) -> Any:
    """Return the Python value of a stored one.

    >>> decode("dict", '{"lr":0.1}')
    {'lr': 0.1}
    """
    if kind in {"dict", "list"}:
        return loads(physical)
    if kind == "instant" and physical.tzinfo is None:
        return physical.replace(tzinfo=UTC)
    return physical


def decode_as(dtype: Dtype, kind: str, physical: Any) -> Any:
    """Return the Python value of a stored one of a feature: list items take the item's type back."""
    return decode_items(dtype.item.base.name if dtype.item else None, kind, physical)


def decode_items(items: str | None, kind: str, physical: Any) -> Any:
    """Return the Python value of a stored one, a list of items of some dtype among them.

    >>> decode_items("date", "list", '["2024-05-01",null]')
    [datetime.date(2024, 5, 1), None]
    """
    value = decode(kind, physical)
    read = ITEM_READERS.get(items or "")
    return [None if item is None else read(item) for item in value] if read else value


ITEM_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {"date": date.fromisoformat, "datetime": datetime.fromisoformat, "datetime[UTC]": datetime.fromisoformat}
)
"""How items that are text in JSON are read, by their dtypes."""


def parse_dtype(spec: Any, registries: Iterable[str] = ()) -> Dtype:
    """Return the dtype that `spec` means: a Python type, a text, a registry, a type in it, or a frame's column type.

    Raises `InvalidArgument` for anything else, with the nearest; `registries` are the names of those there are.

    >>> parse_dtype(float).name, parse_dtype("cat[ULabel]").name, parse_dtype(list[int]).name
    ('float', 'cat[ULabel]', 'list[int]')
    >>> parse_dtype("flaot")
    Traceback (most recent call last):
    ...
    duckfeat.errors.InvalidArgument: unknown dtype 'flaot' (did you mean 'float'?) Available: bool, ...
    >>> parse_dtype("ULabel", registries=["ULabel"])
    Traceback (most recent call last):
    ...
    duckfeat.errors.InvalidArgument: unknown dtype 'ULabel' (did you mean 'cat[ULabel]'?) Available: bool, ...
    """
    if isinstance(spec, Dtype):
        return spec
    if (of_frame := frame_dtype(spec)) is not None:
        return _text(of_frame)
    if isinstance(spec, GenericAlias) or get_origin(spec) is list:
        return _generic(spec)
    if isinstance(spec, type):
        return _python_type(spec)
    if isinstance(spec, str):
        return _text(spec.strip(), registries)
    if getattr(spec, "__registry__", None) and getattr(spec, "is_type", False) is True and spec.name:
        return Dtype(DTYPES["cat"], registry=spec.__registry__, registry_type=spec.name)
    field = _no_field(spec.registry) if type(spec).__name__ == "FieldRef" else ""
    raise InvalidArgument(f"a dtype is a type, a text or a registry, not {shown(spec)}{field}", value=spec)


def _no_field(registry: str) -> str:
    """Return what errors tell of a field of a registry that is given as a dtype."""
    return f": it is the registry whatever its values are given by, {category(registry)!r}"


def _generic(spec: Any) -> Dtype:
    if get_origin(spec) is not list:
        raise InvalidArgument(f"unknown dtype {shown(spec)}; lists are written list[int]", value=spec)
    return Dtype(DTYPES["list"], item=_checked_item(parse_dtype(get_args(spec)[0])))


def _python_type(spec: type) -> Dtype:
    if spec in _BY_PYTHON:
        return Dtype(DTYPES[_BY_PYTHON[spec]])
    if hasattr(spec, "__registry__"):
        return Dtype(DTYPES["cat"], registry=spec.__registry__)
    if issubclass(spec, PathLike):
        return Dtype(DTYPES["path"])
    raise InvalidArgument(f"no dtype for {spec.__name__}{hint(spec.__name__, DTYPES)}", value=spec)


def _text(spec: str, registries: Iterable[str] = ()) -> Dtype:
    spec = _ALIASES.get(spec, spec)
    if match := _CAT.fullmatch(spec):
        before, _, registry = match["registry"].rpartition(".")
        owner = before.rpartition(".")[2]
        if owner[:1].isupper():
            raise InvalidArgument(f"unknown dtype {shown(spec)}{_no_field(owner)}", value=spec)
        return Dtype(DTYPES["cat"], registry=registry, registry_type=match["type"])
    if match := _LIST.fullmatch(spec):
        return Dtype(DTYPES["list"], item=_checked_item(_text(match["item"].strip(), registries)))
    if spec == "cat":
        raise InvalidArgument("a cat dtype names its registry: 'cat[ULabel]'", value=spec)
    if spec not in DTYPES:
        told = hint(spec, [*DTYPES, "list[T]", "cat[Registry]"], _category_of(spec, registries))
        raise InvalidArgument(f"unknown dtype {shown(spec)}{told}", value=spec, available=sorted(DTYPES))
    return Dtype(DTYPES[spec])


def _category_of(spec: str, registries: Iterable[str]) -> str | None:
    """Return the category that the name of a registry, typing errors and all, may have meant."""
    names = list(registries)
    same = [name for name in names if name.casefold() == spec.casefold()]
    near = same or suggestions(spec, [*DTYPES, *names], limit=1)
    return f"cat[{near[0]}]" if near and near[0] in names else None


def _checked_item(item: Dtype) -> Dtype:
    if item.base.name not in _SCALARS | {"dict"}:
        raise InvalidArgument(
            f"a list holds scalars or dicts, not {item.name}; a feature with multiple=True has several values",
            value=item.name,
        )
    return item


def if_coerced(dtype: Dtype, value: Any) -> str:
    """Return what is said of a refused value that a feature takes only if it coerces; nothing of any other value.

    >>> [if_coerced(parse_dtype(float), value) for value in ("1.5", 1.5, "high")]
    ['; a feature with coerce=True takes it', '', '']
    """
    if _takes(dtype, value, coerce=False) or not _takes(dtype, value, coerce=True):
        return ""
    return "; a feature with coerce=True takes it"


def _takes(dtype: Dtype, value: Any, *, coerce: bool) -> bool:
    try:
        dtype.encode(value, coerce=coerce)
    except Refused:
        return False
    return True


def encode_for(feature: str, dtype: Dtype, value: Any, *, coerce: bool = False, row: int | None = None) -> Typed:
    """Return `value` typed for a feature, or raise `ValidationError` that names feature, dtype, value and row."""
    try:
        return dtype.encode(value, coerce=coerce)
    except Refused as error:
        where = "" if row is None else f" (row {row})"
        kind = type(value).__name__
        raise ValidationError(
            f"feature {feature!r} has dtype {dtype.name}: {shown(value)} ({kind}) {error}{where}"
            + ("" if coerce else if_coerced(dtype, value)),
            feature=feature,
            dtype=dtype.name,
            value=value,
            row=row,
            reason=str(error),
        ) from None
