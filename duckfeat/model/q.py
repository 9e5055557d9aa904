"""Conditions as values: `Q` objects over fields, predicates over features, and their combinations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from duckfeat.errors import InvalidArgument


class Condition:
    """Something a record fulfils or not; combined with `&`, `|` and `~`."""

    def __and__(self, other: Condition) -> Q:
        return Q._joined("AND", self, other)

    def __or__(self, other: Condition) -> Q:
        return Q._joined("OR", self, other)

    def __invert__(self) -> Q:
        return Q._from("AND", (self,), negated=True)

    def __bool__(self) -> bool:
        raise InvalidArgument("a condition has no truth value: combine conditions with & | ~, not and, or, not")


class Q(Condition):
    """A condition over fields: keywords joined by AND, other conditions as arguments.

    >>> Q(name="x") | ~Q(name__startswith="y")
    Q(name='x') | ~Q(name__startswith='y')
    """

    __slots__ = ("children", "connector", "negated")

    def __init__(self, *conditions: Condition, **lookups: Any) -> None:
        for condition in conditions:
            if not isinstance(condition, Condition):
                raise InvalidArgument(
                    f"a query is a Q object or a feature predicate, not {condition!r}; fields go in as keywords",
                    value=condition,
                )
        self.children: tuple[Condition | tuple[str, Any], ...] = (*conditions, *lookups.items())
        self.connector = "AND"
        self.negated = False

    @classmethod
    def _from(cls, connector: str, children: tuple[Any, ...], *, negated: bool = False) -> Q:
        made = cls()
        made.children = children
        made.connector = connector
        made.negated = negated
        return made

    @classmethod
    def _joined(cls, connector: str, left: Condition, right: Any) -> Q:
        if not isinstance(right, Condition):
            raise InvalidArgument(f"a condition combines with another condition, not with {right!r}", value=right)
        return cls._from(connector, (*_parts(left, connector), *_parts(right, connector)))

    def __invert__(self) -> Q:
        return Q._from(self.connector, self.children, negated=not self.negated)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Q):
            return NotImplemented
        mine = (self.connector, self.negated, self.children)
        return mine == (other.connector, other.negated, other.children)

    __hash__ = None  # type: ignore[assignment]  # values inside may be unhashable lists

    def __repr__(self) -> str:
        if all(isinstance(child, tuple) for child in self.children) and self.connector == "AND":
            text = "Q(" + ", ".join(f"{key}={value!r}" for key, value in self._pairs()) + ")"
        else:
            sign = " & " if self.connector == "AND" else " | "
            text = sign.join(_shown(child) for child in self.children)
            text = f"({text})" if self.negated else text
        return f"~{text}" if self.negated else text

    def _pairs(self) -> list[tuple[str, Any]]:
        return [child for child in self.children if isinstance(child, tuple)]


def _shown(child: Condition | tuple[str, Any]) -> str:
    if isinstance(child, tuple):
        return f"Q({child[0]}={child[1]!r})"
    if not isinstance(child, Q) or child.negated or len(child.children) < 2:
        return repr(child)
    return repr(child) if all(isinstance(part, tuple) for part in child.children) else f"({child!r})"


def _parts(condition: Condition, connector: str) -> tuple[Any, ...]:
    """Return what to join: the children of a Q of the same connector, so that long chains stay flat."""
    if isinstance(condition, Q) and not condition.negated:
        if not condition.children:
            return ()
        if condition.connector == connector or len(condition.children) == 1:
            return condition.children
    return (condition,)


@dataclass(frozen=True, eq=False, slots=True)
class Predicate(Condition):
    """A condition on the values of one feature: the lookup, its operand, and a path into nested values.

    It holds for an entity if any of its current values fulfils it; after `all_values()`, if it has values and
    all of them do.
    """

    feature: Any
    lookup: str
    operand: Any
    path: tuple[str | int, ...] = ()
    every: bool = False

    def all_values(self) -> Predicate:
        """Return the predicate that must hold for every value the entity has of the feature.

        >>> Predicate("dose", "gt", 1).all_values().every
        True
        """
        return replace(self, every=True)

    def __repr__(self) -> str:
        name = getattr(self.feature, "name", self.feature)
        path = "".join(f"[{part!r}]" for part in self.path)
        every = ".all_values()" if self.every else ""
        return f"({name}{path} {self.lookup} {self.operand!r}){every}"


@dataclass(frozen=True, slots=True)
class RelatedTo(Condition):
    """The records that a relation leads to from given records."""

    relation: Any
    ids: tuple[int, ...]


class Comparable:
    """The operators and methods that build predicates, shared by features and paths into their values."""

    def _predicate(self, lookup: str, operand: Any) -> Predicate:
        raise NotImplementedError

    def __lt__(self, operand: Any) -> Predicate:
        return self._predicate("lt", operand)

    def __le__(self, operand: Any) -> Predicate:
        return self._predicate("lte", operand)

    def __gt__(self, operand: Any) -> Predicate:
        return self._predicate("gt", operand)

    def __ge__(self, operand: Any) -> Predicate:
        return self._predicate("gte", operand)

    def isin(self, operands: Any) -> Predicate:
        """Return the predicate: one of these values."""
        return self._predicate("in", operands)

    def between(self, low: Any, high: Any) -> Predicate:
        """Return the predicate: at least `low` and at most `high`."""
        return self._predicate("range", (low, high))

    def contains(self, part: str) -> Predicate:
        """Return the predicate: text that holds `part`."""
        return self._predicate("contains", part)

    def startswith(self, part: str) -> Predicate:
        """Return the predicate: text that begins with `part`."""
        return self._predicate("startswith", part)

    def endswith(self, part: str) -> Predicate:
        """Return the predicate: text that ends with `part`."""
        return self._predicate("endswith", part)

    def matches(self, pattern: str) -> Predicate:
        """Return the predicate: text in which the regular expression is found."""
        return self._predicate("regex", pattern)

    def is_null(self, missing: bool = True) -> Predicate:
        """Return the predicate: no value (or, with `False`, any value)."""
        return self._predicate("isnull", missing)


@dataclass(frozen=True, eq=False, slots=True)
class FeaturePath(Comparable):
    """A place inside the dict or list values of a feature: `meta["optimizer"]["lr"]`."""

    feature: Any
    path: tuple[str | int, ...]

    def __getitem__(self, part: str | int) -> FeaturePath:
        return FeaturePath(self.feature, (*self.path, part))

    def _predicate(self, lookup: str, operand: Any) -> Predicate:
        return Predicate(self.feature, lookup, operand, self.path)

    def __eq__(self, operand: object) -> Predicate:  # type: ignore[override]  # builds a predicate
        return self._predicate("exact", operand)

    def __ne__(self, operand: object) -> Predicate:  # type: ignore[override]  # builds a predicate
        return self._predicate("ne", operand)

    __hash__ = None  # type: ignore[assignment]  # equality builds a predicate
