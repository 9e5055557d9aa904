"""`describe()`: on a record what is known of it, on a registry what its records have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from duckfeat.model.arguments import flag
from duckfeat.model.fields import ForeignKey
from duckfeat.registries import naming


def registry_description(registry: Any) -> str:
    """Return a registry's fields with their types and meanings, and its relations, as lines."""
    table = registry._current().catalog[registry.__registry__]
    lines = [f"{table.name}: {registry.count():,} records", "  fields:"]
    for field in table.fields.values():
        type_ = field.target if isinstance(field, ForeignKey) else field.type
        lines.append(f"    {field.name} ({type_}): {field.__doc__}")
    many = [relation for relation in table.relations.values() if relation.many]
    lines += ["  relations:", *(f"    {relation.name}: {relation.target} records" for relation in many)] if many else []
    return "\n".join(lines)


def _show(text_of: Callable[[], str], return_str: bool = False) -> str | None:
    wanted, text = flag(return_str, "return_str"), text_of()
    if wanted:
        return text
    print(text)  # noqa: T201  # what the method is for
    return None


class Describe:
    """`describe(return_str=False)`: prints a record or, on the class, its registry; or returns the text."""

    def __get__(self, record: Any, owner: Any) -> Callable[..., str | None]:
        if record is None:
            return partial(_show, partial(registry_description, owner))
        return partial(_show, partial(naming.description, record))
