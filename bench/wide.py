"""Tables of many columns: what a cell costs in `prepare`, beside the table of 17 columns.

    python -m bench wide
    python -m bench wide --share 1 --repeats 3

2,000 doubles, and 300 strings with patterns (each of its own), as shares of 100,000 and 1,000,000
rows; the table of the main path with 5 million. The last line is JSON: nanoseconds a cell (medians,
by the clock and by CPU seconds of all processes), ratios to the table of 17 columns, and bytes of
the statistics a column.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.main import table
from bench.mainpath import PrepareJob
from bench.processes import Watch
from bench.score.turns import session
from bench.scratch import scratch

WORDS = 1_000  # a column of strings has so many
_FILES = 4
Rows = Callable[[int, int], pa.Table]


def main(argv: list[str] | None = None) -> int:
    """Measure and print. See --help."""
    parser = argparse.ArgumentParser(
        prog="python -m bench wide",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--share", type=float, default=0.1, help="of the rows")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(argv)
    with scratch() as folder:
        found = _measure(folder, given.share, given.repeats)
    print(json.dumps(found))
    return 0


def _measure(folder: Path, share: float, repeats: int) -> dict[str, dict[str, float]]:
    kinds: dict[str, tuple[int, int, Path, Rows]] = {
        "17 columns": (5_000_000, 17, table.contract(folder), table.rows),
        "2000 doubles": (100_000, 2_001, _contract(folder, "doubles", 2_000), _doubles),
        "300 strings": (1_000_000, 301, _contract(folder, "strings", 300), _strings),
    }
    found: dict[str, dict[str, float]] = {}
    for name, (whole, columns, _, rows) in kinds.items():
        for place, count in ((folder / name, int(whole * share)), (folder / f"few {name}", 2_000)):
            _write(place, count, rows)
        found[name] = {"cells": int(whole * share) * columns}
    with session(folder, conf={"spark.driver.memory": "3g"}) as spark:
        seconds: dict[str, list[tuple[float, float]]] = {}
        for turn in range(repeats + 1):
            for name, (_, columns, contract, _) in kinds.items():
                job = PrepareJob(spark, folder, contract)
                if not turn:
                    job.prepare(folder / f"few {name}", "parquet")
                    continue
                with Watch() as used:
                    took = job.prepare(folder / name, "parquet")
                seconds.setdefault(name, []).append((took, used.cpu_seconds))
                print(f"{name:16} {took:8.1f} s {used.cpu_seconds:8.1f} s of CPU", flush=True)
                size = job.statistics_bytes() / columns
                found[name]["statistics_bytes_a_column"] = round(size)
    for name, turns in seconds.items():
        cells = found[name]["cells"]
        clock, cpu = (statistics.median(one[i] for one in turns) for i in (0, 1))
        found[name] |= {"ns": round(clock / cells * 1e9, 1), "cpu_ns": round(cpu / cells * 1e9, 1)}
    for name, told in found.items():
        narrow = found["17 columns"]
        told["of_17_columns"] = round(told["ns"] / narrow["ns"], 2)
        told["of_17_columns_by_cpu"] = round(told["cpu_ns"] / narrow["cpu_ns"], 2)
        print(name, told)
    return found


def _contract(folder: Path, kind: str, columns: int) -> Path:
    options = "minimum: -1000, maximum: 1000"
    listed = ["{name: id, physicalType: bigint, primaryKey: true, required: true, role: key}"]
    for number in range(columns):
        if kind == "strings":
            options = f'pattern: "s{number}-[0-9]{{3}}"'
        physical = "string" if kind == "strings" else "double"
        listed.append(
            f"{{name: c{number}, physicalType: {physical}, logicalTypeOptions: {{{options}}}}}"
        )
    path = folder / f"{kind}.yaml"
    text = "".join(f"      - {column}\n" for column in listed)
    path.write_text(
        f"kind: DataContract\nid: {kind}\nversion: 1\nschema:\n  - name: {kind}\n"
        f"    properties:\n{text}"
    )
    return path


def _doubles(start: int, stop: int) -> pa.Table:
    rng, count = np.random.default_rng(start), stop - start
    data = {"id": pa.array(np.arange(start, stop))}
    for number in range(2_000):
        data[f"c{number}"] = pa.array(rng.normal(size=count), mask=rng.random(count) < 0.05)
    return pa.table(data)


def _strings(start: int, stop: int) -> pa.Table:
    rng, count = np.random.default_rng(start), stop - start
    data = {"id": pa.array(np.arange(start, stop))}
    for number in range(300):
        words = pa.array([f"s{number}-{word:03}" for word in range(WORDS)])
        chosen = pa.array(rng.integers(0, WORDS, count), pa.int32())
        data[f"c{number}"] = words.take(chosen)
    return pa.table(data)


def _write(folder: Path, count: int, rows: Rows) -> None:
    folder.mkdir()
    edges = np.linspace(0, count, _FILES + 1).astype(int)
    for number, (start, stop) in enumerate(pairwise(edges)):
        pq.write_table(rows(int(start), int(stop)), folder / f"part-{number}.parquet")


if __name__ == "__main__":
    sys.exit(main())
