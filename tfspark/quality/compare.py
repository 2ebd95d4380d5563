"""Two models on the same rows: which is better, and whether the rows can tell.

Both score the same rows, so the difference of a row is compared and not the two averages: what is
hard for both counts for neither.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from tfspark.tensors import Array

Verdict = Literal["better", "not worse", "worse", "cannot tell"]
_Z = NormalDist().inv_cdf(0.975)
_MANY = 100_000  # rows that are worth a thread


@dataclass(frozen=True)
class Difference:
    """How much better a challenger is than a champion.

    Attributes:
        value: the challenger's advantage; None where it cannot be computed.
        error: its standard error; 0 where the two are the same for every row.
        rows: that were compared.
        bounds: the interval, where it is not that of a normal distribution.
    """

    value: float | None
    error: float
    rows: int
    bounds: tuple[float, float] | None = None

    def interval(self) -> tuple[float, float]:
        """In which the true difference is with a confidence of 95 %."""
        if self.bounds is not None:
            return self.bounds
        middle = self.value if self.value is not None else math.nan
        return middle - _Z * self.error, middle + _Z * self.error

    def verdict(self, margin: float) -> Verdict:
        """What is said of the challenger.

        Args:
            margin: how much worse is not worse.
        """
        if self.value is None or not math.isfinite(self.error):
            return "cannot tell"
        low, high = self.interval()
        if low > 0:
            return "better"
        if high < 0:
            return "worse"
        return "not worse" if low > -margin else "cannot tell"

    def rows_needed(self, margin: float) -> int | None:
        """About how many rows would tell a challenger that is as good from one that is worse.

        As the error falls with the root of the rows; with a power of 80 % at a true difference of
        zero. None where nothing can be said.
        """
        if self.value is None or not self.rows or margin <= 0:
            return None
        wanted = margin / (_Z + NormalDist().inv_cdf(0.8))
        return math.ceil(self.rows * (self.error / wanted) ** 2)


def of_losses(apart: Array, weight: Array | None = None) -> Difference:
    """By the loss of each row.

    Args:
        apart: the champion's less the challenger's [rows].
        weight: how much each row counts; None: all the same.
    """
    rows = len(apart)
    if weight is None:
        return of_sums(rows, float(apart.sum()), float(np.square(apart).sum()))
    if np.count_nonzero(weight) < 2:
        return Difference(None, math.inf, rows)
    mean = float(np.average(apart, weights=weight))
    return Difference(mean, math.sqrt(_variance(apart - mean, weight)), rows)


def of_sums(rows: int, total: float, squares: float) -> Difference:
    """By the loss of each row: the champion's less the challenger's.

    Args:
        rows, total, squares: how many differences, their sum, and the sum of their squares. Those
            of parts of a table add up.
    """
    if rows < 2:
        return Difference(None, math.inf, rows)
    mean = total / rows
    variance = max(0.0, squares - rows * mean * mean) / (rows - 1)
    return Difference(mean, math.sqrt(variance / rows), rows)


def of_auc(
    label: Array, champion: Array, challenger: Array, weight: Array | None = None
) -> Difference:
    """By the area under the ROC curve, see `areas`."""
    return areas(label, champion, challenger, weight)[1]


def areas(
    label: Array, champion: Array, challenger: Array, weight: Array | None = None
) -> tuple[tuple[float, float] | None, Difference]:
    """The areas under both ROC curves, and by how much they differ (DeLong, DeLong and
    Clarke-Pearson 1988, in the form of Sun and Xu 2014: sorting, not all pairs).

    Args:
        label: 0 or 1 [rows].
        champion, challenger: scores [rows].
        weight: how much each row counts; None: all the same.

    Returns:
        No areas where one class only is there.
    """
    is_one = label > 0.5
    counts = [rows if weight is None else rows & (weight > 0) for rows in (is_one, ~is_one)]
    ones, zeros = (int(np.count_nonzero(rows)) for rows in counts)
    rows = ones + zeros
    if ones < 2 or zeros < 2:
        return None, Difference(None, math.inf, rows)

    def placed_by(score: Array) -> Array:
        return _placed(is_one, score, weight)

    both, many = (champion, challenger), len(label) >= _MANY
    with ThreadPoolExecutor(2) if many else nullcontext() as threads:  # sorts need no lock
        placed = list(threads.map(placed_by, both) if threads else map(placed_by, both))
    apart, spread = placed[1] - placed[0], 0.0
    found: list[float] = []
    for mask in (is_one, ~is_one):
        own = None if weight is None else weight[mask]
        found = found or [float(np.average(one[mask], weights=own)) for one in placed]
        part = apart[mask]
        spread += _variance(part - np.average(part, weights=own), own)
    return (found[0], found[1]), Difference(found[1] - found[0], math.sqrt(spread), rows)


def _placed(is_one: Array, score: Array, weight: Array | None) -> Array:
    """The share of the other class that each row is on the right side of (ties: half)."""
    order = np.argsort(score)
    ranked, of_one = score[order], is_one[order]
    counted = np.ones(len(order)) if weight is None else weight[order].astype("float64")
    whole = counted[of_one].sum(), counted[~of_one].sum()
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    sizes = np.diff(last, prepend=-1)
    zeros = np.cumsum(np.where(of_one, 0.0, counted))[last]
    ones = np.cumsum(counted)[last] - zeros
    # Up to the middle of the rows of one score.
    zeros, ones = (up_to - np.diff(up_to, prepend=0.0) / 2 for up_to in (zeros, ones))
    below = np.repeat(zeros / whole[1], sizes)
    above = np.repeat(1.0 - ones / whole[0], sizes)
    placed = np.empty(len(order))
    placed[order] = np.where(of_one, below, above)
    return placed


def _variance(apart: Array, weight: Array | None) -> float:
    """Of a (weighted) mean, of how far its rows are from it."""
    if weight is None:
        return float(np.square(apart).sum()) / (len(apart) * (len(apart) - 1))
    counted = np.count_nonzero(weight)
    whole = float(weight.sum(dtype="float64")) ** 2
    return float(np.square(weight * apart).sum()) / whole * counted / (counted - 1)
