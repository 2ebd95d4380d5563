"""From frame to frame through a stream of bytes, every sum checked."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tfspark.tensors import Array
from tfspark.tfrecord import frame
from tfspark.tfrecord.spans import SLACK
from tfspark.tfrecord.stream import DamageError, Source

_length = struct.Struct("<Q").unpack_from
_FRAME = frame.HEADER + frame.TRAILER
_KNOWN = 1 << 16  # headers that are remembered


@dataclass(frozen=True)
class Chunk:
    """Whole records that follow each other.

    Attributes:
        data: uint8 [bytes + `SLACK`].
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


@dataclass(frozen=True)
class Break:
    """From here on nothing can be read: the frame at `offset`, of record `record`, is damaged."""

    record: int
    offset: int
    reason: str


def walk(source: Source, chunk_bytes: int) -> Iterator[Chunk | Break]:
    """The records of a stream, a chunk at a time; a `Break` is the last thing.

    Memory is bounded by `chunk_bytes` and the longest record that is there.
    """
    left, record, offset, ended = b"", 0, 0, False
    known: dict[bytes, int] = {}
    while True:
        want, cut = max(chunk_bytes, frame.HEADER), None
        if len(left) >= frame.HEADER:
            want = max(want, min(_length(left)[0], frame.LONGEST) + _FRAME)
        pieces = [left]
        have = len(left)
        try:
            while have < want and not ended:
                piece = source.read(min(want - have, chunk_bytes))
                ended = not piece
                pieces.append(piece)
                have += len(piece)
        except DamageError as error:
            cut, ended = f"its compressed data is damaged ({error})", True
        whole = b"".join([*pieces, bytes(SLACK)])
        del pieces
        found, used, reason = _scan(whole, have, known, record, offset)
        if len(found.begin):
            yield found
        record, offset, left = record + len(found.begin), offset + used, whole[used:have]
        if reason:
            yield Break(record, offset, reason)
            return
        if ended:
            if cut or left:
                needs = f", its {len(left)} bytes are no whole frame" if left else ""
                yield Break(record, offset, cut or f"the file ends too early{needs}")
            return


def _scan(
    whole: bytes, stop: int, known: dict[bytes, int], record: int, offset: int
) -> tuple[Chunk, int, str | None]:
    """The whole records before `stop`, where the last one ends, and why no further one can be.

    `known` are headers whose sums were found right, with their lengths: most records are as long
    as one before them.
    """
    ends: list[int] = []
    sums: list[int] = []
    at, reason = 0, None
    # Names of this function's own: the loop runs once a record.
    header, trailer, crc32c, last = frame.HEADER, frame.TRAILER, frame.crc32c, stop - frame.TRAILER
    length_of, ended, summed = known.get, ends.append, sums.append
    while (begin := at + header) <= stop:
        head = whole[at:begin]
        size = length_of(head)
        if size is None:
            if reason := _refused(head):
                break
            size = _length(head)[0]
            if len(known) >= _KNOWN:
                known.clear()
            known[head] = size
        end = begin + size
        if end > last:
            break
        ended(end)
        summed(crc32c(whole[begin:end]))
        at = end + trailer
    data, end_of = np.frombuffer(whole, "uint8"), np.array(ends, "int64")
    begin_of = np.concatenate([[frame.HEADER], end_of + _FRAME])[:-1].astype("int64")
    said = np.zeros(len(ends), "uint32")
    for place in range(frame.TRAILER):
        said |= data[end_of + place].astype("uint32") << np.uint32(8 * place)
    good = frame.masked(np.array(sums, "uint32")) == said
    return Chunk(data, begin_of, end_of, good, record, offset), at, reason


def _refused(head: bytes) -> str | None:
    """Why these twelve bytes are no header; None if they are one."""
    length = _length(head)[0]
    if frame.masked(np.array([frame.crc32c(head[:8])], "uint32")).tobytes() != head[8:]:
        return "the sum of its length is wrong"
    if length > frame.LONGEST:
        return f"its length is {length} bytes, the longest record has {frame.LONGEST}"
    return None
