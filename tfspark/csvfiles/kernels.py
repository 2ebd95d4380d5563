"""Bytes of CSV cut into records and fields: the loops of `read`, compiled."""

from __future__ import annotations

from tfspark.compiled import TOPS, address, copy, inlined, kernel, load, zeros_below
from tfspark.tensors import Array

MORE, UNCLOSED = -1, -2
_CR, _LF = 13, 10
_ONES = 0x0101010101010101


@inlined
def _zeros(word: int) -> int:
    """The top bit of the first byte that is zero, and of no byte before it."""
    return (word - _ONES) & ~word & TOPS


@inlined
def _until(start: int, at: int, end: int, data: Array, comma: int) -> int:
    """Where the next comma or line break is, at the end if nowhere: eight bytes at a time."""
    while at + 8 <= end:
        word = load(start + at)
        found = (
            _zeros(word ^ (comma * _ONES))
            | _zeros(word ^ (_LF * _ONES))
            | _zeros(word ^ (_CR * _ONES))
        )
        if found:
            return at + (zeros_below(found) >> 3)
        at += 8
    while at < end and data[at] != comma and data[at] != _LF and data[at] != _CR:
        at += 1
    return at


@inlined
def _escapes(data: Array, at: int, quote: int, escape: int) -> bool:
    """Whether the byte stands before another that belongs to the value."""
    found: bool = data[at] == escape and (data[at + 1] == quote or data[at + 1] == escape)
    return found


@kernel
def cut(
    data: Array,
    at: int,
    last: bool,
    comma: int,
    quote: int,
    escape: int,
    begins: Array,
    ends: Array,
    doubled: Array,
    odd: Array,
) -> tuple[int, int, int, int]:
    """Cut records into fields, until the data or the room for records ends.

    Args:
        data: uint8 [bytes]; `at`: where a record begins in it.
        last: whether the file ends where the data does.
        comma, quote: bytes; quote -1: there are no quotes.
        escape: stands before a quote, or before itself, that belongs to a value in quotes; the
            quote itself where it is doubled.
        begins, ends: int64 [room, columns] of what stands between commas or between quotes.
        doubled: bool [room, columns]: whether something in it is escaped.
        odd: int64 [room, 2]: records that have other fields than the columns, or text behind a
            closing quote.

    Returns:
        Records in `begins`, records in `odd`, where the next record begins, and why it ended
        there: 0 the data or the room are used up, `MORE` a record needs more data, `UNCLOSED` a
        quote is open at the end of the file.
    """
    room, columns = begins.shape
    place = address(data)
    end, rows, odds = len(data), 0, 0
    while at < end and rows < room and odds < room:
        if data[at] == _LF or data[at] == _CR:
            at += 1
            continue
        start, column, fits = at, 0, True
        while True:
            twice = False
            if at < end and data[at] == quote:
                at += 1
                begin = at
                while True:
                    while at < end and data[at] != quote and data[at] != escape:
                        at += 1
                    if at + 1 < end and _escapes(data, at, quote, escape):
                        twice = True
                        at += 2
                    elif at < end and data[at] != quote:
                        at += 1
                    else:
                        break
                if at >= end:
                    return rows, odds, start, UNCLOSED if last else MORE
                if at + 1 >= end and not last:
                    return rows, odds, start, MORE
                stop = at
                at += 1
                if at < end and data[at] != comma and data[at] != _LF and data[at] != _CR:
                    fits = False
                    at = _until(place, at, end, data, comma)
            else:
                begin = at
                at = _until(place, at, end, data, comma)
                stop = at
            if at >= end and not last:
                return rows, odds, start, MORE
            if column < columns:
                begins[rows, column], ends[rows, column] = begin, stop
                doubled[rows, column] = twice
            column += 1
            if at < end and data[at] == comma:
                at += 1
                continue
            break
        if fits and column == columns:
            rows += 1
        else:
            odd[odds, 0], odd[odds, 1] = start, at
            odds += 1
    return rows, odds, at, 0


@kernel
def measure(
    data: Array,
    begins: Array,
    ends: Array,
    doubled: Array,
    quote: int,
    escape: int,
    column: int,
    offsets: Array,
) -> None:
    """How long each value of a column is: → offsets int64 [rows + 1]."""
    total = 0
    for row in range(len(offsets) - 1):
        offsets[row] = total
        begin, end = begins[row, column], ends[row, column]
        total += end - begin
        if doubled[row, column]:
            at = begin
            while at < end:
                if at + 1 < end and _escapes(data, at, quote, escape):
                    total -= 1
                    at += 1
                at += 1
    offsets[len(offsets) - 1] = total


@kernel
def fill(
    data: Array,
    begins: Array,
    ends: Array,
    doubled: Array,
    quote: int,
    escape: int,
    column: int,
    offsets: Array,
    out: Array,
) -> None:
    """The values of a column: → out uint8 [bytes]."""
    start, to = address(data), address(out)
    for row in range(len(offsets) - 1):
        begin, end = begins[row, column], ends[row, column]
        if doubled[row, column]:
            place, at = offsets[row], begin
            while at < end:
                if at + 1 < end and _escapes(data, at, quote, escape):
                    at += 1
                out[place] = data[at]
                place += 1
                at += 1
        else:
            copy(to + offsets[row], start + begin, end - begin)


@kernel
def line_ends(data: Array, end: int) -> int:
    """How many lines end before a byte."""
    lines = 0
    for at in range(min(end, len(data))):
        if data[at] == _LF or (
            data[at] == _CR and not (at + 1 < len(data) and data[at + 1] == _LF)
        ):
            lines += 1
    return lines
