"""Readers: the rows of an epoch as tensors, in an order that (seed, epoch) alone decides."""

from __future__ import annotations

from typing import Any, Protocol

from tfspark.training.data import Split


class Reader(Protocol):
    """Gives the batches of every epoch; each epoch is a permutation of all rows."""

    rows: int
    steps: int
    """Batches in an epoch."""

    def epochs(self, first: int) -> Any:
        """tf.data.Dataset of (inputs, label, weight): epoch `first`, the one after it, ... .

        Started at any epoch it gives what a run from epoch 0 gives from there on.
        """


class MemoryReader:
    """A split that fits in memory."""

    def __init__(self, split: Split, batch_size: int, seed: int) -> None:
        self.split, self.batch_size, self.seed = split, batch_size, seed
        self.rows = split.rows
        self.steps = -(-split.rows // batch_size)

    def epochs(self, first: int) -> Any:
        import tensorflow as tf

        columns = whole(self.split)

        def epoch(number: Any) -> Any:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(self.rows), seed=tf.stack([tf.constant(self.seed, tf.int64), number])
            )
            return tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size)

        numbers = tf.data.Dataset.range(first, tf.int64.max)
        return (
            numbers.flat_map(epoch)
            .map(
                lambda rows: tf.nest.map_structure(lambda column: tf.gather(column, rows), columns)
            )
            .prefetch(2)
        )


def whole(split: Split) -> Any:
    """A split as tensors: (inputs, label), and the weights where there are some."""
    import tensorflow as tf

    inputs = {name: tf.constant(values) for name, values in split.inputs.items()}
    label = tf.constant(split.label)
    return (inputs, label) if split.weight is None else (inputs, label, tf.constant(split.weight))
