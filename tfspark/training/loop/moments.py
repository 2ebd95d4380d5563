"""Batch normalisation over the rows of all ranks.

A rank that normalised with its own rows alone would train another model with every number of
ranks, and with one row a rank none at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tfspark.compat.keras import batch_normalizations, use_moments
from tfspark.training.ranks.world import World


class Moments:
    """Gives every batch normalisation of a model the mean and variance of the global batch.

    Args:
        share: this rank's part of a step's rows, 0 where it has only a filler.
    """

    def __init__(self, model: Any, world: World, share: Any) -> None:
        self.world, self.share = world, share
        self.layers = batch_normalizations(model)
        self._calls: Counter[int] = Counter()
        _ = world.entered  # made outside of graphs
        for number, layer in enumerate(self.layers):
            use_moments(layer, self._of(number))

    def trace(self) -> None:
        self._calls.clear()

    def _of(self, number: int) -> Callable[[Any, Any, Any], Any]:
        def moments(inputs: Any, mask: Any, axes: Any) -> Any:
            # The same on all ranks, and another for each call of a layer in a step.
            name = f"moments.{number}.{self._calls[number]}"
            self._calls[number] += 1
            return self._moments(inputs, mask, list(axes), name)

        return moments

    def _moments(self, inputs: Any, mask: Any, axes: list[int], name: str) -> Any:
        """Mean and variance over `axes` and ranks; in float64, where one exchange is enough."""
        import tensorflow as tf

        wide = tf.cast(inputs, tf.float64)
        weight = tf.ones_like(wide)
        if mask is not None:
            there = tf.broadcast_to(tf.cast(mask, tf.bool)[..., None], tf.shape(wide))
            weight, wide = tf.cast(there, wide.dtype), tf.where(there, wide, 0)
        own = tf.stack([tf.reduce_sum(each, axes) for each in (weight, wide, tf.square(wide))])
        real = tf.cast(self.share > 0, tf.float64)
        count, first, second = tf.unstack(self._total(tf.math.multiply_no_nan(own, real), name))
        mean = tf.math.divide_no_nan(first, count)
        variance = tf.maximum(tf.math.divide_no_nan(second, count) - tf.square(mean), 0.0)
        return tf.cast(mean, inputs.dtype), tf.cast(variance, inputs.dtype)

    def _total(self, own: Any, name: str) -> Any:
        """The sum over ranks, and its gradient.

        Ranks weigh their gradients by their shares afterwards (`Sync`). What came from another
        rank has that rank's weight, so it is weighed here, and this rank's weight is taken out.
        """
        import tensorflow as tf

        @tf.custom_gradient
        def total(tensor: Any) -> Any:
            def gradient(above: Any) -> Any:
                share = tf.cast(self.share, above.dtype)
                weighed = tf.math.multiply_no_nan(above, share)
                summed = self.world.reduce(weighed, f"{name}.gradient")
                return tf.math.divide_no_nan(summed, share)

            return self.world.reduce(tensor, name), gradient

        return total(own)
