"""Mixing of 64 bits (splitmix64; Steele, Lea, Flood 2014), for hashes that are the same again."""

from __future__ import annotations

import numpy as np

from tfspark.tensors import Array

STEP = 0x9E3779B97F4A7C15
_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)


def mixed(values: Array) -> Array:
    """Each uint64 after one step, mixed."""
    x: Array = values + np.uint64(STEP)
    x = (x ^ (x >> _30)) * _A
    x = (x ^ (x >> _27)) * _B
    x = x ^ (x >> _31)
    return x
