"""The driver of `test_faults.py`: each plan scores a table with faults.

In CI each fault strikes one plan, in the soak each, after a run without one.

FAULT_FOLDER=FOLDER python -m tests.scoring.fault_driver MASTER     # FOLDER: in/, m/, cache/

Then the first attempt of task 1 strikes when it has written rows and has more to come:

    worker      ends its own process, as the kernel does where memory is short
    executor    ends Spark's executor, and writes on while another attempt does the same
    slow        does not go on before the table has its new version
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.sizes import size
from tfspark.scoring.worker.guard import Scorer

DAY = "2026-11-20"
PLANS = {
    "scan": size(("worker", "slow"), soak=("clean", "worker", "slow", "executor")),
    "arrow": size(("executor",), soak=("clean", "worker", "slow", "executor")),
}
FOLDER = Path(os.environ.get("FAULT_FOLDER", ""))


class Faulty(Scorer):
    """What executors get in place of the scorer; they import this module."""

    def __call__(self, columns: Any) -> Any:
        from pyspark import TaskContext

        from tfspark.scoring.worker import sink

        assert sink._GROUP_ROWS
        sink._GROUP_ROWS = 1  # what is scored is written
        result = super().__call__(columns)
        calls = vars(self)["calls"] = vars(self).get("calls", 0) + 1
        context: Any = TaskContext.get()
        if calls == 3 and context.partitionId() == 1:
            plan, fault = (FOLDER / "armed").read_text().split()
            if fault != "clean" and context.attemptNumber() == 0:
                strike(plan, fault)
            elif fault != "clean":
                wait_for(FOLDER / f"{plan}-{fault}.struck")  # a twin may be early
                (FOLDER / f"{plan}-{fault}.again").touch()
        return result


def strike(plan: str, fault: str) -> None:
    written = sorted(path.name for path in (FOLDER / plan / f"day={DAY}").iterdir())
    struck = FOLDER / f"{plan}-{fault}.struck"
    struck.with_suffix(".part").write_text(json.dumps(written))
    struck.with_suffix(".part").rename(struck)
    goes_on = FOLDER / f"{plan}-{fault}.again"
    if fault == "worker":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "slow":
        goes_on = FOLDER / plan / "_delta_log" / f"{PLANS[plan].index(fault):020}.json"
    else:
        jvm = parent(os.getppid())
        assert b"CoarseGrainedExecutorBackend" in Path(f"/proc/{jvm}/cmdline").read_bytes()
        os.kill(jvm, signal.SIGKILL)
    wait_for(goes_on)  # unless Spark ends this process first


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.05)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def main(master: str) -> None:
    import tfspark
    from tests.scoring.fault_driver import Faulty  # by the name that it has elsewhere
    from tfspark.scoring.kinds import one

    executor = {
        "FAULT_FOLDER": str(FOLDER),
        "PYTHONPATH": ":".join(sys.path),
        "TFSPARK_MODEL_CACHE": str(FOLDER / "cache"),
    }
    spark = tfspark.spark_session(
        "faults",
        **{
            "spark.master": master,
            "spark.driver.memory": "1g",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.executor.memory": "700m",
            "spark.executor.cores": "1",
            "spark.default.parallelism": "4",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.speculation": "true",
            "spark.speculation.interval": "200ms",
            "spark.speculation.minTaskRuntime": "2s",
            "spark.speculation.quantile": "0.5",
            **{f"spark.executorEnv.{name}": value for name, value in executor.items()},
        },
    )
    spark.sparkContext.setLogLevel("OFF")
    one.Scorer = Faulty  # type: ignore[misc]
    said: dict[str, list[Any]] = {plan: [] for plan in PLANS}
    for plan, runs in PLANS.items():
        paths = [str(FOLDER / name) for name in ("in", "m", plan)]
        for run in runs:
            (FOLDER / "armed").write_text(f"{plan} {run}")
            done = tfspark.score_table(spark, *paths, DAY, keep=["id"], plan=plan)
            said[plan].append(done.to_dict())
    print(json.dumps(said))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
