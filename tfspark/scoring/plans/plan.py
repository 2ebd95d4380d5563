"""What a plan answers, and what is said to it: one way of scoring the rows of a table."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pyarrow as pa
from pyspark.sql import functions as F

from tfspark.plainfiles.asread import NotPlain
from tfspark.plainfiles.files import Plain
from tfspark.registry.signature import Signature
from tfspark.rowchecks import Checked, DayChecks, RowChecks
from tfspark.scoring.kinds.bound import BoundModel
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.plans.columns import as_text
from tfspark.scoring.refuse import ADVICE
from tfspark.scoring.worker.settings import scorer_settings
from tfspark.scoring.worker.sink import Counter, FilePart, TableTask, about_columns
from tfspark.tables import RAW, REASONS, quote
from tfspark.tensors import TensorSpec

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

RESULT = "_tfspark_result"
REASON = "_tfspark_reason"
ERROR = "error"


class Plan(ABC):
    """One way of scoring the rows of a table."""

    name: ClassVar[str]

    def check(self, spark: SparkSession, model: AnyModel) -> None:  # noqa: B027 - most always can
        """Whether it can score at all, before a table is looked at.

        Raises:
            ConfigError: not this model, or not in this session.
        """

    @abstractmethod
    def for_frame(self, df: DataFrame, used: Sequence[str]) -> ForFrame:
        """How it scores a DataFrame of which some columns are used.

        Raises:
            NotPlain: it does not apply.
        """

    @abstractmethod
    def for_table(self, source: TableSource) -> ByTasks | BySpark:
        """How it scores a table into a Delta table.

        Raises:
            NotPlain: it does not apply.
        """

    def settings(self, spark: SparkSession) -> dict[str, Any]:
        """The settings of a scorer that it follows."""
        return scorer_settings(spark)


class RowsPlan(Plan):
    """A plan to which Spark hands the rows, whatever the DataFrame is."""

    @abstractmethod
    def results(self, df: DataFrame, bound: BoundModel, kept: Sequence[str]) -> Results:
        """Score every row once; the rows stay where they are, in the same number."""

    def for_frame(self, df: DataFrame, used: Sequence[str]) -> ForFrame:
        return ForFrame("asked for", lambda bound, fail: self._score(df, bound, fail))

    def _score(self, df: DataFrame, bound: BoundModel, fail: bool) -> DataFrame:
        found = self.results(df, bound, bound.kept)
        message = F.concat(
            F.lit(f"model {bound.model.path}: row "),
            F.substring(as_text(df.schema, bound.kept), 1, 500),
            F.lit(" cannot be scored: "),
            found.error,
            F.lit(f"; {ADVICE}"),
        )
        instead = F.raise_error(message) if fail else F.lit(None)
        outputs = [
            F.when(found.error.isNotNull(), instead).otherwise(value).alias(name)
            for name, value in found.outputs.items()
        ]
        return found.df.select(*[F.col(quote(name)) for name in bound.kept], *outputs)


class FilesPlan(RowsPlan):
    """A plan to which Spark hands the rows, and whose tasks can write a table's own files."""

    @abstractmethod
    def write(self, df: DataFrame, files: TableFiles) -> list[FilePart]:
        """Score every row once, into files.

        Args:
            df: the columns, and as it may be `REASONS` and `RAW`.
        """

    def for_table(self, source: TableSource) -> ByTasks | BySpark:
        try:
            return ByTasks("asked for", source.columns(), self.write)
        except NotPlain as reason:
            return BySpark(f"asked for; Spark writes: {reason}", self.results)


@dataclass(frozen=True)
class Results:
    """A DataFrame in which every row has its result: not yet separated into good and bad.

    Attributes:
        df: the kept columns and the results.
        outputs: output → its expression, null in a bad row.
        error: the reason why a row could not be scored, null in a good row.
    """

    df: DataFrame
    outputs: dict[str, Column]
    error: Column

    @classmethod
    def of(
        cls,
        df: DataFrame,
        signature: Signature,
        before: Column | None = None,
        output: Callable[[Column, int, TensorSpec], Column] | None = None,
    ) -> Results:
        """The outputs and the errors of the column `RESULT`.

        Args:
            before: the reason of a row that was bad before it was scored.
            output: takes one of the outputs out of the column; default: the field of its number.
        """
        result = F.col(RESULT)
        error = result.getField(ERROR)
        outputs = {
            name: output(result, number, spec) if output else result.getField(f"o{number}")
            for number, (name, spec) in enumerate(signature.outputs.items())
        }
        return cls(df, outputs, error if before is None else F.coalesce(before, error))


class TableSource(Protocol):
    """A table that is to be scored into a Delta table, as plans look at it.

    Attributes:
        df: as Spark reads it; where there is a contract, a table of the columns that it gives.
        used: the columns of it that are read.
        by_contract: whether its rows are checked: by a contract, or for their day.
        raw: before the checks.
        checks: those that tasks can do themselves, on batches of `raw`.
    """

    @property
    def df(self) -> DataFrame: ...

    @property
    def raw(self) -> DataFrame: ...

    @property
    def checks(self) -> RowChecks | DayChecks | None: ...

    @property
    def used(self) -> Sequence[str]: ...

    @property
    def by_contract(self) -> bool: ...

    def columns(self) -> pa.Schema:
        """The used columns with the types that tasks write.

        Raises:
            NotPlain: tasks cannot write the target's files.
        """


@dataclass(frozen=True)
class ForFrame:
    """How a plan scores a DataFrame.

    Attributes:
        why: the reason why this plan was chosen.
        score: the model, and whether a bad row ends the query → kept columns and predictions.
        files: the files that tasks read themselves; None: Spark reads.
    """

    why: str
    score: Callable[[BoundModel, bool], DataFrame]
    files: Plain | None = None


@dataclass(frozen=True)
class ByTasks:
    """A table whose files tasks write.

    Attributes:
        why: the reason why this plan was chosen.
        columns: the columns that tasks read, with the types that they write.
        files: the files that tasks read themselves; None: Spark hands over the rows.
        checks: what tasks check the rows of the raw table by; None: they get checked ones.
    """

    why: str
    columns: pa.Schema
    write: Callable[[DataFrame, TableFiles], list[FilePart]]
    files: Plain | None = None
    checks: RowChecks | DayChecks | None = None


@dataclass(frozen=True)
class BySpark:
    """A table that Spark writes.

    Attributes:
        why: the reason why this plan was chosen.
        results: see `RowsPlan`.
    """

    why: str
    results: Callable[[DataFrame, BoundModel, Sequence[str]], Results]
    files: None = None
    checks: None = None


@dataclass(frozen=True)
class TableFiles:
    """The files of a day, as tasks write them: see `TableTask` for the attributes."""

    bound: BoundModel
    columns: pa.Schema
    about: Mapping[str, str | dt.datetime]
    folder: str
    staging: str
    token: str
    checks: Callable[..., Checked] | None = None
    counter: Counter | None = None

    def task(self, spark: SparkSession) -> TableTask:
        """What tasks in Python carry."""
        return TableTask(
            self.bound.scorer(spark),
            self.columns,
            self.bound.fed,
            self.bound.kept,
            about_columns(self.about),
            self.folder,
            self.staging,
            self.token,
            self.checks,
            self.counter,
        )


def needed(df: DataFrame, files: TableFiles) -> DataFrame:
    """The columns of a table that tasks take; all of one that they check themselves."""
    if files.checks is not None:
        return df
    extra = [name for name in (REASONS, RAW) if name in df.columns]
    return df.select(*[F.col(quote(name)) for name in [*files.columns.names, *extra]])
