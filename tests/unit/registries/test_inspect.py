"""`inspect` tells what unknown values may have meant, and seeks it only when it is asked for."""

from __future__ import annotations

from typing import Any

import pandas
import polars
import pytest

from duckfeat.errors import InvalidArgument
from duckfeat.query.checking import Suggestions
from duckfeat.query.search_index import SearchIndex
from duckfeat.store import Store


@pytest.fixture
def cells(store: Store) -> Store:
    rows = [("neutrophil", "PMN"), ("T cell", "T lymphocyte|T-cell"), ("motor neuron", None)]
    store.save([store.ULabel(name=name, synonyms=synonyms) for name, synonyms in rows])
    return store


def test_synonyms_typos_and_typos_in_synonyms_are_told(cells: Store) -> None:
    values = ["T cell", "nuetrophil", "pmn", " T-cell ", "T lymphocite", "qwzxjkvb", 7, None, "nuetrophil"]
    found = cells.ULabel.inspect(values)
    assert found.validated == ["T cell"]
    assert found.non_validated == ["nuetrophil", "pmn", " T-cell ", "T lymphocite", "qwzxjkvb", 7, None]
    assert found.suggestions == {
        "nuetrophil": "neutrophil",
        "pmn": "neutrophil",
        " T-cell ": "T cell",
        "T lymphocite": "T cell",
    }
    assert "qwzxjkvb" not in found.suggestions
    assert found.suggestions.get("T cell") is None
    assert len(found.suggestions) == 4
    assert "not validated: 'pmn' (did you mean 'neutrophil'?)" in repr(found)


def test_fields_without_synonyms_are_inspected_as_well(store: Store) -> None:
    store.Artifact("s3://bucket/batch1.parquet", key="batch1.parquet", description="first").save()
    assert store.Artifact.inspect(["batch2.parquet"], field="key").suggestions == {"batch2.parquet": "batch1.parquet"}
    assert store.Artifact.inspect(["batch1.parquet"], field="key").suggestions == {}


def test_many_unknown_values_cost_no_search_before_they_are_looked_at(
    cells: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought: list[str] = []
    search = SearchIndex.search

    def noted(self: SearchIndex, string: str, **how: Any) -> Any:
        sought.append(string)
        return search(self, string, **how)

    monkeypatch.setattr(SearchIndex, "search", noted)
    found = cells.ULabel.inspect([f"neutrophil {number}" for number in range(10_000)])
    assert sought == []
    assert "... 9,980 more" in repr(found)
    assert len(sought) == 20
    assert "for some of 10,000 values" in repr(found.suggestions)
    assert found.suggestions["neutrophil 7"] == "neutrophil"
    assert len(sought) == 20


def test_few_suggestions_are_shown() -> None:
    assert repr(Suggestions(["neurn"], {"neurn": "neuron"}.get)) == "Suggestions({'neurn': 'neuron'})"


@pytest.mark.parametrize(
    "frame", [pandas.DataFrame({"a": ["x"]}), polars.DataFrame({"a": ["x"]})], ids=["pandas", "polars"]
)
def test_the_columns_of_a_frame_are_no_values(store: Store, frame: Any) -> None:
    label = store.ULabel(name="a").save()
    calls = [getattr(store.ULabel, name) for name in ("validate", "inspect", "standardize", "from_values")]
    for call in (*calls, label.add_synonym, lambda names: store.ULabel.filter(name__in=names)):
        with pytest.raises(InvalidArgument, match=r"list.*, not .*a DataFrame: pass a column of it"):
            call(frame)
    assert label.synonyms is None
