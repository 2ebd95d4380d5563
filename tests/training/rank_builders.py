"""Model builders of the tests of ranks, which import them by name."""

from __future__ import annotations

from typing import Any

import keras


def norms(features: Any, output: Any) -> Any:
    """Batch normalisation of the features, and within the network."""
    x = keras.layers.BatchNormalization()(features.encoded)
    x = keras.layers.Dense(8, activation="relu")(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.Model(features.inputs, output.layer()(x))


def small_floats(features: Any, output: Any) -> Any:
    """Weights of bfloat16."""
    hidden = keras.layers.Dense(8, activation="relu", dtype="bfloat16")(features.encoded)
    return keras.Model(features.inputs, output.layer(dtype="bfloat16")(hidden))


class Unpacking(keras.Model):
    """Its step takes a pair, as Keras's guides do, and it keeps a metric of its own."""

    def __init__(self, features: Any, output: Any) -> None:
        super().__init__()
        self.encode = keras.Model(features.inputs, features.encoded)
        self.last = output.layer()
        self.mean = keras.metrics.Mean(name="mean")

    def call(self, inputs: Any) -> Any:
        return self.last(self.encode(inputs))

    def train_step(self, data: Any) -> Any:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            predicted = self(x)
            loss = self.compute_loss(x, y, predicted)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        self.mean.update_state(predicted)
        return {"loss": loss, "mean": self.mean.result()}


class Largest(keras.metrics.Metric):
    """What is no sum."""

    def __init__(self) -> None:
        super().__init__(name="largest")
        self.value = self.add_variable((), "zeros")

    def update_state(self, value: Any, sample_weight: Any = None) -> None:
        self.value.assign(keras.ops.maximum(self.value, keras.ops.max(value)))

    def result(self) -> Any:
        return self.value


class StopsOne(keras.callbacks.Callback):
    """Ends the training on one rank alone, within an epoch."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        import horovod.tensorflow as hvd

        if batch == 1 and hvd.rank() == 1:
            self.model.stop_training = True


def stops_one() -> Any:
    return StopsOne()
