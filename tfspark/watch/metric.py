"""The metric of a day by counts: rows by score and label, so that days of any size are small."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tfspark.quality.drift import ALPHA, chance, psi
from tfspark.tensors import Array

FINE = 10_000
"""Bins of a probability: scores in one bin count as equal."""
_COARSE = 20
_Z = NormalDist().inv_cdf(0.975)
_BIASED, _BIASED_ROWS = 0.1, 200
_CALIBRATED_ROWS, _CALIBRATED_ONES = 2_000, 100


@dataclass(frozen=True)
class Value:
    """A metric and the interval of 95 % around it."""

    value: float
    low: float
    high: float


def auc_of(ones: Array, zeros: Array) -> Value | None:
    """The area under the ROC curve and its interval (DeLong), by rows of each class and bin.

    Args:
        ones, zeros: rows [bins], by rising score; expected ones need not be whole.

    Returns:
        None where a class has fewer than two rows.
    """
    p, n = float(ones.sum()), float(zeros.sum())
    if p < 2 or n < 2:
        return None
    below = (np.cumsum(zeros) - zeros / 2) / n
    above = (p - np.cumsum(ones) + ones / 2) / p
    area = float((ones * below).sum() / p)
    spread = (ones * (below - area) ** 2).sum() / (p - 1) / p
    spread += (zeros * (above - area) ** 2).sum() / (n - 1) / n
    half = _Z * math.sqrt(float(spread))
    return Value(area, max(0.0, area - half), min(1.0, area + half))


def mean_of(rows: int, total: float, squares: float, root: bool = False) -> Value | None:
    """The mean of what each row costs, and its interval.

    Args:
        root: take the root of it, as of squared errors.
    """
    if rows < 2:
        return None
    mean = total / rows
    half = _Z * math.sqrt(max(0.0, squares / rows - mean * mean) / (rows - 1))
    low, high = mean - half, mean + half
    if root:
        mean, low, high = (math.sqrt(max(0.0, one)) for one in (mean, low, high))
    return Value(mean, low, high)


def biased(labelled: Array, unlabelled: Array) -> float | None:
    """The PSI between rows with and without a label, where the labels come from other scores.

    None where they do not, or where either has too few rows to tell.
    """
    if min(labelled.sum(), unlabelled.sum()) < _BIASED_ROWS:
        return None
    found = psi(coarse(labelled), coarse(unlabelled))
    by_chance = chance(coarse(labelled), coarse(unlabelled), 0.0) > ALPHA
    return found if found > _BIASED and not by_chance else None


def coarse(counts: Array) -> Array:
    """Twenty bins of 10,000."""
    found: Array = counts[:FINE].reshape(_COARSE, -1).sum(1)
    return found


def calibrated(ones: Array, zeros: Array) -> Array | None:
    """The chance of a one by bin, which rises with the score (isotonic); None: too few rows.

    Args:
        ones, zeros: rows with labels [bins].
    """
    total = ones + zeros
    if total.sum() < _CALIBRATED_ROWS or ones.sum() < _CALIBRATED_ONES:
        return None
    there = np.flatnonzero(total)
    # Pool adjacent violators.
    blocks: list[tuple[float, float, int]] = []
    for place in there:
        one, rows, size = float(ones[place]), float(total[place]), 1
        while blocks and blocks[-1][0] * rows >= one * blocks[-1][1]:
            before = blocks.pop()
            one, rows, size = one + before[0], rows + before[1], size + before[2]
        blocks.append((one, rows, size))
    chances = np.concatenate([np.full(size, one / rows) for one, rows, size in blocks])
    found: Array = np.interp(np.arange(len(ones)), there, chances)
    return found


def expected_auc(rows: Array, chance: Array) -> float | None:
    """What the area would be if the labels came as they used to.

    Args:
        rows: [bins], with labels and without.
        chance: see `calibrated`.
    """
    found = auc_of(rows * chance, rows * (1 - chance))
    return None if found is None else found.value
