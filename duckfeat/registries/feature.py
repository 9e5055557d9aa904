"""Features: the named, typed dimensions that values belong to."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from duckfeat.compile.computed import feature_meant, may_ask
from duckfeat.errors import InvalidArgument, ValidationError, hint
from duckfeat.model.arguments import shown
from duckfeat.model.dtypes import Dtype, parse_dtype
from duckfeat.model.fields import Field, ForeignKey, Reverse
from duckfeat.model.q import Comparable, FeaturePath, Predicate
from duckfeat.model.tables import ENTITIES
from duckfeat.query.session import INSTANCES, Session
from duckfeat.registries.base import SQLRecord, TracksUpdates
from duckfeat.registries.profiling import profile
from duckfeat.registries.synonyms import Synonymous

if TYPE_CHECKING:
    import polars as pl

_log = logging.getLogger("duckfeat")


class Feature(Comparable, Synonymous, TracksUpdates, rows="features", uid_length=12):
    """A named quantity or property with a dtype: `temperature` is a float in degC.

    `dtype` is a Python type, a text such as `"list[int]"` or `"cat[ULabel]"`, a registry, or a type in one. With
    `multiple=True` an entity may have several values of the feature; with `coerce=True` values are converted even where
    that loses something. Comparing a feature with a value builds a predicate for `filter()`.

    Saving a feature with a name that exists (within its type) gives the existing feature, or raises `ValidationError`
    if that has another dtype.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> temperature = dft.Feature(name="temperature", dtype=float, unit="degC").save()
    >>> temperature > 20
    (temperature gt 20)
    """

    __found_by__ = ("name", "type")

    name: Field[str] = Field("str", "The name, unique within its type.", unique=True, search=True)
    dtype: Field[str | None] = Field("str", "The dtype of its values; missing for a type.", null=True)
    unit: Field[str | None] = Field("str", "The unit of its values.", null=True)
    description: Field[str | None] = Field("str", "What it measures.", null=True, search=True)
    synonyms: Field[str | None] = Field("str", "Other names, joined by |.", null=True, search=True)
    multiple: Field[bool] = Field("bool", "Whether an entity may have several values.", default=False)
    coerce: Field[bool] = Field("bool", "Whether values are converted with loss.", default=False)
    is_type: Field[bool] = Field("bool", "Whether this groups features.", default=False, shown=False)
    type: ForeignKey[Feature | None] = ForeignKey("Feature", "The group it is in.", related="instances", null=True)

    values = Reverse("FeatureValue", "feature_id", "The distinct values of this feature.")
    instances = Reverse("Feature", "type_id", "The features of this type.")

    def __init__(self, name: str | None = None, dtype: Any = None, **values: Any) -> None:
        super().__init__(**values if name is None else {"name": name, **values})
        if dtype is not None:
            session = self.__dict__["_session"] or INSTANCES.default
            self.dtype = parse_dtype(dtype, session.catalog if session else ()).name
        elif not self.is_type:
            raise InvalidArgument(f"feature {self.name!r} needs a dtype, such as dtype=float or dtype='cat[ULabel]'")

    @property
    def parsed_dtype(self) -> Dtype:
        """The dtype as an object.

        Raises `InvalidArgument` for a type, which has none.
        """
        if self.dtype is None:
            raise InvalidArgument(f"feature type {self.name!r} has no dtype")
        return parse_dtype(self.dtype)

    # --- predicates ------------------------------------------------------------------------------

    def _predicate(self, lookup: str, operand: Any) -> Predicate:
        return Predicate(self, lookup, operand)

    def __getitem__(self, part: str | int) -> FeaturePath:
        return FeaturePath(self, (part,))

    def __eq__(self, other: object) -> Any:
        if isinstance(other, SQLRecord) and other.__registry__ == "Feature":
            return SQLRecord.__eq__(self, other)
        return self._predicate("exact", other)

    def __ne__(self, other: object) -> Any:
        if isinstance(other, SQLRecord) and other.__registry__ == "Feature":
            return not SQLRecord.__eq__(self, other)
        return self._predicate("ne", other)

    def __hash__(self) -> int:
        return SQLRecord.__hash__(self)

    # --- what it holds ---------------------------------------------------------------------------

    def stats(self, registry: Any = "Record") -> pl.DataFrame:
        """Return statistics of the feature's values in a registry, as a frame of one row; see `Store.profile`.

        Raises `InvalidArgument` for a registry whose records carry no features, `FieldError` for a feature not saved.

        >>> import duckfeat as dft
        >>> store = dft.connect()
        >>> dft.Feature(name="depth", dtype=float).save().stats()["count"].to_list()
        [0]
        """
        session: Session = self.__dict__.get("_session") or INSTANCES.current()
        return profile(session, registry, self)

    # --- saving and deleting ---------------------------------------------------------------------

    @classmethod
    def _prepare(cls, _session: Session, records: Sequence[Any]) -> None:
        for record in records:
            if record.dtype is not None:
                _check_registry(_session, record.parsed_dtype, record.name)
        _tell_of_names_alike(_session, [record.name for record in records if isinstance(record.name, str)])

    def _agrees_with(self, existing: Feature) -> None:
        for name in _DECIDING:
            mine, theirs = self.__dict__[name], existing.__dict__[name]
            if mine != theirs:
                raise ValidationError(
                    f"feature {self.name!r} exists with {name} {theirs!r}, not {shown(mine)}",
                    feature=self.name,
                    existing=theirs,
                    value=mine,
                )

    def delete(self, permanent: bool | None = None, *, cascade: bool = False) -> Any:
        """Move the feature to the trash, or with `permanent=True` remove it.

        A feature that has values is removed with them only if `cascade=True`; otherwise `IntegrityError` says
        what would go. Returns None, or for a permanent deletion `(count, {registry: n})`.
        """
        return self._delete(permanent=permanent, cascade=cascade)

    @classmethod
    def _check_changes(cls, session: Session, changes: Mapping[int, Mapping[str, Any]]) -> None:
        columns = [name for name in _DECIDING if any(name in changed for changed in changes.values())]
        if not columns:
            return
        for saved in session.registries["Feature"].filter(id__in=list(changes)):
            new_ones = {**saved.__dict__, **changes[saved.id]}
            if new_ones["dtype"] is None and not new_ones["is_type"]:
                raise ValidationError(f"feature {saved.name!r} needs a dtype", feature=saved.name, value=None)
            for name in columns:
                old, new = saved.__dict__[name], new_ones[name]
                if old != new and not (name == "multiple" and new) and _DECIDING[name](session, saved.id):
                    raise ValidationError(
                        f"feature {saved.name!r} has values: its {name} stays {old!r}, it cannot become {new!r}; "
                        "those that were removed count, too",
                        feature=saved.name,
                        existing=old,
                        value=new,
                    )

    @classmethod
    def _prepare_update(cls, _session: Session, record: Any) -> None:
        if record.dtype is not None:
            record.__dict__["dtype"] = parse_dtype(record.dtype).name
            _check_registry(_session, record.parsed_dtype, record.name)

    @classmethod
    def _prepare_values(cls, session: Session, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if values.get("dtype") is None:
            return values
        dtype = parse_dtype(values["dtype"])
        _check_registry(session, dtype)
        return {**values, "dtype": dtype.name}


def _tell_of_names_alike(session: Session, names: Sequence[str]) -> None:
    """Warn of names that, as keywords, mean a field or a question about another feature."""
    for name in names:
        clashing = [table for table in ENTITIES if session.catalog[table].has(name)]
        if clashing:
            told = "feature %r is called like a field of %s: filter by the feature object, the keyword is the field"
            _log.warning(told, name, " and ".join(filter(None, [", ".join(clashing[:-1]), clashing[-1]])))
        asked = feature_meant(session.features.find, name.split("__"), may_be=may_ask) if "__" in name else None
        if asked is not None and asked[1] and may_ask(*asked):
            told = (
                "feature %r is called like a question about %r, which the keyword stays: filter by the feature object"
            )
            _log.warning(told, name, asked[0].name)


def _is_used(session: Session, feature_id: int) -> bool:
    return bool(session.engine.run("features.usage", None, ids=[feature_id])[0][0])


def _was_used(session: Session, feature_id: int) -> bool:
    return bool(session.engine.run("features.ever_used", None, id=feature_id)[0][0])


_DECIDING = {"dtype": _was_used, "multiple": _is_used, "is_type": _was_used}
"""Columns that decide how values are stored, each with what tells that it has to stay as it is."""


def _check_registry(session: Session, dtype: Dtype, feature: str | None = None) -> None:
    if dtype.is_cat and dtype.registry and dtype.registry not in session.catalog:
        what, registries = f"feature {feature!r}" if feature else "Feature.dtype", list(session.catalog)
        raise ValidationError(
            f"{what}: no registry {dtype.registry!r}{hint(dtype.registry, registries)}",
            feature=feature,
            dtype=dtype.name,
            available=registries,
        )
