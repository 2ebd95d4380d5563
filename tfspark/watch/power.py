"""Which shift a night can tell: the PSI that alarms, and the true PSI that alarms most often."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from tfspark.quality.drift import ALERT, WARN

_POWER = 0.8
_NORMAL = 1e5


@dataclass(frozen=True)
class Power:
    """Of one column of a night.

    Attributes:
        warns: the measured PSI from which on it is warned; `alerts`: it is alarmed.
        seen: the true PSI that is warned in 4 of 5 nights.
        deviations: about the shift of a mean, in standard deviations, that has this PSI.
    """

    warns: float
    alerts: float
    seen: float
    deviations: float


def power(rows: int, reference: int, bins: int, alpha: float) -> Power:
    """What a day of so many rows can tell.

    Args:
        rows, reference: of the day and of the training split.
        alpha: of one column.
    """
    from scipy.optimize import brentq

    noise = 1 / rows + 1 / reference
    warns = _bound(WARN, noise, bins, alpha)
    alerts = _bound(ALERT, noise, bins, alpha)
    high = 4 * warns + 100 * noise * bins
    seen = float(brentq(lambda true: _above(warns, true, noise, bins) - _POWER, WARN, high))
    return Power(warns, alerts, seen, math.sqrt(seen))


def _bound(tau: float, noise: float, bins: int, alpha: float) -> float:
    """The measured PSI that a true one of τ exceeds with a chance of α."""
    from scipy.stats import ncx2

    if tau / noise > _NORMAL:
        return tau + NormalDist().inv_cdf(1 - alpha) * 2 * math.sqrt(tau * noise)
    return float(ncx2.isf(alpha, bins - 1, tau / noise) * noise)


def _above(bound: float, true: float, noise: float, bins: int) -> float:
    """How often the measured PSI is above a bound."""
    from scipy.stats import ncx2

    if true / noise > _NORMAL:
        return NormalDist().cdf((true - bound) / (2 * math.sqrt(true * noise)))
    return float(ncx2.sf(bound / noise, bins - 1, true / noise))
