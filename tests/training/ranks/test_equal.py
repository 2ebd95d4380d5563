"""One, two and four ranks train the same model: real processes, which train one after another."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.sizes import size
from tests.training.run_ranks import FEATURES, apart, history, last_weights, spec_of, train_on
from tests.training.small_table import rows_of, write_dataset
from tfspark.config.recipe import Model
from tfspark.errors import ConfigError
from tfspark.training.loop.metrics import check_sums
from tfspark.training.loop.work import Spec
from tfspark.training.ranks.world import World

BUILDERS = "tests.training.rank_builders"
EMBEDDED = [FEATURES[0], {**FEATURES[1], "encode": {"embedding": 3}}]
PADDED = 29  # the last batch of 320 rows has one
START = """
import json, sys
from tests.training.rank_functions import train_each
from tfspark.training.ranks.talk import Direct
from tfspark.training.ranks.world import join_ranks
world = join_ranks()
with open(sys.argv[1]) as file:
    train_each(json.load(file), world, Direct(lambda report: None, world.rank))
world.close()
"""


def dense(**training: Any) -> dict[str, Any]:
    return training


def embedding(**training: Any) -> dict[str, Any]:
    return {"features": EMBEDDED, **training}


def norms(**training: Any) -> dict[str, Any]:
    return {"model": Model(builder=f"{BUILDERS}:norms"), **training}


def unpacking(**training: Any) -> dict[str, Any]:
    return {"model": Model(builder=f"{BUILDERS}:Unpacking"), **training}


FEW = [
    dense(optimizer="sgd", batch_size=64, local_steps=2, warmup_epochs=1.0),
    embedding(optimizer="rmsprop", batch_size=PADDED, way="train_on_batch"),
    norms(optimizer="sgd", batch_size=32, local_steps=3, way="custom"),
    unpacking(optimizer="adam", batch_size=PADDED),
]
ALL = [
    *FEW,
    embedding(optimizer="adam", batch_size=PADDED),
    embedding(optimizer="rmsprop", batch_size=64, way="train_on_batch"),
    norms(optimizer="adamw", batch_size=PADDED, class_weights="balanced", weight_decay=0.01),
] + [
    kind(optimizer=optimizer, batch_size=rows, way=way, **extra)
    for optimizer, kind, rows, (way, extra) in itertools.product(
        ("adam", "adamw", "rmsprop", "sgd"),
        (dense, embedding, norms),
        (PADDED, 64),
        [
            ("fit", {"class_weights": "balanced"}),
            ("custom", {"local_steps": 3}),
            ("train_on_batch", {}),
        ],
    )
]
# Numbers with few digits: near, not equal.
NEAR: list[dict[str, Any]] = [
    {"compression": "float16"},
    {"precision": "mixed_float16"},
    {"model": Model(builder=f"{BUILDERS}:small_floats")},
]


def spec_at(dataset: Path, folder: Path, given: dict[str, Any]) -> Spec:
    rate = 0.1 if given.get("optimizer", "sgd") == "sgd" else 0.01
    training = {"epochs": 2, "learning_rate": rate, **given}
    features, model = training.pop("features", FEATURES), training.pop("model", None)
    spec = spec_of(dataset, folder, model, **training)
    return Spec.from_json({**spec.to_json(), "features": features})


def start(ranks: int, specs: list[Spec], folder: Path) -> None:
    """Train all of them with so many ranks, without Spark."""
    file = folder / f"specs{ranks}.json"
    file.write_text(json.dumps({"specs": [spec.to_json() for spec in specs]}))
    command = [sys.executable, "-m", "horovod.runner.launch", "-np", str(ranks), "--gloo"]
    command += ["--start-timeout", "300", "--gloo-timeout-seconds", "300"]
    done = subprocess.run(
        [*command, sys.executable, "-c", START, str(file)],
        text=True,
        capture_output=True,
        check=False,
        timeout=size(500, soak=5000),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


@pytest.mark.usefixtures("process")
def test_the_number_of_ranks_never_changes_a_model(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, rows_of(400), shares=(0.8, 0.1))  # 320 rows to train on
    equal = size(FEW, soak=ALL)
    given = [*equal, *NEAR]
    alone = [spec_at(dataset, tmp_path / f"one-{i}", entry) for i, entry in enumerate(given)]
    for spec in alone:
        train_on(1, spec)
    stopped = {"callbacks": [f"{BUILDERS}:stops_one"]}
    for ranks in size([2], soak=[2, 4]):
        tied = [spec_at(dataset, tmp_path / f"{ranks}-{i}", e) for i, e in enumerate(given)]
        ended = spec_at(dataset, tmp_path / f"{ranks}-stopped", stopped)
        start(ranks, [*tied, ended], tmp_path)
        assert len(history(ended)["loss"]) == 1, "what one rank asks for, all do"
        for number, (entry, one, many) in enumerate(zip(given, alone, tied, strict=True)):
            near = 1e-5 if number < len(equal) else 2e-2
            assert apart(last_weights(one), last_weights(many)) < near, entry
            for name, values in history(one).items():
                told = history(many)[name]
                np.testing.assert_allclose(told, values, atol=20 * near, err_msg=f"{entry} {name}")


def test_a_metric_that_is_no_sum_is_refused_on_several_ranks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import keras

    from tests.training.rank_builders import Largest

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.largest = Largest()
    check_sums(model, World())
    with pytest.raises(ConfigError, match=r"metric largest \(Largest\): several ranks add up"):
        check_sums(model, World(0, 2))
    monkeypatch.setattr(Largest, "sums", True, raising=False)
    check_sums(model, World(0, 2))
