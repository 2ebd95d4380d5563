"""Three ways to train: `model.fit`, `model.train_on_batch`, and a loop over a `tf.function`.

Each runs the epochs that are left, from any position, and calls the same callbacks at the same
moments; what a step does is `model.train_step`, whichever way calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

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


def train_on_batch(
    model: Any, reader: Reader, state: State, epochs: int, callbacks: list[Any]
) -> None:
    """`model.train_on_batch`, kept from forgetting its metrics at every call."""

    def step(batches: Iterator[Any]) -> Any:
        x, y, weight = (*next(batches), None)[:3]
        object.__setattr__(model, "reset_metrics", lambda: None)
        try:
            return model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
        finally:
            object.__delattr__(model, "reset_metrics")

    _loop(model, reader, state, epochs, callbacks, step)


def custom(model: Any, reader: Reader, state: State, epochs: int, callbacks: list[Any]) -> None:
    """A loop of our own over one `tf.function`."""
    import tensorflow as tf

    @tf.function
    def graph(batches: Any) -> Any:
        return model.train_step(next(batches))

    _loop(model, reader, state, epochs, callbacks, graph)


WAYS: dict[str, Way] = {"fit": fit, "train_on_batch": train_on_batch, "custom": custom}


def _loop(
    model: Any,
    reader: Reader,
    state: State,
    epochs: int,
    callbacks: list[Any],
    run_step: Callable[[Iterator[Any]], Any],
) -> None:
    import keras

    hooks = keras.callbacks.CallbackList(
        callbacks, model=model, epochs=epochs, steps=reader.steps, verbose=0
    )
    model.stop_training = False
    hooks.on_train_begin()
    batches = iter(reader.batches(state.epoch, state.step))
    logs: Any = {}
    while not state.done:
        epoch, begun = state.epoch, state.step
        model.reset_metrics()
        hooks.on_epoch_begin(epoch)
        for batch in range(reader.steps - begun):
            hooks.on_train_batch_begin(batch)
            logs = run_step(batches)
            hooks.on_train_batch_end(batch, logs)
        logs = {name: float(value) for name, value in model.get_metrics_result().items()}
        hooks.on_epoch_end(epoch, logs)
    model.optimizer.finalize_variable_values(model.trainable_weights)
    hooks.on_train_end(logs)
