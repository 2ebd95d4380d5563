"""Three ways to train: `model.fit`, `model.train_on_batch`, and a loop over a `tf.function`.

Each runs the epochs that are left, from any position, and calls the same callbacks at the same
moments; what a step does is `model.train_step`, whichever way calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tfspark.training.loop.state import State
from tfspark.training.readers import Reader

Way = Callable[[Any, Reader, State, int, list[Any]], None]


def fit(model: Any, reader: Reader, state: State, epochs: int, callbacks: list[Any]) -> None:
    """`model.fit`; an epoch that was begun before is a call of its own."""
    while not state.done and state.epoch < epochs:
        begun = state.step
        model.fit(
            reader.batches(state.epoch, begun),
            steps_per_epoch=reader.steps - begun,
            initial_epoch=state.epoch,
            epochs=state.epoch + 1 if begun else epochs,
            callbacks=callbacks,
            shuffle=False,  # the reader does
            verbose=0,
        )
        if model.stop_training:
            break


def train_on_batch(
    model: Any, reader: Reader, state: State, epochs: int, callbacks: list[Any]
) -> None:
    """`model.train_on_batch`, which forgets its metrics at every call: they are added up here."""
    sums: list[Any] = []

    def step(batches: Iterator[Any], first: bool) -> Any:
        nonlocal sums
        if first:
            sums = _values(model)
        x, y, weight = (*next(batches), None)[:3]
        logs = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
        sums = [a + b for a, b in zip(sums, _values(model), strict=True)]
        for variable, total in zip(model.metrics_variables, sums, strict=True):
            variable.assign(total)
        return logs

    _loop(model, reader, state, epochs, callbacks, step)


def custom(model: Any, reader: Reader, state: State, epochs: int, callbacks: list[Any]) -> None:
    """A loop of our own over one `tf.function`."""
    import tensorflow as tf

    @tf.function
    def graph(batches: Any) -> Any:
        return model.train_step(next(batches))

    _loop(model, reader, state, epochs, callbacks, lambda batches, _: graph(batches))


WAYS: dict[str, Way] = {"fit": fit, "train_on_batch": train_on_batch, "custom": custom}


def _loop(
    model: Any,
    reader: Reader,
    state: State,
    epochs: int,
    callbacks: list[Any],
    run_step: Callable[[Iterator[Any], bool], Any],
) -> None:
    import keras

    hooks = keras.callbacks.CallbackList(
        callbacks, model=model, epochs=epochs, steps=reader.steps, verbose=0
    )
    model.stop_training = False
    hooks.on_train_begin()
    batches = iter(reader.batches(state.epoch, state.step))
    logs: Any = {}
    while not (state.done or model.stop_training):
        epoch, begun = state.epoch, state.step
        model.reset_metrics()
        hooks.on_epoch_begin(epoch)
        for batch in range(reader.steps - begun):
            hooks.on_train_batch_begin(batch)
            logs = run_step(batches, batch == 0)
            hooks.on_train_batch_end(batch, logs)
            if model.stop_training:
                break
        logs = {name: float(value) for name, value in model.get_metrics_result().items()}
        hooks.on_epoch_end(epoch, logs)
    model.optimizer.finalize_variable_values(model.trainable_weights)
    hooks.on_train_end(logs)


def _values(model: Any) -> list[Any]:
    return [np.array(variable.value.numpy()) for variable in model.metrics_variables]
