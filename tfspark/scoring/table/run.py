"""One run of `score_table`: what it reads, what it has staged, and its commit."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pyspark.sql import Observation
from pyspark.sql import functions as F

from tfspark import storage, tables
from tfspark.config import Source
from tfspark.errors import ConfigError, StorageError
from tfspark.plainfiles.asread import NotPlain
from tfspark.plainfiles.files import Plain, plain
from tfspark.quarantine import quarantine, refuse_above, refuse_empty
from tfspark.scoring.model.binding import check_outputs
from tfspark.scoring.plans.plan import BySpark, ByTasks
from tfspark.scoring.plans.registry import Choice, choose
from tfspark.scoring.table.asked import TableAsked
from tfspark.scoring.table.direct import FilesRun
from tfspark.scoring.table.planner import TableLook
from tfspark.scoring.table.source import bound_to, check_own, for_scoring, pinned
from tfspark.scoring.table.staged import StagedRun
from tfspark.scoring.table.way import Output, Way
from tfspark.sparkerrors import reading
from tfspark.tables import CORRUPT, RAW, REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class TableRun:
    """Scored by `stage`, then committed or dropped.

    Attributes:
        plan: the name of the plan that is run, once `stage` has chosen it; `why` says why.
        rows: number of rows that came in.
        bad: how many of them were refused.
    """

    plan = why = ""
    rows = bad = 0
    _way: Way

    def __init__(self, asked: TableAsked) -> None:
        self.asked = asked
        self._scored_at = dt.datetime.now(dt.UTC)

    def stage(self, staging: str) -> None:
        """Score every row once into Parquet files, and count that none was lost."""
        asked = self.asked
        df = self._read()
        checked = self._checked(df)
        output = self._output(checked)
        self._check_target(output)
        used = output.bound.used
        look = TableLook(checked, used, asked.contract is not None, asked.target, output.schema)
        with asked.step("plan") as info:
            choice = choose(asked.plan, asked.where, lambda plan: plan.for_table(look))
            self.plan, self.why = info["plan"], info["why"] = choice.plan.name, choice.why
        self._way = self._way_of(choice, output, staging)
        files, counted = choice.way.files, None
        if files is None and asked.named is None:
            # While it is scored: it may be costly, or not give the same rows twice.
            counted = Observation()
            checked = checked.observe(counted, F.count(F.lit(1)).alias("rows"))
        else:
            with asked.step("count rows") as info, reading(asked.where):
                self.rows = info["rows"] = _count(df, used, files)
            self._refuse_empty()
        with asked.step("score") as info:
            staged, self.bad = self._way.score(checked)
            info |= {"rows": staged, "bad": self.bad}
        if counted is not None:
            self.rows = int(counted.get["rows"])
            self._refuse_empty()
        if staged != self.rows:
            raise StorageError(
                f"{asked.where}: {self.rows} rows came in, {staged} were scored or refused; "
                f"{asked.target} is unchanged. The source changed while it was read: run again"
            )

    def quarantine(self) -> None:
        """Put the bad rows into their table, and stop where they are too many.

        Raises:
            ContractViolation: they are.
        """
        asked, table = self.asked, self.asked.quarantine
        with asked.step("quarantine") as info:
            if self.bad or tables.is_there(asked.spark, table):
                bad = self._way.bad_rows().select(REASONS, RAW)
                name = asked.contract.name if asked.contract else asked.where
                quarantine(bad, table, table=name, day=asked.day, job="score", run_id=asked.run_id)
            info["rows"] = self.bad
        if self.bad:
            refuse_above(
                asked.limit,
                self._way.bad_rows(),
                where=asked.where,
                rows=self.rows,
                bad=self.bad,
                table=table,
            )

    def commit(self) -> int:
        """Replace the day by the good rows that are staged; the table's new version."""
        with self.asked.step("commit") as info:
            version = info["version"] = self._way.commit()
        return version

    def _read(self) -> DataFrame:
        """The rows of the source, at one version."""
        asked = self.asked
        if not isinstance(asked.source, Source):
            return asked.source
        source = pinned(asked.spark, asked.source, asked.day)
        return tables.read_source(asked.spark, source, asked.day)

    def _checked(self, df: DataFrame) -> DataFrame:
        """The table with its typed columns, its reasons and its raw text."""
        asked = self.asked
        if asked.contract is not None:
            from tfspark.contracts.checks import check

            with reading(asked.where):
                return check(df, for_scoring(asked.contract, asked.keep, df.columns), asked.where)
        if asked.named and asked.named.format == "json":
            raise ConfigError(f"{asked.where}: JSON lines need a contract, for their columns")
        no_reasons = F.array().cast("array<string>").alias(REASONS)
        return df.drop(CORRUPT).select("*", no_reasons, F.lit(None).cast("string").alias(RAW))

    def _output(self, checked: DataFrame) -> Output:
        asked = self.asked
        bound = bound_to(checked, asked.model, asked.inputs, asked.keep, asked.contract)
        about: dict[str, str | dt.datetime] = {**asked.model.about()}
        about |= {"run_id": asked.run_id, "scored_at": self._scored_at}
        return Output(
            asked.spark,
            bound,
            tuple(checked.schema[name] for name in bound.kept),
            about,
            asked.target,
            asked.day,
            asked.run_id,
            f"scoring {asked.where} with {asked.model.path}",
        )

    def _check_target(self, output: Output) -> None:
        """Refuse names that are taken and a target of other columns, before anything is scored."""
        asked, bound = self.asked, output.bound
        check_own(asked.where, bound, [*output.about, "day"], "keep, --keep")
        check_outputs(bound.model, bound.kept)
        old = tables.target_schema(asked.spark, asked.target)
        tables.check_columns(old, output.schema, asked.target)

    def _way_of(self, choice: Choice[ByTasks | BySpark], output: Output, staging: str) -> Way:
        way = choice.way
        if isinstance(way, ByTasks):
            return FilesRun(output, way, self.asked.contract is not None, staging)
        return StagedRun(output, way.results, storage.join(staging, "rows"))

    def _refuse_empty(self) -> None:
        if not self.rows:
            refuse_empty(self.asked.where, self.asked.named, self.asked.day)


def _count(df: DataFrame, used: list[str], files: Plain | None) -> int:
    """The rows of the source: by the footers of its files where they are plain."""
    try:
        found = files or plain(df, used)
    except NotPlain:
        return df.count()
    return found.rows if found.where is None else df.count()
