"""What a manifest says of a model's classes beside its metrics: who is taken for whom, how sure."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfspark.tensors import Array

_BINS = 10
_MOST_CLASSES = 100


def class_ids(prediction: Array, threshold: float) -> Array:
    """The predicted class of each row: int [rows].

    Args:
        prediction: [rows, units].
        threshold: of two classes.
    """
    if prediction.shape[1] > 1:
        most: Array = prediction.argmax(1)
        return most
    above: Array = (prediction[:, 0] > threshold).astype("int64")
    return above


def confusion(label: Array, predicted: Array, classes: int, weight: Array | None = None) -> Array:
    """Rows, or their weights, by their class and the predicted one: [classes, classes]."""
    pairs = np.bincount(label * classes + predicted, weight, minlength=classes * classes)
    table: Array = pairs.reshape(classes, classes)
    return table


def shares(table: Array) -> tuple[Array, Array, Array]:
    """Precision, recall and F1 of each class; 0 where there is nothing to divide by."""
    hits = np.diag(table).astype("float64")
    precision, recall = hits / _some(table.sum(0)), hits / _some(table.sum(1))
    f1 = 2 * hits / _some(table.sum(0) + table.sum(1))
    return precision, recall, f1


def reliability(right: Array, sure: Array, weight: Array | None = None) -> Array:
    """How often a prediction is right, by how sure it is: float64 [ten bins of equal width, 3].

    Each bin: its rows (or their weights), the mean of `sure`, the share that is right.
    """
    place = np.clip((sure * _BINS).astype("int64"), 0, _BINS - 1)
    w = np.ones(len(place)) if weight is None else weight
    rows, sums, hits = (np.bincount(place, of, _BINS) for of in (w, w * sure, w * right))
    return np.column_stack([rows, sums / _some(rows), hits / _some(rows)])


def calibration_error(bins: Array) -> float:
    """The expected calibration error (ECE): |sure - right| of the bins, weighed by their rows."""
    rows, apart = bins[:, 0], np.abs(bins[:, 1] - bins[:, 2])
    return float(np.sum(rows * apart) / _some(rows.sum()))


def _some(count: Array) -> Array:
    """1 in the place of 0, to divide by."""
    found: Array = np.where(count > 0, count, 1)
    return found


def describe(
    label: Array, prediction: Array, classes: list[Any] | None, threshold: float
) -> dict[str, Any]:
    """Of the test split: confusion matrix, each class's measures, the reliability curve.

    Returns:
        {} of a number, or without rows.
    """
    if classes is None or not len(label):
        return {}
    truth = class_ids(label, 0.5)
    table = confusion(truth, class_ids(prediction, threshold), len(classes))
    precision, recall, f1 = shares(table)
    of_one = prediction.shape[1] == 1
    sure = prediction[:, 0] if of_one else prediction.max(1)
    right = label[:, 0] if of_one else (prediction.argmax(1) == truth)
    told: dict[str, Any] = {
        "classes": {
            str(name): {
                "rows": int(table[n].sum()),
                "precision": round(float(precision[n]), 6),
                "recall": round(float(recall[n]), 6),
                "f1": round(float(f1[n]), 6),
            }
            for n, name in enumerate(classes)
        },
        "reliability": [
            {"rows": int(rows), "predicted": round(float(mean), 6), "is": round(float(share), 6)}
            for rows, mean, share in reliability(right, sure.astype("float64"))
        ],
    }
    if len(classes) <= _MOST_CLASSES:
        told["confusion"] = table.tolist()
    return told
