"""Labels and records: what a dataset is labelled with, and the samples it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from duckfeat.model.fields import Field, ForeignKey, Many, Reverse
from duckfeat.query.session import Session
from duckfeat.registries.features import FeatureManager
from duckfeat.registries.hierarchy import Hierarchical
from duckfeat.registries.retyping import following
from duckfeat.registries.synonyms import Synonymous


class Grouped(Synonymous, Hierarchical):
    """A record that may be of a type, or be one, from which features take their values."""

    @classmethod
    def _changing(cls, session: Session, changes: Mapping[int, Mapping[str, Any]]) -> Callable[[], None]:
        return following(session, cls.__registry__, changes)


class ULabel(Grouped, rows="ulabels", uid_length=8):
    """A universal label: a plain name to tag things with. Labels can form a hierarchy.

    Saving a label with a name that exists (within its type) gives the existing label.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> labels = dft.ULabel.from_values(["ULabel5", "ULabel6", "ULabel7"], field="name")
    >>> _ = dft.save(labels)
    >>> dft.ULabel.search("ULabel7").first().name
    'ULabel7'
    """

    __found_by__ = ("name", "type")

    name: Field[str] = Field("str", "The name, unique within its type.", unique=True, search=True)
    description: Field[str | None] = Field("str", "What it means.", null=True, search=True)
    synonyms: Field[str | None] = Field("str", "Other names, joined by |.", null=True, search=True)
    is_type: Field[bool] = Field("bool", "Whether this groups labels.", default=False, shown=False)
    type: ForeignKey[ULabel | None] = ForeignKey("ULabel", "The group it is in.", related="instances", null=True)

    instances = Reverse("ULabel", "type_id", "The labels of this type.")
    parents = Many("ULabel", "ulabels.parents", "The labels above this one.")
    children = Many("ULabel", "ulabels.parents", "The labels below this one.", forward=False)
    artifacts = Many("Artifact", "artifacts.ulabels", "The artifacts with this label.", forward=False)
    runs = Many("Run", "runs.ulabels", "The runs with this label.", forward=False)
    records = Many("Record", "records.ulabels", "The records with this label.", forward=False)

    def __init__(self, name: str | None = None, **values: Any) -> None:
        super().__init__(**values if name is None else {"name": name, **values})


class Record(Grouped, rows="records", uid_length=16):
    """A sample, or anything else that is measured. It can have feature values.

    Saving a record with a name that exists (within its type) gives the existing record. `features` are values to save
    with it, as `{feature: value}`.

    >>> import duckfeat as dft
    >>> store = dft.connect()
    >>> _ = dft.Feature(name="dose", dtype=float, unit="mg").save()
    >>> sample = dft.Record(name="sample 1", features={"dose": 2.5}).save()
    >>> sample.features.get_values()
    {'dose': 2.5}
    """

    __found_by__ = ("name", "type")

    name: Field[str | None] = Field("str", "The name, unique within its type.", null=True, unique=True, search=True)
    description: Field[str | None] = Field("str", "What it is.", null=True, search=True)
    synonyms: Field[str | None] = Field("str", "Other names, joined by |.", null=True, search=True, shown=False)
    is_type: Field[bool] = Field("bool", "Whether this groups records.", default=False, shown=False)
    type: ForeignKey[Record | None] = ForeignKey("Record", "The group it is in.", related="instances", null=True)

    instances = Reverse("Record", "type_id", "The records of this type.")
    feature_values = Many("FeatureValue", "annotations", "The values this record is annotated with.")
    ulabels = Many("ULabel", "records.ulabels", "Labels of this record, its own and those through features.")
    artifacts = Many("Artifact", "artifacts.records", "Artifacts about this record.", forward=False)
    runs = Many("Run", "runs.records", "Runs about this record.", forward=False)
    parents = Many("Record", "records.parents", "The records above this one.")
    children = Many("Record", "records.parents", "The records below this one.", forward=False)

    def __init__(self, name: str | None = None, *, features: Any = None, **values: Any) -> None:
        super().__init__(**values if name is None else {"name": name, **values})
        self.__dict__["_features_given"] = features

    @property
    def features(self) -> FeatureManager:
        """The feature values of this record."""
        return FeatureManager(self)
