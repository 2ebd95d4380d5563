"""How far a training is: the position, early stopping, the best weights, the curves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfspark import storage
from tfspark.config.recipe import ReduceRate, Training
from tfspark.tensors import Array
from tfspark.training.loop import checkpoint
from tfspark.training.ranks.world import World

MONITOR = "val_loss"
_SAVED = ("epoch", "step", "done", "best_epoch", "history", "partial", "rows", "seconds")


@dataclass
class State:
    """What a checkpoint holds beside the variables.

    Attributes:
        epoch, step: the next one to train, from 0.
        done: nothing is left to train.
        best_epoch: the epoch of the best validation loss, from 0 (without validation: the last).
        best_weights: the values of `model.weights` to keep.
        history: metric → value of every epoch so far.
        partial, rows: within an epoch: its metrics' variables so far, and the rows trained on.
        resumed_at: the position where this process began.
    """

    epoch: int = 0
    step: int = 0
    done: bool = False
    best: float = math.inf
    best_epoch: int = -1
    best_weights: list[Array] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)
    partial: list[Any] = field(default_factory=list)
    rows: int = 0
    seconds: float = 0.0
    resumed_at: tuple[int, int] = (0, 0)

    def after_epoch(self, model: Any, logs: dict[str, float], training: Training) -> None:
        """Take an epoch's metrics: move on, keep the best weights, know when to stop."""
        for key, value in logs.items():
            self.history.setdefault(key, []).append(float(value))
        epoch, loss = self.epoch, logs.get(MONITOR)
        self.epoch, self.step, self.partial, self.rows = epoch + 1, 0, [], 0
        if loss is None or loss < self.best:
            self.best, self.best_epoch = self.best if loss is None else float(loss), epoch
            self.best_weights = _numbers(model.weights)
        self.done = epoch - self.best_epoch >= training.patience or self.epoch >= training.epochs

    def save(self, folder: str, model: Any, keep: int) -> None:
        """Write a checkpoint; rank 0 does."""
        progress: dict[str, Any] = {key: getattr(self, key) for key in _SAVED}
        progress["best"] = self.best if math.isfinite(self.best) else None
        arrays = {"now": _numbers(_variables(model)), "best": self.best_weights}
        checkpoint.save(folder, arrays, progress, keep)

    def resume(self, folder: str, model: Any, world: World) -> None:
        """Take the newest whole checkpoint, where there is one that fits the model.

        Rank 0 reads it; the others get its variables and the position from there.
        """
        found = checkpoint.load(folder) if world.rank == 0 else None
        variables = _variables(model)
        now = found[0].get("now", []) if found else []
        fits = found is not None and [a.shape for a in now] == [tuple(v.shape) for v in variables]
        if found and fits and found[1]["done"] and not found[0].get("best"):
            fits = False  # no epoch was the best
        if found and not fits:
            storage.delete(folder)  # so that what is written next is the newest
        if found and fits:
            for variable, array in zip(variables, now, strict=True):
                variable.assign(array)
            self.best_weights = found[0].get("best", [])
        progress = world.tell(found[1] if found and fits else None)
        world.broadcast(variables)
        _own_random_states(model, world)
        if progress is None:
            return
        for key in _SAVED:
            setattr(self, key, progress[key])
        self.best = math.inf if progress["best"] is None else progress["best"]
        if world.rank:
            self.partial = []  # rank 0 goes on with the sum of all ranks
        self.resumed_at = (self.epoch, self.step)


def keep_best(folder: str, model: Any) -> State | None:
    """Give a model the weights that a finished training kept; None: it is not finished."""
    found = checkpoint.load(folder)
    if found is None or not found[1]["done"] or "best" not in found[0]:
        return None
    for weight, array in zip(model.weights, found[0]["best"], strict=True):
        weight.assign(array)
    state = State(best_weights=found[0]["best"])
    for key in _SAVED:
        setattr(state, key, found[1][key])
    return state


def rate_at(
    peak: float, training: Training, steps: int, epoch: int, step: int, losses: list[float]
) -> float:
    """The learning rate of a step: warm-up, then less at every plateau of the validation loss.

    A function of the curves alone, so that a training that goes on has the rate of one that
    was not killed.

    Args:
        steps: steps of an epoch.
        losses: validation losses of the epochs so far.
    """
    warm = training.warmup_epochs * steps
    done = epoch * steps + step + 1
    if done < warm:
        return peak * done / warm
    reduce = training.reduce_learning_rate
    return peak if reduce is None else max(reduce.least, peak * _reductions(reduce, losses))


def _reductions(reduce: ReduceRate, losses: list[float]) -> float:
    factor, best, waited = 1.0, math.inf, 0
    for loss in losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited == reduce.patience:
            factor, waited = factor * reduce.factor, 0
    return factor


def _own_random_states(model: Any, world: World) -> None:
    """Dropout of another rank is other dropout; rank 0's is what a checkpoint holds."""
    weights = {id(weight) for weight in model.weights}
    for variable in model.variables:
        if id(variable) not in weights and world.rank and tuple(variable.shape) == (2,):
            state = variable.value.numpy()
            mixed = (int(state[0]) + 0x9E3779B9 * world.rank) % 2**31
            variable.assign(np.array([mixed, state[1]], state.dtype))


def _variables(model: Any) -> list[Any]:
    """Weights, random states and the optimizer's own."""
    return [*model.variables, *model.optimizer.variables]


def _numbers(variables: list[Any]) -> list[Array]:
    return [variable.value.numpy() for variable in variables]
