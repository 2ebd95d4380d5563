"""`kill -9` of tasks, of a twin and of the driver, in real Spark applications."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import standalone
from tests.sizes import size
from tests.tfrecord.fault_driver import ROWS, rows, start
from tfspark.errors import StorageError
from tfspark.tfrecord import read_file
from tfspark.tfrecord.folder.manifest import MANIFEST, SUCCESS, list_folder
from tfspark.tfrecord.spark.source import write_tfrecord

OLD, NEW = list(range(ROWS)), list(range(ROWS, 2 * ROWS))


def ids(path: Path) -> list[int]:
    """What a reader sees, every file checked against the manifest."""
    found = list_folder(str(path))
    seen: list[int] = []
    for entry in found.files:
        batches = list(read_file(entry.path, found.layout))
        assert sum(batch.num_rows for batch in batches) == entry.rows
        for batch in batches:
            values = batch.column("id").to_pylist()
            assert batch.column("t").to_pylist() == [f"t{value}" for value in values]
            seen += values
    return sorted(seen)


def clean(path: Path) -> None:
    names = {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()}
    manifest = json.loads((path / MANIFEST).read_text())
    assert names == {*manifest["files"], MANIFEST, SUCCESS, "_schema.json"}
    assert not (path / "_staging").exists()


def ran(process: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**process, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.usefixtures("kill")
def test_a_killed_worker_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "parquet").mkdir()
    table = pa.table({"id": OLD, "t": [f"t{n}" for n in OLD]})
    pq.write_table(table, tmp_path / "parquet" / "a.parquet", row_group_size=1000)
    done = ran(start(tmp_path, "local[2,4]", ["append", "convert"], "worker"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert ids(tmp_path / "out") == NEW
    assert ids(tmp_path / "converted") == OLD
    for name in ("out", "converted"):
        clean(tmp_path / name)
        # Attempts have names of their own; those of task 1 were two.
        assert len(list_folder(str(tmp_path / name)).files) == (8 if name == "out" else 4)


@pytest.mark.usefixtures("kill")
def test_a_task_that_fails_for_good(tmp_path: Path, spark: Any) -> None:
    def killed(batches: Iterator[Any]) -> Iterator[Any]:
        from pyspark import TaskContext

        context: Any = TaskContext.get()
        yield from batches
        if context.partitionId() == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    out = tmp_path / "out"
    write_tfrecord(rows(spark), str(out), partition_by=["k"])
    dies = rows(spark, ROWS).mapInArrow(killed, rows(spark).schema)
    for mode in ("overwrite", "append"):
        with pytest.raises(StorageError, match=f"writing {out} failed"):
            write_tfrecord(dies, str(out), mode, partition_by=["k"])
        assert ids(out) == OLD
        clean(out)


@pytest.mark.usefixtures("kill")
@pytest.mark.parametrize(
    ("mode", "fault", "seen"),
    size(  # tests/tfrecord/folder/test_stateful.py stops it between any two operations
        [("append", "move:3", "old")],
        soak=[
            ("overwrite", "staged", "old"),
            ("append", "move:3", "old"),
            ("overwrite", "delete_file:4", "new"),
        ],
    ),
)
def test_a_killed_driver(mode: str, fault: str, seen: str, tmp_path: Path, spark: Any) -> None:
    out = tmp_path / "out"
    write_tfrecord(rows(spark), str(out), partition_by=["k"])
    done = ran(start(tmp_path, "local[2]", [mode], fault))
    assert done.returncode == -9, done.stderr[-3000:]
    assert (out / "_staging").exists()
    assert not (out / SUCCESS).exists() or fault == "staged"
    written = NEW if mode == "overwrite" else OLD + NEW
    there = OLD if seen == "old" else written
    assert ids(out) == there
    assert spark.read.format("tfrecord").load(str(out)).count() == len(there)
    more = spark.range(-1, 0).selectExpr("id", "1 as k", "'t' || id as t")
    write_tfrecord(more, str(out), "append", partition_by=["k"])
    assert ids(out) == [-1, *there]
    clean(out)


@pytest.mark.usefixtures("kill", "soak")  # attempts have names of their own: see above
def test_a_speculative_twin_leaves_no_doubles(tmp_path: Path, standalone_cluster: Any) -> None:
    cluster = tmp_path / "cluster"
    with standalone_cluster(cluster, workers=1) as master:
        # Spark starts no twin on the host of the first attempt: this one has another address.
        other = standalone._Daemon(
            cluster / "other.log",
            "worker.Worker",
            *("--host", "127.0.0.2", "--port", "0", "--cores", "1", "--memory", "1g"),
            *("--work-dir", str(cluster / "other"), master),
        )
        try:
            other.wait_for("(Successfully registered with master)")
            done = ran(start(tmp_path, master, ["slow"]))
        finally:
            other.stop()
    assert done.returncode == 0, done.stderr[-3000:]
    assert ids(tmp_path / "out") == OLD
    assert len(list_folder(str(tmp_path / "out")).files) == 8
    clean(tmp_path / "out")


def test_a_target_that_cannot_be_written(tmp_path: Path, spark: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make the folder"):
        write_tfrecord(rows(spark), str(tmp_path / "file" / "out"))
