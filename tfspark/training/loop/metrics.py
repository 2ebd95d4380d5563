"""A model's metrics over all ranks: which there are, their variables, what these give.

Ranks add up the variables of metrics (counts and totals), so that an AUC is that of all rows, not
an average.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfspark.compat.keras import loss_tracker
from tfspark.errors import ConfigError
from tfspark.training.ranks.world import World

LOSS = "loss"
SUMS = "sums"  # what a metric class of the user's own says of its variables


def all_metrics(model: Any) -> list[Any]:
    """The model's, and the mean loss where its own `metrics` leave that out."""
    found, tracker = list(model.metrics), loss_tracker(model)
    return found if any(metric is tracker for metric in found) else [tracker, *found]


def metric_variables(model: Any) -> list[Any]:
    return [variable for metric in all_metrics(model) for variable in metric.variables]


def reset_metrics(model: Any) -> None:
    for metric in all_metrics(model):
        metric.reset_state()


def metric_values(model: Any, variables: Sequence[Any], step: str) -> dict[str, float]:
    """The metrics, by name, that these values of `metric_variables` give.

    Args:
        step: `train_step` or `test_step`, which made them; Keras's own keeps the mean loss.
    """
    for variable, value in zip(metric_variables(model), variables, strict=True):
        variable.assign(np.asarray(value))
    found = {name: float(value) for name, value in model.get_metrics_result().items()}
    tracker = loss_tracker(model)
    if not own_step(model, step) or (LOSS not in found and float(tracker.count) > 0):
        found[LOSS] = float(tracker.result())
    return found


def own_step(model: Any, name: str) -> bool:
    """Whether a model's class has a `train_step` or `test_step` of its own."""
    import keras

    return getattr(type(model), name) is not getattr(keras.Model, name)


def keep_loss(model: Any, result: dict[str, Any], before: Any, rows: Any) -> None:
    """In a graph: average the loss of an own step, where the step does not do so itself.

    Args:
        before: how much the mean loss had counted before the step.
        rows: of the step.
    """
    import tensorflow as tf

    tracker = loss_tracker(model)
    kept = tracker.count > before
    tracker.update_state(result[LOSS], sample_weight=tf.where(kept, tf.zeros_like(rows), rows))


def check_sums(model: Any, world: World) -> None:
    """Refuse metrics whose variables cannot be added up over ranks.

    Raises:
        ConfigError: on several ranks, a metric whose class may hold something else than sums.
    """
    import keras

    if world.size == 1:
        return
    for metric in all_metrics(model):
        kind = type(metric)
        known = next((c for c in kind.__mro__ if c.__module__.split(".")[0] == "keras"), None)
        if known in (None, keras.metrics.Metric) and not getattr(kind, SUMS, False):
            raise ConfigError(
                f"the model's metric {metric.name} ({kind.__name__}): several ranks add up a "
                "metric's variables, which is right for counts and totals alone; say "
                f"`{SUMS} = True` in the class if they are such, use keras.metrics.Mean, or train "
                "with one rank"
            )
