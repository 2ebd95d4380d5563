"""The driver of `test_large_model.py`: a table scored with a model that is larger than a broadcast.

python tests/scoring/large_model.py MASTER FOLDER     # FOLDER: in/, m/, local/
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

import tfspark

if __name__ == "__main__":
    master, folder = sys.argv[1], Path(sys.argv[2])
    executor = {
        "PYTHONPATH": ":".join(sys.path),
        **{name: os.environ[name] for name in os.environ if name.startswith("TFSPARK_MODEL")},
    }
    spark = tfspark.spark_session(
        "a large model",
        **{
            "spark.master": master,
            "spark.driver.memory": "700m",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.executor.memory": "500m",
            "spark.executor.cores": "1",
            "spark.default.parallelism": "4",
            "spark.sql.shuffle.partitions": "2",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.local.dir": str(folder / "local"),
            **{f"spark.executorEnv.{name}": value for name, value in executor.items()},
        },
    )
    started = time.monotonic()
    paths = [str(folder / name) for name in ("in", "m", "out")]
    summary = tfspark.score_table(spark, *paths, "2026-11-20", keep=["id"])
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    executors = len(spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()) - 1
    said = {"executors": executors, "seconds": seconds, "driver": peak << 10}
    print(json.dumps(said | {"summary": summary.to_dict()}))
    spark.stop()
