"""Metrics of predictions on a split whose labels are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfspark.quality.details import (
    calibration_error,
    class_ids,
    confusion,
    reliability,
    shares,
)
from tfspark.quality.threshold import HALF
from tfspark.tensors import Array

EPOCH_METRICS = {
    "binary": ("auc", "accuracy", "logloss"),
    "multiclass": ("accuracy", "logloss"),
    "multilabel": ("auc", "accuracy", "logloss"),
    "regression": ("rmse", "mae"),
}
"""Those that are also known of every epoch, of the validation split."""
METRICS = {
    "binary": (*EPOCH_METRICS["binary"], "pr_auc", "precision", "recall", "f1", "ece"),
    "multiclass": (*EPOCH_METRICS["multiclass"], "top_5", "macro_f1", "ece"),
    "multilabel": (*EPOCH_METRICS["multilabel"], "f1", "exact"),
    "regression": (*EPOCH_METRICS["regression"], "r2"),
}
WEIGHTED = "weighted_"
"""Before the name of a metric in which rows count by the contract's column of weights."""
_LOWER = ("logloss", "rmse", "mae", "ece")
LOWER_IS_BETTER = (*_LOWER, *(f"{WEIGHTED}{name}" for name in _LOWER))
_TOP = 5
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


def measure(
    task: str, label: Array, prediction: Array, threshold: float, weight: Array | None
) -> dict[str, float]:
    """`evaluate`, and the same with the weights of rows, named `weighted_...`, if there are any."""
    found = evaluate(task, label, prediction, threshold)
    if weight is not None:
        heavy = evaluate(task, label, prediction, threshold, weight)
        found |= {f"{WEIGHTED}{name}": v for name, v in heavy.items() if name != "rows"}
    return found


def evaluate(
    task: str,
    label: Array,
    prediction: Array,
    threshold: float = HALF,
    weight: Array | None = None,
) -> dict[str, float]:
    """The metrics of a task, and `rows`. What cannot be computed (no rows, an AUC with one
    class) is left out.

    Args:
        label: [rows, units], as `training.data.Label.encode` gives it.
        prediction: [rows, units].
        threshold: above it a row of two classes counts as positive.
        weight: [rows], 0 or more: how much a row counts; None: all the same.
    """
    rows = len(label)
    result: dict[str, float] = {"rows": rows}
    w = np.ones(rows) if weight is None else weight.astype("float64")
    if not (w > 0).all():  # such rows do not count, not as a class that is there either
        label, prediction, w = label[w > 0], prediction[w > 0], w[w > 0]
    if not len(label):
        return result
    y, p = label.astype("float64"), prediction.astype("float64")

    def mean(values: Array) -> float:
        return float(np.average(values, weights=w))

    if task == "regression":
        error = (p - y)[:, 0]
        result["rmse"] = float(np.sqrt(mean(error**2)))
        result["mae"] = mean(np.abs(error))
        spread = mean((y[:, 0] - mean(y[:, 0])) ** 2)
        if spread > 0:
            result["r2"] = 1.0 - mean(error**2) / spread
        return result
    held = np.clip(p, _TINY, 1 - _TINY)
    if task == "multilabel":
        return result | _of_several(y, p, held, w)
    if task == "binary":
        ranked = auc(y[:, 0], p[:, 0], w)
        if ranked is not None:
            result["auc"] = ranked
        table = confusion(class_ids(y, HALF), class_ids(prediction, threshold), 2, w)
        precision, recall, f1 = (share[1] for share in shares(table))
        result["accuracy"] = float(np.trace(table) / w.sum())
        result["logloss"] = -mean((y * np.log(held) + (1 - y) * np.log(1 - held))[:, 0])
        ranked = average_precision(y[:, 0], p[:, 0], w)
        if ranked is not None:
            result["pr_auc"] = ranked
        result |= {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
        result["ece"] = calibration_error(reliability(y[:, 0], p[:, 0], w))
        return result
    truth, predicted, units = y.argmax(1), p.argmax(1), y.shape[1]
    result["accuracy"] = mean(predicted == truth)
    result["logloss"] = -mean(np.sum(y * np.log(held), 1))
    if units > _TOP:
        better = (p > p[np.arange(len(p)), truth][:, None]).sum(1)
        result["top_5"] = mean(better < _TOP)
    table = confusion(truth, predicted, units, w)
    there = table.sum(0) + table.sum(1) > 0
    result["macro_f1"] = float(shares(table)[2][there].mean())
    result["ece"] = calibration_error(reliability(predicted == truth, p.max(1), w))
    return result


def _of_several(y: Array, p: Array, held: Array, w: Array) -> dict[str, float]:
    """Labels side by side: the mean AUC of those with both values, the rest over all of them."""
    areas = [auc(y[:, n], p[:, n], w) for n in range(y.shape[1])]
    known = [area for area in areas if area is not None]
    truth, said = y > HALF, p > HALF
    both, either = (float(w @ pairs.sum(1)) for pairs in (truth & said, 1 * truth + said))

    def mean(values: Array) -> float:
        return float(np.average(values, weights=w))

    return {
        **({"auc": float(np.mean(known))} if known else {}),
        "accuracy": mean((truth == said).sum(1)) / y.shape[1],
        "logloss": -mean((y * np.log(held) + (1 - y) * np.log(1 - held)).mean(1)),
        "f1": 2 * both / either if either else 0.0,
        "exact": mean((truth == said).all(1)),
    }


def average_precision(label: Array, score: Array, weight: Array | None = None) -> float | None:
    """Area under the curve of precision by recall, as steps (average precision).

    None where no row is positive.
    """
    w = np.ones(len(label)) if weight is None else weight
    positive = np.where(label > HALF, w, 0.0)
    if not positive.any():
        return None
    order = np.argsort(-score, kind="stable")
    hits, above, ranked = np.cumsum(positive[order]), np.cumsum(w[order]), score[order]
    last = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], True))
    found = np.diff(hits[last], prepend=0) * hits[last] / above[last]
    return float(found.sum() / hits[-1])


def auc(label: Array, score: Array, weight: Array | None = None) -> float | None:
    """Area under the ROC curve: how often a positive row has the higher score (ties: half).

    None where one class only is there.
    """
    w = np.ones(len(label)) if weight is None else weight
    positive = label > HALF
    if not w[positive].any() or not w[~positive].any():
        return None
    _, place = np.unique(score, return_inverse=True)
    ones, zeros = (np.bincount(place, weights=np.where(of, w, 0.0)) for of in (positive, ~positive))
    below = np.cumsum(zeros) - zeros / 2
    return float((ones @ below) / (ones.sum() * zeros.sum()))
