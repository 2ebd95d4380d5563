"""Rows per second of scoring a Parquet table into a Delta table, beside what others would run.

    python -m bench.scoring --rows 10000000

Ways, in one run, in turns, on the same two cores and the same 40 files of an id and 16 floats, with
an MLP 16-64-64-1:

- `scan`, `arrow`: `score_table` with each plan, with the count of every row, the quarantine and the
  atomic day;
- `predict_batch_udf`: Spark's own way, written by the same Delta commit, without the checks;
- `no Spark`: two processes that read with pyarrow, score with TensorFlow, and write Parquet.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from bench.models import mlp
from bench.processes import Watch

FEATURES = 16
FILES = 40
BATCH = 10_000
CORES = 2
DAY = dt.date(2026, 11, 20)
WAYS = ("scan", "arrow", "predict_batch_udf", "no Spark")
LIMIT = WAYS[-1]
NAMES = [f"f{i}" for i in range(FEATURES)]


def make_rows(folder: Path, rows: int, files: int = FILES) -> None:
    """An id and 16 floats a row, in as many files."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    bounds = np.linspace(0, rows, files + 1).astype(int)
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        columns: dict[str, Any] = {"id": np.arange(start, stop)}
        for name in NAMES:
            columns[name] = random.standard_normal(stop - start, dtype="float32")
        pq.write_table(pa.table(columns), folder / f"{number:03}.parquet")


def ours(plan: str) -> Callable[..., None]:
    def run(spark: Any, rows: Path, model: Path, target: Path) -> None:
        import tfspark

        inputs = {"features": NAMES}
        tfspark.score_table(spark, str(rows), str(model), str(target), DAY, inputs, plan=plan)

    return run


def batch_udf(spark: Any, rows: Path, model: Path, target: Path) -> None:
    """What a team writes today: Spark's predict_batch_udf and a Delta write."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    from tfspark.tables import write_day

    folder = str(model)

    def make() -> Callable[[np.ndarray], np.ndarray]:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        loaded = tf.saved_model.load(folder)
        function = loaded.signatures["serving_default"]

        def predict(features: np.ndarray) -> np.ndarray:
            return function(features=tf.constant(features))["score"].numpy()[:, 0]

        predict.model = loaded  # type: ignore[attr-defined]  # or its variables are collected
        return predict

    score = predict_batch_udf(
        make, return_type=T.FloatType(), batch_size=BATCH, input_tensor_shapes=[[FEATURES]]
    )
    about = {"model_name": "mlp", "model_version": "", "model_digest": "0" * 64, "run_id": "r" * 32}
    df = spark.read.parquet(str(rows)).select(
        "id",
        score(F.array(*NAMES)).alias("score"),
        *[F.lit(value).alias(name) for name, value in about.items()],
        F.lit(dt.datetime(2026, 11, 20)).alias("scored_at"),
    )
    write_day(df, str(target), DAY, run_id=str(time.time_ns()))


class NoSpark:
    """Two processes with the model loaded; each takes every other file."""

    def __init__(self, model: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = context.Pool(CORES, _load, (str(model),))
        self._pool.map(_ready, range(CORES))

    def __call__(self, spark: Any, rows: Path, model: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        files = [(str(file), str(target / file.name)) for file in sorted(rows.iterdir())]
        self._pool.map(_score_file, files, chunksize=1)

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


def _load(model: str) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    loaded = tf.saved_model.load(model)
    globals()["_model"] = loaded
    globals()["_function"] = loaded.signatures["serving_default"]


def _ready(_: int) -> None:
    import tensorflow as tf

    globals()["_function"](features=tf.zeros([1, FEATURES]))


def _score_file(paths: tuple[str, str]) -> None:
    import tensorflow as tf

    function = globals()["_function"]
    schema = pa.schema([("id", pa.int64()), ("score", pa.float32())])
    with pq.ParquetWriter(paths[1], schema) as writer:
        for batch in pq.ParquetFile(paths[0]).iter_batches(BATCH):
            features = np.empty((batch.num_rows, FEATURES), "float32")
            for i, name in enumerate(NAMES):
                features[:, i] = batch.column(name).to_numpy()
            scores = function(features=tf.constant(features))["score"].numpy()[:, 0]
            writer.write_batch(pa.record_batch([batch.column("id"), pa.array(scores)], schema))


@contextmanager
def session(folder: Path) -> Iterator[Any]:
    import tfspark

    spark = tfspark.spark_session(
        "bench scoring",
        **{
            "spark.master": f"local[{CORES}]",
            "spark.driver.memory": "2g",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
        },
    )
    try:
        yield spark
    finally:
        spark.stop()


def same(tables: list[pa.Table]) -> float:
    """The largest difference of two scores of one id; the ids must be the same."""
    first, *others = [table.sort_by("id") for table in tables]
    worst = 0.0
    for other in others:
        assert other["id"].equals(first["id"]), "not the same ids"
        difference = np.abs(other["score"].to_numpy() - first["score"].to_numpy())
        worst = max(worst, float(difference.max()))
    return worst


def run(rows: int, repeats: int, folder: Path, wanted: list[str]) -> dict[str, Any]:
    """The ways in turns; the medians."""
    mlp(str(folder / "mlp"))
    make_rows(folder / "rows", rows)
    make_rows(folder / "few", max(rows // 50, FILES), files=4)
    model, results = folder / "mlp", {}
    no_spark = NoSpark(model)
    with session(folder) as spark:
        every = dict(zip(WAYS, (ours("scan"), ours("arrow"), batch_udf, no_spark), strict=True))
        ways: dict[str, Callable[..., None]] = {
            name: every[name] for name in WAYS if name in wanted
        }
        for name, way in ways.items():  # every process started, everything compiled
            way(spark, folder / "few", model, folder / f"warm-{name}")
        timed: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                with Watch() as usage:
                    started = time.perf_counter()
                    way(spark, folder / "rows", model, folder / f"out-{name}")
                    seconds = time.perf_counter() - started
                timed[name].append({"seconds": round(seconds, 2), **asdict(usage)})
                print(f"  {name:<20}{seconds:>8.1f} s", file=sys.stderr, flush=True)
        scored = [_result(spark, name, folder) for name in ways] if rows <= 10**7 else []
    no_spark.close()
    for name, runs in timed.items():
        seconds = statistics.median(run["seconds"] for run in runs)
        results[name] = {
            "rows_per_second": round(rows / seconds),
            "seconds": seconds,
            "cpu_seconds": statistics.median(run["cpu_seconds"] for run in runs),
            "peak_mb": {
                kind: max(run["peak_mb"].get(kind, 0) for run in runs)
                for kind in (("python",) if name == LIMIT else ("java", "spark python"))
            },
        }
    return {
        "rows": rows,
        "runs": repeats,
        "cores": CORES,
        "ways": results,
        "largest_difference": same(scored) if len(scored) > 1 else None,
    }


def _result(spark: Any, name: str, folder: Path) -> pa.Table:
    """The ids and scores that a way has written."""
    written = str(folder / f"out-{name}")
    if name == LIMIT:
        return pads.dataset(written).to_table(columns=["id", "score"])
    day = spark.read.format("delta").load(written).where(f"day = DATE'{DAY}'")
    return day.select("id", "score").toArrow()


def show(result: dict[str, Any]) -> None:
    """A table as Markdown has it."""
    ways = result["ways"]
    limit = ways.get(LIMIT, {}).get("rows_per_second")
    print(f"\n{result['rows']:,} rows, median of {result['runs']} runs, {result['cores']} cores\n")
    print("| way | rows/s | of no Spark | CPU s | most memory of a process, MB |")
    print("|---|--:|--:|--:|---|")
    for name, way in ways.items():
        peak = ", ".join(f"{kind} {mb:,.0f}" for kind, mb in way["peak_mb"].items())
        speed = way["rows_per_second"]
        share = f"{speed / limit:.2f}" if limit else ""
        print(f"| {name} | {speed:,} | {share} | {way['cpu_seconds']:.0f} | {peak} |")
    if peer := ways.get("predict_batch_udf"):
        for name in WAYS[:2]:
            if name in ways:
                ratio = ways[name]["rows_per_second"] / peer["rows_per_second"]
                print(f"\n{name} / predict_batch_udf: {ratio:.2f}")
    if result["largest_difference"] is not None:
        print(f"largest difference between two scores of a row: {result['largest_difference']:.1e}")


def main(argv: list[str] | None = None) -> int:
    """Measure and print; see --help."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", help="write the figures to this file too")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    given = parser.parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="tfspark-bench-"))
    try:
        result = run(given.rows, given.repeats, folder, given.ways)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(result)
    if given.json:
        Path(given.json).write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
