"""Trainings on one rank or several, by the launcher itself, and what they leave."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tfspark.config import Distributed
from tfspark.config.recipe import Model, Training
from tfspark.training.loop import checkpoint
from tfspark.training.loop.work import Spec
from tfspark.training.ranks.launch import launch

FEATURES = [
    {"kind": "numeric", "column": "x"},
    {"kind": "vocabulary", "column": "word"},
]
PATIENT = {"start_seconds": 300, "stall_seconds": 300}


def spec_of(dataset: Path, checkpoints: Path, model: Model | None = None, **training: Any) -> Spec:
    """A small network on the small table."""
    given = {
        "epochs": 3,
        "batch_size": 16,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "patience": 1000,
        **training,
    }
    spec = Spec(
        dataset=str(dataset),
        features=[],
        model=model or Model(params={"units": [8], "dropout": 0.0}),
        training=Training(**given),
        checkpoints=str(checkpoints),
        tensorboard=None,
        batch=given["batch_size"],
        rate=given["learning_rate"],
    )
    return Spec.from_json({**spec.to_json(), "features": FEATURES})


class Heard(list[dict[str, Any]]):
    """Every report; `on` is called with each."""

    def __init__(self, on: Callable[[dict[str, Any]], Any] = lambda report: None) -> None:
        super().__init__()
        self.on = on

    def __call__(self, report: dict[str, Any]) -> dict[str, Any] | None:
        self.append(report)
        answer: dict[str, Any] | None = self.on(report)
        return answer

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [report for report in self if report["kind"] == kind]


def train_on(
    ranks: int,
    spec: Spec,
    spark: Any = None,
    on: Callable[[dict[str, Any]], Any] = lambda report: None,
    **settings: Any,
) -> Heard:
    """Train; ranks are processes of a barrier stage, one rank is this process."""
    heard = Heard(on)
    distributed = Distributed(ranks=ranks, **{**PATIENT, **settings})
    launch(spec.to_json(), distributed, heard, lambda: spark)
    return heard


def last_weights(spec: Spec) -> list[Any]:
    """Every variable of the last checkpoint but random states."""
    found = checkpoint.load(spec.checkpoints)
    assert found is not None
    arrays, progress = found
    assert progress["done"]
    return [array for array in arrays["now"] if array.dtype.kind == "f"]


def history(spec: Spec) -> dict[str, list[float]]:
    found = checkpoint.load(spec.checkpoints)
    assert found is not None
    curves: dict[str, list[float]] = found[1]["history"]
    return curves


def apart(first: list[Any], second: list[Any]) -> float:
    """The largest difference of two lists of arrays."""
    assert len(first) == len(second) > 0
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


def pid_of(rank: int) -> int:
    """The process of a rank that this test started."""
    return ranks_here()[str(rank)]


def ranks_here() -> dict[str, int]:
    """Rank → process, of those that this test started and that live."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            command = process.cmdline()
            if command[-2:-1] == ["tfspark.training.ranks.rank"]:
                found[command[-1]] = process.pid
    return found
