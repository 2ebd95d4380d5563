"""Drift by counts: false alarms at the rate that is asked for, and shifts of known size found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.sizes import size
from tfspark.quality.bins import category_bins, number_bins
from tfspark.quality.drift import ALERT, WARN, chance, drifts, holm, psi, rises, rows_level, usual

REFERENCE = 100_000
EQUAL = np.full(10, 0.1)
RARE = np.array([0.002, 0.001, 0.0005, 0.0, *np.full(10, 0.09965)])
TRIES = 2_000


def moved(shares: Any, wanted: float) -> Any:
    """Shares whose PSI from the given ones is as wanted: tilted, by bisection."""

    def tilted(angle: float) -> Any:
        found = shares * np.exp(angle * np.linspace(-1, 1, len(shares)))
        return found / found.sum()

    def distance(found: Any) -> float:
        there = shares > 0
        return float(np.sum((found - shares)[there] * np.log(found[there] / shares[there])))

    low, high = 0.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if distance(tilted(middle)) < wanted else (low, middle)
    return tilted(low)


def alarms(shares: Any, true: float, tau: float, rows: int, alpha: float, tries: int) -> int:
    rng = np.random.default_rng(rows)
    there = moved(shares, true)
    return sum(
        chance(rng.multinomial(REFERENCE, shares), rng.multinomial(rows, there), tau) <= alpha
        for _ in range(tries)
    )


@pytest.mark.parametrize("rows", [500, 10_000, 1_000_000])
@pytest.mark.parametrize("tau", [0.0, WARN, ALERT])
def test_at_the_border_alarms_come_as_often_as_they_may(rows: int, tau: float) -> None:
    """Between 61 and 145 of 2,000 at a chance of 5 %: four standard errors, and what is known."""
    found = alarms(EQUAL, tau, tau, rows, 0.05, TRIES)
    assert 61 <= found <= 145
    assert alarms(RARE, tau, tau, rows, 0.001, size(200, soak=TRIES)) <= size(2, soak=9)


@pytest.mark.parametrize(
    ("rows", "true", "tau", "share"),
    [
        (200, 0.1, WARN, 0.18),
        (200, 0.2, WARN, 0.79),
        (200, 0.3, ALERT, 0.51),
        (500, 0.1, WARN, 0.71),
        (500, 0.2, ALERT, 0.41),
        (500, 0.3, ALERT, 0.98),
        (2_000, 0.1, WARN, 1.0),
        (2_000, 0.2, ALERT, 0.996),
        (10_000, 0.3, ALERT, 1.0),
    ],
)
def test_shifts_of_known_size_are_found(rows: int, true: float, tau: float, share: float) -> None:
    tries = size(500, soak=TRIES)
    found = alarms(EQUAL, true, tau, rows, 0.001, tries) / tries
    # How the shares are tilted counts a little, beside four standard errors.
    assert abs(found - share) <= 0.05 + 4 * math.sqrt(max(share * (1 - share), 0.001) / tries)


def test_two_hundred_days_without_a_shift() -> None:
    """Columns of many kinds; a false alarm is expected in a day of thousands."""
    kinds = [EQUAL, RARE, np.full(30, 1 / 30), np.array([0.97, 0.01, 0.01, 0.01])]
    false = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = int(rng.choice([200, 1_000, 50_000]))
        counts = {
            f"c{number}": (rng.multinomial(REFERENCE, kind), rng.multinomial(rows, kind))
            for number, kind in enumerate(kinds * 5)
        }
        false += any(found.level for found in drifts(counts).values())
    assert false <= 3


def of_numbers(training: Any, *days: Any) -> list[Any]:
    """Counts of the training's values and of days, in the training's bins."""
    bins = number_bins(np.quantile(training, np.linspace(0, 1, 101)), {}, len(training))
    return [bins.count(pa.array(values)) for values in (training, *days)]


def level(reference: Any, today: Any) -> str:
    return drifts({"x": (reference, today)})["x"].level


@pytest.mark.parametrize(
    ("rows", "moved_by", "levels"),
    [
        (500, 0.3, ("", "warn", "alert")),
        (500, 1.0, ("alert",)),
        (10_000, 0.3, ("warn",)),
        (10_000, 0.5, ("alert",)),
        (1_000_000, 0.3, ("warn",)),
        (1_000_000, 0.5, ("alert",)),
        (1_000_000, 0.05, ("",)),  # found, and too small to matter
    ],
)
def test_a_mean_that_moves(rows: int, moved_by: float, levels: Sequence[str]) -> None:
    rng = np.random.default_rng(1)
    training, today = rng.normal(size=REFERENCE), rng.normal(moved_by, 1, rows)
    assert level(*of_numbers(training, today)) in levels


def test_what_is_no_drift() -> None:
    rng = np.random.default_rng(2)
    training, today = rng.normal(size=REFERENCE), rng.normal(size=10_000)
    today[0] = 1e9
    reference, counts = of_numbers(training, today)
    assert level(reference, counts) == ""
    assert psi(reference, counts) < 0.01
    # 5,000 categories by Zipf's law, most of them rare.
    shares = 1 / np.arange(1, 5_001)
    values = rng.choice(5_000, REFERENCE, p=shares / shares.sum())
    names, times = np.unique(values, return_counts=True)
    bins = category_bins(dict(zip(names.tolist(), times.tolist(), strict=True)), REFERENCE)
    later = rng.choice(5_000, 2_000, p=shares / shares.sum())
    assert level(bins.count(pa.array(values)), bins.count(pa.array(later))) == ""
    # A column that swings by the weekday is warned at what is usual for it.
    swing = [0.03, 0.05, 0.04, 0.06, 0.05]
    assert usual([]) == WARN
    assert WARN < usual(swing) <= ALERT
    assert usual([1.0]) == ALERT
    reference, today = (
        rng.multinomial(REFERENCE, EQUAL),
        rng.multinomial(50_000, moved(EQUAL, 0.05)),
    )
    assert level(reference, today) == "warn"
    found = drifts({"x": (reference, today)}, warn={"x": usual(swing)})
    assert found["x"].level == ""


def test_few_rows_have_no_verdict() -> None:
    counts = np.array([10, 20, 30])
    found = drifts({"few": (counts * 100, counts), "none": (counts * 100, counts * 0)})
    assert {name: (one.psi, one.level) for name, one in found.items()} == {
        "few": (None, "few rows"),
        "none": (None, "few rows"),
    }
    assert chance(counts * 0, counts, WARN) == 1.0


def test_bins_of_numbers() -> None:
    training = [0.0] * 50 + [float(n) for n in range(1, 951)]
    quantiles = np.quantile(training, np.linspace(0, 1, 101)).tolist()
    bins = number_bins(quantiles, {0.0: 50, 1.0: 1}, len(training))
    assert bins.own == ()  # 5 % is not more than 5 %
    bins = number_bins(quantiles, {0.0: 51, 1.0: 1}, len(training))
    assert bins.own == (0.0,)
    odd = pa.array([None, float("nan"), float("inf"), -1.0, 1e9, 0.0, 1.0, 950.0])
    counts = bins.count(odd)
    assert counts[:5].tolist() == [1, 2, 1, 1, 1]
    assert counts.sum() == len(odd)
    assert bins.count(pa.array([3, None], pa.int32())).sum() == 2
    constant = number_bins([7.0] * 101, {7.0: 100}, 100)
    assert constant.count(pa.array([7.0, 8.0])).tolist() == [0, 0, 0, 1, 1, 0]


def test_numbers_are_counted_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        pool = np.concatenate([rng.normal(size=8).round(1), [np.nan, np.inf, -np.inf, -0.0, 5]])
        values = rng.choice(pool, 200)
        common = {float(value): int(rng.integers(0, 30)) for value in pool[:4]}
        bins = number_bins(np.sort(rng.choice(pool[:8], 11)).tolist(), common, 200)
        counts = [0] * (5 + len(bins.own) + len(bins.edges))
        for value in values.tolist():
            at = 4 + len(bins.own) + sum(value >= edge for edge in bins.edges)
            at = 4 + bins.own.index(value) if value in bins.own else at
            at = 2 if value < bins.least else 3 if value > bins.most else at
            counts[at if math.isfinite(value) else 1] += 1
        assert bins.count(pa.array(values)).tolist() == counts


def test_bins_of_categories() -> None:
    bins = category_bins({"a": 500, "b": 496, "rare": 4}, 1_000)
    counts = bins.count(pa.array(["a", "b", "b", "rare", "new", None]))
    assert counts.tolist() == [1, 1, 1, 1, 2]
    assert category_bins({str(n): 10 for n in range(100)}, 1_000).frequent == tuple(
        sorted(map(str, range(100)))[:19]
    )


def test_holm() -> None:
    chances = {"a": 0.01, "b": 0.02, "c": 0.04, "d": 0.5}
    assert holm(chances, 0.05) == {"a"}
    assert holm(chances, 0.08) == {"a", "b", "c"}
    assert holm({}, 0.05) == set()
    assert holm({"nan": math.nan}, 0.05) == set()


def test_rates_that_rise() -> None:
    assert not rises((100, 10_000), (12, 1_000))
    assert not rises((0, 10_000), (120, 10_000))  # 1.2 %, which may be 1 %
    assert rises((0, 10_000), (250, 10_000))
    assert rises((100, 10_000), (600, 10_000))
    assert not rises((600, 10_000), (100, 10_000))
    assert not rises((0, 0), (5, 10))


def test_numbers_of_rows() -> None:
    usual_days = [1_000, 1_050, 980, 1_020, 990, 1_010]
    assert rows_level(1_030, usual_days) == ""
    assert rows_level(700, usual_days) == "warn"
    assert rows_level(100, usual_days) == "fail"
    assert rows_level(0, usual_days) == "fail"
    assert rows_level(0, usual_days[:3]) == ""
