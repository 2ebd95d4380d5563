"""What `score_table` was asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfspark.config import Source
from tfspark.console import Steps
from tfspark.contracts import Contract
from tfspark.contracts.contract import Quarantine
from tfspark.daycolumn import DayColumn
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.model.binding import Inputs
from tfspark.tables import day_column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class TableAsked:
    """What `score_table` was asked for, each thing found that was only named.

    Attributes:
        plan: its name; `auto` is one.
        quarantine: the table of bad rows.
        limit: how many bad rows are too many.
    """

    spark: SparkSession
    source: Source | DataFrame
    model: AnyModel
    target: str
    day: dt.date
    inputs: Inputs | None
    keep: Sequence[str] | None
    plan: str
    contract: Contract | None
    quarantine: str
    limit: Quarantine
    run_id: str
    steps: Steps | None

    @property
    def named(self) -> Source | None:
        """The source, unless it was given as a DataFrame."""
        return self.source if isinstance(self.source, Source) else None

    @property
    def by(self) -> DayColumn | None:
        """The column of the source that tells a row's day."""
        return day_column(self.named, self.day) if self.named else None

    @property
    def where(self) -> str:
        """The source, for messages."""
        return self.named.path if self.named else "the DataFrame"

    def step(self, name: str, **about: Any) -> AbstractContextManager[dict[str, Any]]:
        return self.steps.step(name, **about) if self.steps else nullcontext(dict(about))
