"""Two models on the same rows: as all pairs say, and as random exchanges of the two say."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from tests.sizes import size
from tfspark.quality.compare import Difference, of_auc, of_sums
from tfspark.quality.evaluate import auc

NORMAL = NormalDist()


def scores(rng: Any, rows: int, one: float, other: float, share: float = 0.3) -> Any:
    """Labels and two scores, which are alike: their errors correlate by 0.8."""
    label = (rng.random(rows) < share).astype(float)
    common = rng.normal(size=rows)
    errors = [math.sqrt(0.8) * common + math.sqrt(0.2) * rng.normal(size=rows) for _ in range(2)]
    return label, one * label + errors[0], other * label + errors[1]


def by_pairs(label: Any, one: Any, other: Any) -> tuple[float, float]:
    """The difference and its error as DeLong et al. define them: over all pairs."""
    of_ones, of_zeros, areas = [], [], []
    for score in (one, other):
        p, q = score[label > 0.5], score[label < 0.5]
        wins = (p[:, None] > q[None, :]) + 0.5 * (p[:, None] == q[None, :])
        areas.append(wins.mean())
        of_ones.append(wins.mean(1))
        of_zeros.append(wins.mean(0))
    s10, s01 = np.cov(of_ones), np.cov(of_zeros)
    s = s10 / len(of_ones[0]) + s01 / len(of_zeros[0])
    return areas[1] - areas[0], math.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])


@pytest.mark.parametrize("ties", [None, 1, 0])
def test_auc_is_that_of_all_pairs(ties: int | None) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        label, one, other = scores(rng, 200, 1.0, 1.3)
        if ties is not None:
            one, other = one.round(ties), other.round(ties)
        value, error = by_pairs(label, one, other)
        found = of_auc(label, one, other)
        assert found.value == pytest.approx(value, abs=1e-12)
        assert found.error == pytest.approx(error, abs=1e-12)
        first, second = auc(label, one), auc(label, other)
        assert first is not None
        assert second is not None
        assert found.value == pytest.approx(second - first, abs=1e-12)


def test_auc_is_as_probable_as_by_random_exchanges() -> None:
    """Under no difference the two scores of a row can change places."""
    rng = np.random.default_rng(5)
    label, one, other = scores(rng, 400, 1.0, 1.15)
    found = of_auc(label, one, other)
    assert found.value is not None
    p = 2 * NORMAL.cdf(-abs(found.value) / found.error)
    ranks = [np.argsort(np.argsort(score)) for score in (one, other)]
    wider = 0
    tries = size(1_000, soak=20_000)
    for _ in range(tries):
        swap = rng.random(len(label)) < 0.5
        first, second = np.where(swap, ranks[1], ranks[0]), np.where(swap, ranks[0], ranks[1])
        a, b = auc(label, first), auc(label, second)
        assert a is not None
        assert b is not None
        wider += abs(b - a) >= abs(found.value)
    assert abs(wider / tries - p) <= 0.02 + 4 * math.sqrt(p * (1 - p) / tries)


def test_intervals_hold_what_is_true() -> None:
    rng = np.random.default_rng(3)
    true = NORMAL.cdf(1.3 / math.sqrt(2)) - NORMAL.cdf(1.0 / math.sqrt(2))
    tries, held, paired = 2_000, 0, 0
    for _ in range(tries):
        low, high = of_auc(*scores(rng, 300, 1.0, 1.3)).interval()
        held += low <= true <= high
        d = rng.exponential(1.0, 300) - 0.9
        low, high = of_sums(300, d.sum(), (d * d).sum()).interval()
        paired += low <= 0.1 <= high
    assert 0.93 <= held / tries <= 0.97
    assert 0.93 <= paired / tries <= 0.97


def test_large_tables_lose_nothing() -> None:
    """More pairs than an int32 has, scores that differ in the last digits of a double."""
    rng = np.random.default_rng(4)
    label, one, other = scores(rng, 400_000, 1.0, 1.02, share=0.5)
    found = of_auc(label, one, other)
    assert found.value == pytest.approx(0.0053, abs=0.003)
    assert 0 < found.error < 0.001
    near = of_auc(label, 1 + one * 1e-12, 1 + other * 1e-12)
    assert near.value == pytest.approx(found.value, abs=1e-3)


def test_the_same_twice_and_the_perfect() -> None:
    rng = np.random.default_rng(6)
    label, one, _ = scores(rng, 100, 1.0, 1.0)
    same = of_auc(label, one, one)
    assert (same.value, same.error, same.verdict(0.005)) == (0.0, 0.0, "not worse")
    perfect = of_auc(label, label, label * 2)
    assert (perfect.value, perfect.error) == (0.0, 0.0)
    assert of_auc(np.ones(10), one[:10], one[:10]).verdict(0.005) == "cannot tell"
    assert of_sums(1, 0.5, 0.25).verdict(0.005) == "cannot tell"
    assert of_sums(0, 0.0, 0.0).rows_needed(0.005) is None


def test_verdicts() -> None:
    assert Difference(0.02, 0.005, 1_000).verdict(0.005) == "better"
    assert Difference(-0.02, 0.005, 1_000).verdict(0.005) == "worse"
    assert Difference(0.001, 0.002, 1_000).verdict(0.005) == "not worse"
    assert Difference(-0.001, 0.01, 1_000).verdict(0.005) == "cannot tell"
    few = Difference(0.0, 0.01, 1_000)
    needed = few.rows_needed(0.005)
    assert needed is not None
    # With so many rows, a challenger that is as good is told in four of five cases.
    error = 0.01 * math.sqrt(1_000 / needed)
    assert NORMAL.cdf(0.005 / error - 1.96) == pytest.approx(0.8, abs=0.005)
