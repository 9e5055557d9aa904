"""From a file to a lake and back: the same store."""

from __future__ import annotations

from pathlib import Path

import duckfeat as dft
from tests.servers import Lake
from tests.unit.engine.test_moving import content, filled


def test_a_file_moves_to_a_lake_and_back(lake: Lake, tmp_path: Path) -> None:
    filled(f"{tmp_path}/a.duckdb")
    there = dft.move(tmp_path / "a.duckdb", lake.url, **lake.options)
    options = {name: value for name, value in lake.options.items() if name != "data_path"}
    back = dft.move(lake.url, tmp_path / "b.duckdb", **options)
    assert there == back
    with dft.connect(tmp_path / "a.duckdb") as first, dft.connect(tmp_path / "b.duckdb") as second:
        assert content(first) == content(second)
    with lake.connect() as store:
        assert store.check().ok
        assert store.ULabel(name="next").save().id == max(store.ULabel.filter(branch=None).to_list("id"))
