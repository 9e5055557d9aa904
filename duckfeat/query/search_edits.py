"""What it costs to type one string, or one word, for another: by typing errors, plurals and short forms."""

from __future__ import annotations

import re
from functools import lru_cache
from math import log2

from rapidfuzz.distance import OSA, Indel, Levenshtein, Prefix

from duckfeat.query.search_costs import COSTS

__all__ = ["NEVER", "edits", "pair_cost", "word_edits"]

NEVER = float("inf")
"""The cost of what nobody would have typed."""

# OSA, Levenshtein and Indel give the four typing errors these distances: left out and too many 1 1 1, wrong 1 1 2,
# swapped 1 2 2. With these factors they add up to the costs.
_BY_INDEL = COSTS.wrong - COSTS.left_out
_BY_LEVENSHTEIN = COSTS.swapped - COSTS.wrong
_BY_OSA = COSTS.left_out - _BY_INDEL - _BY_LEVENSHTEIN
_TOO_MANY = COSTS.too_many - COSTS.left_out
_DOUBLED_MOST = 3
# Words are paired while no more than this share of the longer one is wrong.
_PAIR_SHARE = 0.6
_LEAST_SAVED = COSTS.doubled * _DOUBLED_MOST
_DIGITS = re.compile(r"\d+")
_NO_VOWELS = str.maketrans("", "", "aeiou")
_PLURALS = (("", "s"), ("s", "ses"), ("x", "xes"), ("ch", "ches"), ("sh", "shes"), ("y", "ies"))
_PLURAL_SHORTEST = 3
_START_SHORTEST, _SHORTENED_SHORTEST = 2, 3


def edits(typed: str, meant: str, most: float = NEVER) -> float:
    """Return the cost of typing one string for another, letter by letter.

    >>> [round(edits(typed, "cell"), 2) for typed in ("cel", "cll", "clel", "cellx", "call")]
    [0.95, 1.0, 1.05, 1.1, 1.3]
    """
    if typed == meant:
        return 0.0
    limit = max(0, int(most) + 1) if most < NEVER else None
    steps = OSA.distance(typed, meant, score_cutoff=limit)
    if limit is not None and steps > limit:
        return NEVER
    longer = len(typed) - len(meant)
    if steps == 1 and longer:
        single = COSTS.too_many if longer > 0 else COSTS.left_out
        return single - COSTS.doubled * _doubled(*((typed, meant) if longer > 0 else (meant, typed)))
    cost = _BY_OSA * steps + _BY_LEVENSHTEIN * Levenshtein.distance(typed, meant)
    cost += _BY_INDEL * Indel.distance(typed, meant)
    return cost + _TOO_MANY * longer if longer > 0 else cost + _wrong_digits(typed, meant)


def _doubled(long: str, short: str) -> int:
    """Return how many like letters stand beside the one letter that `long` has and `short` has not."""
    at: int = Prefix.similarity(long, short)
    run = at
    while run > 0 and at - run < _DOUBLED_MOST and long[run - 1] == long[at]:
        run -= 1
    return at - run


def _wrong_digits(typed: str, meant: str) -> float:
    digits, others = _digits(typed), _digits(meant)
    if digits == others or len(digits) != len(others) or sorted(digits) == sorted(others):
        return 0.0
    return COSTS.wrong_digit * sum(a != b for a, b in zip(digits, others, strict=True))


@lru_cache(maxsize=1 << 14)
def _digits(text: str) -> str:
    return "".join(_DIGITS.findall(text))


def word_edits(typed: str, meant: str) -> float:
    """Return the cost of typing one word for another: its letters, its plural or its start."""
    if _is_plural(typed, meant) or _is_plural(meant, typed):
        return COSTS.plural
    if typed.isdecimal() and meant.isdecimal() and typed.lstrip("0") == meant.lstrip("0"):
        return COSTS.zeros
    return min(edits(typed, meant), _shortened(typed, meant))


def _shortened(typed: str, meant: str) -> float:
    """Return the cost of typing some letters of a word for it, the first of them first; infinite where others are.

    >>> _shortened("stage", "cell"), _shortened("swdn", "sweden") < _shortened("intl", "international")
    (inf, True)
    """
    rest = len(meant) - len(typed)
    if rest <= 0 or typed[0] != meant[0]:
        return NEVER
    start = COSTS.start + COSTS.start_rest * log2(1 + rest)
    if len(typed) < _START_SHORTEST:
        return start + COSTS.shortened if typed.isalpha() else NEVER
    if meant.startswith(typed):
        return start
    if len(typed) < _SHORTENED_SHORTEST or not typed.isalpha():
        return NEVER
    if meant[0] + meant[1:].translate(_NO_VOWELS) == typed:
        return start
    return start + COSTS.shortened if Indel.distance(typed, meant, score_cutoff=rest) == rest else NEVER


def pair_cost(typed: str, meant: str) -> float:
    """Return the cost of typing one word for another, infinite where they have too little in common."""
    most = _PAIR_SHARE * max(len(typed), len(meant))
    # A cost is hardly ever less than the number of errors, so this saves the rest for most pairs.
    limit = int(most + _LEAST_SAVED)
    far = OSA.distance(typed, meant, score_cutoff=limit) >= most + _LEAST_SAVED
    cost = _shortened(typed, meant) if far else word_edits(typed, meant)
    return cost if cost < most else NEVER


def _is_plural(many: str, one: str) -> bool:
    if not (_PLURAL_SHORTEST <= len(one) < len(many) <= len(one) + 2 and many.endswith("s")):
        return False
    return any(one.endswith(end) and many == one[: len(one) - len(end)] + ends for end, ends in _PLURALS)
