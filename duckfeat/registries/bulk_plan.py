"""What a bulk annotation is asked to do: which column names the entities, and which columns are features."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from duckfeat.engine.sources import Source
from duckfeat.errors import FieldError, InvalidArgument, ValidationError, hint
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.sql_types import Column, SqlType
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


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns of an input by what they are: the entity's key, and features with their columns."""

    source: Source
    key: Column
    features: tuple[tuple[FeatureInfo, Column], ...]


def checked_options(session: Session, **given: Any) -> Options:
    """Return the arguments of `annotate`, checked.

    Raises `InvalidArgument` for an argument of another value, `FieldError` for a key that names no entity.
    """
    registry = getattr(given["registry"], "__registry__", given["registry"])
    if registry not in ENTITIES:
        raise InvalidArgument(f"features are carried by {', '.join(ENTITIES)}, not by {registry!r}", registry=registry)
    for name, known in (("mode", MODES), ("create", CREATE), ("on_invalid", ON_INVALID)):
        if not any(type(given[name]) is type(choice) and given[name] == choice for choice in known):
            raise InvalidArgument(f"{name} is one of {', '.join(map(repr, known))}, not {given[name]!r}")
    run = given["run"]
    if run is not None and (getattr(type(run), "__registry__", "") != "Run" or run.id is None):
        raise InvalidArgument(f"run is a saved Run, not {run!r}", run=run)
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
        progress=given["progress"],
    )


def _checked_key(table: Table, key: Any) -> str:
    field = table.field(str(key))
    allowed = [
        known.name for known in table.stored if known.unique or known.name == table.label or known.name in _FURTHER_KEYS
    ]
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
    if isinstance(features, str) or hasattr(type(features), "__registry__"):
        return (features,)
    return tuple(features)


def plan(session: Session, source: Source, options: Options) -> Plan:
    """Return what each column of the input is.

    Raises `InvalidArgument` for a column that is not there, `ValidationError` for unknown features.
    """
    by_name = {column.name: column for column in source.columns}
    on = options.on or options.key
    key = _column(by_name, on, f"the {options.table.name}'s {options.key}")
    if options.features is None:
        chosen: list[Any] = [column.name for column in source.columns if column is not key]
    else:
        chosen = list(options.features)
    columns = {_name(feature): _column(by_name, _name(feature), "a feature") for feature in chosen}
    infos = _known(session, chosen, columns, options)
    return Plan(source, key, tuple((info, columns[_name(feature)]) for feature, info in infos))


def _name(feature: Any) -> str:
    return str(getattr(feature, "name", feature))


def _column(by_name: Mapping[str, Column], name: str, what: str) -> Column:
    if name not in by_name:
        raise InvalidArgument(
            f"the input has no column {name!r} for {what}{hint(name, by_name)}", column=name, available=sorted(by_name)
        )
    return by_name[name]


def _known(
    session: Session, chosen: Sequence[Any], columns: Mapping[str, Column], options: Options
) -> list[tuple[Any, FeatureInfo]]:
    """Return the features that were chosen; those that are not registered are, if that was asked for."""
    missing = [feature for feature in chosen if session.features.find(feature) is None]
    if missing and not options.create_features:
        guessed = [(_name(feature), guessed_dtype(columns[_name(feature)].type) or "str") for feature in missing]
        raise unknown_features(guessed, session.features.names())
    register(session, {_name(feature): columns[_name(feature)] for feature in missing}, options.run)
    found = [(feature, session.features.find(feature)) for feature in chosen]
    return [(feature, info) for feature, info in found if info is not None]


def register(session: Session, columns: Mapping[str, Column], run: Any) -> None:
    """Register a feature per column, with the column's type."""
    if not columns:
        return
    feature, new = session.registries["Feature"], []
    for name, column in columns.items():
        dtype = guessed_dtype(column.type)
        if dtype is None:
            raise ValidationError(
                f"column {name!r} has type {column.type.text}, which is no feature's: register the feature first",
                feature=name,
            )
        new.append(feature(name=name, dtype=dtype, run=run))
    session.writer.save(new)


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
        "raw": "str",
    }
)


def guessed_dtype(type_: SqlType) -> str | None:
    """Return the dtype that a column's type is registered as; None if there is none.

    >>> guessed_dtype(SqlType("smallint", "SMALLINT")), guessed_dtype(SqlType("interval", "INTERVAL"))
    ('int', None)
    """
    if type_.family == "decimal":
        return "float" if type_.scale else "int"
    if type_.family == "list":
        item = guessed_dtype(type_.item) if type_.item else None
        return "list" if item is None or item.startswith("list") else f"list[{item}]"
    return _DTYPES.get(type_.family)


def names_of(features: Iterable[FeatureInfo]) -> list[str]:
    """Return the names of features."""
    return [info.name for info in features]
