"""The raw table of `prepare`, as batches in tasks: of plain files, or of whatever Spark reads."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tfspark.compat.spark import estimated_bytes
from tfspark.exchange.duplicates import KeySlices
from tfspark.exchange.slices import Slice, read_slices
from tfspark.plainfiles.asread import NotPlain, arrow_field
from tfspark.plainfiles.files import Plain, plain
from tfspark.prepare.spill import Spilled
from tfspark.sparkerrors import reading

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Task = Callable[[Iterable[pa.RecordBatch]], Spilled]

_SLICE_BYTES = 32 << 20
_MOST_BITS = 10


class RawTable:
    """A table that is read once; what follows reads it again only from plain files or slices.

    Attributes:
        schema: of its batches.
        plain: whether tasks read its files themselves, and can do so again.
    """

    def __init__(self, df: DataFrame, where: str) -> None:
        self._df, self._where = df, where
        self._files: Plain | None = None
        with reading(where):
            try:
                self._files = plain(df, df.columns)
                self.schema = self._files.columns
            except NotPlain:
                self.schema = pa.schema([arrow_field(field) for field in df.schema])
        self.plain = self._files is not None

    def bits(self) -> int:
        """By how many bits of a hash rows are cut, so that a slice of all tasks fits in memory."""
        if self._files is not None:
            size = sum(group.bytes for group in self._files.groups)
        else:
            size = estimated_bytes(self._df)
        return min(max(0, math.ceil(math.log2(max(size, 1) / _SLICE_BYTES))), _MOST_BITS)

    def run(self, task: Task) -> list[Spilled]:
        """Let tasks take all rows; what each of them wrote, in the order of the tasks."""
        with reading(self._where):
            return self._of_spark(task) if self._files is None else self._of_files(task)

    def run_again(self, task: Task, before: Sequence[Spilled]) -> list[Spilled]:
        """Let tasks take the same rows once more."""
        if self._files is not None:
            return self.run(task)
        shares = [part.raw for part in before if part.raw]
        sent = self._df.sparkSession.sparkContext.parallelize(shares, max(1, len(shares)))
        with reading(self._where):
            return sent.map(lambda share: task(read_slices(share))).collect()

    def _of_files(self, task: Task) -> list[Spilled]:
        files: Any = self._files
        bare, spark = files.bare(), self._df.sparkSession

        def run(shares: Iterable[Any]) -> Iterator[Spilled]:
            yield task(batch for share in shares for batch in bare.batches(share))

        shares = files.shares(spark)
        sent = spark.sparkContext.parallelize(shares, max(1, len(shares)))
        return sent.mapPartitions(run).collect()

    def _of_spark(self, task: Task) -> list[Spilled]:
        def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pydict({"part": [json.dumps(asdict(task(batches)))]})

        found: Any = self._df.mapInArrow(run, "part string")
        return [_spilled(json.loads(row["part"])) for row in found.collect()]


def _spilled(told: dict[str, Any]) -> Spilled:
    good, raw = (tuple(Slice(*one) for one in told[name]) for name in ("good", "raw"))
    keys = tuple(KeySlices(name, tuple(Slice(*one) for one in cut)) for name, cut in told["keys"])
    return Spilled(told["rows"], told["bad"], told["bad_file"], good, keys, raw)
