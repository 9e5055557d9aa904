"""The trash, and deletion for good with everything that hangs on a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duckfeat.compile import writes
from duckfeat.errors import IntegrityError
from duckfeat.model.fields import ForeignKey
from duckfeat.model.statement import Statement
from duckfeat.model.tables import ENTITIES, Table
from duckfeat.query.session import TRASH, Session


def to_trash(session: Session, table: Table, ids: Sequence[int]) -> None:
    """Move records to the trash branch; where they were is kept for `restore`."""
    engine, listed = session.engine, list(ids)
    engine.write(writes.remember_branches(table), {"ids": listed, "table": table.rows})
    engine.write(writes.set_columns(table, ["branch_id"]), {"ids": listed, "branch_id": TRASH})


def restore(session: Session, table: Table, ids: Sequence[int]) -> None:
    """Bring records back to the branch they were on before they were moved to the trash.

    Raises `IntegrityError` if a record of the same name was saved since.
    """
    engine, given = session.engine, {"ids": list(ids), "table": table.rows}
    _check_names_free(session, table, ids)
    engine.write(writes.bring_back(table), given)
    engine.write(writes.forget_trashed(), given)


def _check_names_free(session: Session, table: Table, ids: Sequence[int]) -> None:
    names = session.registries[table.name].__found_by__
    if not names:
        return
    columns = [table.field(name).column for name in names]
    taken = session.engine.rows(Statement(writes.name_twins(table, columns), {"ids": list(ids)}))
    if taken:
        raise IntegrityError(
            f"{table.name} {taken[0][0]!r} cannot be restored: another of that name was saved since",
            registry=table.name,
            name=taken[0][0],
        )


def remove(session: Session, table: Table, ids: Sequence[int], *, cascade: bool) -> tuple[int, dict[str, int]]:
    """Remove records with their annotations and relations; return how many rows went, by registry.

    Raises `IntegrityError` if other records need them, saying which, unless they go too (`cascade`).
    """
    gone: dict[str, int] = {}
    if table.name == "Feature":
        _remove_feature_values(session, ids, gone, cascade=cascade)
    _protect(session, table, ids)
    for entity in ENTITIES.values():
        _remove_annotations(session, table, entity, ids, gone)
    _remove_links(session, table, ids, gone)
    engine, given = session.engine, {"ids": list(ids)}
    engine.write(writes.keep_id_floor(table), {"table": table.rows})
    number = engine.write(writes.delete_rows(table), given)
    engine.write(writes.forget_trashed(), {"table": table.rows, **given})
    _add(gone, table.name, number)
    return sum(gone.values()), gone


def _add(gone: dict[str, int], name: str, number: int) -> None:
    if number:
        gone[name] = gone.get(name, 0) + number


def _remove_feature_values(session: Session, ids: Sequence[int], gone: dict[str, int], *, cascade: bool) -> None:
    engine, given = session.engine, {"ids": list(ids)}
    table = session.catalog["FeatureValue"]
    counted = writes.count_pointing(table, "feature_id", itself=False)
    values, uses = engine.rows(Statement(counted, given))[0][0], engine.run("features.usage", None, **given)[0][0]
    if (values or uses) and not cascade:
        raise IntegrityError(
            f"deleting this feature would remove {values:,} values and {uses:,} annotations with it; "
            "delete(permanent=True, cascade=True) does that",
            values=values,
            annotations=uses,
        )
    engine.write(writes.keep_id_floor(table), {"table": table.rows})
    _add(gone, "FeatureValue", engine.write(writes.delete_rows(table, "feature_id"), given))


def _protect(session: Session, table: Table, ids: Sequence[int]) -> None:
    """Refuse to remove records that others point at."""
    for other in session.catalog.values():
        for field in other.fields.values():
            if not isinstance(field, ForeignKey) or field.target != table.name:
                continue
            sql = writes.count_pointing(other, field.column, itself=other.name == table.name)
            number = session.engine.rows(Statement(sql, {"ids": list(ids)}))[0][0]
            if number:
                raise IntegrityError(
                    f"{number:,} {other.name} record{'s' if number > 1 else ''} would lose their {field.name}: "
                    f"delete those first, or move this {table.name} to the trash",
                    registry=other.name,
                    field=field.name,
                    count=number,
                )


def _remove_annotations(session: Session, table: Table, entity: str, ids: Sequence[int], gone: dict[str, int]) -> None:
    """Remove annotations by what is deleted: their entity, their feature, their value or their category."""
    run, listed = session.engine.run, list(ids)
    given: Mapping[str, Any] = {"ids": listed}
    pairs: tuple[str, str]
    if table.entity == entity:
        pairs = ("drop_entities", "drop_entity_removals")
    elif table.name == "Feature":
        pairs = ("drop_features", "drop_feature_removals")
    else:
        features = _features_with_values_in(session, table, listed)
        if not features:
            return
        pairs, given = ("drop_values", "drop_value_removals"), {"ids": listed, "features": features}
    for name in pairs:
        rows = run(f"annotations.{name}", entity, **given)
        _add(
            gone,
            "Annotation",
            int(rows[0][0]) if name in {"drop_entities", "drop_features", "drop_values"} else 0,
        )
    if table.entity == entity and (features := _features_with_values_in(session, table, listed)):
        for other in ENTITIES.values():
            for name in ("drop_values", "drop_value_removals"):
                run(f"annotations.{name}", other, ids=listed, features=features)


def _features_with_values_in(session: Session, table: Table, ids: Sequence[int]) -> list[int]:
    """Return the features whose annotations may point at records of a registry."""
    if table.name == "FeatureValue":
        return [row[0] for row in session.engine.run("values.features_of", None, ids=list(ids))]
    return [info.id for info in session.features.all() if info.dtype.registry == table.name]


def _remove_links(session: Session, table: Table, ids: Sequence[int], gone: dict[str, int]) -> None:
    seen = set()
    for relation in table.relations.values():
        if relation.kind != "link":
            continue
        sides = (
            ("from_id", "to_id") if relation.source == relation.target else (("to_id", "from_id")[relation.forward],)
        )
        for side in sides:
            if (relation.link, side) in seen:
                continue
            seen.add((relation.link, side))
            for rows in ("links", "link_removals"):
                given = {"relation": relation.link, "ids": list(ids)}
                number = session.engine.write(writes.delete_links(rows, side), given)
                _add(gone, "Link", number if rows == "links" else 0)
