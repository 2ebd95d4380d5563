"""The optimizer, loss and metrics of a recipe, and the step that every way of training takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tfspark.compat.keras import loss_tracker
from tfspark.config.recipe import Model, Training
from tfspark.errors import ConfigError
from tfspark.training.loop.metrics import LOSS, keep_loss, metric_variables, own_step
from tfspark.training.loop.sync import Sync

_ABOVE = -1 + 1e-6  # what log1p takes


def compile_model(
    model: Any, settings: Model, training: Training, rate: float, std: float = 1.0
) -> None:
    """Give the model its optimizer, and the loss and metrics of its task.

    Args:
        rate: the learning rate after warm-up.
        std: of the label of a regression (transformed), whose errors count relative to it.

    Raises:
        ConfigError: settings that do not fit the task or the optimizer.
    """
    import keras

    smoothing = training.label_smoothing
    if settings.task == "regression":
        if smoothing:
            raise ConfigError("training.label_smoothing: is for classes, not for a regression")
        loss = _relative(std, settings.target_transform == "log1p")
        metrics = [
            keras.metrics.MeanAbsoluteError("mae"),
            keras.metrics.RootMeanSquaredError("rmse"),
        ]
    elif settings.task == "binary":
        loss = keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
        metrics = [keras.metrics.BinaryAccuracy("accuracy"), keras.metrics.AUC(name="auc")]
    elif settings.task == "multilabel":
        loss = keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
        area = keras.metrics.AUC(name="auc", multi_label=True, num_labels=model.output_shape[-1])
        metrics = [keras.metrics.BinaryAccuracy("accuracy"), area]
    else:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
        metrics = [keras.metrics.CategoricalAccuracy("accuracy")]
    model.compile(_optimizer(training, rate), loss=loss, weighted_metrics=metrics)
    if training.strategy == "none":
        model.optimizer.build(model.trainable_variables)


def watch_steps(model: Any, sync: Sync, xla: bool, fills: bool = False, forward: Any = None) -> Any:
    """Let every way of training take one and the same step, and count the rows it has trained on.

    A `train_step` of the model's own class is kept; else it is Keras's own, with the forward and
    backward pass in a function that XLA can compile (the exchange between ranks cannot be).

    Args:
        fills: whether this rank has steps without a row: the row that fills them counts nowhere.
        forward: what Keras's own step calls; None: the model.

    Returns:
        int64 variable: real rows that this rank has trained on since it was last set to 0.
    """
    import tensorflow as tf

    own = own_step(model, "train_step")
    if own and xla:
        raise ConfigError("training.xla: the model has a train_step of its own; compile there")
    if xla and sync.moments is not None and sync.moments.layers:
        raise ConfigError(
            "training.xla: ranks normalise a batch together, which XLA cannot compile; leave it "
            "out, or train with one rank"
        )
    tracker = loss_tracker(model)
    step = model.train_step if own else _default_step(model, sync, xla, forward or model)
    with tf.device("CPU:0"):
        rows = tf.Variable(0, dtype=tf.int64, trainable=False, name="rows")

    def train_step(data: Any) -> Any:
        sync.trace()
        counted = tf.shape(data[1], tf.int64)[0]
        here = tf.where(sync.share > 0, counted, tf.zeros_like(counted))
        rows.assign_add(here)
        held = [(v, tf.identity(v.value)) for v in metric_variables(model)] if fills else []
        before = tf.identity(tracker.count)
        result = step(data)
        if own:
            for loss in _losses(result, model):
                sync.note(loss, late=True)
            sync.counted()
        if own and LOSS in result:
            keep_loss(model, result, before, here)
        for variable, value in held:
            variable.assign(tf.where(sync.share > 0, variable.value, value))
        return result

    object.__setattr__(model, "train_step", train_step)
    return rows


def _losses(result: dict[str, Any], model: Any) -> list[Any]:
    """What tells that a step of the model's own went wrong: its losses, else the weights."""
    import tensorflow as tf

    told = [value for name, value in result.items() if LOSS in name.lower()]
    return told or [tf.reduce_sum(tf.cast(w, tf.float32)) for w in model.trainable_weights]


def _default_step(model: Any, sync: Sync, xla: bool, forward: Any) -> Callable[[Any], Any]:
    import tensorflow as tf

    arguments = {"training": True} if _takes_training(forward) else {}

    def gradients(x: Any, y: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            predicted = forward(x, **arguments)
            loss = model.compute_loss(x, y, predicted, weight, training=True)
            scaled = model.optimizer.scale_loss(loss)
        return tape.gradient(scaled, model.trainable_weights), loss, predicted

    passes = tf.function(gradients, jit_compile=True) if xla else gradients

    def train_step(data: Any) -> Any:
        x, y, weight = (*data, None)[:3]
        grads, loss, predicted = passes(x, y, weight)
        sync.note(loss)
        sync.counted()
        model.optimizer.apply(grads, model.trainable_weights)
        loss_tracker(model).update_state(loss, sample_weight=tf.shape(y)[0])
        return model.compute_metrics(x, y, predicted, sample_weight=weight)

    return train_step


def _relative(std: float, log: bool) -> Any:
    """Squared errors in units of the label's spread: steps are as large for labels of any size.

    Args:
        log: whether errors of log(1 + label) count.
    """
    import keras

    if std == 1.0 and not log:
        return keras.losses.MeanSquaredError()

    def relative(y: Any, predicted: Any) -> Any:
        if log:
            y, predicted = (keras.ops.log1p(keras.ops.maximum(x, _ABOVE)) for x in (y, predicted))
        return keras.ops.mean(keras.ops.square((y - predicted) / std), axis=-1)

    return relative


def _optimizer(training: Training, rate: float) -> Any:
    import keras

    name, decay = training.optimizer, training.weight_decay
    if name == "adam" and decay:
        name = "adamw"
    kinds = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
        "adagrad": keras.optimizers.Adagrad,
        "lion": keras.optimizers.Lion,
    }
    extra: dict[str, Any] = {"weight_decay": decay} if decay else {}
    if training.momentum:
        if name not in ("sgd", "rmsprop"):
            raise ConfigError(f"training.momentum: {name} has none; use sgd or rmsprop")
        extra["momentum"] = training.momentum
    return kinds[name](rate, **extra)


def _takes_training(model: Any) -> bool:
    parameters = inspect.signature(model.call).parameters.values()
    return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)
