"""The task that checks rows: good ones go to slices by split and key, bad ones to a file.

What a slice holds is what one file of the dataset is made of (`splits`), in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfspark import storage
from tfspark.config import Split
from tfspark.exchange.duplicates import Duplicates, slice_numbers
from tfspark.exchange.slices import Slice, SliceWriter, attempt
from tfspark.prepare.split import key_hashes, split_numbers
from tfspark.rowchecks import Checked, RowChecks
from tfspark.tables import RAW, REASONS

HIGH, LOW = "_tfspark_high", "_tfspark_low"
"""The hash of a row's key, behind its columns."""

BAD = f"`{REASONS}` array<string>, `{RAW}` string"
"""Spark's schema of the files of bad rows."""

_HELD = 96 << 20  # bytes of rows in memory before they are written
_BAD = pa.schema({REASONS: pa.list_(pa.field("element", pa.string())), RAW: pa.string()})


@dataclass(frozen=True)
class Spilled:
    """What one attempt of a task wrote.

    Attributes:
        rows: number of rows that came in.
        bad: how many of them are bad; `bad_file` has them, None if there are none.
        good: slices of the good rows, with `HIGH` and `LOW`.
    """

    rows: int
    bad: int
    bad_file: str | None
    good: tuple[Slice, ...]


@dataclass(frozen=True)
class SpillTask:
    """What a task needs to know.

    Attributes:
        keys: the names of the key columns.
        bits: of the key's hash, by which good rows are cut, beside their split.
    """

    checks: RowChecks
    duplicates: Duplicates
    keys: tuple[str, ...]
    split: Split
    folder: str
    bits: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Spilled:
        """Check the rows of one task.

        Raises:
            StorageError: a file cannot be written.
        """
        name = attempt()
        bad = _BadFile(storage.join(self.folder, f"bad-{name}.parquet"))
        good = _Good(self, storage.join(self.folder, f"rows-{name}.arrow"))
        rows = 0
        for batch in batches:
            found = self.checks(batch, self.duplicates)
            rows += batch.num_rows
            bad.write(found)
            good.add(found)
        return Spilled(rows, bad.rows, bad.close(), good.close())


class _Good:
    """The good rows of a task, cut by split and key."""

    def __init__(self, task: SpillTask, path: str) -> None:
        self._task, self._path = task, path
        self._held: list[pa.RecordBatch] = []
        self._size = 0
        self._writer: SliceWriter | None = None

    def add(self, found: Checked) -> None:
        rows = found.rows
        if found.bad is not None:
            rows = rows.filter(pa.compute.invert(found.bad))
        self._held.append(rows)
        self._size += rows.nbytes
        if self._size > _HELD:
            self._flush()

    def close(self) -> tuple[Slice, ...]:
        self._flush()
        if self._writer is None:
            return ()
        self._writer.__exit__()
        return tuple(self._writer.slices)

    def _flush(self) -> None:
        task = self._task
        rows = pa.concat_batches(self._held) if self._held else None
        self._held, self._size = [], 0
        if rows is None or not rows.num_rows:
            return
        high, low = key_hashes([rows.column(name) for name in task.keys], task.split.seed)
        numbers = split_numbers(rows, high, task.split) << task.bits
        numbers += slice_numbers(low, task.bits)
        rows = rows.append_column(HIGH, pa.array(high)).append_column(LOW, pa.array(low))
        if self._writer is None:
            self._writer = SliceWriter(self._path, rows.schema)
        self._writer.write(rows, numbers.astype(np.int32))


class _BadFile:
    """Bad rows as Parquet: `REASONS` and `RAW`. It is made when the first one comes."""

    def __init__(self, path: str) -> None:
        self._path, self.rows = path, 0
        self._writer: Any = None
        self._stream: Any = None

    def write(self, found: Checked) -> None:
        if found.bad is None:
            return
        batch = pa.RecordBatch.from_arrays(
            [found.reasons.cast(_BAD.field(REASONS).type), found.raw], schema=_BAD
        )
        self.rows += batch.num_rows
        try:
            if self._writer is None:
                fs, inner = storage.filesystem(self._path)
                self._stream = fs.open_output_stream(inner)
                self._writer = pq.ParquetWriter(self._stream, _BAD)
            self._writer.write_batch(batch)
        except OSError as error:
            raise storage.failure("write", self._path, error) from error

    def close(self) -> str | None:
        if self._writer is None:
            return None
        try:
            self._writer.close()
            self._stream.close()
        except OSError as error:
            raise storage.failure("write", self._path, error) from error
        return self._path
