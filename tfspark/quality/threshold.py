"""From which probability on a row counts as the positive class: chosen on the validation split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfspark.errors import TrainingError
from tfspark.tensors import Array

HALF = 0.5


def choose(rule: float | str | Mapping[Any, float], label: Array, score: Array) -> float:
    """The threshold of a rule; a row is positive where its score is above it.

    Args:
        rule: a number, `f1` (the largest), or {precision: least} (with the largest recall), or
            {recall: least} (with the largest precision).
        label: 0 or 1 [rows], of the validation split.
        score: float32 [rows].

    Raises:
        TrainingError: no rows of both classes, or no threshold reaches what is asked.
    """
    if isinstance(rule, int | float):
        return float(rule)
    positive = label > HALF
    if not positive.any() or positive.all():
        raise TrainingError(
            "model.threshold: the validation split has no rows of both classes to choose by; give "
            "it more rows (prepare.split.validation), or a number"
        )
    thresholds, precision, recall = _curve(positive, score)
    if isinstance(rule, str):  # f1
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        return float(thresholds[int(f1.argmax())])
    name, least = next(iter(rule.items()))
    given, other = (precision, recall) if name == "precision" else (recall, precision)
    reached = given >= least
    if not reached.any():
        raise TrainingError(
            f"model.threshold: no threshold has a {name} of {least:g} on the validation split; the "
            f"largest is {given.max():.4f}"
        )
    return float(thresholds[int(np.where(reached, other, -1.0).argmax())])


def _curve(positive: Array, score: Array) -> tuple[Array, Array, Array]:
    """Thresholds between neighbouring scores (and 0), with precision and recall above each."""
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order].astype("float32"), np.cumsum(positive[order])
    last = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], True))
    below = np.append(ranked[last[1:]], np.float32(0))
    middle = ((ranked[last].astype("float64") + below) / 2).astype("float32")
    thresholds = np.where(middle < ranked[last], middle, below)  # nothing lies between
    # Where the least score is 0 itself, no threshold from 0 on is below it.
    there = thresholds < ranked[last]
    if not there.any():
        return np.zeros(1, "float32"), np.zeros(1), np.zeros(1)
    return thresholds[there], (hits[last] / (last + 1))[there], (hits[last] / hits[-1])[there]
