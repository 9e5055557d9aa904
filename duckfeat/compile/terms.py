"""The statements about terms of ontologies: the closure of a hierarchy, and the import of a staged source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duckfeat.model.tables import TRASH, Table

INCOMING = "incoming_terms"
"""The name under which a batch of rows is offered to be staged."""

DROPPED = ("staged_terms", "repeated_terms", "matched_terms", "known_terms", "staged_edges")
"""The temporary tables of an import."""

_UID = "left(translate(to_base64(unhex(md5(uuid()::VARCHAR))), '+/=', 'xy'), {length})"


def closure(pairs: str, near: str) -> str:
    """Return the subquery of the ids that pairs (`a`, `b`) lead to from where `near` holds, at any distance.

    Ids reached again are not followed again, so a cycle ends.
    """
    return (
        f"WITH RECURSIVE pairs AS MATERIALIZED ({pairs}), reached(id) AS ("
        f"SELECT b FROM pairs WHERE {near} UNION SELECT p.b FROM reached AS r JOIN pairs AS p ON p.a = r.id"
        ") SELECT id FROM reached"
    )


@dataclass(frozen=True, slots=True)
class TermTable:
    """A registry of terms as an import sees it: its table, its content fields, and what tells terms apart.

    `identifiers` are the fields that hold a term's id in its ontology; a term that has none is told by its name,
    in registries with organisms together with that.
    """

    table: Table
    fields: Mapping[str, str]
    identifiers: Sequence[str]

    @property
    def _of_organism(self) -> bool:
        return "organism" in self.table.fields

    def key(self, alias: str, organism: str) -> str:
        """Return the SQL of what tells a row apart, `organism` being the SQL of its organism's id."""
        named = f"{alias}.{self.table.label}"
        if self._of_organism:
            named += f" || coalesce('@' || ({organism})::VARCHAR, '')"
        return f"coalesce({', '.join([*(f'{alias}.{name}' for name in self.identifiers), named])})"

    def _columns(self, prefix: str = "") -> str:
        return ", ".join(f"{prefix}{name}" for name in self.fields)

    def create(self) -> str:
        """Return the statement that makes the staging table."""
        typed = "".join(f", {name} {type_}" for name, type_ in self.fields.items())
        return f"CREATE OR REPLACE TEMP TABLE staged_terms (position BIGINT, key VARCHAR, parents VARCHAR[]{typed})"

    def stage(self) -> str:
        """Return the statement that stages a batch of rows."""
        key = self.key("i", "$organism::BIGINT")
        return (
            f"INSERT INTO staged_terms SELECT position, {key}, parents, {self._columns()} "
            f"FROM {INCOMING} AS i WHERE {key} IS NOT NULL"
        )

    @staticmethod
    def find_repeated() -> str:
        """Return the statement that lists the keys that several staged rows have."""
        return (
            "CREATE OR REPLACE TEMP TABLE repeated_terms AS SELECT key, min(position) AS first FROM staged_terms "
            "GROUP BY key HAVING count(*) > 1"
        )

    @staticmethod
    def fold_repeated() -> str:
        """Return the statement that gives the first of such rows the synonyms and parents of all of them.

        Tables that have a row per synonym or per parent say a term this way.
        """
        return (
            "UPDATE staged_terms SET parents = f.parents, synonyms = nullif(array_to_string(f.synonyms, '|'), '') FROM "
            f"(SELECT first, {_once('parents')} AS parents, {_once('synonyms')} AS synonyms FROM "
            "(SELECT r.first, flatten(list(s.parents ORDER BY s.position)) AS parents, "
            "flatten(list(string_split(coalesce(s.synonyms, ''), '|') ORDER BY s.position)) AS synonyms "
            "FROM staged_terms AS s JOIN repeated_terms AS r ON r.key = s.key GROUP BY r.first)) AS f "
            "WHERE staged_terms.position = f.first"
        )

    @staticmethod
    def drop_repeated() -> str:
        """Return the statement that keeps the first of those rows."""
        return (
            "DELETE FROM staged_terms USING repeated_terms AS r "
            "WHERE staged_terms.key = r.key AND staged_terms.position <> r.first"
        )

    def nameless(self) -> str:
        """Return the query of the keys of staged terms without a name."""
        return f"SELECT key FROM staged_terms WHERE {self.table.label} IS NULL ORDER BY position"

    @staticmethod
    def missing_parents() -> str:
        """Return the query of the staged parents that are no terms, each with its term, in the order of these."""
        return (
            "SELECT s.parent, s.key FROM (SELECT position, key, unnest(parents) AS parent FROM staged_terms) AS s "
            "ANTI JOIN known_terms AS p ON p.key = s.parent WHERE s.parent <> '' "
            "GROUP BY s.parent, s.key ORDER BY min(s.position), s.parent"
        )

    def match(self) -> str:
        """Return the statement that finds the staged terms that are saved already."""
        return (
            f"CREATE OR REPLACE TEMP TABLE matched_terms AS SELECT s.key, min(e.id) AS id FROM staged_terms AS s "
            f"JOIN {self.table.rows} AS e ON {self.key('e', 'e.organism_id')} = s.key "
            f"WHERE e.branch_id <> {TRASH} GROUP BY s.key"
        )

    def match_named(self) -> str:
        """Return the statement that matches terms saved by hand, without an id, by their name."""
        label = self.table.label
        without = " AND ".join(f"e.{name} IS NULL" for name in self.identifiers)
        same = " AND (e.organism_id IS NULL OR e.organism_id = $organism)" if self._of_organism else ""
        return (
            "INSERT INTO matched_terms SELECT key, min(id) FROM ("
            f"SELECT e.id, min_by(s.key, s.position) AS key FROM {self.table.rows} AS e JOIN staged_terms AS s "
            f"ON s.{label} = e.{label} ANTI JOIN matched_terms AS m ON m.key = s.key "
            f"WHERE {without} AND e.branch_id <> {TRASH}{same} "
            "AND e.id NOT IN (SELECT id FROM matched_terms) GROUP BY e.id) GROUP BY key"
        )

    def update(self) -> str:
        """Return the statement that brings matched terms to what the source says; own synonyms are kept.

        What the source leaves open stays as it is.
        """
        rows = self.table.rows
        values = {name: f"coalesce(s.{name}, {rows}.{name})" for name in self.fields}
        if "synonyms" in values:
            values["synonyms"] = _merged(f"{rows}.synonyms", "s.synonyms")
        values["source_id"] = "$source"
        if self._of_organism:
            values["organism_id"] = f"coalesce($organism, {rows}.organism_id)"
        assigned = ", ".join(f"{name} = {sql}" for name, sql in values.items())
        changed = " OR ".join(f"{rows}.{name} IS DISTINCT FROM {sql}" for name, sql in values.items())
        return (
            f"UPDATE {rows} SET {assigned}, updated_at = $now FROM (SELECT m.id, t.* FROM matched_terms AS m "
            f"JOIN staged_terms AS t ON t.key = m.key) AS s WHERE {rows}.id = s.id AND ({changed})"
        )

    def insert(self) -> str:
        """Return the statement that saves the staged terms that were not matched; ids start at `first`."""
        organism = ("organism_id, ", "$organism, ") if self._of_organism else ("", "")
        return (
            f"INSERT INTO {self.table.rows} (id, uid, {self._columns()}, {organism[0]}source_id, created_at, "
            "updated_at, created_by_id, run_id, branch_id, space_id) "
            f"SELECT $first + s.position, {_UID.format(length=self.table.uid_length)}, {self._columns('s.')}, "
            f"{organism[1]}$source, $now, $now, $user, $run, $branch, $space "
            "FROM staged_terms AS s ANTI JOIN matched_terms AS m ON m.key = s.key"
        )

    # --- the hierarchy ---------------------------------------------------------------------------

    def know(self) -> str:
        """Return the statement that lists the ids of all saved terms by key."""
        return (
            f"CREATE OR REPLACE TEMP TABLE known_terms AS SELECT {self.key('e', 'NULL')} AS key, min(e.id) AS id "
            f"FROM {self.table.rows} AS e WHERE e.branch_id <> {TRASH} GROUP BY ALL"
        )

    @staticmethod
    def stage_edges() -> str:
        """Return the statement that turns the staged parents into pairs of ids: term, parent.

        No term is its own parent, which is told by the keys: told by the ids of both sides, DuckDB 1.5 joins every
        term with every other one first.
        """
        return (
            "CREATE OR REPLACE TEMP TABLE staged_edges AS SELECT DISTINCT c.id AS child, p.id AS parent FROM "
            "(SELECT key, unnest(parents) AS parent FROM staged_terms) AS s JOIN known_terms AS c ON c.key = s.key "
            "JOIN known_terms AS p ON p.key = s.parent WHERE s.key <> s.parent"
        )

    @staticmethod
    def new_edges() -> str:
        """Return the statement that counts the staged pairs that `relation` does not hold yet."""
        return f"SELECT count(*) FROM ({_NEW_EDGES})"

    @staticmethod
    def insert_edges() -> str:
        """Return the statement that saves those pairs."""
        return f"INSERT INTO links SELECT $relation, child, parent, $change FROM ({_NEW_EDGES})"

    @staticmethod
    def gone_edges() -> str:
        """Return the statement that counts the imported pairs of staged terms that the source no longer has."""
        return f"SELECT count(*) FROM ({_GONE_EDGES})"

    @staticmethod
    def remove_edges() -> str:
        """Return the statement that ends those pairs; pairs made by hand stay."""
        return f"INSERT INTO link_removals SELECT $relation, from_id, to_id, $change FROM ({_GONE_EDGES})"


_NEW_EDGES = (
    "SELECT e.child, e.parent FROM staged_edges AS e ANTI JOIN current_links AS l "
    "ON l.relation = $relation AND l.from_id = e.child AND l.to_id = e.parent"
)
_GONE_EDGES = (
    "SELECT l.from_id, l.to_id FROM current_links AS l JOIN changes AS c ON c.id = l.change_id "
    "JOIN matched_terms AS m ON m.id = l.from_id ANTI JOIN staged_edges AS e ON e.child = l.from_id "
    "AND e.parent = l.to_id WHERE l.relation = $relation AND c.operation = 'import'"
)


def _merged(own: str, added: str) -> str:
    """Return the SQL of two synonym texts as one: the added ones that are not there yet follow."""
    new = f"list_filter(string_split({added}, '|'), lambda x: NOT list_contains(string_split({own}, '|'), x))"
    return (
        f"CASE WHEN {own} IS NULL THEN {added} WHEN {added} IS NULL THEN {own} "
        f"ELSE concat_ws('|', {own}, nullif(array_to_string({new}, '|'), '')) END"
    )


def _once(column: str) -> str:
    """Return the SQL of a list without what is empty or stood in it before, in order."""
    return f"list_filter({column}, lambda x, i: x <> '' AND list_position({column}, x) = i)"
