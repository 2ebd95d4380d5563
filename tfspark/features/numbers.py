"""The settings of numeric features, from statistics."""

from __future__ import annotations

import math
from typing import Any

from tfspark.config.recipe import Bucketize, Numeric
from tfspark.errors import ConfigError
from tfspark.tensors import TensorSpec

_CLIP = 10.0
_UNLIMITED = 3e38


def numbers_settings(
    feature: Numeric, specs: dict[str, TensorSpec], statistics: dict[str, Any]
) -> dict[str, Any]:
    """`fill`, `shift`, `scale`, `clip`, `log`, `total` and `flag` of `features.layers.Numbers`.

    Raises:
        ConfigError: a statistic that the feature needs is not there.
    """
    known = [_Known(feature, name, statistics) for name in feature.columns]
    widths = [specs[name].shape[0] if specs[name].shape else 1 for name in feature.columns]
    fill = [k.fill() for k, width in zip(known, widths, strict=True) for _ in range(width or 1)]
    total = feature.combine == "sum" and len(fill) > 1
    if feature.normalize == "none":
        scaled = [(0.0, 1.0)] * (1 if total else len(fill))
    elif total:
        scaled = [_scale_of_sum(feature, known)]
    else:
        scaled = [k.scale() for k in known]
    if any(not math.isfinite(shift) for shift, _ in scaled):
        raise ConfigError(
            f"feature {feature.name}: the values of {', '.join(feature.columns)} are too large to "
            "be added up; give their contract a maximum, or set normalize: none"
        )
    unscaled = feature.normalize == "none"
    return {
        "fill": fill,
        "shift": [shift for shift, _ in scaled],
        "scale": [scale for _, scale in scaled],
        "clip": feature.clip or (_UNLIMITED if unscaled else _CLIP),
        "log": feature.transform == "log1p",
        "total": total,
        "flag": feature.missing_flag,
    }


class _Known:
    """What statistics say about one column of a numeric feature."""

    def __init__(self, feature: Numeric, column: str, statistics: dict[str, Any]) -> None:
        self.feature, self.column = feature, column
        self.entry = statistics.get(column, {})

    def get(self, key: str, wanted_for: str) -> float:
        value = self.entry.get(key)
        if value is None:
            why = "is always missing in the training split"
            if "mean" not in self.entry:
                why = "has no such statistic"
            elif key.startswith("log1p") and self.entry["mean"] is not None:
                why = "has negative values"
            raise ConfigError(
                f"feature {self.feature.name}: {wanted_for} needs the {key} of {self.column}, "
                f"which {why}; leave the feature out, or set impute to a number, normalize: none "
                "and no transform"
            )
        return float(value)

    def fill(self) -> float:
        if isinstance(self.feature.impute, float):
            return self.feature.impute
        if self.feature.impute == "median":
            quantiles = self.entry.get("quantiles") or [None] * 101
            self.entry = {**self.entry, "median": quantiles[50]}
            return self.get("median", "impute: median")
        return self.get("mean", "impute: mean")

    def scale(self) -> tuple[float, float]:
        """(shift, scale) such that (x - shift) * scale is normal."""
        log = self.feature.transform == "log1p"
        if log:
            self.get("log1p_mean", "transform: log1p")
        if self.feature.normalize == "zscore":
            prefix = "log1p_" if log else ""
            mean = self.get(f"{prefix}mean", "normalize: zscore")
            return mean, _inverse(self.get(f"{prefix}std", "normalize: zscore"))
        low, high = (self.get(key, "normalize: minmax") for key in ("min", "max"))
        low, high = (math.log1p(low), math.log1p(high)) if log else (low, high)
        return low, _between(low, high)


def _scale_of_sum(feature: Numeric, known: list[_Known]) -> tuple[float, float]:
    """As if the columns were independent: the scale need not be exact, only sensible."""
    if feature.normalize == "minmax":
        low = sum(k.get("min", "normalize: minmax") for k in known)
        high = sum(k.get("max", "normalize: minmax") for k in known)
        if feature.transform == "log1p":
            low, high = math.log1p(max(low, 0)), math.log1p(max(high, 0))
        return low, _between(low, high)
    if feature.transform == "log1p":
        raise ConfigError(
            f"feature {feature.name}: the mean log1p of a sum is not among the statistics; "
            "use normalize: minmax, or none"
        )
    mean = sum(k.get("mean", "normalize: zscore") for k in known)
    return mean, _inverse(math.hypot(*(k.get("std", "normalize: zscore") for k in known)))


def _between(low: float, high: float) -> float:
    """One over the distance; in halves, as no double may have room for it."""
    return _inverse(high / 2 - low / 2) / 2 if high > low else 1.0


def _inverse(spread: float) -> float:
    return 1.0 / spread if spread > 0 and math.isfinite(1.0 / spread) else 1.0


def bucket_bounds(feature: Bucketize, statistics: dict[str, Any]) -> list[float]:
    """Where each bucket after the first one starts, rising.

    Raises:
        ConfigError: the column has no quantiles, or one value only.
    """
    if feature.bounds is not None:
        return feature.bounds
    column, parts = feature.columns[0], feature.quantiles or 2
    quantiles = statistics.get(column, {}).get("quantiles")
    if not quantiles or quantiles[0] is None:
        raise ConfigError(
            f"feature {feature.name}: {column} has no quantiles (always missing in the training "
            "split?); give `bounds`, or leave the feature out"
        )
    steps = len(quantiles) - 1
    cuts = []
    for i in range(1, parts):
        at = i * steps / parts
        low = int(at)
        high = min(low + 1, steps)
        cuts.append(quantiles[low] + (at - low) * (quantiles[high] - quantiles[low]))
    bounds = sorted({float(cut) for cut in cuts if cut > quantiles[0]})
    if not bounds:
        raise ConfigError(
            f"feature {feature.name}: {column} has nearly one value in the training split, so "
            "quantiles make no buckets; give `bounds`, or leave the feature out"
        )
    return bounds
