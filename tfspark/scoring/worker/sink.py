"""The task that writes a table's own files: batches in, scored, one Parquet file of the target out.

The driver learns of names, sizes, counts and statistics alone, and commits them (`commit.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfspark import storage
from tfspark.dayfiles.commit import OPEN, created
from tfspark.errors import StorageError
from tfspark.rowchecks import Checked
from tfspark.scoring.worker.many import Scores
from tfspark.scoring.worker.statistics import Counts, delta_stats, footer_columns
from tfspark.tables import RAW, REASONS
from tfspark.tensors.arrowtypes import typed

_GROUP_ROWS = 1 << 20  # of a row group that is written
_GROUP_BYTES = 64 << 20
_REASONS_TYPE = pa.list_(pa.field("element", pa.string()))


class Counting(Protocol):
    """Counts the columns of one task's rows."""

    def add(self, batch: pa.RecordBatch) -> None: ...

    def found(self) -> dict[str, list[int]]: ...


class Counter(Protocol):
    """Counts columns of the rows that are scored, on their way to the model."""

    def start(self) -> Counting:
        """For one task."""

    def take(self, parts: Iterable[Mapping[str, list[int]]]) -> None:
        """What the tasks counted, in the driver."""


@dataclass(frozen=True)
class FilePart:
    """What one attempt of a task wrote.

    Attributes:
        file: name of the file of good rows, in the day's folder; None if no row was good.
        stats: the file's statistics, as Delta's log has them.
        bad_file: file of bad rows, in the staging folder; None if no row was bad.
        counts: what a `Counter` found.
        told: whether every bad row has its raw text.
    """

    file: str | None
    bytes: int
    rows: int
    stats: str
    bad_file: str | None
    bad: int
    counts: dict[str, list[int]] = field(default_factory=dict)
    told: bool = False


@dataclass(frozen=True)
class TableTask:
    """What a task needs to know.

    Attributes:
        columns: the source's columns, with the types that the table's files get.
        inputs: those of them that are the scorer's arguments, in its order.
        kept: those of them that are kept beside the predictions.
        about: columns of one value, which every row gets.
        folder: the day's folder in the target.
        staging: takes the bad rows: the columns by number (`c0`, `c1`...), reasons and raw text.
        checks: a contract's, which make the columns of the raw table's; None: there is no contract,
            or Spark has checked it.
        counter: counts the rows that are scored.
    """

    scorer: Scores
    columns: pa.Schema
    inputs: tuple[str, ...]
    kept: tuple[str, ...]
    about: tuple[tuple[str, pa.Scalar], ...]
    folder: str
    staging: str
    token: str
    checks: Callable[..., Checked] | None = None
    counter: Counter | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> FilePart:
        """Score the batches of one partition, within a Spark task.

        Args:
            batches: `columns`, and as it may be `REASONS` and `RAW`: a row that has reasons is
                bad, and is not scored. Where there are `checks`, the raw table.

        Raises:
            StorageError: a file cannot be read or written, or the run has ended meanwhile.
            SignatureError: see `Scorer`.
        """
        from pyspark import TaskContext

        context: Any = TaskContext.get()
        number = f"{context.partitionId():05d}"
        name = f"part-{number}-{self.token}-{context.taskAttemptId()}.parquet"
        marker = storage.join(self.staging, OPEN)
        good = _Output(storage.join(self.folder, name), marker)
        bad = _Output(storage.join(self.staging, name), marker)
        counting = self.counter.start() if self.counter else None
        try:
            for batch in batches:
                rows = self._unrefused(batch, bad)
                if counting is not None:
                    counting.add(rows)
                self._score(rows, good, bad)
            good.close()
            bad.close()
            good.check()
        except BaseException:
            good.remove()
            bad.remove()
            raise
        return FilePart(
            name if good.rows else None,
            good.bytes,
            good.rows,
            good.stats,
            name if bad.rows else None,
            bad.rows,
            counting.found() if counting is not None else {},
            not bad.counts.nulls.get(RAW),
        )

    def _unrefused(self, batch: pa.RecordBatch, bad: _Output) -> pa.RecordBatch:
        """The rows that came without reasons; the others are bad already."""
        if self.checks is not None:
            found = self.checks(batch)
            columns = typed(found.rows, self.columns)
            if found.bad is None:
                return columns
            # Their text is made: nobody reads their columns.
            empty = [pa.nulls(len(found.raw), field.type) for field in self.columns]
            refused = pa.RecordBatch.from_arrays(empty, schema=self.columns)
            bad.write(_refused(refused, found.reasons, found.raw))
            return columns.filter(pc.invert(found.bad))
        columns = typed(batch, self.columns)
        if REASONS not in batch.schema.names:
            return columns
        reasons = batch.column(REASONS)
        refused = pc.fill_null(pc.greater(pc.list_value_length(reasons), 0), False)
        if not pc.any(refused).as_py():
            return columns
        raw = batch.column(RAW).filter(refused)
        bad.write(_refused(columns.filter(refused), reasons.filter(refused), raw))
        return columns.filter(pc.invert(refused))

    def _score(self, batch: pa.RecordBatch, good: _Output, bad: _Output) -> None:
        outputs, errors = self.scorer([batch.column(name) for name in self.inputs])
        columns = [batch.column(name) for name in self.kept] + outputs
        if errors.null_count < len(errors):
            failed = errors.is_valid()
            reasons = errors.filter(failed)
            offsets = pa.array(np.arange(len(reasons) + 1, dtype="int32"))
            said = pa.ListArray.from_arrays(offsets, reasons)
            bad.write(_refused(batch.filter(failed), said, pa.nulls(len(said), pa.string())))
            columns = [column.filter(errors.is_null()) for column in columns]
        rows = len(columns[0])
        if rows:
            about = [_repeated(value, rows) for _, value in self.about]
            names = [*self.kept, *self.scorer.signature.outputs, *(n for n, _ in self.about)]
            good.write(pa.RecordBatch.from_arrays([*columns, *about], names=names))


def _refused(batch: pa.RecordBatch, reasons: pa.Array, raw: pa.Array) -> pa.RecordBatch:
    """Bad rows as their file has them."""
    names = [*(f"c{i}" for i in range(batch.num_columns)), REASONS, RAW]
    arrays = [*batch.columns, reasons.cast(_REASONS_TYPE), raw]
    return pa.RecordBatch.from_arrays(arrays, names=names)


@dataclass
class _Output:
    """A Parquet file that is made when its first row comes, if the run still takes files.

    Attributes:
        marker: the path of `OPEN`.
    """

    path: str
    marker: str
    rows: int = 0
    bytes: int = 0
    stats: str = ""
    counts: Counts = field(default_factory=Counts)
    _waiting: list[pa.RecordBatch] = field(default_factory=list)
    _size: int = 0
    _held: int = 0
    _writer: Any = None
    _stream: Any = None
    _footers: list[pq.FileMetaData] = field(default_factory=list)

    def write(self, batch: pa.RecordBatch) -> None:
        self.counts.add(batch)
        self._waiting.append(batch)
        self.rows += batch.num_rows
        self._held += batch.num_rows
        self._size += batch.nbytes
        if self._held >= _GROUP_ROWS or self._size >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        if self._waiting:
            self._flush()
        if self._writer is not None:
            with _writing(self.path):
                self._writer.close()
                self.bytes = self._stream.tell()
                self._stream.close()
            self.stats = delta_stats(self._footers[0], self.counts)

    def check(self) -> None:
        if not storage.exists(self.marker):
            raise StorageError(f"{self.path}: written too late, the run has ended")

    def remove(self) -> None:
        with suppress(Exception):  # the attempt's own error is the one to tell
            if self._stream is not None:
                self._stream.close()
                storage.delete_file(self.path)

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting)
        with _writing(self.path):
            if self._writer is None:
                self._open(table.schema)
            self._writer.write_table(table, row_group_size=_GROUP_ROWS)
        self._waiting, self._held, self._size = [], 0, 0

    def _open(self, schema: pa.Schema) -> None:
        self.check()
        self._stream = created(self.path)
        # A late task may be killed before it can remove a file: better to see it now than at the
        # end. The run's end takes OPEN away first and looks for files then.
        self.check()
        # Numbers seldom repeat: a dictionary of them is made only to be thrown away.
        self._writer = pq.ParquetWriter(
            self._stream,
            schema,
            use_dictionary=[f.name for f in schema if not pa.types.is_primitive(f.type)],
            write_statistics=footer_columns(schema),
            store_schema=False,
            metadata_collector=self._footers,
        )


@contextmanager
def _writing(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise storage.failure("write", path, error) from error


def _repeated(value: pa.Scalar, rows: int) -> pa.Array:
    """One value for every row; text as a dictionary, which Parquet writes without hashing it."""
    if not pa.types.is_string(value.type) or not value.is_valid:
        return pa.repeat(value, rows)
    index = pa.array(np.zeros(rows, "int32"))
    return pa.DictionaryArray.from_arrays(index, pa.array([value.as_py()], value.type))


def about_columns(values: Mapping[str, str | dt.datetime]) -> tuple[tuple[str, pa.Scalar], ...]:
    """Columns of one value, as `TableTask.about` has them."""
    return tuple(
        (
            name,
            pa.scalar(v, pa.timestamp("us", "UTC") if isinstance(v, dt.datetime) else pa.string()),
        )
        for name, v in values.items()
    )
