"""What is heavy, or may hang or crash: each in a process of its own, with a deadline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_BATCH, _WIDE, _FEATURES = 4096, 1024, 64
_TRIES = 5


class ChildError(Exception):
    """A child ended without an answer; the message says how."""


def ask(what: str, seconds: float) -> dict[str, Any]:
    """The answer of a function below, run in a process of its own.

    Raises:
        ChildError: it crashed, failed, or took longer.
    """
    home = str(Path(__file__).parent.parent.parent)
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    answer = output([sys.executable, "-m", __name__, what], seconds, env)
    lines = answer.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ChildError("ended without an answer")
    return found


def output(command: list[str], seconds: float, env: dict[str, str] | None = None) -> str:
    """What a command prints.

    Raises:
        ChildError: it cannot be started, ended with another code than 0, or took longer.
    """
    try:
        ran = subprocess.run(
            command, env=env, capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise ChildError(f"no answer in {seconds:g} s") from None
    except OSError as error:
        raise ChildError(f"{command[0]}: {error.strerror or error}") from None
    said = ran.stderr.decode("utf-8", "replace").strip().splitlines()
    if ran.returncode:
        last = said[-1][:300] if said else "nothing was said"
        how = f"signal {-ran.returncode}" if ran.returncode < 0 else f"code {ran.returncode}"
        raise ChildError(f"ended with {how}: {last}")
    return ran.stdout.decode("utf-8", "replace")


def tensorflow() -> dict[str, Any]:
    """Its version and devices."""
    began = time.monotonic()
    import tensorflow as tf

    seconds = round(time.monotonic() - began, 1)
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "") for gpu in gpus]
    build = tf.sysconfig.get_build_info()
    return {
        "version": tf.__version__,
        "gpus": names,
        "cuda": build.get("cuda_version", ""),
        "seconds": seconds,
    }


def wall() -> dict[str, Any]:
    """Which parts of the wall around models stand here; see `tfspark.scoring.worker.wall`."""
    from tfspark.scoring.worker import landlock
    from tfspark.scoring.worker.wall import put_up

    return {"landlock": landlock.version(), "missing": put_up([Path("/")], [])}


def host() -> dict[str, Any]:
    """The address of this machine's own name."""
    import socket

    return {"address": socket.gethostbyname(socket.gethostname())}


def spark() -> dict[str, Any]:
    """Spark's start, and a small query with Delta's classes."""
    from tfspark.session import spark_session

    began = time.monotonic()
    session = spark_session("doctor")
    started = time.monotonic() - began
    rows = session.range(1000).selectExpr("sum(id) AS n").first()
    version, found = session.version, rows["n"] if rows else None
    session.stop()
    if found != 499500:
        raise RuntimeError(f"Spark counts wrongly: {found}")
    return {"version": version, "seconds": round(started, 1)}


def timing() -> dict[str, Any]:
    """Milliseconds of a product and of a training step, on the CPU and on a GPU."""
    import tensorflow as tf

    devices = ["CPU:0", *(["GPU:0"] if tf.config.list_physical_devices("GPU") else [])]
    return {
        f"product {_BATCH} x {_WIDE} x {_WIDE}": {d: _product(tf, d) for d in devices},
        f"training step, {_BATCH} rows of {_FEATURES}": {d: _step(tf, d) for d in devices},
    }


def _product(tf: Any, device: str) -> float:
    with tf.device(device):
        left, right = tf.random.normal([_BATCH, _WIDE]), tf.random.normal([_WIDE, _WIDE])
        times = tf.function(lambda: tf.reduce_sum(left @ right))
        return _milliseconds(lambda: times().numpy())


def _step(tf: Any, device: str) -> float:
    import keras

    with tf.device(device):
        layers = [keras.layers.Dense(width, "relu") for width in (256, 128)]
        model = keras.Sequential([*layers, keras.layers.Dense(1)])
        model.compile("adam", "mse")
        rows, labels = tf.random.normal([_BATCH, _FEATURES]), tf.zeros([_BATCH, 1])
        return _milliseconds(lambda: model.train_on_batch(rows, labels))


def _milliseconds(work: Callable[[], Any]) -> float:
    """The best of a few, the first left out."""
    work()
    taken = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return round(1000 * min(taken), 2)


if __name__ == "__main__":
    asked = {f.__name__: f for f in (tensorflow, wall, host, spark, timing)}
    print(json.dumps(asked[sys.argv[1]]()))
