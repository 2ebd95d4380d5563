"""The metrics of both, the difference of each with its interval, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from tfspark.config.gate import MARGINS, SLICE_MARGINS
from tfspark.judge.verdict import Word
from tfspark.quality.compare import Difference, of_auc, of_sums
from tfspark.quality.evaluate import auc
from tfspark.tensors import Array

METRICS = {
    "binary": ("auc", "logloss"),
    "multiclass": ("logloss", "accuracy"),
    "regression": ("mse", "mae"),
}
"""Of a task; the first decides, the other may object."""
_TINY = 1e-7
_MOST_ZEROS = 2_000_000  # of a rare class all rows count; of the other so many say as much
_LEAST = 50  # rows of each class, in a slice of its own; of other tasks twice as many rows
_ALPHA = 0.05
SMALL = "small"


@dataclass(frozen=True)
class Measured:
    """One metric of both.

    Attributes:
        margin: how much worse is not worse, in the metric's own unit.
    """

    name: str
    champion: float | None
    challenger: float | None
    difference: Difference
    margin: float

    def to_json(self) -> dict[str, float | None]:
        low, high = self.difference.interval()
        value = self.difference.value
        found = {"champion": self.champion, "challenger": self.challenger, "difference": value}
        return {**found, "low": _finite(low), "high": _finite(high), "margin": self.margin}

    @property
    def said(self) -> str:
        if self.difference.value is None or self.champion is None or self.challenger is None:
            return f"{self.name} cannot be computed on these {self.difference.rows} rows"
        low, high = self.difference.interval()
        return (
            f"{self.name} {self.challenger:.4g}, the champion {self.champion:.4g}: better by "
            f"{self.difference.value:.4f} ({low:.4f} to {high:.4f}), margin {self.margin:.4g}"
        )


def measure(
    task: str, label: Array, scores: list[Array], margins: Mapping[str, float]
) -> list[Measured]:
    """Every metric of the task."""
    return [_one(name, label, scores, {**MARGINS, **margins}[name]) for name in METRICS[task]]


def _one(name: str, label: Array, scores: list[Array], margin: float) -> Measured:
    if name == "auc":
        y, one, other = label[:, 0], scores[0][:, 0], scores[1][:, 0]
        fewer = _fewer(y, one, other)
        difference, before = of_auc(*fewer), auc(y, one)
        if before is None or difference.value is None or len(fewer[0]) < len(y):
            after = auc(y, other)
        else:
            after = before + difference.value  # which saves a sort of all rows
        return Measured(name, before, after, difference, margin)
    losses = [_loss(name, label.astype("float64"), found.astype("float64")) for found in scores]
    apart = losses[0] - losses[1]
    difference = of_sums(len(apart), float(apart.sum()), float((apart**2).sum()))
    means = [float(loss.mean()) if len(loss) else None for loss in losses]
    if name == "accuracy":
        means = [None if mean is None else 1 - mean for mean in means]
        return Measured(name, means[0], means[1], difference, margin)
    return Measured(name, means[0], means[1], difference, margin * (means[0] or 0.0))


def _loss(name: str, y: Array, p: Array) -> Array:
    """Of each row; of the accuracy whether it is wrong."""
    found: Array
    if name == "mse":
        found = ((p - y) ** 2)[:, 0]
    elif name == "mae":
        found = np.abs(p - y)[:, 0]
    elif name == "accuracy":
        found = (p.argmax(1) != y.argmax(1)).astype("float64")
    else:
        held = np.clip(p, _TINY, 1 - _TINY)
        parts = y * np.log(held)
        found = -(parts + (1 - y) * np.log(1 - held))[:, 0] if y.shape[1] == 1 else -parts.sum(1)
    return found


def _fewer(y: Array, one: Array, other: Array) -> tuple[Array, Array, Array]:
    zeros = np.flatnonzero(y <= 0.5)
    if len(zeros) <= _MOST_ZEROS:
        return y, one, other
    drawn = np.random.default_rng(0).choice(zeros, _MOST_ZEROS, replace=False)
    kept = np.sort(np.concatenate([np.flatnonzero(y > 0.5), drawn]))
    return y[kept], one[kept], other[kept]


def decide(measured: list[Measured], least: int) -> tuple[Word, str]:
    """What the metrics say: the first decides, another may say that it is worse.

    Args:
        least: rows below which nothing is said.
    """
    first = measured[0]
    rows = first.difference.rows
    if rows < least:
        return "cannot tell", f"{rows} rows, at least {least} are wanted; {first.said}"
    if first.difference.value is None:
        return "cannot tell", first.said
    for other in measured[1:]:
        low, _ = other.difference.interval()
        if other.difference.verdict(other.margin) == "worse" and low <= -other.margin:
            return "worse", f"{other.said}; {first.said}"
    return first.difference.verdict(first.margin), first.said


def by_slice(
    task: str,
    label: Array,
    scores: list[Array],
    slices: Mapping[str, pa.ChunkedArray],
    margins: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Where the first metric is worse than the margin for a value of a column.

    Values with few rows are put together. Among many slices one looks bad by chance: the chances
    are held against each other (Holm 1979), so that all together cry wolf in one of 20 gates.
    """
    found: list[dict[str, Any]] = []
    chances: list[float] = []
    metric = METRICS[task][0]
    for column, values in slices.items():
        for value, rows in _groups(task, label, values):
            margin = {**SLICE_MARGINS, **margins}[metric]
            one = _one(metric, label[rows], [score[rows] for score in scores], margin)
            about = {"column": column, "value": value, "rows": len(rows), "metric": metric}
            found.append({**about, **one.to_json(), "worse": False})
            chances.append(_chance(one))
    order = sorted(range(len(found)), key=lambda at: chances[at])
    for place, at in enumerate(order):
        if chances[at] > _ALPHA / (len(order) - place):
            break
        found[at]["worse"] = True
    return found


def _groups(task: str, label: Array, values: pa.ChunkedArray) -> list[tuple[str, Array]]:
    """The rows of each value that has enough of them, and those of all others together."""
    encoded = pa.chunked_array(values).combine_chunks().dictionary_encode()
    codes, names = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
    counts = np.bincount(codes, minlength=len(names))
    ones = np.bincount(codes, label[:, 0] > 0.5, len(names)) if task == "binary" else counts / 2
    enough = np.minimum(ones, counts - ones) >= _LEAST
    by_value = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    groups = [(str(names[at]), by_value[at]) for at in np.flatnonzero(enough)]
    small = np.flatnonzero(~enough[codes]) if len(names) else codes
    few = float(ones[~enough].sum())
    return [*groups, (SMALL, small)] if min(few, len(small) - few) >= _LEAST else groups


def _chance(one: Measured) -> float:
    """Of seeing this, or worse, if the slice is just at the margin."""
    value, error = one.difference.value, one.difference.error
    if value is None or not math.isfinite(error):
        return 1.0
    if error == 0:
        return 0.0 if value < -one.margin else 1.0
    return NormalDist().cdf((value + one.margin) / error)


def leaks(measured: list[Measured], most: float) -> bool:
    """Whether a challenger is so much better that it must have seen the answer."""
    first = measured[0]
    if first.champion is None or first.challenger is None:
        return False
    if first.name == "auc":
        return first.challenger - first.champion > most
    return first.challenger < most * first.champion


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
