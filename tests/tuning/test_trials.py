"""Searches whose trials are real trainings, as stages of Spark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.errors import ConfigError
from tfspark.training.train import train
from tfspark.tuning import tune

Make = Callable[..., Settings]


def test_trials_train_side_by_side_and_their_best_can_be_trained(
    spark: SparkSession, settings_of: Make, steps: Steps, tmp_path: Path
) -> None:
    settings = settings_of(tune__trials=3, tune__parallel=2, tune__prune=False)
    found = tune(settings, steps, lambda: spark)
    assert (found["done"], found["failed"]) == (3, 0)
    assert 0.4 < found["best_value"] <= 1
    assert not list((tmp_path / "tuning" / found["study"]).glob("trial-*"))
    # The same recipe, trained here, gives the value that the trial gave.
    again = settings_of(
        **{key.replace(".", "__"): value for key, value in dictionary(found["best"]).items()}
    )
    assert train(again, steps)["validation"]["auc"] == pytest.approx(found["best_value"], abs=0.02)


def dictionary(best: dict[str, Any]) -> dict[str, Any]:
    params = {"units": [4], "dropout": best["model.params.dropout"]}
    return {"training.learning_rate": best["training.learning_rate"], "model.params": params}


def test_in_this_process_there_is_one_trial_at_a_time(settings_of: Make, steps: Steps) -> None:
    local = {"distributed__launcher": "local", "tune__trials": 2, "training__epochs": 1}
    with pytest.raises(ConfigError, match="tune.parallel: launcher local trains in this process"):
        tune(settings_of(**local, tune__parallel=2), steps)
    found = tune(settings_of(**local), steps)
    assert (found["done"], found["failed"]) == (2, 0)
