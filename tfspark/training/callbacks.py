"""What happens at the end of steps and epochs of `model.fit`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from tfspark.errors import TrainingError
from tfspark.training import checkpoint

MONITOR = "val_loss"


class Progress(keras.callbacks.Callback):
    """Early stopping, the best weights, and checkpoints: one state, saved as one.

    Attributes:
        epoch: the next one to train.
        history: metric → value of every epoch so far.
        best_epoch: the epoch of the best validation loss, from 0.
    """

    def __init__(
        self,
        folder: str | None,
        every: int,
        patience: int,
        report: Callable[[dict[str, list[float]]], None] | None = None,
    ) -> None:
        super().__init__()
        self.report = report
        self.folder, self.every, self.patience = folder, every, patience
        self.epoch, self.done = 0, False
        self.best, self.best_epoch = math.inf, -1
        self.best_weights: list[Any] = []
        self.history: dict[str, list[float]] = {}

    def resume(self, model: Any) -> bool:
        """Take the checkpoint's state, where there is one that fits the model."""
        found = checkpoint.load(self.folder) if self.folder else None
        if found is None:
            return False
        arrays, progress = found
        variables = _variables(model)
        now = arrays.get("now", [])
        if [a.shape for a in now] != [tuple(v.shape) for v in variables]:
            return False
        for variable, array in zip(variables, now, strict=True):
            variable.assign(array)
        self.best_weights = arrays.get("best", [])
        for key in ("epoch", "done", "best_epoch", "history"):
            setattr(self, key, progress[key])
        self.best = math.inf if progress["best"] is None else progress["best"]
        return True

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(float(value))
        self.epoch = epoch + 1
        loss = (logs or {}).get(MONITOR)
        if loss is None:  # no validation split: the last epoch is the one
            self.best_epoch = epoch
        elif loss < self.best:
            self.best, self.best_epoch = float(loss), epoch
            self.best_weights = _numbers(self.model.weights)
        elif epoch - self.best_epoch >= self.patience:
            self.done = self.model.stop_training = True
        if self.folder and (self.done or self.epoch % self.every == 0):
            self._save(self.folder)
        if self.report:
            self.report(self.history)

    def finish(self, model: Any) -> None:
        """Give the model its best weights."""
        if self.best_weights:
            for variable, best in zip(model.weights, self.best_weights, strict=True):
                variable.assign(best)

    def _save(self, folder: str) -> None:
        arrays = {"now": _numbers(_variables(self.model)), "best": self.best_weights}
        best = self.best if math.isfinite(self.best) else None
        progress: dict[str, Any] = {"epoch": self.epoch, "done": self.done, "best": best}
        progress |= {"best_epoch": self.best_epoch, "history": self.history}
        checkpoint.save(folder, arrays, progress)


class StopOnNan(keras.callbacks.Callback):
    """End with an error at the first step whose loss is no number."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in epoch {self.epoch + 1}, step {batch + 1}; "
                "lower training.learning_rate, or look for extreme values in the features"
            )


def _variables(model: Any) -> list[Any]:
    """Weights, random states and the optimizer's own."""
    return [*model.variables, *model.optimizer.variables]


def _numbers(variables: list[Any]) -> list[Any]:
    return [variable.value.numpy() for variable in variables]
