"""What the wall around models costs: seconds to open one, and rows per second.

    python -m bench wall
    python -m bench wall --repeats 1 --slices 10

Processes with and without the wall run beside each other and score in turns, a fifth of a second
each, so that other work on the machine disturbs both alike. They are of Spark's sort, whose models
have a walled thread, or have a child (`isolate: always`), and keep to one core, as the workers of a
busy machine do. TensorFlow is imported before a model is
opened, which takes as long in both. The bars are 0.98 of the rows, and 50 ms of opening, by the
clock or by CPU seconds of the process that scores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from bench import models

KINDS = ("mlp", "text", "mixed")
ROWS = 10_000
SLICE = 0.2


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if a bar is missed. See --help."""
    parser = argparse.ArgumentParser(
        prog="python -m bench wall",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--repeats", type=int, default=3, help="pairs of processes")
    parser.add_argument("--slices", type=int, default=20, help="turns of each pair")
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "ISOLATE", "WALL"))
    given = parser.parse_args(argv)
    if given.one:
        one(*given.one)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="tfspark-bench-"))
    missed = 0
    try:
        for name in KINDS:
            getattr(models, name)(str(folder / name))
        for name in given.kinds:
            for isolate in ("never", "always"):
                missed |= compare(folder, name, isolate, given.repeats, given.slices)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return missed


def compare(folder: Path, name: str, isolate: str, repeats: int, slices: int) -> int:
    opened: dict[str, list[dict[str, float]]] = {"always": [], "never": []}
    scored: list[dict[str, dict[str, float]]] = []
    for turn in range(repeats):
        order = sorted(opened, reverse=bool(turn % 2))
        with ExitStack() as both:
            asked = {
                wall: both.enter_context(asking(folder / name, isolate, wall)) for wall in order
            }
            for wall in order:
                opened[wall].append(asked[wall]())
            scored += [{wall: asked[wall]() for wall in order} for _ in range(slices)]

    def median(of: Callable[[dict[str, dict[str, float]]], float]) -> float:
        return statistics.median(map(of, scored))

    bare, walled = (median(lambda s, w=w: s[w]["rows a second"]) for w in ("never", "always"))
    rate = median(lambda s: s["always"]["rows a second"] / s["never"]["rows a second"])
    work = median(lambda s: s["never"]["CPU of a row"] / s["always"]["CPU of a row"])
    later, more = (
        1e3 * statistics.median(a[what] - n[what] for a, n in zip(*opened.values(), strict=True))
        for what in ("opening", "CPU of opening")
    )
    where = "thread" if isolate == "never" else "child"
    print(
        f"{name:6} {where:6} rows/s {walled:12,.0f} with, {bare:12,.0f} without: {rate:.3f}; "
        f"by CPU {work:.3f}; opening {later:+.0f} ms; by CPU {more:+.0f} ms",
        flush=True,
    )
    return int(max(rate, work) < 0.98 or min(later, more) > 50)


@contextmanager
def asking(folder: Path, isolate: str, wall: str) -> Iterator[Callable[[], dict[str, float]]]:
    """A process, and what asks it: first for the costs of opening, then for those of a slice."""
    own = {"TFSPARK_MODEL_CACHE": str(folder.parent / "cache"), "TF_CPP_MIN_LOG_LEVEL": "2"}
    with subprocess.Popen(
        [sys.executable, "-m", "bench.wall", "--one", str(folder), isolate, wall],
        env=os.environ | own | {"CUDA_VISIBLE_DEVICES": "-1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        to, back = process.stdin, process.stdout
        assert to is not None
        assert back is not None

        def ask() -> dict[str, float]:
            to.write("\n")
            to.flush()
            found: dict[str, float] = json.loads(back.readline())
            return found

        yield ask
        to.close()


def one(folder: str, isolate: str, wall: str) -> None:
    """Answer a line with what a step costs, until there are no more."""
    from tests.scoring.scorers import scorer
    from tfspark.registry.resolve import resolve_model
    from tfspark.scoring.worker import opened

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    run = scorer(resolve_model(folder), isolate=isolate, wall=wall, batch_rows=ROWS)
    columns = [column(name, spec) for name, spec in run.signature.inputs.items()]
    if isolate == "never":
        opened.set_up_tensorflow(1)
    else:  # a child imports what it needs before its first model, which is another one
        small = resolve_model(str(Path(folder).parent / ("mlp" if "mlp" not in folder else "text")))
        first = scorer(small, isolate=isolate, wall=wall)
        first([column(name, spec) for name, spec in first.signature.inputs.items()])
    sys.stdin.readline()
    started, before = time.perf_counter(), cpu(pid())
    run([array[:1] for array in columns])
    costs = {"opening": time.perf_counter() - started, "CPU of opening": cpu(pid()) - before}
    print(json.dumps(costs), flush=True)
    for _ in range(3):
        run(columns)
    while sys.stdin.readline():
        rows, started, before = 0, time.perf_counter(), cpu(pid())
        while (passed := time.perf_counter() - started) < SLICE:
            run(columns)
            rows += ROWS
        costs = {"rows a second": rows / passed, "CPU of a row": (cpu(pid()) - before) / rows}
        print(json.dumps(costs), flush=True)


def pid() -> int:
    """The process that scores."""
    from tfspark.scoring.worker import guard

    child = guard._child._process
    return child.pid if child else os.getpid()


def cpu(process: int) -> float:
    """CPU seconds of a process until now, all its threads together."""
    spent = 0
    for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has ended
            spent += int(task.read_text().split()[0])
    return spent / 1e9


def column(name: str, spec: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(1)
    if spec.dtype == "string":
        return pa.array([f"word{n} word{n + 1} female" for n in rng.integers(0, 5000, ROWS)])
    width = spec.shape[0] if spec.shape else 1
    values = rng.integers(0, 2, (ROWS, width)).astype("bool" if spec.dtype == "bool" else "int64")
    if spec.dtype.startswith("float"):
        values = rng.normal(size=(ROWS, width)).astype(spec.dtype)
    return pa.array(values.tolist() if width > 1 else values[:, 0])


if __name__ == "__main__":
    sys.exit(main())
