"""A record batch as framed records, without a Python object per value.

Rows whose features are equally long share every byte but the values: a template is repeated and
each column stored into it with a stride. Rows of few are joined piece by piece by Arrow. Both are
put back in order by one `take`. The sum of a record is a call of google-crc32c a record.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.tensors import Array
from tfspark.tfrecord import frame, varint
from tfspark.tfrecord.payload import ABSENT, Payload, binary, body_header, by_length, parts, payload
from tfspark.tfrecord.schema import Feature, Layout

_EMPTY = pa.scalar(b"", pa.large_binary())
_FEW = 128  # rows that are not worth a template
_WIDE = 1024  # bytes of a record from which copies cost more than pieces


def encode(batch: pa.RecordBatch, layout: Layout) -> tuple[Array, Array]:
    """The records of a batch, framed, in the order of its rows.

    Args:
        batch: has the columns of `layout.schema`, in any order.
        layout: of `layout_of`.

    Returns:
        uint8 [bytes], to be written as they are; int64 [rows + 1], where each record's frame
        begins.

    Raises:
        StorageError: a value that the file cannot hold; says the column and the row of the batch.
    """
    rows = batch.num_rows
    if not rows:
        return np.empty(0, "uint8"), np.zeros(1, "int64")
    payloads = [payload(feature, batch) for feature in layout.features]
    if sum(int(found.starts[-1] - found.starts[0]) for found in payloads) > _WIDE * rows:
        return _join(layout, payloads, None)
    groups, rest = _groups([found.lengths for found in payloads], rows)
    if len(groups) == 1 and not len(rest):
        matrix = _template(layout, payloads, None, rows)
        width = matrix.shape[1]
        return matrix.reshape(-1), np.arange(rows + 1) * width
    if not groups:
        return _join(layout, payloads, None)
    arrays, order = [], []
    for chosen in groups:
        matrix = _template(layout, payloads, chosen, len(chosen))
        starts = np.arange(len(chosen) + 1) * matrix.shape[1]
        arrays.append(binary(matrix.reshape(-1), starts))
        order.append(chosen)
    if len(rest):
        arrays.append(binary(*_join(layout, payloads, rest)))
        order.append(rest)
    back = np.empty(rows, "int64")
    back[np.concatenate(order)] = np.arange(rows)
    return parts(pa.concat_arrays(arrays).take(pa.array(back)))


def _groups(lengths: list[Array], rows: int) -> tuple[list[Array], Array]:
    """Rows whose lengths are all the same, group by group, and the rows of small groups."""
    code, size = np.zeros(rows, "int64"), 1
    for column in lengths:
        low, high = int(column.min()), int(column.max())
        if low == high:
            continue
        if size * (high - low + 1) > 1 << 62:
            code, size = _dense(code)
        code, size = code * (high - low + 1) + (column - low), size * (high - low + 1)
    if size == 1:
        return [np.arange(rows)], np.empty(0, "int64")
    if size > 1 << 16:
        code, size = _dense(code)
        if size * _FEW > rows * 4:  # most groups would be small
            return [], np.arange(rows)
    order = np.argsort(code.astype("uint16") if size <= 1 << 16 else code, kind="stable")
    counts = np.bincount(code, minlength=size)
    counts = counts[counts > 0]
    pieces = np.split(order, np.cumsum(counts)[:-1])
    large = [piece for piece in pieces if len(piece) >= _FEW]
    small = [piece for piece in pieces if len(piece) < _FEW]
    return large, np.sort(np.concatenate(small)) if small else np.empty(0, "int64")


def _dense(code: Array) -> tuple[Array, int]:
    unique, inverse = np.unique(code, return_inverse=True)
    return inverse.astype("int64"), len(unique)


def entry_header(feature: Feature, length: int) -> bytes:
    """What stands in the map of features before a payload of `length` bytes."""
    value = body_header(feature, length, feature.depth) if feature.depth < 2 else b""
    key = feature.key
    head = b"\x0a" + varint.one(len(key)) + key
    head += b"\x12" + varint.one(len(value) + length) + value
    return b"\x0a" + varint.one(len(head) + length) + head


def _template(layout: Layout, payloads: list[Payload], chosen: Array | None, rows: int) -> Array:
    """Framed records of the chosen rows, which are equally long: uint8 [rows, width]."""
    first = 0 if chosen is None else int(chosen[0])
    maps: list[list[tuple[bytes, int, int]]] = [[], []]
    for number, (feature, found) in enumerate(zip(layout.features, payloads, strict=True)):
        length = int(found.lengths[first])
        if length != ABSENT:
            head = entry_header(feature, length)
            maps[feature.depth == 2].append((head, length, number))
    record, places = bytearray(frame.HEADER), []
    for side, entries in enumerate(maps if layout.sequence else maps[:1]):
        size = sum(len(head) + length for head, length, _ in entries)
        record += (b"\x0a", b"\x12")[side] + varint.one(size)
        for head, length, number in entries:
            record += head
            places.append((len(record), length, number))
            record += bytes(length)
    record += bytes(frame.TRAILER)
    width = len(record)
    matrix = np.empty((rows, width), "uint8")
    matrix[:] = np.frombuffer(record, "uint8")
    for at, length, number in places:
        if length:
            column: Array = np.ndarray((rows,), f"V{length}", matrix, at, (width,))
            column[:] = _rows_of(payloads[number], chosen, length)
    frame.close_rows(matrix)
    return matrix


def _rows_of(found: Payload, chosen: Array | None, length: int) -> Array:
    """The chosen rows' bytes, all of one length: V{length} [rows]."""
    dtype = f"V{length}"
    total = len(found.lengths) * length
    begin = int(found.starts[0])
    if int(found.starts[-1]) - begin == total and int(found.lengths.min()) == length:
        every = found.data[begin : begin + total].view(dtype)
        return every if chosen is None or len(chosen) == len(every) else every[chosen]
    data, starts = parts(found.array().take(pa.array(chosen)))
    return data[int(starts[0]) : int(starts[-1])].view(dtype)


def _join(layout: Layout, payloads: list[Payload], chosen: Array | None) -> tuple[Array, Array]:
    """Framed records of rows of any length: (uint8 [bytes], int64 [rows + 1])."""
    maps: list[list[pa.Array]] = [[], []]
    totals: list[Array] = [np.zeros(1, "int64"), np.zeros(1, "int64")]
    for feature, found in zip(layout.features, payloads, strict=True):
        lengths, values = found.lengths, found.array()
        if chosen is not None:
            lengths, values = lengths[chosen], values.take(pa.array(chosen))
        heads = by_length(lengths, partial(entry_header, feature))
        side = int(feature.depth == 2)
        maps[side] += [heads, values]
        totals[side] = totals[side] + np.maximum(lengths, 0) + np.diff(parts(heads)[1])
    rows = len(payloads[0].lengths) if chosen is None else len(chosen)
    room = bytes(frame.HEADER)
    zeros = np.zeros(rows, "int64")
    pieces = [by_length(totals[0] + zeros, lambda n: room + b"\x0a" + varint.one(n)), *maps[0]]
    if layout.sequence:
        pieces += [by_length(totals[1] + zeros, lambda n: b"\x12" + varint.one(n)), *maps[1]]
    pieces.append(pa.scalar(bytes(frame.TRAILER), pa.large_binary()))
    joined = pc.binary_join_element_wise(*pieces, _EMPTY)
    data, starts = parts(joined)
    if not data.flags.writeable:
        data = data.copy()
    frame.close_ranges(data, starts)
    return data, starts
