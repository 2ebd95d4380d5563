"""Two models on the same rows: which is better, and whether the rows can tell.

Both score the same rows, so the difference of a row is compared and not the two averages: what is
hard for both counts for neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from tfspark.tensors import Array

Verdict = Literal["better", "not worse", "worse", "cannot tell"]
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Difference:
    """How much better a challenger is than a champion.

    Attributes:
        value: the challenger's advantage; None where it cannot be computed.
        error: its standard error; 0 where the two are the same for every row.
        rows: that were compared.
    """

    value: float | None
    error: float
    rows: int

    def interval(self) -> tuple[float, float]:
        """In which the true difference is with a confidence of 95 %."""
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


def of_auc(label: Array, champion: Array, challenger: Array) -> Difference:
    """By the area under the ROC curve (DeLong, DeLong and Clarke-Pearson 1988, in the form of Sun
    and Xu 2014: sorting, not all pairs).

    Args:
        label: 0 or 1 [rows].
        champion, challenger: scores [rows].
    """
    from scipy.stats import rankdata

    is_one = label > 0.5
    ones, zeros = int(is_one.sum()), int((~is_one).sum())
    if ones < 2 or zeros < 2:
        return Difference(None, math.inf, ones + zeros)
    areas, of_ones, of_zeros = [], [], []
    for score in (champion, challenger):
        values = score.astype("float64")
        ranks = rankdata(values)
        one, zero = values[is_one], values[~is_one]
        # The share of the other class that each row is ranked above: its structural component.
        above = (ranks[is_one] - rankdata(one)) / zeros
        below = 1.0 - (ranks[~is_one] - rankdata(zero)) / ones
        areas.append(float(above.mean()))
        of_ones.append(above)
        of_zeros.append(below)
    spread = np.var(of_ones[1] - of_ones[0], ddof=1) / ones
    spread += np.var(of_zeros[1] - of_zeros[0], ddof=1) / zeros
    return Difference(areas[1] - areas[0], math.sqrt(float(spread)), ones + zeros)
