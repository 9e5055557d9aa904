"""Feature values: the distinct typed values of each feature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, Self

from duckfeat.errors import ValidationError, hint
from duckfeat.model.arguments import shown
from duckfeat.model.dtypes import Dtype, Typed, decode_as, encode_for, is_missing, parse_dtype
from duckfeat.model.fields import Field, ForeignKey, Many
from duckfeat.model.kinds import value_hash
from duckfeat.model.tables import TRASH
from duckfeat.query.session import Session
from duckfeat.registries.base import TracksRun
from duckfeat.registries.feature import Feature


class FeatureValue(TracksRun, rows="typed_values", source="feature_values", label="value", uid_length=0):
    """A typed value of a feature that is not categorical; (feature, typed value) is unique.

    `1`, `1.0`, `"1"` and `True` are different values unless the feature's dtype makes them one. `hash` is the
    22-character digest of the typed value.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> temperature = dft.Feature(name="temperature", dtype=float).save()
    >>> value, created = dft.FeatureValue.get_or_create(temperature, 21.5)
    >>> value.value, created, dft.FeatureValue.get_or_create(temperature, 21.5)[1]
    (21.5, True, False)
    """

    __constant__ = ("feature", "value")

    uid = None  # type: ignore[assignment]  # a feature value is named by its feature and hash

    feature: ForeignKey[Feature | None] = ForeignKey("Feature", "The feature it is a value of.", related="values")
    value: Field[Any] = Field("value", "The value, typed by the feature's dtype.", search=True)
    hash: Field[str] = Field("str", "The digest of the typed value.", stored=False, settable=False)

    artifacts = Many("Artifact", "annotations", "The artifacts annotated with this value.", forward=False)
    runs = Many("Run", "annotations", "The runs annotated with this value.", forward=False)
    records = Many("Record", "annotations", "The records annotated with this value.", forward=False)

    def __init__(self, feature: Feature | None = None, value: Any = None, **values: Any) -> None:
        super().__init__(feature=feature, value=value, **values)

    @classmethod
    def get_or_create(cls, feature: Feature | str, value: Any) -> tuple[Self, bool]:
        """Return the FeatureValue of a value, and whether it was created by this call, as `(object, created)`.

        If several threads ask for a new value at once, one of them creates it. A value in the trash is brought back.
        Raises `ValidationError` for a value that does not fit the feature's dtype, and for a categorical feature, whose
        values are records of its registry.
        """
        session = cls._current()
        info = session.features.find(feature)
        if info is None:
            meant = hint(feature, session.features.names()) if isinstance(feature, str) else ""
            raise ValidationError(f"feature {shown(feature)} is not registered: save it first{meant}", feature=feature)
        _check_storable(info.name, info.dtype.name, value)
        typed = encode_for(info.name, info.dtype, value, coerce=info.coerce)
        known = session.writer.values
        seen, found = session.engine.generation, known.find(info.id, typed)
        if found is not None:
            found = _brought_back(session, info.id, typed, found)
            return cls._known(session, info.dtype, typed, found), False
        with session.engine.transaction():
            changed = session.engine.generation != seen
            found = known.find(info.id, typed) if changed else None
            if found is not None:
                found = _brought_back(session, info.id, typed, found)
                return cls._known(session, info.dtype, typed, found), False
            created = session.writer.annotations.add_value(info.id, typed)
            return cls._known(session, info.dtype, typed, created), True

    @classmethod
    def _known(cls, session: Session, dtype: Dtype, typed: Typed, columns: Mapping[str, Any]) -> Self:
        """Return the record of a stored value, from its columns."""
        record: Self = object.__new__(session.registries["FeatureValue"])
        record.__dict__.update(columns, _session=session, _typed=typed, hash=typed.hash)
        record.__dict__["created_at"] = columns["created_at"].replace(tzinfo=UTC)
        record.__dict__["value"] = decode_as(dtype, *typed)
        return record

    # --- saving ----------------------------------------------------------------------------------

    @classmethod
    def _prepare(cls, _session: Session, records: Sequence[Any]) -> None:
        for record in records:
            feature = record.feature
            if feature is None or feature.id is None:
                raise ValidationError("a feature value needs a saved feature", value=record.value)
            dtype = parse_dtype(feature.dtype)
            _check_storable(feature.name, dtype.name, record.value)
            typed = encode_for(feature.name, dtype, record.value, coerce=feature.coerce)
            record.__dict__["_typed"], record.__dict__["hash"] = typed, typed.hash
            record.__dict__["value"] = decode_as(dtype, *typed)

    @classmethod
    def _prepare_update(cls, session: Session, record: Any) -> None:
        saved: Any = session.registries["FeatureValue"].get(record.id)
        kind, physical = saved.__dict__["_typed"]
        info = session.features.by_id(saved.feature_id)
        typed = encode_for(info.name, info.dtype, record.value, coerce=info.coerce)
        if record.feature_id != saved.feature_id or typed.hash != value_hash(kind, physical):
            raise ValidationError(
                f"a value of feature {info.name!r} never changes: create another one",
                feature=info.name,
                dtype=info.dtype.name,
                value=record.value,
            )
        record.__dict__["value"] = decode_as(info.dtype, *typed)

    @classmethod
    def _from_rows(cls, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[Self]:
        """Make records of rows; the items of a list take the type back that its feature gives them."""
        made = super()._from_rows(columns, rows)
        session = cls._current()
        for record in made:
            kind, physical = record.__dict__["_typed"]
            info = session.features.known(record.__dict__["feature_id"]) if kind == "list" else None
            if info is not None:
                record.__dict__["value"] = decode_as(info.dtype, kind, physical)
        return made

    @classmethod
    def _existing(cls, session: Session, records: Sequence[Any]) -> dict[int, Any]:
        wanted = [(record.feature_id, record.__dict__["_typed"]) for record in records]
        ids = session.writer.annotations.find_values(wanted)
        if not ids:
            return {}
        saved = session.registries["FeatureValue"].filter(id__in=list(set(ids.values())))
        found = list(saved)
        if trashed := [record.id for record in found if record.branch_id == TRASH]:
            session.writer.restore("FeatureValue", trashed)
            found = list(saved)
        by_id = {record.id: record for record in found}
        return {position: by_id[id_] for position, id_ in ids.items()}

    @classmethod
    def _twin_key(cls, record: Any) -> Any:
        return (record.feature_id, record.__dict__["_typed"].hash)


def _brought_back(session: Session, feature_id: int, typed: Typed, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the columns of a stored value, which is restored if it is in the trash: there is no second one."""
    if found["branch_id"] != TRASH:
        return found
    session.writer.restore("FeatureValue", [found["id"]])
    return session.writer.values.find(feature_id, typed) or found


def _check_storable(name: str, dtype: str, value: Any) -> None:
    if dtype.startswith("cat["):
        raise ValidationError(
            f"feature {name!r} is categorical ({dtype}): its values are the records of that registry",
            feature=name,
            dtype=dtype,
            value=value,
        )
    if is_missing(value):
        raise ValidationError(f"None is not a value: feature {name!r} has dtype {dtype}", feature=name, dtype=dtype)
