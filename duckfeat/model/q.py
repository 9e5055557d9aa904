"""Conditions as values: `Q` objects over fields, predicates over features, and their combinations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from duckfeat.errors import InvalidArgument
from duckfeat.model.arguments import flag, is_text, shown, spelled
from duckfeat.model.order import Order

SHOWN_DEPTH = 20
"""How deep the text of a condition goes."""


def kept(operand: Any) -> Any:
    """Return an operand as it is now: a list is copied, and what can be read only once is read.

    >>> kept(number for number in (1, 2))
    (1, 2)
    """
    if isinstance(operand, Iterator):
        return tuple(operand)
    return operand.copy() if type(operand) in {list, set, dict} else operand


@runtime_checkable
class Asking(Protocol):
    """A question whose answers can be the operand of `in`."""

    def asked(self) -> Any:
        """Return the compiler's question for the records that are meant; None where values are."""

    def answers(self) -> Iterable[Any]:
        """Return the values of the one field that is asked for."""


class Condition:
    """Something a record fulfils or not; combined with `&`, `|` and `~`."""

    def __and__(self, other: Condition) -> Q:
        return Q._joined("AND", self, other)

    def __or__(self, other: Condition) -> Q:
        return Q._joined("OR", self, other)

    def __invert__(self) -> Q:
        return Q._from("AND", (self,), negated=True)

    def __bool__(self) -> bool:
        raise InvalidArgument(
            "a condition has no truth value: combine conditions with &, | and ~, not with and, or, not"
        )


class Q(Condition):
    """A condition on fields, for `filter()`: lookups as keywords and other conditions as arguments, joined by AND.

    Combine conditions with `&`, `|` and `~`. A `Q()` without conditions holds for every record.

    >>> Q(name="x") | ~Q(name__startswith="y")
    Q(name='x') | ~Q(name__startswith='y')
    """

    __slots__ = ("children", "connector", "negated")

    def __init__(self, /, *conditions: Condition, **lookups: Any) -> None:
        for condition in conditions:
            if not isinstance(condition, Condition):
                raise InvalidArgument(
                    f"a query is a Q object or a feature predicate, not {shown(condition)}; fields go in as keywords",
                    value=condition,
                )
        said = (part for part in conditions if not isinstance(part, Q) or part.children)
        given = ((key, kept(operand)) for key, operand in lookups.items())
        self.children: tuple[Condition | tuple[str, Any], ...] = (*said, *given)
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
            raise InvalidArgument(f"a condition combines with another condition, not with {shown(right)}", value=right)
        return cls._from(connector, (*_parts(left, connector), *_parts(right, connector)))

    def __invert__(self) -> Q:
        return Q._from(self.connector, self.children, negated=bool(self.children) and not self.negated)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Q):
            return NotImplemented
        return list(_flat(self)) == list(_flat(other))

    __hash__ = None  # type: ignore[assignment]  # values inside may be unhashable lists

    def __repr__(self) -> str:
        return _shown(self, SHOWN_DEPTH)


def _flat(root: Q) -> Iterator[Any]:
    """Yield what a condition is made of, level marks included: equal conditions give equal sequences."""
    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, Q):
            yield (node.connector, node.negated, len(node.children))
            stack.extend(reversed(node.children))
        else:
            yield node


def _shown(condition: Condition | tuple[str, Any], depth: int) -> str:
    if isinstance(condition, tuple):
        return f"Q({condition[0]}={spelled(condition[1])})"
    if not isinstance(condition, Q):
        return repr(condition)
    if depth == 0:
        return "..."
    pairs = [child for child in condition.children if isinstance(child, tuple)]
    if len(pairs) == len(condition.children) and condition.connector == "AND":
        text = "Q(" + ", ".join(f"{key}={spelled(value)}" for key, value in pairs) + ")"
        return f"~{text}" if condition.negated else text
    sign = " & " if condition.connector == "AND" else " | "
    text = sign.join(_part(child, depth - 1) for child in condition.children)
    return f"~({text})" if condition.negated else text


def _part(child: Condition | tuple[str, Any], depth: int) -> str:
    text = _shown(child, depth)
    if not isinstance(child, Q) or child.negated or len(child.children) < 2:
        return text
    return text if all(isinstance(part, tuple) for part in child.children) else f"({text})"


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
        """Return the predicate that all values of the feature must fulfil, where one is enough otherwise.

        >>> Predicate("dose", "gt", 1).all_values().every
        True
        """
        return replace(self, every=True)

    def __repr__(self) -> str:
        name = getattr(self.feature, "name", self.feature)
        path = "".join(f"[{part!r}]" for part in self.path)
        every = ".all_values()" if self.every else ""
        return f"({name}{path} {self.lookup} {spelled(self.operand)}){every}"


@dataclass(frozen=True, slots=True)
class RelatedTo(Condition):
    """The records that a relation leads to from given records; with `closure`, at any distance."""

    relation: Any
    ids: tuple[int, ...]
    closure: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Among(Condition):
    """The records that another question to the same registry gives."""

    query: Any


class Comparable:
    """The operators and methods that build predicates, shared by features and paths into their values."""

    __iter__ = None
    """There is nothing to go through: with `__getitem__` alone, Python would try without an end."""

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
        """Return the condition that the value is one of these."""
        return self._predicate("in", kept(operands))

    def between(self, low: Any, high: Any) -> Predicate:
        """Return the condition that the value is at least `low` and at most `high`."""
        return self._predicate("range", (low, high))

    def contains(self, part: Any) -> Predicate:
        """Return the condition that the text contains the text `part`, or that the list contains the item `part`."""
        return self._predicate("contains", part)

    def startswith(self, part: str) -> Predicate:
        """Return the condition that the text begins with `part`."""
        return self._predicate("startswith", part)

    def endswith(self, part: str) -> Predicate:
        """Return the condition that the text ends with `part`."""
        return self._predicate("endswith", part)

    def matches(self, pattern: str) -> Predicate:
        """Return the condition that the regular expression is found in the text."""
        return self._predicate("regex", pattern)

    def is_null(self, missing: bool = True) -> Predicate:
        """Return the condition that there is no value (or, with `False`, any value)."""
        return self._predicate("isnull", missing)

    def asc(self, *, nulls_first: bool = False) -> Order:
        """Return the order by these values, the least first."""
        return Order(self, nulls_first=flag(nulls_first, "nulls_first"))

    def desc(self, *, nulls_first: bool = False) -> Order:
        """Return the order by these values, the greatest first."""
        return Order(self, descending=True, nulls_first=flag(nulls_first, "nulls_first"))

    def __neg__(self) -> Order:
        return self.desc()


@dataclass(frozen=True, eq=False, slots=True)
class FeaturePath(Comparable):
    """A place inside the dict or list values of a feature: `meta["optimizer"]["lr"]`."""

    feature: Any
    path: tuple[str | int, ...]

    def __post_init__(self) -> None:
        for part in self.path:
            if not (is_text(part) if isinstance(part, str) else type(part) is int and 0 <= part < 2**63):
                raise InvalidArgument(
                    f"a place in a value is a key or a position from 0, not {shown(part)}", value=part
                )

    def __getitem__(self, part: str | int) -> FeaturePath:
        return FeaturePath(self.feature, (*self.path, part))

    def _predicate(self, lookup: str, operand: Any) -> Predicate:
        return Predicate(self.feature, lookup, operand, self.path)

    def __eq__(self, operand: object) -> Predicate:  # type: ignore[override]  # builds a predicate
        return self._predicate("exact", operand)

    def __ne__(self, operand: object) -> Predicate:  # type: ignore[override]  # builds a predicate
        return self._predicate("ne", operand)

    __hash__ = None  # type: ignore[assignment]  # equality builds a predicate
