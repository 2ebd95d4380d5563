"""One training in one process: `model.fit`, early stopping, checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tfspark.errors import ConfigError
from tfspark.recipe import Model, Training
from tfspark.training.data import Split
from tfspark.training.reader import MemoryReader, whole

_EVALUATE_ROWS = 4096


@dataclass(frozen=True)
class Fitted:
    """What a training gave: epochs trained, the one whose weights are kept (from 1), curves."""

    epochs: int
    best_epoch: int
    history: dict[str, list[float]]
    resumed_at: int


def make_deterministic(seed: int) -> None:
    """The same seed gives the same bits, in this process from now on."""
    import keras
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)


def fit(
    model: Any,
    splits: dict[str, Split],
    settings: Model,
    training: Training,
    checkpoints: str | None = None,
    tensorboard: str | None = None,
    report: Callable[[dict[str, list[float]]], None] | None = None,
) -> Fitted:
    """Train a Keras model on `train`, stop by `validation`, and keep the best epoch's weights.

    Args:
        checkpoints: a folder; a checkpoint that is there already is gone on from.
        tensorboard: a folder for the curves.
        report: called after every epoch with the curves so far.

    Raises:
        TrainingError: the loss is no number.
    """
    import keras

    from tfspark.training.callbacks import Progress, StopOnNan

    compile_model(model, settings, training)
    model.optimizer.build(model.trainable_variables)
    reader = MemoryReader(splits["train"], training.batch_size, training.seed)
    progress = Progress(checkpoints, training.checkpoint_epochs, training.patience, report)
    progress.resume(model)
    start = progress.epoch
    callbacks: list[Any] = [StopOnNan(), progress]
    if tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(tensorboard, write_graph=False))
    if start < training.epochs and not progress.done:
        model.fit(
            reader.epochs(start),
            steps_per_epoch=reader.steps,
            initial_epoch=start,
            epochs=training.epochs,
            validation_data=_validation(splits["validation"]),
            callbacks=callbacks,
            shuffle=False,  # the reader does
            verbose=0,
        )
    progress.finish(model)
    return Fitted(progress.epoch, progress.best_epoch + 1, progress.history, start)


def compile_model(model: Any, settings: Model, training: Training) -> None:
    """Give the model its optimizer, and the loss and metrics of its task."""
    import keras

    smoothing = training.label_smoothing
    if settings.task == "regression":
        if smoothing:
            raise ConfigError("training.label_smoothing: is for classes, not for a regression")
        loss, metrics = keras.losses.MeanSquaredError(), [keras.metrics.MeanAbsoluteError("mae")]
    elif settings.task == "binary":
        loss = keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
        metrics = [keras.metrics.BinaryAccuracy("accuracy"), keras.metrics.AUC(name="auc")]
    else:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
        metrics = [keras.metrics.CategoricalAccuracy("accuracy")]
    rate, decay = training.learning_rate, training.weight_decay
    optimizer = (
        keras.optimizers.AdamW(rate, weight_decay=decay) if decay else keras.optimizers.Adam(rate)
    )
    model.compile(optimizer=optimizer, loss=loss, weighted_metrics=metrics)


def _validation(split: Split) -> Any:
    import tensorflow as tf

    if not split.rows:
        return None
    tensors = whole(split)
    starts = tf.data.Dataset.range(0, split.rows, _EVALUATE_ROWS)
    return starts.map(
        lambda at: tf.nest.map_structure(lambda column: column[at : at + _EVALUATE_ROWS], tensors)
    )
