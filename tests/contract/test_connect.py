"""`connect`, the default store, names, `using`, `settings`, and the other names of things."""

from __future__ import annotations

from pathlib import Path

import pytest

import duckfeat as dft
from duckfeat.errors import InstanceNotFound, InvalidArgument, MissingFile, NotAStore, StoreLocked
from duckfeat.store import Store


def test_the_store_connected_last_is_the_default(store: Store, tmp_path: Path) -> None:
    store.ULabel(name="first").save()
    with dft.connect(tmp_path / "second.duckdb") as second:
        dft.ULabel(name="second").save()
        assert (dft.ULabel.count(), dft.save(dft.ULabel(name="x"))[0] in second.ULabel.all()) == (1, True)
        assert dft.ULabel.using(None).count() == 2
        assert store.ULabel.all().to_list("name") == ["first"]
        third = dft.connect(default=False)
        assert dft.ULabel.count() == 2
        third.close()
    with pytest.raises(InstanceNotFound, match=r"no store is connected: call duckfeat\.connect"):
        dft.ULabel.count()


def test_a_store_is_found_by_name_and_path(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "other.duckdb"
    with dft.connect(path, name="account/other", default=False) as other:
        other.ULabel(name="elsewhere").save()
        for name in ("account/other", str(path)):
            assert dft.ULabel.using(name).to_list("name") == ["elsewhere"]
            assert store.ULabel.using(name).search("elsewhere").one().name == "elsewhere"
        assert dft.ULabel.using("account/other").filter(name="x").count() == 0
        assert store.ULabel.count() == 0
        with pytest.raises(InstanceNotFound, match=r"did you mean 'account/other'\?"):
            dft.ULabel.using("account/othr")
    reopened = dft.ULabel.using(str(path))
    assert reopened.to_list("name") == ["elsewhere"]
    dft.connect(path, default=False).close()
    with pytest.raises(InstanceNotFound):
        dft.ULabel.using("account/other")


def test_a_file_is_opened_once(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "other.duckdb"
    with dft.connect(path, default=False) as other:
        assert dft.connect(str(path), default=False) is other
        with pytest.raises(StoreLocked, match="other options"):
            dft.connect(path, default=False, read_only=True)
    assert store.ULabel.count() == 0


def test_what_is_no_store_is_told(store: Store, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database" * 1000)
    for url, error in (
        (tmp_path / "notes.txt", NotAStore),
        (tmp_path / "no folder" / "x.duckdb", MissingFile),
        (7, InvalidArgument),
        ("", InvalidArgument),
    ):
        with pytest.raises(error):
            dft.connect(url)  # type: ignore[arg-type]  # some are no paths
    assert dft.ULabel.count() == store.ULabel.count() == 0


def test_memory_stores_are_apart(store: Store) -> None:
    with dft.connect(default=False) as one, dft.connect(":memory:", default=False) as two:
        one.ULabel(name="a").save()
        assert two.ULabel.count() == 0
    assert store.ULabel.count() == 0


def test_newer_names_mean_the_same(store: Store) -> None:
    label = store.ULabel(name="a").save()
    assert dft.ULabel.to_dataframe().equals(dft.ULabel.df())
    assert dft.ULabel.filter(name="a").to_dataframe().equals(dft.ULabel.filter(name="a").df())
    assert label.records.to_dataframe().empty
    for name in (registry.__name__ for registry in dft.models.REGISTRIES):
        assert getattr(dft.models, name).__name__ == name == getattr(store, name).__name__
