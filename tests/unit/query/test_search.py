"""The score ranks texts as a person would, and says 100 of nothing but the text itself."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from duckfeat.query import search
from duckfeat.query.search import COSTS, CUTOFF, MAX_CHARS, Query, score
from duckfeat.query.search_text import normalise

DOCS = Path(__file__).parents[3] / "docs" / "search.md"


@pytest.mark.parametrize(
    ("query", "text"),
    [("T cell", "T cell"), ("t CELL", "T cell"), ("STRASSE", "Straße"), ("", ""), ("\x00", "\x00"), ("😀", "😀")],
)
def test_the_text_itself_scores_100(query: str, text: str) -> None:
    assert score(query, text) == 100.0


@given(st.text(), st.text(), st.booleans())
def test_nothing_else_does(query: str, text: str, case_sensitive: bool) -> None:
    same = query == text if case_sensitive else query.casefold() == text.casefold()
    found = score(query, text, case_sensitive=case_sensitive)
    assert (found == 100.0) == same
    assert 0.0 <= found <= 100.0


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("TNF alpha", "TNF-alpha"),
        ("TNF α", "TNF-alpha"),
        ("TNFa", "TNF-alpha"),
        ("TNFalpha", "TNF α"),
        ("tnf-a", "TNF-α"),
        ("Tcell", "T cell"),
        ("T cell", "T-cell"),
        ("Sjogren", "Sjögren"),
        ("Hodgkins", "Hodgkin's"),
        ("CD8+ T cell", "CD8-positive T cell"),
        ("CD4- T cell", "CD4-negative T cell"),
    ],
)
def test_what_reads_the_same_scores_just_below_100(query: str, text: str) -> None:
    assert 98.0 < score(query, text) < 100.0


@pytest.mark.parametrize(
    ("query", "nearer", "farther"),
    [
        # typing errors: each kind, and one against two
        ("neutrphil", "neutrophil", "neuropil"),
        ("nuetrophil", "neutrophil", "neuron"),
        ("neutrropphil", "neutrophil", "neutropenia"),
        ("nautrophil", "neutrophil", "autophil"),
        ("BRAC1", "BRCA1", "BRAP"),
        # a number tells things apart
        ("ULabel7", "ULabel77", "ULabel5"),
        ("CD8 T cel", "CD8 T cell", "CD4 T cell"),
        # words left out, in another order, joined, added
        ("CD8 T cell", "CD8-positive, alpha-beta T cell", "CD4-positive, alpha-beta T cell"),
        ("lung of epithelium", "epithelium of lung", "epithelium of liver"),
        ("Tcell memory", "memory T cell", "memory B cell"),
        ("human T cell", "T cell", "human B lymphocyte precursor"),
        # several at once
        ("lnug epitelium", "epithelium of lung", "lung"),
        ("memmory CD8 Tcell", "CD8-positive memory T cell", "CD8-positive T cell"),
        # starts and pieces
        ("neutro", "neutrophil", "neutrophil progenitor cell"),
        ("neutro", "neutrophil", "immature neutrophil"),
        ("orf112", "C1orf112", "C1orf12"),
        ("A", "A1", "A12"),
        ("A", "A1", "B a"),
        ("neu", "neu", "neuron"),
        ("neu", "neuron", "neuron motor cell"),
        ("neu", "neuron motor cell", "motor neuron"),
        ("neu", "neuron", "nu"),
        ("TP", "TP53", "TAP"),
        ("t c", "T cell", "Tc1 cell"),
        ("tc", "Tc1 cell", "T cell"),
        ("il2", "IL-2 receptor alpha", "IL-3 receptor alpha"),
        ("TNFa", "TNF-alpha receptor", "TNF-beta receptor"),
        ("cd8 t", "CD8-positive, alpha-beta memory T cell", "CD4-positive, alpha-beta memory T cell"),
        ("lung", "cell of lung of mouse", "mouse cell of the lung"),
        # plural, in either direction
        ("T cells", "T cell", "T cell line"),
        ("neuropathies", "neuropathy", "neuropathic"),
        # what is written decides between equals
        ("C' cell", "C' cell", "C cell"),
        ("KMT2bE", "KMT2E", "KMT2B"),
        # a Greek name behind the whole text is less than a wrong letter, also where that stands beside its Latin letter
        ("TNF-alpha", "TNF", "TNXA"),
        ("TNFα", "TNF", "TGFA"),
        ("TNF alpha", "TNF", "TNFSF4"),
        ("TNF-α", "TNFA", "TNF"),
        ("CD4 beta", "CD4", "C4B"),
        ("GATA1 delta", "GATA1", "GATAD1"),
        ("CD8 alpha", "CD8A", "CD8B"),
        ("p53 alpha", "TP53", "USP53"),
        ("gamma-delta T cell", "gamma-delta T cell line", "T cell"),
        # words by their first letter, or by their first and some later ones
        ("J F Kennedy Intl", "John F Kennedy Intl", "Kennedy"),
        ("C stage 02", "Carnegie stage 02", "stage 02"),
        ("Swdn", "Sweden", "Sudan"),
        ("Amrcn Samoa", "American Samoa", "Samoa"),
        ("e. active cell", "electrically active cell", "Be cell"),
        ("Western Kan", "Western Kanjobal", "Western Krahn"),
        ("Nrthern Trtry", "Northern Territory", "Northern Ireland"),
        # what stands between two numbers tells names apart, and is forgotten more easily than a digit
        ("MIR50-1", "MIR509-1", "MIR501"),
        ("RNU-637P", "RNU6-637P", "RNU6-37P"),
        ("MIR73", "MIR7-3", "MIR573"),
        ("plate 12", "plate 12 row 3", "plate 11 row 2"),
        # numbers that another word parts are not one number
        ("1-year-old stage 2", "1-year-old stage", "12-year-old stage"),
        ("14-month-old stage 2", "14-month-old stage", "142-month-old stage"),
        # what stands in brackets only tells names apart
        ("Kami", "Kami (Nigeria)", "Kwami"),
        ("Kami", "Kami [Nigeria]", "Kami Nigeria"),
        ("Kami", "Kamis", "Kami (Nigeria)"),
        # digits and the letters they are taken for
        ("Sa1a", "Sala", "Saba"),
        ("RP0", "RPO", "RPA"),
        # nonsense in common is not much
        ("lph", "LPH", "alpha thalassemia"),
    ],
)
def test_ranks_as_a_person_would(query: str, nearer: str, farther: str) -> None:
    assert score(query, nearer) > score(query, farther)
    assert score(query, nearer) >= CUTOFF


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("lph", "alpha thalassemia"),
        ("alpha", "alanine"),
        ("A", "B"),
        ("A", "BA"),
        ("tp", "ap"),
        ("xqzvkwjj", "neutrophil"),
        ("asdfgh", "ASD"),
        ("banana", "T cell"),
        ("x", ""),
    ],
)
def test_what_has_little_in_common_is_under_the_cutoff(query: str, text: str) -> None:
    assert score(query, text) < CUTOFF


@given(st.text(max_size=200), st.text(max_size=200), st.integers(1, 200))
@example("", "\u03b1-chain", 1)
@example("a " * 100, "z" * 100, 1)
def test_a_beginning_is_found_however_short_it_is(before: str, name: str, typed: int) -> None:
    start = name[:typed]
    begins = bool(normalise(start)) and normalise(name).startswith(normalise(start))
    assume(begins)
    assert score(start, name) >= CUTOFF
    later = f"{before} {name}"
    assume(f" {normalise(start)}" in normalise(later)[:MAX_CHARS])
    assert score(start, later) >= CUTOFF


_LONG = st.text("abcdefghijklmnopqrstuvwxyz", min_size=6, max_size=12)


@given(_LONG, st.lists(_LONG, max_size=8), st.integers(0, 5), st.sampled_from(["delete", "insert", "replace", "swap"]))
def test_a_word_with_one_typing_error_is_found_however_long_the_name(
    word: str, others: list[str], at: int, error: str
) -> None:
    typed = {
        "delete": word[:at] + word[at + 1 :],
        "insert": f"{word[:at]}q{word[at:]}",
        "replace": f"{word[:at]}q{word[at + 1 :]}",
        "swap": word[: at - 1] + word[at : at + 1] + word[at - 1 : at] + word[at + 1 :] if at else word,
    }[error]
    assert score(typed, " ".join([*others, word])) >= CUTOFF
    assert score(f"cell {typed}", " ".join([word, *others, "cell"])) >= CUTOFF


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("laguardia airport", "La Guardia"),
        ("killercell mouse", "natural killer cell, mouse"),
        ("mc carthy memorial", "Mccarthy Regional"),
        ("memory tcell human", "T cell, memory"),
    ],
)
def test_words_may_be_joined_where_others_are_left_out_or_added(query: str, text: str) -> None:
    assert score(query, text) > CUTOFF


@given(st.permutations(["CD8", "positive", "alpha", "beta", "memory", "T", "cell"]), st.integers(1, 7))
def test_some_words_of_a_name_are_found_in_any_order(words: list[str], count: int) -> None:
    assert score(" ".join(words[:count]), "CD8-positive, alpha-beta memory T cell") >= CUTOFF


def test_the_shares_are_published() -> None:
    text = DOCS.read_text()
    for share in (search.BEGINS, search.CONTAINS, search.NEARLY_CONTAINS):
        assert f"from {share.low:.0%} on, and stays below {100 * share.high:g}%" in text
    assert f"at least {search.BEGINS_LETTERS}" in text
    assert f"in a word of {search.NEARLY_LETTERS} letters or more" in text


@pytest.mark.parametrize(
    "text", ["IL-2", "a", "T cell", "neutrophil", "epithelial cell of lung", "CD8-positive T cell"]
)
@pytest.mark.parametrize("letters", [6, 7, 8, 9, 12, 20, 40, 300])
@pytest.mark.parametrize("words", [1, 2, 3, 8, 30])
def test_what_has_nothing_in_common_is_under_the_cutoff_however_long_it_is(text: str, letters: int, words: int) -> None:
    assert score(" ".join(["q" * letters] * words), text) < CUTOFF
    assert score("-".join(f"{'wxyz'[at % 4]}{'q' * (letters - 1)}" for at in range(words)), text) < CUTOFF


def test_a_word_in_a_long_sentence_is_not_what_was_meant() -> None:
    assert score("a very long description of something", "a") < CUTOFF
    assert score(f"{'x' * 300} T cell", "T cell") < CUTOFF
    assert score("human T cell", "T cell") > CUTOFF


def test_words_of_scripts_without_spaces_are_found_anywhere() -> None:
    assert score("太郎", "田中太郎") >= CUTOFF
    assert score("京", "東京大学") >= CUTOFF
    assert score("田中", "田中太郎") > score("太郎", "田中太郎")
    assert score("ロン", "ニューロン") >= CUTOFF
    assert score("rophil", "neutrophil progenitor cell") < CUTOFF


def test_the_beginning_of_a_name_may_be_joined_but_for_its_numbers() -> None:
    assert score("MIR-509", "MIR509-1") > score("MIR5-09", "MIR509-1")
    assert score("MIR5091", "MIR509-1-a") > score("MIR50-91", "MIR509-1-a")


def test_words_in_the_middle_of_a_name_may_be_joined() -> None:
    assert score("plate7", "run_03/plate-7.parquet") >= CUTOFF
    assert score("plate7", "run_03/plate-8.parquet") < CUTOFF
    assert score("late7", "run_03/plate-7.parquet") < CUTOFF


def test_zeros_in_front_of_a_number_hardly_count() -> None:
    meant = score("run_3/plate-7.parquet", "run_03/plate-7.parquet")
    assert meant > score("run_3/plate-7.parquet", "run_13/plate-7.parquet")
    assert meant > score("run_3/plate-7.parquet", "run_30/plate-7.parquet")
    assert score("day 1", "day 01") > score("day 1", "day 11")


def test_the_reference_example() -> None:
    near = score("ULabel7", "ULabel5")
    assert near == score("ULabel7", "ULabel6")
    assert CUTOFF < near < 100.0


def test_case_may_count() -> None:
    assert score("cd8", "CD8", case_sensitive=True) < score("CD8", "CD8", case_sensitive=True) == 100.0
    assert CUTOFF < score("Cd8a1", "CD8a1", case_sensitive=True) < score("Cd8-a1", "CD8a1") < 100.0


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_floor_changes_no_score_at_or_above_it(query: str, text: str) -> None:
    exact = score(query, text)
    assert Query(query).score(text, floor=exact) == exact


@given(st.text(alphabet="ab α-+'8", max_size=12), st.text(alphabet="ab α-+'8", max_size=12))
def test_a_floor_changes_no_score_of_much_alike_texts(query: str, text: str) -> None:
    exact = score(query, text)
    for floor in (0.0, exact / 2, exact):
        assert Query(query).score(text, floor=floor) == exact


def test_long_texts_are_told_apart_by_their_ends_when_equal_at_the_start() -> None:
    long = "word " * MAX_CHARS
    assert score(long + "a", long + "a") == 100.0
    assert score(long + "a", long + "b") < 100.0
    assert score("x" * 200_000, "x" * 200_001) < 100.0


def test_many_words_are_compared_without_pairing_them() -> None:
    query = " ".join(f"word{number}" for number in range(30))
    text = " ".join(f"wurd{number}" for number in range(30))
    assert score(query, text) > CUTOFF


def test_of_the_same_words_those_that_stayed_together_are_meant() -> None:
    typed = "CD11b-high CD27-low, natural killer cell, mouse"
    meant, other = "CD27-low, CD11b-high natural killer cell, mouse", "CD27-high, CD11b-low natural killer cell, mouse"
    assert score(typed, meant) > score(typed, other) > CUTOFF
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    # However many are parted, the order alone never hides a name.
    assert score(" ".join(words[::2] + words[1::2]), " ".join(words)) > 95


def test_a_word_typed_wrong_is_likelier_than_one_added() -> None:
    assert score("rntedic neuron", "enteric neuron") > score("rntedic neuron", "neuron") > CUTOFF
    assert score("human neuron", "neuron") > score("human neuron", "motor neuron")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("Yeme sample", "Yemen"),
        ("sample rance", "France"),
        ("normal Swden", "Sweden"),
        ("Bdtt Intl", "Baudette Intl"),
        ("Nrwy", "Norway"),
        ("Sml", "Somalia"),
        ("Taiwan,l of China", "Taiwan, Province of China"),
    ],
)
def test_a_short_name_with_two_kinds_of_error_is_found(query: str, text: str) -> None:
    assert score(query, text) > CUTOFF


def test_a_tiny_word_is_not_what_another_word_was_added_to() -> None:
    assert score("e. active cell", "Be cell") < score("e. active cell", "cell")


@pytest.mark.parametrize(("query", "text"), [("swn", "Sweden"), ("tcl2", "TCTEX1D2"), ("nrwy", "Ionorway")])
def test_a_few_letters_of_a_word_are_no_short_form(query: str, text: str) -> None:
    assert score(query, text) < CUTOFF


def test_a_repeated_word_is_matched_as_often_as_it_stands() -> None:
    assert score("a b a", "a a b") > score("a b a", "a b")


def test_every_cost_is_published() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", DOCS.read_text(), re.MULTILINE))
    assert {name: float(cost) for name, cost in listed.items()} == dataclasses.asdict(COSTS)


def test_the_levels_are_published() -> None:
    text = DOCS.read_text()
    for level in (search.SAME_FORM, search.SAME_JOINED, search.CEILING, search.SPOKEN):
        assert str(level) in text
    assert f"| under {CUTOFF:g} |" in text
    assert f"{MAX_CHARS:,} characters" in text
