"""Rows as JSON objects: the loops of `words`, compiled."""

from __future__ import annotations

from tfspark.compiled import address, byte, copy, inlined, kernel, put
from tfspark.tensors import Array

_OPEN, _CLOSE = 123, 125


@inlined
def _there(bits: int, at: int) -> bool:
    """Whether a value is, by the bits of its array; address 0: all are."""
    found: bool = bits == 0 or (byte(bits + (at >> 3)) >> (at & 7)) & 1 == 1
    return found


@inlined
def _offset(offsets: int, row: int) -> int:
    at = offsets + 4 * row
    found: int = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24
    return found


@kernel
def measure(columns: Array, names: Array, out: Array) -> None:
    """How long each row's object is, and all before it.

    Args:
        columns: int64 [columns, 4]: addresses of offsets (int32), of bytes and of the bits of what
            is there (0: everything), and the number of the first bit.
        names: int64 [columns, 4]: address and length of what stands before a value, the first byte
            a comma, and of what stands behind it.
        out: int64 [rows + 1].
    """
    out[0] = 0
    for row in range(len(out) - 1):
        size = 0
        for n in range(len(columns)):
            if _there(columns[n, 2], columns[n, 3] + row):
                length = _offset(columns[n, 0], row + 1) - _offset(columns[n, 0], row)
                size += names[n, 1] + length + names[n, 3]
        out[row + 1] = out[row] + max(size, 1) + 1


@kernel
def fill(columns: Array, names: Array, offsets: Array, out: Array) -> None:
    """Write the objects into out uint8 [bytes]; the others as in `measure`."""
    start = address(out)
    for row in range(len(offsets) - 1):
        at = start + offsets[row]
        first = at
        for n in range(len(columns)):
            if _there(columns[n, 2], columns[n, 3] + row):
                begin = _offset(columns[n, 0], row)
                at = copy(at, names[n, 0], names[n, 1])
                at = copy(at, columns[n, 1] + begin, _offset(columns[n, 0], row + 1) - begin)
                at = copy(at, names[n, 2], names[n, 3])
        if at == first:
            at += 1
        put(first, _OPEN)  # in the place of a comma
        put(at, _CLOSE)
