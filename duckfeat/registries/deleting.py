"""The trash, and deletion for good with everything that hangs on a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duckfeat.compile import writes
from duckfeat.errors import IntegrityError
from duckfeat.model.fields import ForeignKey
from duckfeat.model.statement import Statement
from duckfeat.model.tables import ENTITIES, OWN_PLACES, TRASH, Table
from duckfeat.query.session import Session


def to_trash(session: Session, table: Table, ids: Sequence[int]) -> None:
    """Move records to the trash branch; where they were is kept for `restore`."""
    engine, listed = session.engine, list(ids)
    engine.write(writes.remember_branches(table), {"ids": listed, "table": table.rows})
    engine.write(writes.set_columns(table, ["branch_id"]), {"ids": listed, "branch_id": TRASH})


def restore(session: Session, table: Table, ids: Sequence[int], names: Sequence[str]) -> None:
    """Bring records back to the branch they were on before they were moved to the trash.

    Raises `IntegrityError` if a record with the same names was saved since.
    """
    engine, given = session.engine, {"ids": list(ids), "table": table.rows}
    engine.write(writes.bring_back(table), given)
    engine.write(writes.forget_trashed(), given)
    check_unique(session, table, [table.field(name).column for name in names], ids)


def check_unique(session: Session, table: Table, columns: Sequence[str], ids: Sequence[int]) -> None:
    """Raise `IntegrityError` if what names a record of `ids` names another one outside the trash, too."""
    taken = columns and session.engine.rows(Statement(writes.twins(table, columns), {"ids": list(ids)}))
    if taken:
        name = taken[0][0]
        raise IntegrityError(
            f"there is another {table.name} with {columns[0]} {name!r}: rename one of them first",
            registry=table.name,
            name=name,
        )


def _own(registry: str) -> dict[int | None, str]:
    return dict.fromkeys(OWN_PLACES[registry], "part of every store")


def check_removable(session: Session, table: Table, ids: Sequence[int], *, permanent: bool) -> None:
    """Raise `IntegrityError` for what the store cannot do without: its own branches and space, what is in use."""
    kept: dict[str, dict[int | None, str]] = {
        "Branch": {session.branch_id: "the current branch: switch to another one first", **_own("Branch")},
        "Space": {session.space_id: "the current space: set another one first", **_own("Space")},
        "User": {session.user_id: "who writes now"},
        "Organism": {session.organism_id: "the current organism: set another one first"},
        "Run": {session.run.id: "tracked now: finish it first"} if permanent and session.run is not None else {},
    }
    for id_ in ids:
        if id_ in kept.get(table.name, {}):
            reason = kept[table.name][id_]
            raise IntegrityError(f"this {table.name} is {reason}", registry=table.name, id=id_)


def remove(session: Session, table: Table, ids: Sequence[int], *, cascade: bool) -> tuple[int, dict[str, int]]:
    """Remove records with their annotations and relations; return how many rows went, by registry.

    Raises `IntegrityError` if other records need them, saying which, unless they go too (`cascade`).
    """
    gone: dict[str, int] = {}
    if table.name == "Feature":
        _remove_feature_values(session, ids, gone, cascade=cascade)
    _protect(session, table, ids)
    _remove_annotations(session, table, ids, gone)
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


def _remove_annotations(session: Session, table: Table, ids: Sequence[int], gone: dict[str, int]) -> None:
    """Remove annotations by what is deleted: their entity, their feature, their value or their category."""
    everywhere, given = list(ENTITIES.values()), {"ids": list(ids)}
    if table.entity:
        _drop(session, ("drop_entities", "drop_entity_removals"), [table.entity], given, gone)
    if table.name == "Feature":
        _drop(session, ("drop_features", "drop_feature_removals"), everywhere, given, gone)
    elif features := _features_with_values_in(session, table, ids):
        given["features"] = features
        _drop(session, ("drop_values", "drop_value_removals"), everywhere, given, gone)


def _drop(
    session: Session, names: tuple[str, str], entities: Sequence[str], given: Mapping[str, Any], gone: dict[str, int]
) -> None:
    """Run the two statements that drop annotations and removals of entities; count the annotations."""
    annotations, removals = names
    for entity in entities:
        _add(gone, "Annotation", int(session.engine.run(f"annotations.{annotations}", entity, **given)[0][0]))
        session.engine.run(f"annotations.{removals}", entity, **given)


def _features_with_values_in(session: Session, table: Table, ids: Sequence[int]) -> list[int]:
    """Return the features, those in the trash too, whose annotations may point at records of a registry."""
    if table.name == "FeatureValue":
        rows = session.engine.run("values.features_of", None, ids=list(ids))
    else:
        category = f"cat[{table.name}"
        rows = session.engine.run("features.of_category", None, whole=f"{category}]", typed=f"{category}[")
    return [row[0] for row in rows]


def _remove_links(session: Session, table: Table, ids: Sequence[int], gone: dict[str, int]) -> None:
    """Remove the direct relations of records, and when which of them ended."""
    links: dict[str, list[str]] = {}
    for relation in table.relations.values():
        if relation.kind == "link":
            itself = relation.source == relation.target
            for side in ("from_id", "to_id") if itself else (("to_id", "from_id")[relation.forward],):
                links.setdefault(side, []).append(relation.link)
    if not links:
        return
    given = {"ids": list(ids), **links}
    _add(gone, "Link", session.engine.write(writes.delete_links("links", links), given))
    session.engine.write(writes.delete_links("link_removals", links), given)
