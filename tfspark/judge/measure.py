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
from tfspark.quality import clusters as by_cluster
from tfspark.quality.clusters import Clusters
from tfspark.quality.compare import Difference, areas, of_losses
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


@dataclass(frozen=True)
class Rows:
    """What counts beside labels and scores.

    Attributes:
        weight: float64 of each row; None: all count the same.
        clusters: which rows belong together; None: each is by itself.
    """

    weight: Array | None = None
    clusters: Clusters | None = None

    def take(self, rows: Array) -> Rows:
        weight = None if self.weight is None else self.weight[rows]
        return Rows(weight, self.clusters and self.clusters.take(rows))


_PLAIN = Rows()


def measure(
    task: str,
    label: Array,
    scores: list[Array],
    margins: Mapping[str, float],
    rows: Rows = _PLAIN,
) -> list[Measured]:
    """Every metric of the task."""
    known = {**MARGINS, **margins}
    return [_one(name, label, scores, known[name], rows) for name in METRICS[task]]


def _one(name: str, label: Array, scores: list[Array], margin: float, rows: Rows) -> Measured:
    if name == "auc":
        return _auc(label[:, 0], [score[:, 0] for score in scores], margin, rows)
    losses = [_loss(name, label, found.astype("float64")) for found in scores]
    apart = losses[0] - losses[1]
    if rows.clusters is None:
        difference = of_losses(apart, rows.weight)
    else:
        difference = by_cluster.of_losses(apart, rows.weight, rows.clusters)
    counted = len(apart) if rows.weight is None else float(rows.weight.sum())
    means = [float(np.average(loss, weights=rows.weight)) if counted else None for loss in losses]
    if name == "accuracy":
        means = [None if mean is None else 1 - mean for mean in means]
        return Measured(name, means[0], means[1], difference, margin)
    return Measured(name, means[0], means[1], difference, margin * (means[0] or 0.0))


def _auc(label: Array, scores: list[Array], margin: float, rows: Rows) -> Measured:
    kept = _fewer(label)
    if kept is not None:
        label, scores, rows = label[kept], [score[kept] for score in scores], rows.take(kept)
    if rows.clusters is None:
        found, difference = areas(label, scores[0], scores[1], rows.weight)
    else:
        found, difference = by_cluster.of_areas(label, scores, rows.weight, rows.clusters)
    one, other = found or (None, None)
    return Measured("auc", one, other, difference, margin)


def _loss(name: str, y: Array, p: Array) -> Array:
    """Of each row; of the accuracy whether it is wrong."""
    found: Array
    y = y.astype("float64")
    if name == "mse":
        found = ((p - y) ** 2)[:, 0]
    elif name == "mae":
        found = np.abs(p - y)[:, 0]
    elif name == "accuracy":
        found = (p.argmax(1) != y.argmax(1)).astype("float64")
    else:
        held = np.clip(p, _TINY, 1 - _TINY)
        if y.shape[1] == 1:
            found = -np.log(np.where(y > 0.5, held, 1 - held))[:, 0]
        else:
            found = -(y * np.log(held)).sum(1)
    return found


def _fewer(label: Array) -> Array | None:
    """The rows that say nearly as much as all; None: all of them."""
    zeros = np.flatnonzero(label <= 0.5)
    if len(zeros) <= _MOST_ZEROS:
        return None
    drawn = np.random.default_rng(0).choice(zeros, _MOST_ZEROS, replace=False)
    return np.sort(np.concatenate([np.flatnonzero(label > 0.5), drawn]))


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
    counted: Rows = _PLAIN,
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
            both = [score[rows] for score in scores]
            one = _one(metric, label[rows], both, margin, counted.take(rows))
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
