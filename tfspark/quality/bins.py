"""The bins in which values of a column are counted, fixed by the statistics of a dataset.

Numbers: ten bins of equal counts by the quantiles of the training split, open at both ends, so that
one value of 1e9 moves one row and no edge. A value with more than 5 % of the rows has a bin of its
own, and so have nulls, what is no finite number, and what lies outside of the training split.
Categories: up to 19 frequent values, the others, those never seen, nulls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.compiled import kernel
from tfspark.tensors import Array

_BINS = 10
_OWN = 0.05
_FREQUENT, _LEAST_SHARE = 19, 0.005


class Bins(Protocol):
    """Counts values; counts of several batches add up."""

    def count(self, values: pa.Array) -> Array:
        """int64 [bins] of one batch."""
        ...


@dataclass(frozen=True)
class NumberBins:
    """Bins of numbers: null, not finite, below, above, own values, then by edges.

    Attributes:
        edges: that stand between the bins of equal counts.
        own: values with a bin each.
        least, most: of the training split.
    """

    edges: tuple[float, ...]
    own: tuple[float, ...]
    least: float
    most: float

    def count(self, values: pa.Array) -> Array:
        """int64 [4 + own + edges + 1] of one batch of numbers."""
        nulls = values.null_count
        numbers = np.asarray(
            pc.cast(values.drop_null(), pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        )
        counts = np.zeros(5 + len(self.own) + len(self.edges), "int64")
        counts[0] = nulls
        edges, own = (np.asarray(given, "float64") for given in (self.edges, self.own))
        _count(np.ascontiguousarray(numbers), edges, own, self.least, self.most, counts)
        return counts


@kernel
def _count(
    numbers: Array, edges: Array, own: Array, least: float, most: float, counts: Array
) -> None:
    """Add numbers to the counts of `NumberBins`, but for nulls.

    A loop that only adds up comparisons takes several numbers at once, so there is one for each.
    """
    odd = endless = below = above = 0
    for i in range(len(numbers)):
        odd += not abs(numbers[i]) < np.inf
    for i in range(len(numbers)):
        endless += numbers[i] == np.inf
    for i in range(len(numbers)):
        below += (numbers[i] < least) & (numbers[i] > -np.inf)
    for i in range(len(numbers)):
        above += (numbers[i] > most) & (numbers[i] < np.inf)
    counts[1] += odd
    counts[2] += below
    counts[3] += above
    between = 4 + len(own)
    left = len(numbers) - odd - below - above
    place = between
    for edge in edges:
        upper = 0
        for i in range(len(numbers)):
            upper += numbers[i] >= edge
        upper -= above + endless
        counts[place] += left - upper
        left, place = upper, place + 1
    counts[place] += left
    for n in range(len(own)):
        value = own[n]
        if value < least or value > most:
            continue
        same, place = 0, between
        for i in range(len(numbers)):
            same += numbers[i] == value
        for edge in edges:
            place += value >= edge
        counts[place] -= same
        counts[4 + n] += same


@dataclass(frozen=True)
class CategoryBins:
    """Bins of categories: null, unseen, seen but rare, then one a frequent value.

    Attributes:
        frequent: with a bin each.
        seen: the other values of the training split.
    """

    frequent: tuple[Any, ...]
    seen: frozenset[Any]

    def count(self, values: pa.Array) -> Array:
        """int64 [3 + frequent] of one batch."""
        counts = dict.fromkeys(self.frequent, 0)
        nulls = unseen = rare = 0
        for entry in values.value_counts().to_pylist():
            value, count = entry["values"], entry["counts"]
            if value is None:
                nulls += count
            elif value in counts:
                counts[value] += count
            elif value in self.seen:
                rare += count
            else:
                unseen += count
        return np.array([nulls, unseen, rare, *counts.values()], "int64")


def number_bins(
    quantiles: Sequence[float], common: Mapping[float, int], rows: int, bins: int = _BINS
) -> NumberBins:
    """The bins of a column of numbers.

    Args:
        quantiles: of the training split, at least the least and the largest value; 101 of them
            in the statistics of a dataset.
        common: its most frequent values and how often they are there.
        rows: of the training split.
        bins: of equal counts.
    """
    own = tuple(sorted(value for value, count in common.items() if count > _OWN * rows))
    places = np.linspace(0, len(quantiles) - 1, bins + 1)[1:-1]
    inner = [quantiles[round(place)] for place in places]
    edges = tuple(sorted({float(edge) for edge in inner} - {float(quantiles[0])} - set(own)))
    return NumberBins(edges, own, float(quantiles[0]), float(quantiles[-1]))


def category_bins(values: Mapping[Any, int], rows: int) -> CategoryBins:
    """The bins of a column of categories.

    Args:
        values: value → how often it is in the training split.
        rows: of the training split.
    """
    order = sorted(values, key=lambda value: (-values[value], str(value)))
    frequent = tuple(v for v in order[:_FREQUENT] if values[v] >= _LEAST_SHARE * rows)
    return CategoryBins(frequent, frozenset(order) - set(frequent))
