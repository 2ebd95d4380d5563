"""A search on disk: Optuna's study in SQLite, and who may go on with it.

One process at a time runs a study; a lock that the system drops with the process says so. What a
killed process left unfinished is put back in the queue, to go on from its checkpoint.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tfspark import storage
from tfspark.config import Settings
from tfspark.dataset import Dataset
from tfspark.errors import ConfigError, TrainingError
from tfspark.extras import need
from tfspark.quality.evaluate import EPOCH_METRICS, LOWER_IS_BETTER
from tfspark.training.key import code, files, recipe

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

RUN, FOLDER, ERROR = "mlflow_run", "folder", "error"
_MADE_FROM = "made_from"
_WARM_UP = 3  # epochs before a trial can be pruned
# Validation metrics by the name that the gate has for them: what the curves call it.
_CURVES = {"logloss": "val_loss"}


class Study:
    """The search of one dataset, recipe and space.

    Attributes:
        name: the study's name: `tune.study`, or made from the search's contents.
        folder: checkpoints of trials and the best recipe, in the warehouse.
        metric: the metric of the validation split that is optimised.
    """

    def __init__(self, settings: Settings, dataset: Dataset) -> None:
        """Open the study, or make it.

        Raises:
            ConfigError: no Optuna; another process runs it; it is of something else; no such
                metric.
        """
        need("optuna", "tune")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.metric = _metric(settings)
        made_from = json.dumps(
            {
                "dataset": dataset.digest,
                "recipe": recipe(settings),
                "files": files(settings),
                "code": code(settings),
                "space": {k: s.model_dump(mode="json") for k, s in settings.tune.space.items()},
                "metric": self.metric,
                "ranks": settings.distributed.ranks,
            },
            sort_keys=True,
        )
        digest = hashlib.sha256(made_from.encode()).hexdigest()
        self.name = settings.tune.study or f"{settings.name}-{digest[:12]}"
        self.folder = storage.absolute(storage.join(settings.warehouse, "tuning", self.name))
        # SQLite knows files of this machine alone.
        own = Path(settings.own_folder, "tuning", self.name)
        own.mkdir(parents=True, exist_ok=True)
        self._lock_it(own)
        self._storage = optuna.storages.RDBStorage(f"sqlite:///{own / 'study.db'}")
        minimize = self.metric in LOWER_IS_BETTER
        warm_up = max(_WARM_UP, math.ceil(settings.training.warmup_epochs) + 1)
        self.optuna = optuna.create_study(
            storage=self._storage,
            study_name=self.name,
            direction="minimize" if minimize else "maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_warmup_steps=warm_up)
            if settings.tune.prune
            else optuna.pruners.NopPruner(),
        )
        # Not the same first trials again when the search goes on.
        seed = settings.tune.sampler_seed + len(self.optuna.trials)
        self.optuna.sampler = optuna.samplers.TPESampler(seed=seed)
        if self.optuna.user_attrs.setdefault(_MADE_FROM, digest) != digest:
            self.close()
            raise ConfigError(
                f"tune.study: {self.name} is the search of another dataset, recipe or space; "
                "give another name, or none"
            )
        self.optuna.set_user_attr(_MADE_FROM, digest)

    def requeue(self) -> list[FrozenTrial]:
        """End the trials that a killed process left, and queue them again; gives them."""
        from optuna.trial import TrialState

        left = self.optuna.get_trials(states=(TrialState.RUNNING,))
        for trial in left:
            self.optuna.tell(trial.number, state=TrialState.FAIL)
            kept = {key: trial.user_attrs[key] for key in (FOLDER,) if key in trial.user_attrs}
            self.optuna.enqueue_trial(trial.params, user_attrs=kept)
        return left

    def ask(self) -> Trial:
        """The next trial, with a folder for its checkpoints."""
        trial = self.optuna.ask()
        if FOLDER not in trial.user_attrs:
            trial.set_user_attr(FOLDER, f"trial-{trial.number}")
        return trial

    def checkpoints(self, trial: Trial) -> str:
        return storage.join(self.folder, trial.user_attrs[FOLDER])

    def value(self, history: dict[str, list[float]], epoch: int = -1) -> float:
        """The metric of an epoch, from the curves.

        Raises:
            ConfigError: the curves have no such metric.
            TrainingError: it is no number.
        """
        curve = history.get(_CURVES.get(self.metric, f"val_{self.metric}"))
        if not curve:
            raise ConfigError(
                "tune needs a validation split with rows: prepare a dataset with one "
                "(prepare.split.validation)"
            )
        value = curve[epoch]
        if not math.isfinite(value):
            raise TrainingError(
                f"validation {self.metric} is no number ({value}) after epoch "
                f"{len(curve) if epoch < 0 else epoch + 1}; such a training has no result"
            )
        return value

    def result(self, history: dict[str, list[float]]) -> float:
        """The metric of the epoch whose weights a training keeps: that of least loss."""
        loss = history.get("val_loss") or [0.0]
        if not all(map(math.isfinite, loss)):
            raise TrainingError("the validation loss (val_loss) is no number; see its curve")
        return self.value(history, loss.index(min(loss)))

    def finished(self) -> list[FrozenTrial]:
        """Trials with a result: done, pruned, or failed by themselves."""
        from optuna.trial import TrialState

        ended = self.optuna.get_trials(
            states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        )
        return [t for t in ended if t.state != TrialState.FAIL or ERROR in t.user_attrs]

    def close(self) -> None:
        self._storage.remove_session()
        self._storage.engine.dispose()
        os.close(self._lock)

    def _lock_it(self, own: Path) -> None:
        self._lock = os.open(own / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise ConfigError(
                f"tune.study: another process runs {self.name} now; let it end, or give this "
                "search another name"
            ) from None


def _metric(settings: Settings) -> str:
    """The metric to search by, checked."""
    task = settings.model.task
    metric = settings.tune.metric or EPOCH_METRICS[task][0]
    if metric not in EPOCH_METRICS[task]:
        raise ConfigError(
            f"tune.metric: {metric} is no metric of a {task} model's epochs; use "
            + ", ".join(EPOCH_METRICS[task])
        )
    return metric
