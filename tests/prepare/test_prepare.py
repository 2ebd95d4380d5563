import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import PASSENGERS, ROOT
from tfspark.config import Settings, load_settings
from tfspark.console import Steps
from tfspark.dataset import find_dataset, open_dataset, versions
from tfspark.errors import ConfigError, ContractViolation, IntegrityError, SourceMissing
from tfspark.prepare import prepare
from tfspark.prepare.split import split_of
from tfspark.tables import read_table


def settings_for(tmp_path: Path, **more: Any) -> Settings:
    values = {
        "name": "passengers",
        "contract": str(ROOT / "schemas" / "passengers.yaml"),
        "warehouse": str(tmp_path / "warehouse"),
        "source.format": "csv",
        "source.path": str(PASSENGERS),
        "date": "2026-11-20",
        "prepare.split.test": "0.2",
    }
    return load_settings(None, values | more)


def test_the_passengers_end_to_end(spark: Any, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, **{"prepare.rows_per_file": "200"})
    summary = prepare(spark, settings, Steps("prepare"))
    dataset = open_dataset(summary["path"])
    dataset.verify()
    assert summary["rows_in"] == 712
    assert sum(dataset.rows(split) for split in ("train", "validation", "test")) == 712
    seen = {}
    for split in ("train", "validation", "test"):
        for file in dataset.files(split):
            table = pq.read_table(file)
            assert table.num_rows <= 200
            seen |= dict.fromkeys(table["PassengerId"].to_pylist(), split)
    assert len(seen) == 712
    assert all(split_of([key], settings.prepare.split) == split for key, split in seen.items())
    assert len(dataset.files("train")) >= 3
    manifest = dataset.manifest
    assert sum(manifest["label_counts"][s]["1"] for s in manifest["label_counts"]) == 279
    assert sum(manifest["nulls"][s]["Age"] for s in manifest["nulls"]) == 146
    train_ages = manifest["rows"]["train"] - manifest["nulls"]["train"]["Age"]
    assert dataset.statistics["Age"]["count"] == train_ages
    assert dataset.contract.digest() == manifest["contract"]
    assert not (tmp_path / "warehouse" / "quarantine").exists()

    again = prepare(spark, settings, Steps("prepare"))
    assert "there already" in again["dataset"]
    assert versions(settings.datasets) == [1]

    next_day = settings.model_copy(update={"date": settings.date.replace(day=21)})  # type: ignore[union-attr]
    prepare(spark, next_day, Steps("prepare"))
    assert versions(settings.datasets) == [1, 2]
    assert find_dataset(settings.datasets).version == 2
    assert find_dataset(settings.datasets, day="2026-11-20").version == 1
    assert list(Path(settings.datasets, "_staging").iterdir()) == []


def test_a_changed_file_is_found(spark: Any, tmp_path: Path) -> None:
    dataset = open_dataset(prepare(spark, settings_for(tmp_path), Steps("p"))["path"])
    changed = Path(dataset.files("test")[0])
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=r"test/part-00000\.parquet was changed"):
        dataset.verify()
    changed.unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        dataset.verify()


def test_bad_rows_go_to_quarantine_and_too_many_stop_the_job(spark: Any, tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    lines = PASSENGERS.read_text().splitlines()
    lines[1:11] = [line.replace("male", "man") for line in lines[1:11]]
    raw.write_text("\n".join(lines) + "\n")
    settings = settings_for(tmp_path, **{"source.path": str(raw)})
    summary = prepare(spark, settings, Steps("prepare"))
    assert (summary["rows_in"], summary["quarantined"]) == (712, 10)
    bad = read_table(spark, settings.quarantine).collect()
    assert len(bad) == 10
    assert {str(row["day"]) for row in bad} == {"2026-11-20"}
    assert all("is not one of male, female" in row["reasons"][0] for row in bad)
    assert {json.loads(row["raw"])["PassengerId"] for row in bad} == {
        line.split(",")[0] for line in lines[1:11]
    }

    lines = [lines[0], *(line.replace("male", "man") for line in lines[1:])]
    raw.write_text("\n".join(lines) + "\n")
    with pytest.raises(
        ContractViolation, match=r"712 of 712 rows are bad, at most 35 may be; .*Sex: man"
    ):
        prepare(spark, settings, Steps("prepare"))
    assert versions(settings.datasets) == [1]
    assert read_table(spark, settings.quarantine).count() == 712

    shutil.copy(PASSENGERS, raw)
    assert prepare(spark, settings, Steps("prepare"))["quarantined"] == 0
    assert read_table(spark, settings.quarantine).count() == 0


def test_a_table_without_rows(spark: Any, tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    raw.write_text(PASSENGERS.read_text().splitlines()[0] + "\n")
    with pytest.raises(ContractViolation, match="the table has no rows"):
        prepare(spark, settings_for(tmp_path, **{"source.path": str(raw)}), Steps("p"))
    by_day = settings_for(tmp_path, **{"source.path": str(tmp_path / "{date}.csv")})
    with pytest.raises(SourceMissing, match="2026-11-20.csv: is not there"):
        prepare(spark, by_day, Steps("p"))
    with pytest.raises(ConfigError, match="give --date"):
        prepare(spark, settings_for(tmp_path).model_copy(update={"date": None}), Steps("p"))
