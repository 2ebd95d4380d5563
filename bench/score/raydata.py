"""Ray Data's map_batches with two actors, Parquet to Parquet, in an environment of its own.

    python -m bench.score.raydata KIND MODEL ROWS TARGET

The environment is made in build/bench. Ray starts anew for every run, before the clock does; its
actors, with TensorFlow and the model, start within the time, as they do in a job of Ray's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from bench.score.kinds import KINDS

HOME = Path("build/bench/ray")
RAY = "2.60.0"
ACTORS = 2
SECONDS = 900
PROBE = "import ray.data, tensorflow"


class Failed(Exception):
    """Ray did not get to the end; the message says why."""


def make_environment() -> Path | None:
    """Ray's Python; None, with the reason printed, where it cannot be had."""
    python = HOME / "bin" / "python"
    env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    probe = [str(python), "-c", PROBE]
    if python.exists() and subprocess.run(probe, capture_output=True, env=env).returncode == 0:
        return python
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    packages = [f"{name}=={version(name)}" for name in ("pyarrow", "pandas", "numpy")]
    packages += [f"ray=={RAY}", f"tensorflow-cpu=={version('tensorflow')}"]
    install = [uv, "pip", "install", "--quiet", "--only-binary", ":all:", "--python", str(python)]
    steps = (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(HOME)],
        [*install, *packages],
        probe,
    )
    HOME.parent.mkdir(parents=True, exist_ok=True)
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, env=env)
        if done.returncode:
            said = (done.stderr.strip() or "no reason given").splitlines()[-1]
            print(f"Ray Data is not compared: `{' '.join(step[:3])}` failed: {said}")
            return None
    return python


def run(python: Path, kind: str, model: Path, rows: Path, target: Path) -> float:
    """Score a folder into another; the seconds from a ready Ray to the last file.

    Raises:
        Failed: an error of Ray's, or no end.
    """
    shutil.rmtree(target, ignore_errors=True)
    root = str(Path(__file__).parents[2])
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": root}
    command = [str(python), "-m", "bench.score.raydata", kind, str(model), str(rows), str(target)]
    env = os.environ | quiet
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise Failed(f"no end within {SECONDS} s") from None
    if done.returncode:
        raise Failed((done.stderr.strip() or "no reason given").splitlines()[-1])
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    name, model, rows, target = sys.argv[1:]
    import pyarrow as pa
    import ray

    from bench.score.feed import Bare

    kind = KINDS[name]

    class Scorer:
        def __init__(self) -> None:
            self._bare = Bare(model, kind)

        def __call__(self, table: pa.Table) -> pa.Table:
            batch = table.combine_chunks().to_batches()[0]
            return pa.Table.from_batches([self._bare(batch)])

    ray.init(num_cpus=ACTORS, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    began = time.perf_counter()
    read = ray.data.read_parquet(rows)
    scored = read.map_batches(
        Scorer,
        batch_format="pyarrow",
        batch_size=kind.batch,
        compute=ray.data.ActorPoolStrategy(size=ACTORS),
        zero_copy_batch=True,
        num_cpus=0.5,
    )
    scored.write_parquet(target)
    seconds = time.perf_counter() - began
    ray.shutdown()
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
