"""How often the best of all searches would find what was meant, where what was typed is what is left of several names.

    python benchmarks/search_bound.py --ontology CL.json.zst --queries 200 --seeds 11 777 9001

The queries are those of `search_quality.py`. For the kinds below it can be told how likely each name would have been
typed as the query. The best search knows the kind of error, these odds and all names, and gives the likeliest name
first; of names that are equally likely it gives any one. Nothing can find more, on average, than it does.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import search_quality as quality
from rapidfuzz import process
from rapidfuzz.distance import OSA

from duckfeat.query.search_index import SearchIndex

Typed = Callable[[str], dict[str, float]]
"""Gives what a name may be typed as, with how likely each is."""
_TYPOS, _LETTERS = 4, len(quality.LETTERS)


def _shares(texts: Sequence[str]) -> dict[str, float]:
    return {text: count / len(texts) for text, count in Counter(texts).items()}


def dropped(name: str) -> dict[str, float]:
    """Return the name without each of its words."""
    words = name.split()
    kept = [" ".join(words[:at] + words[at + 1 :]) for at in range(len(words))] if len(words) > 2 else []
    return _shares(kept)


def start(name: str) -> dict[str, float]:
    """Return the start of the name."""
    return _shares([text for text in [name[: max(5, len(name) * 3 // 4)].strip()] if len(name) > 7])


def without_letter(name: str) -> dict[str, float]:
    """Return the name without each of its letters."""
    return _shares([name[:at] + name[at + 1 :] for at, char in enumerate(name) if char.isalnum()])


KINDS: dict[str, tuple[Typed, bool]] = {
    "deletion": (without_letter, False),
    "dropped word": (dropped, False),
    "start only": (start, False),
    "dropped word, typo": (dropped, True),
}
"""Kind of error -> what names are typed as, and whether a typing error follows."""


def odds(texts: Sequence[str], typed: str, typo: bool) -> np.ndarray:  # type: ignore[type-arg]
    """Return how likely each text is typed as `typed`, with a typing error or as it is."""
    if not typo:
        return np.array([float(text == typed) for text in texts])
    near = process.cdist([typed], texts, scorer=OSA.distance, score_cutoff=1, dtype=np.int32)[0]
    return np.array([_typo_odds(text, typed) if steps == 1 else 0.0 for text, steps in zip(texts, near, strict=True)])


def _typo_odds(text: str, typed: str) -> float:
    longer = len(typed) - len(text)
    if longer < 0:
        ways = sum(text[:at] + text[at + 1 :] == typed for at in range(len(text))) / len(text)
    elif longer > 0:
        ways = sum(typed[:at] + typed[at + 1 :] == text for at in range(len(typed))) / len(typed) / _LETTERS
    elif sum(one != other for one, other in zip(text, typed, strict=True)) > 1:
        ways = 1 / (len(text) - 1)
    else:
        ways = 1 / len(text) / _LETTERS
    return ways / _TYPOS


def bound(data: quality.Data, kind: str, count: int, seed: int) -> tuple[list[float], list[float]] | None:
    """Return recall at place 1 and among the first 5, of the best search and of duckfeat, on the same queries."""
    spelled, typo = KINDS[kind]
    left = [
        (record, text.casefold(), share)
        for record, name in enumerate(data.names)
        for text, share in spelled(name).items()
    ]
    owners, texts = np.array([record for record, _, _ in left]), [text for _, text, _ in left]
    shares = np.array([share for _, _, share in left])
    queries, _ = quality.make_queries(data, kind, count, seed)
    if not queries:
        return None
    index = SearchIndex.build(range(len(data.names)), [data.names, data.synonyms])
    best, ours = np.zeros(2), np.zeros(2)
    for query in queries:
        likely = np.bincount(owners, shares * odds(texts, query.typed.casefold(), typo), len(data.names))
        mine = likely[query.record]
        before, equal = int((likely > mine + 1e-12).sum()), int((abs(likely - mine) <= 1e-12).sum())
        found = [hit.id for hit in index.search(query.typed, limit=5)]
        best += [min(1.0, max(0.0, first - before) / equal) for first in (1, 5)]
        ours += [query.record in found[:first] for first in (1, 5)]
    return (best / len(queries)).tolist(), (ours / len(queries)).tolist()


def main(arguments: Sequence[str]) -> None:
    """Read the arguments and print a line for each kind of error and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ontology", type=Path, action="append", default=[])
    parser.add_argument("--queries", type=int, default=200, help="of each kind")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    options = parser.parse_args(arguments)
    for data in map(quality.read_ontology, options.ontology or [quality.newest_cell_ontology()]):
        print(f"{data.title}: recall at place 1 / among the first 5")
        for kind in KINDS:
            for seed in options.seeds:
                found = bound(data, kind, options.queries, seed)
                if found is not None:
                    best, ours = (f"{first:.3f} / {five:.3f}" for first, five in found)
                    print(f"{kind:<20} seed {seed:<6} best possible {best}   duckfeat {ours}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
