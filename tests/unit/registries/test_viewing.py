"""`view()` shows the newest rows of every registry, and a frame with the dtypes of its features."""

from __future__ import annotations

import duckfeat as dft
from duckfeat.store import Store


def test_the_newest_rows_of_every_registry_that_has_any(store: Store) -> None:
    dft.save([dft.ULabel(name=f"label {number}") for number in range(9)])
    shown = store.view(limit=3).frames
    assert set(shown) == {"ULabel", "User", "Branch", "Space"}
    assert shown["ULabel"]["name"].to_list() == ["label 8", "label 7", "label 6"]


def test_columns_that_say_nothing_are_left_out(store: Store) -> None:
    dose = dft.Feature(name="dose", dtype=float).save()
    value, _ = dft.FeatureValue.get_or_create(dose, 2.5)
    shown = store.view().frames["FeatureValue"]
    assert shown.columns == ["value", "hash", "created_at", "feature__name", "created_by__handle"]
    handle = store.user.handle if store.user else ""
    assert shown.row(0)[3:] == ("dose", handle)
    assert shown["created_at"].to_list() == [f"{value.created_at:%Y-%m-%d %H:%M:%S}"]


def test_a_frame_is_shown_with_the_dtypes_of_its_features(store: Store) -> None:
    dft.Feature(name="dose", dtype=float, unit="mg").save()
    dft.Record(name="sample 1", features={"dose": 2.5}).save()
    for frame in (dft.Record.df(features=True), dft.Record.pl(features=True)):
        [(title, shown)] = dft.view(frame).frames.items()
        assert title == "1 rows x 10 columns"
        assert shown.columns[-1] == "dose\nfloat"
        assert "sample 1" in repr(store.view(frame))


def test_a_view_is_html_in_a_notebook(store: Store) -> None:
    dft.ULabel(name="<b>").save()
    shown = store.view()._repr_html_()
    assert "<h4>ULabel</h4>" in shown
    assert "&lt;b&gt;" in shown
