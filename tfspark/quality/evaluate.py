"""Metrics of predictions on a split whose labels are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfspark.tensors import Array

METRICS = {
    "binary": ("auc", "accuracy", "logloss"),
    "multiclass": ("accuracy", "logloss"),
    "regression": ("rmse", "mae"),
}
LOWER_IS_BETTER = ("logloss", "rmse", "mae")
_TINY = 1e-7


def predictor(model: Any) -> Callable[[Mapping[str, Any]], Array]:
    """A function from a batch (raw column → array or tensor) to predictions, float32
    [rows, units]."""
    import tensorflow as tf

    call = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)

    def predict(batch: Mapping[str, Any]) -> Array:
        given = {name: tf.convert_to_tensor(column) for name, column in batch.items()}
        result: Array = tf.cast(call(given), tf.float32).numpy()
        return result

    return predict


def evaluate(task: str, label: Array, prediction: Array) -> dict[str, float]:
    """The metrics of a task, and `rows`. What cannot be computed (no rows, an AUC with one
    class) is left out.

    Args:
        label: [rows, units], as `training.data.Label.encode` gives it.
        prediction: [rows, units].
    """
    rows = len(label)
    result: dict[str, float] = {"rows": rows}
    if not rows:
        return result
    y, p = label.astype("float64"), prediction.astype("float64")
    if task == "regression":
        error = (p - y)[:, 0]
        result["rmse"] = float(np.sqrt(np.mean(error**2)))
        result["mae"] = float(np.mean(np.abs(error)))
        return result
    held = np.clip(p, _TINY, 1 - _TINY)
    if task == "binary":
        ranked = auc(y[:, 0], p[:, 0])
        if ranked is not None:
            result["auc"] = ranked
        result["accuracy"] = float(np.mean((p[:, 0] > 0.5) == (y[:, 0] > 0.5)))
        result["logloss"] = float(-np.mean(y * np.log(held) + (1 - y) * np.log(1 - held)))
        return result
    result["accuracy"] = float(np.mean(p.argmax(1) == y.argmax(1)))
    result["logloss"] = float(-np.mean(np.sum(y * np.log(held), 1)))
    return result


def auc(label: Array, score: Array) -> float | None:
    """Area under the ROC curve: how often a positive row has the higher score (ties: half).

    None where one class only is there.
    """
    positive = label > 0.5
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return None
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))
