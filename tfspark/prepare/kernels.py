"""Sums over columns: the loops of `summary`, compiled. The same values give the same bits on every
machine: no loop is left to the order in which a processor likes to add."""

from __future__ import annotations

import math

import numpy as np

from tfspark.compiled import inlined, kernel
from tfspark.tensors import Array

_BLOCK = 4096


@inlined
def _sum(values: Array) -> float:
    """In blocks, of four sums each: fast, and with small errors."""
    total = 0.0
    for start in range(0, len(values), _BLOCK):
        end = min(start + _BLOCK, len(values))
        a = b = c = d = 0.0
        at = start
        while at + 4 <= end:
            a += values[at]
            b += values[at + 1]
            c += values[at + 2]
            d += values[at + 3]
            at += 4
        while at < end:
            a += values[at]
            at += 1
        total += (a + b) + (c + d)
    return total


@kernel
def moments(values: Array) -> tuple[float, float]:
    """Mean and variance (population) of float64 [n], n > 0."""
    mean = _sum(values) / len(values)
    squares = np.empty(_BLOCK)
    total = 0.0
    for start in range(0, len(values), _BLOCK):
        count = min(_BLOCK, len(values) - start)
        for i in range(count):
            off = values[start + i] - mean
            squares[i] = off * off
        total += _sum(squares[:count])
    return mean, total / len(values)


@kernel
def logs(values: Array, out: Array) -> None:
    """log(1 + x) of float64 [n], by the C library's function."""
    for i in range(len(values)):
        out[i] = math.log1p(values[i])
