"""What the score of fuzzy search is made of: its levels, and what each step of an explanation costs."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import NamedTuple

EXACT = 100.0
"""The text itself."""
SAME_FORM = 99.5
"""The same but for case, punctuation, diacritics or Greek letters against their names."""
SAME_JOINED = 99.0
"""The same, numbers and all, but for spaces, or for Greek names against their Latin letters."""
SPOKEN = 98.5
"""At most, where a sign of the query is read as its word: CD8+ as CD8 positive, CD8- as CD8 negative."""
CEILING = 98.0
"""What an explanation that cost nothing would score."""
CUTOFF = 60.0
"""Below this a text is no result."""
MAX_CHARS = 1_000
"""Texts that are not equal are compared by this many characters of their normal form."""


class Share(NamedTuple):
    """How much of its score a query without any error loses: all of its cost up to `low`, never as much as `high`."""

    low: float
    high: float

    def of(self, lost: float) -> float:
        """Return what is lost where the cost alone would lose `lost`; more for more.

        >>> share = Share(0.2, 0.3)
        >>> share.of(0.1), round(share.of(0.25), 3), round(share.of(0.9), 3)
        (0.1, 0.239, 0.3)
        """
        width = self.high - self.low
        return lost if lost <= self.low else self.high - width * exp((self.low - lost) / width)


BEGINS = Share(0.2, 0.31)
"""The query is the beginning of the text."""
CONTAINS = Share(0.31, 0.385)
"""The query is the beginning of a later word, or every word of it is a word of the text."""
NEARLY_CONTAINS = Share(0.31, 0.3875)
"""Every word of the query is a word of the text, but for one typing error in one of them ..."""
NEARLY_LETTERS = 5
"""... which has so many letters at least, and no digit: fewer, with an error, are like too many words."""
BEGINS_LETTERS = 5
"""A beginning is measured against this at least: a few letters are likelier typed as one than typed wrong."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What each step of an explanation costs, in letters left out.

    >>> COSTS.left_out, COSTS.wrong > COSTS.swapped
    (1.0, True)
    """

    left_out: float = 1.0
    """A letter is missing."""
    swapped: float = 1.05
    """Two neighbouring letters changed places."""
    too_many: float = 1.1
    """A letter is there that should not be."""
    wrong: float = 1.3
    """A letter stands for another."""
    wrong_digit: float = 0.45
    """On top of `wrong`, where a digit stands for another: numbers tell things apart."""
    plural: float = 0.3
    """A word is in the plural, or in the singular where the text has the plural."""
    zeros: float = 0.3
    """A number is written with more or fewer zeros in front: run 3 for run 03."""
    joined: float = 0.4
    """Neighbouring words are written as one, or one as several; a number is never written as several."""
    joined_numbers: float = 0.4
    """On top of `joined`, where two numbers are written as one: MIR73 for MIR7-3."""
    greek: float = 0.3
    """A Greek name is written by its Latin letter, next to another error."""
    order: float = 0.6
    """Words stand in another order ..."""
    order_parted: float = 0.05
    """... and this for each further two words that are no longer neighbours (5 at most)."""
    word_left_out: float = 1.0
    """A word of the text, or a run of words, is missing ..."""
    word_left_out_more: float = 0.3
    """... and this for each further word of the run ..."""
    word_left_out_char: float = 0.05
    """... and this for each of their letters."""
    word_too_many: float = 1.0
    """The text lacks a word of the query ..."""
    word_too_many_char: float = 0.5
    """... and this for each of its letters, but for the seventh and the eighth."""
    added: float = 1.8
    """The query has every word of the text, with one typing error at most, and another ..."""
    added_rest: float = 0.35
    """... and this times log2(1 + the letters of the other) ..."""
    added_char: float = 0.4
    """... and at least this for each of these letters."""
    added_greek: float = 1.25
    """The query has every word of the text, and Greek names behind them: this for each, less than a wrong letter."""
    word_replaced: float = 1.0
    """On top, where the text lacks words of the query and the query lacks words of the text."""
    start: float = 0.68
    """Only the start of the text, or of a word, was typed, or a word without its vowels ..."""
    start_rest: float = 0.3
    """... and this times log2(1 + letters that were not typed)."""
    shortened: float = 0.4
    """On top, where a word was typed by its first letter, maybe with later ones: J for John, Intl for International."""
    qualifier: float = 0.2
    """All but what stands in brackets at the end of the text was typed: Kami for Kami (Nigeria)."""
    within: float = 0.9
    """The query starts a later word of the text, or stands in a word of a script without spaces ..."""
    within_rest: float = 0.35
    """... and this times log2(1 + other letters) ..."""
    within_later: float = 0.05
    """... and this for each word before it (5 at most)."""
    inside: float = 1.3
    """The query stands inside a word of the text ..."""
    inside_rest: float = 0.4
    """... and this times log2(1 + other letters)."""
    doubled: float = 0.05
    """Off for each like letter beside one that is left out or too many (3 at most): it is easier to lose count."""
    look: float = 0.03
    """Each character that differs in the texts as they are written (5 at most): decides between equals."""
    mark: float = 0.05
    """Each punctuation mark that only one of them has (2 at most): decides between equals."""


COSTS = Costs()
