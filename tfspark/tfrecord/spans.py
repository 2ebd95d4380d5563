"""Many messages taken apart at once: every step reads one field of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tfspark.tensors import Array

SLACK = 16
"""Bytes that must follow the last message in its buffer: reads go that far past an end."""


@dataclass(frozen=True)
class Spans:
    """Length-delimited fields, in the order of their bytes.

    Attributes:
        owner: int64 [n]: the message that each is of.
        tag: uint8 [n].
        begin: int64 [n], where the content begins in the buffer.
        end: int64 [n].
    """

    owner: Array
    tag: Array
    begin: Array
    end: Array

    def where(self, chosen: Array) -> Spans:
        if len(chosen) == len(self.tag) and chosen.dtype == bool and chosen.all():
            return self
        return Spans(self.owner[chosen], self.tag[chosen], self.begin[chosen], self.end[chosen])

    def of(self, owners: Array) -> Spans:
        """The same spans, of the owners of their owners."""
        return Spans(owners[self.owner], self.tag, self.begin, self.end)


def split(data: Array, begin: Array, end: Array) -> tuple[Spans, Array]:
    """The fields of messages.

    Args:
        data: uint8, with `SLACK` bytes after the last end.
        begin: int64 [messages], ascending.
        end: int64 [messages].

    Returns:
        The fields, and bool [messages]: those with anything but length-delimited fields of
        numbers 1 to 15; what was found of them is not to be used.
    """
    odd = np.zeros(len(begin), bool)
    steps = []
    live = np.flatnonzero(begin < end)
    at, stop = begin[live], end[live]
    while len(live):
        tag = data[at]
        first, size, long = _lengths(data, at)
        last = first + size
        bad = (last > stop) | (tag & 0x87 != 2) | (tag < 8)
        if long is not None:
            bad |= long
        if bad.any():
            odd[live[bad]] = True
            good = ~bad
            live, tag, first, last, stop = (found[good] for found in (live, tag, first, last, stop))
        steps.append((live, tag, first, last))
        more = last < stop
        if not more.any():
            break
        live, at, stop = live[more], last[more], stop[more]
    if not steps:
        none = np.empty(0, "int64")
        return Spans(none, np.empty(0, "uint8"), none, none), odd
    if len(steps) == 1:
        return Spans(*steps[0]), odd
    owner, tag, first, last = (np.concatenate(found) for found in zip(*steps, strict=True))
    order = np.argsort(first, kind="stable")
    return Spans(owner[order], tag[order], first[order], last[order]), odd


def _lengths(data: Array, at: Array) -> tuple[Array, Array, Array | None]:
    """Where the content begins of fields at `at`, its length, and which are too long to be."""
    size = data[at + 1].astype("int64")
    first = at + 2
    wide = np.flatnonzero(size > 127)
    if not len(wide):
        return first, size, None
    total, left = size[wide] & 127, np.arange(len(wide))
    for place in range(1, 5):
        byte = data[at[wide[left]] + 1 + place]
        total[left] |= (byte & 127).astype("int64") << 7 * place
        first[wide[left]] += 1
        left = left[byte > 127]
        if not len(left):
            break
    size[wide] = total
    if not len(left):
        return first, size, None
    long = np.zeros(len(at), bool)
    long[wide[left]] = True
    return first, size, long


def gather(data: Array, begin: Array, end: Array) -> pa.Array:
    """Ranges of a buffer as large_binary [n]; they are ascending and do not overlap."""
    if not len(begin):
        return pa.array([], pa.large_binary())
    bounds = np.empty(2 * len(begin), "int64")
    bounds[0::2], bounds[1::2] = begin, end
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    every = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(bounds) - 1, buffers)
    return every.take(pa.array(np.arange(0, len(bounds), 2)))
