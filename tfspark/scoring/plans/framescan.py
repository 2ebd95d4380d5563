"""The plan `scan` of `score`: tasks read plain files themselves and give Spark kept columns and
predictions; Spark makes rows of nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import types as T

from tfspark.scoring.plans.columns import spark_type
from tfspark.scoring.plans.plain import Plain, PlainFile
from tfspark.scoring.refuse import refusal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from tfspark.tensors import TensorSpec

_SHOWN = 500  # characters of a row in a message


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

    scorer: Any
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


def scanned(
    spark: SparkSession,
    task: FrameTask,
    shares: Sequence[Sequence[PlainFile]],
    kept: Sequence[T.StructField],
    outputs: dict[str, TensorSpec],
) -> DataFrame:
    """The DataFrame whose partitions are the scored rows of the shares."""
    made = [T.StructField(name, spark_type(spec)) for name, spec in outputs.items()]
    parts = [tuple(share) for share in shares]

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from task(parts[number])

    numbers = spark.range(0, len(parts), 1, max(1, len(parts)))
    return numbers.mapInArrow(run, T.StructType([*kept, *made]))


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
