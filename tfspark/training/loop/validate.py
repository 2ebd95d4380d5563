"""A model's loss and metrics on a split, over all ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfspark.training.ranks.world import World


def validate(
    model: Any, batches: Any, world: World, tick: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Each rank takes its part of the rows; the metrics are those of all rows.

    Metrics are added up by their variables (counts and totals), so an AUC is that of all rows,
    not an average. Resets the model's metrics.

    Args:
        batches: this rank's part, as `Reader.once` gives it.
        tick: called after every batch.
    """
    if model.distribute_strategy.num_replicas_in_sync > 1:
        told: dict[str, float] = model.evaluate(batches, return_dict=True, verbose=0)
        return told
    step = _test_function(model)
    model.reset_metrics()
    for batch in batches:
        step(batch)
        tick()
    values = world.sum([v.value.numpy() for v in model.metrics_variables])
    result = metric_values(model, values)
    model.reset_metrics()
    return result


def metric_values(model: Any, variables: list[Any]) -> dict[str, float]:
    """The metrics, by name, that these values of `model.metrics_variables` give."""
    for variable, value in zip(model.metrics_variables, variables, strict=True):
        variable.assign(np.asarray(value))
    return {name: float(value) for name, value in model.get_metrics_result().items()}


def _test_function(model: Any) -> Callable[[Any], Any]:
    """One graph a model: made once, not at every epoch."""
    import tensorflow as tf

    made = getattr(model, "_tfspark_test", None)
    if made is None:
        made = tf.function(lambda batch: model.test_step(batch), reduce_retracing=True)
        object.__setattr__(model, "_tfspark_test", made)
    return made  # type: ignore[no-any-return]
