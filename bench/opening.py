"""What a worker pays for opening a model: as it is opened now, beside `tf.saved_model.load`.

    python -m bench.opening [--scale S] [--turns N]
    python -m bench.opening WAY FOLDER     # one of them by itself: prints what it took

Each is a process of its own. Of several turns the least is printed. An embedding of 366 MiB (scale
1) has two variables of its size beside it, as Adam has its slots; no signature reads them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.processes import memory_mb, peak_mb

WAYS = ("load", "ours")
ROWS, WIDTH, CALLS = 1_500_000, 64, 300


def export(folder: Path, scale: float) -> dict[str, str]:
    """The models: a small one, and the embedding, with slots and without."""
    import tensorflow as tf

    def saved(name: str, serve: Any, spec: Any, **variables: Any) -> str:
        module = tf.Module()
        for key, value in variables.items():
            setattr(module, key, value)
        module.serve = tf.function(serve(module), [spec], autograph=False)
        tf.saved_model.save(module, str(folder / name), signatures=module.serve)
        return str(folder / name)

    def variable(*shape: int) -> Any:
        return tf.Variable(tf.random.stateless_normal(shape, [7, 7]))

    x = tf.TensorSpec([None, 16], tf.float32, name="x")
    ids = tf.TensorSpec([None], tf.int64, name="ids")
    rows = int(ROWS * scale)

    def small(module: Any) -> Any:
        return lambda x: {"score": tf.nn.relu(x @ module.first) @ module.second}

    def embedded(module: Any) -> Any:
        return lambda ids: {"score": tf.reduce_sum(tf.gather(module.embedding, ids), 1)}

    slots = {"m": variable(rows, WIDTH), "v": variable(rows, WIDTH)}
    return {
        "mlp 16-64-1": saved("mlp", small, x, first=variable(16, 64), second=variable(64, 1)),
        "embedding": saved("embedding", embedded, ids, embedding=variable(rows, WIDTH)),
        "embedding, two slots": saved(
            "slots", embedded, ids, embedding=variable(rows, WIDTH), **slots
        ),
    }


def measured(way: str, folder: str) -> dict[str, float]:
    """CPU seconds until the first answer, megabytes, and microseconds of CPU a call of 8 rows."""
    import tensorflow as tf

    from tfspark.registry.signature import read_signature
    from tfspark.scoring.worker.session import open_session

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.constant(1.0).numpy()
    signature = read_signature(folder)
    ((name, spec),) = signature.inputs.items()
    fed = {name: np.ones([8, *(size or 1 for size in spec.shape)], spec.dtype)}
    before, begun = memory_mb(os.getpid()), time.process_time()
    if way == "ours":
        session = open_session(folder, signature)
    else:
        model = tf.saved_model.load(folder)
        function = model.signatures[signature.name]

    def call() -> Any:
        if way == "ours":
            return session(*fed.values())
        return function(**{n: tf.constant(v) for n, v in fed.items()})["score"].numpy()

    call()
    opened, after = time.process_time() - begun, memory_mb(os.getpid())
    begun = time.process_time()
    for _ in range(CALLS):
        call()
    return {
        "open_s": opened,
        "grown_mb": after - before,
        "process_mb": after,
        "peak_mb": peak_mb(os.getpid()),
        "call_us": (time.process_time() - begun) / CALLS * 1e6,
    }


def main(options: list[str]) -> None:
    if options and options[0] in WAYS:
        print(json.dumps(measured(*options)))
        return
    parser = argparse.ArgumentParser(prog="python -m bench.opening")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args(options)
    with tempfile.TemporaryDirectory() as folder:
        for name, model in export(Path(folder), asked.scale).items():
            best: dict[str, dict[str, float]] = {}
            for _ in range(asked.turns):
                for way in WAYS:
                    found = _alone(way, model)
                    kept = best.setdefault(way, found)
                    best[way] = {key: min(value, kept[key]) for key, value in found.items()}
            for way, found in best.items():
                print(name, way, {key: round(value, 3) for key, value in found.items()})
            ratios = {key: best["ours"][key] / best["load"][key] for key in best["ours"]}
            print(name, "ours / load", {key: round(value, 2) for key, value in ratios.items()})


def _alone(way: str, model: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.opening", way, model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{way}, {model}: {done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
