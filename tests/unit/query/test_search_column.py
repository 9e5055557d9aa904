"""Columns of texts hold what they were made from, whatever that is, and their normal forms are those of each text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckfeat.query.search_column import TextColumn
from duckfeat.query.search_fold import folded
from duckfeat.query.search_grams import code_points
from duckfeat.query.search_text import normalise

signs = st.one_of(st.characters(), st.sampled_from("ab \n|'-+éα細\ud800"))
texts = st.lists(st.text(alphabet=signs, max_size=12), max_size=8)
unicode_cells = st.lists(
    st.one_of(st.none(), st.text(alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("|a")))),
    max_size=8,
)

SHAPES: dict[str, Any] = {
    "list": lambda cells: cells,
    "objects": lambda cells: np.array(cells, object),
    "string": lambda cells: pa.array(cells, pa.string()),
    "large_string": lambda cells: pa.array(cells, pa.large_string()),
    "string_view": lambda cells: pa.array(cells, pa.string_view()),
    "dictionary": lambda cells: pa.array(cells, pa.string()).dictionary_encode(),
    "slice": lambda cells: pa.array(["before", *cells, "behind"], pa.string())[1:-1],
    "chunks": lambda cells: pa.chunked_array([cells[:2], [], cells[2:]], pa.string()),
}


@pytest.mark.parametrize("shape", SHAPES)
@given(cells=unicode_cells)
def test_a_column_of_any_shape_is_read(shape: str, cells: list[str | None]) -> None:
    column = SHAPES[shape](cells)
    there = [(place, cell) for place, cell in enumerate(cells) if cell is not None]
    found, places = TextColumn.read(column)
    assert list(zip(places.tolist(), found.listed(), strict=True)) == there
    found, places = TextColumn.read(column, split=True)
    pieces = [(place, piece) for place, cell in there for piece in cell.split("|")]
    assert list(zip(places.tolist(), found.listed(), strict=True)) == pieces


def test_a_column_without_any_text_is_empty() -> None:
    for column in (pa.nulls(3), pa.chunked_array([], pa.string()), [None], []):
        found, places = TextColumn.read(column, split=True)
        assert (len(found), found.listed(), places.tolist()) == (0, [], [])


@given(texts, texts, st.data())
def test_columns_are_joined_cut_and_taken_from(one: list[str], other: list[str], data: st.DataObject) -> None:
    column = TextColumn.joined([TextColumn.of(one), TextColumn.of(other)])
    listed = one + other
    assert column.listed() == listed
    first = data.draw(st.integers(0, len(listed)))
    stop = data.draw(st.integers(first, len(listed)))
    part = column.part(first, stop)
    assert part.listed() == listed[first:stop]
    assert part.sizes(np.arange(len(part))).tolist() == [
        len(text.encode("utf-8", "surrogatepass")) for text in listed[first:stop]
    ]
    forms = [text.replace("\n", " ") for text in listed]
    assert TextColumn.of(forms).points().tolist() == code_points(forms).tolist()


@given(texts)
def test_many_texts_have_the_normal_forms_of_each(listed: list[str]) -> None:
    assert folded(TextColumn.of(listed), 1_000).listed() == [normalise(text) for text in listed]


def test_every_sign_of_ascii_has_its_normal_form() -> None:
    listed = [f"{left}a{chr(code)}b{right}" for code in range(128) for left in ("", " ", "-") for right in ("", "\t")]
    listed += [chr(code) for code in range(128)]
    assert folded(TextColumn.of(listed), 1_000).listed() == [normalise(text) for text in listed]


def test_a_normal_form_is_cut_where_told() -> None:
    listed = ["abcdef", "é" * 9, "ab", "--ab", "a  b  c"]
    assert folded(TextColumn.of(listed), 3).listed() == ["abc", "eee", "ab", "ab", "a b"]


def test_a_part_of_a_column_shares_its_memory() -> None:
    column = TextColumn.of(["abc", "def"] * 100)
    assert np.shares_memory(column.part(10, 20).data, column.data)
    assert column.nbytes == 4 * 200 + 4 * 201
