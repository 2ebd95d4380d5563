"""A driver of its own: SCENARIO MASTER FOLDER [spark.setting=value ...]; reports as JSON lines."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from tfspark.config import Distributed
from tfspark.errors import TfsparkError
from tfspark.training.ranks.launch import MEET, launch
from tfspark.training.ranks.stage import slots

APART = "rank_functions:no_horovod"
SCENARIOS: dict[str, dict[str, Any]] = {
    "add": {"run": "add", "meet": MEET},
    "surroundings": {"run": "surroundings"},
    "sleep": {"run": "sleep"},
    "too_many": {"run": "add", "ranks": 4, "slots_seconds": 2},
    "executor_killed": {"run": "until_told", "slots_seconds": 300},
    "worker_killed": {"run": "until_told", "least_ranks": 1, "slots_seconds": 4},
}


def main(scenario: str, master: str, folder: str, *conf: str) -> int:
    given = dict(SCENARIOS[scenario])
    run, meet = given.pop("run"), given.pop("meet", APART)
    workers: dict[int, int] = {}  # rank → its Spark worker

    def on_report(report: dict[str, Any]) -> dict[str, Any]:
        print(json.dumps(report), flush=True)
        if report["kind"] != "step":
            return {}
        if scenario.endswith("_killed") and len(workers) < 2:
            workers[report["rank"]] = report["spark_worker"]
            if len(workers) == 2:
                kill_executor(workers[1], scenario == "worker_killed")
        return {"stop": report["attempt"] > 1}

    def spark() -> SparkSession:
        builder = SparkSession.builder.master(master).appName(scenario)
        settings = {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.executor.memory": "512m",
            "spark.executor.cores": "1",
            "spark.ui.enabled": "false",
            **dict(setting.split("=", 1) for setting in conf),
        }
        for key, value in settings.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        session.sparkContext.addPyFile(str(Path(__file__).with_name("rank_functions.py")))
        while slots(session.sparkContext) < 2:  # the executors that there are have time to come
            time.sleep(0.2)
        return session

    settings = Distributed(**{"ranks": 2, **given})
    try:
        work = f"rank_functions:{run}"
        launch({"folder": folder}, settings, on_report, spark, run=work, meet=meet)
    except TfsparkError as error:
        said = {"kind": "error", "error": type(error).__name__, "message": str(error)}
        print(json.dumps(said), flush=True)
        return error.exit_code
    return 0


def kill_executor(python: int, its_worker_too: bool) -> None:
    """The executor of a Python process; Spark's worker would start another."""
    executor = ancestor(python, "CoarseGrainedExecutorBackend")
    if its_worker_too:
        os.kill(parent(executor), signal.SIGKILL)
    os.kill(executor, signal.SIGKILL)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def ancestor(pid: int, name: str) -> int:
    """The process above whose command line has `name` in it."""
    while name.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
        pid = parent(pid)
    return pid


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
