"""The plan `scan`: tasks read plain files themselves, row groups of their own.

Of a DataFrame they give Spark kept columns and predictions; Spark makes rows of nothing else. Of a
table that is scored into another they write the files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import types as T

from tfspark.plainfiles.asread import NotPlain
from tfspark.plainfiles.files import Plain, PlainFile, plain
from tfspark.scoring.kinds.bound import BoundModel
from tfspark.scoring.plans.columns import spark_type
from tfspark.scoring.plans.plan import ByTasks, ForFrame, Plan, TableFiles, TableSource
from tfspark.scoring.refuse import refusal
from tfspark.scoring.worker.many import Scores
from tfspark.scoring.worker.sink import FilePart

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SHOWN = 500  # characters of a row in a message


class Scan(Plan):
    name = "scan"

    def for_frame(self, df: DataFrame, used: Sequence[str]) -> ForFrame:
        files = plain(df, used)
        return ForFrame("the DataFrame is plain files", partial(_frame, df, files), files)

    def for_table(self, source: TableSource) -> ByTasks:
        columns = source.columns()
        if source.by_contract and source.checks is None:
            raise NotPlain("a column has a type that only Spark knows")
        # A bad row is told as a whole, so all its columns are read.
        used = source.raw.columns if source.checks is not None else source.used
        files = plain(source.raw, used)
        why = f"plain files: {len(files.groups)} row groups"
        return ByTasks(why, columns, partial(_write, files), files, source.checks)


@dataclass(frozen=True)
class FrameTask:
    """What a task needs to know.

    Attributes:
        plain: the columns, without the files.
        inputs: the columns that are the scorer's arguments, in its order.
        kept: the columns that are kept beside the predictions.
        fail: whether a bad row ends the query; otherwise its outputs are null.
        model: for messages.
    """

    scorer: Scores
    plain: Plain
    inputs: tuple[str, ...]
    kept: tuple[str, ...]
    fail: bool
    model: str

    def __call__(self, share: Sequence[PlainFile]) -> Iterator[pa.RecordBatch]:
        """The scored rows of a share.

        Raises:
            StorageError: a file cannot be read, or was changed.
            ValueError: a row cannot be scored.
        """
        names = [*self.kept, *self.scorer.signature.outputs]
        for batch in self.plain.batches(share):
            outputs, errors = self.scorer([batch.column(name) for name in self.inputs])
            if self.fail and errors.null_count < len(errors):
                self._fail(batch, errors)
            arrays = [*(batch.column(name) for name in self.kept), *outputs]
            yield pa.RecordBatch.from_arrays(arrays, names=names)

    def _fail(self, batch: pa.RecordBatch, errors: pa.Array) -> None:
        row = next(i for i, reason in enumerate(errors) if reason.is_valid)
        text = row_text({name: batch.column(name)[row] for name in self.kept})
        raise ValueError(refusal(self.model, f"row {text[:_SHOWN]}", str(errors[row])))


def _frame(df: DataFrame, files: Plain, bound: BoundModel, fail: bool) -> DataFrame:
    """The DataFrame whose partitions are the scored rows of the shares."""
    spark, model = df.sparkSession, bound.model
    task = FrameTask(bound.scorer(spark), files.bare(), bound.fed, bound.kept, fail, model.path)
    made = [T.StructField(name, spark_type(spec)) for name, spec in model.signature.outputs.items()]
    shares = files.shares(spark)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from task(shares[number])

    numbers = spark.range(0, len(shares), 1, max(1, len(shares)))
    return numbers.mapInArrow(run, T.StructType([*(df.schema[n] for n in bound.kept), *made]))


def _write(source: Plain, df: DataFrame, files: TableFiles) -> list[FilePart]:
    """Score every row of plain files once, into files of a table."""
    task, bare = files.task(df.sparkSession), source.bare()

    def run(shares: Iterable[tuple[PlainFile, ...]]) -> Iterable[FilePart]:
        yield task(batch for share in shares for batch in bare.batches(share))

    shares = source.shares(df.sparkSession)
    sent = df.sparkSession.sparkContext.parallelize(shares, max(1, len(shares)))
    parts: list[FilePart] = sent.mapPartitions(run).collect()
    return parts


def row_text(values: dict[str, pa.Scalar]) -> str:
    """Values of a row as one JSON text, for people: as `as_text` of Spark's columns."""
    shown = {}
    for name, value in values.items():
        kind = value.type
        while pa.types.is_list(kind):
            kind = kind.value_type
        nested = pa.types.is_struct(kind) or pa.types.is_map(kind)
        if not value.is_valid or nested or (pa.types.is_binary(kind) and kind != value.type):
            continue
        plain = value.as_py()
        shown[name] = f"<{len(plain)} bytes>" if isinstance(plain, bytes) else plain
    return json.dumps(shown, default=str, ensure_ascii=False, separators=(",", ":"))
