"""What it costs to watch a day, beside what it costs to score it.

    python -m bench watch
    python -m bench watch --rows 20000000

The table of `bench mainpath` (an id, 12 doubles with nulls, two strings, two ints), scored with its
contract by an MLP into a Delta table, with and without a counter of its 15 columns, in turns; then
the scores are counted from the table's files, as a night does it. Other load on the machine moves
the seconds by more than the bar, so the CPU seconds of all processes are told too, and those of the
counting alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from bench.main import table
from bench.main.peers import KIND
from bench.processes import Watch
from bench.score.feed import DAY
from bench.score.turns import session
from bench.scratch import ROOT, scratch

if TYPE_CHECKING:
    from tfspark.watch.counted import Counted, Counter

BAR = 0.1
_SAMPLE = 100_000


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if the bar is missed. See --help."""
    parser = argparse.ArgumentParser(prog="python -m bench watch", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(argv)
    with scratch() as folder:
        return _report(given, _measure(folder, given))


def _report(given: argparse.Namespace, found: dict[str, list[float]]) -> int:
    middle = {name: statistics.median(each) for name, each in found.items()}
    print(f"{given.rows:,} rows, medians of {given.repeats}; load {os.getloadavg()[0]:.1f}")
    for name, seconds in middle.items():
        print(f"{name:28} {seconds:8.2f} s   of {sorted(round(s, 2) for s in found[name])}")
    scores = middle["the scores, counted"]
    shares = {
        "seconds": (middle["score and count"] + scores) / middle["score"] - 1,
        "CPU seconds": (middle["CPU, score and count"] + scores) / middle["CPU, score"] - 1,
        "CPU of the counting alone": (middle["CPU, count alone"] + scores) / middle["CPU, score"],
    }
    for name, share in shares.items():
        print(f"watching adds {share:6.1%} of {name}, at most {BAR:.0%}")
    return int(shares["CPU of the counting alone"] > BAR)


def _measure(folder: Path, given: argparse.Namespace) -> dict[str, list[float]]:
    from tfspark.contracts import load_contract

    contract = load_contract(str(table.contract(folder)))
    export = f"from bench.main.peers import KIND; KIND.export({str(folder / 'model')!r})"
    subprocess.run([sys.executable, "-c", export], cwd=ROOT, check=True)
    rows = folder / "rows"
    table.write(rows, given.rows)
    table.write(folder / "few", 20_000)
    columns, by = _columns(table.rows(0, _SAMPLE))
    found: dict[str, list[float]] = {}
    with session(folder) as spark:

        def score(name: str, source: Path, counter: Counter | None) -> None:
            import tfspark

            target = folder / "scored"
            shutil.rmtree(target, ignore_errors=True)
            began = time.perf_counter()
            with Watch() as usage:
                tfspark.score_table(
                    spark, str(source), str(folder / "model"), str(target), DAY, KIND.feeds,
                    ["id"], contract=contract, quarantine=str(folder / "bad"), counter=counter,
                )  # fmt: skip
                found.setdefault(name, []).append(time.perf_counter() - began)
            found.setdefault(f"CPU, {name}", []).append(usage.cpu_seconds)

        for _ in range(2):
            score("score", folder / "few", None)
            score("score and count", folder / "few", _counter(columns))
        found.clear()
        for turn in range(given.repeats):
            ways = [("score", None), ("score and count", _counter(columns))]
            for name, counter in ways if turn % 2 else reversed(ways):
                score(name, rows, counter)
            began = time.perf_counter()
            _count_scores(spark, folder / "scored", by)
            found.setdefault("the scores, counted", []).append(time.perf_counter() - began)
            found.setdefault("CPU, count alone", []).append(_alone(rows, columns))
    return found


def _columns(sample: pa.Table) -> tuple[list[Counted], Counted]:
    """How the columns, and the scores, are counted: by the statistics of a sample."""
    from tfspark.quality.bins import category_bins, number_bins
    from tfspark.watch.bins import of_scores
    from tfspark.watch.counted import Counted

    made = []
    for name in (*table.DOUBLES, "visits", "city", "code"):
        column = sample[name].drop_null()
        if pa.types.is_string(column.type):
            counts = {
                entry["values"]: entry["counts"] for entry in column.value_counts().to_pylist()
            }
            made.append(Counted(name, "category", category_bins(counts, len(column))))
            continue
        quantiles = np.quantile(column.to_numpy().astype("float64"), np.linspace(0, 1, 101))
        bins = number_bins(quantiles.tolist(), {}, len(column))
        made.append(Counted(name, "number", bins))
    return made, of_scores("score", np.random.default_rng(0).random(_SAMPLE))


def _counter(columns: Sequence[Counted]) -> Counter:
    from tfspark.watch.counted import Counter

    return Counter(columns)


def _count_scores(spark: Any, target: Path, by: Counted) -> None:
    from tfspark.watch.day import count_scores, scored_files

    count_scores(scored_files(spark, str(target), DAY), by, by.name, "")


def _alone(rows: Path, columns: Sequence[Counted]) -> float:
    """CPU seconds of counting every row, and of nothing else."""
    from tfspark.watch.counted import Counting

    counting, spent = Counting(columns), 0.0
    for batch in pads.dataset(rows).to_batches(batch_size=1 << 14):
        began = time.thread_time()
        counting.add(batch)
        spent += time.thread_time() - began
    began = time.thread_time()
    counting.counts()
    return spent + time.thread_time() - began


if __name__ == "__main__":
    sys.exit(main())
