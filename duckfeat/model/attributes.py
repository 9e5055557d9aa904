"""Attributes that do not exist: what there is instead is told, and what was probably meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duckfeat.errors import attribute_missing


class Telling:
    """An object that tells, of an attribute that it lacks, those that it has.

    >>> class Point(Telling):
    ...     x = 1
    >>> Point().y
    Traceback (most recent call last):
    duckfeat.errors.AttributeMissing: Point has no attribute 'y'. Available: x.
    """

    if not TYPE_CHECKING:  # what there is stays known to a type checker

        def __getattr__(self, name: str) -> Any:
            raise attribute_missing(type(self).__name__, name, dir(self))


class TellingType(type):
    """A class that tells, of an attribute that it lacks, those that it has."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> Any:
            raise attribute_missing(cls.__name__, name, dir(cls))
