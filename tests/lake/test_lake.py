"""What a lake does beyond the contract: its past, its secrets, other writers."""

from __future__ import annotations

from tests.servers import Lake


def test_a_lake_is_a_store(lake: Lake) -> None:
    with lake.connect() as store:
        dose = store.Feature(name="dose", dtype=float).save()
        record = store.Record(name="r").save()
        record.features.add_values({"dose": 1.5})
        assert store.Record.filter(dose > 1).to_list("name") == ["r"]
        assert store.check().ok
    with lake.connect(read_only=True) as store:
        assert store.Record.get(name="r").features.get_values() == {"dose": 1.5}
