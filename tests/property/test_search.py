"""Whoever asks for few results gets the first of those that whoever asks for more gets: over real names."""

from __future__ import annotations

import random
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duckfeat.ontology import packaged
from duckfeat.query.search import CUTOFF, score
from duckfeat.query.search_index import Hit, SearchIndex

LIMITS = (1, 5, 20, 21, 100, 101, 600)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789 -"
COMMON = [
    "cell",
    "memory",
    "T cell",
    "neuron of",
    "a",
    "c",
    "of",
    "CD8-positive",
    "MIR",
    "LINC0",
    "epithelial cel",
    "+",
    "",
]


@lru_cache
def cells() -> tuple[list[str], list[str | None]]:
    """Names and synonyms of the newest Cell Ontology."""
    folder = packaged.folder()
    assert folder is not None
    newest = max(folder.glob("CL-ontology-*"), key=lambda path: packaged.version_key(path.name))
    terms = [term for term in packaged._load(newest).values() if term.get("label")]
    return [term["label"] for term in terms], ["|".join(term.get("synonyms") or ()) or None for term in terms]


@lru_cache
def symbols() -> list[str]:
    """Symbols as genes have them: many that differ by a digit or a letter."""
    draw = random.Random(5)  # noqa: S311 -- made-up symbols keep no secret
    letters = "ABCDEFGLMNPRST"
    made = (
        [f"MIR{number}{draw.choice(['', 'A', 'B', '-1'])}" for number in range(1, 3_000)]
        + [f"LINC{number:05}" for number in range(1, 1_500)]
        + [f"RNU6-{number}P" for number in range(1, 1_500)]
        + ["".join(draw.choices(letters, k=draw.randint(3, 4))) + str(draw.randint(1, 9)) for _ in range(3_000)]
    )
    return list(dict.fromkeys(made))


@lru_cache
def index(kind: str) -> SearchIndex:
    if kind == "cells":
        names, synonyms = cells()
        return SearchIndex.build(range(len(names)), [names, synonyms])
    names = symbols()
    # As it is after some writes, in several segments.
    grown = SearchIndex.build(range(6_000), [names[:6_000]])
    for start in range(6_000, len(names), 700):
        grown.add(range(start, min(start + 700, len(names))), [names[start : start + 700]])
        grown.search("settle")
    return grown


@st.composite
def typed(draw: st.DrawFn, kind: str) -> str:
    """Something somebody might type who means one of the names."""
    name: str = draw(st.sampled_from(cells()[0] if kind == "cells" else symbols()))
    words = name.split()
    how = draw(st.sampled_from(["typo", "start", "word", "swapped", "two words", "added", "as it is"]))
    if how == "typo":
        at = draw(st.integers(0, len(name)))
        letter: str = draw(st.sampled_from(["", *LETTERS]))
        return name[:at] + letter + name[at + draw(st.integers(0, 1)) :]
    if how == "start":
        return str(name[: draw(st.integers(1, 8))])
    if how == "word":
        return str(draw(st.sampled_from(words)))
    if how == "swapped":
        return " ".join(draw(st.permutations(words)))
    if how == "two words":
        return f"{draw(st.sampled_from(words))} {draw(st.sampled_from(words))}"
    return f"{name} alpha" if how == "added" else str(name)


def agree(searched: SearchIndex, string: str) -> list[Hit]:
    """Return all hits, of which those for every limit are the first."""
    everything = searched.search(string, limit=None)
    assert [hit.score for hit in everything] == sorted((hit.score for hit in everything), reverse=True)
    assert len({hit.id for hit in everything}) == len(everything)
    for limit in LIMITS:
        assert searched.search(string, limit=limit) == everything[:limit]
    return everything


@settings(max_examples=20, deadline=None)
@given(typed("cells"))
def test_few_are_the_first_of_all_cells(string: str) -> None:
    for hit in agree(index("cells"), string)[:50]:
        assert hit.score == score(string, hit.text) >= CUTOFF


@settings(max_examples=20, deadline=None)
@given(typed("symbols"))
def test_few_are_the_first_of_all_symbols(string: str) -> None:
    agree(index("symbols"), string)


@pytest.mark.parametrize("kind", ["cells", "symbols"])
@pytest.mark.parametrize("string", COMMON)
def test_few_are_the_first_of_very_many(kind: str, string: str) -> None:
    agree(index(kind), string)


@settings(max_examples=20, deadline=None)
@given(typed("cells"), st.integers(0, 30))
def test_few_are_the_first_of_all_among_some(string: str, limit: int) -> None:
    within = range(0, len(cells()[0]), 3)
    everything = index("cells").search(string, limit=None, within=within)
    assert index("cells").search(string, limit=limit, within=within) == everything[:limit]


def test_the_best_by_the_score_of_every_text_are_found() -> None:
    names, synonyms = cells()
    texts = [(at, name) for at, name in enumerate(names)]
    texts += [(at, text) for at, joined in enumerate(synonyms) if joined for text in joined.split("|")]
    sought = found = 0
    for string in ("memory", "nuetrophil", "alpha-beta T cel CD8+", "lung epithelial", "B cell naive", "dendritc"):
        best: dict[int, float] = {}
        for at, text in texts:
            best[at] = max(best.get(at, 0.0), score(string, text))
        nearest = sorted((-points, at) for at, points in best.items() if points >= CUTOFF)[:20]
        hits = {hit.id: hit.score for hit in index("cells").search(string)}
        assert all(hits[at] == best[at] for at in hits)
        assert hits.keys() >= {at for _, at in nearest[:5]}
        sought += len(nearest)
        found += sum(at in hits or -points == min(hits.values()) for points, at in nearest)
    assert found >= 0.97 * sought
