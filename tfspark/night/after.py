"""The steps behind the bar: what is seen of a day that is published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.night.pin import Pin
from tfspark.night.record import Record, Records


@dataclass(frozen=True)
class Context:
    """What a step is given; it puts what it finds into the record."""

    settings: Settings
    steps: Steps
    records: Records
    record: Record
    pin: Pin


AFTER: dict[str, Callable[[Context], str]] = {}
"""Name → step, which gives a sentence; what it raises makes the night yellow."""
