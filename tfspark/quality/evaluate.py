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
LOWER_IS_BETTER = ("logloss", "rmse", "mae", "ece")
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


def evaluate(
    task: str, label: Array, prediction: Array, threshold: float = HALF
) -> dict[str, float]:
    """The metrics of a task, and `rows`. What cannot be computed (no rows, an AUC with one
    class) is left out.

    Args:
        label: [rows, units], as `training.data.Label.encode` gives it.
        prediction: [rows, units].
        threshold: above it a row of two classes counts as positive.
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
        spread = float(np.sum((y - y.mean()) ** 2))
        if spread > 0:
            result["r2"] = 1.0 - float(np.sum(error**2)) / spread
        return result
    held = np.clip(p, _TINY, 1 - _TINY)
    if task == "multilabel":
        return result | _of_several(y, p, held)
    if task == "binary":
        ranked = auc(y[:, 0], p[:, 0])
        if ranked is not None:
            result["auc"] = ranked
        table = confusion(class_ids(y, HALF), class_ids(prediction, threshold), 2)
        precision, recall, f1 = (share[1] for share in shares(table))
        result["accuracy"] = float(np.trace(table) / rows)
        result["logloss"] = float(-np.mean(y * np.log(held) + (1 - y) * np.log(1 - held)))
        ranked = average_precision(y[:, 0], p[:, 0])
        if ranked is not None:
            result["pr_auc"] = ranked
        result |= {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
        result["ece"] = calibration_error(reliability(y[:, 0], p[:, 0]))
        return result
    truth, predicted, units = y.argmax(1), p.argmax(1), y.shape[1]
    result["accuracy"] = float(np.mean(predicted == truth))
    result["logloss"] = float(-np.mean(np.sum(y * np.log(held), 1)))
    if units > _TOP:
        better = (p > p[np.arange(rows), truth][:, None]).sum(1)
        result["top_5"] = float(np.mean(better < _TOP))
    table = confusion(truth, predicted, units)
    there = table.sum(0) + table.sum(1) > 0
    result["macro_f1"] = float(shares(table)[2][there].mean())
    result["ece"] = calibration_error(reliability(predicted == truth, p.max(1)))
    return result


def _of_several(y: Array, p: Array, held: Array) -> dict[str, float]:
    """Labels side by side: the mean AUC of those with both values, the rest over all of them."""
    areas = [auc(y[:, n], p[:, n]) for n in range(y.shape[1])]
    known = [area for area in areas if area is not None]
    truth, said = y > HALF, p > HALF
    both = int((truth & said).sum())
    return {
        **({"auc": float(np.mean(known))} if known else {}),
        "accuracy": float(np.mean(truth == said)),
        "logloss": float(-np.mean(y * np.log(held) + (1 - y) * np.log(1 - held))),
        "f1": 2 * both / max(1, int(truth.sum() + said.sum())),
        "exact": float(np.mean((truth == said).all(1))),
    }


def average_precision(label: Array, score: Array) -> float | None:
    """Area under the curve of precision by recall, as steps (average precision).

    None where no row is positive.
    """
    positive = label > HALF
    if not positive.any():
        return None
    order = np.argsort(-score, kind="stable")
    hits, ranked = np.cumsum(positive[order]), score[order]
    last = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], True))
    found = np.diff(hits[last], prepend=0) * hits[last] / (last + 1)
    return float(found.sum() / hits[-1])


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
