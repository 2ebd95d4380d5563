"""One run of `score_table`: what it reads, what it has staged, and its commit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from pyspark.sql import Observation
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark import storage, tables
from tfspark.config import Source
from tfspark.console import Steps
from tfspark.contracts import Contract
from tfspark.errors import ConfigError, StorageError
from tfspark.quarantine import quarantine, refuse_empty
from tfspark.scoring.frame import bindings, with_result
from tfspark.scoring.model.binding import Binding, Inputs, check_outputs
from tfspark.scoring.model.many import AnyModel, about
from tfspark.scoring.plans.asread import NotPlain
from tfspark.scoring.plans.columns import as_text, spark_type
from tfspark.scoring.plans.plain import Plain, plain
from tfspark.scoring.table.direct import DirectRun
from tfspark.scoring.table.planner import choose
from tfspark.scoring.table.source import columns_to_keep, for_scoring, pinned
from tfspark.scoring.table.staged import BAD, count_staged
from tfspark.sparkerrors import reading, running
from tfspark.tables import CORRUPT, RAW, REASONS, quote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class TableRun:
    """Scored by `stage`, then committed or dropped.

    Attributes:
        plan: the one that is run, once `stage` has chosen it; `why` says why.
        rows: number of rows that came in.
        bad: how many of them were refused.
    """

    def __init__(
        self,
        spark: SparkSession,
        source: Source | DataFrame,
        model: AnyModel,
        target: str,
        day: dt.date,
        run_id: str,
        steps: Steps | None,
        plan: str,
    ) -> None:
        self.spark, self.model = spark, model
        self.source = source
        self.where = source.path if isinstance(source, Source) else "the DataFrame"
        self.target, self.day, self.run_id, self.steps = target, day, run_id, steps
        self.scored_at = dt.datetime.now(dt.UTC)
        self.plan, self.why = plan, ""
        self.direct: DirectRun | None = None
        self.rows = self.bad = 0
        self._doing = f"scoring {self.where} with {model.path}"

    def step(self, name: str, **about: Any) -> AbstractContextManager[dict[str, Any]]:
        return self.steps.step(name, **about) if self.steps else nullcontext(dict(about))

    def stage(
        self,
        staging: str,
        contract: Contract | None,
        inputs: Inputs | None,
        keep: Sequence[str] | None,
    ) -> tuple[int, list[T.StructField]]:
        """Score every row once into Parquet files, and count that none was lost.

        Returns:
            The rows that came in, and the fields of the kept columns.
        """
        df = self._read()
        checked = self._checked(df, contract, keep)
        bound = bindings(checked, self.model, inputs)
        names = columns_to_keep(checked, keep, contract, self.model, bound)
        kept = [checked.schema[name] for name in names]
        self._check_target(kept)
        used = list(dict.fromkeys([*names, *(c for binding in bound for c in binding.columns)]))
        with self.step("plan") as info:
            choice = choose(
                self.plan, contract, checked, self.where, used, self.target, self._schema(kept)
            )
            self.plan, self.why = info["plan"], info["why"] = choice.plan, choice.why
        scan, counted = choice.scan, None
        if scan is None and not isinstance(self.source, Source):
            # While it is scored: it may be costly, or not give the same rows twice.
            counted = Observation()
            checked = checked.observe(counted, F.count(F.lit(1)).alias("rows"))
        else:
            with self.step("count rows") as info, reading(self.where):
                self.rows = info["rows"] = self._count(df, used, scan)
            self._refuse_empty()
        with self.step("score") as info:
            if choice.columns is None:
                to = storage.join(staging, "rows")
                self._staged = self._write(checked, bound, names, used, to)
                staged, self.bad = count_staged(to)
            else:
                self.direct = DirectRun(
                    self.spark, choice.columns, checked.schema, self.target, self.day, staging
                )
                rows = scan or (checked if contract else checked.drop(REASONS, RAW))
                staged, self.bad = self.direct.score(
                    rows, self.model, bound, names, self._about(), self._doing, self.plan
                )
            info |= {"rows": staged, "bad": self.bad}
        if counted is not None:
            self.rows = int(counted.get["rows"])
            self._refuse_empty()
        if staged != self.rows:
            raise StorageError(
                f"{self.where}: {self.rows} rows came in, {staged} were scored or refused; "
                f"{self.target} is unchanged. The source changed while it was read: run again"
            )
        return self.rows, kept

    def _count(self, df: DataFrame, used: Sequence[str], scan: Plain | None) -> int:
        """The rows of the source: by the footers of its files where they are plain."""
        try:
            files = scan or plain(df, used)
        except NotPlain:
            return df.count()
        return files.rows if files.where is None else df.count()

    def _refuse_empty(self) -> None:
        if not self.rows:
            source = self.source if isinstance(self.source, Source) else None
            refuse_empty(self.where, source, self.day)

    def _read(self) -> DataFrame:
        """The rows of the source, at one version."""
        if not isinstance(self.source, Source):
            return self.source
        source = pinned(self.spark, self.source, self.day)
        return tables.read_source(self.spark, source, self.day)

    def _checked(
        self, df: DataFrame, contract: Contract | None, keep: Sequence[str] | None
    ) -> DataFrame:
        """The table with its typed columns, its reasons and its raw text."""
        if contract is not None:
            from tfspark.contracts.checks import check

            with reading(self.where):
                return check(df, for_scoring(contract, keep, df.columns), self.where)
        if isinstance(self.source, Source) and self.source.format == "json":
            raise ConfigError(f"{self.where}: JSON lines need a contract, for their columns")
        no_reasons = F.array().cast("array<string>").alias(REASONS)
        return df.drop(CORRUPT).select("*", no_reasons, F.lit(None).cast("string").alias(RAW))

    def _write(
        self,
        checked: DataFrame,
        bound: Sequence[Binding],
        kept: list[str],
        used: list[str],
        to: str,
    ) -> DataFrame:
        run = with_result(checked, self.model, bound, [*used, REASONS, RAW], self.plan)
        reasons = (
            F.when(F.size(REASONS) > 0, F.col(REASONS))
            .when(run.error.isNotNull(), F.array(run.error))
            .otherwise(F.col(REASONS))
        )
        bad = (F.size(REASONS) > 0) | run.error.isNotNull()
        text = F.coalesce(F.col(RAW), as_text(checked.schema, used))
        # By number: Parquet's names are Spark's business, and ours may have any character.
        staged = run.df.select(
            *[F.col(quote(name)).alias(f"k{i}") for i, name in enumerate(kept)],
            *[F.when(~bad, v).alias(f"o{i}") for i, v in enumerate(run.outputs.values())],
            F.when(bad, reasons).alias(REASONS),
            F.when(bad, text).alias(RAW),
            F.when(bad, F.lit(1)).alias(BAD),
        )
        with running(self._doing, self.target):
            staged.write.parquet(to)
        return self.spark.read.schema(staged.schema).parquet(to)

    def quarantine(self, table: str, name: str) -> None:
        if self.bad or tables.is_there(self.spark, table):
            bad = self.bad_rows().select(REASONS, RAW)
            quarantine(bad, table, table=name, day=self.day, job="score", run_id=self.run_id)

    def bad_rows(self) -> DataFrame:
        """Those that `stage` refused: their reasons and their text."""
        if self.direct is not None:
            return self.direct.bad_rows()
        return self._staged.where(F.col(BAD).isNotNull())

    def commit(self, kept: Sequence[T.StructField]) -> int:
        """Replace the day by the good rows that are staged; the table's new version."""
        if self.direct is not None:
            return self.direct.commit(self._schema(kept), self.run_id)
        rows = self._staged.where(F.col(BAD).isNull()).select(
            *[F.col(f"k{i}").alias(field.name) for i, field in enumerate(kept)],
            *[F.col(f"o{i}").alias(name) for i, name in enumerate(self.model.signature.outputs)],
            *[F.lit(value).alias(name) for name, value in self._about().items()],
        )
        return tables.write_day(rows, self.target, self.day, run_id=self.run_id)

    def _about(self) -> dict[str, str | dt.datetime]:
        """The columns that every row of the run has alike."""
        return {**about(self.model), "run_id": self.run_id, "scored_at": self.scored_at}

    def _schema(self, kept: Sequence[T.StructField]) -> T.StructType:
        """The target's."""
        outputs = self.model.signature.outputs.items()
        made = [T.StructField(name, spark_type(spec)) for name, spec in outputs]
        alike = [
            T.StructField(name, T.StringType() if isinstance(v, str) else T.TimestampType())
            for name, v in self._about().items()
        ]
        return T.StructType([*kept, *made, *alike, T.StructField("day", T.DateType())])

    def _check_target(self, kept: Sequence[T.StructField]) -> None:
        """Refuse names that are taken and a target of other columns, before anything is scored."""
        own = {name.lower() for name in (*self._about(), "day")}
        outputs = self.model.signature.outputs
        taken = [n for n in [*(field.name for field in kept), *outputs] if n.lower() in own]
        if taken:
            raise ConfigError(
                f"{self.where}: {', '.join(taken)}: the scored table has its own column of "
                "that name; name the columns to keep without it (keep, --keep), or rename it"
            )
        check_outputs(self.model, [field.name for field in kept])
        old = tables.target_schema(self.spark, self.target)
        tables.check_columns(old, self._schema(kept), self.target)
