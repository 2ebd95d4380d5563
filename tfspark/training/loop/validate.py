"""A model's loss and metrics on a split, over all ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfspark.compat.keras import loss_tracker
from tfspark.errors import ConfigError
from tfspark.training.loop.metrics import (
    LOSS,
    keep_loss,
    metric_values,
    metric_variables,
    own_step,
    reset_metrics,
)
from tfspark.training.ranks.world import World


def validate(
    model: Any, batches: Any, world: World, tick: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Each rank takes its part of the rows; the metrics are those of all rows.

    `loss` is the model's own, if it has a `test_step`, else the loss of the recipe, whatever
    metrics the model lists. Resets the model's metrics.

    Args:
        batches: this rank's part, as `Reader.once` gives it.
        tick: called after every batch.
    """
    if model.distribute_strategy.num_replicas_in_sync > 1:
        told: dict[str, float] = model.evaluate(batches, return_dict=True, verbose=0)
        return told
    step = _test_function(model)
    reset_metrics(model)
    for batch in batches:
        step(batch)
        tick()
    values = world.sum([v.value.numpy() for v in metric_variables(model)])
    result = metric_values(model, values, "test_step")
    reset_metrics(model)
    return result


def check_loss(model: Any) -> None:
    """Whether a `test_step` of the model's own, which was run once, tells a loss.

    Raises:
        ConfigError: it does not, so nothing would say which epoch is the best.
    """
    tracker = loss_tracker(model)
    others = [metric.name for metric in model.metrics if metric is not tracker]
    if own_step(model, "test_step") and LOSS not in others and float(tracker.count) == 0:
        told = ", ".join(map(str, model.get_metrics_result())) or "nothing"
        raise ConfigError(
            f"the model's test_step tells no `{LOSS}` (it tells {told}): early stopping and the "
            f"weights that are kept go by it; name a metric `{LOSS}`, or return it by that name"
        )


def _test_function(model: Any) -> Callable[[Any], Any]:
    """One graph a model: made once, not at every epoch."""
    import tensorflow as tf

    made = getattr(model, "_tfspark_test", None)
    if made is None:
        made = tf.function(lambda batch: test_step(model, batch), reduce_retracing=True)
        object.__setattr__(model, "_tfspark_test", made)
    return made  # type: ignore[no-any-return]


def test_step(model: Any, batch: Any) -> None:
    """The model's own, whose loss counts also where it only returns it."""
    import tensorflow as tf

    before = tf.identity(loss_tracker(model).count)
    result = model.test_step(batch)
    if own_step(model, "test_step") and isinstance(result, dict) and LOSS in result:
        keep_loss(model, result, before, tf.shape(batch[1], tf.int64)[0])
