"""The most memory of a process that scores, beside bare TensorFlow with that model and batch.

    python -m bench.score.memory WAY KIND FOLDER     # Spark by itself: prints megabytes
    python -m bench.score.memory bare KIND FOLDER         # TensorFlow by itself

Each is measured where nothing else has run: the largest Python process below a fresh Spark, at its
peak (VmHWM); and a process that imports TensorFlow, loads the model and scores one batch in
memory again and again. It has no pyarrow, no pandas, no Spark.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.processes import below, peak_mb
from bench.score.feed import from_arrow
from bench.score.kinds import KINDS, Kind, write_rows

WAYS = ("scan", "arrow")
BATCHES = 30


def measure(kind: Kind, folder: Path, scale: float) -> dict[str, Any]:
    """way → the megabytes of both, and their ratio."""
    kind = replace(kind, rows=max(1000, int(kind.rows * scale / 4)))
    kind.export(str(folder / "model"))
    write_rows(kind, folder / "rows", kind.rows)
    write_batch(kind, folder)
    bare = _alone("bare", kind, folder)
    found = {}
    for way in WAYS:
        got = _alone(way, kind, folder)
        found[way] = {"batch": kind.batch, "process_mb": got, "bare_mb": bare, "ratio": got / bare}
    return found


def write_batch(kind: Kind, folder: Path) -> None:
    """One batch of tensors as bare TensorFlow takes them."""
    batch = pa.RecordBatch.from_pydict(dict(kind.make(0, kind.batch)))
    tensors = from_arrow(batch, kind.inputs)
    for name, values in tensors.items():
        np.save(folder / f"batch-{name}.npy", values, allow_pickle=True)


def _alone(way: str, kind: Kind, folder: Path) -> float:
    command = [sys.executable, "-m", "bench.score.memory", way, kind.name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{way}, {kind.name}: {done.stderr[-3000:]}")
    return float(done.stdout.strip().splitlines()[-1])


def _bare(kind: Kind, folder: Path) -> float:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = tf.saved_model.load(str(folder / "model"))
    function = model.signatures["serving_default"]
    tensors = {
        one.name: np.load(folder / f"batch-{one.name}.npy", allow_pickle=True)
        for one in kind.inputs
    }
    for _ in range(BATCHES):
        fed = {name: tf.constant(values) for name, values in tensors.items()}
        function(**fed)["score"].numpy()
    return peak_mb(os.getpid())


def _spark(way: str, kind: Kind, folder: Path) -> float:
    from bench.score.turns import session
    from bench.score.ways import Job, ours

    # The same batch in both: what the tuner picks may be another one in every run.
    with session(folder, conf={"spark.tfspark.batchRows": str(kind.batch)}) as spark:
        ours(way)(Job(spark, kind, folder / "rows", folder / "model", folder / f"out-{way}"))
        workers = [pid for pid, of in below(os.getpid()).items() if of == "spark python"]
        return max(peak_mb(pid) for pid in workers)


def main() -> None:
    way, name, folder = sys.argv[1:]
    kind, where = KINDS[name], Path(folder)
    print(_bare(kind, where) if way == "bare" else _spark(way, kind, where))


if __name__ == "__main__":
    main()
