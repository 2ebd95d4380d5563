"""The driver of `test_cluster.py`: score on a cluster after the model's folder is gone.

python tests/scoring/on_cluster.py MASTER FOLDER     # FOLDER: model/, rows/, cache/
"""

from __future__ import annotations

import gc
import json
import shutil
import sys
from pathlib import Path

import tfspark

if __name__ == "__main__":
    master, folder = sys.argv[1], Path(sys.argv[2])
    executor = {"PYTHONPATH": ":".join(sys.path), "TFSPARK_MODEL_CACHE": str(folder / "cache")}
    spark = tfspark.spark_session(
        "on a cluster",
        **{
            "spark.master": master,
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.executor.memory": "700m",
            "spark.executor.cores": "1",
            "spark.sql.adaptive.enabled": "false",
            "spark.databricks.delta.snapshotPartitions": "2",
            **{f"spark.executorEnv.{name}": value for name, value in executor.items()},
        },
    )
    model, rows = str(folder / "model"), spark.read.parquet(str(folder / "rows"))
    inputs = {"features": [f"f{i}" for i in range(4)]}
    scored = tfspark.score(rows.repartition(8), model, inputs, keep=["id"])
    function = tfspark.score_udf(spark, model)(features=inputs["features"])
    shutil.move(model, folder / "moved")  # what the executors have now is the broadcast
    scored.write.parquet(str(folder / "first"))
    scored.write.parquet(str(folder / "second"))
    rows.select("id", function).write.parquet(str(folder / "udf"))
    # The same files elsewhere are the same model: no process opens it again.
    summary = tfspark.score_table(
        spark,
        str(folder / "rows"),
        str(folder / "moved"),
        str(folder / "table"),
        "2026-11-20",
        inputs,
    )
    executors = len(spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()) - 1
    sent = spark.sparkContext.parallelize(range(2), 2)
    frozen = sent.map(lambda _: gc.get_freeze_count()).max()
    said = {"executors": executors, "summary": summary.to_dict(), "frozen": frozen}
    print(json.dumps(said))
    spark.stop()
