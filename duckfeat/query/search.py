"""The score of fuzzy search: how near a text is to what was typed, from 0 to 100.

Only the text itself (case folded, unless case counts) scores 100. Texts that read the same (punctuation,
diacritics, Greek letters, spacing) score just below it. Every other text is explained as the cheapest way
somebody who meant it could have typed the query; the score falls with that cost, measured against the
length of the query:

    score = 98 * (1 - cost / (len(query) + 1))

A query without any error, the beginning of a text or some of its words, scores no less than the cut-off: from
`BEGINS.low` or `CONTAINS.low` on, the share that is lost approaches `high` and never gets there.

`COSTS` lists every step an explanation is made of, in typing errors: a letter left out costs 1. Distances
between strings are RapidFuzz's. Nothing in the score depends on what else is searched.

>>> score("tnf-α", "TNF-α"), round(score("TNF alpha", "TNF-α"), 1), round(score("TNFa", "TNF-α"), 1)
(100.0, 99.3, 98.9)
>>> score("nuetrophil", "neutrophil") > score("nuetrophil", "neutrophil progenitor") > CUTOFF
True
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise, takewhile
from math import log2
from typing import NamedTuple

from rapidfuzz.distance import OSA, Indel

from duckfeat.query.search_costs import (
    BEGINS,
    BEGINS_LETTERS,
    CEILING,
    CONTAINS,
    COSTS,
    CUTOFF,
    EXACT,
    MAX_CHARS,
    NEARLY_CONTAINS,
    NEARLY_LETTERS,
    SAME_FORM,
    SAME_JOINED,
    SPOKEN,
    Share,
)
from duckfeat.query.search_edits import NEVER, edits, pair_cost, word_edits
from duckfeat.query.search_text import GREEK_NAMES, compact, is_unspaced, normalise

__all__ = [
    "BEGINS",
    "BEGINS_LETTERS",
    "CEILING",
    "CONTAINS",
    "COSTS",
    "CUTOFF",
    "MAX_CHARS",
    "NEARLY_CONTAINS",
    "NEARLY_LETTERS",
    "SAME_FORM",
    "SAME_JOINED",
    "SPOKEN",
    "Query",
    "score",
]

_LOOK_MOST, _MARK_MOST, _PARTED_MOST, _LATER_MOST = 5, 2, 5, 5
_TOO_MANY_FROM, _TOO_MANY_ON = 6, 8
# Words are paired while there are few of them.
_PAIRS_MOST = 100
# Between words that are no neighbours: three letters too many where they are written as one.
_GAP = "\n" * 3
Words = list[str | None]
"""Words of a normal form in order, None in place of those that query and text share."""
# Scores are told to this many decimals, and a floor may have been rounded up.
_DECIMALS = 3
_ROUNDING = 10**-_DECIMALS / CEILING
_SIGNS = (
    (re.compile(r"(?<=\w)\++(?!\w)"), " positive "),
    (re.compile(r"(?<=\w)-(?=[\s,;)/]|$)"), " negative "),
)
_QUALIFIER = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\])\s*$")
# Digits and the letters that they are taken for count as one.
_LOOK_ALIKE = str.maketrans("01I58", "ollsb")
_WORDS = re.compile(r"[^\W_]+|\s+")
_JOINED_SHORTEST, _ERROR_LETTERS = 3, 3
# No single error, nor a plural, makes a word longer or shorter by more.
_ABOUT = 2
_NUMBER, _BETWEEN_NUMBERS = re.compile(r"\d+"), re.compile(r"(?<=\d) (?=\d)")


def score(query: str, text: str, *, case_sensitive: bool = False) -> float:
    """Return how near `text` is to what was typed, 0.0 to 100.0; 100.0 is the text itself and nothing else.

    The module's docstring and docs/search.md say how it is made. With `case_sensitive=True` a letter in the
    other case is a wrong letter.

    >>> score("T cell", "t cell"), round(score("T cell", "T-cell"), 1)
    (100.0, 99.4)
    >>> round(score("ULabel7", "ULabel5"), 1)
    76.2
    """
    return Query(query, case_sensitive=case_sensitive).score(text)


class _Part(NamedTuple):
    """A query that is, letter for letter, a part of a text: the cost of the rest, measured against so many letters."""

    cost: float
    letters: int
    share: Share

    def lost(self, more: float = 0.0) -> float:
        """Return the share of the score that is lost, with some cost on top."""
        return self.share.of((self.cost + more) / self.letters)


class Query:
    """A query made ready to be scored against many texts.

    >>> query = Query("T cel")
    >>> query.score("T cell") > query.score("B cell")
    True
    """

    def __init__(self, text: str, *, case_sensitive: bool = False) -> None:
        self.text = text
        self.fold = not case_sensitive
        self.key = text.casefold() if self.fold else text
        self.whole = normalise(text, fold=self.fold)
        self.normal = self.whole[:MAX_CHARS]
        self.words = self.normal.split()
        self.joined = "".join(self.words)
        self.compact = compact(self.words)
        self._numbers = _NUMBER.findall(self.normal)
        self._as_word = f" {self.normal}"
        self._unspaced = is_unspaced(self.normal)
        # Capitals say something only where the query has both kinds of letters.
        self._cased = not (self.fold and (text.islower() or text.isupper()))
        look = (text if self._cased else self.key)[:MAX_CHARS]
        self._look = look.translate(_LOOK_ALIKE)
        self._marks = _marks(look)
        self._word_set = frozenset(self.words)
        pairs = [pair for pair in pairwise(self.words) if not _BETWEEN_NUMBERS.search(" ".join(pair))]
        self._parted = {"".join(pair): pair for pair in pairs}
        self._greek_end = frozenset(takewhile(GREEK_NAMES.__contains__, reversed(self.words)))
        # An error beside a Greek name weighs as much as where its Latin letter was typed.
        self._hasty_factor = (len(self.normal) + 1) / (len(self.compact) + len(self.normal) - len(self.joined) + 1)
        spoken = _spoken(text)
        self._spoken = None if spoken == text else Query(spoken, case_sensitive=case_sensitive)
        self._pair_costs: dict[str, dict[str, float]] = {word: {} for word in self.words}

    @property
    def readings(self) -> list[str]:
        """The case-folded normal forms the query may have, by which texts are found."""
        own = self.normal if self.fold else normalise(self.text)[:MAX_CHARS]
        return [own] if self._spoken is None else [own, *self._spoken.readings]

    def score(self, text: str, normal: str | None = None, floor: float = 0.0) -> float:
        """Return the score of a text, or 0.0 where it is below `floor`, which is found out sooner.

        `normal` is the start of the text's normal form, if that is at hand.
        """
        score = self._score(text, normal, floor)
        if self._spoken is None or score == EXACT:
            return score
        return max(score, min(SPOKEN, self._spoken.score(text, normal, floor)))

    def _score(self, text: str, normal: str | None, floor: float) -> float:
        key = text.casefold() if self.fold else text
        if key == self.key:
            return EXACT
        if normal is None or not self.fold or len(normal) >= MAX_CHARS:
            normal = normalise(text, fold=self.fold)
        if normal == self.whole:
            return round(SAME_FORM - self._unlike(text, key), _DECIMALS)
        if not normal or not self.normal:
            return 0.0
        normal = normal[:MAX_CHARS]
        words = normal.split()
        joined, hasty = "".join(words), compact(words)
        if (joined == self.joined or hasty == self.compact) and _NUMBER.findall(normal) == self._numbers:
            return round(SAME_JOINED - self._unlike(text, key), _DECIMALS)
        # A little more, so that rounding loses no score that equals the floor.
        most = 1 - floor / CEILING + _ROUNDING
        letters = len(self.normal) + 1
        cost, parts = self._explained(normal, words, joined, most * letters)
        parts += self._beginnings(normal, joined, hasty)
        if normal.startswith(self.normal) and self.whole == self._without_qualifier(text):
            parts.append(_Part(COSTS.qualifier, letters, BEGINS))
        # What costs more than that comes back as any number that is no less.
        if min([cost / letters, *(part.lost() for part in parts)]) >= most:
            return 0.0
        unlike = self._unlike(text, key)
        lost = min([(cost + unlike) / letters, *(part.lost(unlike) for part in parts)])
        return round(max(0.0, CEILING * (1 - lost)), _DECIMALS) if lost <= most else 0.0

    def _respelled(self, words: list[str], joined: str) -> tuple[list[str], float]:
        """Return the words of a text, those joined that the query joins and those parted that it parts, and the cost.

        >>> Query("laguardia air port")._respelled(["la", "guardia", "airport"], "laguardiaairport")
        (['laguardia', 'air', 'port'], 0.8)
        """
        missing = self._word_set.difference(words)
        if self._parted.keys().isdisjoint(words) and not any(word in joined for word in missing):
            return words, 0.0
        spelled: list[str] = []
        changes = 0
        for word in words:
            as_one = spelled[-1] + word if spelled else word
            if word in self._word_set:
                spelled.append(word)
            elif as_one in self._word_set and not _BETWEEN_NUMBERS.search(f"{spelled[-1]} {word}"):
                spelled[-1] = as_one
                changes += 1
            elif word in self._parted:
                spelled += self._parted[word]
                changes += 1
            else:
                spelled.append(word)
        return spelled, COSTS.joined * changes

    def _without_qualifier(self, text: str) -> str | None:
        """Return the normal form of a text without what stands in brackets at its end, None where nothing does."""
        bracket = _QUALIFIER.search(text)
        return None if bracket is None else normalise(text[: bracket.start()], fold=self.fold)

    def _unlike(self, text: str, key: str) -> float:
        look = (text if self._cased else key)[:MAX_CHARS]
        different = OSA.distance(self._look, look.translate(_LOOK_ALIKE), score_cutoff=_LOOK_MOST)
        marks = _marks(look)
        unmatched = 0 if marks == self._marks else Indel.distance(self._marks, marks, score_cutoff=_MARK_MOST)
        return COSTS.look * min(different, _LOOK_MOST) + COSTS.mark * min(unmatched, _MARK_MOST)

    # The costs below are exact below `most`; anything else may come back as any number that is no less.

    def _explained(self, text: str, words: list[str], joined: str, most: float) -> tuple[float, list[_Part]]:
        """Return what `_by_words` does, also with the words of the text joined and parted as the query has them."""
        cost, parts = self._by_words(text, words, most)
        respelled, joins = self._respelled(words, joined)
        if joins:
            other, others = self._by_words(" ".join(respelled), respelled, most)
            cost = min(cost, other + joins)
            parts += [part._replace(cost=part.cost + joins) for part in others]
        return cost, parts

    def _by_words(self, text: str, words: list[str], most: float) -> tuple[float, list[_Part]]:
        """Return the cost of the cheapest explanation of the query by the normal form of a text.

        The list has what leaves words out and nothing else, or one typing error besides, if that is possible.
        """
        order, left, right = _without_shared(self.words, words, self._word_set.intersection(words))
        letters = len(self.normal) + 1
        # With less lost, the share is no other than the cost's.
        nearly = most > NEARLY_CONTAINS.low * letters
        parts = [_Part(order + cost, letters, share) for cost, share in self._left_out_only(left, right, nearly=nearly)]
        cost = order + self._rest_cost(left, right, most - order)
        if len(text) > len(self.normal):
            cost = min(cost, self._piece_cost(text, min(cost, most)))
        return cost, parts

    def _left_out_only(self, query: Words, text: Words, *, nearly: bool) -> Iterator[tuple[float, Share]]:
        """Give the cost of leaving out words of the text, if nothing else or `nearly` nothing else is wrong."""
        typed = _kept(query)
        if not typed:
            yield _left_out(text), CONTAINS
        elif nearly and len(typed) == 1 and len(typed[0]) >= NEARLY_LETTERS and typed[0].isalpha():
            cost, at = self._likest(typed[0], text)
            if cost <= COSTS.wrong:
                yield cost + _left_out([*text[:at], None, *text[at + 1 :]]), NEARLY_CONTAINS

    def _likest(self, typed: str, text: Words) -> tuple[float, int]:
        """Return the cost and the place of the word of a text that is most like a typed one, of those about as long."""
        costs, letters = self._pair_costs[typed], len(typed)
        likest = NEVER, -1
        for at, meant in enumerate(text):
            if meant is not None and -_ABOUT <= len(meant) - letters <= _ABOUT:
                if (cost := costs.get(meant)) is None:
                    cost = costs[meant] = pair_cost(typed, meant)
                likest = min(likest, (cost, at))
        return likest

    def _beginnings(self, text: str, joined: str, hasty: str) -> Iterator[_Part]:
        """Give the ways in which the query is a beginning: of the text, and of a later word of it."""
        letters = len(self.normal) + 1
        for typed, meant, more in (
            (self.normal, text, 0.0),
            (self.joined, joined, COSTS.joined),
            (self.joined, hasty, COSTS.greek),
        ):
            if meant.startswith(typed):
                cost = COSTS.start + COSTS.start_rest * log2(1 + len(meant) - len(typed)) + more
                cost += _numbers_joined(self.normal, _first_letters(text, len(typed))) if more else 0.0
                yield _Part(cost, max(letters, BEGINS_LETTERS), BEGINS)
                break
        at, more = text.find(self.normal if self._unspaced else self._as_word), 0.0
        if at < 0 and len(self.joined) >= _JOINED_SHORTEST and self.joined in joined:
            at, more = _begins_word(text, self.joined), COSTS.joined
        if at > 0:
            later = min(text.count(" ", 0, at), _LATER_MOST)
            rest = log2(1 + max(len(text) - len(self.normal), 0))
            cost = COSTS.within + COSTS.within_rest * rest + COSTS.within_later * later + more
            yield _Part(cost, letters, CONTAINS)

    def _piece_cost(self, text: str, most: float) -> float:
        """Return the cost of the query being a piece of a word of the text, or its start with an error."""
        rest = log2(1 + len(text) - len(self.normal))
        if self.normal in text:
            return COSTS.inside + COSTS.inside_rest * rest
        start = COSTS.start + COSTS.start_rest * rest
        if start >= most:
            return start
        return start + min(edits(self.normal, text[: len(self.normal) + more], most - start) for more in (0, 1))

    def _rest_cost(self, query: Words, text: Words, most: float) -> float:
        """Return the cost of the words that query and text do not share; None stands for a shared one."""
        typed, meant = _kept(query), _kept(text)
        if not typed:
            return _left_out(text)
        if not meant:
            return sum(COSTS.added_greek if word in self._greek_end else _added(word) for word in typed)
        if len(typed) == len(meant) == 1:
            return min(word_edits(typed[0], meant[0]), _replaced(typed[0], meant[0]))
        if len(typed) == len(meant):
            cost = min(most, edits(" ".join(typed), " ".join(meant), most))
        else:
            # Only neighbours are joined.
            spelled_typed, spelled_meant = _spelled(query, " "), _spelled(text, " ")
            cost = min(most, edits(spelled_typed, spelled_meant, most))
            joined = COSTS.joined + _numbers_joined(spelled_typed, spelled_meant)
            if joined < cost:
                cost = min(cost, joined + edits(_spelled(query, ""), _spelled(text, ""), cost - joined))
        hasty_typed, hasty_meant = compact(typed), compact(meant)
        if (hasty_typed, hasty_meant) != ("".join(typed), "".join(meant)):
            factor = self._hasty_factor
            cost = min(cost, COSTS.greek + factor * edits(hasty_typed, hasty_meant, (cost - COSTS.greek) / factor))
        if cost <= _least_paired(len(typed), len(meant)) or len(typed) * len(meant) > _PAIRS_MOST:
            return cost
        return min(cost, self._paired_cost(query, text))

    def _paired_cost(self, query: Words, text: Words) -> float:
        """Return the cost of typing each word for the one it is most like, the others left out or too many."""
        found: dict[int, int] = {}
        missing = list(text)
        total = 0.0
        for cost, i, j in self._pairs(query, text):
            if i not in found and missing[j] is not None:
                found[i], missing[j] = j, None
                total += cost
        places = [found[i] for i in sorted(found)]
        total += _order(places)
        extra = [typed for i, typed in enumerate(query) if typed is not None and i not in found]
        if not any(missing):
            # One typing error leaves no doubt that the query has every word of the text, unless that is tiny.
            doubt = total > min(COSTS.wrong, sum(map(len, _kept(text))) / _ERROR_LETTERS)
            cost_of = _too_many if doubt else _added_or_too_many
            return total + sum(COSTS.added_greek if typed in self._greek_end else cost_of(typed) for typed in extra)
        if extra:
            total += COSTS.word_replaced
        return total + _left_out(missing) + sum(map(_too_many, extra))

    def _pairs(self, query: Words, text: Words) -> list[tuple[float, int, int]]:
        """Return the cost and the places of each two words of which one may have been typed for the other."""
        pairs: list[tuple[float, int, int]] = []
        words = [(j, meant) for j, meant in enumerate(text) if meant is not None]
        for i, typed in enumerate(query):
            if typed is None:
                continue
            costs = self._pair_costs[typed]
            for j, meant in words:
                cost = costs.get(meant)
                if cost is None:
                    cost = costs[meant] = pair_cost(typed, meant)
                if cost < NEVER:
                    pairs.append((cost, i, j))
        pairs.sort()
        return pairs


def _begins_word(text: str, joined: str) -> int:
    """Return where the word stands with which some words of a text begin that read so without their spaces, or -1.

    >>> _begins_word("run 03 plate 7 parquet", "plate7"), _begins_word("run 03 plate 7 parquet", "late7")
    (7, -1)
    """
    starts = [0, *(at + 1 for at, char in enumerate(text) if char == " ")]
    return next((at for at in starts if text[at:].replace(" ", "").startswith(joined)), -1)


def _first_letters(text: str, count: int) -> str:
    """Return the start of a text that has so many letters, spaces not counted.

    >>> _first_letters("mir7 3 a", 5)
    'mir7 3'
    """
    ends = (at for at, char in enumerate(text, 1) if char != " ")
    return text[: next(islice(ends, count - 1, None), len(text))]


def _numbers_joined(typed: str, meant: str) -> float:
    """Return what it costs on top that a text without its spaces has numbers written as one, or one as several.

    >>> [_numbers_joined(typed, "mir73 1") for typed in ("mir 73 1", "mir 731", "mir7 31", "mir7 3 1")]
    [0.0, 0.4, inf, inf]
    """
    parted, meant_parted = (len(_BETWEEN_NUMBERS.findall(text)) for text in (typed, meant))
    if parted != meant_parted:
        return COSTS.joined_numbers if parted < meant_parted else NEVER
    numbers, others = _NUMBER.findall(typed), _NUMBER.findall(meant)
    return NEVER if numbers != others and "".join(numbers) == "".join(others) else 0.0


def _least_paired(typed: int, meant: int) -> float:
    """Return the least that so many words of the query can cost against so many of the text, none of them shared."""
    pairs = COSTS.plural * min(typed, meant)
    if typed >= meant:
        return pairs + min(COSTS.word_too_many + COSTS.word_too_many_char, COSTS.added_greek) * (typed - meant)
    more = meant - typed
    return pairs + COSTS.word_left_out + COSTS.word_left_out_more * (more - 1) + COSTS.word_left_out_char * more


def _without_shared(query: list[str], text: list[str], shared: frozenset[str]) -> tuple[float, Words, Words]:
    """Return the cost of the shared words' order, and the words of query and text with None for shared ones."""
    left: Words = list(query)
    right: Words = list(text)
    places: list[int] = []
    start = 0
    for at, word in enumerate(query if shared else ()):
        place = _find(right, word, start) if word in shared else -1
        if place >= 0:
            left[at] = right[place] = None
            places.append(place)
            start = place + 1
    return _order(places), left, right


def _kept(words: Words) -> list[str]:
    return [word for word in words if word is not None]


def _spelled(words: Words, between: str) -> str:
    """Return the words that are not None as one text, with a wide gap between those that are no neighbours.

    >>> _spelled([None, "1", None, "old", "stage"], " ").split(f" {_GAP} ")
    ['1', 'old stage']
    """
    return between.join([word or _GAP for word in words]).strip(_GAP + between)


def _order(places: Sequence[int]) -> float:
    """Return the cost of typing words in this order of their places in the text.

    >>> _order([0, 2, 3]), _order([2, 3, 0, 1]) < _order([2, 1, 0, 3])
    (0.0, True)
    """
    ascending = sorted(places)
    if places == ascending:
        return 0.0
    follows = dict(pairwise(ascending))
    parted = sum(follows.get(one) != other for one, other in pairwise(places))
    return COSTS.order + COSTS.order_parted * min(parted - 1, _PARTED_MOST)


def _find(words: Sequence[str | None], word: str, start: int) -> int:
    """Return where the word stands, looked for from `start` on and then from the beginning, or -1."""
    places = [place for place, other in enumerate(words) if other == word]
    return next((place for place in places if place >= start), places[0] if places else -1)


def _left_out(words: Sequence[str | None]) -> float:
    """Return the cost of leaving out the words that are not None, neighbours as one run.

    >>> _left_out(["epithelial", None, "of", "lung"]) == 1.0 + 0.5 + 1.0 + 0.1 + 0.3 + 0.2
    True
    """
    cost = 0.0
    running = False
    for word in words:
        if word is not None:
            cost += COSTS.word_left_out_more if running else COSTS.word_left_out
            cost += COSTS.word_left_out_char * len(word)
        running = word is not None
    return cost


def _too_many(word: str) -> float:
    """Return the cost of a word that the text lacks; without a bound, or a long one would be like every text."""
    letters = min(len(word), _TOO_MANY_FROM) + max(len(word) - _TOO_MANY_ON, 0)
    return COSTS.word_too_many + COSTS.word_too_many_char * letters


def _replaced(typed: str, meant: str) -> float:
    """Return the cost of typing one word instead of another."""
    return COSTS.word_replaced + _too_many(typed) + _left_out([meant])


def _added(word: str) -> float:
    return max(COSTS.added + COSTS.added_rest * log2(1 + len(word)), COSTS.added_char * len(word))


def _added_or_too_many(word: str) -> float:
    return min(_added(word), _too_many(word))


def _marks(text: str) -> str:
    return _WORDS.sub("", text)


def _spoken(text: str) -> str:
    """Return the text with the signs that follow a word spelled out.

    >>> _spoken("CD4+ CD8- T-cell")
    'CD4 positive  CD8 negative  T-cell'
    """
    for sign, word in _SIGNS:
        text = sign.sub(word, text)
    return text
