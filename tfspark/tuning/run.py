"""The job: trials side by side, each a training of its own, until enough of them have ended.

Killed and run again, the same command goes on: trials that had ended count, and those that had not
go on from their checkpoints.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from tfspark import storage
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.dataset import Dataset
from tfspark.errors import ConfigError, TrainingError
from tfspark.training.train import dataset_of
from tfspark.tuning.space import check_space, override, suggest
from tfspark.tuning.study import ERROR, RUN, Study
from tfspark.tuning.track import Tracker
from tfspark.tuning.trial import train_trial

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial
    from pyspark.sql import SparkSession

Curves = dict[str, list[float]]
OnEpoch = Callable[[Curves], dict[str, Any]]


class TrainTrial(Protocol):
    def __call__(self, settings: Settings, checkpoints: str, on_epoch: OnEpoch, /) -> None:
        """Train; tell `on_epoch` the curves after each epoch, and end where it says `stop`."""


def tune(
    settings: Settings,
    steps: Steps,
    spark: Callable[[], SparkSession] | None = None,
    train: TrainTrial | None = None,
) -> dict[str, Any]:
    """Search `tune.space` for the recipe with the best `tune.metric` on the validation split.

    Args:
        settings: the recipe, the dataset's name and the section `tune`.
        steps: where the log of the steps goes.
        spark: gives the session whose executors train.
        train: one training; default: ours, on `distributed.ranks` ranks.

    Returns:
        The summary: study, metric, best value, trial and values, counts, the best recipe's file.

    Raises:
        ConfigError: a space, metric or study that cannot be; no dataset.
        TrainingError: every trial failed.
    """
    if not settings.name:
        raise ConfigError("tune needs a name; give it in the configuration: --config FILE")
    check_space(settings)
    dataset = dataset_of(settings, steps)
    study = Study(settings, dataset)
    try:
        with steps.step("open study", study=study.name) as info:
            search = Search(settings, steps, study, Tracker(settings, study.name, dataset))
            info["ended"] = search.resume()
        parallel = settings.tune.parallel
        if train is None:
            parallel, train = _ours(settings, dataset, spark)
        with steps.step("search", trials=settings.tune.trials, parallel=max(parallel, 1)):
            search.run(train, max(parallel, 1))
        return {**search.summary(), "seconds": steps.seconds()}
    finally:
        study.close()


def _ours(
    settings: Settings, dataset: Dataset, spark: Callable[[], SparkSession] | None
) -> tuple[int, TrainTrial]:
    """How many trials at a time, and the training."""
    if settings.distributed.launcher == "local":
        if settings.tune.parallel > 1:
            raise ConfigError(
                "tune.parallel: launcher local trains in this process, one trial at a time; use "
                "distributed.launcher spark"
            )
        return 1, partial(train_trial, dataset=dataset, spark=None)
    from tfspark.session import spark_session
    from tfspark.training.ranks.stage import slots

    session = spark() if spark else spark_session(f"tfspark tune {settings.name}")
    ranks = settings.distributed.ranks
    parallel = settings.tune.parallel or max(1, slots(session.sparkContext) // ranks)
    return parallel, partial(train_trial, dataset=dataset, spark=lambda: session)


class Search:
    """Asks for trials, trains them and tells what they gave. One lock: SQLite has one writer."""

    def __init__(self, settings: Settings, steps: Steps, study: Study, tracker: Tracker) -> None:
        self.settings, self.steps, self.study, self.tracker = settings, steps, study, tracker
        self.lock, self.running, self.stopping = threading.Lock(), 0, False
        seconds = settings.tune.timeout_seconds
        self.until = None if seconds is None else time.monotonic() + seconds

    def resume(self) -> int:
        """Take up what a killed process left; how many trials have ended already."""
        for trial in self.study.requeue():
            if RUN in trial.user_attrs:
                self.tracker.end(trial.user_attrs[RUN], "KILLED", {})
        return len(self.study.finished())

    def run(self, train: TrainTrial, parallel: int) -> None:
        """Trials until there are enough, or no time is left."""
        with ThreadPoolExecutor(parallel, thread_name_prefix="trial") as pool:
            workers = [pool.submit(self._work, train) for _ in range(parallel)]
            try:
                for worker in workers:
                    worker.result()
            except BaseException:  # Ctrl-C: trainings end after their epoch, and can go on
                self.stopping = True
                raise

    def _work(self, train: TrainTrial) -> None:
        while (trial := self._next()) is not None:
            try:
                self._train(trial, train)
            except BaseException:
                self.stopping = True
                raise
            finally:
                with self.lock:
                    self.running -= 1

    def _next(self) -> Trial | None:
        with self.lock:
            late = self.until is not None and time.monotonic() > self.until
            enough = len(self.study.finished()) + self.running >= self.settings.tune.trials
            if self.stopping or late or enough:
                return None
            self.running += 1
            return self.study.ask()

    def _train(self, trial: Trial, train: TrainTrial) -> None:
        with self.lock:
            values = suggest(trial, self.settings)
            run = self.tracker.start(trial.number, values)
            trial.set_user_attr(RUN, run)
        curves: Curves = {}
        pruned = False

        def on_epoch(history: Curves) -> dict[str, Any]:
            nonlocal curves, pruned
            with self.lock:
                known = len(next(iter(curves.values()), []))
                curves = {name: list(values) for name, values in history.items()}
                for epoch in range(known, len(next(iter(curves.values()), []))):
                    trial.report(self.study.value(curves, epoch), epoch)
                self.tracker.curves(run, curves)
                pruned = pruned or trial.should_prune()
            return {"stop": True} if pruned or self.stopping else {}

        error = ""
        try:
            train(override(self.settings, values), self.study.checkpoints(trial), on_epoch)
            result = None if pruned else self.study.result(curves)
        except Exception as failed:
            error = f"{type(failed).__name__}: {failed}"
        if self.stopping and not error:
            return  # not ended: the next run of the search goes on with it
        with self.lock:
            self.tracker.curves(run, curves, last=True)
            if error:
                self._tell(trial, run, "failed", values, error=error)
            elif result is None:
                self._tell(trial, run, "pruned", values)
            else:
                self._tell(trial, run, "done", values, result)

    def _tell(
        self,
        trial: Trial,
        run: str,
        how: str,
        values: dict[str, Any],
        result: float | None = None,
        error: str = "",
    ) -> None:
        from optuna.trial import TrialState

        metric = self.study.metric
        if error:
            trial.set_user_attr(ERROR, error)
        states = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
        self.study.optuna.tell(trial, result, state=states.get(how, TrialState.FAIL))
        measured = {} if result is None else {f"validation_{metric}": result}
        status = {"done": "FINISHED", "pruned": "KILLED"}.get(how, "FAILED")
        self.tracker.end(run, status, measured, error)
        storage.delete(self.study.checkpoints(trial))
        said = f"{metric} {result:.4g}" if result is not None else error.partition("\n")[0][:200]
        chosen = ", ".join(f"{key} {value}" for key, value in values.items())
        self.steps.note(f"trial {trial.number} {how}: {said or 'below the median'} ({chosen})")
        if how == "done" and self.study.optuna.best_trial.number == trial.number:
            self._write_best(self.study.optuna.best_trial)

    @property
    def best_file(self) -> str:
        return storage.join(self.study.folder, "best.yaml")

    def _write_best(self, best: FrozenTrial) -> None:
        """The recipe of the best trial so far, as `--recipe` takes it."""
        from optuna.trial import FixedTrial

        fixed: Any = FixedTrial(best.params)
        found = override(self.settings, suggest(fixed, self.settings))
        sections = {
            "features": [
                {"kind": f.kind, **f.model_dump(mode="json", exclude_defaults=True)}
                for f in found.features
            ],
            "model": found.model.model_dump(mode="json", exclude_defaults=True),
            "training": found.training.model_dump(mode="json", exclude_defaults=True),
        }
        text = yaml.safe_dump({k: v for k, v in sections.items() if v}, sort_keys=False)
        head = (
            f"# {self.study.name}, trial {best.number}: validation {self.study.metric} "
            f"{best.value:.6g}\n"
        )
        storage.write_bytes(self.best_file, (head + text).encode())

    def summary(self) -> dict[str, Any]:
        """What the search found.

        Raises:
            TrainingError: every trial failed.
        """
        from optuna.trial import TrialState

        ended = self.study.finished()
        counts = {
            how: sum(trial.state == state for trial in ended)
            for how, state in (
                ("done", TrialState.COMPLETE),
                ("pruned", TrialState.PRUNED),
                ("failed", TrialState.FAIL),
            )
        }
        self.tracker.end(self.tracker.run, "FINISHED" if counts["done"] else "FAILED", {})
        if not counts["done"]:
            errors = [trial.user_attrs[ERROR] for trial in ended if ERROR in trial.user_attrs]
            if not errors:
                raise TrainingError(
                    f"no trial of {self.study.name} ended: give it more of tune.timeout_seconds"
                )
            raise TrainingError(
                f"all {len(errors)} trials of {self.study.name} failed; the first said: {errors[0]}"
            )
        best = self.study.optuna.best_trial
        metric = self.study.metric
        with_run = {f"best_{metric}": float(best.value or 0.0), "best_trial": float(best.number)}
        self.tracker.store.log_metrics(self.tracker.run, with_run)
        text = storage.read_bytes(self.best_file).decode()
        self.tracker.store.describe(self.tracker.run, self.study.name, {"best.yaml": text})
        return {
            "study": self.study.name,
            "metric": f"validation {metric}",
            "best_value": best.value,
            "best_trial": best.number,
            "best": best.params,
            "trials": len(ended),
            **counts,
            "recipe": self.best_file,
            "mlflow_run": self.tracker.run,
            "mlflow_best_run": best.user_attrs.get(RUN),
        }
