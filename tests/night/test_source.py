"""A source's fingerprint changes with what would be read, and with nothing else."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from tfspark.config import Source, load_settings
from tfspark.night import source as module
from tfspark.night.examples import _said, public_columns
from tfspark.night.source import by_day, fingerprint

DAY = dt.date(2026, 11, 20)


def test_files_of_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(format="csv", path=f"{tmp_path}/{{date}}/*.csv")
    assert fingerprint(source, DAY)["missing"]
    folder = tmp_path / "2026-11-20"
    folder.mkdir()
    (folder / "a.csv").write_text("x\n1\n")
    found = fingerprint(source, DAY)
    assert not found["missing"]
    os.utime(folder / "a.csv", (1, 1))
    (folder / "_SUCCESS").write_text("")
    (folder / "notes.txt").write_text("")
    assert fingerprint(source, DAY)["value"] == found["value"]
    (folder / "a.csv").write_text("x\n2\n")  # as many bytes
    changed = fingerprint(source, DAY)["value"]
    assert changed != found["value"]
    (folder / "b.csv").write_text("x\n1\n")
    assert fingerprint(source, DAY)["value"] not in (found["value"], changed)
    # Of much data the sizes and times are taken.
    monkeypatch.setattr(module, "_READ", 1)
    before = fingerprint(source, DAY)
    os.utime(folder / "a.csv", (2, 2))
    assert before["kind"] == "files"
    assert fingerprint(source, DAY)["value"] != before["value"]


def test_a_folder_counts_with_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "raw" / "_hidden").mkdir(parents=True)
    source = Source(format="parquet", path=str(tmp_path / "raw"))
    assert fingerprint(source, DAY)["missing"]
    assert not by_day(load_settings(None, {"source": source}))
    (tmp_path / "raw" / "part=1").mkdir()
    (tmp_path / "raw" / "part=1" / "a.parquet").write_bytes(b"1")
    first = fingerprint(source, DAY)
    (tmp_path / "raw" / "_hidden" / "a.parquet").write_bytes(b"1")
    assert fingerprint(source, DAY) == first
    (tmp_path / "raw" / "part=1").rename(tmp_path / "raw" / "part=2")
    assert fingerprint(source, DAY)["value"] != first["value"]


@pytest.mark.parametrize("partitioned", [True, False])
def test_a_delta_table_by_the_files_that_may_hold_the_day(
    partitioned: bool, tmp_path: Path
) -> None:
    by = ["day"] if partitioned else None
    source = Source(format="delta", path=str(tmp_path), day_column="day")

    def add(day: dt.date) -> None:
        rows = pa.table({"day": pa.array([day], pa.date32()), "x": [1]})
        write_deltalake(str(tmp_path), rows, mode="append", partition_by=by)

    add(DAY)
    first = fingerprint(source, DAY)
    add(DAY + dt.timedelta(days=1))
    other = fingerprint(source, DAY)
    assert other["value"] == first["value"]
    assert other["version"] == first["version"] + 1
    add(DAY)
    assert fingerprint(source, DAY)["value"] != first["value"]
    DeltaTable(str(tmp_path)).delete("x = 1")
    assert by_day(load_settings(None, {"source": source}))


def test_only_public_columns_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "schema:\n- name: t\n  properties:\n  - {name: a, classification: public}\n"
        "  - {name: b, classification: restricted}\n  - {name: c}\n"
    )
    assert public_columns(str(path)) == {"a"}
    assert _said("a: 5 is too much", {"a"}) == "a: 5 is too much"
    assert _said("b: 5 is too much", {"a"}) == "b: (not public)"
    assert len(_said("a: " + "5" * 200, {"a"})) == 80
