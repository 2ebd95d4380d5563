"""The frame around every record of a TFRecord file.

    uint64 length, uint32 masked CRC32C of the length, the record, uint32 masked CRC32C of it

all little-endian (tensorflow/core/lib/io/record_writer.h). A sum is masked, as a sum of data that
holds sums is weak: rotated right by 15 bits, plus 0xa282ead8 (tensorflow/core/lib/hash/crc32c.h).
"""

from __future__ import annotations

from typing import Any

import google_crc32c
import numpy as np

from tfspark.tensors import Array

HEADER, TRAILER = 12, 4
LONGEST = (1 << 31) - 1
"""Bytes of the longest record: a protocol buffer ends at 2 GiB."""
_MASK = 0xA282EAD8
_AT_ONCE = 1 << 18  # bytes that are Python objects at one time: they stay in the cache

crc32c: Any = google_crc32c.value
"""CRC32C of bytes, before the mask."""


def masked(sums: Array) -> Array:
    """Sums as they stand in a file: uint32 [n] → uint32 [n]."""
    out: Array = ((sums >> np.uint32(15)) | (sums << np.uint32(17))) + np.uint32(_MASK)
    return out


def sums_of_rows(matrix: Array, start: int, stop: int) -> Array:
    """CRC32C of the bytes [start, stop) of every row: uint8 [n, width] → uint32 [n]."""
    rows, width = matrix.shape
    if stop == start or not rows:
        return np.zeros(rows, "uint32")
    strides = (matrix.strides[0],)
    column: Array = np.ndarray((rows,), f"V{stop - start}", matrix, start, strides)
    step = max(1, _AT_ONCE // width)
    out = np.empty(rows, "uint32")
    for at in range(0, rows, step):
        out[at : at + step] = list(map(crc32c, column[at : at + step].tolist()))
    return out


def sums_of_ranges(data: Array, starts: Array, stops: Array) -> Array:
    """CRC32C of ranges of a buffer: uint8 [bytes], int64 [n], int64 [n] → uint32 [n]."""
    whole = memoryview(data)  # type: ignore[arg-type]
    pairs = zip(starts.tolist(), stops.tolist(), strict=True)
    return np.array([crc32c(whole[start:stop].tobytes()) for start, stop in pairs], "uint32")


def header(lengths: Array) -> Array:
    """What stands before records of these lengths: int64 [n] → uint8 [n, 12]."""
    unique, inverse = np.unique(lengths, return_inverse=True)
    out = np.empty((len(unique), HEADER), "uint8")
    out[:, :8] = unique.astype("<u8").view("uint8").reshape(-1, 8)
    out[:, 8:] = _as_bytes(masked(sums_of_rows(out, 0, 8)))
    return out[inverse]


def close_rows(matrix: Array) -> None:
    """Fill in the frames of equally long records: uint8 [n, 12 + record + 4], in place."""
    width = matrix.shape[1]
    matrix[:, :HEADER] = header(np.array([width - HEADER - TRAILER]))
    sums = sums_of_rows(matrix, HEADER, width - TRAILER)
    matrix[:, width - TRAILER :] = _as_bytes(masked(sums))


def close_ranges(data: Array, offsets: Array) -> None:
    """Fill in the frames of records of any length, in place.

    Args:
        data: uint8 [bytes]: records with room for their frames.
        offsets: int64 [n + 1]: where each begins, its frame included.
    """
    begins, ends = offsets[:-1], offsets[1:]
    if not len(begins):
        return
    headers = header(ends - begins - HEADER - TRAILER)
    for place in range(HEADER):
        data[begins + place] = headers[:, place]
    sums = _as_bytes(masked(sums_of_ranges(data, begins + HEADER, ends - TRAILER)))
    for place in range(TRAILER):
        data[ends - TRAILER + place] = sums[:, place]


def _as_bytes(sums: Array) -> Array:
    as_bytes: Array = sums.astype("<u4").view("uint8").reshape(-1, 4)
    return as_bytes
