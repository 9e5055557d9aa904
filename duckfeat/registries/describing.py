"""Records and registries as text: a record in one line or as an HTML table, and what `describe()` prints of either."""

from __future__ import annotations

import html as html_
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from duckfeat.model.arguments import flag, spelled
from duckfeat.model.fields import ForeignKey

if TYPE_CHECKING:
    from duckfeat.registries.base import SQLRecord


# --- a record ------------------------------------------------------------------------------------


def _shown(record: SQLRecord) -> list[tuple[str, Any]]:
    """Return the names and values of a record's fields that say something."""
    shown = []
    for name, column in record.__table__.fields.items():
        key = column.column if isinstance(column, ForeignKey) else name
        value = record.__dict__.get(key)
        if column.shown and value is not None and name not in {"branch", "space"}:
            shown.append((key, value))
    return shown


def short(value: Any) -> str:
    """Return a value as one line of a description, cut where it is long."""
    text = value.isoformat(" ", "seconds") if hasattr(value, "isoformat") and hasattr(value, "hour") else spelled(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _exact(value: Any) -> str:
    """Return a feature's value as one line: a date or a datetime as a whole, where two may differ in a microsecond."""
    return str(value) if isinstance(value, date) else short(value)


def _told(record: SQLRecord, name: str, value: Any) -> str:
    field = record.__table__.fields.get(name)
    return _exact(value) if field is not None and field.type == "value" else short(value)


def one_line(record: SQLRecord) -> str:
    """Return a record as one line: `ULabel(uid='...', name='...')`."""
    inner = ", ".join(f"{name}={_told(record, name, value)}" for name, value in _shown(record))
    return f"{record.__registry__}({inner})"


def html(record: SQLRecord) -> str:
    """Return a record as an HTML table for a notebook."""
    told = ((name, _told(record, name, value)) for name, value in _shown(record))
    rows = "".join(
        f"<tr><th style='text-align:left'>{html_.escape(name)}</th><td>{html_.escape(text)}</td></tr>"
        for name, text in told
    )
    return f"<table><caption>{html_.escape(record.__registry__)}</caption>{rows}</table>"


def description(record: SQLRecord) -> str:
    """Return a record's fields, labels and features as lines; what it points at is told by name."""
    lines = [record.__registry__]
    for key, value in _shown(record):
        name = key if key in record.__table__.fields else key.removesuffix("_id")
        lines.append(f"  {name}: {_told(record, key, value) if name == key else _called(getattr(record, name), value)}")
    if record.id is not None and "ulabels" in record.__table__.relations:
        labels = [repr(name) for name in record.ulabels.order_by("name").values_list("name", flat=True)]
        lines += [f"  ulabels: {', '.join(labels)}"] if labels else []
    if record.id is not None and record.__table__.entity is not None:
        values = record.features.get_values()
        lines += ["  features:"] if values else []
        lines += [f"    {name} = {_exact(value)}" for name, value in values.items()]
    return "\n".join(lines)


def _called(record: SQLRecord | None, id_: int) -> str:
    """Return what people call a record that another one points at."""
    return f"#{id_}" if record is None else record._called()


def called(record: SQLRecord) -> str:
    """Return what people call a record: its name, or where it has none an id of it, or its uid."""
    names = (record.__dict__.get(name) for name in (*record.__table__.called, "uid"))
    return next(str(name) for name in names if name is not None)


# --- describe() ----------------------------------------------------------------------------------


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
        return partial(_show, partial(description, record))
