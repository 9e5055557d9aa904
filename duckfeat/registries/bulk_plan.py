"""What a bulk annotation is asked to do: which column names the entities, and which columns are features."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from duckfeat.compile import staging_keys
from duckfeat.engine.source_tables import Source
from duckfeat.errors import FieldError, InvalidArgument, ValidationError, hint
from duckfeat.model.arguments import flag, named, registry_of, shown
from duckfeat.model.feature_info import FeatureInfo, is_feature_key
from duckfeat.model.sql_types import UNREAD, Column, SqlType
from duckfeat.model.statement import Statement
from duckfeat.model.tables import ENTITIES, Table
from duckfeat.query.session import Session
from duckfeat.registries.features import unknown_features

_log = logging.getLogger("duckfeat")

MODES = ("add", "update", "set")
CREATE = (False, True, "entities", "features", "all")
ON_INVALID = ("raise", "skip")
_FURTHER_KEYS = frozenset({"id", "hash", "path"})


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of `annotate` but the data, checked."""

    table: Table
    key: str
    on: str | None
    features: tuple[Any, ...] | None
    create_entities: bool
    create_features: bool
    mode: str
    skip: bool
    run: Any
    progress: bool | None

    @property
    def run_id(self) -> int | None:
        """The id of the run that what is written belongs to."""
        return None if self.run is None else self.run.id


@dataclass(frozen=True, slots=True)
class Long:
    """A long input: the column of feature names, that of values, and the features by name; `skipped` have none."""

    name: Column
    value: Column
    features: tuple[tuple[str, FeatureInfo], ...]
    skipped: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns of an input by what they are: the entity's key, and features with their columns.

    Of a long input every feature has the one column of values.
    """

    source: Source
    key: Column
    columns: tuple[tuple[FeatureInfo, Column], ...]
    long: Long | None = None


def checked_options(session: Session, **given: Any) -> Options:
    """Return the arguments of `annotate`, checked.

    Raises `InvalidArgument` for an argument of another value, `FieldError` for a key that names no entity.
    """
    registry = getattr(given["registry"], "__registry__", given["registry"])
    if not isinstance(registry, str) or registry not in ENTITIES:
        raise InvalidArgument(
            f"features are carried by {', '.join(ENTITIES)}, not by {shown(registry)}", registry=registry
        )
    for name, known in (("mode", MODES), ("create", CREATE), ("on_invalid", ON_INVALID)):
        if not any(type(given[name]) is type(choice) and given[name] == choice for choice in known):
            raise InvalidArgument(f"{name} is one of {', '.join(map(repr, known))}, not {shown(given[name])}")
    if given["on"] is not None and not isinstance(given["on"], str):
        raise InvalidArgument(f"on is the name of a column, not {shown(given['on'])}", on=given["on"])
    run = given["run"]
    if run is not None and (registry_of(run) != "Run" or run.id is None):
        raise InvalidArgument(f"run is a saved Run, not {shown(run)}", run=run)
    if run is not None:
        session.check_mine(run)
    table, create = session.catalog[registry], given["create"]
    return Options(
        table=table,
        key=_checked_key(table, given["key"]),
        on=given["on"],
        features=_listed(given["features"]),
        create_entities=create in (True, "entities", "all"),
        create_features=create in ("features", "all"),
        mode=given["mode"],
        skip=given["on_invalid"] == "skip",
        run=run if run is not None else session.run,
        progress=None if given["progress"] is None else flag(given["progress"], "progress"),
    )


def _checked_key(table: Table, key: Any) -> str:
    name = named(key)
    allowed = [
        known.name for known in table.stored if known.unique or known.name == table.label or known.name in _FURTHER_KEYS
    ]
    if not table.has(name):
        raise FieldError(
            f"key is the field that names a {table.name}, and there is none called {name!r}{hint(name, allowed)} A "
            f"column of the input is given as on={name!r}.",
            name=name,
            available=allowed,
        )
    field = table.field(name)
    if field.name not in allowed:
        raise FieldError(
            f"{table.name}.{field.name} does not name one record; key is one of {', '.join(allowed)}",
            name=field.name,
            available=allowed,
        )
    return field.name


def _listed(features: Any) -> tuple[Any, ...] | None:
    if features is None:
        return None
    listed = (features,) if isinstance(features, str) or registry_of(features) is not None else features
    known = isinstance(listed, Iterable) and all(is_feature_key(feature) for feature in listed)
    if not known or isinstance(listed, Iterator):
        raise InvalidArgument(
            f"features is a list of names or Feature objects, not {shown(features)}", features=features
        )
    return tuple(listed)


def plan(session: Session, source: Source, options: Options) -> Plan:
    """Return what each column of the input is.

    Raises `InvalidArgument` for a column that is not there, `ValidationError` for unknown features.
    """
    by_name = {column.name: column for column in source.columns}
    key = _key_column(by_name, options)
    if _is_long(session, by_name, key, options):
        return _long(session, source, options, key, by_name)
    if options.features is None:
        chosen: list[Any] = [column.name for column in source.columns if column is not key]
    else:
        chosen = list(options.features)
    columns = {_name(feature): _column(by_name, _name(feature), "a feature") for feature in chosen}
    if "" in columns:
        raise _unnamed(source, options)

    def guessed(names: Sequence[str]) -> dict[str, Guess]:
        return {name: _guessed(session, source, columns[name]) for name in names}

    infos = _known(session, chosen, guessed, options)
    return Plan(source, key, tuple((info, columns[_name(feature)]) for feature, info in infos))


def _name(feature: Any) -> str:
    return named(feature)


def _key_column(by_name: Mapping[str, Column], options: Options) -> Column:
    field = f"the {options.table.name}'s {options.key}"
    if options.on is not None:
        return _column(by_name, options.on, field)
    on = options.key if options.key in by_name or "entity" not in by_name else "entity"
    return _column(by_name, on, field, " key= is the field that names each, on= the column that holds it.")


def _column(by_name: Mapping[str, Column], name: str, what: str, further: str = "") -> Column:
    if name not in by_name:
        raise InvalidArgument(
            f"the input has no column {name!r} for {what}{hint(name, by_name)}{further}",
            column=name,
            available=sorted(by_name),
        )
    column = by_name[name]
    if column.type.id == UNREAD:
        raise ValidationError(
            f"column {name!r} has the type {column.type.text}, which no dtype covers: convert the column first",
            feature=name,
            type=column.type.text,
        )
    return column


def _unnamed(source: Source, options: Options) -> InvalidArgument:
    """Return the error for a column without a name, such as programs give to the numbers or names of rows."""
    number = 1 + [column.name for column in source.columns].index("")
    return InvalidArgument(
        f"column {number} of the input has no name and so cannot be a feature: leave it out by listing others as "
        f"features=[...], or give it as on='' if it holds the {options.table.name}'s {options.key}",
        column="",
        number=number,
    )


# --- long ----------------------------------------------------------------------------------------

_LONG = frozenset({"feature", "value"})


def _is_long(session: Session, by_name: Mapping[str, Column], key: Column, options: Options) -> bool:
    """Tell whether the input is long: the key, `feature` and `value`, which are no features themselves."""
    if set(by_name) - {key.name} != _LONG or key.name in _LONG:
        return False
    asked = {_name(feature) for feature in options.features or ()}
    return not _LONG & asked and not all(session.features.find(name) for name in _LONG)


def _long(session: Session, source: Source, options: Options, key: Column, by_name: Mapping[str, Column]) -> Plan:
    column, value = (_column(by_name, name, "a long input") for name in ("feature", "value"))
    text = name_sql(column)
    sql = staging_keys.feature_names(source.sql, text)
    given: list[Any] = [name for (name,) in session.engine.rows(Statement(sql, dict(source.params)))]
    skipped = _nameless(session, source, text, value, options)
    if options.features is not None:
        chosen = {_name(feature): feature for feature in options.features}
        for name in chosen:
            _check_named(session, name, given)
        given = [chosen[name] for name in given if name in chosen]

    def guessed(names: Sequence[str]) -> dict[str, Guess]:
        return _guessed_long(session, source, names, text, value)

    found = _known(session, given, guessed, options)
    long = Long(column, value, tuple((_name(feature), info) for feature, info in found), skipped)
    return Plan(source, key, tuple((info, value) for _, info in found), long)


_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "text": "nullif({}::VARCHAR, '')",
        "raw": "nullif({}, '')",
        "json": "nullif({} ->> '$', '')",
        "null": "{}",
    }
)


def name_sql(column: Column) -> str:
    """Return the expression of a feature's name in a long input; missing where there is none."""
    expression = _NAMES.get(column.type.family)
    if expression is None:
        raise ValidationError(
            f"column {column.name!r} holds the names of features, which are text, not {column.type.text}",
            column=column.name,
        )
    return expression.format(column.id)


def _check_named(session: Session, name: str, given: Sequence[str]) -> None:
    """Refuse a feature that was chosen of a long input and that neither this nor the store has."""
    if name not in given and session.features.find(name) is None:
        raise InvalidArgument(
            f"the input has no row of a feature {name!r}{hint(name, given)}", feature=name, available=sorted(given)
        )


def _nameless(
    session: Session, source: Source, name: str, value: Column, options: Options
) -> tuple[tuple[int, str], ...]:
    sql = staging_keys.nameless(source.sql, name, value.id)
    rows = [row for (row,) in session.engine.rows(Statement(sql, dict(source.params)))]
    if rows and not options.skip:
        raise ValidationError(f"row {rows[0]} has a value and no feature ({len(rows)} in all)", row=rows[0])
    return tuple((row, "has no feature") for row in rows)


def _guessed_long(session: Session, source: Source, names: Sequence[str], name: str, value: Column) -> dict[str, Guess]:
    if value.type.family not in _INFERRED:
        return dict.fromkeys(names, guessed_dtype(value.type))
    sql = staging_keys.inferred(source.sql, name, value.id, value.type.family)
    rows = session.engine.rows(Statement(sql, dict(source.params)))
    return {row[0]: _INFERRED[value.type.family](row[1:]) for row in rows}


# --- features ------------------------------------------------------------------------------------


def _known(
    session: Session,
    chosen: Sequence[Any],
    guessed: Callable[[Sequence[str]], Mapping[str, Guess]],
    options: Options,
) -> list[tuple[Any, FeatureInfo]]:
    """Return the features that were chosen; those that are not registered are, if that was asked for."""
    missing = [_name(feature) for feature in chosen if session.features.find(feature) is None]
    if missing:
        dtypes = guessed(missing)
        if not options.create_features:
            raise unknown_features([(name, _shown(dtypes.get(name))) for name in missing], session.features.names())
        _register(session, {name: dtypes.get(name) for name in missing}, options.run)
    found = [(feature, info) for feature in chosen if (info := session.features.find(feature)) is not None]
    ids = [info.id for _, info in found]
    twice = [(feature, info) for feature, info in found if ids.count(info.id) > 1]
    if twice:
        names = " and ".join(repr(_name(feature)) for feature, _ in twice)
        raise InvalidArgument(f"{names} mean one feature, {twice[0][1].name!r}", feature=twice[0][1].name)
    return found


@dataclass(frozen=True, slots=True)
class NoDtype:
    """Why no dtype covers the values of a column."""

    reason: str


Guess = str | NoDtype | None
"""The name of the dtype that values would be registered with; None where there is no value to tell it by."""


def _shown(guess: Guess) -> str:
    return guess if isinstance(guess, str) else "str"


def _register(session: Session, dtypes: Mapping[str, Guess], run: Any) -> None:
    """Register a feature per name; one that has no value has no dtype, and is passed over."""
    feature, new = session.registries["Feature"], []
    for name, dtype in dtypes.items():
        if isinstance(dtype, NoDtype):
            raise ValidationError(f"column {name!r} {dtype.reason}", feature=name)
        if dtype is None:
            _log.warning("column %r has no value to tell a dtype by: no feature is registered for it", name)
        else:
            new.append(feature(name=name, dtype=dtype, run=run))
    session.writer.save(new)


def _guessed(session: Session, source: Source, column: Column) -> Guess:
    """Return the dtype of a column: by its type, where that says it, else by what all of its cells are."""
    family = column.type.family
    if family not in _INFERRED:
        return guessed_dtype(column.type)
    sql = staging_keys.inferred(source.sql, "''", column.id, family)
    rows = session.engine.rows(Statement(sql, dict(source.params)))
    return _INFERRED[family](rows[0][1:]) if rows else None


def _of_raw(facts: Sequence[bool]) -> str:
    """Return the first dtype that all texts read as."""
    return next((dtype for dtype, fits in zip(staging_keys.RAW_DTYPES, facts, strict=True) if fits), "str")


def _of_json(facts: Sequence[Any]) -> Guess:
    """Return the dtype of what the JSON values are, or that several have none in common."""
    dtypes = _json_dtypes(facts[0])
    if dtypes == ["float", "int"]:
        return "num"
    if dtypes == ["list"]:
        return guessed_list(_json_dtypes(facts[1] or ()))
    if len(dtypes) > 1:
        return NoDtype(
            f"holds values of several kinds ({', '.join(dtypes)}), which no dtype covers: convert the column first, or "
            "register the feature with the dtype that all are to have, and coerce=True"
        )
    return dtypes[0] if dtypes else None


def _json_dtypes(types: Iterable[str]) -> list[str]:
    return sorted({dtype for type_ in types if (dtype := _JSON_DTYPES[type_])})


def guessed_list(items: Sequence[Guess]) -> str:
    """Return the dtype of lists whose items are of some dtypes: that of their items where all have one and it is told.

    >>> guessed_list(["int"]), guessed_list(["int", "str"]), guessed_list(["list[int]"]), guessed_list([None])
    ('list[int]', 'list', 'list', 'list')
    """
    item = items[0] if len(items) == 1 else None
    return f"list[{item}]" if isinstance(item, str) and not item.startswith("list") else "list"


_INFERRED: Mapping[str, Callable[[Sequence[Any]], Guess]] = MappingProxyType({"raw": _of_raw, "json": _of_json})
_JSON_DTYPES: Mapping[str, str | None] = MappingProxyType(
    {
        "BOOLEAN": "bool",
        "BIGINT": "int",
        "UBIGINT": "int",
        "HUGEINT": "int",
        "DOUBLE": "float",
        "VARCHAR": "str",
        "OBJECT": "dict",
        "ARRAY": "list",
        "NULL": None,
    }
)
_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "bool": "bool",
        "integer": "int",
        "long": "int",
        "big": "int",
        "float": "float",
        "text": "str",
        "date": "date",
        "timestamp": "datetime",
        "timestamp_ns": "datetime",
        "instant": "datetime[UTC]",
        "instant_ns": "datetime[UTC]",
        "struct": "dict",
        "map": "dict",
    }
)


def guessed_dtype(type_: SqlType) -> Guess:
    """Return the dtype that a column's type is registered as; None if it has no type.

    >>> guessed_dtype(SqlType("smallint", "SMALLINT")), guessed_dtype(SqlType("null", "NULL"))
    ('int', None)
    >>> guessed_dtype(SqlType("interval", "INTERVAL"))
    NoDtype(reason='has type INTERVAL, which no dtype covers: convert the column first')
    """
    if type_.family == "null":
        return None
    if type_.family == "decimal":
        return "float" if type_.scale else "int"
    if type_.family == "list":
        return guessed_list([guessed_dtype(type_.item) if type_.item else None])
    known = _DTYPES.get(type_.family)
    return known or NoDtype(f"has type {type_.text}, which no dtype covers: convert the column first")
