"""The driver of `test_gpu.py`: which GPUs the processes that score may see.

python tests/scoring/gpu_driver.py MASTER FOLDER GPUS     # GPUS: of a task, 0 or 1
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pyspark import TaskContext

import tfspark
from tests import saved_models as models
from tfspark.scoring.kinds.resolve import resolve
from tfspark.scoring.worker import guard, wall
from tfspark.scoring.worker.predict import Feed

if __name__ == "__main__":
    master, folder, gpus = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    amount = {f"spark.{who}.resource.gpu.amount": gpus for who in ("executor", "task")}
    spark = tfspark.spark_session(
        "gpus",
        **{
            "spark.master": master,
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.executor.memory": "600m",
            "spark.executor.cores": "1",
            **(amount if gpus != "0" else {}),
            "spark.executorEnv.PYTHONPATH": ":".join(sys.path),
            "spark.executorEnv.TFSPARK_MODEL_CACHE": str(folder / "cache"),
        },
    )
    model = resolve(models.picky(folder / "model"))
    feeds = [Feed(name, spec) for name, spec in model.signature.inputs.items()]
    scorer = model.scorer(spark, feeds)

    def score(rows: Iterable[int]) -> Iterator[dict[str, object]]:
        # Tasks of one stage at once: two executors with a core each, and each has one.
        (roots,), _ = scorer([pa.array([4.0])])
        context = TaskContext.get()
        assert context is not None
        given = context.resources().get("gpu")
        seen = os.environ["CUDA_VISIBLE_DEVICES"]
        # A process that has another task's GPU works in a child that has this one's.
        os.environ["CUDA_VISIBLE_DEVICES"] = "unknown"
        from tfspark.scoring.worker import gpus as claims

        claims._claimed = {"CUDA_VISIBLE_DEVICES": "another"}
        (again,), _ = scorer([pa.array([9.0])])
        child = guard._child._process
        assert child is not None
        variables = Path(f"/proc/{child.pid}/environ").read_text().split("\0")
        guard.close()
        yield {
            "given": list(given.addresses) if given else [],
            "seen": seen,
            "child": [v.split("=")[1] for v in variables if v.startswith("CUDA_VISIBLE")],
            "roots": roots.to_pylist() + again.to_pylist(),
            "wall": wall.stands(),
        }

    found = spark.sparkContext.parallelize(range(2), 2).mapPartitions(score).collect()
    print(json.dumps(found))
    spark.stop()
