"""Real processes are killed while they train; what comes out is what a clean run gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import ROOT
from tests.training.run_ranks import apart, last_weights, pid_of, ranks_here, spec_of, train_on
from tests.training.small_table import rows_of, write_dataset
from tfspark.errors import TrainingError
from tfspark.training.loop import checkpoint

pytestmark = pytest.mark.usefixtures("kill", "process")

HELD = 3  # the epoch at whose end a driver of its own waits
SETTINGS = {"epochs": 6, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}
DYING = '''
import os, signal
import keras

def while_writing():
    """Rank 0 dies in the middle of the checkpoint of epoch 3, the first time."""
    from tfspark import storage
    from tfspark.training.loop import checkpoint

    whole = storage.write_bytes

    def half(path, content):
        if "checkpoint-000003" in path and os.environ["TFSPARK_ATTEMPT"] == "1":
            with open(path + ".half.partial", "wb") as file:
                file.write(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        whole(path, content)

    checkpoint.storage.write_bytes = half
    return []

def hanging():
    """Rank 1 stops in its tracks in epoch 2."""

    class Hang(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1 and os.environ["HOROVOD_RANK"] == "1":
                import time

                time.sleep(600)

    return Hang()
'''


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("rows"), rows_of(300))


@pytest.fixture(scope="module")
def clean(spark: Any, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The weights that a run of two ranks gives when nobody is killed."""
    spec = spec_of(rows, tmp_path_factory.mktemp("clean") / "checkpoints", **SETTINGS)
    train_on(2, spec, spark)
    return last_weights(spec)


@pytest.fixture(scope="module")
def module(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("dying") / "own_deaths.py"
    file.write_text(DYING)
    spark.sparkContext.addPyFile(str(file))


def in_epoch(number: int, act: Any) -> Any:
    """Do something once, when an epoch has ended."""
    done: list[int] = []

    def on(report: dict[str, Any]) -> None:
        if report["kind"] == "epoch" and report["epoch"] == number and not done:
            done.append(number)
            act()

    return on


def test_a_killed_rank(spark: Any, rows: Path, tmp_path: Path, clean: list[Any]) -> None:
    spec = spec_of(rows, tmp_path / "checkpoints", **SETTINGS)
    kill = in_epoch(3, lambda: os.kill(pid_of(1), signal.SIGKILL))
    heard = train_on(2, spec, spark, kill)
    assert [report["attempt"] for report in heard.said("attempt")] == [1, 2]
    assert heard.said("resumed")[0]["epoch"] >= 3
    assert apart(clean, last_weights(spec)) < 1e-5


@pytest.mark.usefixtures("module", "soak")  # tests/training/loop/test_state.py tears one
def test_rank_0_killed_while_it_writes_a_checkpoint(
    spark: Any, rows: Path, tmp_path: Path, clean: list[Any]
) -> None:
    names = ["own_deaths:while_writing"]
    spec = spec_of(rows, tmp_path / "checkpoints", callbacks=names, **SETTINGS)
    heard = train_on(2, spec, spark)
    assert heard.said("resumed")[0]["epoch"] == 2
    assert apart(clean, last_weights(spec)) < 1e-5
    assert not list((tmp_path / "checkpoints").glob("*.partial"))


@pytest.mark.usefixtures("module", "soak")  # test_launch.py has one that hangs
def test_a_rank_that_hangs_is_named(spark: Any, rows: Path, tmp_path: Path) -> None:
    spec = spec_of(rows, tmp_path / "checkpoints", callbacks=["own_deaths:hanging"], **SETTINGS)
    with pytest.raises(
        TrainingError, match=r"^rank 1 \(.* made no step for .*the others"
    ) as caught:
        train_on(2, spec, spark, stall_seconds=15)
    assert caught.value.exit_code == 5
    until = time.monotonic() + 120
    while ranks_here() and time.monotonic() < until:
        time.sleep(0.1)
    assert ranks_here() == {}


def test_after_the_last_try_the_checkpoint_is_kept(
    spark: Any, rows: Path, tmp_path: Path, clean: list[Any]
) -> None:
    spec = spec_of(rows, tmp_path / "checkpoints", **SETTINGS)
    kill = in_epoch(2, lambda: os.kill(pid_of(0), signal.SIGKILL))
    with pytest.raises(TrainingError, match="lost its ranks 1 times") as caught:
        train_on(2, spec, spark, kill, tries=1)
    assert caught.value.exit_code == 5
    found = checkpoint.load(spec.checkpoints)
    assert found is not None
    assert found[1]["epoch"] >= 2
    train_on(1, spec)  # at another size, with the same global batch
    assert apart(clean, last_weights(spec)) < 1e-5


def test_a_killed_driver(spark: Any, rows: Path, tmp_path: Path, clean: list[Any]) -> None:
    """The whole process group of `python ...` and its JVM; then the same training again."""
    spec = spec_of(rows, tmp_path / "checkpoints", **SETTINGS)
    with start_driver(spec, tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{") and json.loads(line).get("epoch") == HELD:
                break
        else:
            raise AssertionError("the driver ended too early")
        ranks = [psutil.Process(pid) for pid in ranks_here().values()]
        assert len(ranks) == 2
        os.killpg(process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(ranks, 120)
    assert alive == []
    assert train_on(2, spec, spark).said("resumed")
    assert apart(clean, last_weights(spec)) < 1e-5


def test_a_killed_executor_and_fewer_than_before(
    rows: Path, tmp_path: Path, clean: list[Any], standalone_cluster: Any
) -> None:
    """On a standalone cluster one of two executors is killed with its worker: it stays away."""
    spec = spec_of(rows, tmp_path / "checkpoints", **SETTINGS)
    with standalone_cluster(tmp_path / "cluster") as master:
        process = start_driver(spec, tmp_path, "--master", master, "--least", "1")
        assert process.stdout is not None
        assert process.stdin is not None
        said, killed = [], False
        with process.stdin as go_on, process.stdout as lines:
            for line in lines:
                said.append(line)
                if line.startswith("{") and json.loads(line).get("epoch") == HELD:
                    if not killed:
                        kill_worker_of(pid_of(1))
                    killed = True
                    go_on.write("\n")
                    go_on.flush()
        assert process.wait() == 0, "".join(said)
    attempts = [json.loads(s)["ranks"] for s in said if '"kind": "attempt"' in s]
    assert attempts == [2, 1]
    assert apart(clean, last_weights(spec)) < 1e-5


def start_driver(spec: Any, folder: Path, *more: str) -> subprocess.Popen[str]:
    """A process of its own that trains on two ranks and prints what it hears.

    At the end of epoch `HELD` it stands still until it gets a line.
    """
    file = folder / "spec.json"
    file.write_text(json.dumps(spec.to_json()))
    driver = str(ROOT / "tests" / "training" / "driver.py")
    command = [sys.executable, driver, str(file), "--hold", str(HELD), *more]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'training'}"}
    with (folder / "stderr").open("a") as errors:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )


def kill_worker_of(rank: int) -> None:
    """Kill the standalone worker that a rank's executor belongs to, and the executor."""
    executor = next(
        p
        for p in psutil.Process(rank).parents()
        if "CoarseGrainedExecutor" in " ".join(p.cmdline())
    )
    worker = executor.parent()
    assert worker is not None
    assert "worker.Worker" in " ".join(worker.cmdline())
    worker.kill()
    executor.kill()
