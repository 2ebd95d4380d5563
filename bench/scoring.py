"""Rows per second of scoring a Parquet table into a Delta table, beside what others would run.

    python -m bench scoring
    python -m bench scoring --kinds table images --ways scan "no Spark" --scale 0.01
    python -m bench scoring --sweep --plots build/bench

All ways in one run, in turns, on the same two cores and the same 40 Parquet files; every way writes
the same columns. Ours count every row, quarantine and replace the day by one commit.

- `scan`, `arrow`, `pandas`, `jvm`: `score_table` with each plan;
- `predict_batch_udf`: Spark's own way, with our Delta commit;
- `mlflow`: MLflow's `spark_udf` around the SavedModel (`env_manager="local"`), with our commit;
- `horovod`: what Horovod's `KerasModel.transform` does, an RDD and `predict_on_batch` for each row:
  its class does not run on Keras 3, so its approach is measured, on fewer rows;
- `ray`: Ray Data's `map_batches` with two actors, Parquet to Parquet, in an environment of its own;
- `no Spark`: the limit, two processes that read with pyarrow, score with TensorFlow, write Parquet.

A way that has had 40 seconds takes no further turn.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.score import memory, report, sweep
from bench.score.kinds import ALL, KINDS
from bench.score.turns import measure, session

ROOT = Path(__file__).parent.parent


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if a bar is missed. See --help."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m bench scoring", description=__doc__, formatter_class=formatter
    )
    parser.add_argument("--rows", type=int, help="of `table`; the other kinds in proportion")
    parser.add_argument("--scale", type=float, default=1.0, help="of every kind's rows")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--ways", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--memory", nargs="*", choices=KINDS, default=["table", "images"])
    parser.add_argument("--sweep", nargs="*", choices=sweep.SWEEPS, help="which; alone: all")
    parser.add_argument("--plots", default=str(ROOT / "build" / "bench"), help="folder of the PNGs")
    parser.add_argument("--conf", nargs="*", default=[], metavar="KEY=VALUE", help="of Spark")
    parser.add_argument("--json", help="write the figures to this file too")
    given = parser.parse_args(argv)
    os.environ["PYTHONPATH"] = str(ROOT)  # for the processes that Spark starts
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    scale = given.rows / KINDS["table"].rows if given.rows else given.scale
    found: dict[str, Any] = {"kinds": {}, "memory": {}, "sweeps": {}}
    folder = Path(tempfile.mkdtemp(prefix="tfspark-bench-"))
    try:
        if given.sweep is not None:
            chosen = given.sweep or list(sweep.SWEEPS)
            found["sweeps"] = sweep.run(folder, chosen, scale, Path(given.plots))
        else:
            found["kinds"] = every_kind(folder, given, scale)
            for name in given.memory:
                found["memory"][name] = memory.measure(KINDS[name], folder / "memory", scale)
                shutil.rmtree(folder / "memory")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if found["memory"]:
        report.show_memory(found["memory"])
    if given.json:
        Path(given.json).write_text(json.dumps(found, indent=2) + "\n")
    return report.verdict(found["kinds"], found["memory"])


def every_kind(folder: Path, given: argparse.Namespace, scale: float) -> dict[str, Any]:
    found = {}
    for name in given.kinds:
        kind = replace(KINDS[name], rows=max(1000, int(KINDS[name].rows * scale)))
        here = folder / "kind"
        conf = dict(pair.split("=", 1) for pair in given.conf)
        if "jvm" in given.ways:
            conf |= scala_module()
        with session(folder, conf=conf) as spark:
            found[name] = measure(spark, kind, here, given.repeats, given.ways)
        shutil.rmtree(here)
        report.show(name, found[name])
    return found


def scala_module() -> dict[str, str]:
    """Spark's settings with which a session has the module, which is built first."""
    sbt = [sys.executable, str(ROOT / "scripts" / "sbt.py"), "classpathFile"]
    subprocess.run(sbt, check=True, stdout=subprocess.DEVNULL)
    jars = (ROOT / "build" / "scala" / "classpath.txt").read_text().split()
    natives = f"-Dorg.bytedeco.javacpp.cachedir={ROOT / 'build' / 'sbt' / 'javacpp'}"
    return {"spark.driver.extraClassPath": ":".join(jars), "spark.driver.extraJavaOptions": natives}


if __name__ == "__main__":
    sys.exit(main())
