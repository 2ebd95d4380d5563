"""The size of calls climbs to where rows are fastest, and stays there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from tfspark.scoring.worker.batchsize import Tuner

LIMIT = 1 << 17


def climb(tuner: Tuner, seconds: Callable[[int], float], rows: int = 1 << 16) -> int:
    """Calls until it settles."""
    calls = 0
    while not tuner.settled:
        left = rows
        while left:
            step = tuner.step(left, LIMIT)
            tuner.record(step, seconds(step), LIMIT)
            left -= step
            calls += 1
        assert calls < 2000
    return calls


@settings(deadline=None)
@given(st.integers(10, 16), st.floats(0.1, 0.5), st.integers(0, 4))
def test_it_finds_the_peak(peak: int, slope: float, first: int) -> None:
    # Seconds a row fall up to the peak and rise after it; every fifth call is disturbed.
    disturbed = itertools.cycle([1.0] * first + [3.0] + [1.0] * (4 - first))

    def seconds(rows: int) -> float:
        away = abs(peak - math.log2(rows))
        return rows * 1e-6 * (1 + slope) ** away * next(disturbed)

    tuner = Tuner(64)
    calls = climb(tuner, seconds)
    assert tuner.rows == 1 << peak
    assert calls < 300


def test_it_settles_after_some_tens_of_calls() -> None:
    tuner = Tuner(64)
    assert tuner.rows == 1024
    flat = 1e-6
    climb(tuner, lambda rows: rows * flat)
    assert tuner.rows == 1024  # larger calls gain nothing, and cost memory
    tuner = Tuner(3072)
    assert tuner.rows == 85
    climb(tuner, lambda rows: 1e-3 + rows * 1e-6)
    assert 10_000 <= tuner.rows <= LIMIT


def test_calls_that_take_long_grow_no_longer() -> None:
    tuner = Tuner(1 << 20)
    assert tuner.rows == 8
    climb(tuner, lambda rows: 1.0 + rows * 0.1)
    assert tuner.rows <= 64


def test_small_batches_settle_too() -> None:
    tuner = Tuner(64)
    climb(tuner, lambda rows: rows * 1e-6, rows=50)
    assert tuner.settled


@settings(deadline=None)
@given(st.integers(1, 10_000), st.integers(1, 5000))
def test_steps_are_even_and_within_the_limit(rows: int, limit: int) -> None:
    tuner = Tuner(64)
    steps = []
    while sum(steps) < rows:
        steps.append(tuner.step(rows - sum(steps), limit))
    assert sum(steps) == rows
    assert max(steps) <= limit
    assert max(steps) - min(steps) <= 1
