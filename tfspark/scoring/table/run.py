"""One run of `score_table`: what it reads, what it has staged, and its commit."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import Observation
from pyspark.sql import functions as F

from tfspark import storage, tables
from tfspark.config import Source
from tfspark.contracts import Contract
from tfspark.errors import ConfigError, StorageError
from tfspark.keys import duplicates, run_checked
from tfspark.plainfiles.asread import NotPlain
from tfspark.plainfiles.files import Plain, plain
from tfspark.plainfiles.raw import RawTable
from tfspark.quarantine import may_be_empty, quarantine, refuse_above, refuse_count, refuse_empty
from tfspark.rowchecks import DayChecks, RowChecks, Times
from tfspark.scoring.model.binding import check_outputs
from tfspark.scoring.plans.plan import BySpark, ByTasks, TableFiles
from tfspark.scoring.plans.registry import choose
from tfspark.scoring.table.asked import TableAsked
from tfspark.scoring.table.checks import checked_frame, for_tasks, task_checks, typed_frame
from tfspark.scoring.table.direct import FilesRun
from tfspark.scoring.table.grow import fitted, grow
from tfspark.scoring.table.planner import TableLook
from tfspark.scoring.table.source import bound_to, check_own, for_scoring, pinned
from tfspark.scoring.table.staged import StagedRun
from tfspark.scoring.table.way import Output, Way
from tfspark.scoring.worker.sink import FilePart, TableTask
from tfspark.sparkerrors import reading
from tfspark.tables import CORRUPT, RAW, REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql import types as T


class TableRun:
    """Scored by `stage`, then committed or dropped.

    Attributes:
        plan: the name of the plan that is run, once `stage` has chosen it; `why` says why.
        rows: number of rows that came in.
        bad: how many of them were refused.
        scoring_seconds: how long the step took that scores.
    """

    plan = why = ""
    rows = bad = 0
    scoring_seconds = 0.0
    _way: Way

    def __init__(self, asked: TableAsked) -> None:
        self.asked = asked
        self._contract: Contract | None = None
        self._added: list[T.StructField] = []
        self._scored_at = dt.datetime.now(dt.UTC)

    def stage(self, staging: str) -> None:
        """Score every row once into Parquet files, and count that none was lost."""
        asked = self.asked
        raw = self._read()
        typed, checks = self._typed(raw)
        output = self._output(typed)
        output = self._fit_target(output)
        used = output.bound.used
        by_contract = self._contract is not None or asked.by is not None
        look = TableLook(typed, used, by_contract, asked.target, output.schema, raw, checks)
        with asked.step("plan") as info:
            choice = choose(asked.plan, asked.where, lambda plan: plan.for_table(look))
            self.plan, self.why = info["plan"], info["why"] = choice.plan.name, choice.why
        way, counted = choice.way, None
        rows = raw
        if isinstance(way, ByTasks) and isinstance(way.checks, RowChecks) and self._contract:
            way = self._by_checks(way, way.checks, raw, self._contract, staging)
        elif way.checks is None and checks is not None:
            rows = self._checked(raw, checks, typed.schema, staging)
        elif way.files is None and asked.named is None:
            # While it is scored: it may be costly, or not give the same rows twice.
            counted = Observation()
            rows = rows.observe(counted, F.count(F.lit(1)).alias("rows"))
        else:
            with asked.step("count rows") as info, reading(asked.where):
                self.rows = info["rows"] = _count(raw, raw.columns, way.files)
            self._refuse_empty()
        self._way = self._way_of(way, output, staging, typed)
        began = time.monotonic()
        with asked.step("score", self.rows or None, rate=True) as info:
            staged, self.bad = self._way.score(rows)
            info |= {"rows": staged, "bad": self.bad}
        self.scoring_seconds = time.monotonic() - began
        if counted is not None:
            self.rows = int(counted.get["rows"])
            self._refuse_empty()
        if staged != self.rows:
            raise StorageError(
                f"{asked.where}: {self.rows} rows came in, {staged} were scored or refused; "
                f"{asked.target} is unchanged. The source changed while it was read: run again"
            )

    def _by_checks(
        self, way: ByTasks, checks: RowChecks, raw: DataFrame, contract: Contract, staging: str
    ) -> ByTasks:
        """Tasks that check the rows themselves; they know the keys that are there twice."""
        asked, table = self.asked, self._counted(raw, staging, way.files)

        def exchanged() -> Times:
            return self._exchanged(table, contract, staging)

        def write(_: DataFrame, files: TableFiles) -> list[FilePart]:
            def task(times: Times) -> TableTask:
                checks = files.checks and partial(files.checks, times=times)
                return replace(files, checks=checks).task(asked.spark)

            return run_checked(table, checks, task, exchanged)

        return replace(way, write=write)

    def _checked(
        self, raw: DataFrame, checks: RowChecks | DayChecks, typed: T.StructType, staging: str
    ) -> DataFrame:
        """The checked rows for tasks that do not check: typed columns, reasons and raw text."""
        table = self._counted(raw, staging)
        contract = self._contract
        times = None if contract is None else self._exchanged(table, contract, staging)
        with reading(self.asked.where):
            return checked_frame(table, checks, typed, times)

    def _counted(self, raw: DataFrame, staging: str, files: Plain | None = None) -> RawTable:
        """The rows, the same ones as often as they are read."""
        asked = self.asked
        with asked.step("count rows") as info:
            table = RawTable(asked.spark, raw, asked.where, storage.join(staging, "raw"), files)
            with reading(asked.where):
                self.rows = info["rows"] = raw.count() if table.rows is None else table.rows
        self._refuse_empty()
        return table

    def _exchanged(self, table: RawTable, contract: Contract, staging: str) -> Times:
        asked = self.asked
        with asked.step("check keys"):
            folder = storage.join(staging, "keys")
            return duplicates(asked.spark, table, contract, asked.where, folder, asked.forms)

    def quarantine(self) -> None:
        """Put the bad rows into their table, and stop where they are too many.

        Raises:
            ContractViolation: they are.
        """
        asked, table = self.asked, self.asked.quarantine
        self._allowed()
        with asked.step("quarantine") as info:
            if self.bad or tables.is_there(asked.spark, table):
                bad = self._way.bad_rows().select(REASONS, RAW)
                about = {"table": asked.name, "job": "score"}
                quarantine(
                    bad, table, about, day=asked.day, run_id=asked.run_id, ready=self._way.ready()
                )
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
        refuse_count(asked.limit, where=asked.where, rows=self.rows)

    def commit(self) -> int:
        """Replace the day by the good rows that are staged; the table's new version."""
        asked = self.asked
        with asked.step("commit") as info:
            if self._added:
                self._allowed()
                grow(asked.spark, asked.target, self._added, asked.run_id)
                info["added"] = ", ".join(field.name for field in self._added)
            version = info["version"] = self._way.commit(self._allowed)
        return version

    def _allowed(self) -> None:
        if self.asked.before_commit is not None:
            self.asked.before_commit()

    def _read(self) -> DataFrame:
        """The rows of the source, at one version."""
        asked = self.asked
        if not isinstance(asked.source, Source):
            df = asked.source
        else:
            if asked.source.format == "json" and asked.contract is None:
                raise ConfigError(f"{asked.where}: JSON lines need a contract, for their columns")
            source = pinned(asked.spark, asked.source, asked.day)
            columns = [c.name for c in asked.contract.columns] if asked.contract else None
            df = tables.read_source(asked.spark, source, asked.day, columns)
        if asked.contract is not None:
            self._contract = for_scoring(asked.contract, asked.keep, df.columns)
            return for_tasks(df)
        df = df.drop(CORRUPT)
        return df if asked.by is None else for_tasks(df)

    def _typed(self, raw: DataFrame) -> tuple[DataFrame, RowChecks | DayChecks | None]:
        """A table with the columns of the checked one, and the checks that tasks can do."""
        asked = self.asked
        checks = task_checks(raw, self._contract, asked.where, asked.forms, asked.by)
        return (raw if self._contract is None else typed_frame(raw, self._contract)), checks

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
            asked.counter,
        )

    def _fit_target(self, output: Output) -> Output:
        """Refuse names that are taken and a target of other columns, before anything is scored."""
        asked, bound = self.asked, output.bound
        check_own(asked.where, bound, [*output.about, "day"], "keep, --keep")
        check_outputs(bound.model, bound.kept)
        old = tables.target_schema(asked.spark, asked.target)
        left, self._added = fitted(old, output.schema, asked.target, asked.evolve)
        tables.check_partitions(asked.spark, asked.target, ["day"])
        tables.check_partitions(asked.spark, asked.quarantine, ["day", "table", "job"])
        return replace(output, null=tuple(left))

    def _way_of(
        self,
        way: ByTasks | BySpark,
        output: Output,
        staging: str,
        typed: DataFrame,
    ) -> Way:
        if isinstance(way, ByTasks):
            return FilesRun(output, way, typed.schema, staging)
        return StagedRun(output, way.results, storage.join(staging, "rows"))

    def _refuse_empty(self) -> None:
        if not self.rows and not may_be_empty(self.asked.contract):
            refuse_empty(self.asked.where, self.asked.named, self.asked.day)


def _count(df: DataFrame, used: list[str], files: Plain | None) -> int:
    """The rows of the source: by the footers of its files where they are plain."""
    try:
        found = files or plain(df, used)
    except NotPlain:
        return df.count()
    return found.rows if found.where is None else df.count()
