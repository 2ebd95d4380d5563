"""Whether a day's values are spread otherwise than those that a model was trained on.

Values are counted in bins that stand fixed with the model: see `bins`. The measure is the
population stability index (PSI) of smoothed shares. Under a true PSI of τ, PSI / (1/n + 1/m) is
about a non-central χ² with B - 1 degrees of freedom and non-centrality τ / (1/n + 1/m) (Yurdakul
2018, dissertation 3208, Western Michigan University). So a level says "the true PSI is above τ,
with a confidence of 1 - α", at every number of rows: chance gives no alarm where rows are few, nor
does a change that does not matter where they are many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

import numpy as np

from tfspark.tensors import Array

WARN, ALERT = 0.02, 0.10
"""The true PSI above which a column is warned or alarmed: as of a mean moved by 0.15 and 0.33
deviations."""
ALPHA = 0.001
LEAST_ROWS = 200
"""Rows below which a day has no verdict of its own."""

_SMOOTH = 0.5
_NORMAL = 1e5  # non-centrality above which the normal form is as good
_RISE = 0.01
_SCALE, _LEAST_MAD = 1.4826, 0.05
_FAR, _TOO_FAR = 4.0, 8.0
_LEAST_DAYS = 4


def psi(reference: Array, today: Array) -> float:
    """The population stability index of two rows of counts.

    Args:
        reference, today: int64 [bins], in the same bins. Half a row is added to each, so that an
            empty bin is no infinity.
    """
    p, q = (_shares(counts) for counts in (reference, today))
    return float(np.sum((p - q) * np.log(p / q)))


def chance(reference: Array, today: Array, tau: float) -> float:
    """How likely a PSI as large as that of two rows of counts is, if the true one is τ.

    Returns:
        A p-value; 1 where one of the two has no rows.
    """
    n, m = float(today.sum()), float(reference.sum())
    if not n or not m:
        return 1.0
    noise = 1 / n + 1 / m
    measured, shift = psi(reference, today), tau / noise
    if shift > _NORMAL:
        return NormalDist().cdf((tau - measured) / (2 * math.sqrt(tau * noise)))
    from scipy.stats import chi2, ncx2

    bins = max(2, len(today))
    if not shift:
        return float(chi2.sf(measured / noise, bins - 1))
    return float(ncx2.sf(measured / noise, bins - 1, shift))


@dataclass(frozen=True)
class Drift:
    """What is said of a column.

    Attributes:
        psi: None where there are too few rows.
        level: "" if none is reached, `warn`, `alert`, or `few rows`.
    """

    psi: float | None
    level: str


def drifts(
    counts: Mapping[str, tuple[Array, Array]],
    alpha: float = ALPHA,
    warn: Mapping[str, float] | None = None,
) -> dict[str, Drift]:
    """The columns of a day, judged together (Holm): α is the chance of any false alarm.

    Args:
        counts: column → the counts of the reference and of the day, int64 [bins] each.
        warn: column → the PSI above which it is warned, where that is not `WARN`; see `usual`.
    """
    enough = {name: two for name, two in counts.items() if two[1].sum() >= LEAST_ROWS}
    levels = {}
    for level in ("warn", "alert"):
        taus = (warn or {}) if level == "warn" else {}
        default = WARN if level == "warn" else ALERT
        values = {name: chance(*two, taus.get(name, default)) for name, two in enough.items()}
        levels[level] = holm(values, alpha)
    found = {}
    for name, two in counts.items():
        if name not in enough:
            found[name] = Drift(None, "few rows")
            continue
        level = next((one for one in ("alert", "warn") if name in levels[one]), "")
        found[name] = Drift(psi(*two), level)
    return found


def usual(clean: Sequence[float]) -> float:
    """The PSI above which a column is warned, by those of clean days of the same kind.

    Days differ (weekdays do), so a column that always swings is warned later, never above `ALERT`.

    Args:
        clean: the PSI of published days without an alarm; the judged day is none of them.
    """
    if not clean:
        return WARN
    return float(min(ALERT, max(WARN, 1.5 * np.quantile(np.asarray(clean), 0.9))))


def holm(chances: Mapping[str, float], alpha: float) -> set[str]:
    """The names whose p-values stand out among all of them (Holm 1979).

    Args:
        alpha: the chance that any is named falsely.
    """
    found: set[str] = set()
    order = sorted(chances, key=lambda name: chances[name])
    for left, name in enumerate(order):
        if not chances[name] <= alpha / (len(order) - left):
            break
        found.add(name)
    return found


def rises(before: tuple[int, int], today: tuple[int, int], alpha: float = ALPHA) -> bool:
    """Whether a rate (of nulls, of unseen values, of bad rows) is higher by more than 0.01.

    Newcombe's interval of the difference of two shares (1998, method 10).

    Args:
        before, today: how many there are, and of how many rows.
    """
    if not before[1] or not today[1]:
        return False
    z = NormalDist().inv_cdf(1 - alpha)
    p, q = before[0] / before[1], today[0] / today[1]
    _, high = _wilson(p, before[1], z)
    low, _ = _wilson(q, today[1], z)
    return (q - p) - math.hypot(q - low, high - p) > _RISE


def rows_level(rows: int, same_days: Sequence[int]) -> str:
    """Whether a day has far more or fewer rows than days of its kind: "", `warn` or `fail`.

    Args:
        same_days: rows of up to eight earlier days of the same weekday; fewer than four say
            nothing.
    """
    if len(same_days) < _LEAST_DAYS:
        return ""
    logs = [math.log(max(1, count)) for count in same_days]
    middle = median(logs)
    spread = max(_LEAST_MAD, median(abs(one - middle) for one in logs))
    z = abs(math.log(max(1, rows)) - middle) / (_SCALE * spread)
    return "fail" if z > _TOO_FAR else "warn" if z > _FAR else ""


def _shares(counts: Array) -> Array:
    smoothed = counts.astype("float64") + _SMOOTH
    shares: Array = smoothed / smoothed.sum()
    return shares


def _wilson(share: float, rows: int, z: float) -> tuple[float, float]:
    """Wilson's interval of a share."""
    middle = share + z * z / (2 * rows)
    half = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    return (middle - half) / scale, (middle + half) / scale
