"""Rows per second of the plan `scan` from S3, beside the same files on a local disk.

    python -m bench stores
    python -m bench stores --rows 2000000 --repeats 3

An S3 server of `make stores` on this machine, whose work is in the figures: it shares the cores
with Spark. In turns, in one session: from local files to a local table, from S3 to a local table,
from S3 to a table on S3. The table and the model are those of `python -m bench scoring`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyarrow import fs as pafs

from bench.score.feed import DAY
from bench.score.kinds import KINDS, write_rows
from bench.score.turns import session
from tests.stores import S3, versitygw

BAR = 0.7


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench stores", description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="tfspark-bench-"))
    try:
        with versitygw(folder) as server:
            os.environ.update(server.environment)
            return measure(folder, server, given.rows, given.repeats)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, server: S3, rows: int, repeats: int) -> int:
    import tfspark

    kind = replace(KINDS["table"], rows=rows)
    kind.export(str(folder / "model"))
    write_rows(kind, folder / "rows", rows)
    local = pafs.LocalFileSystem()
    files, there = server.files(), f"{server.bucket}/rows"
    pafs.copy_files(
        str(folder / "rows"), there, source_filesystem=local, destination_filesystem=files
    )
    stored = f"s3a://{there}"
    ways = {
        "local": (str(folder / "rows"), str(folder / "from-local")),
        "from S3": (stored, str(folder / "from-s3")),
        "from S3 to S3": (stored, f"s3a://{server.bucket}/scored"),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    with session(folder) as spark:
        for turn in range(repeats + 1):
            for name, (source, target) in ways.items():
                began = time.perf_counter()
                done: Any = tfspark.score_table(
                    spark, source, str(folder / "model"), target, DAY, kind.feeds, ["id"], "scan"
                )
                seconds = time.perf_counter() - began
                assert (done.plan, done.scored) == ("scan", rows), done
                if turn:  # the first one starts and compiles
                    found[name].append(seconds)
    middle = {name: statistics.median(all_of) for name, all_of in found.items()}
    for name, seconds in middle.items():
        share = middle["local"] / seconds
        print(f"{name:14} {rows / seconds:12,.0f} rows/s, {seconds:6.1f} s, {share:.2f} of local")
    reached = middle["local"] / middle["from S3"]
    print(f"bar: from S3 at least {BAR} of local: {reached:.2f}; load {os.getloadavg()[0]:.1f}")
    return int(reached < BAR)
