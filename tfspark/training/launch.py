"""Where a training runs. In this process, for now: the distributed launcher takes its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tfspark.errors import ConfigError

T = TypeVar("T")


def launch(train: Callable[[], T], ranks: int = 1) -> T:
    """Run a training and give what rank 0 returns.

    Raises:
        ConfigError: more than one rank.
    """
    if ranks != 1:
        raise ConfigError(f"{ranks} ranks: this version trains in one process; use 1")
    return train()
