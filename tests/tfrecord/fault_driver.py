"""A driver that tests kill, and the faults that its processes install in themselves.

python -m tests.tfrecord.fault_driver MASTER FOLDER ACTION...   # overwrite, append, convert, slow

Spark's commit runs in a Python process of Spark's own, so a fault cannot be patched in from the
test: `TFSPARK_TEST_FAULT` names it, and a `sitecustomize` on `PYTHONPATH` (see `SITE`) installs it
in every Python process of the application.

    staged          kills everything when a task has written its first file
    move:2          kills everything before the second rename of the commit; also write_json:1, ...
    worker          kills the Python process of task 1's first attempt in its first file's close
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FAULT = "TFSPARK_TEST_FAULT"
SITE = f"""import os
if {FAULT!r} in os.environ:
    from tests.tfrecord import fault_driver
    fault_driver.install(os.environ[{FAULT!r}])
"""
ROWS = 20_000


def install(fault: str) -> None:
    from tfspark import storage
    from tfspark.tfrecord.codec import write

    name, _, at = fault.partition(":")
    if name in ("staged", "worker"):
        close = write.Writer.close

        def closing(self: Any) -> Any:
            from pyspark import TaskContext

            context = TaskContext.get()
            first = context and (context.partitionId(), context.attemptNumber()) == (1, 0)
            if name == "worker" and first:
                os.kill(os.getpid(), signal.SIGKILL)
            written = close(self)
            if name == "staged":
                _kill_all()
            return written

        write.Writer.close = closing  # type: ignore[method-assign]
        return
    change = getattr(storage, name)
    left = int(at)

    def counted(*arguments: Any) -> Any:
        nonlocal left
        # `new_staging` writes a file too, before there is anything to commit.
        left -= not str(arguments[0]).endswith("_owner.json")
        if left == 0:
            _kill_all()
        return change(*arguments)

    setattr(storage, name, counted)


def _kill_all() -> None:
    """The driver, its JVM and this process: a session of their own, in groups of Spark's making."""
    os.killpg(os.getsid(0), signal.SIGKILL)
    os.killpg(0, signal.SIGKILL)


def rows(spark: Any, start: int = 0, tasks: int = 4) -> Any:
    """`id` from `start` on, `k` = id % 2, `t`: the id as text."""
    return spark.range(start, start + ROWS, 1, tasks).selectExpr(
        "id", "int(id % 2) as k", "'t' || id as t"
    )


def _slowly(batches: Iterator[Any]) -> Iterator[Any]:
    """The first attempt of task 1 writes its rows and then hangs: its twin must win."""
    from pyspark import TaskContext

    yield from batches
    context: Any = TaskContext.get()
    if context.partitionId() == 1 and context.attemptNumber() == 0:
        time.sleep(3600)


def main(master: str, folder: str, *actions: str) -> None:
    import tfspark
    from tfspark.tfrecord import convert
    from tfspark.tfrecord.spark.source import write_tfrecord

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
            "spark.sql.adaptive.enabled": "false",
            "spark.speculation": "true",
            "spark.speculation.interval": "200ms",
            "spark.speculation.minTaskRuntime": "2s",
            "spark.speculation.quantile": "0.5",
            "spark.executorEnv.PYTHONPATH": ":".join(sys.path),
        },
    )
    spark.sparkContext.setLogLevel("OFF")
    target = f"{folder}/out"
    for action in actions:
        if action == "convert":
            convert(spark, f"{folder}/parquet", f"{folder}/converted", tasks=4)
        elif action == "slow":
            df = rows(spark)
            write_tfrecord(df.mapInArrow(_slowly, df.schema), target, partition_by=["k"])
        else:
            write_tfrecord(rows(spark, ROWS), target, mode=action, partition_by=["k"])
    print(json.dumps({"done": actions}))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])


def start(tmp: Path, master: str, actions: list[str], fault: str | None = None) -> dict[str, Any]:
    """What to give to `subprocess`: the driver in a session of its own."""
    from tests.conftest import ROOT

    site = tmp / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE)
    environment = os.environ | {"PYTHONPATH": f"{site}:{ROOT}"}
    if fault:
        environment[FAULT] = fault
    command = [sys.executable, "-m", "tests.tfrecord.fault_driver", master, str(tmp), *actions]
    return {"args": command, "env": environment, "start_new_session": True}
