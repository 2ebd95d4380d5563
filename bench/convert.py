"""Rows per second from a Parquet folder to a TFRecord folder with Spark, on two cores.

    python -m bench convert --rows 10000000 --linkedin a.jar,b.jar

Ways, in one run, in turns, over the same 40 files of an id and 16 floats:

- `convert`: tasks read row groups with pyarrow and write with the codec, no row passes the JVM;
- `format("tfrecord")`: the data source of tfspark, which gets Spark's rows as Arrow batches;
- `LinkedIn`: com.linkedin.spark.datasources.tfrecord, one Example a row in the JVM, where its jars
  are given: its last release is for Spark 3.5, so it has to be compiled for this Spark
  (docs/benchmarks.md says how).

The codec's share is the CPU seconds of encoding, framing and writing the same rows from memory, in
this process, by those of the way.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.processes import Watch
from bench.scoring import make_rows

CORES = 2
BAR = 2.0
SAMPLE = 4  # files that the codec is timed on
LINKEDIN = "com.linkedin.spark.datasources.tfrecord"


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if `convert` is below the bar."""
    parser = argparse.ArgumentParser(prog="python -m bench convert", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--linkedin", help="jars of LinkedIn's connector, for Scala 2.13")
    parser.add_argument("--json", help="write the figures to this file too")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="tfspark-bench-") as name:
        folder = Path(name)
        make_rows(folder / "rows", given.rows)
        results = measure(folder, given.runs, given.linkedin)
        codec = codec_seconds(folder)
    show(results, codec, given)
    if given.json:
        Path(given.json).write_text(json.dumps({"ways": results, "codec": codec}, indent=2))
    if "LinkedIn" not in results:
        print("\nLinkedIn's connector is not compared: give its jars with --linkedin")
        return 0
    ratio = results["LinkedIn"]["seconds"] / results["convert"]["seconds"]
    return 0 if ratio >= BAR else 1


def measure(folder: Path, runs: int, jars: str | None) -> dict[str, dict[str, Any]]:
    """Way → median seconds, CPU seconds of all processes, their peaks in MB, bytes written."""
    from tfspark.session import spark_session
    from tfspark.tfrecord.spark.source import FORMAT

    more = {"spark.jars": jars} if jars else {}
    spark = spark_session("bench", **{"spark.master": f"local[{CORES}]", **more})
    source = folder / "rows"
    ways: dict[str, Callable[[Path], Any]] = {
        "convert": lambda target: _convert(spark, source, target),
        'format("tfrecord")': lambda target: _write(spark, source, target, FORMAT),
    }
    if jars:
        ways["LinkedIn"] = lambda target: _write(spark, source, target, LINKEDIN)
    found: dict[str, list[tuple[float, Any]]] = {way: [] for way in ways}
    size = {}
    for run in range(runs + 1):
        for way, call in ways.items():
            target = folder / "records"
            shutil.rmtree(target, ignore_errors=True)
            began = time.perf_counter()
            with Watch() as usage:
                call(target)
            seconds = time.perf_counter() - began
            if run:  # the first starts the workers and compiles
                found[way].append((seconds, usage))
            size[way] = _check(source, target)
    spark.stop()
    return {
        way: {
            "seconds": statistics.median(seconds for seconds, _ in some),
            "cpu_seconds": statistics.median(usage.cpu_seconds for _, usage in some),
            "peak_mb": max((usage.peak_mb for _, usage in some), key=lambda p: sum(p.values())),
            "bytes": size[way],
        }
        for way, some in found.items()
    }


def codec_seconds(folder: Path) -> float:
    """CPU seconds to encode, frame and write all rows from memory."""
    from tfspark.tfrecord import write_file

    files = sorted((folder / "rows").iterdir())
    tables = [pq.read_table(file) for file in files[:SAMPLE]]
    took = []
    for _ in range(4):
        began = time.process_time()
        for table in tables:
            write_file(str(folder / "codec.tfrecord"), table.to_batches(1 << 14), table.schema)
        took.append(time.process_time() - began)
    return statistics.median(took[1:]) * len(files) / SAMPLE


def _convert(spark: Any, source: Path, target: Path) -> None:
    from tfspark.tfrecord import convert

    convert(spark, str(source), str(target))


def _write(spark: Any, source: Path, target: Path, format: str) -> None:
    spark.read.parquet(str(source)).write.format(format).mode("append").save(str(target))


def _check(source: Path, target: Path) -> int:
    """Every way has written every row; gives the bytes."""
    from tfspark.tfrecord import count_records

    expected = sum(pq.read_metadata(file).num_rows for file in source.iterdir())
    files = [path for path in target.rglob("part-*") if path.is_file()]
    rows = sum(count_records(str(path)).rows for path in files)
    assert rows == expected, (rows, expected)
    return sum(path.stat().st_size for path in files)


def show(results: dict[str, dict[str, Any]], codec: float, given: Any) -> None:
    print(f"\n{given.rows:,} rows, median of {given.runs} runs, {CORES} cores\n")
    print("| way | rows/s | of LinkedIn's | CPU s | codec's share | MB/s written | peak MB |")
    print("|---|--:|--:|--:|--:|--:|---|")
    base = results.get("LinkedIn", {}).get("seconds")
    for way, found in results.items():
        ratio = f"{base / found['seconds']:.2f}" if base else ""
        share = "" if way == "LinkedIn" else f"{codec / found['cpu_seconds']:.0%}"
        peaks = ", ".join(f"{kind} {mb:,.0f}" for kind, mb in sorted(found["peak_mb"].items()))
        print(
            f"| {way} | {given.rows / found['seconds']:,.0f} | {ratio} | "
            f"{found['cpu_seconds']:.1f} | {share} | "
            f"{found['bytes'] / found['seconds'] / 1e6:,.0f} | {peaks} |"
        )
    print(f"\nthe codec alone: {codec:.1f} CPU s for all rows, {given.rows / codec:,.0f} rows/s")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
