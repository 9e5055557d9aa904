"""What the package is for, as its users read it: the example of the contract, and every example of the page."""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl
import pytest

import duckfeat as dft
from duckfeat.errors import DoesNotExist
from duckfeat.store import Store


def test_the_example_of_the_contract(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"cell": [1]}).write_parquet("batch1.parquet")
    temperature = dft.Feature(name="temperature", dtype=float, unit="degC").save()
    protocol = dft.Feature(name="protocol", dtype=str).save()
    with store.track("ingest.py") as run:
        value, created = dft.FeatureValue.get_or_create(temperature, 21.5)
        artifact = dft.Artifact("batch1.parquet", key="batch1.parquet").save()
        artifact.features.set_values({"temperature": 21.5, "protocol": "v2"})
    assert (created, value.run, artifact.run) == (True, run, run)
    frame = dft.Artifact.filter(temperature > 20, protocol="v2").df(features=True)
    assert frame.shape[0] == 1
    assert frame.columns[-2:].tolist() == ["temperature", "protocol"]
    assert frame[["key", "temperature", "protocol"]].to_numpy().tolist() == [["batch1.parquet", 21.5, "v2"]]
    assert dft.FeatureValue.get_or_create(temperature, 21.5) == (value, False)
    artifact.features.set_values({temperature: 22, protocol: "v3"})
    artifact.features.update_values({protocol: "v2"})
    artifact.features.add_values({temperature: 22})
    assert artifact.features.get_values() == {"temperature": 22.0, "protocol": "v2"}
    assert artifact.features[protocol] == "v2"


def test_the_examples_of_the_page(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    ulabel = dft.ULabel(name="my-label").save()
    assert dft.ULabel.df(include="created_by__name").columns[-1] == "created_by__name"
    assert dft.ULabel.filter(name__startswith="my").df()["uid"].tolist() == [ulabel.uid]
    assert dft.ULabel.get(ulabel.uid) == dft.ULabel.get(name="my-label") == ulabel
    with pytest.raises(DoesNotExist):
        dft.ULabel.get(name="your-label")

    for name in ("cell_type_by_expert", "cell_type_by_model", "other"):
        dft.Feature(name=name, dtype=str).save()
    dft.Artifact("s3://bucket/a", key="a").save().features.add_values({"cell_type_by_model": "T cell", "other": "x"})
    assert dft.Artifact.df(features=True).columns[-3:].tolist() == [
        "cell_type_by_expert",
        "cell_type_by_model",
        "other",
    ]
    chosen = dft.Artifact.df(features=["cell_type_by_model", "cell_type_by_expert"])
    assert chosen.columns[-2:].tolist() == ["cell_type_by_model", "cell_type_by_expert"]
    assert dft.Artifact.df(features="queryset").columns[-2:].tolist() == ["cell_type_by_model", "other"]
    assert "cell_type_by_expert" in repr(dft.view(chosen))

    dft.settings.organism = "human"
    dft.Gene(symbol="ADGB-DT", ensembl_gene_id="ENSG00000002745").save()
    lookup = dft.Gene.lookup()
    assert lookup.adgb_dt.symbol == lookup.dict()["ADGB-DT"].symbol == "ADGB-DT"
    by_ensembl_id = dft.Gene.lookup(field="ensembl_gene_id")
    assert by_ensembl_id.ensg00000002745 == lookup.adgb_dt
    assert dft.Gene.lookup(field=dft.Gene.ensembl_gene_id, return_field=dft.Gene.symbol).ensg00000002745 == "ADGB-DT"
    assert dft.Gene.search("adgb dt", field=dft.Gene.symbol).one().symbol == "ADGB-DT"
    assert dft.Artifact.all().order_by(dft.Artifact.key).to_list("key") == ["a"]

    labels = dft.ULabel.from_values(["ULabel5", "ULabel6", "ULabel7"], field="name")
    dft.save(labels)
    found = dft.ULabel.search("ULabel7", field="name").df()
    assert found["name"].tolist() == ["ULabel7", "ULabel5", "ULabel6"]
    assert found["score"].tolist()[0] == 100.0
    assert (found["score"].tolist()[1:] == sorted(found["score"], reverse=True)[1:]) is True
    with dft.connect(name="account_handle/instance_name", default=False) as other:
        other.save([other.ULabel(name=f"ULabel{number}") for number in (5, 6, 7)])
        elsewhere = dft.ULabel.using("account_handle/instance_name").search("ULabel7", field="name")
        assert elsewhere.to_list("name") == ["ULabel7", "ULabel5", "ULabel6"]
        dft.ULabel(name="always to the default store").save()
        assert (other.ULabel.count(), store.ULabel.count()) == (3, 5)

    assert ulabel.delete() is None
    assert dft.ULabel.count() == 4
    with caplog.at_level(logging.INFO, "duckfeat"):
        assert dft.ULabel(name="ULabel7").save() == labels[2]
    assert "ULabel 'ULabel7' exists" in caplog.text
