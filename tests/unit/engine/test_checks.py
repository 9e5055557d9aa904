"""Every check finds the damage that it is there for."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from duckfeat.engine.resources import checks
from duckfeat.store import Store

_FROM = "FROM record_annotations LIMIT 1"
DAMAGES = {
    "annotation_is_current_once": "INSERT INTO record_annotations SELECT * FROM record_annotations",
    "annotation_points_somewhere": "DELETE FROM typed_values",
    "latest_of_a_key": "UPDATE artifacts SET is_latest = FALSE",
    "link_is_current_once": "INSERT INTO links SELECT * FROM links",
    "ontology_hierarchy": "INSERT INTO links VALUES ('cell_types.parents', 1, 1, 1)",
    "ontology_provenance": "UPDATE cell_types SET space_id = 77",
    "ontology_sources": "UPDATE cell_types SET source_id = 77",
    "ontology_unique_ids": "INSERT INTO cell_types SELECT * FROM cell_types",
    "ontology_unique_terms": "UPDATE cell_types SET ontology_id = 'CL:1'",
    "provenance_points_somewhere": "UPDATE records SET space_id = 77",
    "removal_of_an_annotation": "INSERT INTO record_removals BY NAME SELECT * REPLACE (77 AS value_id) " + _FROM,
    "single_values": "INSERT INTO record_annotations BY NAME SELECT * REPLACE (77 AS value_id) " + _FROM,
    "unique_ids": "INSERT INTO records SELECT * FROM records",
    "unique_names": "UPDATE ulabels SET name = 'a'",
    "unique_uids": "UPDATE records SET uid = 'same'",
    "unique_values": "INSERT INTO typed_values SELECT * REPLACE (id + 100 AS id) FROM typed_values",
    "value_in_its_column": "UPDATE typed_values SET text_value = 'x'",
    "value_of_a_feature": "UPDATE typed_values SET feature_id = 77",
    "value_of_its_dtype": "UPDATE features SET dtype = 'str'",
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a store with something of everything."""
    folder = tmp_path_factory.mktemp("checks")
    data = folder / "data.csv"
    data.write_text("a\n1\n")
    with Store(folder / "store.duckdb") as store:
        store.Feature(name="dose", dtype=float).save()
        labels = store.save([store.ULabel(name=name) for name in ("a", "b")])
        store.save([store.Record(name=name, features={"dose": 1.5}) for name in ("r", "s")])
        store.Record.get(name="r").ulabels.add(*labels)
        store.Artifact(data, key="data.csv").save()
        store.save([store.CellType(name=f"cell {at}", ontology_id=f"CL:{at}") for at in (1, 2)])
        assert store.check().ok
    return folder / "store.duckdb"


def test_every_check_is_tried() -> None:
    assert set(DAMAGES) == set(checks())


@pytest.mark.parametrize("check", DAMAGES)
def test_a_check_finds_its_damage(kept: Path, check: str) -> None:
    with Store(kept) as store:
        with suppress(InterruptedError), store.transaction():
            store._session.engine.write(DAMAGES[check])
            failures = store.check().failures
            raise InterruptedError  # so that the next test finds nothing damaged
        assert failures[check].height > 0
        assert store.check().ok
