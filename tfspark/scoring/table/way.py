"""What a run writes, and what is asked of the two ways of writing it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pyspark.sql import types as T

from tfspark.quarantine import Ready
from tfspark.scoring.kinds.bound import BoundModel
from tfspark.scoring.plans.columns import spark_type
from tfspark.scoring.worker.sink import Counter

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Output:
    """What a run writes.

    Attributes:
        kept: the fields of the kept columns.
        about: the columns that every row of the run has alike.
        doing: description of the run, used in messages.
        null: the table's columns that the run has no values for.
        counter: of the rows that are scored.
    """

    spark: SparkSession
    bound: BoundModel
    kept: tuple[T.StructField, ...]
    about: dict[str, str | dt.datetime]
    target: str
    day: dt.date
    run_id: str
    doing: str
    counter: Counter | None = None
    null: tuple[T.StructField, ...] = ()

    @property
    def schema(self) -> T.StructType:
        """The target's."""
        outputs = self.bound.model.signature.outputs.items()
        made = [T.StructField(name, spark_type(spec)) for name, spec in outputs]
        alike = [
            T.StructField(name, T.StringType() if isinstance(v, str) else T.TimestampType())
            for name, v in self.about.items()
        ]
        day = T.StructField("day", T.DateType())
        return T.StructType([*self.kept, *made, *alike, *self.null, day])


class Way(Protocol):
    """Scored by `score`, then committed or dropped."""

    def score(self, checked: DataFrame) -> tuple[int, int]:
        """Score every row once: the rows that were written, and how many of them are bad.

        Args:
            checked: the table, as it may be with `REASONS` and `RAW`; where the plan has checks of
                its own, the raw table.

        Raises:
            StorageError: a task failed, or a file is not what its task said.
        """

    def bad_rows(self) -> DataFrame:
        """The bad rows: their reasons (`REASONS`) and their text (`RAW`)."""

    def ready(self) -> Ready | None:
        """The same rows as files for the quarantine; None: there are none."""

    def commit(self, allowed: Callable[[], None]) -> int:
        """Replace the day by the good rows; the table's new version.

        Args:
            allowed: called before each try, once the table is looked at; it may raise.
        """
