"""The tables propose every text that shares the grams or keys of a query."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duckfeat.query.search_grams import KEYS_MOST, GramTable, KeyTable, code_points
from duckfeat.query.search_text import normalise

short_texts = st.text(alphabet="abcdé細8", min_size=1, max_size=KEYS_MOST)


def grams(*texts: str) -> GramTable:
    return GramTable([GramTable.part(code_points(texts))], len(texts))


def keys(*texts: str) -> KeyTable:
    return KeyTable([KeyTable.pairs(code_points(texts), np.arange(len(texts)))])


def test_more_in_common_weighs_more() -> None:
    weights, total = grams("memory t cell", "memory b cell", "neuron").weigh("memory t cell")
    assert weights[0] > weights[1] > weights[2]
    assert weights[0] <= total


def test_neighbours_that_changed_places_still_count_in_short_texts() -> None:
    weights, _ = grams("brca1", "xyz", "a long text about brca1").weigh("rbca1")
    assert weights[0] > 0
    assert weights[1] == 0


def test_numbers_start_where_told() -> None:
    parts = [GramTable.part(code_points(["abc", "xyz"])), GramTable.part(code_points(["abd", "abc"]), 41)]
    assert GramTable(parts, 43).having("abc").tolist() == [0, 42]


def test_parts_make_the_table_that_one_part_makes() -> None:
    texts = [f"{first}{second}{first} cell" for first in "abcdefgh" for second in "xyzßé細"] * 40
    whole = grams(*texts)
    parts = [GramTable.part(code_points(texts[at : at + 100]), at) for at in range(0, len(texts), 100)]
    table = GramTable(parts, len(texts))
    for text in texts[:48]:
        assert table.having(text[:3]).tolist() == whole.having(text[:3]).tolist() != []
        assert table.weigh(text)[0].tolist() == whole.weigh(text)[0].tolist()
    assert table.nbytes == whole.nbytes


def test_what_stands_beyond_the_first_characters_gives_no_grams() -> None:
    long = "ab " * 200 + "xyz"
    assert grams(long, "xyz").having("xyz").tolist() == [1]
    assert grams("xyz" + long).having("xyz").tolist() == [0]


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
