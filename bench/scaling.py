"""Two ranks on two cores, beside one rank and beside Horovod's own gradient tape.

    python -m bench.scaling
    python -m bench.scaling --rounds 20 --batches 256

A small CNN on 32 × 32 × 3 images (93,000 weights), SGD, one TensorFlow thread a rank. Each rank
trains on batches of the given size, so twice the images a step are 2.0.

- one: one rank of ours, on the first core.
- apart: two such processes that never meet: what the machine has to give.
- ours: two ranks with the step, the environment and the cores that a training gets.
- default: two ranks with `hvd.DistributedGradientTape` and Horovod's defaults: free to run on both
  cores, and without the switches of scripts/horovod-0.28.1.patch, as Horovod was released.

All processes are started first. Then they take turns, a second each, and those whose turn it
is not are stopped (SIGSTOP), so that a noisy machine is as noisy to each. A ratio is the median of
those within one round.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BATCHES = (32, 64, 128, 256, 512)
BAR_BATCH, SCALING_BAR, DEFAULT_BAR = 256, 1.8, 1.2
GROUPS = {"one": 1, "apart": 2, "ours": 2, "default": 2}
TURN_SECONDS = 0.8
# What Horovod cannot do without; all else in a rank's environment is a choice of ours.
PLAIN = re.compile(
    r"HOROVOD_((LOCAL_|CROSS_)?(RANK|SIZE)|HOSTNAME|CONTROLLER|CPU_OPERATIONS|GLOO_IFACE|"
    r"GLOO_RENDEZVOUS_\w+|GLOO_TIMEOUT_SECONDS)"
)


def main(argv: list[str] | None = None) -> int:
    """Print the table and plot it; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--plot", default=str(ROOT / "build" / "bench" / "scaling.png"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.child:
        _child(given.child)
        return 0
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        print("this benchmark needs two cores", file=sys.stderr)
        return 1
    with ExitStack() as closing:
        groups = {name: Group(name, cores, closing) for name in GROUPS}
        for group in groups.values():
            group.wait()
        found = {batch: _measure(groups, batch, given.rounds) for batch in given.batches}
    _print(found)
    _plot(found, Path(given.plot))
    return _verdict(found)


class Group:
    """The processes of one way to train; stopped but for its turns."""

    def __init__(self, name: str, cores: list[int], closing: ExitStack) -> None:
        from tfspark.training.ranks.rank import environment
        from tfspark.training.ranks.rendezvous import Rendezvous

        count, meeting = GROUPS[name], None
        size = 1 if name == "apart" else count
        if size > 1:
            meeting = closing.enter_context(Rendezvous("127.0.0.1", [("127.0.0.1", size)]))
        self.processes = []
        for rank in range(count):
            task: dict[str, Any] = {"attempt": 1, "threads": 1, "gpus": [], "size": size}
            task |= {"rank": rank % size, "local_rank": rank % size, "local_size": size}
            task |= {"cross_rank": 0, "cross_size": 1, "host": "127.0.0.1", "gloo_seconds": 86400}
            task["rendezvous"] = [meeting.address, meeting.port] if meeting else []
            own = environment(task)
            if name == "default":
                own = {
                    key: value
                    for key, value in own.items()
                    if not key.startswith("HOROVOD_") or PLAIN.fullmatch(key)
                }
            bound = cores if name == "default" else [cores[rank]]
            clean = {k: v for k, v in os.environ.items() if not k.startswith("HOROVOD_")}
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.scaling", "--child", json.dumps([name, bound])],
                env={**clean, **own, "TF_CPP_MIN_LOG_LEVEL": "3"},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            closing.callback(process.wait)
            closing.callback(process.kill)
            self.processes.append(process)

    def wait(self) -> None:
        """Until all are ready; then they stop."""
        for process in self.processes:
            self._read(process)
        self._signal(signal.SIGSTOP)

    def turn(self, batch: int, steps: int) -> tuple[float, float]:
        """Milliseconds of a step: of the clock (the slower rank), and of CPU (on average)."""
        self._signal(signal.SIGCONT)
        for process in self.processes:
            assert process.stdin is not None
            print(batch, steps, file=process.stdin, flush=True)
        told = [self._read(process) for process in self.processes]
        self._signal(signal.SIGSTOP)
        return max(one["wall"] for one in told), statistics.mean(one["cpu"] for one in told)

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            process.send_signal(number)

    @staticmethod
    def _read(process: subprocess.Popen[str]) -> dict[str, float]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the benchmark ended with {process.wait()}")
        found: dict[str, float] = json.loads(line)
        return found


def _measure(
    groups: dict[str, Group], batch: int, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Turns of every group, round by round."""
    for group in groups.values():
        group.turn(batch, 3)  # traces the step
    steps = max(4, round(TURN_SECONDS * 1000 / groups["one"].turn(batch, 4)[0]))
    print(f"batch {batch}: {rounds} rounds of {steps} steps", file=sys.stderr, flush=True)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in groups}
    for _ in range(rounds):
        for name, group in groups.items():
            found[name].append(group.turn(batch, steps))
    return found


def _child(about: str) -> None:
    """One process: `batch steps` on stdin, milliseconds on stdout."""
    name, cores = json.loads(about)
    os.sched_setaffinity(0, cores)
    step_of = _ours if name != "default" else _default
    step = step_of()
    import numpy as np
    import tensorflow as tf

    random, batches = np.random.default_rng(0), dict[int, Any]()
    print("{}", flush=True)
    for line in sys.stdin:
        batch, steps = map(int, line.split())
        if batch not in batches:
            images = random.random((batch, 32, 32, 3), "float32")
            labels = random.integers(0, 10, batch).astype("int32")
            batches[batch] = (tf.constant(images), tf.constant(labels))
        data = batches[batch]
        step(data)  # after the stop, ranks meet again
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            step(data)
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(json.dumps({"wall": wall / steps * 1e3, "cpu": cpu / steps * 1e3}), flush=True)


def _model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPool2D(),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPool2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss=loss)
    model.optimizer.build(model.trainable_variables)
    return model


def _ours() -> Any:
    import tensorflow as tf

    from tfspark.training.loop.compile import watch_steps
    from tfspark.training.loop.sync import Sync
    from tfspark.training.ranks.world import join_ranks

    world = join_ranks()
    model = _model()
    world.broadcast(model.variables)
    sync = Sync(model, world)
    watch_steps(model, sync, xla=False)
    run = tf.function(model.train_step)

    def step(data: Any) -> None:
        sync.before(1 / world.size, 0, 1)
        run(data)["loss"].numpy()

    return step


def _default() -> Any:
    """As Horovod's documentation has it."""
    import horovod.tensorflow as hvd
    import tensorflow as tf

    hvd.init()
    model = _model()
    weights = [variable.value for variable in model.trainable_variables]
    hvd.broadcast_variables(weights, root_rank=0)

    @tf.function
    def run(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(images, labels, model(images, training=True))
        tape = hvd.DistributedGradientTape(tape)
        model.optimizer.apply(tape.gradient(loss, weights), model.trainable_variables)
        return loss

    return lambda data: run(*data).numpy()


Found = dict[int, dict[str, list[tuple[float, float]]]]


def _ratio(rounds: dict[str, list[tuple[float, float]]], name: str, other: str) -> float:
    """How many times the images a second of `other`."""
    share = GROUPS[name] / GROUPS[other]
    pairs = zip(rounds[name], rounds[other], strict=True)
    return statistics.median(share * theirs / ours for (ours, _), (theirs, _) in pairs)


def _print(found: Found) -> None:
    print(
        "\nms of a step (of CPU), and images a second as times one rank's\n\n"
        "| batch a rank | one | apart | ours | default | apart / one | ours / one | default / one "
        "| ours / default |\n|" + "---|" * 9
    )
    for batch, rounds in found.items():
        cells = []
        for turns in rounds.values():
            wall, cpu = (statistics.median(column) for column in zip(*turns, strict=True))
            cells.append(f"{wall:.1f} ({cpu:.1f})")
        cells += [f"{_ratio(rounds, name, 'one'):.2f}" for name in ("apart", "ours", "default")]
        print(f"| {batch} | {' | '.join(cells)} | {_ratio(rounds, 'ours', 'default'):.2f} |")


def _verdict(found: Found) -> int:
    if BAR_BATCH not in found:
        return 0
    rounds, missed = found[BAR_BATCH], 0
    for other, bar in (("one", SCALING_BAR), ("default", DEFAULT_BAR)):
        ratio = _ratio(rounds, "ours", other)
        missed += ratio < bar
        print(f"\nbatch {BAR_BATCH}, ours / {other}: {ratio:.2f} (bar {bar})")
    return 1 if missed else 0


def _plot(found: Found, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for name in ("apart", "ours", "default"):
        ratios = [_ratio(rounds, name, "one") for rounds in found.values()]
        axes.plot(list(found), ratios, marker="o", label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(found), [str(batch) for batch in found])
    axes.set(xlabel="batch of a rank", ylabel="times one rank", title="Two ranks on two cores")
    axes.set_ylim(0, 2.1)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    print(f"\nplotted: {path}")


if __name__ == "__main__":
    sys.exit(main())
