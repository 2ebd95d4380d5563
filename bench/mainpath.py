"""The main path with a contract: `prepare` beside DuckDB, `score` beside two bare processes.

    python -m bench mainpath
    python -m bench mainpath --rows 20000000 --forms parquet csv csv.gz --spoiled
    python -m bench mainpath --before COMMIT

A table of 17 columns (an id, 12 doubles with nulls, two strings, two ints) in ten files, on two
cores, in turns. `prepare` is the step's work without Spark's start: checks, the key, splits by MD5
sorted and written, statistics. DuckDB does the same work. `score` checks the same contract, counts
keys and scores an MLP into a Delta table; the bare processes read with pyarrow, make the same
checks, count keys, score with TensorFlow and write Parquet. `--before` prepares with another commit
of tfspark in a process of its own, in the same run. The last line is JSON: seconds (medians) and
ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.main import table
from bench.main.peers import KIND, BareProcesses, duckdb_prepare
from bench.score.feed import DAY
from bench.score.turns import session
from bench.scratch import ROOT, scratch


def main(argv: list[str] | None = None) -> int:
    """Measure and print. See --help."""
    parser = argparse.ArgumentParser(
        prog="python -m bench mainpath",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--forms", nargs="+", default=["parquet"], choices=table.FORMS)
    parser.add_argument("--spoiled", action="store_true", help="1 %% bad rows, 5 %% doubles too")
    parser.add_argument("--before", metavar="COMMIT", help="prepare with this commit too")
    given = parser.parse_args(argv)
    with scratch() as folder:
        found = _measure(folder, given)
    medians = {name: round(statistics.median(each), 2) for name, each in found.items()}
    for name, seconds in medians.items():
        print(f"{name:32} {seconds:8.2f} s   of {sorted(round(s, 2) for s in found[name])}")
    print(json.dumps({"rows": given.rows, "seconds": medians, "ratios": _ratios(medians)}))
    return 0


def _measure(folder: Path, given: argparse.Namespace) -> dict[str, list[float]]:
    contract = table.contract(folder)
    model = folder / "model"
    subprocess.run(
        [sys.executable, "-c", f"from bench.main.peers import KIND; KIND.export({str(model)!r})"],
        cwd=ROOT,
        check=True,
    )
    sources = {form: folder / form for form in given.forms}
    for form, rows in sources.items():
        table.write(rows, given.rows, form)
    if given.spoiled:
        sources["spoiled"] = folder / "spoiled"
        table.write(sources["spoiled"], given.rows, bad=0.01, doubled=0.05)
    table.write(folder / "few", 20_000)
    found: dict[str, list[float]] = {}
    bare = BareProcesses(model, folder / "few")
    with session(folder) as spark:
        job = _Job(spark, folder, contract, model)
        for warm in range(2):
            job.prepare(folder / "few", "parquet")
            job.score(folder / "few", with_contract=bool(warm))
        for _ in range(given.repeats):
            for form, rows in sources.items():
                kind = "parquet" if form == "spoiled" else form
                found.setdefault(f"prepare {form}", []).append(job.prepare(rows, kind))
                seconds = duckdb_prepare(rows, folder / "duckdb", kind)
                found.setdefault(f"duckdb {form}", []).append(seconds)
            if rows := sources.get("parquet"):
                found.setdefault("score", []).append(job.score(rows, with_contract=True))
                plain = job.score(rows, with_contract=False)
                found.setdefault("score without contract", []).append(plain)
                found.setdefault("bare processes", []).append(bare(rows, folder / "bare"))
            if rows := sources.get("spoiled"):
                found.setdefault("score spoiled", []).append(job.score(rows, with_contract=True))
    bare.close()
    if given.before:
        found["prepare before"] = [_before(folder, given.before, contract, sources["parquet"])]
    return found


class PrepareJob:
    """tfspark's `prepare` on one session."""

    def __init__(self, spark: Any, folder: Path, contract: Path) -> None:
        self._spark, self._folder, self._contract = spark, folder, contract

    def prepare(self, rows: Path, form: str) -> float:
        """Seconds."""
        from tfspark.config import load_settings
        from tfspark.console import Steps
        from tfspark.prepare import prepare

        shutil.rmtree(self._folder / "warehouse", ignore_errors=True)
        settings = load_settings(None, _settings(self._folder, self._contract, rows, form))
        start = time.perf_counter()
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            prepare(self._spark, settings, Steps("bench"))
        return time.perf_counter() - start

    def statistics_bytes(self) -> int:
        """Of the dataset that was made last."""
        found = (self._folder / "warehouse").glob("datasets/*/1/statistics.json")
        return sum(path.stat().st_size for path in found)


class _Job(PrepareJob):
    """tfspark's jobs on one session."""

    def __init__(self, spark: Any, folder: Path, contract: Path, model: Path) -> None:
        super().__init__(spark, folder, contract)
        self._model = model

    def score(self, rows: Path, *, with_contract: bool) -> float:
        import tfspark
        from tfspark.contracts import load_contract

        target = self._folder / "scored"
        shutil.rmtree(target, ignore_errors=True)
        contract = load_contract(str(self._contract)) if with_contract else None
        start = time.perf_counter()
        tfspark.score_table(
            self._spark,
            str(rows),
            str(self._model),
            str(target),
            DAY,
            KIND.feeds,
            ["id"],
            contract=contract,
            quarantine=str(self._folder / "bad"),
        )
        return time.perf_counter() - start


def _settings(folder: Path, contract: Path, rows: Path, form: str) -> dict[str, str]:
    return {
        "name": "visitors",
        "contract": str(contract),
        "warehouse": str(folder / "warehouse"),
        "source.format": "csv" if form.startswith("csv") else form,
        "source.path": str(rows),
        "date": DAY.isoformat(),
        "prepare.split.validation": "0.1",
        "prepare.split.test": "0.1",
    }


def _before(folder: Path, commit: str, contract: Path, rows: Path) -> float:
    """Seconds of `prepare` by another commit."""
    tree = folder / "before"
    subprocess.run(["git", "worktree", "add", "--detach", str(tree), commit], cwd=ROOT, check=True)
    try:
        values = _settings(folder, contract, rows, "parquet")
        code = (
            "import sys, time, tfspark\n"
            "from bench.score.turns import session\n"
            "from tfspark.config import load_settings\n"
            "from tfspark.console import Steps\n"
            "from tfspark.prepare import prepare\n"
            f"from pathlib import Path\nwith session(Path({str(folder)!r})) as spark:\n"
            f"    settings = load_settings(None, {values!r})\n"
            "    start = time.perf_counter()\n"
            "    prepare(spark, settings, Steps('bench'))\n"
            "    print('seconds', time.perf_counter() - start)\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            check=True,
            text=True,
            capture_output=True,
        )
        return float(ended.stdout.rsplit("seconds ", 1)[1])
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


def _ratios(seconds: dict[str, float]) -> dict[str, float]:
    """How much faster ours is than what it is compared with: 1 is as fast."""
    pairs = {
        **{
            f"prepare {form} of duckdb": (f"duckdb {form}", f"prepare {form}")
            for form in (*table.FORMS, "spoiled")
        },
        "prepare spoiled of clean": ("prepare parquet", "prepare spoiled"),
        "prepare of before": ("prepare before", "prepare parquet"),
        "score of without contract": ("score without contract", "score"),
        "score of bare processes": ("bare processes", "score"),
        "score spoiled of clean": ("score", "score spoiled"),
    }
    return {
        name: round(seconds[other] / seconds[own], 2)
        for name, (other, own) in pairs.items()
        if other in seconds and own in seconds
    }


if __name__ == "__main__":
    sys.exit(main())
