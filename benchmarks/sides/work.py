"""The work that duckfeat and its peers do alike: samples with five features each, and the names they are found by."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

FEATURES = {"temperature": float, "n_cells": int, "dose": float, "protocol": str, "note": str}
SAMPLES, NAMED = 10_000, 100_000
WARM = 30
"""Samples above this temperature are counted."""
CELLS = ("hepatocyte", "fibroblast", "macrophage", "astrocyte", "keratinocyte", "neutrophil", "enterocyte", "podocyte")
DRUGS = ("cisplatin", "metformin", "tamoxifen", "imatinib", "doxorubicin", "rapamycin", "aspirin", "ibuprofen")

Values = dict[str, Any]


def values(number: int) -> Values:
    """Return five values, the same for a number every time; about three in five are of this number alone."""
    chance = random.Random(number)  # noqa: S311 -- made-up measurements keep no secret
    return {
        "temperature": round(chance.gauss(20, 5), 3),
        "n_cells": chance.randrange(100_000),
        "dose": chance.randrange(10) * 0.5,
        "protocol": f"protocol {chance.randrange(50)}",
        "note": f"note {number}",
    }


def name(number: int) -> str:
    """Return the name of a sample."""
    return f"{CELLS[number % 8]} {DRUGS[number // 8 % 8]} {number:05}"


def mistyped(text: str) -> str:
    """Return the name with a letter left out of each word."""
    cell, drug, number = text.split()
    return f"{cell[:3]}{cell[4:]} {drug[:3]}{drug[4:]} {number}"


SEARCHED = name(4217)


class Side(Protocol):
    """A store of one kind. What it cannot do is None."""

    def store_many(self, samples: list[tuple[str, Values]]) -> Callable[[], object]:
        """Return the quickest public way of storing new samples with their values, its input made ready."""

    def bytes(self) -> int:
        """Return the bytes that the store has on disk."""

    def count_warm(self) -> int:
        """Return how many samples are above the temperature."""

    def frame(self) -> Any:
        """Return a pandas frame of all samples with a column for each feature."""

    def search(self, text: str) -> list[str]:
        """Return the names of the first twenty samples that are found."""

    def new_sample(self) -> Any:
        """Return a new, saved sample without values."""

    def set_values(self, sample: Any, values: Values) -> None:
        """Make these the values of the sample."""

    replaces: bool
    """Whether values that are set can be set again."""

    get_or_create: Callable[[float], object] | None
    """Gets or makes a value of the temperature."""

    def save_run(self) -> None:
        """Save a new run."""

    add_names: Callable[[list[str]], object] | None
    """Adds samples that have only names."""

    get: Callable[[str], object] | None
    """Gets a sample by its name."""
