"""What `score_table` was asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfspark.config import Source
from tfspark.config.textoptions import USUAL, TextForms, forms_of
from tfspark.console import Steps
from tfspark.contracts import Contract
from tfspark.contracts.contract import Quarantine
from tfspark.daycolumn import DayColumn
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.model.binding import Inputs
from tfspark.scoring.worker.sink import Counter
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
        evolve: whether the target may get columns, and go without some in the run's rows.
        counter: of the rows that are scored.
        before_commit: asked before anything is written that others see; it may raise.
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
    counter: Counter | None
    run_id: str
    steps: Steps | None
    evolve: bool = False
    before_commit: Callable[[], None] | None = None

    @property
    def named(self) -> Source | None:
        """The source, unless it was given as a DataFrame."""
        return self.source if isinstance(self.source, Source) else None

    @property
    def forms(self) -> TextForms:
        """How text of the source is written."""
        return forms_of(self.named.format, self.named.options) if self.named else USUAL

    @property
    def by(self) -> DayColumn | None:
        """The column of the source that tells a row's day."""
        return day_column(self.named, self.day) if self.named else None

    @property
    def where(self) -> str:
        """The source, at its place of the day, for messages."""
        return self.named.place(self.day) if self.named else "the DataFrame"

    @property
    def name(self) -> str:
        """The source in the quarantine: the same on all days."""
        if self.contract is not None:
            return self.contract.name
        return self.named.path if self.named else self.where

    def step(
        self, name: str, of: int | None = None, rate: bool = False
    ) -> AbstractContextManager[dict[str, Any]]:
        return self.steps.step(name, of, rate) if self.steps else nullcontext({})
