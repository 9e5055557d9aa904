"""Lookups give records by attribute and by value, and read nothing that is not asked for."""

from __future__ import annotations

import copy
import keyword
import pickle
import unicodedata
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckfeat.errors import DuckfeatError, InvalidArgument, LookupMissing
from duckfeat.query.lookup import Keep, Lookup, LookupDict, UnknownName
from duckfeat.query.lookup_completion import complete
from duckfeat.query.lookup_names import attribute_name


class Source:
    """Values whose records are their positions as text; remembers what was read and loaded."""

    def __init__(self, *values: str | None) -> None:
        self.values = values
        self.reads = 0
        self.loads: list[list[int]] = []

    def keys(self) -> Sequence[str | None]:
        self.reads += 1
        return self.values

    def load(self, positions: Sequence[int], /) -> list[object]:
        self.loads.append(list(positions))
        return [f"record {position}" for position in positions]


def lookup_of(*values: str | None, keep: Keep = "first") -> Lookup:
    return Lookup(Source(*values), label="Gene.symbol", keep=keep)


def names_of(lookup: Lookup) -> list[str]:
    """Return the attributes that stand for values, in the order of the values."""
    return list(lookup._entries.names)


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("ADGB-DT", "adgb_dt"),
        ("ENSG00000002745", "ensg00000002745"),
        ("T cell, CD8+", "t_cell_cd8_"),
        ("  padded  ", "padded_"),
        ("5S rRNA", "_5s_rrna"),
        ("_private", "private"),
        ("__class__", "class_"),
        ("class", "class_"),
        ("None", "none"),
        ("dict", "dict_"),
        ("keys", "keys"),
        ("TNF-α", "tnf_α"),
        ("ΟΔΟΣ", "οδος"),
        ("µm", "μm"),
        ("ﬁbroblast", "fibroblast"),
        ("①", "_1"),
        ("İ", "i̇"),
        ("T細胞", "t細胞"),
        ("हिन्दी", "हिन्दी"),
        ("\u0301x", "_\u0301x"),
        ("a\nb", "a_b"),
        ("a\0b", "a_b"),
        ("\ud800", "unnamed"),
        ("+", "unnamed"),
        ("", "unnamed"),
        ("💉", "unnamed"),
    ],
)
def test_name_of_a_value(value: str, name: str) -> None:
    assert attribute_name(value) == name
    assert getattr(lookup_of(value), name) == "record 0"


@given(st.text())
def test_every_value_has_a_name_that_can_be_typed(value: str) -> None:
    name = attribute_name(value)
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    assert unicodedata.normalize("NFKC", name) == name


@given(st.lists(st.text(alphabet="aA1_+\n é", max_size=4), unique=True, max_size=40))
def test_every_value_has_a_name_of_its_own(values: list[str]) -> None:
    lookup = lookup_of(*values)
    names = names_of(lookup)
    assert len(names) == len(values)
    assert [getattr(lookup, name) for name in names] == [f"record {position}" for position in range(len(values))]


@given(st.lists(st.text(alphabet="aA1_+2 ", max_size=4), unique=True, min_size=1, max_size=20))
def test_later_values_leave_the_names_of_earlier_ones(values: list[str]) -> None:
    assert names_of(lookup_of(*values))[:-1] == names_of(lookup_of(*values[:-1]))


def test_values_of_the_same_name_are_numbered_in_the_order_of_rows() -> None:
    lookup = lookup_of("ADGB DT", "adgb-dt", "other", "adgb_dt", "adgb dt 2", "CD8+", "cd8-", "class", "Class")
    expected = "adgb_dt adgb_dt_2 other adgb_dt_3 adgb_dt_2_2 cd8_ cd8_2 class_ class_2"
    assert names_of(lookup) == expected.split()
    assert lookup.adgb_dt_3 == "record 3"


def test_a_value_called_unnamed_takes_turns_with_those_that_have_no_name() -> None:
    assert names_of(lookup_of("+", "unnamed", "-")) == ["unnamed", "unnamed_2", "unnamed_3"]


def test_names_are_the_same_however_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = ["\u0301", "", "a\n", "\n", "Σ", "b+", "+b", "\u0301a"] * 2 + ["end"]
    whole = names_of(lookup_of(*values))
    monkeypatch.setattr("duckfeat.query.lookup_names._NAMES_AT_ONCE", 1)
    assert names_of(lookup_of(*values)) == whole


def test_a_million_alike_would_be_numbered_in_one_pass() -> None:
    lookup = lookup_of(*["+" * count for count in range(1, 3_000)])
    assert lookup.unnamed_2999 == "record 2998"


# --- records -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "repeated", "single"),
    [
        ("first", "record 0", "record 1"),
        ("last", "record 3", "record 1"),
        (False, ["record 0", "record 2", "record 3"], ["record 1"]),
    ],
)
def test_keep_decides_on_repeated_values(keep: Keep, repeated: Any, single: Any) -> None:
    lookup = lookup_of("a", "b", "a", "a", None, keep=keep)
    assert (lookup.a, lookup.b) == (repeated, single)
    assert (lookup["a"], lookup["b"]) == (repeated, single)
    assert dict(lookup.dict().items()) == {"a": repeated, "b": single}
    assert list(lookup) == ["a", "b"]


def test_values_alike_in_name_alone_are_no_repeats() -> None:
    lookup = lookup_of("A b", "a-B", keep=False)
    assert (lookup.a_b, lookup.a_b_2) == (["record 0"], ["record 1"])


def test_keep_is_checked() -> None:
    wrong: Any = "middle"
    with pytest.raises(InvalidArgument, match="'first' or 'last' or False, not 'middle'"):
        lookup_of(keep=wrong)


def test_nothing_is_read_before_it_is_needed() -> None:
    source = Source("a", "b", "c")
    lookup = Lookup(source, label="Gene.symbol")
    records = lookup.dict()
    assert (repr(lookup), repr(records)) == (
        "Lookup(Gene.symbol, not read yet)",
        "LookupDict(Gene.symbol, not read yet)",
    )
    assert source.reads == 0
    assert "a" in lookup
    assert "b" in records
    assert sorted(records) == ["a", "b", "c"]
    assert {"a", "b", "c"} <= {*dir(lookup)}
    assert hasattr(lookup, "nothing") is False
    assert (source.reads, source.loads) == (1, [])
    assert lookup.b == records["b"] == lookup["b"]
    assert (source.reads, source.loads) == (1, [[1]])
    assert repr(lookup) == "Lookup(Gene.symbol, 3 values)"


def test_a_record_is_the_same_object_every_time() -> None:
    lookup = lookup_of("a")
    assert lookup.a is lookup.a is lookup.dict()["a"]


def test_all_records_are_loaded_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duckfeat.query.lookup_entries._RECORDS_AT_ONCE", 2)
    source = Source("a", "b", "c")
    records = Lookup(source, label="Gene.symbol").dict()
    assert list(records.values()) == ["record 0", "record 1", "record 2"]
    assert source.loads == [[0, 1], [2]]
    assert dict(records.items()) == {"a": "record 0", "b": "record 1", "c": "record 2"}


# --- the mapping ---------------------------------------------------------------------------------


def test_dict_is_a_mapping_by_original_value() -> None:
    records = lookup_of("ADGB-DT", "TNF").dict()
    assert isinstance(records, LookupDict)
    assert records["ADGB-DT"] == "record 0"
    assert (len(records), list(records.keys())) == (2, ["ADGB-DT", "TNF"])
    assert records.get("adgb_dt") is None
    assert records == {"ADGB-DT": "record 0", "TNF": "record 1"}
    assert "record 1" in records.values()
    assert "record 2" not in records.values()
    assert ("TNF", "record 1") in records.items()
    assert ("TNF", "record 0") not in records.items()
    assert (len(records.values()), len(records.items())) == (2, 2)


@pytest.mark.parametrize("value", [None, 5, ["a"], b"a"])
def test_only_text_can_be_a_value(value: Any) -> None:
    lookup = lookup_of("a", None)
    assert value not in lookup
    assert value not in lookup.dict()
    with pytest.raises(LookupMissing):
        lookup[value]


def test_an_empty_lookup() -> None:
    lookup = lookup_of(None)
    assert (len(lookup), list(lookup), bool(lookup)) == (0, [], False)
    assert lookup.dict() == {}
    with pytest.raises(UnknownName, match="no name 'a': it is empty"):
        _ = lookup.a


# --- errors --------------------------------------------------------------------------------------


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    lookup = lookup_of("ADGB-DT", "TNF")
    with pytest.raises(UnknownName, match=r"^Gene.symbol has no name 'agdb_dt'; did you mean 'adgb_dt'\?$") as caught:
        _ = lookup.agdb_dt
    assert (caught.value.name, caught.value.suggestions) == ("agdb_dt", ["adgb_dt"])
    assert isinstance(caught.value, AttributeError | DuckfeatError)


def test_an_unknown_value_is_told_with_the_nearest() -> None:
    with pytest.raises(KeyError, match=r"Gene.symbol has no value 'adgb_dt'; did you mean 'ADGB-DT'\?"):
        lookup_of("ADGB-DT").dict()["adgb_dt"]


def test_nothing_is_suggested_that_is_far_off() -> None:
    with pytest.raises(UnknownName, match="has no name 'qqqqqq', nor anything like it"):
        _ = lookup_of("ADGB-DT").qqqqqq


def test_the_nearest_are_sought_only_when_they_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duckfeat.query.lookup_entries.suggestions", lambda *_: pytest.fail("sought"))
    lookup = lookup_of("a")
    assert getattr(lookup, "b", None) is None
    assert lookup.dict().get("b") is None


def test_the_error_survives_pickle() -> None:
    with pytest.raises(UnknownName) as caught:
        _ = lookup_of("ADGB-DT").agdb_dt
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 -- made on the line itself
    assert isinstance(again, LookupMissing)
    assert (str(again), again.name, again.suggestions) == (str(caught.value), "agdb_dt", ["adgb_dt"])


def test_errors_of_the_source_pass() -> None:
    class Closed(Source):
        def keys(self) -> Sequence[str]:
            raise InvalidArgument("closed")

    lookup = Lookup(Closed(), label="Gene.symbol")
    with pytest.raises(InvalidArgument, match="closed"):
        _ = lookup.a


# --- as an object --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "probe",
    [
        "_repr_html_",
        "_repr_mimebundle_",
        "_ipython_display_",
        "_ipython_canary_method_should_not_exist_",
        "__array__",
        "__deepcopy__",
        "__wrapped__",
        "_",
        "__",
        "_é",
    ],
)
def test_probes_are_answered_without_reading(probe: str) -> None:
    source = Source("a")
    lookup = Lookup(source, label="Gene.symbol")
    with pytest.raises(LookupMissing, match="has no attribute"):
        getattr(lookup, probe)
    assert source.reads == 0


def test_a_lookup_without_its_parts_does_not_recurse() -> None:
    bare = Lookup.__new__(Lookup)
    assert not hasattr(bare, "_entries")
    with pytest.raises(AttributeError):
        _ = bare.name


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, *(lambda o, p=p: pickle.loads(pickle.dumps(o, p)) for p in (0, 2, 5))],  # noqa: S301 -- made on the line itself
)
def test_copies_and_pickles_work(again: Any, used: bool) -> None:
    lookup = lookup_of("ADGB-DT")
    if used:
        _ = lookup.adgb_dt
    other = again(lookup)
    assert isinstance(other, Lookup)
    assert other.adgb_dt == other.dict()["ADGB-DT"] == "record 0"
    assert again(lookup.dict()) == {"ADGB-DT": "record 0"}


def test_dir_and_key_completions_give_everything() -> None:
    lookup = lookup_of("ADGB-DT", "5S rRNA", "class")
    listed = dir(lookup)
    assert listed == sorted(listed)
    assert {"adgb_dt", "_5s_rrna", "class_", "dict", "__class__"} <= {*listed}
    assert lookup._ipython_key_completions_() == ["ADGB-DT", "5S rRNA", "class"]
    assert lookup.dict()._ipython_key_completions_() == ["ADGB-DT", "5S rRNA", "class"]


# --- completions ---------------------------------------------------------------------------------


@given(
    st.lists(st.text(alphabet="abc", max_size=6), unique=True, max_size=60).map(sorted),
    st.text(alphabet="abc", max_size=2),
    st.integers(3, 12),
)
def test_completions_are_few_and_stand_for_every_name(names: list[str], typed: str, limit: int) -> None:
    found = complete(names, typed, limit)
    meant = [name for name in names if name.startswith(typed)]
    assert len(found) <= limit
    assert [text for text, _ in found] == sorted(text for text, _ in found)
    assert all(text in names for text, count in found if count == 1)
    if len(meant) <= limit:
        assert found == [(name, 1) for name in meant]
    elif any(count > 1 for _, count in found):
        assert sum(count for _, count in found) == len(meant)


@given(st.lists(st.text(alphabet="abc", max_size=8), unique=True, min_size=1, max_size=60).map(sorted), st.data())
def test_completing_again_and_again_reaches_every_name(names: list[str], data: st.DataObject) -> None:
    wanted, typed = data.draw(st.sampled_from(names)), ""
    for _ in range(len(wanted) + 1):
        found = [(text, count) for text, count in complete(names, typed, 5) if wanted.startswith(text)]
        if (wanted, 1) in found:
            return
        (typed, _), *_ = sorted(found, key=lambda pair: -len(pair[0]))
    pytest.fail(f"{wanted!r} was not reached")


def test_names_that_differ_in_very_many_signs_are_listed_up_to_the_limit() -> None:
    assert complete(["a", "b", "c", "d"], "", limit=3) == [("a", 1), ("b", 1), ("c", 1)]
    assert complete(["xa", "xb", "xc", "xd"], "", limit=3) == [("x", 4)]
