"""Two models on rows that belong together, as those of one customer do: clusters are drawn anew.

The paired Poisson bootstrap: in each draw a cluster counts as often as a Poisson number of mean 1
says, for both models alike. The number is made of the cluster's own name, so it is the same in
whatever order, and beside whatever others, the rows come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import md5

import numpy as np

from tfspark.quality.compare import Difference, areas
from tfspark.splitmix import STEP, mixed
from tfspark.tensors import Array

LEAST = 30
"""Clusters; fewer say too little of how they differ."""
_DRAWS = 400
_KEPT = 0.95
"""The share of the draws that must give a number: one of a rare class may have none of it."""
_BITS = 16


@dataclass(frozen=True)
class Clusters:
    """Which rows belong together.

    Attributes:
        of: the number of each row's cluster.
        seeds: uint64 of each cluster, made of its name.
    """

    of: Array
    seeds: Array

    def take(self, rows: Array) -> Clusters:
        """Those of some of the rows."""
        return Clusters(self.of[rows], self.seeds)

    def count(self) -> int:
        """How many have a row."""
        return int(np.count_nonzero(np.bincount(self.of)))

    def draws(self) -> Iterator[Array]:
        """How often each cluster counts, again and again."""
        for draw in range(_DRAWS):
            seeds = self.seeds + np.uint64(draw * STEP % 2**64)
            yield _COUNTS[mixed(seeds) >> np.uint64(64 - _BITS)]


def clusters_of(numbers: Array, names: Iterable[str]) -> Clusters:
    """Of the number of each row's name among the names."""
    made = (md5(name.encode(), usedforsecurity=False).digest()[:8] for name in names)
    seeds = np.array([int.from_bytes(digest) for digest in made], "uint64")
    return Clusters(numbers, seeds)


def of_losses(apart: Array, weight: Array | None, clusters: Clusters) -> Difference:
    """By the loss of each row, as `tfspark.quality.compare.of_losses`."""
    counted = np.ones(len(apart)) if weight is None else weight
    total = np.bincount(clusters.of, counted * apart, len(clusters.seeds))
    whole = np.bincount(clusters.of, counted, len(clusters.seeds))

    def drawn(times: Array) -> float:
        return _share(float(times @ total), float(times @ whole))

    value = _share(float(total.sum()), float(whole.sum()))
    return _difference(value, drawn, clusters, len(apart))


def of_areas(
    label: Array, scores: list[Array], weight: Array | None, clusters: Clusters
) -> tuple[tuple[float, float] | None, Difference]:
    """By the area under the ROC curve, as `tfspark.quality.compare.areas`."""
    found, plain = areas(label, scores[0], scores[1], weight)
    if found is None:
        return None, plain
    ranked = [_Ranked(label > 0.5, score, weight, clusters) for score in scores]

    def drawn(times: Array) -> float:
        return ranked[1].area(times) - ranked[0].area(times)

    return found, _difference(found[1] - found[0], drawn, clusters, plain.rows)


class _Ranked:
    """Rows in the order of a model's scores: the area under its curve for any weights."""

    def __init__(
        self, is_one: Array, score: Array, weight: Array | None, clusters: Clusters
    ) -> None:
        order = np.argsort(score)
        ranked = score[order]
        counted = np.ones(len(order)) if weight is None else weight[order].astype("float64")
        self._ones = np.where(is_one[order], counted, 0.0)
        self._zeros = counted - self._ones
        self._last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self._of = clusters.of[order]

    def area(self, times: Array) -> float:
        drawn = times[self._of]
        ones, zeros = (np.cumsum(part * drawn)[self._last] for part in (self._ones, self._zeros))
        below = zeros - np.diff(zeros, prepend=0.0) / 2
        won = float(np.diff(ones, prepend=0.0) @ below)
        return _share(won, float(ones[-1] * zeros[-1]))


def _difference(
    value: float, drawn: Callable[[Array], float], clusters: Clusters, rows: int
) -> Difference:
    """With the interval that holds 95 % of the draws."""
    if clusters.count() < 2 or not math.isfinite(value):
        return Difference(None, math.inf, rows)
    found = np.array([drawn(times) for times in clusters.draws()])
    found = found[np.isfinite(found)]
    if len(found) < _KEPT * _DRAWS:
        return Difference(None, math.inf, rows)
    low, high = (float(end) for end in np.quantile(found, [0.025, 0.975]))
    return Difference(value, float(found.std(ddof=1)), rows, (low, high))


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan


def _poisson() -> Array:
    """The Poisson number (mean 1) of each of 2**16 equal shares of chance."""
    upto = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)])
    shares = (np.arange(2**_BITS) + 0.5) / 2**_BITS
    counts: Array = np.searchsorted(upto, shares).astype("float64")
    return counts


_COUNTS = _poisson()
