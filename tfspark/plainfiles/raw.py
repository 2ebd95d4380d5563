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
from tfspark.exchange.slices import Slice, SliceWriter, attempt, read_slices
from tfspark.images.table import ImageTable
from tfspark.plainfiles.asread import NotPlain, arrow_field
from tfspark.plainfiles.files import Plain, plain
from tfspark.plainfiles.rising import rising
from tfspark.sparkerrors import reading
from tfspark.textfiles.table import TextTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import types as T

Made = TypeVar("Made")
Batches = Callable[[Any], Iterable[pa.RecordBatch]]

_SLICE_BYTES = 32 << 20
_MOST_BITS = 10


class RawTable:
    """The rows of a DataFrame, or of text files or images.

    Args:
        where: the table's name in messages.
        folder: takes what Spark hands over; removed by who made it.
        files: all columns of `rows` as plain files, if that is known already.

    Attributes:
        schema: of the batches.
        bytes: of all rows, about.
        rows: number of rows, None where only reading them tells.

    Raises:
        StorageError: the rows cannot be read, or not be written.
    """

    def __init__(
        self,
        spark: SparkSession,
        rows: DataFrame | TextTable | ImageTable,
        where: str,
        folder: str,
        files: Plain | None = None,
    ) -> None:
        self._spark, self._rows = spark, rows
        self._spilled: list[tuple[Slice, ...]] = []
        self._files: Plain | None = None
        self.rows: int | None = None
        if isinstance(rows, TextTable | ImageTable):
            self.schema, self.bytes = rows.schema, rows.bytes
            return
        df = rows
        with reading(where):
            try:
                self._files = files = files or plain(df, df.columns)
                self.schema, self.bytes = files.columns, sum(g.bytes for g in files.groups)
                self.rows = files.rows if files.where is None else None
            except NotPlain:
                self.schema = pa.schema([arrow_field(field) for field in df.schema])
                self._spilled = _spill(df, folder)
                slices = [one for share in self._spilled for one in share]
                self.bytes = sum(one.bytes for one in slices)
                self.rows = sum(one.rows for one in slices)

    def bits(self) -> int:
        """By how many bits of a hash rows are cut, so that a cut of all tasks fits in memory."""
        return min(max(0, math.ceil(math.log2(max(self.bytes, 1) / _SLICE_BYTES))), _MOST_BITS)

    def rises(self, name: str) -> bool:
        """Whether no two row groups overlap in a column; tasks see these in its order then."""
        files = None if self._files is None else rising(self._files, name)
        self._files = files or self._files
        return files is not None

    def run(
        self, task: Callable[[Iterable[pa.RecordBatch]], Made], columns: Sequence[str] | None = None
    ) -> list[Made]:
        """Let tasks take all rows; what each of them made, in the order of the rows.

        Text may come as dictionaries.

        Spark's errors come as they are.

        Args:
            columns: those that the tasks get; None: all.
        """
        shares, rows = self._parts(self.schema.names if columns is None else list(columns))
        return self._each(shares, lambda share: task(rows(share)))

    def frame(
        self,
        change: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]],
        schema: T.StructType,
    ) -> DataFrame:
        """A DataFrame of what is made of the rows, in their order."""
        shares, rows = self._parts(self.schema.names)

        def run(numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in numbers:
                for number in batch.column(0).to_pylist():
                    yield from change(rows(shares[number]))

        numbers = self._spark.range(0, len(shares), 1, max(1, len(shares)))
        return numbers.mapInArrow(run, schema)

    def _parts(self, columns: list[str]) -> tuple[Sequence[Any], Batches]:
        """The shares of tasks, and what gives the rows of one in a task."""
        if isinstance(self._rows, TextTable | ImageTable):
            table, cores = self._rows, self._spark.sparkContext.defaultParallelism
            return table.shares(cores), lambda share: table.batches(share, columns)
        if self._files is not None:
            files = self._files
            if columns != files.columns.names:
                files = files.only(columns)
            bare = files.bare()
            return files.shares(self._spark), lambda share: (
                batch.select(columns) for batch in bare.batches(share, coded=True)
            )
        places: list[int] | None = None
        if columns != self.schema.names:
            places = [self.schema.get_field_index(name) for name in columns]
        return self._spilled, lambda share: read_slices(share, places)

    def _each(self, shares: Sequence[Any], run: Callable[[Any], Any]) -> list[Any]:
        """A task a share."""
        if not shares:
            return []
        sent = self._spark.sparkContext.parallelize(shares, len(shares))
        found: list[Any] = sent.map(run).collect()
        return found


def _spill(df: DataFrame, folder: str) -> list[tuple[Slice, ...]]:
    storage.make_dir(folder)
    names = df.columns

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        name = f"raw-{attempt()}.arrow"
        writer: SliceWriter | None = None
        for batch in batches:
            if writer is None:
                schema = batch.rename_columns(names).schema
                writer = SliceWriter(storage.join(folder, name), schema)
            writer.write(batch.rename_columns(names))
        slices = []
        if writer is not None:
            writer.__exit__()
            slices = writer.slices
        yield pa.RecordBatch.from_pydict({"slices": [json.dumps(slices)]})

    # By number: Spark looks columns up by their names here, and takes a dot for a field's.
    found: Any = df.toDF(*(f"c{i}" for i in range(len(names)))).mapInArrow(run, "slices string")
    told = [json.loads(row["slices"]) for row in found.collect()]
    return [tuple(Slice(*one) for one in slices) for slices in told if slices]
