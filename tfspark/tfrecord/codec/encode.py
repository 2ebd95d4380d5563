"""Record batches as framed records, without a Python object per row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tfspark.tensors import Array
from tfspark.tfrecord.codec import varint
from tfspark.tfrecord.codec.columns import Flat, RefusedError, flat
from tfspark.tfrecord.codec.encode_kernels import FIELDS, HEAD, write_records, write_rows
from tfspark.tfrecord.codec.machine import BYTES, FLOAT, INT64, LONGEST, SLACK
from tfspark.tfrecord.codec.schema import Kind, Layout

_FIXED = pa.binary(1).id
TAG: dict[Kind, int] = {"bytes": BYTES, "float": FLOAT, "int64": INT64}
ROOM = 1 << 19  # bytes of records that are made at once: they stay in the processor's cache


class Encoder:
    """Encodes batches of one layout, into memory that it uses again."""

    def __init__(self, layout: Layout) -> None:
        self._raw = layout.raw
        self._features = sorted(layout.features, key=lambda feature: feature.depth == 2)
        self._plain = sum(feature.depth < 2 for feature in self._features)
        keys = [b"\x0a" + varint.one(len(f.key)) + f.key + b"\x12" for f in self._features]
        self._sizes = [len(key) for key in keys]
        self._keys = np.zeros((len(keys), max(self._sizes, default=0)), "uint8")
        for row, key in zip(self._keys, keys, strict=True):
            row[: len(key)] = np.frombuffer(key, "uint8")
        self._heads = np.empty((len(keys), self._keys.shape[1] + HEAD), "uint8")
        self._out = np.empty(ROOM, "uint8")

    def encode(self, batch: pa.RecordBatch) -> Iterator[Array]:
        """The records of a batch, framed, in the order of its rows.

        Args:
            batch: has the columns of `layout.schema`, in any order.

        Yields:
            uint8 [bytes], to be written as they are before the next ones are asked for.

        Raises:
            RefusedError: a value or a record that the file cannot hold; says the column and the
                row of the batch.
        """
        if self._raw:
            yield from self._frames(batch.column(self._features[0].path[0]))
            return
        columns = [flat(feature, batch) for feature in self._features]
        table = np.full((len(columns), FIELDS), -1)
        parts = zip(self._features, columns, self._sizes, strict=True)
        for line, (feature, column, size) in zip(table, parts, strict=True):
            line[:9] = TAG[feature.kind], feature.depth == 2, *_addresses(column), size
        row, rows = 0, batch.num_rows
        while row < rows:
            row, used, wanted = write_rows(
                table, self._keys, self._heads, self._plain, row, rows, self._out
            )
            if used:
                yield self._out[:used]
            self._make_room(row, wanted)

    def _frames(self, column: pa.Array) -> Iterator[Array]:
        """Records that came as bytes."""
        if column.null_count:
            row = column.is_null().index(True).as_py()
            raise RefusedError(f"row {row} of the batch is null, and a record cannot be")
        column = column.cast(pa.binary() if column.type.id == _FIXED else column.type)
        column = column.cast(pa.large_binary())
        row, rows = 0, len(column)
        _, offsets, data = column.buffers()
        starts = np.frombuffer(offsets or bytes(8), "int64", rows + 1, 8 * column.offset)
        content = np.frombuffer(data or b"", "uint8")
        while row < rows:
            row, used, wanted = write_records(content, starts, row, self._out)
            if used:
                yield self._out[:used]
            self._make_room(row, wanted)

    def _make_room(self, row: int, wanted: int) -> None:
        if wanted > LONGEST:
            raise RefusedError(
                f"row {row} of the batch is a record of {wanted} bytes, the longest has "
                f"{LONGEST}: leave columns out or split the row"
            )
        if wanted + 2 * SLACK > len(self._out):
            self._out = np.empty(wanted + 2 * SLACK, "uint8")


def _addresses(column: Flat) -> list[int]:
    levels = [*column.levels, (None, None)][:2]
    arrays = [array for level in levels for array in level] + [column.numbers, column.data]
    return [0 if array is None else array.ctypes.data for array in arrays]
