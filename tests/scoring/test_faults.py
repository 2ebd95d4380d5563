"""On a cluster something dies or hangs while a table is scored: it is a clean run's table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests import saved_models as models
from tests.conftest import ROOT
from tests.scoring.fault_driver import PLANS

FILES, GROUPS, GROUP = 4, 4, 1000
ROWS = FILES * GROUPS * GROUP
DAY = "day=2026-11-20"


@pytest.mark.usefixtures("kill")
@pytest.mark.timeout(1500)
def test_the_table_is_a_clean_runs(tmp_path: Path, standalone_cluster: Any) -> None:
    source(tmp_path / "in")
    models.picky(tmp_path / "m")
    with standalone_cluster(tmp_path / "cluster", apart=True) as master:
        command = [sys.executable, "-m", "tests.scoring.fault_driver", master]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "FAULT_FOLDER": str(tmp_path)}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1400)
        assert ran.returncode == 0, ran.stderr[-3000:]
        for plan, runs in json.loads(ran.stdout.strip().splitlines()[-1]).items():
            assert len(runs) == len(PLANS[plan])
            for version, run in enumerate(runs):
                assert (run["plan"], run["table_version"]) == (plan, version)
                counts = (run["rows_in"], run["scored"], run["quarantined"])
                assert counts == (ROWS, ROWS - FILES, FILES)
            check(tmp_path, plan)
    assert not list((tmp_path / "_staging").glob("*"))


def check(folder: Path, plan: str) -> None:
    table = folder / plan
    runs = PLANS[plan]
    versions = [DeltaTable(str(table), version=number) for number in range(len(runs))]
    assert DeltaTable(str(table)).version() == len(runs) - 1
    expected = rows_of(versions[0])
    assert expected["id"].to_pylist() == [i for i in range(ROWS) if i % (GROUPS * GROUP) != 5]
    assert expected["root"].to_pylist() == [float(i) for i in expected["id"].to_pylist()]
    assert [rows_of(version) == expected for version in versions] == [True] * len(runs)
    bad = DeltaTable(str(folder / f"{plan}_quarantine")).to_pyarrow_table()
    refused = sorted(json.loads(raw)["id"] for raw in bad["raw"].to_pylist())
    assert refused == [5 + number * GROUPS * GROUP for number in range(FILES)]

    named = {Path(uri).name for version in versions for uri in version.file_uris()}
    for fault in [run for run in runs if run != "clean"]:
        struck = json.loads((folder / f"{plan}-{fault}.struck").read_text())
        assert set(struck) - named, fault  # it had a file, with rows
        assert (folder / f"{plan}-{fault}.again").exists()
    # A process that outlives its executor finds the run over, and removes what it wrote.
    deadline = time.monotonic() + 120
    while {path.name for path in (table / DAY).iterdir()} != named:
        assert time.monotonic() < deadline, sorted((table / DAY).iterdir())
        time.sleep(0.05)


def rows_of(version: DeltaTable) -> pa.Table:
    return version.to_pyarrow_table().drop_columns(["run_id", "scored_at"]).sort_by("id")


def source(folder: Path) -> None:
    """`id` and its square, four files of four row groups; a row a file that no model takes."""
    folder.mkdir()
    for number in range(FILES):
        ids = range(number * GROUPS * GROUP, (number + 1) * GROUPS * GROUP)
        squares: list[Any] = [float(i * i) for i in ids]
        squares[5] = -1.0
        rows = pa.table({"id": ids, "x": pa.array(squares, "f8").cast("f4")})
        pq.write_table(rows, folder / f"{number}.parquet", row_group_size=GROUP)
