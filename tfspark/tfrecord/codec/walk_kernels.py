"""The loop of `walk`, compiled: bytes of a file to whole frames."""

from __future__ import annotations

from tfspark.tensors import Array
from tfspark.tfrecord.codec.machine import (
    HEADER,
    LONGEST,
    TRAILER,
    address,
    kernel,
    load,
    masked_sum,
)

BAD_LENGTH_SUM, BAD_LENGTH = 1, 2


@kernel
def walk_frames(
    data: Array, at: int, stop: int, begin: Array, end: Array, good: Array
) -> tuple[int, int, int]:
    """Find whole frames from `at` to `stop`, up to as many as the arrays hold.

    Returns:
        How many; where the next one begins; why there is no next one, or 0: more bytes may help.
    """
    base = address(data)
    for number in range(len(begin)):
        if stop - at < HEADER:
            return number, at, 0
        if masked_sum(base + at, 8) != load(base + at + 8) & 0xFFFFFFFF:
            return number, at, BAD_LENGTH_SUM
        size = load(base + at)
        if size < 0 or size > LONGEST:
            return number, at, BAD_LENGTH
        if stop - at < HEADER + size + TRAILER:
            return number, at, 0
        begin[number] = at + HEADER
        end[number] = at + HEADER + size
        place = base + at + HEADER
        good[number] = masked_sum(place, size) == load(place + size) & 0xFFFFFFFF
        at += HEADER + size + TRAILER
    return len(begin), at, 0
