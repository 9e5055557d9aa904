"""How search reads a text: one normal form for queries and names, made one by one or for many rows at once.

The normal form is case folded, without diacritics, with Greek letters by their names, every run of
punctuation and blanks one space, and Latin look-alikes spelled out:

>>> normalise("TNF-α"), normalise("  Straße  "), normalise("CD8+ T-cell")
('tnf alpha', 'strasse', 'cd8 t cell')
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

__all__ = ["compact", "normalise", "normalise_rows"]

GREEK = {
    "α": ("alpha", "a"),
    "β": ("beta", "b"),
    "γ": ("gamma", "g"),
    "δ": ("delta", "d"),
    "ε": ("epsilon", "e"),
    "ζ": ("zeta", "z"),
    "η": ("eta", "h"),
    "θ": ("theta", "t"),
    "ι": ("iota", "i"),
    "κ": ("kappa", "k"),
    "λ": ("lambda", "l"),
    "μ": ("mu", "m"),
    "ν": ("nu", "n"),
    "ξ": ("xi", "x"),
    "ο": ("omicron", "o"),
    "π": ("pi", "p"),
    "ρ": ("rho", "r"),
    "σ": ("sigma", "s"),
    "ς": ("sigma", "s"),
    "τ": ("tau", "t"),
    "υ": ("upsilon", "u"),
    "φ": ("phi", "f"),
    "χ": ("chi", "c"),
    "ψ": ("psi", "p"),
    "ω": ("omega", "o"),
}
"""Greek letter -> its name, and the Latin letter people type for it."""

LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i", "ħ": "h"}
"""Latin letters that Unicode does not decompose."""

ROW = "\n"
"""Stands between rows where many are normalised at once; within a row it is a blank."""

APOSTROPHES = "'\u2019\u02bc`\u00b4"

# A one- or two-letter run is a symbol (γδ T cell); a longer one is a Greek word and stays as it is.
_GREEK_RUN = re.compile(r"(?<![α-ωΑ-Ω])[α-ω]{1,2}(?![α-ωΑ-Ω])")
# Names long enough to be told apart inside a word; the short ones (mu, pi, xi, ...) count as whole words only.
_LONG_NAMES = "alpha|beta|gamma|delta|epsilon|zeta|theta|kappa|lambda|sigma|omega|omicron|upsilon"
_SHORT_NAMES = "eta|iota|mu|nu|xi|pi|rho|tau|phi|chi|psi"
GREEK_PIECES = (*_LONG_NAMES.split("|"), *(f" {name} " for name in _SHORT_NAMES.split("|")))
"""What a normal form that `compact` shortens has in it; a space is the start or the end of a word."""
GREEK_NAMES = frozenset((*_LONG_NAMES.split("|"), *_SHORT_NAMES.split("|")))
"""What Greek letters are spelled as."""
_GREEK_NAME = re.compile(rf"(?:{_LONG_NAMES})+(?![^\W\d_])|^(?:{_SHORT_NAMES})$")
_ONE_NAME = re.compile(rf"{_LONG_NAMES}|{_SHORT_NAMES}")
_LATIN = dict(GREEK.values())

# Han, kana, bopomofo; Thai, Lao, Burmese, Khmer; Tibetan.
_UNSPACED = re.compile(
    r"[\u2e80-\u2fdf\u3005-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff]"
)

# The highest class that belongs to the letter itself (nukta 7, kana voicing 8, virama 9); above are accents.
_LAST_LETTER_CLASS = 9
_KEPT_CATEGORIES = frozenset("LNM")


def normalise(text: str, *, fold: bool = True) -> str:
    """Return the normal form of one text; with `fold=False` letters keep their case.

    A text of nothing but punctuation stays as it is, blanks aside, so that it can still be found.

    >>> normalise("Hodgkin's lymphoma"), normalise("+++"), normalise("γδ T cell")
    ('hodgkins lymphoma', '+++', 'gamma delta t cell')
    """
    plain = _squeeze(_plain(text.replace(ROW, " "), fold))
    return plain or _verbatim(text, fold)


def normalise_rows(texts: Sequence[str], *, fold: bool = True) -> list[str]:
    """Return `[normalise(text) for text in texts]`, several times faster.

    >>> normalise_rows(["T-cell", "β cell", ""])
    ['t cell', 'beta cell', '']
    """
    if not texts:
        return []
    joined = ROW.join(texts)
    if joined.count(ROW) != len(texts) - 1:
        joined = ROW.join(text.replace(ROW, " ") for text in texts)
    rows = _squeeze(_plain(joined, fold)).split(ROW)
    return [row or _verbatim(text, fold) for row, text in zip(rows, texts, strict=True)]


def compact(words: Iterable[str]) -> str:
    """Return the words of a normal form as one, Greek names down to a letter: what hasty typing leaves.

    >>> compact(["tnf", "alpha"]), compact(["tnfalpha"]), compact(["biota"])
    ('tnfa', 'tnfa', 'biota')
    """
    return "".join(map(_without_greek, words))


def is_unspaced(text: str) -> bool:
    """Tell whether a text begins in a script that puts no spaces between words: Chinese, Japanese, Thai and the like.

    >>> is_unspaced("太郎"), is_unspaced("김철"), is_unspaced("t cell")
    (True, False, False)
    """
    return _UNSPACED.match(text) is not None


def cut(texts: Sequence[str], most: int) -> Sequence[str]:
    """Return the texts, those longer than `most` characters cut to that.

    >>> cut(["t cell", "b"], 3)
    ['t c', 'b']
    """
    return texts if max(map(len, texts), default=0) <= most else [text[:most] for text in texts]


@lru_cache(maxsize=1 << 16)
def _without_greek(word: str) -> str:
    return _GREEK_NAME.sub(_initials, word)


def _initials(match: re.Match[str]) -> str:
    return "".join(_LATIN[name] for name in _ONE_NAME.findall(match[0]))


def _verbatim(text: str, fold: bool) -> str:
    return " ".join((text.casefold() if fold else text).split())


def _plain(text: str, fold: bool) -> str:
    if fold:
        text = text.casefold()
    if not text.isascii():
        text = _spell(text, fold)
    if text.isascii():
        return text.translate(_ASCII)
    for char in set(text):
        replacement = _replacement(char)
        if replacement != char:
            text = text.replace(char, replacement)
    return text


def _spell(text: str, fold: bool) -> str:
    text = unicodedata.normalize("NFKD", text)
    # Compatibility forms may bring capitals back (the degree sign of Celsius), and line breaks never appear.
    if fold:
        text = text.casefold()
    for char in set(text):
        if unicodedata.combining(char) > _LAST_LETTER_CLASS:
            text = text.replace(char, "")
    text = _GREEK_RUN.sub(lambda match: "".join(f" {GREEK[char][0]} " for char in match[0]), text)
    return unicodedata.normalize("NFC", text)


@lru_cache(maxsize=4096)
def _replacement(char: str) -> str:
    if char == ROW or char in LETTERS:
        return LETTERS.get(char, char)
    if char in APOSTROPHES:
        return ""
    return char if unicodedata.category(char)[0] in _KEPT_CATEGORIES else " "


_ASCII = {code: _replacement(chr(code)) or None for code in range(128)}


def _squeeze(text: str) -> str:
    while "  " in text:
        text = text.replace("  ", " ")
    if ROW in text:
        text = text.replace(" " + ROW, ROW).replace(ROW + " ", ROW)
    return text.strip(" ")
