"""The tables propose every text that shares the grams or keys of a query."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duckfeat.query.search_grams import KEYS_MOST, GramTable, KeyTable
from duckfeat.query.search_text import normalise

short_texts = st.text(alphabet="abcdé細8", min_size=1, max_size=KEYS_MOST)


def grams(*texts: str) -> GramTable:
    return GramTable([GramTable.pairs(texts)], len(texts))


def keys(*texts: str) -> KeyTable:
    return KeyTable([KeyTable.pairs(texts, np.arange(len(texts)))])


def test_more_in_common_weighs_more() -> None:
    weights, total = grams("memory t cell", "memory b cell", "neuron").weigh("memory t cell")
    assert weights[0] > weights[1] > weights[2]
    assert weights[0] <= total


def test_neighbours_that_changed_places_still_count_in_short_texts() -> None:
    weights, _ = grams("brca1", "xyz", "a long text about brca1").weigh("rbca1")
    assert weights[0] > 0
    assert weights[1] == 0


def test_numbers_start_where_told() -> None:
    pairs = GramTable.pairs(["abc"], 41)
    assert set((pairs & np.uint64(0xFFFFFFFF)).tolist()) == {41}


def test_the_rarest_grams_are_followed_within_the_budget() -> None:
    table = grams(*["common cell"] * 50, "common cell rarex")
    weights, _ = table.weigh("common cell rarex", 10)
    assert weights[50] > 0
    assert weights[0] == 0


def test_texts_that_have_a_piece() -> None:
    table = grams("tnf alpha", "alphabet", "mu chain", "mutant")
    assert {0, 1} <= set(table.having("alpha").tolist())
    assert set(table.having(" mu ").tolist()) == {2}
    assert table.having("omega").tolist() == []


def test_empty_tables_answer() -> None:
    assert grams().weigh("abc")[0].tolist() == []
    assert KeyTable([]).find("abc").tolist() == []
    assert grams("").weigh("")[0].shape == (1,)


@given(short_texts, st.data())
def test_a_short_text_is_found_one_error_away(text: str, data: st.DataObject) -> None:
    text = normalise(text)
    table = keys("zzzz", text)
    at = data.draw(st.integers(0, len(text) - 1))
    typed = [
        text,
        text[:at] + text[at + 1 :],
        text[:at] + "q" + text[at + 1 :],
        text[:at] + "q" + text[at:],
        text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
    ]
    assert all(1 in table.find(query).tolist() for query in typed)


@given(st.text())
def test_a_text_of_any_length_is_found_by_its_whole_form(text: str) -> None:
    form = normalise(text).replace(" ", "")
    assert keys("other", form).find(form)[:1].tolist() == [1] or form == "other"


def test_whole_forms_come_first() -> None:
    assert keys("abce", "abc").find("abc").tolist()[0] == 1
