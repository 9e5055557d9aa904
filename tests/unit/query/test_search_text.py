"""The normal form of texts is the same one by one and in bulk, in every script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckfeat.query.search_text import GREEK, GREEK_PIECES, compact, cut, normalise, normalise_rows


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("T-cell", "t cell"),
        ("  T   cell\t", "t cell"),
        ("CD8+, alpha/beta", "cd8 alpha beta"),
        ("Hodgkin's", "hodgkins"),
        ("Hodgkin’s", "hodgkins"),
        ("a_b", "a b"),
        ("TNF-α", "tnf alpha"),
        ("TNFα", "tnf alpha"),
        ("γδ T cell", "gamma delta t cell"),
        ("µm", "mu m"),
        ("Ελληνικά", "ελληνικα"),
        ("Sjögren", "sjogren"),
        ("Sjo\u0308gren", "sjogren"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("Øresund", "oresund"),
        ("encyclopædia", "encyclopaedia"),
        ("Ⅳ", "iv"),
        ("ＡＢＣ", "abc"),
        ("5 ℃", "5 c"),
        ("हिन्दी", "हिन्दी"),
        ("がん", "がん"),
        ("細胞", "細胞"),
        ("клетка", "клетка"),
        ("a\nb\r\nc", "a b c"),
        ("a\x00b", "a b"),
        ("", ""),
        ("   ", ""),
        ("+++", "+++"),
        ("😀", "😀"),
        ("😀 face", "face"),
        ("\ud800", "\ud800"),
    ],
)
def test_normal_form(text: str, normal: str) -> None:
    assert normalise(text) == normal
    assert normalise_rows(["x", text, "y"]) == ["x", normal, "y"]


def test_case_may_be_kept() -> None:
    assert normalise("T-Cell Straße", fold=False) == "T Cell Straße"
    assert normalise_rows(["T-Cell", "+A+"], fold=False) == ["T Cell", "A"]


@given(st.lists(st.text()), st.booleans())
def test_rows_are_normalised_as_single_texts_are(texts: list[str], fold: bool) -> None:
    assert normalise_rows(texts, fold=fold) == [normalise(text, fold=fold) for text in texts]


@given(st.text())
def test_a_normal_form_has_no_stray_blanks(text: str) -> None:
    assert normalise(text).split(" ") == normalise(text).split() or normalise(text) == ""


@pytest.mark.parametrize(
    ("normal", "hasty"),
    [
        ("tnf alpha", "tnfa"),
        ("tnfalpha", "tnfa"),
        ("alpha beta t cell", "abtcell"),
        ("interferon gamma 1", "interferong1"),
        ("mu chain", "mchain"),
        ("biota", "biota"),
        ("taxi", "taxi"),
        ("alphabet", "alphabet"),
    ],
)
def test_hasty_form(normal: str, hasty: str) -> None:
    assert compact(normal.split()) == hasty


def test_every_greek_name_is_shortened_and_is_looked_for() -> None:
    pieces = {piece.strip() for piece in GREEK_PIECES}
    assert pieces == {name for name, _ in GREEK.values()}
    assert all(compact([name]) == latin for name, latin in GREEK.values())


def test_cut_keeps_what_is_short() -> None:
    texts = ["ab", "c"]
    assert cut(texts, 2) is texts
    assert cut(texts, 1) == ["a", "c"]
    assert cut([], 1) == []
