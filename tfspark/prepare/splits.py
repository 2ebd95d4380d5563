"""The task that writes files of a split: slices of good rows in, ordered files and a summary out.

A file's rows are in the order of their key's hash: as good as shuffled, and the same again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfspark import storage
from tfspark.config import Prepare
from tfspark.contracts import Contract
from tfspark.dataset import SPLITS
from tfspark.exchange.hashes import row_hashes
from tfspark.exchange.slices import Slice, attempt, read_slices
from tfspark.features.words import Counted
from tfspark.prepare.narrow import as_stored
from tfspark.prepare.spill import HIGH, LOW
from tfspark.prepare.summary import Summary, one_array, summarise
from tfspark.rowchecks.words import text
from tfspark.tensors import Array
from tfspark.tfrecord import Layout, write_file
from tfspark.tfrecord.codec.stream import SUFFIX

_GROUP_ROWS = 1 << 17


@dataclass(frozen=True)
class Share:
    """What one task makes files of: neighbours in the hash of the key.

    Attributes:
        split: its name.
        number: its place among the split's shares.
    """

    split: str
    number: int
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Made:
    """What one attempt of a task wrote.

    Attributes:
        files: (path, rows, bytes, sha256) of each file, in their order.
        nulls: by number of the column.
        labels: (label, rows).
        hashes: the sum and the exclusive or of the hashes of the rows.
        summary: of the training split's rows.
    """

    split: str
    number: int
    rows: int
    files: tuple[tuple[str, int, int, str], ...]
    nulls: tuple[int, ...]
    labels: tuple[tuple[str, int], ...]
    hashes: tuple[int, int]
    summary: Summary | None


@dataclass(frozen=True)
class SplitTask:
    """What a task needs to know.

    Attributes:
        folder: takes the files.
        layout: of TFRecord files.
        exact: whether every value of the training split is kept, for exact quantiles.
        words: that are counted in the training split.
    """

    contract: Contract
    settings: Prepare
    schema: pa.Schema
    folder: str
    layout: Layout | None
    exact: bool
    words: tuple[Counted, ...] = ()

    def __call__(self, share: Share) -> Made:
        """Write the files of a share.

        Raises:
            StorageError: a file cannot be read or written.
        """
        rows = as_stored(self._rows(share), self.settings.narrow if self.layout else {})
        where = storage.join(self.folder, f"{share.split}-{share.number:05d}-{attempt()}")
        files: list[tuple[str, int, int, str]] = []
        most = self.settings.rows_per_file or max(1, rows.num_rows)
        for start in range(0, max(1, rows.num_rows), most):
            piece = rows.slice(start, most)
            if self.layout is None or piece.num_rows:
                path = self._write(piece, f"{where}-{len(files)}")
                fs, inner = storage.filesystem(path)
                size = fs.get_file_info(inner).size
                files.append((path, piece.num_rows, size, storage.sha256(path)))
        columns = [one_array(column) for column in rows.columns]
        hashes = row_hashes(columns)
        summary = None
        if share.split == SPLITS[0]:
            summary = summarise(rows, self.contract, where, self.exact, self.words)
        return Made(
            share.split,
            share.number,
            rows.num_rows,
            tuple(files),
            tuple(column.null_count for column in columns),
            self._labels(rows),
            (_sum(hashes), int(np.bitwise_xor.reduce(hashes, initial=np.uint64(0)))),
            summary,
        )

    def _rows(self, share: Share) -> pa.Table:
        """The rows in their order."""
        batches = list(read_slices(share.slices))
        if not batches:
            return self.schema.empty_table()
        table = pa.Table.from_batches(batches)
        high = table[HIGH].to_numpy()
        order = np.argsort(high)
        if (high[order[1:]] == high[order[:-1]]).any():
            # As good as never, of keys that differ.
            order = np.lexsort([table[LOW].to_numpy(), high])
        return table.select(self.schema.names).take(pa.array(order)).combine_chunks()

    def _write(self, rows: pa.Table, path: str) -> str:
        if self.layout is not None:
            path += ".tfrecord" + SUFFIX[self.settings.compression]
            write_file(path, rows.to_batches(), self.layout, self.settings.compression)
            return path
        path += ".parquet"
        fs, inner = storage.filesystem(path)
        try:
            # Floats seldom repeat: a dictionary of them is made only to be thrown away.
            few = [f.name for f in rows.schema if not pa.types.is_floating(f.type)]
            pq.write_table(
                rows, inner, filesystem=fs, row_group_size=_GROUP_ROWS, use_dictionary=few
            )
        except OSError as error:
            raise storage.failure("write", path, error) from error
        return path

    def _labels(self, rows: pa.Table) -> tuple[tuple[str, int], ...]:
        label = self.contract.label
        if not label or pa.types.is_nested(rows[label].type):
            return ()
        labels = text(one_array(rows[self.contract.label]))
        found = pc.value_counts(labels)
        pairs = zip(
            found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True
        )
        return tuple((str(label), count) for label, count in pairs)


def shares_of(slices: Sequence[Slice], settings: Prepare, bits: int) -> list[Share]:
    """The slices of good rows, divided into shares: a file each, of about the size that is asked.

    At least one a split, so that each has its folder.
    """
    shares = []
    for place, split in enumerate(SPLITS):
        inside = [one for one in slices if one.number >> bits == place]
        size = sum(one.bytes for one in inside)
        count = min(max(1, math.ceil(size / (settings.file_mb << 20))), 1 << bits)
        parts: list[list[Slice]] = [[] for _ in range(count)]
        for one in inside:
            parts[(one.number & ((1 << bits) - 1)) * count >> bits].append(one)
        for number, part in enumerate(parts):
            ordered = sorted(part, key=lambda one: (one.path, one.batch))
            shares.append(Share(split, number, tuple(ordered)))
    return shares


def _sum(hashes: Array) -> int:
    """Exactly: as two halves, which do not overflow."""
    low = int((hashes & np.uint64(0xFFFFFFFF)).sum(dtype=np.uint64))
    return (int((hashes >> np.uint64(32)).sum(dtype=np.uint64)) << 32) + low
