"""`view()` shows the newest rows of every registry, and a frame with the dtypes of its features."""

from __future__ import annotations

from datetime import date

import pandas as pd
import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import InvalidArgument
from duckfeat.store import Store


def test_the_newest_rows_of_every_registry_that_has_any(store: Store) -> None:
    dft.save([dft.ULabel(name=f"label {number}") for number in range(9)])
    shown = store.view(limit=3).frames
    assert set(shown) == {"ULabel", "User", "Branch", "Space"}
    assert shown["ULabel"]["name"].to_list() == ["label 8", "label 7", "label 6"]


def test_what_is_not_shown_is_told(store: Store) -> None:
    dft.save([dft.ULabel(name=f"label {number}") for number in range(1_200)])
    view = store.view(limit=3)
    assert repr(view).splitlines()[0] == "ULabel (the newest 3 of 1,200)"
    assert "<h4>ULabel (the newest 3 of 1,200)</h4>" in view._repr_html_()
    assert "\nBranch\n" in repr(view)
    assert "<h4>Branch</h4>" in view._repr_html_()


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


def test_a_wide_frame_goes_on_below(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"name": ["sample 1"], **{f"column number {number}": [number] for number in range(30)}})
    for width in (60, 100, 160):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = repr(dft.view(frame)).splitlines()
        assert lines[0] == "1 rows x 31 columns"
        assert max(map(len, lines)) <= width
        text = "\n".join(lines)
        assert all(text.count(f" column number {number} ") == 1 for number in range(30))
        assert text.count("sample 1") == text.count("┌") > 1
    monkeypatch.setenv("COLUMNS", "100")
    dft.ULabel(name="n" * 30, description="d" * 40, synonyms="s" * 40).save()
    assert max(map(len, repr(store.view()).splitlines())) <= 100


def test_frames_with_values_of_every_sort_are_shown(store: Store) -> None:
    for name, dtype in (("settings", dict), ("sizes", "list[int]"), ("day", "date"), ("anything", list)):
        store.Feature(name=name, dtype=dtype).save()
    store.Feature(name="notes", dtype=dict, multiple=True).save()
    given = {
        "settings": {"lr": [1, {"x": None}]},
        "sizes": [1, 2],
        "anything": [1, "a"],
        "notes": [{"a": 1}, {"b": "x"}],
    }
    dft.save([dft.Record(name="r1", features=given), dft.Record(name="r2", features={"day": date(2024, 5, 1)})])
    shown = repr(dft.view(dft.Record.df(features=True)))
    for part in ("{'lr': [1, {'x': None}]}", "[1, 2]", "[1, 'a']", "[{'a': 1}, {'b': 'x'}]", "2024-05-01", "list[int]"):
        assert part in shown
    odd = pd.DataFrame([[1, "x"], ["a", None]], columns=["a", "a"])
    [frame] = dft.view(odd).frames.values()
    assert frame.rows() == [("1", "x"), ("a", None)]
    assert frame.columns == ["a", "a_2"]


def test_a_column_of_several_features_has_all_their_dtypes(store: Store) -> None:
    for name, dtype in (("Wet", int), ("Dry", float)):
        store.Feature(name="mass", dtype=dtype, type=store.Feature(name=name, is_type=True)).save()
    [shown] = dft.view(pl.DataFrame({"mass": [1.5], "mass\nfloat": [1]})).frames.values()
    assert shown.columns == ["mass\nfloat or int", "mass\nfloat"]
    dft.Feature(name="x", dtype=int).save()
    assert dft.view(pl.DataFrame({"x": [1], "x\nint": [1]})).frames["1 rows x 2 columns"].columns == ["x", "x\nint"]


@pytest.mark.parametrize("given", [7, "text", pd.Series([1, 2]), dft.ULabel, object()])
def test_what_is_no_frame_is_told(given: object, store: Store) -> None:
    with pytest.raises(InvalidArgument, match=r"view shows a frame, not .*\.df\(\) and \.pl\(\) give one"):
        store.view(given)
