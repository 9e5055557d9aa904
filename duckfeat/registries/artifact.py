"""Artifacts: files, folders and URIs that hold datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Self

from duckfeat.errors import InvalidArgument
from duckfeat.model.arguments import flag, shown
from duckfeat.model.fields import Field, Many
from duckfeat.model.q import Q
from duckfeat.query.session import Session
from duckfeat.registries import files
from duckfeat.registries.base import TracksUpdates
from duckfeat.registries.features import FeatureManager
from duckfeat.registries.naming import outside_trash

if TYPE_CHECKING:
    import polars


class Artifact(TracksUpdates, rows="artifacts", label="key", uid_length=20):
    r"""A file, a folder or an address (URI) that holds a dataset. It can have feature values.

    Saving the same content again gives the first artifact, which takes over a key, description, version or number of
    observations that it does not have yet; `skip_hash_lookup=True` makes another artifact instead. The content behind
    an address is not read, so there the same address gives the first artifact. New content under an existing key is a
    new version, and `is_latest` moves to it.

    >>> import duckfeat as dft, pathlib, tempfile
    >>> store = dft.connect()
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "batch1.csv"
    >>> _ = path.write_text("sample,dose\n1,2.5\n")
    >>> artifact = dft.Artifact(path, key="batch1.csv").save()
    >>> artifact.suffix, artifact.size, artifact.load().shape
    ('.csv', 18, (1, 2))
    """

    __completed__ = ("key", "description", "version", "n_observations")

    key: Field[str | None] = Field("str", "The name within the store, like a relative path.", null=True, search=True)
    description: Field[str | None] = Field("str", "What it holds.", null=True, search=True)
    path: Field[str] = Field("str", "Where it is: an absolute path or a URI.")
    suffix: Field[str] = Field("str", "The file name's ending, such as .parquet.", settable=False)
    size: Field[int | None] = Field("int", "Size in bytes; of a folder, of all its files.", null=True, settable=False)
    hash: Field[str | None] = Field("str", "The digest of the content.", null=True, settable=False)
    n_files: Field[int | None] = Field("int", "The number of files in a folder.", null=True, settable=False)
    n_observations: Field[int | None] = Field("int", "The number of observations.", null=True)
    version: Field[str | None] = Field("str", "The version.", null=True)
    is_latest: Field[bool] = Field(
        "bool", "Whether it is the newest of its key on its branch.", default=True, settable=False
    )

    feature_values = Many("FeatureValue", "annotations", "The values this artifact is annotated with.")
    ulabels = Many("ULabel", "artifacts.ulabels", "Labels of this artifact, its own and those through features.")
    records = Many("Record", "artifacts.records", "The records this artifact is about.")
    runs = Many("Run", "artifacts.runs", "Runs related to this artifact.")

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        *,
        key: str | None = None,
        features: Any = None,
        skip_hash_lookup: bool = False,
        **values: Any,
    ) -> None:
        if path is None:
            raise InvalidArgument("an Artifact needs the path or URI of its content", key=key)
        if not isinstance(path, str | PathLike):
            raise InvalidArgument(f"an Artifact is of a path or a URI, not {shown(path)}", value=path)
        if not fspath(path):
            raise InvalidArgument("an Artifact needs a path or a URI; the folder you are in is '.'", value=path)
        super().__init__(key=key, **values)
        facts = files.describe_path(path)
        local = files.local_path(path)
        self.path = fspath(path) if local is None else str(local.absolute())
        self.__dict__.update(suffix=facts.suffix, size=facts.size, hash=facts.hash, n_files=facts.n_files)
        self.__dict__["_skip_hash_lookup"] = flag(skip_hash_lookup, "skip_hash_lookup")
        self.__dict__["_features_given"] = features

    @property
    def features(self) -> FeatureManager:
        """The feature values of this artifact."""
        return FeatureManager(self)

    def load(self) -> Any:
        """Return the content in memory: a Polars DataFrame for tables, text or JSON values otherwise.

        Raises `MissingFile` if it is gone, `InvalidArgument` for a suffix that has no reader.
        """
        return files.load(self.path, self.suffix)

    def open(self) -> polars.LazyFrame:
        """Return the content of a table (Parquet, CSV, Arrow IPC, NDJSON) as a Polars LazyFrame.

        Raises `MissingFile` if it is gone, `InvalidArgument` for a suffix that has no reader.
        """
        return files.open(self.path, self.suffix)

    # --- saving ----------------------------------------------------------------------------------

    @classmethod
    def _existing(cls, session: Session, records: Sequence[Self]) -> dict[int, Self]:
        """Return the artifacts with the content of new ones; where that is not known, with their address."""
        wanted = {position: key for position, record in enumerate(records) if (key := cls._twin_key(record))}
        hashes = sorted({hash_ for hash_, _address in wanted.values() if hash_})
        addresses = sorted({address for _hash, address in wanted.values() if address})
        if not wanted:
            return {}
        same = Q(hash__in=hashes) | Q(hash=None, path__in=addresses)
        found = outside_trash(session, cls.__registry__).filter(same).order_by("-id")
        known = {_content(artifact): artifact for artifact in found}
        return {position: known[key] for position, key in wanted.items() if key in known}

    @classmethod
    def _saved(cls, session: Session, records: Sequence[Self]) -> None:
        """Take `is_latest` from the artifacts whose key a new one has."""
        latest: dict[tuple[Any, Any], Self] = {}
        for record in records:
            if record.key is not None:
                place = (record.key, record.__dict__["branch_id"])
                if place in latest:
                    latest[place].__dict__["is_latest"] = False
                latest[place] = record
        _mark_latest(session, {key for key, _branch in latest})

    @classmethod
    def _changing(cls, session: Session, changes: Mapping[int, Mapping[str, Any]]) -> Callable[[], None]:
        ids = list(changes)
        before = _keys_of(session, ids)
        return lambda: _mark_latest(session, before | _keys_of(session, ids))

    @classmethod
    def _twin_key(cls, record: Any) -> Any:
        return None if record.__dict__.get("_skip_hash_lookup") else _content(record)


def _content(artifact: Artifact) -> tuple[str | None, str | None]:
    """Return the digest of the content, or the address of one that was not read."""
    return (artifact.hash, None if artifact.hash else artifact.path)


def _keys_of(session: Session, ids: Sequence[int]) -> set[str]:
    return {row[0] for row in session.engine.run("artifacts.keys_of", None, ids=list(ids))}


def _mark_latest(session: Session, keys: set[str]) -> None:
    """Make the newest artifact of each key, on each branch, the latest."""
    if keys:
        session.engine.run("artifacts.mark_latest", None, keys=sorted(keys))
