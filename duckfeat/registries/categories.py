"""Categorical values: names, ontology ids or records, resolved to the records of their registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from duckfeat.errors import ValidationError
from duckfeat.model.arguments import registry_of, shown, spelled
from duckfeat.model.feature_info import FeatureInfo
from duckfeat.model.tables import Table
from duckfeat.query.session import Session
from duckfeat.registries.describing import called
from duckfeat.registries.naming import outside_trash


def resolve(session: Session, info: FeatureInfo, values: Sequence[Any]) -> list[int]:
    """Return the ids of the records that values of a categorical feature mean.

    Raises `ValidationError` for a value that is no record of the registry (or of the type), with the nearest.
    """
    table = session.catalog[info.dtype.registry or ""]
    names = [value for value in values if isinstance(value, str)]
    by_name = ids_by_name(session, info, names) if names else {}
    return [_one(session, info, table, value, by_name) for value in values]


def ids_by_name(session: Session, info: FeatureInfo, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of the records of a feature's registry that have these names or ids.

    Of several records of a name it is the one of the current organism, then the oldest. A feature that coerces takes
    synonyms, too.
    """
    found = _ids_by_name(session, info, names)
    missing = [name for name in dict.fromkeys(names) if name not in found] if info.coerce else []
    if missing:
        meant = session.registries[info.dtype.registry or ""].standardize(missing)
        ids = _ids_by_name(session, info, meant)
        found |= {name: ids[other] for name, other in zip(missing, meant, strict=True) if other in ids}
    return found


def _ids_by_name(session: Session, info: FeatureInfo, names: Sequence[str]) -> dict[str, int]:
    table = session.catalog[info.dtype.registry or ""]
    found: dict[str, int] = {}
    for field in reversed(table.names):
        records = outside_trash(session, table.name).filter(**{f"{field}__in": list(dict.fromkeys(names))})
        if info.dtype.registry_type:
            records = records.filter(type__name=info.dtype.registry_type)
        found |= dict(records.order_by("-id").values_list(field, "id")._fetch())
        if "organism" in table.fields and session.organism_id is not None:
            own = records.filter(organism_id=session.organism_id)
            found |= dict(own.order_by("-id").values_list(field, "id")._fetch())
    return found


def _one(session: Session, info: FeatureInfo, table: Table, value: Any, by_name: dict[str, int]) -> int:
    registry = registry_of(value)
    if registry == table.name:
        session.check_mine(value)
        _check_type(info, value)
        if value.id is None:
            session.writer.save([value])
        return int(value.id)
    if isinstance(value, str) and value in by_name:
        return by_name[value]
    raise _unknown(session, info, table, value)


def _check_type(info: FeatureInfo, record: Any) -> None:
    """Refuse a record that is not of the type that a feature's categories are of."""
    wanted = info.dtype.registry_type
    if wanted and (record.type is None or record.type.name != wanted):
        raise ValidationError(
            f"feature {info.name!r} has dtype {info.dtype.name}: {called(record)!r} is "
            f"{f'of type {record.type.name!r}' if record.type else 'of no type'}",
            feature=info.name,
            dtype=info.dtype.name,
            value=record,
        )


def nearest(session: Session, info: FeatureInfo, value: Any) -> list[str]:
    """Return the names of a feature's categories that are nearest, they or their synonyms, to a value that is none."""
    if not isinstance(value, str):
        return []
    table = session.catalog[info.dtype.registry or ""]
    fields = [name for name in (table.label, "synonyms") if name in table.fields]
    records = session.registries[table.name].all()
    if info.dtype.registry_type:
        records = records.filter(type__name=info.dtype.registry_type)
    return [called(record) for record in records.search(value, field=fields, limit=3)]


def _unknown(session: Session, info: FeatureInfo, table: Table, value: Any) -> ValidationError:
    near = nearest(session, info, value)
    meant = f" (did you mean {', '.join(map(repr, near))}?)" if near else ""
    typed = f" of type {info.dtype.registry_type!r}" if info.dtype.registry_type else ""
    of_type = f", type={table.name}.get(name={info.dtype.registry_type!r})" if typed else ""
    creating = f"{table.name}({table.label}={spelled(value)}{of_type}).save()"
    if table.identifiers:  # a term, which its source may have
        creating = f"{table.name}.from_values([{spelled(value)}], create=True)"
    create = f"; to create it: {creating}" if isinstance(value, str) else ""
    return ValidationError(
        f"feature {info.name!r} has dtype {info.dtype.name}: there is no {table.name}{typed} {shown(value)}{meant}"
        f"{create}",
        feature=info.name,
        dtype=info.dtype.name,
        value=value,
        suggestions=near,
    )
