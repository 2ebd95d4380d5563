"""Delta tables for Arrow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from tfspark.deltalog import dataset

PROGRAM = """
import sys
from deltalake import DeltaTable
from tfspark.deltalog import dataset
assert dataset(DeltaTable(sys.argv[1]), sys.argv[1]).to_table().num_rows == 4
"""


def test_the_rows_of_odd_names_and_partitions(tmp_path: Path) -> None:
    table = str(tmp_path / "a b")
    values = ["a b", "x%y", "ü:z", None]
    write_deltalake(table, pa.table({"p": values, "v": [1, 2, 3, 4]}), partition_by=["p"])
    found = dataset(DeltaTable(table), table).to_table().sort_by("v")
    assert found["p"].to_pylist() == values


def test_a_process_that_has_read_a_table_ends(tmp_path: Path) -> None:
    table = str(tmp_path / "t")
    for number in range(4):
        write_deltalake(table, pa.table({"v": [number]}), mode="append")
    # deltalake's own file system aborts eight of ten.
    started = [subprocess.Popen([sys.executable, "-c", PROGRAM, table]) for _ in range(4)]
    assert [process.wait(60) for process in started] == [0] * 4
