"""Searches with a real study, a real MLflow store and a training of arithmetic."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.config import Settings, load_settings
from tfspark.console import Steps
from tfspark.errors import ConfigError, TrainingError
from tfspark.registry.connect import connect
from tfspark.tuning import tune
from tfspark.tuning.run import OnEpoch

Make = Callable[..., Settings]
EPOCHS = 8


def quality(settings: Settings) -> float:
    """Best at a learning rate of 0.01 without dropout."""
    rate, dropout = settings.training.learning_rate, settings.model.params["dropout"]
    return 0.9 - 0.1 * abs(math.log10(rate) + 2) - 0.1 * float(dropout)


def arithmetic(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
    """A training whose AUC climbs to its quality, and whose loss then rises: overfitting."""
    curves: dict[str, list[float]] = {"val_auc": [], "val_loss": []}
    best = EPOCHS - 2
    for epoch in range(EPOCHS):
        climbed = min(epoch + 1, best) / best
        curves["val_auc"].append(quality(settings) * climbed + 0.05 * (epoch >= best))
        curves["val_loss"].append(1 - quality(settings) * climbed + 0.1 * (epoch >= best))
        if on_epoch(curves).get("stop"):
            return


def runs_of(settings: Settings, study: str) -> tuple[Any, list[Any]]:
    """The study's run and those of its trials."""
    client = connect(settings.tracking_uri)
    [experiment] = [e for e in client.search_experiments() if e.name == settings.name]
    found = client.search_runs([experiment.experiment_id], f"tags.`tfspark.study` = '{study}'")
    [parent] = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    return parent, [run for run in found if run is not parent]


def test_the_best_recipe_is_found_and_written(
    settings_of: Make, steps: Steps, tmp_path: Path
) -> None:
    settings = settings_of(tune__trials=25, tune__prune=False)
    found = tune(settings, steps, train=arithmetic)
    assert (found["done"], found["pruned"], found["failed"]) == (25, 0, 0)
    assert found["best"]["model.params.dropout"] == 0.0
    assert 0.003 < found["best"]["training.learning_rate"] < 0.03
    # Of the epoch with the least loss, not the highest AUC: those weights are kept.
    assert found["best_value"] == pytest.approx(
        0.9 - 0.1 * abs(math.log10(found["best"]["training.learning_rate"]) + 2)
    )
    given = {"name": "small", "warehouse": str(tmp_path), "training": {"epochs": 999}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(given))
    again = load_settings(str(tmp_path / "c.yaml"), {}, found["recipe"])
    assert again.training.learning_rate == found["best"]["training.learning_rate"]
    assert again.model.params == {**settings.model.params, "dropout": 0.0}
    assert again.features == settings.features
    assert again.training.model_copy(update={"learning_rate": 1.0}) == settings.training.model_copy(
        update={"learning_rate": 1.0}
    )


def test_each_trial_is_a_nested_run(settings_of: Make, steps: Steps) -> None:
    settings = settings_of(tune__trials=4)
    found = tune(settings, steps, train=arithmetic)
    parent, trials = runs_of(settings, found["study"])
    assert parent.info.run_id == found["mlflow_run"]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["best_auc"] == pytest.approx(found["best_value"])
    assert len(trials) == 4
    client = connect(settings.tracking_uri)
    for run in trials:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert set(run.data.params) == set(settings.tune.space)
        assert run.info.status == "FINISHED"
        curve = client.get_metric_history(run.info.run_id, "val_auc")
        assert [point.step for point in curve] == list(range(1, EPOCHS + 1))
    best = client.get_run(found["mlflow_best_run"])
    assert best.data.metrics["validation_auc"] == pytest.approx(found["best_value"])


def test_a_bad_trial_is_ended_early(settings_of: Make, steps: Steps) -> None:
    seen: list[int] = []

    def counted(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
        epochs = 0

        def count(curves: dict[str, list[float]]) -> dict[str, Any]:
            nonlocal epochs
            epochs += 1
            return on_epoch(curves)

        arithmetic(settings, checkpoints, count)
        seen.append(epochs)

    settings = settings_of(tune__trials=20)
    found = tune(settings, steps, train=counted)
    assert found["pruned"] > 0
    assert found["done"] + found["pruned"] == 20
    assert sum(epochs < EPOCHS for epochs in seen) == found["pruned"]
    assert min(seen) > 3, "no trial is pruned in the first epochs"
    assert all(epochs == EPOCHS for epochs in seen[:5]), "there is no median yet"
    _, trials = runs_of(settings, found["study"])
    assert sum(run.info.status == "KILLED" for run in trials) == found["pruned"]


def test_trials_run_side_by_side(settings_of: Make, steps: Steps) -> None:
    together = threading.Barrier(3, timeout=400)  # breaks unless three are in it at once
    folders: list[str] = []

    def meet(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
        folders.append(checkpoints)
        together.wait()
        arithmetic(settings, checkpoints, on_epoch)

    found = tune(settings_of(tune__trials=6, tune__parallel=3), steps, train=meet)
    assert found["failed"] == 0
    assert found["trials"] == 6
    assert len(set(folders)) == 6


def test_a_failed_trial_is_recorded_and_the_search_goes_on(settings_of: Make, steps: Steps) -> None:
    def fragile(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
        if settings.model.params["dropout"] == 0.5:
            raise ValueError("dropout burnt down")
        arithmetic(settings, checkpoints, on_epoch)

    settings = settings_of(tune__trials=10, tune__prune=False)
    found = tune(settings, steps, train=fragile)
    assert found["failed"] > 0
    assert found["done"] == 10 - found["failed"]
    _, trials = runs_of(settings, found["study"])
    failed = [run for run in trials if run.info.status == "FAILED"]
    assert len(failed) == found["failed"]
    assert {run.data.tags["tfspark.error"] for run in failed} == {"ValueError: dropout burnt down"}


def test_a_trial_without_a_number_has_failed(settings_of: Make, steps: Steps) -> None:
    def numberless(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
        dropout = settings.model.params["dropout"]
        if dropout == 0.5:
            on_epoch({"val_auc": [0.99], "val_loss": [math.nan]})
        elif dropout == 0.2:
            on_epoch({"val_auc": [math.nan], "val_loss": [0.1]})
        else:
            arithmetic(settings, checkpoints, on_epoch)

    found = tune(settings_of(tune__trials=10, tune__prune=False), steps, train=numberless)
    assert found["failed"] > 0
    assert found["best"]["model.params.dropout"] == 0.0
    assert found["done"] == 10 - found["failed"]


def test_all_failed_is_an_error(settings_of: Make, steps: Steps) -> None:
    def broken(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
        raise TrainingError("the loss became no number")

    settings = settings_of(tune__trials=3)
    with pytest.raises(TrainingError, match=r"all 3 trials of small-\w+ failed; .* no number"):
        tune(settings, steps, train=broken)


def test_curves_without_validation_are_an_error(settings_of: Make, steps: Steps) -> None:
    def blind(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
        on_epoch({"loss": [1.0]})

    with pytest.raises(TrainingError, match=r"tune needs a validation split"):
        tune(settings_of(tune__trials=1), steps, train=blind)


def test_the_same_command_goes_on(settings_of: Make, steps: Steps) -> None:
    first = tune(settings_of(tune__trials=4), steps, train=arithmetic)
    rates: list[float] = []

    def noted(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
        rates.append(settings.training.learning_rate)
        arithmetic(settings, checkpoints, on_epoch)

    second = tune(settings_of(tune__trials=4), steps, train=noted)
    assert rates == [], "enough trials had ended"
    assert second["best"] == first["best"]
    assert second["mlflow_run"] == first["mlflow_run"]
    third = tune(settings_of(tune__trials=7), steps, train=noted)
    assert third["study"] == first["study"]
    assert (len(rates), third["trials"]) == (3, 7)
    _, trials = runs_of(settings_of(), first["study"])
    known = {float(run.data.params["training.learning_rate"]) for run in trials}
    assert len(known) == 7, "no trial is made twice"
    other = tune(settings_of(tune__trials=1, training__epochs=5), steps, train=arithmetic)
    assert other["study"] != first["study"]


def test_time_ends_a_search_between_trials(
    settings_of: Make, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("tfspark.tuning.run.time", clock)

    def slow(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
        clock.now += 400
        arithmetic(settings, checkpoints, on_epoch)

    found = tune(settings_of(tune__trials=1000, tune__timeout_seconds=1000), steps, train=slow)
    assert found["trials"] == 3


def test_a_rate_of_a_regression_is_searched_downwards(settings_of: Make, steps: Steps) -> None:
    def squares(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
        rmse = 2 - quality(settings)
        on_epoch({"val_loss": [rmse**2], "val_rmse": [rmse], "val_mae": [3.0]})

    settings = settings_of(tune__trials=12, model__task="regression")
    found = tune(settings, steps, train=squares)
    assert found["metric"] == "validation rmse"
    values = [2 - quality_of(run) for run in runs_of(settings, found["study"])[1]]
    assert found["best_value"] == pytest.approx(min(values))


def quality_of(run: Any) -> float:
    rate = float(run.data.params["training.learning_rate"])
    dropout = float(run.data.params["model.params.dropout"])
    return 0.9 - 0.1 * abs(math.log10(rate) + 2) - 0.1 * dropout


def test_what_cannot_be_is_said_before_a_trial(
    settings_of: Make, steps: Steps, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="tune.metric: rmse is no metric of a binary model"):
        tune(settings_of(tune__metric="rmse"), steps, train=arithmetic)
    with pytest.raises(ConfigError, match="tune needs a name"):
        tune(settings_of(name=""), steps, train=arithmetic)
    with pytest.raises(ConfigError, match="no dataset for 2020-01-01"):
        tune(settings_of(date="2020-01-01"), steps, train=arithmetic)
    tune(settings_of(tune__study="mine", tune__trials=1), steps, train=arithmetic)
    with pytest.raises(ConfigError, match="mine is the search of another dataset, recipe or space"):
        tune(settings_of(tune__study="mine", training__seed=1), steps, train=arithmetic)


KILLED = """
import os, signal, sys, time
sys.path[:0] = [{root!r}]
from tests.tuning.test_search import arithmetic
from tfspark.config import load_settings
from tfspark.console import Steps
from tfspark.tuning import tune

started = []

def train(settings, checkpoints, on_epoch):
    started.append(checkpoints)
    os.makedirs(checkpoints)
    if len(started) == 4:
        on_epoch({{"val_auc": [0.5], "val_loss": [1.0]}})
        print("now", settings.training.learning_rate, checkpoints, flush=True)
        time.sleep(600)
    arithmetic(settings, checkpoints, on_epoch)

tune(load_settings(None, {settings!r}), Steps("tune"), train=train)
"""


@pytest.mark.usefixtures("kill")
def test_a_killed_driver_loses_no_trial(settings_of: Make, steps: Steps, tmp_path: Path) -> None:
    settings = settings_of(tune__trials=6)
    given = settings.model_dump(mode="json", exclude_defaults=True) | {"name": "small"}
    code = KILLED.format(root=str(ROOT), settings=given)
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child, child.stdout:
        word, rate, folder = child.stdout.readline().split()
        assert word == "now"
        with pytest.raises(ConfigError, match="another process runs small-"):
            tune(settings, steps, train=arithmetic)
        os.kill(child.pid, signal.SIGKILL)
    seen: list[tuple[float, str, bool]] = []

    def noted(settings: Settings, checkpoints: str, on_epoch: OnEpoch) -> None:
        there = Path(checkpoints).is_dir()
        seen.append((settings.training.learning_rate, checkpoints, there))
        arithmetic(settings, checkpoints, on_epoch)

    found = tune(settings, steps, train=noted)
    assert seen[0] == (float(rate), folder, True), "it goes on with its values and checkpoints"
    assert [there for _, _, there in seen] == [True, False, False]
    assert (found["trials"], found["failed"]) == (6, 0)
    assert not Path(folder).exists(), "what a trial kept is removed at its end"
    _, trials = runs_of(settings, found["study"])
    killed = [run for run in trials if run.info.status == "KILLED"]
    assert [float(run.data.params["training.learning_rate"]) for run in killed] == [float(rate)]
