"""`score_stream`: the rows that come to a Delta table, scored into another one, each exactly once.

Spark keeps the offsets; a batch that a killed process has begun comes again with the same rows and
the same number. It is scored by the model version that it was begun with, and both tables, that
of scores and that of bad rows, take each batch once: Delta notes its number in the commit.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import Observation
from pyspark.sql import functions as F

from tfspark import storage, tables
from tfspark.contracts.contract import Quarantine
from tfspark.errors import ConfigError, IntegrityError, SourceMissing, StorageError, TfsparkError
from tfspark.quarantine import refuse_above
from tfspark.scoring.frame import bindings, with_result
from tfspark.scoring.model.binding import Binding, Inputs, check_outputs
from tfspark.scoring.model.many import AnyModel, Models, about, from_json, pinned_json, resolve
from tfspark.scoring.plans.columns import as_text
from tfspark.scoring.stream.writer import BatchWriter
from tfspark.scoring.table.source import columns_to_keep
from tfspark.scoring.table.staged import BAD, count_staged
from tfspark.sparkerrors import first_line, reading, running
from tfspark.tables import RAW, REASONS, quote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

OWN = ("run_id", "batch_id", "scored_at")
_STARTS = ("startingversion", "startingtimestamp")


@dataclass
class StreamSummary:
    """What a stream did since it was started; `again` are batches that the tables had already."""

    source: str
    table: str
    model: str
    model_version: str
    model_digest: str
    run_id: str
    batches: int = 0
    again: int = 0
    rows_in: int = 0
    scored: int = 0
    quarantined: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


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
    tracking_uri: str | None = None,
    signature: str | None = None,
    run_id: str | None = None,
) -> ScoreStream:
    """Score what has come to a Delta table since the last time, and append it to another.

    The target gets the kept columns, a column per output, `model_name`, `model_version`,
    `model_digest`, `run_id`, `batch_id` and `scored_at`. Bad rows are appended to the quarantine
    table with their reasons. The model is found once, now; a batch that was begun before is
    ended with the model that it was begun with.

    Args:
        source: folder or name of a Delta table; rows are only added to it.
        model: as for `tfspark.score`.
        target: folder or name of the Delta table; made when it is not there.
        checkpoint: folder in which the stream keeps how far it is; one for each source and target.
        inputs, keep: as for `tfspark.score_table`.
        every: `30 seconds`: go on for ever, a batch so often; None: take what is there, and end.
        options: options of Spark's Delta source: `maxFilesPerTrigger`, `startingVersion`...
        quarantine: the table of bad rows; default: the target's name and `_quarantine`.
        limit: how many bad rows of a batch are too many; None: any number may be bad.

    Returns:
        The running stream; `wait` waits for its end.

    Raises:
        SourceMissing: the source is not there.
        ConfigError: the checkpoint is of another stream; it is new and the target has rows, which
            would come twice; or as for `tfspark.score`.
        StorageError: the target has other columns.
    """
    found = resolve(model, tracking_uri, signature)
    run = ScoreStream(
        spark, source, target, checkpoint.rstrip("/"), found, pinned_json(model, found)
    )
    run.inputs, run.keep, run.limit = inputs, keep, limit
    run.resolving = (tracking_uri, signature)
    run.bad_table = quarantine or f"{target.rstrip('/')}_quarantine"
    run.run_id = run_id or uuid.uuid4().hex
    run.start(every, dict(options or {}))
    return run


class ScoreStream:
    """A stream that scores.

    Attributes:
        query: Spark's.
    """

    inputs: Inputs | None = None
    keep: Sequence[str] | None = None
    limit: Quarantine | None = None
    resolving: tuple[str | None, str | None] = (None, None)
    bad_table = run_id = ""
    query: StreamingQuery

    def __init__(
        self,
        spark: SparkSession,
        source: str,
        target: str,
        checkpoint: str,
        model: AnyModel,
        pinned: dict[str, Any],
    ) -> None:
        self.spark, self.source, self.target, self.checkpoint = spark, source, target, checkpoint
        self.model, self.pinned = model, pinned
        self._own = storage.join(checkpoint, "tfspark")
        self._failed: Exception | None = None

    def start(self, every: str | None, options: dict[str, str]) -> None:
        """Check everything that can be checked before a row is read, and start."""
        frame = self._read(options)
        self._check(frame)
        self._claim(options)
        model = self.model
        self._summary = StreamSummary(
            self.source, self.target, model.name, model.version, model.digest, self.run_id
        )
        writer = frame.writeStream.option("checkpointLocation", self.checkpoint)
        writer = (
            writer.trigger(processingTime=every) if every else writer.trigger(availableNow=True)
        )
        self.query = writer.foreachBatch(self._batch).start()

    def wait(self) -> StreamSummary:
        """Wait until the stream ends: by itself, by `stop`, or by an interrupt.

        Raises:
            ContractViolation: a batch had more bad rows than the limit.
            StorageError: a batch could not be read, scored or written; it will come again.
        """
        from pyspark.errors import StreamingQueryException

        try:
            self.query.awaitTermination()
        except StreamingQueryException as error:
            if isinstance(self._failed, TfsparkError):
                raise self._failed from None
            cause = self._failed or error
            raise StorageError(
                f"{self.target}: a batch of {self.source} could not be scored: "
                f"{first_line(cause)}; it comes again when the stream is started again"
            ) from cause
        except BaseException:
            self.stop()
            raise
        return self._summary

    def stop(self) -> None:
        """End the stream; a batch that has begun comes again with the next start."""
        with suppress(Exception):
            self.query.stop()

    def _read(self, options: dict[str, str]) -> DataFrame:
        if tables.is_path(self.source) and not tables.is_delta(self.source):
            raise SourceMissing(f"{self.source}: is no Delta table (yet); a stream reads Delta")
        with reading(self.source):
            reader = self.spark.readStream.format("delta").options(**options)
            is_path = tables.is_path(self.source)
            return reader.load(self.source) if is_path else reader.table(self.source)

    def _check(self, frame: DataFrame) -> None:
        _, kept = self._columns(frame, self.model)
        check_outputs(self.model, kept)
        own = {name.lower() for name in [*about(self.model), *OWN]}
        names = [*kept, *self.model.signature.outputs]
        if taken := [name for name in names if name.lower() in own]:
            raise ConfigError(
                f"{self.source}: {', '.join(taken)}: the scored table has its own column of that "
                "name; name the columns to keep without it (keep), or rename it"
            )

    def _columns(self, df: DataFrame, model: Any) -> tuple[list[Binding], list[str]]:
        """What feeds the model, and what stands beside the predictions."""
        bound = bindings(df, model, self.inputs)
        return bound, columns_to_keep(df, self.keep, None, model, bound)

    def _claim(self, options: dict[str, str]) -> None:
        """The checkpoint is this stream's, or new."""
        note = storage.join(self._own, "stream.json")
        mine = {"source": self.source, "target": self.target, "quarantine": self.bad_table}
        if storage.exists(storage.join(self.checkpoint, "metadata")):
            there = storage.read_json(note) if storage.exists(note) else {}
            differ = [f"{k}: {there.get(k)}" for k in mine if there.get(k) != mine[k]]
            if differ:
                raise ConfigError(
                    f"{self.checkpoint}: is the checkpoint of another stream ("
                    f"{'; '.join(differ)}); a stream has a checkpoint of its own"
                )
            return
        said = {name.lower() for name in options}
        if not said & set(_STARTS) and self._has_rows():
            raise ConfigError(
                f"{self.target}: has rows, and the checkpoint {self.checkpoint} is new: all rows "
                f"of {self.source} would come again. Name the old checkpoint or a new target, or "
                "say where to begin: options={'startingVersion': ...}"
            )
        storage.write_json(note, mine)

    def _has_rows(self) -> bool:
        if tables.target_schema(self.spark, self.target) is None:
            return False
        return not tables.read_table(self.spark, self.target).isEmpty()

    def _batch(self, df: DataFrame, number: int) -> None:
        try:
            self._take(df, number)
        except Exception as error:
            self._failed = error
            raise

    def _take(self, df: DataFrame, number: int) -> None:
        """Score one batch, and append what the tables do not have of it yet."""
        writer = BatchWriter(self.spark, self.checkpoint, number, self.run_id)
        if writer.has(self.target):  # bad rows are written before
            self._summary.again += 1
            return
        model = self._model_of(number)
        folder = storage.join(self._own, "rows")
        rows, outputs = self._score(df, model, folder)
        total, bad = count_staged(folder)
        if total != rows:
            raise StorageError(
                f"{self.source}: {rows} rows came in batch {number}, {total} were scored or "
                "refused; start the stream again"
            )
        staged = df.sparkSession.read.parquet(folder)
        refused = staged.where(F.col(BAD).isNotNull())
        now = dt.datetime.now(dt.UTC)
        if bad and not writer.has(self.bad_table):
            writer.append(self._refused(refused, now), self.bad_table, "day", "table", "job")
        if self.limit is not None:
            where = f"{self.source} (batch {number})"
            refuse_above(self.limit, refused, where=where, rows=rows, bad=bad, table=self.bad_table)
        facts = {**about(model), "run_id": self.run_id, "batch_id": number, "scored_at": now}
        good = staged.where(F.col(BAD).isNull()).select(
            *[F.col(f"c{i}").alias(name) for i, name in enumerate(outputs)],
            *[F.lit(value).alias(name) for name, value in facts.items()],
        )
        good = good.withColumn("batch_id", F.col("batch_id").cast("bigint"))
        writer.append(good, self.target)
        storage.delete(folder)
        self._summary.batches += 1
        self._summary.rows_in += rows
        self._summary.scored += rows - bad
        self._summary.quarantined += bad

    def _score(self, df: DataFrame, model: AnyModel, folder: str) -> tuple[int, list[str]]:
        """Score the rows into a folder; how many came in, and the names of its columns."""
        bound, kept = self._columns(df, model)
        used = list(dict.fromkeys([*kept, *(c for b in bound for c in b.columns)]))
        counted = Observation()
        observed = df.observe(counted, F.count(F.lit(1)).alias("rows"))
        run = with_result(observed, model, bound, used, "arrow")
        columns = [F.col(quote(name)) for name in kept] + list(run.outputs.values())
        bad = run.error.isNotNull()
        # By number: Parquet's names are Spark's business, and ours may have any character.
        staged = run.df.select(
            *[F.when(~bad, column).alias(f"c{i}") for i, column in enumerate(columns)],
            F.when(bad, F.array(run.error)).alias(REASONS),
            F.when(bad, as_text(df.schema, used)).alias(RAW),
            F.when(bad, F.lit(1)).alias(BAD),
        )
        with running(f"scoring {self.source} with {model.path}", self.target):
            staged.write.mode("overwrite").parquet(folder)
        return int(counted.get["rows"]), [*kept, *run.outputs]

    def _refused(self, rows: DataFrame, now: dt.datetime) -> DataFrame:
        """Bad rows as the quarantine table has them."""
        return rows.select(
            F.lit(self.source).alias("table"),
            F.lit("stream").alias("job"),
            F.col(REASONS).alias("reasons"),
            F.col(RAW).alias("raw"),
            F.lit(self.run_id).alias("run_id"),
            F.lit(now).alias("quarantined_at"),
            F.lit(now.date()).alias("day"),
        )

    def _model_of(self, number: int) -> AnyModel:
        """The model of a batch: that of now, if the batch was not begun with another one."""
        note = storage.join(self._own, "batch.json")
        begun = storage.read_json(note) if storage.exists(note) else {}
        if begun.get("batch") != number:
            storage.write_json(
                note, {"batch": number, "digest": self.model.digest, "model": self.pinned}
            )
            return self.model
        if begun["digest"] == self.model.digest:
            return self.model
        model = resolve(from_json(begun["model"]), *self.resolving)
        if model.digest != begun["digest"]:
            raise IntegrityError(
                f"{model.path}: batch {number} was begun with this model, whose files were changed "
                "since; bring them back, and start the stream again"
            )
        return model
