"""Which values of unique columns are there more than once, whatever task has read them.

Tasks write the columns that must be unique, alone, into slices by hash (`KeyWriter`); other tasks
each look at the values of some hashes, and write those that are there more than once
(`find_duplicates`). Equal hashes are no proof: the values are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark import storage
from tfspark.exchange.hashes import row_hashes, same_values
from tfspark.exchange.slices import Slice, SliceWriter, read_slices
from tfspark.tensors import Array

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TIMES = "times"
_HELD = 64 << 20  # bytes of keys in memory before they are written
_SHARE = 4_000_000  # rows of keys that a task compares


class KeySlices(NamedTuple):
    """What one attempt of a task wrote of the columns that must be unique together.

    Attributes:
        name: their name in messages.
    """

    name: str
    slices: tuple[Slice, ...]


class KeyWriter:
    """The unique columns of the rows of one task.

    Args:
        unique: name for messages → the columns that must be unique together.
        bits: of the hash, by which rows are cut into slices.
    """

    def __init__(
        self, folder: str, task: str, unique: Mapping[str, Sequence[str]], bits: int
    ) -> None:
        self._folder, self._task, self._unique, self._bits = folder, task, unique, bits
        self._held: dict[str, list[pa.RecordBatch]] = {name: [] for name in unique}
        self._writers: dict[str, SliceWriter] = {}

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the rows whose value is complete: null is no value that could be there twice."""
        for name, columns in self._unique.items():
            held = self._held[name]
            held.append(complete(rows.select(list(columns))))
            if sum(batch.nbytes for batch in held) > _HELD:
                self._flush(name)

    def close(self) -> list[KeySlices]:
        for name, held in self._held.items():
            if held:
                self._flush(name)
        found = []
        for name, writer in self._writers.items():
            writer.__exit__()
            found.append(KeySlices(name, tuple(writer.slices)))
        return found

    def _flush(self, name: str) -> None:
        rows = pa.concat_batches(self._held[name])
        self._held[name] = []
        if not rows.num_rows:
            return
        if name not in self._writers:
            file = f"keys-{list(self._unique).index(name)}-{self._task}.arrow"
            self._writers[name] = SliceWriter(storage.join(self._folder, file), rows.schema)
        hashes = row_hashes(rows.columns)
        self._writers[name].write(rows, slice_numbers(hashes, self._bits))


@dataclass(frozen=True)
class Duplicates:
    """The values that are there more than once, in files that tasks read.

    Attributes:
        unique: see `KeyWriter`.
        files: name → slices of the values, with the column `times` behind them.
        rows: name → how many rows have such a value.
    """

    unique: dict[str, tuple[str, ...]]
    files: dict[str, tuple[Slice, ...]]
    rows: dict[str, int]

    def times(self, rows: pa.RecordBatch) -> dict[str, pa.Array]:
        """Name → how many rows have this row's value, null where no other has it: int64 [rows].

        Only names of which any of these rows has a value that is there more than once.
        """
        found = {}
        for name, slices in self.files.items():
            if slices and (times := _times(rows.select(self.unique[name]), slices)) is not None:
                found[name] = times
        return found


def find_duplicates(
    spark: SparkSession,
    keys: Sequence[KeySlices],
    unique: Mapping[str, Sequence[str]],
    folder: str,
) -> Duplicates:
    """The values that are there more than once, among the keys that all tasks wrote.

    Args:
        folder: takes files of the values.

    Raises:
        StorageError: a file cannot be read or written.
    """
    shares: list[tuple[str, str, list[Slice]]] = []
    for place, name in enumerate(unique):
        slices = [one for key in keys if key.name == name for one in key.slices]
        share: list[Slice] = []
        for number in sorted({one.number for one in slices}):
            inside = [one for one in slices if one.number == number]
            if share and sum(one.rows for one in [*share, *inside]) > _SHARE:
                shares.append((name, f"{place}-{len(shares)}", share))
                share = []
            share += inside
        if share:
            shares.append((name, f"{place}-{len(shares)}", share))

    def run(inside: Any) -> Any:
        for name, number, slices in inside:
            yield name, _compare(slices, folder, number)

    files: dict[str, tuple[Slice, ...]] = dict.fromkeys(unique, ())
    rows = dict.fromkeys(unique, 0)
    if shares:
        sent = spark.sparkContext.parallelize(shares, len(shares))
        for name, (made, count) in sent.mapPartitions(run).collect():
            files[name] += made
            rows[name] += count
    return Duplicates({n: tuple(columns) for n, columns in unique.items()}, files, rows)


def complete(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows without a null."""
    if not any(column.null_count for column in rows.columns):
        return rows
    mask = rows.column(0).is_valid()
    for column in rows.columns[1:]:
        mask = pc.and_(mask, column.is_valid())
    return rows.filter(mask)


def slice_numbers(hashes: Array, bits: int) -> Array:
    """The upper bits of hashes: int64 [rows]."""
    if not bits:
        return np.zeros(len(hashes), np.int64)
    return (hashes >> np.uint64(64 - bits)).astype(np.int64)


def _compare(slices: list[Slice], folder: str, number: str) -> tuple[tuple[Slice, ...], int]:
    """Write the values that are there more than once; the slices, and how many rows have them."""
    ordered = sorted(slices, key=lambda one: (one.path, one.batch))
    rows = pa.Table.from_batches(read_slices(ordered)).combine_chunks()
    hashes = row_hashes([column.chunk(0) for column in rows.columns])
    same = np.sort(hashes)
    same = np.unique(same[1:][same[1:] == same[:-1]])
    if not len(same):
        return (), 0
    likely = rows.filter(pa.array(np.isin(hashes, same)))
    names = likely.column_names
    counted = likely.group_by(names, use_threads=False).aggregate([([], "count_all")])
    counted = counted.rename_columns([*names, _TIMES]).filter(pc.field(_TIMES) > 1)
    if not counted.num_rows:
        return (), 0
    from pyspark import TaskContext

    context: Any = TaskContext.get()
    path = storage.join(folder, f"twice-{number}-{context.taskAttemptId()}.arrow")
    with SliceWriter(path, counted.schema) as writer:
        for batch in counted.combine_chunks().to_batches():
            writer.write(batch)
    return tuple(writer.slices), pc.sum(counted[_TIMES]).as_py()


@lru_cache(maxsize=8)
def _known(slices: tuple[Slice, ...]) -> tuple[Array, pa.Table]:
    """The hashes of the values, sorted; and the values with their times. Once a process."""
    table = pa.Table.from_batches(read_slices(slices)).combine_chunks()
    hashes = row_hashes([column.chunk(0) for column in table.columns[:-1]])
    order = np.argsort(hashes)
    return hashes[order], table.take(pa.array(order)).combine_chunks()


def _times(rows: pa.RecordBatch, slices: tuple[Slice, ...]) -> pa.Array | None:
    known, table = _known(slices)
    hashes = row_hashes(rows.columns)
    # Values in order find their places in a fraction of the time.
    order = np.argsort(hashes)
    place = np.empty(len(order), np.int64)
    place[order] = np.minimum(np.searchsorted(known, hashes[order]), len(known) - 1)
    likely = np.flatnonzero(known[place] == hashes)
    if not len(likely):
        return None
    some = rows.take(pa.array(likely))
    if (known[1:] == known[:-1]).any():  # hashes of two values are equal
        found, counts = _joined(some, table)
    else:
        there = table.take(pa.array(place[likely])).combine_chunks().to_batches()[0]
        found = np.flatnonzero(_same(some.columns, there.columns[:-1]))
        counts = there.column(_TIMES).to_numpy()[found]
    if not len(found):
        return None
    times = np.zeros(rows.num_rows, np.int64)
    times[likely[found]] = counts
    return pa.array(times, mask=times == 0)


def _joined(rows: pa.RecordBatch, table: pa.Table) -> tuple[Array, Array]:
    """The places of rows whose values a table has, and their times there."""
    numbered = pa.Table.from_batches([rows]).append_column("row", [np.arange(rows.num_rows)])
    joined = numbered.join(table, table.column_names[:-1], join_type="inner", use_threads=False)
    return joined["row"].to_numpy(), joined[_TIMES].to_numpy()


def _same(columns: list[pa.Array], others: list[pa.Array]) -> Array:
    """Whether rows without nulls have the same values, by their bits: bool [rows]."""
    found = np.ones(len(columns[0]), bool)
    for column, other in zip(columns, others, strict=True):
        found &= same_values(column, other)
    return found
