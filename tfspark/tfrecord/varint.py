"""Protocol buffers' variable-length integers, many at a time.

Seven bits a byte, the lowest first; the top bit says that another byte follows. A negative int64
takes ten bytes. (https://protobuf.dev/programming-guides/encoding/)
"""

from __future__ import annotations

import numpy as np

from tfspark.tensors import Array

MOST = 10
"""Bytes of the longest one."""
_DENSE = 4  # bytes of integers that are put together at every byte, most in vain
_BLOCK = 1 << 15


def one(number: int) -> bytes:
    """One number, 0 or above."""
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def lengths(values: Array) -> Array:
    """How many bytes each takes: int64 [n] → uint8 [n]."""
    unsigned = values.view("uint64")
    out = np.ones(len(values), "uint8")
    largest = int(unsigned.max(initial=0))
    for power in range(7, 64, 7):
        if largest < 1 << power:
            break
        out += unsigned >= np.uint64(1 << power)
    return out


def encode(values: Array) -> tuple[Array, Array]:
    """int64 [n] → their bytes, uint8 [bytes], and where each begins, int64 [n + 1]."""
    values = np.ascontiguousarray(values, "int64")
    size = lengths(values)
    starts = np.zeros(len(values) + 1, "int64")
    np.cumsum(size, out=starts[1:])
    longest = int(size.max(initial=1))
    if len(values) and int(size.min()) == longest:  # of one length: columns of a matrix
        matrix = np.empty((len(values), longest), "uint8")
        for place in range(longest):
            more = 128 if place < longest - 1 else 0
            matrix[:, place] = _byte(values.view("uint64"), place) | more
        return matrix.reshape(-1), starts
    if longest <= 8:
        return _words(values.view("uint64"), size, longest), starts
    out = np.empty(int(starts[-1]), "uint8")
    at, rest, left = starts[:-1], values.view("uint64"), size
    for place in range(longest):
        if place:
            more_of = np.flatnonzero(left > place)
            at, rest, left = at[more_of], rest[more_of], left[more_of]
        bits = _byte(rest, place)
        bits[left > place + 1] |= 128
        out[at + place] = bits
    return out, starts


def _byte(unsigned: Array, place: int) -> Array:
    bits: Array = (unsigned >> np.uint64(7 * place)).astype("uint8") & np.uint8(127)
    return bits


def decode(data: Array) -> tuple[Array, Array]:
    """A run of them, uint8 [bytes] → int64 [n] and where each ends, int64 [n].

    Raises:
        ValueError: the last one is cut off, or one is longer than ten bytes or above 64 bits.
    """
    ends = np.flatnonzero(data < 128) + 1
    if len(data) and (not len(ends) or ends[-1] != len(data)):
        raise ValueError("an integer is cut off")
    if len(ends) == len(data):
        return data.astype("int64"), ends
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1]
    size = ends - starts
    longest = int(size.max())
    if longest > MOST:
        raise ValueError("an integer of more than ten bytes")
    if longest <= _DENSE:
        return _dense(data, starts, longest), ends
    values = (data[starts] & 127).astype("uint64")
    rows = np.arange(len(ends))
    for place in range(1, longest):
        rows = rows[size[rows] > place]
        bits = data[starts[rows] + place]
        if place == MOST - 1 and (bits > 1).any():
            raise ValueError("an integer of more than 64 bits")
        values[rows] |= (bits & 127).astype("uint64") << np.uint64(7 * place)
    return values.view("int64"), ends


def _dense(data: Array, starts: Array, longest: int) -> Array:
    """The integers that begin at `starts`, of four bytes at most: int64 [n].

    At every byte: what would begin there, made of its bits and what would begin at the next one.
    No step depends on where integers begin, so all run over whole arrays.
    """
    out = np.empty(len(starts), "int64")
    bounds = np.searchsorted(starts, np.arange(0, len(data) + _BLOCK, _BLOCK))
    for number, first in enumerate(bounds[:-1].tolist()):
        begin, last = number * _BLOCK, int(bounds[number + 1])
        block = data[begin : begin + _BLOCK + longest]
        bits = (block & 127).astype("uint32")
        more = np.where(block > 127, np.uint32(0xFFFFFFFF), np.uint32(0))[:-1]
        whole = bits.copy()
        for _ in range(longest - 1):
            whole[:-1] = bits[:-1] | ((whole[1:] << np.uint32(7)) & more)
        out[first:last] = whole[starts[first:last] - begin]
    return out


def _words(unsigned: Array, size: Array, longest: int) -> Array:
    """The bytes of integers of eight bytes at most: each is a word, of which `size` are taken."""
    kind = "<u4" if longest <= 4 else "<u8"
    width = int(kind[2])
    out = []
    for at in range(0, len(unsigned), _BLOCK):
        some = unsigned[at : at + _BLOCK].astype(kind)
        sizes = size[at : at + _BLOCK]
        words = some & some.dtype.type(127)
        for place in range(1, longest):
            bits = some << some.dtype.type(place)
            words |= bits & some.dtype.type(127 << 8 * place)
        places = np.arange(width, dtype="uint8")
        taken = places < sizes[:, None]
        tops = _TOPS[kind][sizes]
        out.append((words | tops).view("uint8")[taken.reshape(-1)])
    return np.concatenate(out) if out else np.empty(0, "uint8")


_TOPS = {
    kind: np.array([sum(128 << 8 * place for place in range(n - 1)) for n in range(size + 1)], kind)
    for kind, size in (("<u4", 4), ("<u8", 8))
}
