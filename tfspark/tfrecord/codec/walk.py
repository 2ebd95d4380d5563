"""From frame to frame through a stream of bytes, every sum checked."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tfspark.tensors import Array
from tfspark.tfrecord.codec.machine import HEADER, LONGEST, SLACK, TRAILER
from tfspark.tfrecord.codec.stream import ByteStream, DamageError
from tfspark.tfrecord.codec.walk_kernels import BAD_LENGTH_SUM, walk_frames

_length = struct.Struct("<Q").unpack_from


@dataclass(frozen=True)
class Chunk:
    """Whole records that follow each other. The memory is used again for the next chunk.

    Attributes:
        data: uint8, with `SLACK` bytes behind the last record.
        begin: int64 [records]: where each record's data begins.
        end: int64 [records].
        good: bool [records]: the sum of the data is right.
        record: the number of the first one in the file.
        offset: where `data` begins in the file before compression.
    """

    data: Array
    begin: Array
    end: Array
    good: Array
    record: int
    offset: int

    def place(self, at: int) -> tuple[int, int]:
        """The number of a record and the byte where its frame begins."""
        return self.record + at, self.offset + int(self.begin[at]) - HEADER


@dataclass(frozen=True)
class Break:
    """From here on nothing can be read: the frame at `offset`, of record `record`, is damaged."""

    record: int
    offset: int
    reason: str

    @property
    def said(self) -> str:
        """The reason, of the first frame with what else the file may be."""
        return self.reason if self.offset else f"{self.reason}; or it is no TFRecord file"


def walk(source: ByteStream, chunk_bytes: int, rows: int) -> Iterator[Chunk | Break]:
    """The records of a stream, up to so many at a time; a `Break` is the last thing.

    Memory is bounded by `chunk_bytes` and the longest record that is there.
    """
    data = np.empty(max(chunk_bytes, HEADER) + SLACK, "uint8")
    at = have = record = offset = 0  # what is not yet walked is data[at:have]
    cut: str | None = None
    ended = False
    most = min(rows, len(data) // (HEADER + TRAILER) + 1)
    begin, end, good = np.empty(most, "int64"), np.empty(most, "int64"), np.empty(most, "bool")
    while True:
        count, next_at, reason = walk_frames(data, at, have, begin, end, good)
        if count:
            found = begin[:count], end[:count], good[:count]
            yield Chunk(data, *found, record, offset)
        record, at = record + count, next_at
        if reason:
            why = _reason(reason, data[at : at + HEADER].tobytes())
            yield Break(record, offset + at, why)
            return
        if count == most:
            continue
        if ended:
            if cut or at < have:
                needs = f", its {have - at} bytes are no whole frame" if at < have else ""
                yield Break(record, offset + at, cut or f"the file ends too early{needs}")
            return
        rest = have - at
        data[:rest] = data[at:have].copy()
        offset, at, have = offset + at, 0, rest
        want = max(chunk_bytes, HEADER)
        if rest >= HEADER:
            want = max(want, HEADER + _length(data[:HEADER].tobytes())[0] + TRAILER)
        try:
            while have < want and not ended:
                if have + SLACK == len(data):  # grows with what is there, not with what is said
                    data = np.concatenate([data, np.empty(len(data), "uint8")])
                size = source.read_into(data[have : min(want, len(data) - SLACK)])
                ended = not size
                have += size
        except DamageError as error:
            cut, ended = f"its compressed data is damaged ({error})", True


def _reason(code: int, head: bytes) -> str:
    if code == BAD_LENGTH_SUM:
        return "the sum of its length is wrong"
    return f"its length is {_length(head)[0]} bytes, the longest record has {LONGEST}"
