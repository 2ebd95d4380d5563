"""The ways of one kind, in turns, and whether they give the same scores."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from bench.processes import Watch
from bench.score import raydata
from bench.score.bare import NoSpark
from bench.score.feed import DAY
from bench.score.kinds import Kind, write_few, write_rows
from bench.score.ways import WAYS, Job, save_mlflow

LIMIT = "no Spark"
SLOW = ("horovod",)
WARM = 5
"""Runs of a few rows, before the first turn."""
ENOUGH = 40.0
"""Seconds after which a way takes no further turn."""
Found = dict[str, Any]


@contextmanager
def session(folder: Path, cores: int = 2, conf: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Spark on so many cores. It runs a task up to four times, as a cluster does."""
    import tfspark

    spark = tfspark.spark_session(
        "bench scoring",
        **{
            "spark.master": f"local[{cores}, 4]",
            "spark.driver.memory": "2g",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            **(conf or {}),
        },
    )
    try:
        yield spark
    finally:
        spark.stop()


class Bench:
    """One kind in a folder: its rows, its models, and every way as a function of rows.

    Attributes:
        ways: name → function of (folder of rows, target) that gives its seconds.
    """

    def __init__(
        self, spark: Any, kind: Kind, folder: Path, wanted: Sequence[str], cores: int = 2
    ) -> None:
        self.kind, self.folder = kind, folder
        self.model, self.few, self.slow = folder / "model", folder / "few", folder / "slow"
        kind.export(str(self.model))
        write_rows(kind, folder / "rows", kind.rows)
        write_few(folder / "rows", self.few, max(kind.rows // 50, 100))
        self._spark, self._limit = spark, None
        self.ways: dict[str, Callable[[Path, Path], float]] = {}
        for name in (name for name in kind.ways if name in wanted):
            if name == LIMIT:
                self._limit = NoSpark(self.model, kind, self.few, cores)
                self.ways[name] = timed(self._limit)
            elif name == "ray":
                if python := raydata.make_environment():
                    self.ways[name] = self._ray(python)
            else:
                if name == "mlflow":
                    save_mlflow(kind, self.model)
                self.ways[name] = timed(self._in_spark(WAYS[name]))
        if set(SLOW) & set(self.ways):
            self.slow_rows = write_few(folder / "rows", self.slow, kind.rows // kind.slow)

    def close(self) -> None:
        if self._limit is not None:
            self._limit.close()

    def rows_of(self, name: str) -> tuple[Path, int]:
        """What a way scores, and how many rows that is."""
        if name in SLOW:
            return self.slow, self.slow_rows
        return self.folder / "rows", self.kind.rows

    def target(self, name: str) -> Path:
        return self.folder / f"out-{name.replace(' ', '-')}"

    def warm_up(self) -> None:
        """Everything started and compiled; Ray is left out where it cannot run.

        Java compiles what it has seen often: a way in Spark is run several times.
        """
        for name in [name for name in self.ways if name != LIMIT]:
            few = self.slow if name in SLOW else self.few
            try:
                for _ in range(WARM if name in WAYS else 1):
                    self.ways[name](few, self.target(f"warm-{name}"))
            except raydata.Failed as error:
                print(f"Ray Data is not compared: {error}")
                del self.ways[name]

    def turn(self, name: str, rows: Path | None = None, count: int = 0) -> Found:
        """One run of a way: its seconds, and what the processes needed; of its own rows, or these.

        Args:
            count: of `rows`.
        """
        if rows is None:
            rows, count = self.rows_of(name)
        with Watch() as usage:
            seconds = self.ways[name](rows, self.target(name))
        print(f"  {self.kind.name}: {name:<20}{seconds:>8.2f} s", file=sys.stderr, flush=True)
        return {"rows": count, "seconds": round(seconds, 3), **asdict(usage)}

    def _in_spark(self, way: Callable[[Job], None]) -> Callable[[Path, Path], None]:
        def run(rows: Path, target: Path) -> None:
            way(Job(self._spark, self.kind, rows, self.model, target))

        return run

    def _ray(self, python: Path) -> Callable[[Path, Path], float]:
        return lambda rows, target: raydata.run(python, self.kind.name, self.model, rows, target)


def timed(call: Callable[[Path, Path], None]) -> Callable[[Path, Path], float]:
    def run(rows: Path, target: Path) -> float:
        began = time.perf_counter()
        call(rows, target)
        return time.perf_counter() - began

    return run


def measure(spark: Any, kind: Kind, folder: Path, repeats: int, wanted: Sequence[str]) -> Found:
    """Every way in turns; each stops after `repeats` turns, or when it had time enough."""
    bench = Bench(spark, kind, folder, wanted)
    try:
        bench.warm_up()
        turns: dict[str, list[Found]] = {name: [] for name in bench.ways}
        for _ in range(repeats):
            for name, done in turns.items():
                if sum(turn["seconds"] for turn in done) < ENOUGH:
                    done.append(bench.turn(name))
        difference = same(bench)
    finally:
        bench.close()
    ways = {}
    for name, done in turns.items():
        seconds = statistics.median(turn["seconds"] for turn in done)
        rows = done[0]["rows"]
        cpu = statistics.median(turn["cpu_seconds"] for turn in done)
        ways[name] = {
            "rows": rows,
            "runs": len(done),
            "seconds": seconds,
            "rows_per_second": round(rows / seconds),
            "cpu_microseconds_per_row": round(1e6 * cpu / rows, 2),
            "turns": done,
        }
    return {"about": kind.about, "rows": kind.rows, "ways": ways, "largest_difference": difference}


def same(bench: Bench) -> float | None:
    """The largest difference of two scores of one row; every row must be there, once."""
    results = {name: scored(bench, name) for name in bench.ways}
    if not results:
        return None
    first = LIMIT if LIMIT in results else next(iter(results))
    ids, scores = results.pop(first)
    worst = 0.0
    assert np.array_equal(ids, np.arange(bench.kind.rows)), f"{first}: not every row, once"
    for name, (its, other) in results.items():
        assert len(its) == bench.rows_of(name)[1], f"{name}: {len(its)} rows"
        assert np.array_equal(its, ids[: len(its)]), f"{name}: not every row, once"
        difference = float(np.abs(other - scores[: len(other)]).max())
        assert not np.isnan(difference), f"{name}: gives NaN"
        worst = max(worst, difference)
    return worst


def scored(bench: Bench, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The ids and the scores that a way has written, in the order of the ids."""
    target = bench.target(name)
    if name in WAYS:
        from deltalake import DeltaTable

        files = DeltaTable(target).file_uris([("day", "=", str(DAY))])
    else:
        files = [str(file) for file in sorted(target.glob("*.parquet"))]
    table = pads.dataset(files, partitioning=None).to_table(columns=["id", "score"])
    ids = table["id"].to_numpy()
    order = np.argsort(ids)
    scores = table["score"].combine_chunks()
    if bench.kind.values:
        flat = pa.compute.list_flatten(scores).to_numpy()
        return ids[order], flat.reshape(-1, bench.kind.values)[order]
    return ids[order], scores.to_numpy()[order]
