"""The rows of a DataFrame as batches in tasks, the same ones as often as they are asked for.

Plain files are read by tasks themselves. Of anything else Spark hands over the rows once, into
slices of Arrow that tasks read from then on: a query may be costly, or give other rows each time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from tfspark import storage
from tfspark.exchange.slices import Slice, SliceWriter, read_slices
from tfspark.plainfiles.asread import NotPlain, arrow_field
from tfspark.plainfiles.files import PlainFile, plain
from tfspark.sparkerrors import reading

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Made = TypeVar("Made")

_SLICE_BYTES = 32 << 20
_MOST_BITS = 10


class RawTable:
    """The rows of a DataFrame.

    Args:
        where: the table's name in messages.
        folder: takes what Spark hands over; removed by who made it.

    Attributes:
        schema: of the batches.
        bytes: of all rows, about.

    Raises:
        StorageError: the rows cannot be read, or not be written.
    """

    def __init__(self, df: DataFrame, where: str, folder: str) -> None:
        self._df, self._where = df, where
        self._spilled: list[tuple[Slice, ...]] | None = None
        with reading(where):
            try:
                files = plain(df, df.columns)
                self.schema, self.bytes = files.columns, sum(g.bytes for g in files.groups)
            except NotPlain:
                self.schema = pa.schema([arrow_field(field) for field in df.schema])
                self._spilled = _spill(df, folder)
                self.bytes = sum(one.bytes for share in self._spilled for one in share)

    def bits(self) -> int:
        """By how many bits of a hash rows are cut, so that a cut of all tasks fits in memory."""
        return min(max(0, math.ceil(math.log2(max(self.bytes, 1) / _SLICE_BYTES))), _MOST_BITS)

    def run(
        self, task: Callable[[Iterable[pa.RecordBatch]], Made], columns: Sequence[str] | None = None
    ) -> list[Made]:
        """Let tasks take all rows; what each of them made, in the order of the rows.

        Args:
            columns: those that the tasks get; None: all.
        """
        chosen = self.schema.names if columns is None else list(columns)
        with reading(self._where):
            if self._spilled is not None:
                return self._of_slices(self._spilled, task, chosen)
            return self._of_files(task, chosen)

    def _of_files(self, task: Any, columns: list[str]) -> list[Any]:
        spark = self._df.sparkSession
        files = plain(self._df, columns)
        shares, bare = files.shares(spark), files.bare()

        def run(share: Sequence[PlainFile]) -> Any:
            return task(bare.batches(share))

        return _each(self._df, shares, run)

    def _of_slices(
        self, shares: list[tuple[Slice, ...]], task: Any, columns: list[str]
    ) -> list[Any]:
        places = None
        if columns != self.schema.names:
            places = [self.schema.get_field_index(name) for name in columns]

        def run(share: Sequence[Slice]) -> Any:
            return task(read_slices(share, places))

        return _each(self._df, shares, run)


def _each(df: DataFrame, shares: Sequence[Any], run: Callable[[Any], Any]) -> list[Any]:
    """A task a share."""
    if not shares:
        return []
    sent = df.sparkSession.sparkContext.parallelize(shares, len(shares))
    found: list[Any] = sent.map(run).collect()
    return found


def _spill(df: DataFrame, folder: str) -> list[tuple[Slice, ...]]:
    storage.make_dir(folder)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context: Any = TaskContext.get()
        name = f"raw-{context.partitionId():05d}-{context.taskAttemptId()}.arrow"
        writer: SliceWriter | None = None
        for batch in batches:
            if writer is None:
                writer = SliceWriter(storage.join(folder, name), batch.schema)
            writer.write(batch)
        slices = []
        if writer is not None:
            writer.__exit__()
            slices = writer.slices
        yield pa.RecordBatch.from_pydict({"slices": [json.dumps(slices)]})

    found: Any = df.mapInArrow(run, "slices string")
    told = [json.loads(row["slices"]) for row in found.collect()]
    return [tuple(Slice(*one) for one in slices) for slices in told if slices]
