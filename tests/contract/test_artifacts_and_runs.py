"""Artifacts: files, folders, addresses, versions, reading them. Runs: tracked, nested, failed, in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import InvalidArgument, MissingFile
from duckfeat.store import Store
from tests.counting import row_counts

FRAME = pl.DataFrame({"sample": ["a", "b", None], "dose": [1.5, None, 2.5], "n": [1, 2, 3]})
WRITERS: dict[str, Callable[[Path], object]] = {
    ".parquet": FRAME.write_parquet,
    ".csv": FRAME.write_csv,
    ".arrow": FRAME.write_ipc,
    ".feather": FRAME.write_ipc,
    ".ndjson": FRAME.write_ndjson,
    ".jsonl": FRAME.write_ndjson,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_tables_are_loaded_and_opened(suffix: str, store: Store, tmp_path: Path) -> None:
    path = tmp_path / f"table{suffix}"
    WRITERS[suffix](path)
    artifact = store.Artifact(path, key=path.name).save()
    assert (artifact.suffix, artifact.size) == (suffix, path.stat().st_size)
    assert artifact.load().equals(FRAME)
    assert artifact.open().filter(pl.col("n") > 1).collect().height == 2
    path.unlink()
    with pytest.raises(MissingFile, match="does not exist") as caught:
        artifact.load()
    assert isinstance(caught.value, FileNotFoundError)


def test_the_same_content_is_found(store: Store, tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("same")
    second.write_text("same")
    artifact = store.Artifact(first, key="a.txt", description="d").save()
    assert store.Artifact(second, key="b.txt").save() == artifact
    another = store.Artifact(second, key="b.txt", skip_hash_lookup=True).save()
    assert another != artifact
    assert (another.hash, store.Artifact.count()) == (artifact.hash, 2)
    assert store.Artifact("s3://b/x.csv").save() == store.Artifact("s3://b/x.csv").save()


def test_an_artifact_that_is_found_takes_what_it_lacks(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("same")
    first = store.Artifact(path).save()
    again = store.Artifact(path, key="a.txt", description="d").save()
    assert (again, again.key, again.description) == (first, "a.txt", "d")
    assert first.refresh_from_db().key == "a.txt"
    other = store.Artifact(path, key="b.txt", version="1").save()
    assert (other.key, other.version, store.Artifact.get(key="a.txt").version) == ("a.txt", "1", "1")
    path.write_text("new")
    newest = store.Artifact(path, key="c.txt").save()
    path.write_text("old")
    store.save([store.Artifact(path), store.Artifact(path, key="c.txt")])
    latest = {artifact.id: artifact.is_latest for artifact in store.Artifact.filter(key="c.txt")}
    assert latest == {newest.id: False, newest.id + 1: True}


def test_a_new_content_under_a_key_is_a_new_version(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1")
    first = store.Artifact(path, key="a.txt", version="1").save()
    path.write_text("2")
    second = store.Artifact(path, key="a.txt", version="2").save()
    assert (first.refresh_from_db().is_latest, second.is_latest) == (False, True)
    assert store.Artifact.filter(key="a.txt", is_latest=True).one().version == "2"
    second.delete()
    assert first.refresh_from_db().is_latest


def test_of_versions_that_are_saved_together_the_last_is_the_latest(store: Store, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(3)]
    for path in paths:
        path.write_text(path.name)
    made = [store.Artifact(path, key="a.txt") for path in paths]
    store.save(made)
    assert [artifact.is_latest for artifact in made] == [False, False, True]
    assert store.Artifact.filter(key="a.txt", is_latest=True).one() == made[2]


def test_folders_and_addresses(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    FRAME.head(1).write_parquet(folder / "0.parquet")
    FRAME.tail(2).write_parquet(folder / "1.parquet")
    artifact = store.Artifact(folder, key="parts").save()
    assert (artifact.n_files, artifact.suffix) == (2, "")
    assert artifact.load().equals(FRAME)
    elsewhere = store.Artifact("s3://bucket/key/table.csv.gz").save()
    assert (elsewhere.suffix, elsewhere.size, elsewhere.hash) == (".csv.gz", None, None)


def test_what_is_no_file_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a\n1\n")
    (tmp_path / "notes.docx").write_text("x")
    notes = store.Artifact(tmp_path / "notes.docx").save()
    before = row_counts(store)
    with pytest.raises(MissingFile, match=r"did you mean 'table\.csv'"):
        store.Artifact(tmp_path / "tabel.csv")
    with pytest.raises(InvalidArgument, match=r"no reader for '\.docx'"):
        notes.load()
    with pytest.raises(InvalidArgument, match="path or URI"):
        store.Artifact(key="a")
    assert row_counts(store) == before


# --- runs --------------------------------------------------------------------------------------------


def test_a_tracked_run_owns_what_is_saved(store: Store) -> None:
    store.Feature(name="dose", dtype=float).save()
    with store.track("ingest.py", name="first") as run:
        assert (run.status, run.finished_at) == ("started", None)
        sample = store.Record(name="s", features={"dose": 1}).save()
        value, _ = store.FeatureValue.get_or_create("dose", 2)
    assert (sample.run, value.run, run.transform.key) == (run, run, "ingest.py")
    saved = store.Run.get(run.uid)
    assert (saved.status, saved.name) == ("finished", "first")
    assert saved.finished_at is not None
    assert saved.started_at <= saved.finished_at
    assert store.Record(name="later").save().run is None
    with store.track("ingest.py") as again:
        pass
    assert (again.transform, again != run) == (run.transform, True)


def test_a_run_that_raises_is_marked_failed(store: Store) -> None:
    def work() -> None:
        with store.track("bad.py"):
            store.ULabel(name="kept").save()
            raise ZeroDivisionError("by nothing")

    with pytest.raises(ZeroDivisionError):
        work()
    run = store.Run.get(transform__key="bad.py")
    assert (run.status, run.error) == ("failed", "ZeroDivisionError: by nothing")
    assert run.finished_at is not None
    assert store.ULabel.get(name="kept").run == run


def test_runs_nest(store: Store) -> None:
    outer = store.track("outer.py")
    with store.track("inner.py") as inner:
        assert store.ULabel(name="in").save().run == inner
    assert store.ULabel(name="out").save().run == outer.run
    store.finish()
    assert store.Run.get(outer.run.id).status == "finished"
    with pytest.raises(InvalidArgument, match="no run is tracked"):
        store.finish()


def test_threads_track_runs_of_their_own(store: Store) -> None:
    start, seen = threading.Barrier(6), {}

    def work(number: int) -> None:
        start.wait()
        with store.track(f"job {number}") as run:
            seen[number] = (store.ULabel(name=f"label {number}").save().run, run)

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    with store.track("main.py") as run:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.ULabel(name="main").save().run == run
    assert all(found == own for found, own in seen.values())
    assert len({own.uid for _, own in seen.values()}) == 6
    assert set(store.Run.all().to_list("status")) == {"finished"}


def test_a_transform_may_be_given(store: Store) -> None:
    transform = store.Transform(key="pipeline", kind="pipeline").save()
    with store.track(transform, reference="https://log") as run:
        pass
    assert (run.transform, run.reference) == (transform, "https://log")
    assert transform.runs.one() == run
    assert dft.Run.filter(transform__key="pipeline").one() == run
