"""`score_stream`: the rows that come to a Delta table, scored into another one, each exactly once.

A batch that a killed process has begun comes again with the same rows and number. Both tables, that
of scores and that of bad rows, take each batch once: Delta notes its number in the commit. Until
one of them has it, the batch is scored by the model of now, so that a stream can be taken back;
from then on by the one that wrote the bad rows.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pyspark.sql import Observation
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark import storage, tables
from tfspark.contracts.contract import Quarantine
from tfspark.errors import SourceMissing, StorageError, TfsparkError
from tfspark.quarantine import refuse_above
from tfspark.scoring.kinds.bound import BoundModel
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.kinds.resolve import Models, from_json, resolve
from tfspark.scoring.model.binding import Inputs, check_outputs
from tfspark.scoring.model.outputs import Outputs
from tfspark.scoring.plans.columns import spark_type
from tfspark.scoring.plans.registry import ANY_ROWS
from tfspark.scoring.stream.asked import StreamAsked, StreamSummary
from tfspark.scoring.stream.checkpoint import Checkpoint
from tfspark.scoring.stream.refuse import check_options, starting, told
from tfspark.scoring.stream.writer import BatchWriter
from tfspark.scoring.table.source import bound_to, check_own
from tfspark.scoring.table.staged import Staged, stage
from tfspark.scoring.table.target import refuse_places
from tfspark.sparkerrors import reading
from tfspark.tables import RAW, REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

OWN = ("run_id", "batch_id", "scored_at")


def score_stream(
    spark: SparkSession,
    source: str,
    model: Models,
    target: str,
    checkpoint: str,
    inputs: Inputs | None = None,
    keep: Sequence[str] | None = None,
    *,
    every: str | None = None,
    options: Mapping[str, str] | None = None,
    quarantine: str | None = None,
    limit: Quarantine | None = None,
    outputs: Outputs | None = None,
    tracking_uri: str | None = None,
    signature: str | None = None,
    run_id: str | None = None,
) -> ScoreStream:
    """Score what has come to a Delta table since the last time, and append it to another.

    The target gets the kept columns, a column per output, `model_name`, `model_version`,
    `model_digest`, `run_id`, `batch_id` and `scored_at`. Bad rows are appended to the quarantine
    table with their reasons. The model is found once, now; a batch whose bad rows were written
    before is ended with the model that wrote them. A model that fails, makes too many rows bad or
    gives other columns than the target has is refused before anything is written, and the next
    start may have another one.

    Args:
        spark: the session that scores.
        source: folder or name of a Delta table; rows are only added to it.
        model: as for `tfspark.score`.
        target: folder or name of the Delta table; made when it is not there.
        checkpoint: folder in which the stream keeps how far it is; one for each source and target.
        inputs, keep: as for `tfspark.score_table`.
        every: `30 seconds`: go on for ever, a batch so often; None: take what is there, and end.
        options: options of Spark's Delta source: `maxFilesPerTrigger`, `startingVersion`... No
            change feed, and no `ignoreChanges`: they bring rows that were not added.
        quarantine: the table of bad rows; default: the target's name and `_quarantine`.
        limit: how many bad rows of a batch are too many; None: any number may be bad.
        outputs: as for `tfspark.score`.
        tracking_uri: the MLflow server; default: MLflow's own, else the jobs' in `warehouse`.
        signature: name of the signature; default: the manifest's, else `serving_default`.
        run_id: the run's name in the tables; default: a new one.

    Returns:
        The running stream; `wait` waits for its end.

    Raises:
        SourceMissing: the source is not there.
        ConfigError: the checkpoint is of another stream, or used by one; it is new and the target
            has rows, which would come twice; an option or interval that cannot be; or as for
            `tfspark.score`.
        StorageError: the target has other columns, or lacks what the stream has written.
    """
    asked = StreamAsked(
        spark,
        source,
        resolve(model, tracking_uri, signature, outputs),
        target,
        Checkpoint(checkpoint.rstrip("/")),
        inputs,
        keep,
        quarantine or f"{target.rstrip('/')}_quarantine",
        limit,
        run_id or uuid.uuid4().hex,
        signature,
        lambda described, name: resolve(from_json(described), tracking_uri, name, outputs),
    )
    run = ScoreStream(asked)
    run.start(every, dict(options or {}))
    return run


class ScoreStream:
    """A stream that scores.

    Attributes:
        query: Spark's.
    """

    query: StreamingQuery

    def __init__(self, asked: StreamAsked) -> None:
        self.asked, model = asked, asked.model
        self._failed: Exception | None = None
        self._summary = StreamSummary(
            asked.source, asked.target, model.name, model.version, model.digest, asked.run_id
        )

    def start(self, every: str | None, options: dict[str, str]) -> None:
        """Check everything that can be checked before a row is read, and start."""
        asked = self.asked
        refuse_places(asked.spark, asked.target, asked.quarantine, [asked.source], [])
        check_options(asked.source, options)
        frame = self._read(options)
        self._check(frame)
        writer = frame.writeStream.option("checkpointLocation", asked.checkpoint.folder)
        with starting(asked.spark, every, asked.checkpoint.folder):
            writer = (
                writer.trigger(processingTime=every) if every else writer.trigger(availableNow=True)
            )
            asked.checkpoint.claim(
                asked.source,
                asked.target,
                asked.quarantine,
                options,
                self._has_rows,
                lambda: self._writer(0).last(asked.target),
            )
            self.query = writer.foreachBatch(self._batch).start()

    def wait(self) -> StreamSummary:
        """Wait until the stream ends: by itself, by `stop`, or by an interrupt.

        Raises:
            ContractViolation: a batch had more bad rows than the limit.
            ConfigError: another stream uses the checkpoint.
            StorageError: a batch could not be read, scored or written; the next start begins with
                its rows.
        """
        from tfspark.compat.spark import ERRORS

        asked = self.asked
        try:
            self.query.awaitTermination()
        except ERRORS as error:
            if isinstance(self._failed, TfsparkError):
                raise self._failed from None
            cause = self._failed or error
            what = f"{asked.target}: a batch of {asked.source} could not be scored"
            raise told(cause, asked.checkpoint.folder, what) from cause
        except BaseException:
            self.stop()
            raise
        return self._summary

    def stop(self) -> None:
        """End the stream; a batch that has begun comes again with the next start."""
        with suppress(Exception):
            self.query.stop()

    def _read(self, options: dict[str, str]) -> DataFrame:
        source, is_path = self.asked.source, tables.is_path(self.asked.source)
        if is_path and not tables.is_delta(source):
            raise SourceMissing(f"{source}: is no Delta table (yet); a stream reads Delta")
        with reading(source):
            reader = self.asked.spark.readStream.format("delta").options(**options)
            return reader.load(source) if is_path else reader.table(source)

    def _check(self, frame: DataFrame) -> None:
        """Refuse what cannot be bound, names that are taken, and a target of other columns."""
        asked = self.asked
        bound = self._bound(frame, asked.model)
        check_outputs(asked.model, bound.kept)
        check_own(asked.source, bound, [*asked.model.about(), *OWN], "keep")
        self._check_columns(frame, bound)

    def _check_columns(self, frame: DataFrame, bound: BoundModel) -> None:
        asked = self.asked
        old = tables.target_schema(asked.spark, asked.target)
        made = {name: spark_type(spec) for name, spec in bound.model.signature.outputs.items()}
        made |= dict.fromkeys([*bound.model.about(), "run_id"], T.StringType())
        made |= {"batch_id": T.LongType(), "scored_at": T.TimestampType()}
        new = {name: frame.schema[name].dataType for name in bound.kept} | made
        todo = "go on with a model of the old columns; or name a new target and a new checkpoint"
        if old is not None and asked.keep is None:
            there = [name for name in old.names if name not in made and name in frame.columns]
            todo += f"; or, if the source has changed, name the columns to keep: keep={there}"
        schema = T.StructType([T.StructField(*field) for field in new.items()])
        tables.check_columns(old, schema, asked.target, todo)

    def _bound(self, frame: DataFrame, model: AnyModel) -> BoundModel:
        return bound_to(frame, model, self.asked.inputs, self.asked.keep, own=())

    def _writer(self, number: int) -> BatchWriter:
        asked = self.asked
        return BatchWriter(asked.spark, asked.checkpoint.folder, number, asked.run_id)

    def _has_rows(self) -> bool:
        spark, target = self.asked.spark, self.asked.target
        if tables.target_schema(spark, target) is None:
            return False
        return not tables.read_table(spark, target).isEmpty()

    def _batch(self, df: DataFrame, number: int) -> None:
        try:
            self._take(df, number)
        except Exception as error:
            self._failed = error
            raise

    def _take(self, df: DataFrame, number: int) -> None:
        """Score one batch, and append what the tables do not have of it yet."""
        asked, summary, model = self.asked, self._summary, self.asked.model
        writer = self._writer(number)
        if writer.has(asked.target):  # bad rows are written before
            summary.again += 1
            return
        begun = writer.has(asked.quarantine)
        if begun:
            model = asked.checkpoint.model_of(number, model, asked.signature, asked.find)
        rows, staged = self._score(df, model)
        if staged.rows != rows:
            raise StorageError(
                f"{asked.source}: {rows} rows came in batch {number}, {staged.rows} were scored or "
                "refused; start the stream again"
            )
        if asked.limit is not None and not begun:
            refuse_above(
                asked.limit,
                staged.refused(),
                where=f"{asked.source} (batch {number})",
                rows=rows,
                bad=staged.bad,
                table=None,
            )
        now = dt.datetime.now(dt.UTC)
        if staged.bad and not begun:
            asked.checkpoint.note(number, model, asked.signature)
            refused = self._refused(staged.refused(), now)
            writer.append(refused, asked.quarantine, "day", "table", "job")
        facts = {**model.about(), "run_id": asked.run_id, "batch_id": number, "scored_at": now}
        alike = [F.lit(value).alias(name) for name, value in facts.items()]
        good = staged.good().select("*", *alike)
        good = good.withColumn("batch_id", F.col("batch_id").cast("bigint"))
        writer.append(good, asked.target)
        storage.delete(asked.checkpoint.rows)
        summary.batches += 1
        summary.rows_in += rows
        summary.scored += rows - staged.bad
        summary.quarantined += staged.bad

    def _score(self, df: DataFrame, model: AnyModel) -> tuple[int, Staged]:
        """Score the rows into a folder; how many came in, and what lies there."""
        asked, counted = self.asked, Observation()
        bound = self._bound(df, model)
        self._check_columns(df, bound)
        # Without their metadata: what a column is called elsewhere is not the target's business.
        kept = [T.StructField(name, df.schema[name].dataType) for name in bound.kept]
        staged = stage(
            ANY_ROWS.results,
            df.observe(counted, F.count(F.lit(1)).alias("rows")),
            bound,
            kept,
            asked.checkpoint.rows,
            f"scoring {asked.source} with {model.path}",
            asked.target,
        )
        return int(counted.get["rows"]), staged

    def _refused(self, rows: DataFrame, now: dt.datetime) -> DataFrame:
        """Bad rows as the quarantine table has them."""
        return rows.select(
            F.lit(self.asked.source).alias("table"),
            F.lit("stream").alias("job"),
            F.col(REASONS).alias("reasons"),
            F.col(RAW).alias("raw"),
            F.lit(self.asked.run_id).alias("run_id"),
            F.lit(now).alias("quarantined_at"),
            F.lit(now.date()).alias("day"),
        )
