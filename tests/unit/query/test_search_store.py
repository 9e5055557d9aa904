"""Search over a store: its ranks, and that it follows every write, of this process and others, at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import FieldError, InvalidArgument
from duckfeat.query import search_indexes
from duckfeat.store import Store


def names(found: Any) -> list[str]:
    return [record.name for record in found]


def first(store: Store, typed: str) -> str | None:
    found = store.ULabel.search(typed, field="name", limit=1).first()
    return None if found is None else found.name


@pytest.fixture
def cells(store: Store) -> Store:
    """A store with some labels that have synonyms, searched once so that there is an index."""
    rows = [("neutrophil", "PMN"), ("T cell", "T lymphocyte|T-cell"), ("B cell", None), ("motor neuron", None)]
    store.save([store.ULabel(name=name, synonyms=synonyms) for name, synonyms in rows])
    assert first(store, "neutrophill") == "neutrophil"
    return store


# --- ranks ---------------------------------------------------------------------------------------


def test_the_exact_name_first_then_the_near_ones_in_a_fixed_order(store: Store) -> None:
    store.save(store.ULabel.from_values([f"ULabel{number}" for number in range(1, 8)], field="name"))
    found = store.ULabel.search("ULabel7", field="name").pl()
    assert found["name"].to_list() == ["ULabel7", *(f"ULabel{number}" for number in range(1, 7))]
    assert found["score"][0] == 100.0
    assert found["score"][1:].n_unique() == 1
    assert 60 < found["score"][1] < 100


def test_frames_have_the_score_and_keep_the_ranks(cells: Store) -> None:
    found = cells.ULabel.search("t cel")
    assert found.pl()["score"].is_sorted(descending=True)
    assert found.pl()["name"].to_list() == names(found)
    assert found.df()["score"].tolist() == found.arrow()["score"].to_pylist()
    assert found.pl()["score"].dtype == pl.Float64
    assert found.filter(name__startswith="T").pl()["name"].to_list() == ["T cell"]
    assert names(found[:1]) == ["T cell"]
    assert found.count() == len(found.to_list())


def test_names_come_before_synonyms(store: Store) -> None:
    store.save([store.ULabel(name="x", synonyms="TNF"), store.ULabel(name="TNF")])
    assert names(store.ULabel.search("tnf"))[:2] == ["TNF", "x"]
    assert names(store.ULabel.search("tnf", field="synonyms")) == ["x"]
    assert names(store.ULabel.search("tnf", field=[store.ULabel.synonyms, "name"]))[:2] == ["x", "TNF"]


def test_a_filtered_question_is_searched_within_its_rows(cells: Store) -> None:
    assert names(cells.ULabel.filter(synonyms__isnull=True).search("T cell")) == ["B cell"]
    assert names(cells.ULabel.exclude(name="T cell").search("T lymphocyte", limit=None)) == []
    assert names(cells.ULabel.filter(name="none of them").search("T cell")) == []
    assert names(cells.ULabel.search("cell").search("T cell", limit=1)) == ["T cell"]
    assert "motor neuron" not in names(cells.ULabel.search("cell").search("motor neuron"))


def test_no_limit_gives_everything_above_the_cut_off(store: Store) -> None:
    store.save([store.ULabel(name=f"sample {number:04}") for number in range(1_500)])
    assert store.ULabel.search("sample").count() == 20
    assert store.ULabel.search("sample", limit=None).count() == 1_500
    assert store.ULabel.search("sample", limit=0).count() == 0
    assert store.ULabel.search("qwzxjkvb", limit=None).count() == 0


def test_case_counts_if_asked(store: Store) -> None:
    store.save([store.ULabel(name="tnf"), store.ULabel(name="TNF")])
    assert store.ULabel.search("TNF").pl()["score"].to_list() == [100.0, 100.0]
    found = store.ULabel.search("TNF", case_sensitive=True).pl()
    assert found["name"][0] == "TNF"
    assert found["score"].to_list()[1:] != [100.0]


def test_greek_letters_punctuation_plurals_and_case(store: Store) -> None:
    others = [
        "TNFSF10",
        "TNFRSF1A",
        "LTA",
        "interferon gamma",
        "TGF-beta 1",
        "T-helper cell",
        "IL-1 alpha",
        "IL-1 beta",
    ]
    store.save([store.ULabel(name=name) for name in ["TNF-alpha", "neuron", *others]])
    for typed in ("TNF-alpha", "TNFa", "TNF α", "TNF-α", "tnf alpha", "TNFalpha", "TNFα", "tnf_a"):
        assert first(store, typed) == "TNF-alpha", typed
    assert first(store, "neurons") == "neuron"
    assert first(store, "TGFb1") == "TGF-beta 1"
    assert first(store, "IFN gamma interferon") == "interferon gamma"
    assert first(store, "IL1 β") == "IL-1 beta"


def test_values_of_every_type_are_found(store: Store) -> None:
    given: dict[str, Any] = {
        "count": 12345,
        "dose": 21.5,
        "protocol": "smart-seq2",
        "passed": True,
        "day": date(2024, 5, 17),
        "moment": datetime(2024, 5, 17, 12, 30, tzinfo=UTC),
        "settings": {"optimizer": "adamw"},
    }
    for name, value in given.items():
        feature = store.Feature(name=name, dtype=type(value)).save()
        store.FeatureValue.get_or_create(feature, value)

    def found(typed: str) -> str | None:
        value = store.FeatureValue.search(typed).first()
        return None if value is None or value.feature is None else value.feature.name

    assert found("12345") == "count"
    assert found("21.5") == "dose"
    assert found("smartseq 2") == "protocol"
    assert found("true") == "passed"
    assert found("2024-05-17") == "day"
    assert found("adamw") == "settings"
    score = store.FeatureValue.search("12345").pl()["score"][0]
    assert score == 100.0


def test_wrong_questions_say_what_is_wrong(cells: Store) -> None:
    with pytest.raises(InvalidArgument, match="takes a text, not 7"):
        cells.ULabel.search(7)  # type: ignore[arg-type]
    with pytest.raises(FieldError, match="is_type is not a text field"):
        cells.ULabel.search("x", field="is_type")
    with pytest.raises(FieldError, match="did you mean 'name'"):
        cells.ULabel.search("x", field="nam")
    with pytest.raises(InvalidArgument, match="search first"):
        cells.ULabel.filter()[:2].search("x")
    with pytest.raises(InvalidArgument, match="from 0, not -1"):
        cells.ULabel.search("x", limit=-1)


@pytest.mark.parametrize("joins_narrow", [True, False])
def test_found_rows_are_read_alike_however_the_engine_joins(
    store: Store, monkeypatch: pytest.MonkeyPatch, joins_narrow: bool
) -> None:
    monkeypatch.setattr(store._session.engine, "joins_narrow", joins_narrow)
    store.save([store.ULabel(name=f"sample {number:04}") for number in range(100)])
    for limit in (0, 1, 2, 3, 20, 50, 51, None):
        found = store.ULabel.search("sample 0042", limit=limit)
        ids = store._session.search.index(store.ULabel.all()._query, ("name",)).search("sample 0042", limit=limit)
        assert [record.id for record in found] == [hit.id for hit in ids]
        assert found.pl()["score"].to_list() == [hit.score for hit in ids]
        assert found.count() == len(ids)
    lookup = store.ULabel.lookup()
    assert [lookup[name].name for name in ("sample 0099", "sample 0000")] == ["sample 0099", "sample 0000"]
    assert [record.name for record in lookup.dict().values()] == [f"sample {number:04}" for number in range(100)]
    every = store.ULabel.lookup(keep=False)
    assert [record.name for record in every["sample 0007"]] == ["sample 0007"]


# --- writes --------------------------------------------------------------------------------------


def test_every_write_is_followed_at_once(cells: Store) -> None:
    label = cells.ULabel(name="oligodendrocyte").save()
    assert first(cells, "oligodendrocite") == "oligodendrocyte"
    label.name = "astrocyte"
    label.save()
    assert first(cells, "oligodendrocite") is None
    assert first(cells, "astrocite") == "astrocyte"
    cells.ULabel.filter(name="astrocyte").update(name="microglia")
    assert (first(cells, "astrocite"), first(cells, "micoglia")) == (None, "microglia")
    label = cells.ULabel.get(name="microglia")
    label.delete()
    assert first(cells, "micoglia") is None
    label.restore()
    assert first(cells, "micoglia") == "microglia"
    label.delete(permanent=True)
    assert first(cells, "micoglia") is None


def test_a_bulk_annotation_is_followed(store: Store) -> None:
    store.Record(name="plate one").save()
    assert names(store.Record.search("plate oen")) == ["plate one"]
    frame = pl.DataFrame({"name": ["plate seventeen"], "dose": [1.5]})
    store.annotate(frame, key="name", create="all")
    assert names(store.Record.search("plate sevnteen"))[0] == "plate seventeen"
    assert store.Feature.search("dsoe").first() is not None
    assert store.FeatureValue.search("1.5").first() is not None


def test_branches_have_their_own_names(cells: Store) -> None:
    cells.Branch(name="draft").save()
    cells.switch("draft")
    cells.ULabel(name="platelet").save()
    assert first(cells, "platlet") == "platelet"
    cells.switch("main")
    assert first(cells, "platlet") is None
    cells.switch("draft")
    assert first(cells, "platlet") == "platelet"


def test_a_reopened_store_finds_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "labels.duckdb"
    with dft.connect(path) as store:
        store.ULabel(name="neutrophil").save()
        assert first(store, "nuetrophil") == "neutrophil"
    with dft.connect(path) as store:
        assert first(store, "nuetrophil") == "neutrophil"


class Change(Exception):
    """Raised to roll back."""


@contextmanager
def rolled_back(store: Store) -> Iterator[None]:
    """Take back what the block writes."""
    with suppress(Change), store.transaction():
        yield
        raise Change


@pytest.mark.parametrize("apart_most", [search_indexes._APART_MOST, 0], ids=["beside the index", "an index of its own"])
def test_a_transaction_sees_its_own_writes_and_others_do_not(
    cells: Store, monkeypatch: pytest.MonkeyPatch, apart_most: int
) -> None:
    monkeypatch.setattr(search_indexes, "_APART_MOST", apart_most)
    ask = ThreadPoolExecutor(1).submit
    with rolled_back(cells):
        cells.ULabel(name="platelet").save()
        label = cells.ULabel.get(name="neutrophil")
        label.name = "eosinophil"
        label.save()
        assert (first(cells, "platlet"), first(cells, "eosinophill")) == ("platelet", "eosinophil")
        assert first(cells, "neutrofil") is None
        assert names(cells.ULabel.search("T lymphocyte"))[0] == "T cell"
        assert ask(first, cells, "platlet").result() is None
        assert ask(first, cells, "neutrofil").result() == "neutrophil"
        cells.ULabel.get(name="B cell").delete()
        assert "B cell" not in names(cells.ULabel.search("B cell"))
        assert "B cell" in ask(lambda: names(cells.ULabel.search("B cell", field="name"))).result()
    assert (first(cells, "platlet"), first(cells, "neutrofil"), first(cells, "B cel")) == (None, "neutrophil", "B cell")


def test_others_see_a_transaction_when_it_has_ended(cells: Store) -> None:
    ask = ThreadPoolExecutor(1).submit
    with cells.transaction():
        cells.ULabel(name="platelet").save()
        assert ask(first, cells, "platlet").result() is None
    assert ask(first, cells, "platlet").result() == "platelet"


def test_the_first_search_may_be_inside_a_transaction(store: Store) -> None:
    with rolled_back(store):
        store.ULabel(name="platelet").save()
        assert first(store, "platlet") == "platelet"
        store.ULabel(name="monocyte").save()
        assert first(store, "monocite") == "monocyte"
    assert first(store, "platlet") is None
    with store.transaction():
        assert first(store, "platlet") is None
    store.ULabel(name="platelet").save()
    assert first(store, "platlet") == "platelet"


def test_what_is_forgotten_inside_a_transaction_is_read_again(cells: Store) -> None:
    with cells.transaction():
        cells.ULabel(name="platelet").save()
        cells._session.search.clear()
        assert first(cells, "platlet") == "platelet"
        assert first(cells, "neutrofil") == "neutrophil"
    assert first(cells, "platlet") == "platelet"


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns after every few steps, as on a busy machine."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried")
def test_many_threads_find_what_each_of_them_wrote(cells: Store) -> None:
    def work(number: int) -> list[str | None]:
        found = []
        for turn in range(5):
            name = f"label {'abcdefgh'[number] * 6} {turn}"
            cells.ULabel(name=name).save()
            found.append(first(cells, name.upper()))
        return found

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert found == [[f"label {'abcdefgh'[number] * 6} {turn}" for turn in range(5)] for number in range(8)]


def test_rows_that_could_not_be_read_are_read_at_the_next_search(cells: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise Change

    cells.ULabel(name="platelet").save()
    with monkeypatch.context() as patch:
        patch.setattr(search_indexes.SearchIndexes, "_texts", broken)
        with pytest.raises(Change):
            cells.ULabel.search("platlet", field="name")
    assert first(cells, "platlet") == "platelet"


def test_an_index_that_was_cleared_while_it_was_made_is_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.ULabel(name="neutrophil").save()
    read = search_indexes.SearchIndexes._texts

    def written_meanwhile(self: Any, *arguments: Any) -> Any:
        rows = read(self, *arguments)
        monkeypatch.setattr(search_indexes.SearchIndexes, "_texts", read)
        writer = threading.Thread(target=lambda: (store.ULabel(name="platelet").save(), self.clear()))
        writer.start()
        writer.join()
        return rows

    monkeypatch.setattr(search_indexes.SearchIndexes, "_texts", written_meanwhile)
    assert first(store, "nuetrophil") == "neutrophil"
    assert first(store, "platlet") == "platelet"


def test_a_search_reads_the_store_once_and_then_only_what_was_written(cells: Store) -> None:
    statements: list[str] = []
    with cells._session.engine.trace(lambda sql, _: statements.append(sql)):
        cells.ULabel.search("neutrofil", field="name")
        assert statements == []
        cells.ULabel(name="platelet").save()
        statements.clear()
        cells.ULabel.search("platlet", field="name")
        cells.ULabel.search("platlet", field="name")
    assert len(statements) == 1


# --- memory --------------------------------------------------------------------------------------


def statements_of(store: Store, *fields: str) -> list[int]:
    """Return how many statements a search of each of the fields runs: none where its index is there."""
    counts = []
    for field in fields:
        ran: list[str] = []
        with store._session.engine.trace(lambda sql, _, ran=ran: ran.append(sql)):  # type: ignore[misc]
            store.ULabel.search("neutrophil", field=field)
        counts.append(len(ran))
    return counts


def test_what_was_searched_longest_ago_is_forgotten_first(cells: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert statements_of(cells, "synonyms", "uid", "name", "synonyms") == [1, 1, 0, 0]
    taken = sum(index.nbytes for index in cells._session.search._shared._indexes.values())
    monkeypatch.setattr(search_indexes, "MEMORY_MOST", taken - 1)
    # No label has a description, so that index takes nothing; uid was searched longest ago.
    assert statements_of(cells, "description", "name", "synonyms", "uid") == [1, 0, 0, 1]
    assert statements_of(cells, "uid", "synonyms") == [0, 0]
    cells.ULabel(name="platelet", synonyms="thrombocyte").save()
    assert statements_of(cells, "name", "name") == [1, 0]
    assert first(cells, "platlet") == "platelet"


def test_an_index_larger_than_all_may_be_is_kept_while_it_is_the_last(
    cells: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_indexes, "MEMORY_MOST", 1)
    assert statements_of(cells, "synonyms", "synonyms", "name", "name", "synonyms") == [1, 0, 1, 0, 1]
    cells.ULabel.get(name="neutrophil").delete()
    assert first(cells, "neutrofil") is None


def test_an_index_of_which_much_has_changed_is_made_anew(cells: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_indexes, "_STALE_MOST", 3)
    assert statements_of(cells, "name", "synonyms") == [0, 1]
    for number in range(5):
        cells.ULabel(name=f"platelet {number}").save()
    assert cells._session.search._shared._stale == {}
    assert statements_of(cells, "name", "name") == [1, 0]
    assert first(cells, "platlet 4") == "platelet 4"


# --- progress ------------------------------------------------------------------------------------


def test_the_first_search_shows_its_progress_where_it_is_seen(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store.save([store.ULabel(name=f"label {number}") for number in range(50)])
    monkeypatch.setattr("duckfeat.query.progress.DELAY", 0.0)
    store.ULabel.search("label", field="name")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    store.ULabel.search("label", field="description")
    store.ULabel.search("label", field=["name", "description"])
    shown = capsys.readouterr().err
    assert "search index of ULabel" in shown
    assert "50.0/50.0" in shown
