"""The index finds what was meant, follows every write, and agrees with the score."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duckfeat.errors import InvalidArgument
from duckfeat.query import search_index, search_segment
from duckfeat.query.search import CUTOFF, score
from duckfeat.query.search_index import Hit, SearchIndex
from duckfeat.query.search_text import normalise

CELLS = [
    "neutrophil",
    "neuron",
    "motor neuron",
    "T cell",
    "B cell",
    "regulatory T cell",
    "CD8-positive, alpha-beta T cell",
    "CD4-positive, alpha-beta T cell",
    "CD8-positive, alpha-beta memory T cell",
    "gamma-delta T cell",
    "epithelial cell of lung",
    "epithelial cell of stomach",
    "natural killer cell",
    "plasmacytoid dendritic cell",
    "hematopoietic stem cell",
]
SYNONYMS = (
    [None] * 3 + ["T lymphocyte|T-lymphocyte", "B lymphocyte", "Treg"] + [None] * 6 + ["NK cell|NK", "pDC", "HSC"]
)
GENES = ["TP53", "TNF", "CD4", "CD8A", "CD8B", "BRCA1", "BRCA2", "EGFR", "C2", "F8", "MIR21", "IL2", "IL2RA", "XIST"]


def spread(names: Sequence[str], more: int = 3_000) -> SearchIndex:
    """Return an index of the names among so many others that most are never scored."""
    draw = random.Random(7)  # noqa: S311 -- made-up names keep no secret
    others = ["".join(draw.choices(string.ascii_letters, k=draw.randint(3, 9))) for _ in range(more)]
    words = [" ".join(draw.sample(others, 3)) for _ in range(more)]
    texts = [*names, *others, *words]
    return SearchIndex.build(range(len(texts)), [texts])


def best(index: SearchIndex, string: str) -> str | None:
    hits = index.search(string, limit=1)
    return hits[0].text if hits else None


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("nuetrophil", "neutrophil"),
        ("neutrophils", "neutrophil"),
        ("Tcell", "T cell"),
        ("T lymphocite", "T cell"),
        ("treg", "regulatory T cell"),
        ("alpha-beta T cell CD8+", "CD8-positive, alpha-beta T cell"),
        ("memory CD8 Tcell", "CD8-positive, alpha-beta memory T cell"),
        ("γδ T cell", "gamma-delta T cell"),
        ("lung epithelial cell", "epithelial cell of lung"),
        ("lnug epithelial cell", "epithelial cell of lung"),
        ("killer natural cel", "natural killer cell"),
        ("plasmocytoid dendritic", "plasmacytoid dendritic cell"),
        ("HEMATOPOIETIC STEM", "hematopoietic stem cell"),
        ("pdc", "plasmacytoid dendritic cell"),
    ],
)
def test_finds_what_was_meant(query: str, name: str) -> None:
    index = SearchIndex.build(range(len(CELLS)), [CELLS, SYNONYMS])
    assert CELLS[index.search(query)[0].id] == name


@pytest.mark.parametrize("name", CELLS)
def test_finds_it_among_many(name: str) -> None:
    index = spread(CELLS)
    draw = random.Random(name)  # noqa: S311 -- nor does the place of an error
    assert best(index, name.upper()) == name
    at = draw.randrange(1, len(name) - 1)
    assert best(index, name[:at] + name[at + 1 :]) == name
    assert best(index, " ".join(reversed(name.split()))) == name


@pytest.mark.parametrize("name", GENES)
def test_a_short_name_one_error_away_is_always_proposed(name: str) -> None:
    index = spread(GENES)
    for at in range(len(name)):
        wrong = [name[:at] + name[at + 1 :], name[:at] + "ß" + name[at + 1 :], name[:at] + "q" + name[at:]]
        if at + 1 < len(name):
            wrong.append(name[:at] + name[at + 1] + name[at] + name[at + 2 :])
        for typed in wrong:
            found = {hit.text for hit in index.search(typed, limit=100)}
            assert name in found or score(typed, name) < CUTOFF


def test_the_best_of_many_are_found_by_their_beginning() -> None:
    names = [*CELLS, *GENES, "IL-2 receptor", "α-chain", "x", "βββ", "+-"]
    index = spread(names)
    texts = [text for segment in index._segments for text in segment.texts.listed()]
    forms = {text: normalise(text).replace(" ", "") for text in texts}
    for typed in {name[:count].rstrip() for name in names for count in (1, 2, 3, 5)}:
        start = normalise(typed).replace(" ", "")
        begin = [text for text in texts if forms[text].startswith(start)]
        hits = index.search(typed)
        found = [hit.score for hit in hits if forms[hit.text].startswith(start)]
        assert found == sorted((score(typed, text) for text in begin), reverse=True)[: len(found)]
        assert len(found) == len(begin) or len(hits) == 20


def test_all_that_begin_so_are_found_without_a_limit() -> None:
    index = spread([*CELLS, *GENES])
    texts = [text for segment in index._segments for text in segment.texts.listed()]
    for typed in ("n", "T", "tp", "cel", "CD8", "neuron", "T c"):
        form = normalise(typed)
        begins = {text for text in texts if f" {normalise(text)}".find(f" {form}") >= 0}
        assert begins <= {hit.text for hit in index.search(typed, limit=None)}


def test_a_mangled_word_beside_one_that_very_many_texts_have_is_found() -> None:
    draw = random.Random(3)  # noqa: S311 -- made-up names keep no secret
    words = ["".join(draw.choices("chronilesta", k=draw.randint(3, 9))) for _ in range(3_000)]
    names = [f"{word} disease" for word in words] + [f"chronic {word} disease" for word in words[:500]]
    index = SearchIndex.build(range(len(names) + 1), [[*names, "Crohn disease"]])
    assert "Crohn disease" in [hit.text for hit in index.search("chron disease", limit=5)]


@pytest.mark.parametrize("typed", ["mirgatory cell", "cardica cell", "celll", "B cll", "t", "", "+", "natural killr"])
def test_who_asks_for_one_gets_the_first_of_twenty(typed: str) -> None:
    cells = [f"{word} cell" for word in ("migratory dendritic", "cardiac muscle", "secretory", "migrant", "cortical")]
    index = spread([*CELLS, *cells, *(f"{first}{second} cell" for first in "abcdefgh" for second in "rstuvwxyz")])
    hits = index.search(typed)
    for limit in (1, 2, 5):
        assert index.search(typed, limit=limit) == hits[:limit]


def test_a_word_left_out_and_another_mangled() -> None:
    others = [f"{first}{second}{third} cell" for first in "mcr" for second in "aeiou" for third in "abcdefghijklmn"]
    index = SearchIndex.build(
        range(len(others) + 2), [[*others, "migratory dendritic cell", "cardiac mesenchymal cell"]]
    )
    assert best(index, "mirgatory cell") == "migratory dendritic cell"
    assert best(index, "cardica cell") == "cardiac mesenchymal cell"


def test_words_of_scripts_without_spaces_are_found_among_many() -> None:
    index = spread(["田中太郎", "東京大学の教授と学生の名簿", "ニューロン"])
    for typed, name in [
        ("太", "田中太郎"),
        ("太郎", "田中太郎"),
        ("教授", "東京大学の教授と学生の名簿"),
        ("ロン", "ニューロン"),
    ]:
        assert best(index, typed) == name


def test_a_beginning_is_sought_among_the_allowed_only() -> None:
    index = spread(GENES)
    hits = index.search("t", within=[GENES.index("TNF"), GENES.index("CD4"), 200])
    assert [hit.text for hit in hits if hit.text in GENES] == ["TNF"]
    index.remove([GENES.index("TNF")])
    assert "TNF" not in {hit.text for hit in index.search("tn", limit=None)}
    index.add([GENES.index("TNF")], [["TNG"]])
    assert "TNG" in {hit.text for hit in index.search("tn")}


def test_beginnings_take_little_memory() -> None:
    index = spread(GENES)
    before = index.nbytes
    index.search("t")
    assert index.nbytes == before + 4 * len(index)


def test_a_name_a_little_longer_than_short_ones_is_proposed_as_well() -> None:
    # Short texts are found by their pairs of letters too, which must not hide the next longer ones.
    others = [f"m{first}{second}or cell" for first in string.ascii_lowercase for second in string.ascii_lowercase]
    index = SearchIndex.build(range(len(others) + 1), [[*others, "memory B cell"]])
    assert best(index, "memor B cell") == "memory B cell"


def test_ulabels() -> None:
    names = [f"ULabel{number}" for number in range(1, 9)]
    hits = SearchIndex.build(range(1, 9), [names]).search("ULabel7")
    assert (hits[0].text, hits[0].score) == ("ULabel7", 100.0)
    assert [hit.text for hit in hits[1:]] == [name for name in names if name != "ULabel7"]
    assert len({hit.score for hit in hits[1:]}) == 1


def test_ties_go_by_field_then_spelling_then_id() -> None:
    index = SearchIndex.build([5, 4, 3, 2, 1], [["tnf", "x1", "TNF", "TNF", "Tnf"], [None, "TNF", None, None, None]])
    hits = index.search("TNF")
    assert [(hit.id, hit.text, hit.field) for hit in hits[:5]] == [
        (2, "TNF", 0),
        (3, "TNF", 0),
        (1, "Tnf", 0),
        (5, "tnf", 0),
        (4, "TNF", 1),
    ]


def test_a_record_counts_once_by_its_best_text() -> None:
    hits = SearchIndex.build([1], [["T cell"], ["T cells|T-cell"]]).search("T-cell")
    assert hits == [Hit(1, 100.0, "T-cell", 1)]


def test_fields_are_split_as_told() -> None:
    texts = [["a|b"], ["c|d"]]
    assert SearchIndex.build([1], texts).search("d")[0].text == "d"
    assert SearchIndex.build([1], texts, split=[]).search("c|d")[0] == Hit(1, 100.0, "c|d", 1)
    assert SearchIndex.build([1], texts, split=[0]).search("a")[0] == Hit(1, 100.0, "a", 0)


def test_case_may_count() -> None:
    index = SearchIndex.build([1, 2], [["Actb", "ACTB"]])
    assert [hit.score for hit in index.search("actb")] == [100.0, 100.0]
    hits = index.search("Actb", case_sensitive=True)
    assert (hits[0].id, hits[0].score) == (1, 100.0)
    assert all(hit.score < 100 for hit in hits[1:])


def test_nonsense_finds_nothing() -> None:
    index = SearchIndex.build(range(len(CELLS)), [CELLS, SYNONYMS])
    for nonsense in ("xqzvkw jjkqx", "asdfghjkl", "lorem ipsum", "", "???", "\x00", "😀"):
        assert index.search(nonsense) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+++",
        "a\x00b",
        "a\nb",
        "😀😀",
        "細胞",
        "клетка крови",
        "हिन्दी",
        "Ελληνικά",
        "e\u0301",
        "\ud800",
        "x" * 5_000,
    ],
)
def test_any_text_finds_itself(text: str) -> None:
    index = spread([text])
    assert index.search(text)[0] == Hit(0, 100.0, text, 0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=30), st.data())
def test_every_text_finds_itself(texts: list[str], data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from(texts))
    hits = SearchIndex.build(range(len(texts)), [texts]).search(wanted, limit=None)
    assert hits[0].text == wanted
    assert hits[0].score == 100.0
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(hit.score == score(wanted, hit.text) >= CUTOFF for hit in hits)


def test_a_small_index_scores_every_text() -> None:
    hits = SearchIndex.build(range(len(CELLS)), [CELLS]).search("T cel", limit=None)
    scores = {name: score("T cel", name) for name in CELLS}
    assert {hit.text: hit.score for hit in hits} == {
        name: points for name, points in scores.items() if points >= CUTOFF
    }


# --- limits and subsets --------------------------------------------------------------------------


def test_limits() -> None:
    names = [f"sample {number:04}" for number in range(2_000)]
    index = spread(names)
    near = {name for name in names if score("sample 0042", name) >= CUTOFF}
    assert len(index.search("sample 0042")) == 20
    assert len(index.search("sample 0042", limit=3)) == 3
    assert index.search("sample 0042", limit=0) == []
    assert {hit.text for hit in index.search("sample 0042", limit=500)} == near
    assert {hit.text for hit in index.search("sample 0042", limit=None)} == near
    assert index.search("sample 0042")[0].text == "sample 0042"


def test_search_among_some_ids() -> None:
    names = [f"sample {number:04}" for number in range(2_000)]
    index = SearchIndex.build(range(2_000), [names])
    assert [hit.id for hit in index.search("sample 0042", within=[7, 42, 99_999])] == [42, 7]
    odd = range(1, 2_000, 2)
    assert {hit.id % 2 for hit in index.search("sample 0042", within=odd)} == {1}
    assert index.search("sample 0043", within=odd)[0] == Hit(43, 100.0, "sample 0043", 0)
    assert index.search("sample 0042", within=[]) == []
    index.remove([43])
    assert 43 not in {hit.id for hit in index.search("sample 0043", within=odd)}


# --- writes --------------------------------------------------------------------------------------


def test_what_is_added_is_found_at_once() -> None:
    index = SearchIndex()
    assert index.search("a") == []
    assert len(index) == 0
    for number, name in enumerate(CELLS):
        index.add([number], [[name]])
        assert index.search(name)[0] == Hit(number, 100.0, name, 0)
    assert len(index) == len(CELLS)


def test_what_is_removed_is_gone_at_once() -> None:
    index = SearchIndex.build(range(len(CELLS)), [CELLS, SYNONYMS])
    index.add([100], [["late cell"], [None]])
    index.remove([3, 100, 555])
    assert 3 not in {hit.id for hit in index.search("T cell")}
    assert 3 not in {hit.id for hit in index.search("T lymphocyte")}
    assert "late cell" not in {hit.text for hit in index.search("late cell")}
    index.remove(range(len(CELLS)))
    assert index.search("neuron") == []
    assert len(index) == 0


def test_adding_again_replaces() -> None:
    index = SearchIndex.build([1, 2], [["old name", "other"]])
    index.add([1], [["new name"]])
    index.add([1], [["newer name"]])
    assert [hit.text for hit in index.search("newer name", limit=None)] == ["newer name"]
    assert len(index) == 2


def test_an_index_grown_by_writes_agrees_with_one_built_whole() -> None:
    draw = random.Random(3)  # noqa: S311 -- made-up names keep no secret
    names = ["".join(draw.choices("abcde ", k=draw.randint(2, 14))) for _ in range(1_200)]
    whole = SearchIndex.build(range(0, 1_200, 2), [names[::2]])
    grown = SearchIndex.build(range(400), [names[:400]])
    for start in range(400, 1_200, 90):
        grown.add(range(start, min(start + 90, 1_200)), [names[start : start + 90]])
        grown.search("settle")
    grown.remove(range(1, 1_200, 2))
    assert len(grown) == len(whole)
    assert all(hit.id % 2 == 0 for name in names[:40] for hit in grown.search(name))
    for name in names[::60]:
        assert grown.search(name, limit=None) == whole.search(name, limit=None)


def test_small_writes_leave_few_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    index = SearchIndex.build(range(500), [[f"base {number}" for number in range(500)]])
    for number in range(500, 600):
        index.add([number], [[f"more {number}"]])
        index.search("more")
    assert len(index._segments) <= 4
    monkeypatch.setattr(search_index, "_MERGED_MOST", 50)
    index.add([1_000], [["last"]])
    assert index.search("last")[0].id == 1_000


def test_chunks_meet_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_segment, "CHUNK", 7)
    seen: list[tuple[int, int]] = []
    index = SearchIndex.build(range(len(CELLS)), [CELLS], progress=lambda done, every: seen.append((done, every)))
    assert seen == [(7, 15), (14, 15), (15, 15)]
    for number, name in enumerate(CELLS):
        assert index.search(name)[0] == Hit(number, 100.0, name, 0)


def test_its_memory_is_known() -> None:
    index = spread(CELLS)
    assert 100_000 < index.nbytes < 5_000_000


# --- wrong arguments -----------------------------------------------------------------------------


def test_wrong_arguments_say_what_is_wrong() -> None:
    index = SearchIndex.build([1], [["a"]])
    with pytest.raises(InvalidArgument, match="field 1 has 2 texts for 1 ids"):
        SearchIndex.build([1], [["a"], ["b", "c"]])
    with pytest.raises(InvalidArgument, match="limit must not be negative, but is -1"):
        index.search("a", limit=-1)
    with pytest.raises(InvalidArgument, match="takes a string, not NoneType"):
        index.search(None)  # type: ignore[arg-type]  # what a caller without types may pass


def test_columns_may_be_arrow() -> None:
    names, synonyms = pa.array(CELLS), pa.chunked_array([SYNONYMS[:4], SYNONYMS[4:]])
    read = SearchIndex.build(range(len(CELLS)), [names, synonyms])
    listed = SearchIndex.build(range(len(CELLS)), [CELLS, SYNONYMS])
    for typed in (*CELLS, "T lymphocite", "treg", "nk"):
        assert read.search(typed, limit=None) == listed.search(typed, limit=None) != []
    assert len(read) == len(listed)
    read.add([99], [pa.array(["microglia"]), pa.nulls(1)])
    assert read.search("micoglia", limit=1)[0].id == 99


def test_ids_and_columns_may_be_arrays() -> None:
    texts: Any = [np.array(["a1", "b1"], object)]
    ids: Any = np.array([3, 4])
    index = SearchIndex.build(ids, texts)
    assert index.search("b1")[0] == Hit(4, 100.0, "b1", 0)
    assert type(index.search("b1")[0].id) is int
