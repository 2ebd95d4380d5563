"""A model of 3 GB on a real cluster: scored, and then gone from the machine.

It wants 12 GB of memory, 40 GB of disk and minutes, so it runs only when asked for: -m large -s
(LARGE_MODEL_ROWS: fewer rows of 256 bytes than the 12 million of the model's table).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.conftest import ROOT

KEYS = int(os.environ.get("LARGE_MODEL_ROWS", "12_000_000"))
ROWS = 40_000
BUDGET = KEYS * 256 * 2 // 3

# Random, so that nothing on the way makes it smaller. The variable takes the tensor as it is.
_BUILD = """
import sys, numpy as np, tensorflow as tf
folder, keys = sys.argv[1], int(sys.argv[2])
module = tf.Module()
module.table = tf.Variable(tf.random.stateless_uniform([keys, 64], [1, 2]))
def serve(key):
    row = tf.gather(module.table, key)
    return {"score": row[:, 0] + row[:, 63]}
module.serve = tf.function(serve, [tf.TensorSpec([None], tf.int64, name="key")], autograph=False)
tf.saved_model.save(module, folder + "/m", signatures=module.serve)
np.save(folder + "/score.npy", serve(np.load(folder + "/key.npy"))["score"].numpy())
"""


@pytest.mark.large
@pytest.mark.timeout(3600)
def test_scored_and_gone(tmp_path: Path, standalone_cluster: Any) -> None:
    keys = np.random.default_rng(1).integers(0, KEYS, ROWS)
    np.save(tmp_path / "key.npy", keys)
    subprocess.run([sys.executable, "-c", _BUILD, str(tmp_path), str(KEYS)], check=True)
    (tmp_path / "in").mkdir()
    rows = pa.table({"id": np.arange(ROWS), "key": keys})
    for part in range(4):
        piece = rows.slice(part * ROWS // 4, ROWS // 4)
        pq.write_table(piece, tmp_path / "in" / f"{part}.parquet")
    (tmp_path / "local").mkdir()
    model = size_of(tmp_path / "m")
    assert model > KEYS * 256

    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TFSPARK_MODEL_CACHE": str(tmp_path / "cache"),
        "TFSPARK_MODEL_CACHE_BYTES": str(BUDGET),
    }
    with standalone_cluster(tmp_path / "cluster") as master:
        before = disk(tmp_path)
        driver = str(ROOT / "tests/scoring/large_model.py")
        with (tmp_path / "said").open("wb") as out, (tmp_path / "log").open("wb") as log:
            command = [sys.executable, driver, master, str(tmp_path)]
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=log)
            most, peaks = watched(process, tmp_path)
        assert process.returncode == 0, (tmp_path / "log").read_text()[-3000:]
        said = json.loads((tmp_path / "said").read_text().splitlines()[-1])
        # What goes goes by itself, with the application's processes or just after.
        deadline = time.monotonic() + 300
        while sum(disk(tmp_path).values()) - sum(before.values()) > model // 100:
            assert time.monotonic() < deadline, (before, disk(tmp_path))
            time.sleep(0.2)
        assert not list((tmp_path / "cache").iterdir())

    assert said["executors"] == 2
    assert said["summary"]["rows_in"] == said["summary"]["scored"] == ROWS
    scored = DeltaTable(str(tmp_path / "out")).to_pyarrow_table().sort_by("id")
    assert scored["id"].to_pylist() == list(range(ROWS))
    assert scored["score"].to_numpy().tolist() == np.load(tmp_path / "score.npy").tolist()
    assert most["cache"] < 1.1 * model  # once on a machine, whatever the executors
    assert peaks["driver"] < (600 << 20) + model // 4  # some pieces, and not the model
    assert peaks["executor's Python"] < (900 << 20) + 1.25 * model
    found = {"model": model, "seconds": said["seconds"], "disk": most, "memory": peaks}
    print(json.dumps(found))


def watched(process: subprocess.Popen[bytes], folder: Path) -> tuple[Counter[str], Counter[str]]:
    """The most bytes that were on disk by place, and in memory by kind of process."""
    most: Counter[str] = Counter()
    peaks: Counter[str] = Counter()
    while process.poll() is None:
        most |= disk(folder)
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                about = (status.parent / "environ").read_bytes()
                command = (status.parent / "cmdline").read_bytes()
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if str(folder).encode() in about and "VmHWM" in fields:
                kilobytes = int(fields["VmHWM"].split()[0])
                peaks |= Counter({kind_of(command): kilobytes << 10})
        time.sleep(0.5)
    return most, peaks


def kind_of(command: bytes) -> str:
    for said, kind in {
        b"CoarseGrainedExecutorBackend": "executor's JVM",
        b"SparkSubmit": "driver's JVM",
        b"deploy.": "Spark's daemon",
        b"pyspark.daemon": "executor's Python",
        b"large_model.py": "driver",
    }.items():
        if said in command:
            return kind
    return "other"


def disk(folder: Path) -> Counter[str]:
    """Bytes on disk: the cache, Spark's folders of the driver and of the executors."""
    places = {"cache": "cache", "driver": "local", "executors": "cluster"}
    return Counter({name: size_of(folder / place) for name, place in places.items()})


def size_of(root: Path) -> int:
    """Bytes on disk; what vanishes meanwhile does not count."""
    size = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(folder, name).lstat().st_blocks * 512
    return size
