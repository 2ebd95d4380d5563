"""Bytes of JSON cut into records: the loops of `read`, compiled."""

from __future__ import annotations

from tfspark.compiled import address, copy, inlined, kernel
from tfspark.tensors import Array

_LF, _CR, _TAB, _SPACE = 10, 13, 9, 32
_QUOTE, _BACK, _COMMA = 34, 92, 44
_OPEN, _CLOSE, _LIST, _ENDED = 123, 125, 91, 93


@kernel
def lines(data: Array, at: int, last: bool, begins: Array, ends: Array) -> tuple[int, int]:
    """The lines that are not blank, without their ends: how many, and where the next one begins."""
    rows, end = 0, len(data)
    while at < end and rows < len(begins):
        begin, stop, empty = at, at, True
        while stop < end and data[stop] != _LF:
            empty &= blank(data[stop])
            stop += 1
        if stop == end and not last:
            return rows, begin
        at = min(stop + 1, end)
        if stop > begin and data[stop - 1] == _CR:
            stop -= 1
        if not empty:
            begins[rows], ends[rows] = begin, stop
            rows += 1
    return rows, at


@kernel
def values(
    data: Array, at: int, last: bool, inside: bool, begins: Array, ends: Array
) -> tuple[int, int, int]:
    """Values one after the other, those of a list where one is `inside` it; lines do not count.

    Where a value ends is told by its brackets and strings alone: what is between these is left to
    who reads it.

    Returns:
        How many there are, where the next one begins, and whether it is inside a list then; -1
        where a value is not ended at the end of the file.
    """
    rows, end, within = 0, len(data), int(inside)
    while rows < len(begins):
        while at < end and (blank(data[at]) or (within == 1 and data[at] == _COMMA)):
            at += 1
        if at >= end:
            return rows, at, -1 if last and within == 1 else within
        if within == 1 and data[at] == _ENDED:
            within, at = 0, at + 1
            continue
        if within == 0 and data[at] == _LIST:
            within, at = 1, at + 1
            continue
        begin, depth, quoted = at, 0, False
        while at < end:
            c = data[at]
            if quoted:
                if c == _BACK:
                    at += 1
                elif c == _QUOTE:
                    quoted = False
            elif c == _QUOTE:
                quoted = True
            elif c in (_OPEN, _LIST):
                depth += 1
            elif c in (_CLOSE, _ENDED):
                if depth == 0:
                    break
                depth -= 1
                if depth == 0 and within == 0:
                    at += 1
                    break
            elif depth == 0 and ((c == _COMMA and within == 1) or (c == _LF and within == 0)):
                break
            at += 1
        if at >= end and not last:
            return rows, begin, within
        if at >= end and (depth > 0 or quoted or within == 1):
            return rows, begin, -1
        if at == begin:  # a bracket that nothing opened
            at += 1
        begins[rows], ends[rows] = begin, at
        rows += 1
    return rows, at, within


@kernel
def fill(data: Array, starts: Array, stops: Array, offsets: Array, out: Array) -> None:
    """Values of a column → one after the other; int64 [rows] and, of offsets, [rows + 1]."""
    begin, to = address(data), address(out)
    for row in range(len(starts)):
        copy(to + offsets[row], begin + starts[row], stops[row] - starts[row])


@inlined
def blank(c: int) -> bool:
    return c in (_SPACE, _LF, _CR, _TAB)
