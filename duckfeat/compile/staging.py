"""The statements of a bulk annotation, as text: entities, cells, values and annotations, each as one set.

Every text reads `Rows` (which entity an input row is) and `Cells` (the cells of some features), which are
subqueries or temporary tables; nothing of the input becomes SQL text but the positions of its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duckfeat.compile.conversions import Conversion, columns_of, filled
from duckfeat.model.dtypes import Dtype
from duckfeat.model.kinds import KINDS, MINUS_ZERO
from duckfeat.model.tables import TRASH, Table

_NAMES = "keys rows cells decided asked fresh wanted features names second untouched pending missing"
KEYS, ROWS, CELLS, DECIDED, ASKED, FRESH, WANTED, FEATURES, NAMES, SECOND, UNTOUCHED, PENDING, MISSING = (
    f"bulk_{name}" for name in _NAMES.split()
)
COUNTED_TOGETHER = 25
"""How many columns of an input are counted by one scan."""
CELL = "cell"
"""What a cell is called where those of several columns are looked at together."""
MANY = 100_000
"""From how many rows of an input on new values are kept before they are numbered."""

NOTHING = "SELECT 0::BIGINT AS feature_id, 0::BIGINT AS entity_id, 0::BIGINT AS value_id, 0::BIGINT AS row WHERE FALSE"
"""The query of no annotation."""


def counted(rows: str) -> str:
    """Return the query of the number of rows of a query, a table or an input."""
    return f"SELECT count(*) FROM {rows}"


def temporary(name: str, sql: str) -> str:
    """Return the statement that keeps a result in a temporary table."""
    return f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}"


@dataclass(frozen=True, slots=True)
class Rows:
    """Which entity each input row is: by a table of rows, or, when every row is a new one, by its number."""

    source: str
    first: int | None = None

    def joined(self, columns: str) -> str:
        """Return the query of columns of the input with the entity of each row."""
        if self.first is not None:
            return f"SELECT row, row + {self.first} AS entity_id, {columns} FROM {self.source}"
        return (
            f"SELECT s.*, r.entity_id FROM (SELECT row, {columns} FROM {self.source}) AS s "
            f"JOIN {ROWS} AS r ON s.row = r.row"
        )


# --- cells ---------------------------------------------------------------------------------------


def wide(rows: Rows, column: str, feature_id: int, cell: str) -> str:
    """Return the query of the cells of a column: row, entity_id, feature_id, v; missing ones too."""
    joined = rows.joined(column)
    return f"SELECT row, entity_id, {int(feature_id)}::BIGINT AS feature_id, {cell} AS v FROM ({joined})"


def together(rows: Rows, columns: Sequence[str], features: Sequence[int], cell: str) -> str:
    """Return the query of the cells of columns of one type, which `cell` finds under the name `CELL`."""
    joined = rows.joined(", ".join(columns))
    ids = ", ".join(str(int(id_)) for id_ in features)
    return (
        f"SELECT row, entity_id, feature_id, {cell} AS v FROM (SELECT row, entity_id, "
        f"unnest([{ids}]::BIGINT[]) AS feature_id, unnest([{', '.join(columns)}]) AS {CELL} FROM ({joined}))"
    )


def long(rows: Rows, columns: tuple[str, str], name: str, features: Sequence[int], cell: str) -> str:
    """Return the query of the cells of some features of a long input, missing ones too."""
    joined = rows.joined(", ".join(columns))
    ids = ", ".join(str(int(id_)) for id_ in features)
    return (
        f"SELECT s.row, s.entity_id, f.feature_id, {cell} AS v FROM ({joined}) AS s "
        f"JOIN {FEATURES} AS f ON f.name = {name} AND f.feature_id IN ({ids})"
    )


def present(cells: str) -> str:
    """Return the query of cells without missing ones."""
    return f"SELECT * FROM ({cells}) WHERE v IS NOT NULL"


def pairs_in(cells: str) -> str:
    """Return the query of the pairs of feature and entity that cells are of."""
    return f"SELECT DISTINCT feature_id, entity_id FROM ({cells})"


def pairs_of_all(features: Sequence[int]) -> str:
    """Return the query of the pairs of features and each entity of the input."""
    ids = ", ".join(str(int(id_)) for id_ in features)
    return (
        f"SELECT f.feature_id, e.entity_id FROM (SELECT unnest([{ids}]::BIGINT[]) AS feature_id) AS f "
        f"CROSS JOIN (SELECT DISTINCT entity_id FROM {ROWS}) AS e"
    )


_ITEMS = "CAST({column} -> '$[*]' AS JSON[])"
_LISTS = "list_has_all(['ARRAY'], json_type({column}, '$[*]'))"


def items(column: str, *, lists: bool) -> str:
    """Return the expression that spreads a JSON array over several cells; with `lists` only one that holds arrays."""
    spread = f"json_type({column}) = 'ARRAY'" + (f" AND {_LISTS.format(column=column)}" if lists else "")
    return f"unnest(CASE WHEN {spread} THEN {_ITEMS.format(column=column)} ELSE [{column}] END)"


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of features that are converted alike: `raw` has row, entity_id, feature_id and the cell `v`.

    `key` is the expression that tells two cells apart that Python decides.
    """

    raw: str
    dtype: Dtype
    conversion: Conversion
    key: str
    features: tuple[int, ...]

    def counts(self, cell: str = "v") -> str:
        """Return the expressions that count the cells, those Python decides, those refused, and minus zeros."""
        conversion = self.conversion
        refused = " OR ".join(f"({condition})" for condition, _ in conversion.refusals) or "FALSE"
        minus = _minus(conversion.value) if conversion.kind == "float" else "FALSE"
        return ", ".join(
            f"count({cell}) FILTER (WHERE {filled(condition, cell)})"
            for condition in (f"NOT ({conversion.missing})", conversion.undecided, refused, minus)
        )

    def counted(self) -> str:
        """Return the query of the counts."""
        return f"SELECT {self.counts()} FROM ({self.raw})"

    def asked(self, shown: str) -> str:
        """Return the query of the distinct cells that Python decides, each with the text `shown`."""
        # Aggregates and DISTINCT ON take the sign from a zero inside a list.
        return (
            f"SELECT row_number() OVER () AS n, key, v FROM (SELECT {self.key} AS key, {shown} AS v "
            f"FROM ({self.raw}) WHERE {self._sql(self.conversion.undecided)} "
            "QUALIFY row_number() OVER (PARTITION BY key) = 1)"
        )

    def staged(self) -> str:
        """Return the query of the cells with what becomes of each: kind and value, or the reason it is refused."""
        conversion = self.conversion
        undecided = self._sql(conversion.undecided)
        reasons = "".join(f" WHEN {self._sql(sql)} THEN {_text(reason)}" for sql, reason in conversion.refusals)
        own = {KINDS[conversion.kind].column: self._sql(conversion.value)} if conversion.kind else {}
        columns = ", ".join(
            f"CASE WHEN {undecided} THEN d.{column} ELSE {own.get(column, 'NULL')} END AS {column}"
            for column in columns_of(self.dtype)
        )
        refusal = f"CASE WHEN {undecided} THEN d.reason{reasons} END"
        return (
            f"SELECT * REPLACE (CASE WHEN reason IS NOT NULL THEN v END AS v) "
            f"FROM (SELECT row, entity_id, feature_id, v, {refusal} AS reason, "
            f"CASE WHEN {undecided} THEN d.kind ELSE {_text(conversion.kind)} END AS kind, {columns} "
            f"FROM ({self.raw}) AS c LEFT JOIN {DECIDED} AS d ON {undecided} AND d.key = {self.key}) "
            "WHERE kind IS NOT NULL OR reason IS NOT NULL"
        )

    def direct(self, *, signed: bool) -> Part:
        """Return the cells as one part, where every cell is taken."""
        sql = f"SELECT row, entity_id, feature_id, {self._sql(self.conversion.value)} AS x FROM ({self.raw})"
        return Part(self.conversion.kind, sql, self.features, signed)

    def parts(self, kinds: Sequence[str]) -> list[Part]:
        """Return the staged cells by the kind they are stored as."""
        return [
            Part(
                kind,
                f"SELECT row, entity_id, feature_id, {KINDS[kind].column} AS x FROM {CELLS} "
                f"WHERE kind = '{kind}' AND reason IS NULL",
                self.features,
                kind == "float",
            )
            for kind in kinds
        ]

    def _sql(self, text: str) -> str:
        return filled(text, "v")


def counted_together(source: str, counts: Sequence[str]) -> str:
    """Return the query of the counts of several columns of an input, in one row.

    Blocks of columns are counted apart: what DuckDB takes for a row grows with the square of its aggregates.
    """
    blocks = [", ".join(counts[at : at + COUNTED_TOGETHER]) for at in range(0, len(counts), COUNTED_TOGETHER)]
    return f"SELECT * FROM {', '.join(f'(SELECT {block} FROM {source})' for block in blocks)}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Part:
    """The cells that are stored as one kind: `sql` has row, entity_id, feature_id and the stored value `x`.

    `signed` tells that there may be minus zeros, which are equal to zero and yet another value.
    """

    kind: str
    sql: str
    features: tuple[int, ...]
    signed: bool

    @property
    def column(self) -> str:
        """The column of `typed_values` the values stand in."""
        return KINDS[self.kind].column

    @property
    def keys(self) -> list[str]:
        """The columns that tell two values apart."""
        return [*(["feature_id"] if len(self.features) > 1 else []), "x", *(["minus"] if self.signed else [])]

    @property
    def feature(self) -> str:
        """The expression of the feature's id beside the keys."""
        return "feature_id" if len(self.features) > 1 else f"{self.features[0]}::BIGINT AS feature_id"

    def keyed(self) -> str:
        """Return the query of the cells with all keys."""
        minus = f", {_minus('x')} AS minus" if self.signed else ""
        return f"SELECT *{minus} FROM ({self.sql})"

    def same(self, left: str, right: str) -> str:
        """Return the condition that two rows are of one value."""
        return " AND ".join(f"{left}.{name} = {right}.{name}" for name in self.keys)


def refused() -> str:
    """Return the query of the staged cells that are refused."""
    return f"SELECT row, entity_id, feature_id, v, reason FROM {CELLS} WHERE reason IS NOT NULL"


def untouched(cells: str, *, again: bool) -> str:
    """Return the statement that notes the pairs of feature and entity of skipped cells."""
    pairs = f"SELECT feature_id, entity_id FROM ({cells})"
    return f"INSERT INTO {UNTOUCHED} {pairs}" if again else temporary(UNTOUCHED, pairs)


def but_untouched(named: str) -> str:
    """Return the query of pairs of feature and entity without those of skipped cells."""
    return f"SELECT n.* FROM ({named}) AS n ANTI JOIN {UNTOUCHED} AS o ON {_PAIR}"


def with_pairs(named: str, rows: str) -> str:
    """Return the query of pairs of feature and entity with those of annotations; a pair may come twice."""
    return f"SELECT feature_id, entity_id FROM ({named}) UNION ALL SELECT feature_id, entity_id FROM ({rows})"


def taken() -> str:
    """Return the query of the kinds of the staged cells that are taken, and how many there are of each."""
    return f"SELECT kind, count(*) FROM {CELLS} WHERE reason IS NULL GROUP BY ALL ORDER BY ALL"


def span() -> str:
    """Return the query of some of the cells that Python decides."""
    return f"SELECT key, v FROM {ASKED} WHERE n > $low AND n <= $high"


def few(cells: str, limit: int, shown: str) -> str:
    """Return the query of the first few of the refused cells, each as it is shown and as text."""
    return (
        f"SELECT row, entity_id, feature_id, {shown} AS v, v::VARCHAR AS text, reason FROM ({cells}) "
        f"ORDER BY row LIMIT {limit}"
    )


def texts(cells: str) -> str:
    """Return the query of refused cells with their values as text."""
    return f"SELECT row, feature_id, v::VARCHAR AS value, reason FROM ({cells})"


def empty(name: str, columns: Mapping[str, str]) -> str:
    """Return the statement that makes a temporary table."""
    listed = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
    return f"CREATE OR REPLACE TEMP TABLE {name} ({listed})"


# --- values --------------------------------------------------------------------------------------


def _minus(value: str) -> str:
    """Return what tells minus zero from zero."""
    return f"({value} = 0 AND signbit({value}))"


def missing(part: Part, *, known: bool) -> str:
    """Return the query of the values of cells, each once, that do not exist; `known` says that some may exist."""
    distinct = f"SELECT DISTINCT {', '.join(part.keys)} FROM ({part.keyed()})"
    if known:
        return f"SELECT n.* FROM ({distinct}) AS n ANTI JOIN ({_stored(part)}) AS o ON {part.same('n', 'o')}"
    return distinct


def numbered(values: str) -> str:
    """Return the query of values with numbers from 0."""
    return f"SELECT *, row_number() OVER () - 1 AS number FROM ({values})"


def numbered_by_place(table: str) -> str:
    """Return the query of the values in a table that was just made, with their places in it, from 0.

    Several threads number rows by their places; one thread alone counts them with a window. The places of a table that
    the same transaction made begin far above 0.
    """
    return f"SELECT *, rowid - (SELECT min(rowid) FROM {table}) AS number FROM {table}"


def add_values(part: Part, provenance: Mapping[str, str], numbered: str) -> str:
    """Return the statement that adds numbered values."""
    values = {part.column: "x"}
    if part.signed:
        values = {part.column: "CASE WHEN minus THEN 0 ELSE x END", MINUS_ZERO: "CASE WHEN minus THEN TRUE END"}
    return (
        f"INSERT INTO typed_values (id, feature_id, kind, {', '.join([*values, *provenance])}) "
        f"SELECT $first::BIGINT + number, {part.feature}, '{part.kind}', "
        f"{', '.join([*values.values(), *provenance.values()])} FROM ({numbered})"
    )


def _stored(part: Part) -> str:
    signed = f", coalesce({MINUS_ZERO}, FALSE) AS minus" if part.signed else ""
    return (
        f"SELECT id, feature_id, {part.column} AS x{signed} FROM typed_values "
        f"WHERE kind = '{part.kind}' AND {_within(part.features)}"
    )


def _within(features: Sequence[int]) -> str:
    """Return the condition that a row is of some features, which prunes what is read where it is one."""
    if len(features) == 1:
        return f"feature_id = {int(features[0])}"
    return "feature_id IN (SELECT unnest($features::BIGINT[]))"


def annotated(part: Part) -> str:
    """Return the query of the annotations that cells mean: feature_id, entity_id, value_id, row."""
    return (
        f"SELECT c.feature_id, c.entity_id, t.id AS value_id, c.row FROM ({part.keyed()}) AS c "
        f"JOIN ({_stored(part)}) AS t ON {part.same('c', 't')}"
    )


def pending(part: Part, entity: str) -> str:
    """Return the query of the cells whose entities do not have their values yet."""
    held = (
        f"SELECT a.entity_id, t.* EXCLUDE (id) FROM ({current(entity, part.features)}) AS a "
        f"JOIN ({_stored(part)}) AS t ON a.value_id = t.id AND a.feature_id = t.feature_id"
    )
    return (
        f"SELECT n.row, n.entity_id, n.feature_id, n.x FROM ({part.keyed()}) AS n "
        f"ANTI JOIN ({held}) AS o ON n.entity_id = o.entity_id AND {part.same('n', 'o')}"
    )


def minus_zeros() -> str:
    """Return the query of the features that have minus zero as a value."""
    return f"SELECT DISTINCT feature_id FROM typed_values WHERE {MINUS_ZERO}"


# --- categories ----------------------------------------------------------------------------------


def names(part: Part, table: Table, *, typed: bool, own: bool) -> str:
    """Return the query of the distinct names in cells with the id of the record each means; none if NULL.

    A name comes before an id; of several records the one with the lowest id is meant, with `own` the lowest of those
    of the current organism if there are any. With `typed` only records of a type are.
    """
    meant = "coalesce(min(id) FILTER (organism_id = $organism), min(id))" if own else "min(id)"
    within = (
        f" AND type_id IN (SELECT id FROM {table.rows} WHERE name = $type AND branch_id <> {TRASH})" if typed else ""
    )
    found = " ".join(
        f"LEFT JOIN (SELECT {field} AS x, {meant} AS id FROM {table.rows} WHERE {field} IS NOT NULL "
        f"AND branch_id <> {TRASH}{within} GROUP BY ALL) AS t{place} ON n.x = t{place}.x"
        for place, field in enumerate(table.names)
    )
    ids = ", ".join(f"t{place}.id" for place in range(len(table.names)))
    return f"SELECT n.x, coalesce({ids}) AS id FROM (SELECT DISTINCT x FROM ({part.sql})) AS n {found}"


def unnamed() -> str:
    """Return the query of the names that are nobody's."""
    return f"SELECT x FROM {NAMES} WHERE id IS NULL ORDER BY x"


def name_more() -> str:
    """Return the statement that gives names the ids of the records they turned out to mean."""
    given = "SELECT unnest($names::VARCHAR[]) AS x, unnest($ids::BIGINT[]) AS id"
    return f"UPDATE {NAMES} SET id = n.id FROM ({given}) AS n WHERE {NAMES}.x = n.x"


def named_cells(part: Part) -> str:
    """Return the query of the annotations that names in cells mean."""
    return (
        f"SELECT c.feature_id, c.entity_id, n.id AS value_id, c.row FROM ({part.sql}) AS c "
        f"JOIN {NAMES} AS n ON c.x = n.x WHERE n.id IS NOT NULL"
    )


def unnamed_cells(part: Part) -> str:
    """Return the query of the cells whose names are nobody's."""
    return (
        f"SELECT c.row, c.entity_id, c.feature_id, c.x AS v, '' AS reason FROM ({part.sql}) AS c "
        f"JOIN {NAMES} AS n ON c.x = n.x WHERE n.id IS NULL"
    )


# --- annotations ---------------------------------------------------------------------------------

_PAIR = "n.feature_id = o.feature_id AND n.entity_id = o.entity_id"


def everything(staged: str) -> str:
    """Return the query of all that is staged."""
    return f"SELECT * FROM {staged}"


def once(wanted: str) -> str:
    """Return the query of annotations, each once, with the first row that means it."""
    return f"SELECT feature_id, entity_id, value_id, min(row) AS row FROM ({wanted}) GROUP BY ALL"


def current(entity: str, features: Sequence[int]) -> str:
    """Return the query of what holds now of some features."""
    return f"SELECT feature_id, entity_id, value_id FROM current_{entity}_annotations WHERE {_within(features)}"


def fresh(wanted: str, entity: str, features: Sequence[int]) -> str:
    """Return the query of wanted annotations that do not hold yet."""
    return (
        f"SELECT n.* FROM ({wanted}) AS n ANTI JOIN ({current(entity, features)}) AS o "
        f"ON {_PAIR} AND n.value_id = o.value_id"
    )


def add(entity: str, rows: str) -> str:
    """Return the statement that adds annotations."""
    return (
        f"INSERT INTO {entity}_annotations (feature_id, entity_id, value_id, change_id) "
        f"SELECT feature_id, entity_id, value_id, $change::BIGINT FROM ({rows})"
    )


def remove(entity: str, rows: str) -> str:
    """Return the statement that ends annotations."""
    return (
        f"INSERT INTO {entity}_removals (feature_id, entity_id, value_id, change_id) "
        f"SELECT feature_id, entity_id, value_id, $change::BIGINT FROM ({rows})"
    )


def second(entity: str, staged: str, features: Sequence[int], *, beside: bool) -> str:
    """Return the query of staged annotations that would be a second value of their entity.

    The first row keeps its value; with `beside` what holds now counts, too.
    """
    ranked = (
        f"SELECT feature_id, entity_id, value_id, row, row_number() OVER "
        f"(PARTITION BY feature_id, entity_id ORDER BY row, value_id) > 1 AS later FROM {staged}"
    )
    if not beside:
        return f"SELECT feature_id, entity_id, value_id, row, FALSE AS beside FROM ({ranked}) WHERE later"
    there = f"SELECT DISTINCT feature_id, entity_id, TRUE AS there FROM ({current(entity, features)})"
    return (
        f"SELECT n.feature_id, n.entity_id, n.value_id, n.row, o.there IS NOT NULL AS beside FROM ({ranked}) AS n "
        f"LEFT JOIN ({there}) AS o ON {_PAIR} WHERE n.later OR o.there"
    )


def second_values(earlier: str, beside: str) -> str:
    """Return the query of the second values of entities as refused cells, with the reasons."""
    return _second_cells("v.value", "feature_values", "s.feature_id = v.feature_id", earlier, beside)


def second_names(table: Table, earlier: str, beside: str) -> str:
    """Return the query of the second categories of entities as refused cells, with the reasons."""
    called = f"coalesce({', '.join(f'v.{field}' for field in table.called)})"
    return _second_cells(called, table.rows, "TRUE", earlier, beside)


def _second_cells(shown: str, values: str, alike: str, earlier: str, beside: str) -> str:
    return (
        f"SELECT s.row, s.entity_id, s.feature_id, s.value_id, {shown} AS v, "
        f"CASE WHEN s.beside THEN {_text(beside)} ELSE {_text(earlier)} END AS reason "
        f"FROM {SECOND} AS s LEFT JOIN {values} AS v ON s.value_id = v.id AND {alike}"
    )


def without(staged: str, losers: str) -> str:
    """Return the query of staged annotations but for some."""
    return f"SELECT n.* FROM {staged} AS n ANTI JOIN {losers} AS o ON {_PAIR} AND n.value_id = o.value_id"


def unused(kept: str) -> str:
    """Return the statement that removes values from the number `first` on that second values alone have."""
    return (
        f"DELETE FROM typed_values WHERE id >= $first AND id IN (SELECT value_id FROM {SECOND}) "
        f"AND id NOT IN (SELECT value_id FROM ({kept}))"
    )


def ended(entity: str, within: str, kept: str, features: Sequence[int]) -> str:
    """Return the query of what holds now of pairs of feature and entity, and is not kept."""
    now = f"SELECT n.* FROM ({current(entity, features)}) AS n SEMI JOIN ({within}) AS o ON {_PAIR}"
    return f"SELECT n.* FROM ({now}) AS n ANTI JOIN ({kept}) AS o ON {_PAIR} AND n.value_id = o.value_id"


def ended_others(entity: str) -> str:
    """Return the query of what entities of the input have now of features other than `features`."""
    return (
        f"SELECT n.feature_id, n.entity_id, n.value_id FROM current_{entity}_annotations AS n "
        f"SEMI JOIN {ROWS} AS o ON n.entity_id = o.entity_id "
        "WHERE n.feature_id NOT IN (SELECT unnest($features::BIGINT[]))"
    )


def features_in(table: str) -> str:
    """Return the query of the features that stand in a table."""
    return f"SELECT DISTINCT feature_id FROM {table}"
