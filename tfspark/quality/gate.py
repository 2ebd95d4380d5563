"""The gate: what a model must reach on the test split before anyone scores with it.

The bound of a metric where less is better (logloss, rmse, mae) is the most it may be.
"""

from __future__ import annotations

from collections.abc import Mapping

from tfspark.errors import ConfigError
from tfspark.quality.evaluate import LOWER_IS_BETTER, METRICS, WEIGHTED


def check_names(gate: Mapping[str, float], task: str, weighted: bool) -> None:
    """Refuse a gate that could never be passed, before any training.

    Args:
        weighted: whether the contract has a column of weights.

    Raises:
        ConfigError: a metric that a model of this task does not have.
    """
    for name in gate:
        plain = name.removeprefix(WEIGHTED)
        if plain not in METRICS[task]:
            raise ConfigError(
                f"registry.gate: {name} is no metric of a {task} model; "
                f"use {', '.join(METRICS[task])}"
            )
        if plain != name and not weighted:
            raise ConfigError(
                f"registry.gate: {name} needs the weights of rows, and no column of the contract "
                f"has `role: weight`; use {plain}, or name that column there"
            )


def failures(gate: Mapping[str, float], metrics: Mapping[str, float]) -> list[str]:
    """Why the metrics do not pass the gate, a sentence each; none: passed. Fails closed."""
    said = []
    for name, bound in gate.items():
        value = metrics.get(name)
        if value is None:
            said.append(f"{name} cannot be computed on the test split")
        elif name in LOWER_IS_BETTER and not value <= bound:
            said.append(f"{name} is {value:.4f}, at most {bound:g} is allowed")
        elif name not in LOWER_IS_BETTER and not value >= bound:
            said.append(f"{name} is {value:.4f}, at least {bound:g} is needed")
    return said
