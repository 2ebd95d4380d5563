"""One trial: a training that is neither exported nor registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfspark.config import Settings
from tfspark.dataset import Dataset
from tfspark.training.loop import checkpoint
from tfspark.training.loop.work import Spec
from tfspark.training.ranks.launch import launch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def train_trial(
    settings: Settings,
    checkpoints: str,
    on_epoch: Callable[[dict[str, list[float]]], dict[str, Any]],
    /,
    *,
    dataset: Dataset,
    spark: Callable[[], SparkSession] | None,
) -> None:
    """Train on all ranks, or go on from the trial's last checkpoint.

    Args:
        checkpoints: a folder of the trial's own.
        on_epoch: gets metric → value of every epoch so far; `{"stop": True}` ends the training.
        spark: the session, for ranks as a stage of it: a process of its own for each trial, as
            TensorFlow's seeds and settings are a process's. None: in this process.
    """
    spec = Spec.of(settings, dataset, checkpoints)
    told = False

    def on_report(report: dict[str, Any]) -> dict[str, Any] | None:
        nonlocal told
        if report["kind"] != "epoch":
            return None
        told = True
        return on_epoch(report["history"])

    launcher = settings.distributed.model_copy(
        # Trials share machines, and would share the cores that they are bound to.
        update={"launcher": "local" if spark is None else "spark", "pin": False}
    )
    launch(spec.to_json(), launcher, on_report, spark)
    if not told:  # it had ended, but nobody knew
        found = checkpoint.load(spec.checkpoints)
        if found is not None:
            on_epoch(found[1]["history"])
