"""One process for several devices, and jobs that horovodrun starts: processes of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.sizes import size
from tests.training.run_ranks import apart, history, last_weights, spec_of, train_on
from tests.training.small_table import SETTINGS, write_dataset
from tfspark.config.recipe import Model
from tfspark.errors import ConfigError
from tfspark.training.loop.work import strategy_scope

TWO_DEVICES = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
from tfspark.training.loop import work
from tfspark.training.ranks.talk import Direct
from tfspark.training.ranks.world import World
scopes = []
mirrored = tf.distribute.MirroredStrategy
def of_two(devices=None):
    scopes.append(mirrored(["CPU:0", "CPU:1"]))
    return scopes[-1]
tf.distribute.MirroredStrategy = of_two
work.work(json.load(sys.stdin), World(), Direct(lambda report: None))
assert scopes[0].num_replicas_in_sync == 2
"""


def test_mirrored_on_two_devices_trains_as_one(tmp_path: Path, dataset: Path) -> None:
    settings = {"batch_size": 18, "epochs": 4}
    model = Model(builder="tests.training.rank_builders:norms")
    one = spec_of(dataset, tmp_path / "one", model, **settings)
    train_on(1, one)
    two = spec_of(dataset, tmp_path / "two", model, strategy="mirrored", **settings)
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES],
        input=json.dumps(two.to_json()),
        text=True,
        capture_output=True,
        check=False,
        timeout=500,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert apart(last_weights(one), last_weights(two)) < 1e-5
    assert history(two)["val_loss"] == pytest.approx(history(one)["val_loss"], abs=1e-4)


def test_a_tpu_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no TPU is found"):
        strategy_scope("tpu")


@pytest.mark.usefixtures("process")
def test_horovodrun_without_spark(tmp_path: Path, empty_store: Path) -> None:
    write_dataset(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    config = tmp_path / "small.yaml"
    dotted = {"warehouse": str(tmp_path), **SETTINGS, "model.params": {"units": [4]}}
    nested: dict[str, object] = {}
    for name, value in dotted.items():
        *heads, last = name.split(".")
        inner = nested
        for head in heads:
            inner = inner.setdefault(head, {})  # type: ignore[assignment]
        inner[last] = value
    config.write_text(json.dumps(nested))
    command = [sys.executable, "-m", "horovod.runner.launch", "-np", "2", "--gloo"]
    command += ["--start-timeout", "300", "--gloo-timeout-seconds", "300"]
    command += [sys.executable, "-m", "tfspark", "train", "--config", str(config)]
    # The second time there is nothing to train.
    for reused in size(("False",), soak=("False", "True")):
        done = subprocess.run(
            command,
            text=True,
            capture_output=True,
            check=False,
            timeout=500,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-3000:]
        assert re.search(rf"reused +{reused}", said), said[-3000:]
    versions = [path.name for path in (tmp_path / "models" / "small").iterdir()]
    assert versions == ["1"]
