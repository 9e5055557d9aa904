"""`record.features`: the feature values of one artifact, run or record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from duckfeat.errors import InvalidArgument, ValidationError, suggestions
from duckfeat.model.arguments import is_frame, named, nests_beyond, registry_of, shown
from duckfeat.model.attributes import Telling
from duckfeat.model.dtypes import Refused, Typed, decode_as, encode_for, is_missing, plain
from duckfeat.model.feature_info import FeatureInfo, is_feature_key
from duckfeat.model.kinds import KINDS, VALUE_COLUMNS
from duckfeat.query.session import Session
from duckfeat.registries.annotations import by_name
from duckfeat.registries.categories import resolve
from duckfeat.registries.describing import called

if TYPE_CHECKING:
    import polars as pl


class FeatureManager(Telling):
    """The feature values of one artifact, run or record; `features["name"]` is the value of one feature.

    Keys are names of features or Feature objects. Every method that writes is all or nothing.
    """

    def __init__(self, record: Any) -> None:
        self._record = record
        self._table = record.__table__

    @property
    def _session(self) -> Session:
        if self._record.id is None:
            raise InvalidArgument(f"save this {self._record.__registry__} before you give it feature values")
        session: Session = self._record._bound
        return session

    # --- writing ---------------------------------------------------------------------------------

    def add_values(self, values: Mapping[Any, Any]) -> None:
        """Add values, given as `{feature: value}`. A value that is there already changes nothing.

        Raises `ValidationError` for an unknown feature, a value that does not fit the dtype, or a second, different
        value of a feature that takes one.
        """
        self._write(values, "add")

    def update_values(self, values: Mapping[Any, Any]) -> None:
        """Replace the values of these features, given as `{feature: value}`; None removes them.

        Other features keep their values. Raises `ValidationError` as `add_values` does.
        """
        self._write(values, "update")

    def set_values(self, values: Mapping[Any, Any]) -> None:
        """Make these the only values, given as `{feature: value}`; all others are removed.

        Raises `ValidationError` as `add_values` does.
        """
        self._write(values, "set")

    def _write(self, values: Mapping[Any, Any], mode: str) -> None:
        write_values(self._session, self._table, {self._record.id: values}, mode)

    def remove_values(self, features: Any, *, value: Any = None) -> None:
        """Remove values of features. Values that are not there are ignored.

        Args:
            features: One feature or several, by name or object, whose values are removed; or a mapping
                `{feature: value}` of single values to remove, where None means all values of the feature.
            value: Remove only this value of the features that are listed.

        Raises:
            ValidationError: For an unknown feature, or a value that the feature cannot have.
            InvalidArgument: For a `value` in addition to a mapping.
        """
        session = self._session
        if isinstance(features, Mapping) and not is_missing(value):
            raise InvalidArgument("values are given in the mapping or as `value`, not both", value=value)
        given = features.items() if isinstance(features, Mapping) else ((name, value) for name in _listed(features))
        infos = _known(session, given)
        with session.engine.transaction():
            current = self._current()
            removed = set()
            for info, one in infos:
                held = {value_id for feature_id, _, value_id in current if feature_id == info.id}
                ids = None if is_missing(one) else _existing_ids(session, info, one, held)
                removed |= {row for row in current if row[0] == info.id and (ids is None or row[2] in ids)}
            session.writer.annotations.write(self._table, current, [], sorted(removed), "remove")

    def _current(self) -> set[tuple[int, int, int]]:
        found: set[tuple[int, int, int]] = self._session.writer.annotations.current(self._table, [self._record.id])
        return found

    # --- reading ---------------------------------------------------------------------------------

    def get_values(self) -> dict[str, Any]:
        """Return the values as a dict by feature name, in the order in which the features were registered.

        The values of a feature with `multiple=True` are a sorted list; those of a categorical feature are names.
        """
        return by_name(self._values())

    def _values(self) -> dict[FeatureInfo, Any]:
        found: dict[FeatureInfo, Any] = self._session.writer.annotations.values_of(self._table, self._record.id)
        return found

    def __getitem__(self, feature: Any) -> Any:
        """Return the value of a feature, None if there is none; for a categorical feature it is the record."""
        session = self._session
        info = _known(session, [(feature, None)])[0][0]
        if not info.dtype.is_cat:
            return self._values().get(info, [] if info.multiple else None)
        ids = [value_id for feature_id, _, value_id in self._current() if feature_id == info.id]
        records = list(session.registries[info.dtype.registry or ""].filter(id__in=ids))
        if info.multiple:
            return sorted(records, key=called)
        return records[0] if records else None

    def __setitem__(self, feature: Any, value: Any) -> None:
        told = "is read: update_values({feature: value}) replaces the value, add_values adds one"
        raise InvalidArgument(f"record.features[{shown(feature)}] {told}", feature=feature, value=value)

    def __delitem__(self, feature: Any) -> None:
        told = f"is read: remove_values({shown(feature)}) removes the values"
        raise InvalidArgument(f"record.features[{shown(feature)}] {told}", feature=feature)

    def history(self, feature: Any = None) -> pl.DataFrame:
        """Return every change of the values, oldest first, as a Polars DataFrame; of one `feature` or of all.

        Columns: `feature`, `value` (as text), `action` ("added" or "removed"), `operation` (what was called),
        `created_at` (UTC), `created_by` (the user's handle), `run` (its uid), `run_name`.
        """
        import polars

        session = self._session
        wanted = _known(session, [(feature, None)])[0][0].id if feature is not None else None
        rows = session.engine.run("annotations.history", self._table.entity, id=self._record.id)
        listed = []
        for feature_id, value_id, action, operation, at, by, run, run_name, kind, *physical in rows:
            info = session.features.known(feature_id)
            if info is not None and wanted in (None, feature_id):
                value = _shown(session, info, value_id, kind, dict(zip(VALUE_COLUMNS, physical, strict=True)))
                listed.append((info.name, value, action, operation, at, by, run, run_name))
        schema: dict[str, Any] = {
            "feature": polars.String,
            "value": polars.String,
            "action": polars.String,
            "operation": polars.String,
            "created_at": polars.Datetime("us"),
            "created_by": polars.String,
            "run": polars.String,
            "run_name": polars.String,
        }
        frame = polars.DataFrame(listed, schema=schema, orient="row")
        return frame.with_columns(polars.col("created_at").dt.replace_time_zone("UTC"))

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the features that have values, in the order of `get_values`."""
        return iter(self.get_values())

    def __contains__(self, feature: object) -> bool:
        """Tell whether there is a value of a feature, given by name or as an object."""
        info = self._session.features.find(feature)
        return info is not None and any(row[0] == info.id for row in self._current())

    def __len__(self) -> int:
        return len(self.get_values())

    def __repr__(self) -> str:
        if self._record.id is None:
            return f"<features of a {self._record.__registry__} that is not saved>"
        values = self.get_values()
        inner = ", ".join(f"{name}={value!r}" for name, value in values.items())
        return f"<features of {self._record.__registry__} {self._record.uid}: {inner}>"


def _shown(session: Session, info: FeatureInfo, value_id: int, kind: str | None, columns: Mapping[str, Any]) -> str:
    if info.dtype.is_cat:
        names = session.writer.annotations.labels(info.dtype.registry, [value_id])
        return str(names.get(value_id, f"#{value_id}"))
    return str(decode_as(info.dtype, kind or "", columns[KINDS[kind or ""].column]))


def write_values(session: Any, table: Any, given: Mapping[int, Mapping[Any, Any]], mode: str) -> None:
    """Write the feature values of entities by id: the same number of statements however many there are.

    `add`, `update` and `set` mean what the methods of `FeatureManager` do.
    """
    by_feature: dict[FeatureInfo, list[tuple[int, Any]]] = {}
    for entity_id, values in given.items():
        if not isinstance(values, Mapping):
            raise InvalidArgument(f"values are given as {{feature: value}}, not {shown(values)}", value=values)
        for info, value in _known(session, values.items()):
            by_feature.setdefault(info, []).append((entity_id, value))
    with session.engine.transaction():
        pairs: dict[int, list[tuple[FeatureInfo, Typed | int]]] = {entity_id: [] for entity_id in given}
        named = set()
        for info, entries in by_feature.items():
            flat = [(entity_id, item) for entity_id, value in entries for item in _several(info, value)]
            stored = _stored(session, info, [item for _, item in flat])
            for (entity_id, _), item in zip(flat, stored, strict=True):
                pairs[entity_id].append((info, item))
            named |= {(info.id, entity_id) for entity_id, _ in entries}
        session.writer.annotations.annotate(table, pairs, mode, named)


def _listed(features: Any) -> Iterable[Any]:
    if is_feature_key(features):
        return [features]
    if isinstance(features, bytes) or is_frame(features) or not isinstance(features, Iterable):
        raise InvalidArgument(f"features are given by name or as objects, one or several, not {shown(features)}")
    return list(features)


def _known(session: Session, values: Iterable[tuple[Any, Any]]) -> list[tuple[FeatureInfo, Any]]:
    """Return the features of the keys with the values, or say which are unknown and how to register them."""
    found, unknown = [], []
    for key, value in values:
        if not is_feature_key(key):
            raise InvalidArgument(f"a feature is given by name or as an object, not {shown(key)}", value=key)
        info = session.features.find(key)
        if info is None:
            unknown.append((named(key), getattr(key, "dtype", None) or guessed_dtype(value)))
        else:
            found.append((info, value))
    if unknown:
        raise unknown_features(unknown, session.features.names())
    return found


def unknown_features(unknown: Iterable[tuple[str, str]], names: list[str]) -> ValidationError:
    """Return the error for names, with the dtypes they would have, that are no features.

    It says the nearest features, and gives lines that register the unknown ones.
    """
    unknown = list(unknown)
    lines = []
    for name, dtype in unknown:
        near = suggestions(name, names)
        meant = f"  # did you mean {', '.join(map(repr, near))}?" if near else ""
        lines.append(f"  Feature(name={name!r}, dtype={dtype!r}).save(){meant}")
    listed = ", ".join(repr(name) for name, _ in unknown)
    count = f"{len(unknown)} unknown features: " if len(unknown) > 1 else "unknown feature "
    return ValidationError(
        f"{count}{listed}; to register:\n" + "\n".join(lines),
        features=[name for name, _ in unknown],
        available=sorted(names),
    )


def guessed_dtype(value: Any) -> str:
    """Return the dtype that a value suggests.

    >>> guessed_dtype(1.5), guessed_dtype("x"), guessed_dtype([1]), guessed_dtype([1, 2.5])
    ('float', 'str', 'list[int]', 'list[num]')
    """
    try:
        value = plain(value)
    except Refused:
        return "datetime"
    if isinstance(value, list | tuple):
        if nests_beyond(value):
            return "list"
        items = {guessed_dtype(item) for item in value if not is_missing(item)}
        item = "num" if items == {"int", "float"} else items.pop() if len(items) == 1 else "list"
        return "list" if item.startswith(("list", "cat")) else f"list[{item}]"
    registry = registry_of(value)
    if registry:
        return f"cat[{registry}]"
    if isinstance(value, PathLike):
        return "path"
    name = type(value).__name__
    return name if name in {"bool", "int", "float", "str", "date", "datetime", "dict"} else "str"


def _several(info: FeatureInfo, value: Any) -> list[Any]:
    """Return the single values that were given for a feature."""
    if is_missing(value):
        return []
    listed = _items(value)
    if listed is None:
        return [value]
    if info.multiple and info.dtype.base.name != "list":
        return [item for item in listed if not is_missing(item)]
    if info.multiple and all(isinstance(item, list | tuple) for item in listed):
        return listed
    if not info.multiple and info.dtype.base.name != "list":
        raise ValidationError(
            f"feature {info.name!r} takes one value, not {shown(value)}; register it with multiple=True for several",
            feature=info.name,
            dtype=info.dtype.name,
            value=value,
        )
    return [value]


def _items(value: Any) -> list[Any] | None:
    """Return the items of what holds several values; None of what is one, as an array without dimensions is."""
    if not _holds_several(value):
        return None
    try:
        made = plain(value)
    except Refused:  # it is told of where the value is looked at
        return None
    return list(made) if _holds_several(made) else None


def _holds_several(value: Any) -> bool:
    """Tell whether there are values in something, one after another."""
    return isinstance(value, Iterable) and not (isinstance(value, str | bytes | Mapping | type) or is_frame(value))


def _stored(session: Session, info: FeatureInfo, values: list[Any]) -> list[Typed | int]:
    """Return what is stored for values given for a feature: typed values, or ids of a category's records."""
    if info.dtype.is_cat:
        return list(resolve(session, info, values)) if values else []
    return [_encoded(info, item) for item in values]


def _encoded(info: FeatureInfo, item: Any) -> Typed:
    return encode_for(info.name, info.dtype, item, coerce=info.coerce)


def _existing_ids(session: Session, info: FeatureInfo, value: Any, held: set[int]) -> set[int]:
    """Return the ids of those of the given values that exist; a record that is not saved is nobody's value.

    A name means the `held` records that are called so, whichever others are.
    """
    if info.dtype.is_cat:
        values = [item for item in _several(info, value) if getattr(item, "id", 0) is not None]
        asked = {item for item in values if isinstance(item, str)}
        labels = session.writer.annotations.labels(info.dtype.registry, sorted(held)) if asked and held else {}
        found = {id_ for id_, name in labels.items() if name in asked}
        others = [item for item in values if not (isinstance(item, str) and item in labels.values())]
        return found | set(resolve(session, info, others))
    pairs = [(info.id, _encoded(info, item)) for item in _several(info, value)]
    return set(session.writer.annotations.find_values(pairs).values())
