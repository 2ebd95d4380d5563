"""`score_table`: one day of a table, scored into a Delta table by one atomic commit.

    pin the source → count it → score every row once into a staging folder → count that →
    quarantine the bad rows → stop if they are too many → replace the day

A run that is killed anywhere leaves the table as it was or with its new day; run again, it gives
what one clean run gives.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark import storage, tables
from tfspark.config import Source
from tfspark.console import Steps
from tfspark.contracts import Contract
from tfspark.contracts.contract import Quarantine
from tfspark.errors import ConfigError, StorageError
from tfspark.quarantine import quarantine as quarantine_rows
from tfspark.quarantine import refuse_above, refuse_empty
from tfspark.registry.resolve import ModelFolder, resolve_model
from tfspark.scoring.binding import Binding, Inputs, check_outputs
from tfspark.scoring.columns import as_text, spark_type
from tfspark.scoring.frame import bindings, check_plan, with_result
from tfspark.scoring.source import (
    as_day,
    as_source,
    columns_to_keep,
    for_scoring,
    pinned,
    staging_place,
)
from tfspark.scoring.staged import BAD, count_staged, running
from tfspark.tables import CORRUPT, RAW, REASONS, quote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ABOUT = T.StructType(
    [
        T.StructField("model_name", T.StringType()),
        T.StructField("model_version", T.StringType()),
        T.StructField("model_digest", T.StringType()),
        T.StructField("run_id", T.StringType()),
        T.StructField("scored_at", T.TimestampType()),
        T.StructField("day", T.DateType()),
    ]
)


@dataclass(frozen=True)
class Summary:
    """What one run of `score_table` did."""

    rows_in: int
    scored: int
    quarantined: int
    table: str
    table_version: int
    day: str
    model: str
    model_version: str
    model_digest: str
    plan: str
    run_id: str
    seconds: float
    rows_per_second: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def score_table(
    spark: SparkSession,
    source: str | Source,
    model: str,
    target: str,
    day: dt.date | str,
    inputs: Inputs | None = None,
    keep: Sequence[str] | None = None,
    plan: str = "auto",
    *,
    contract: Contract | None = None,
    quarantine: str | None = None,
    limit: Quarantine | None = None,
    tracking_uri: str | None = None,
    signature: str | None = None,
    run_id: str | None = None,
    steps: Steps | None = None,
) -> Summary:
    """Score a table and replace one day of a Delta table with the result.

    The target gets the kept columns, a column per output, `model_name`, `model_version`,
    `model_digest`, `run_id`, `scored_at` and `day`, by which it is partitioned. Rows that break
    the contract or that the model cannot score go to the quarantine table with their reasons.

    Args:
        source: folder of Parquet or of a Delta table, a table's name, or a `Source`.
        model: the folder of a SavedModel, or an MLflow URI.
        target: folder or name of the Delta table; made when it is not there.
        day: the day that is replaced; no other day is touched.
        inputs: as for `tfspark.score`.
        keep: columns to keep; None: the keys of the contract or of the model's manifest, else
            what the model does not take, else all.
        plan: as for `tfspark.score`.
        contract: check the rows against it first; labels and weights need not be there.
        quarantine: the table of bad rows; default: the target's name and `_quarantine`.
        limit: how many bad rows are too many; default: the contract's, else 1 in 100.

    Raises:
        SourceMissing: the source is not there, or has no rows of the day.
        ContractViolation: more bad rows than the limit, or a source without any row.
        StorageError: a row was lost on the way, the target has other columns, a write failed.
        ConfigError, IntegrityError, UnsafeModelError: as for `tfspark.score`.
        In each of these cases the target is unchanged.
    """
    started = time.monotonic()
    plan = check_plan(plan)
    day = as_day(day)
    run = _Run(
        spark,
        as_source(source),
        resolve_model(model, tracking_uri, signature),
        target,
        day,
        run_id or (steps.run_id if steps else uuid.uuid4().hex),
        steps,
        plan,
    )
    staging = storage.new_staging(*staging_place(spark, target))
    try:
        rows, kept = run.stage(storage.join(staging, "rows"), contract, inputs, keep)
        with run.step("quarantine") as info:
            bad_table = quarantine or f"{target.rstrip('/')}_quarantine"
            run.quarantine(bad_table, contract.name if contract else run.source.path)
            info["rows"] = run.bad
        refuse_above(
            limit or (contract.table.quarantine if contract else Quarantine()),
            run.staged,
            where=run.source.path,
            rows=rows,
            bad=run.bad,
            table=bad_table,
        )
        with run.step("commit") as info:
            version = run.commit(kept)
            info["version"] = version
    finally:
        storage.delete(staging)
    seconds = time.monotonic() - started
    return Summary(
        rows_in=rows,
        scored=rows - run.bad,
        quarantined=run.bad,
        table=target,
        table_version=version,
        day=day.isoformat(),
        model=run.model.name,
        model_version=run.model.version,
        model_digest=run.model.digest,
        plan=plan,
        run_id=run.run_id,
        seconds=round(seconds, 2),
        rows_per_second=round(rows / seconds, 1),
    )


class _Run:
    """One run: what it reads, what it has staged."""

    def __init__(
        self,
        spark: SparkSession,
        source: Source,
        model: ModelFolder,
        target: str,
        day: dt.date,
        run_id: str,
        steps: Steps | None,
        plan: str,
    ) -> None:
        self.spark, self.source, self.model = spark, source, model
        self.target, self.day, self.run_id, self.steps = target, day, run_id, steps
        self.scored_at = dt.datetime.now(dt.UTC)
        self.plan = plan
        self.rows = self.bad = 0

    def step(self, name: str, **about: Any) -> AbstractContextManager[dict[str, Any]]:
        return self.steps.step(name, **about) if self.steps else nullcontext(dict(about))

    def stage(
        self, to: str, contract: Contract | None, inputs: Inputs | None, keep: Sequence[str] | None
    ) -> tuple[int, list[T.StructField]]:
        """Score every row once into Parquet files, and count that none was lost.

        Returns:
            The rows that came in, and the fields of the kept columns.
        """
        df = tables.read_source(self.spark, pinned(self.spark, self.source, self.day), self.day)
        with self.step("count rows") as info, tables.reading(self.source.path):
            self.rows = info["rows"] = df.count()
        if not self.rows:
            refuse_empty(self.source, self.day)
        checked = self._checked(df, contract, keep)
        bound = bindings(checked, self.model, inputs)
        names = columns_to_keep(checked, keep, contract, self.model, bound)
        kept = [checked.schema[name] for name in names]
        self._check_target(kept)
        with self.step("score") as info:
            self.staged = self._write(checked, bound, names, to)
            staged, self.bad = count_staged(to)
            info |= {"rows": staged, "bad": self.bad}
        if staged != self.rows:
            raise StorageError(
                f"{self.source.path}: {self.rows} rows came in, {staged} were scored or refused; "
                f"{self.target} is unchanged. The source changed while it was read: run again"
            )
        return self.rows, kept

    def _checked(
        self, df: DataFrame, contract: Contract | None, keep: Sequence[str] | None
    ) -> DataFrame:
        """The table with its typed columns, its reasons and its raw text."""
        if contract is not None:
            from tfspark.contracts.checks import check

            with tables.reading(self.source.path):
                return check(df, for_scoring(contract, keep, df.columns), self.source.path)
        if self.source.format == "json":
            raise ConfigError(f"{self.source.path}: JSON lines need a contract, for their columns")
        no_reasons = F.array().cast("array<string>").alias(REASONS)
        return df.drop(CORRUPT).select("*", no_reasons, F.lit(None).cast("string").alias(RAW))

    def _write(
        self, checked: DataFrame, bound: Sequence[Binding], kept: list[str], to: str
    ) -> DataFrame:
        used = list(dict.fromkeys([*kept, *(c for binding in bound for c in binding.columns)]))
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
        with running(f"scoring {self.source.path} with {self.model.path}", self.target):
            staged.write.parquet(to)
        return self.spark.read.schema(staged.schema).parquet(to)

    def quarantine(self, table: str, name: str) -> None:
        bad = self.staged.where(F.col(BAD).isNotNull()).select(REASONS, RAW)
        quarantine_rows(bad, table, table=name, day=self.day, job="score", run_id=self.run_id)

    def commit(self, kept: Sequence[T.StructField]) -> int:
        """Replace the day by the good rows that are staged; the table's new version."""
        about = {
            "model_name": F.lit(self.model.name),
            "model_version": F.lit(self.model.version),
            "model_digest": F.lit(self.model.digest),
            "run_id": F.lit(self.run_id),
            "scored_at": F.lit(self.scored_at),
        }
        rows = self.staged.where(F.col(BAD).isNull()).select(
            *[F.col(f"k{i}").alias(field.name) for i, field in enumerate(kept)],
            *[F.col(f"o{i}").alias(name) for i, name in enumerate(self.model.signature.outputs)],
            *[value.alias(name) for name, value in about.items()],
        )
        return tables.write_day(rows, self.target, self.day, run_id=self.run_id)

    def _check_target(self, kept: Sequence[T.StructField]) -> None:
        """Refuse names that are taken and a target of other columns, before anything is scored."""
        own = {name.lower() for name in _ABOUT.names}
        outputs = self.model.signature.outputs
        taken = [n for n in [*(field.name for field in kept), *outputs] if n.lower() in own]
        if taken:
            raise ConfigError(
                f"{self.source.path}: {', '.join(taken)}: the scored table has its own column of "
                "that name; name the columns to keep without it (keep, --keep), or rename it"
            )
        check_outputs(self.model, [field.name for field in kept])
        made = [T.StructField(name, spark_type(spec)) for name, spec in outputs.items()]
        wanted = T.StructType([*kept, *made, *_ABOUT.fields])
        old = tables.target_schema(self.spark, self.target)
        tables.check_columns(old, wanted, self.target)
