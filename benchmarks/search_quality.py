"""How often fuzzy search finds what was meant, by kind of error, beside brute-force RapidFuzz.

    python benchmarks/search_quality.py --ontology CL.json.zst --genes genes.csv.gz --queries 300 --json out.json

`--ontology` takes the term files of the package cellxgene-ontology-guide (without it, that package's newest Cell
Ontology); `--genes` a CSV whose second column is the symbol. Every data set is searched alone. Queries are made
from names (and synonyms) by one or two errors, from a fixed seed.

A query that is, letter for letter, another record's text is not asked, and counted under `taken`. `clear` are the
queries for which no other record has a text as near in plain edits (words as they stand, or sorted): the others
have no right answer that their letters could tell, and are counted in the columns over all. Recall is of the
record a query was made from, at place 1 and among the first 5.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import string
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from duckfeat.query.search import CUTOFF
from duckfeat.query.search_index import SearchIndex

LETTERS = string.ascii_lowercase
BASELINES = {"ratio": fuzz.ratio, "token_sort": fuzz.token_sort_ratio, "WRatio": fuzz.WRatio}
Make = Callable[[random.Random, str], str | None]


@dataclass
class Data:
    """Records to search: a name each, and synonyms joined by "|"."""

    title: str
    names: list[str]
    synonyms: list[str | None]

    def texts(self) -> Iterator[tuple[int, str, bool]]:
        """Give (record, text, whether it is the name) for every text."""
        for record, (name, joined) in enumerate(zip(self.names, self.synonyms, strict=True)):
            yield record, name, True
            for synonym in joined.split("|") if joined else ():
                yield record, synonym, False


@dataclass
class Query:
    """What is typed, the record that is meant, and the text it was made from."""

    typed: str
    record: int
    meant: str


@dataclass
class Tally:
    """Places of the right record, over all queries and over the clear ones."""

    places: list[int | None] = field(default_factory=list)

    def recall(self, first: int, among: Sequence[bool] | None = None) -> float:
        """Return the share of queries whose record is among the first."""
        kept = [place for place, ok in zip(self.places, among or [True] * len(self.places), strict=True) if ok]
        return sum(place is not None and place < first for place in kept) / len(kept) if kept else float("nan")


# --- errors -----------------------------------------------------------------------------------------------------


def _substitute(rng: random.Random, text: str) -> str | None:
    at = rng.randrange(len(text))
    return text[:at] + rng.choice(LETTERS) + text[at + 1 :] if text[at].isalnum() else None


def _delete(rng: random.Random, text: str) -> str | None:
    at = rng.randrange(len(text))
    return text[:at] + text[at + 1 :] if text[at].isalnum() else None


def _insert(rng: random.Random, text: str) -> str | None:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(LETTERS) + text[at:]


def _transpose(rng: random.Random, text: str) -> str | None:
    at = rng.randrange(len(text) - 1)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _typo(rng: random.Random, text: str) -> str | None:
    return rng.choice((_substitute, _delete, _insert, _transpose))(rng, text)


def _drop_word(rng: random.Random, text: str) -> str | None:
    words = text.split()
    if len(words) < 3:
        return None
    words.pop(rng.randrange(len(words)))
    return " ".join(words)


def _add_word(rng: random.Random, text: str) -> str | None:
    words = text.split()
    words.insert(rng.randrange(len(words) + 1), rng.choice(("human", "adult", "normal", "primary", "sample")))
    return " ".join(words)


def _swap_words(rng: random.Random, text: str) -> str | None:
    words = text.split()
    if len(words) < 2:
        return None
    first, second = rng.sample(range(len(words)), 2)
    words[first], words[second] = words[second], words[first]
    return " ".join(words)


def _shuffle_words(rng: random.Random, text: str) -> str | None:
    words = text.split()
    rng.shuffle(words)
    return " ".join(words) if len(words) > 2 else None


def _join_words(rng: random.Random, text: str) -> str | None:
    words = text.split()
    if len(words) < 2:
        return None
    at = rng.randrange(len(words) - 1)
    words[at : at + 2] = ["".join(words[at : at + 2])]
    return " ".join(words)


def _split_word(rng: random.Random, text: str) -> str | None:
    if len(text) < 8:
        return None
    at = rng.randrange(2, len(text) - 2)
    return None if " " in text[at - 1 : at + 1] else text[:at] + " " + text[at:]


def _change_case(rng: random.Random, text: str) -> str | None:
    return "".join(rng.choice((char.upper(), char.lower())) for char in text)


def _spaces_for_marks(_rng: random.Random, text: str) -> str | None:
    return " ".join("".join(char if char.isalnum() else " " for char in text).split())


def _no_marks(_rng: random.Random, text: str) -> str | None:
    return "".join(char for char in text if char.isalnum() or char == " ")


def _start_only(_rng: random.Random, text: str) -> str | None:
    return text[: max(5, len(text) * 3 // 4)].strip() if len(text) > 7 else None


def _plural(_rng: random.Random, text: str) -> str | None:
    return text + "s" if len(text) > 4 and text[-1].isalpha() and text[-1] not in "sS" else None


def both(*steps: Make, shortest: int = 8) -> Make:
    """Return an error made of several, for texts that are not too short to bear them."""

    def make(rng: random.Random, text: str) -> str | None:
        made: str | None = text if len(text) >= shortest else None
        for step in steps:
            made = step(rng, made) if made and len(made) > 2 else None
        return made

    return make


def _same(_rng: random.Random, text: str) -> str | None:
    return text


KINDS: dict[str, tuple[bool, Make]] = {
    "substitution": (True, _substitute),
    "deletion": (True, _delete),
    "insertion": (True, _insert),
    "transposition": (True, _transpose),
    "two typos": (True, both(_typo, _typo)),
    "dropped word": (True, _drop_word),
    "added word": (True, _add_word),
    "swapped words": (True, _swap_words),
    "case": (True, _change_case),
    "joined words": (True, _join_words),
    "split word": (True, _split_word),
    "spaces for marks": (True, _spaces_for_marks),
    "no marks": (True, _no_marks),
    "plural": (True, _plural),
    "start only": (True, _start_only),
    "dropped word, typo": (True, both(_drop_word, _typo)),
    "other order, typo": (True, both(_shuffle_words, _typo)),
    "joined words, typo": (True, both(_join_words, _typo)),
    "plural, typo": (True, both(_plural, _typo)),
    "synonym": (False, _same),
    "synonym, typo": (False, _typo),
}
"""Kind of error -> whether it is made from names (else from synonyms), and how."""
UNCHANGED = {"case", "synonym"}


def make_queries(data: Data, kind: str, count: int, seed: int) -> tuple[list[Query], int]:
    """Return up to `count` queries, and how many were passed over because they are another record's text."""
    of_names, make = KINDS[kind]
    rng = random.Random(f"{seed} {kind} {data.title}")  # noqa: S311 -- made-up errors keep no secret
    owners: dict[str, set[int]] = {}
    for record, text, _ in data.texts():
        owners.setdefault(text.casefold(), set()).add(record)
    pool = [(record, text) for record, text, is_name in data.texts() if is_name == of_names and len(text) > 2]
    queries: list[Query] = []
    taken = 0
    for _ in range(count * 30 if pool else 0):
        record, text = rng.choice(pool)
        typed = make(rng, text)
        if not typed or typed != typed.strip() or (typed == text and kind not in UNCHANGED):
            continue
        if len(owners[text.casefold()]) > 1:
            continue
        if owners.get(typed.casefold(), {record}) != {record}:
            taken += 1
            continue
        queries.append(Query(typed, record, text))
        if len(queries) == count:
            break
    return queries, taken


# --- measuring --------------------------------------------------------------------------------------------------


def search_places(index: SearchIndex, queries: Sequence[Query], times: list[float]) -> Tally:
    """Return the places that the index gives, and add the seconds of each search to `times`."""
    tally = Tally()
    for query in queries:
        start = time.perf_counter()
        hits = index.search(query.typed)
        times.append(time.perf_counter() - start)
        found = [hit.id for hit in hits]
        tally.places.append(found.index(query.record) if query.record in found else None)
    return tally


def brute_force(data: Data, queries: Sequence[Query]) -> tuple[dict[str, Tally], list[bool]]:
    """Return the baselines' tallies, and which of the queries are clear."""
    owners = np.array([record for record, _, _ in data.texts()])
    texts = [text.lower() for _, text, _ in data.texts()]
    sorted_texts = [" ".join(sorted(text.split())) for text in texts]
    typed = [query.typed.lower() for query in queries]
    sorted_typed = [" ".join(sorted(text.split())) for text in typed]
    tallies = {}
    for title, scorer in BASELINES.items():
        scores = process.cdist(typed, texts, scorer=scorer, dtype=np.float32, workers=-1)
        tallies[title] = Tally([_place(row, owners, query.record) for row, query in zip(scores, queries, strict=True)])
    near = np.minimum(
        process.cdist(typed, texts, scorer=OSA.distance, dtype=np.int32, workers=-1),
        process.cdist(sorted_typed, sorted_texts, scorer=OSA.distance, dtype=np.int32, workers=-1),
    )
    clear = [
        bool(row[owners == query.record].min() < row[owners != query.record].min())
        for row, query in zip(near, queries, strict=True)
    ]
    return tallies, clear


def _place(scores: Any, owners: Any, record: int) -> int | None:
    order = np.argsort(-scores, kind="stable")[:200]
    ranked = list(dict.fromkeys(owners[order].tolist()))
    return ranked.index(record) if record in ranked else None


def measure(data: Data, count: int, seed: int, brute: bool) -> dict[str, Any]:
    """Print a line for each kind of error and return the figures."""
    start = time.perf_counter()
    index = SearchIndex.build(range(len(data.names)), [data.names, data.synonyms])
    print(f"\n{data.title}: {len(data.names):,} records, {len(index):,} texts, built in "
          f"{time.perf_counter() - start:.2f} s, {index.nbytes / 1e6:.0f} MB")  # fmt: skip
    columns = ["duckfeat", *(BASELINES if brute else ())]
    print(f"{'recall@1 recall@5':<20} {'asked':>5} {'taken':>5}  " + "  ".join(f"{name:^13}" for name in columns)
          + (f"  {'clear':>5}  " + "  ".join(f"{name:^13}" for name in columns) if brute else ""))  # fmt: skip
    times: list[float] = []
    kinds: dict[str, Any] = {}
    totals: dict[str, list[tuple[int | None, bool]]] = {name: [] for name in columns}
    for kind in KINDS:
        queries, taken = make_queries(data, kind, count, seed)
        if len(queries) < count / 10:
            continue
        tallies = {"duckfeat": search_places(index, queries, times)}
        clear = [True] * len(queries)
        if brute:
            baselines, clear = brute_force(data, queries)
            tallies |= baselines
        for name, tally in tallies.items():
            totals[name] += zip(tally.places, clear, strict=True)
        kinds[kind] = _line(kind, tallies, clear, taken, brute)
    overall = {name: Tally([place for place, _ in rows]) for name, rows in totals.items()}
    kinds["overall"] = _line("overall", overall, [ok for _, ok in totals["duckfeat"]], 0, brute)
    times.sort()
    p50, p95 = (times[int(len(times) * share)] * 1e3 for share in (0.5, 0.95))
    print(f"top 20: p50 {p50:.2f} ms, p95 {p95:.2f} ms")
    return {"records": len(data.names), "texts": len(index), "p50_ms": p50, "p95_ms": p95, "kinds": kinds,
            "nonsense": measure_nonsense(index, count, seed)}  # fmt: skip


def _line(kind: str, tallies: dict[str, Tally], clear: list[bool], taken: int, brute: bool) -> dict[str, Any]:
    def cells(among: list[bool] | None) -> dict[str, list[float]]:
        return {name: [tally.recall(1, among), tally.recall(5, among)] for name, tally in tallies.items()}

    every, certain = cells(None), cells(clear)
    line = f"{kind:<20} {len(clear):>5} {taken:>5}  " + "  ".join(f"{a:6.3f} {b:6.3f}" for a, b in every.values())
    if brute:
        line += f"  {sum(clear):>5}  " + "  ".join(f"{a:6.3f} {b:6.3f}" for a, b in certain.values())
        best = [max(values[at] for name, values in every.items() if name != "duckfeat") for at in (0, 1)]
        below = any(ours < other for ours, other in zip(every["duckfeat"], best, strict=True))
        line += "  BELOW A BASELINE" if below else ""
    print(line, flush=True)
    return {"asked": len(clear), "taken": taken, "clear": sum(clear), "all": every, "clear_only": certain}


NONSENSE: dict[str, Callable[[random.Random], str]] = {
    "8 letters": lambda rng: "".join(rng.choices(LETTERS, k=8)),
    "12 letters": lambda rng: "".join(rng.choices(LETTERS, k=12)),
    "two words of 7": lambda rng: " ".join("".join(rng.choices(LETTERS, k=7)) for _ in range(2)),
    "40 letters": lambda rng: "".join(rng.choices(LETTERS, k=40)),
    "a hash": lambda rng: f"{rng.getrandbits(128):032x}",
    "eight words of 8": lambda rng: " ".join("".join(rng.choices(LETTERS, k=8)) for _ in range(8)),
    "syllables": lambda rng: "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(5)),
    "keyboard": lambda rng: rng.choice(("asdfghjkl", "qwertyuiop", "zxcvbnm,", "xyzzy plugh", "jjjjjjjj", "!!!!????")),
}


def measure_nonsense(index: SearchIndex, count: int, seed: int) -> dict[str, float]:
    """Print and return the share of nonsense queries that found anything."""
    shares = {}
    for kind, make in NONSENSE.items():
        rng = random.Random(f"{seed} nonsense {kind}")  # noqa: S311 -- nor does nonsense
        shares[kind] = sum(bool(index.search(make(rng))) for _ in range(count)) / count
    print(f"nonsense that found anything (cut-off {CUTOFF:g}): "
          + ", ".join(f"{kind} {share:.1%}" for kind, share in shares.items()))  # fmt: skip
    return shares


# --- data -------------------------------------------------------------------------------------------------------


def read_ontology(path: Path) -> Data:
    """Return the labelled terms of a file of cellxgene-ontology-guide (.json, .json.gz or .json.zst)."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    elif path.suffix == ".zst":
        import zstandard

        raw = zstandard.ZstdDecompressor().stream_reader(raw).read()
    terms = [term for term in json.loads(raw).values() if term.get("label")]
    synonyms = ["|".join(term.get("synonyms") or ()) or None for term in terms]
    return Data(path.name.split(".")[0], [term["label"] for term in terms], synonyms)


def read_genes(path: Path) -> Data:
    """Return the distinct symbols of a CSV's second column; an Ensembl id in place of a symbol is left out."""
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode().splitlines()
    symbols = dict.fromkeys(row[1] for row in csv.reader(lines) if len(row) > 1 and row[1])
    names = [symbol for symbol in symbols if not symbol.startswith("ENS")]
    return Data(path.name.split(".")[0], names, [None] * len(names))


def newest_cell_ontology() -> Path:
    """Return the term file of the newest Cell Ontology in the package cellxgene-ontology-guide."""
    import cellxgene_ontology_guide

    return max((Path(cellxgene_ontology_guide.__file__).parent / "data").glob("CL-ontology-*.json.zst"))


def figures(
    ontologies: Sequence[Path] = (), genes: Sequence[Path] = (), queries: int = 300, seed: int = 1, *, baselines: bool
) -> dict[str, Any]:
    """Return the figures of each data set by its title, the newest Cell Ontology if none is named."""
    chosen = ontologies or ([] if genes else [newest_cell_ontology()])
    data = [*map(read_ontology, chosen), *map(read_genes, genes)]
    return {item.title: measure(item, queries, seed, baselines) for item in data}


def main(arguments: Sequence[str]) -> None:
    """Read the arguments, measure every data set, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ontology", type=Path, action="append", default=[])
    parser.add_argument("--genes", type=Path, action="append", default=[])
    parser.add_argument("--queries", type=int, default=300, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-baselines", action="store_true", help="leave out brute force, which takes minutes")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    measured = figures(
        options.ontology, options.genes, options.queries, options.seed, baselines=not options.no_baselines
    )
    if options.json:
        options.json.write_text(json.dumps({"seed": options.seed, "data": measured}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
