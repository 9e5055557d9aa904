"""Labels and records know everything above and below them."""

from __future__ import annotations

import pytest

import duckfeat as dft
from duckfeat.errors import DuckfeatError
from duckfeat.store import Store


@pytest.mark.parametrize("registry", ["ULabel", "Record"])
def test_what_is_above_and_below(store: Store, registry: str) -> None:
    made = getattr(store, registry)
    top, middle, low, aside = (made(name=name).save() for name in ("top", "middle", "low", "aside"))
    middle.parents.add(top)
    low.parents.add(middle)
    aside.parents.add(top)
    top.parents.add(low)  # a circle is followed once
    assert set(low.query_parents().to_list("name")) >= {"top", "middle"}
    top.parents.remove(low)
    assert sorted(top.query_children().to_list("name")) == ["aside", "low", "middle"]
    assert low.query_parents().order_by("name").to_list("name") == ["middle", "top"]
    assert str(low.view_parents()).split() == ["top", "middle", "low", "<"]
    assert "aside" in str(top.view_parents(with_children=True))
    with pytest.raises(DuckfeatError, match="save"):
        made(name="new").query_children()


def test_what_is_labelled_with_anything_below(store: Store) -> None:
    cell, t_cell = store.ULabel(name="cell").save(), store.ULabel(name="T cell").save()
    t_cell.parents.add(cell)
    sample = store.Record(name="sample").save()
    sample.ulabels.add(t_cell)
    dft.Feature(name="kind", dtype="cat[ULabel]").save()
    sample.features.add_values({"kind": "T cell"})
    below = cell.query_children()
    assert dft.Record.filter(ulabels__in=below).to_list("name") == ["sample"]
    assert dft.Record.filter(kind__in=below).to_list("name") == ["sample"]
