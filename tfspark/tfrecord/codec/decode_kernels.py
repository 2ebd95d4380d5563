"""Values to columns: the loops of `decode`, compiled."""

from __future__ import annotations

from tfspark.tensors import Array
from tfspark.tfrecord.codec.locate_kernels import list_of, put_span, read_field, read_number
from tfspark.tfrecord.codec.machine import (
    FLOAT,
    INT64,
    address,
    copy,
    kernel,
    load,
)


@kernel
def measure(spans: Array, kind: int, size: int, offsets: Array) -> tuple[int, int, int]:
    """Where each row's values begin: spans int32 [rows, 4] → offsets int64 [rows + 1].

    Args:
        kind: the tag that their list must have; integers are taken for floats too.
        size: how many every row must have, and a null takes; -1: any number, none.

    Returns:
        How many rows are null; the first that does not fit, or -1; of strings, all bytes.
    """
    nulls, wrong, total, content = 0, -1, 0, 0
    for row in range(len(spans)):
        offsets[row] = total
        count, found = spans[row, 2], spans[row, 3]
        if count < 0:
            nulls += 1
            total += size if size > 0 else 0
            continue
        fits = found == kind or not count or (kind == FLOAT and found == INT64)
        if wrong < 0 and (not fits or (size >= 0 and count != size)):
            wrong = row
        total += count
        content += spans[row, 1] - spans[row, 0]
    offsets[len(spans)] = total
    return nulls, wrong, content


@kernel
def integers(data: Array, base: Array, spans: Array, offsets: Array, out: Array) -> None:
    """The integers of rows: → out int64 [values]. `base` int64 [rows]: where records begin."""
    start, span = address(data), address(spans)
    for row in range(len(spans)):
        count = spans[row, 2]
        if count == 1:
            out[offsets[row]] = load(span + 16 * row)
        else:
            at = start + base[row] + spans[row, 0]
            for place in range(offsets[row], offsets[row] + count):
                out[place], at = read_number(at)


@kernel
def floats(data: Array, base: Array, spans: Array, offsets: Array, out: Array) -> int:
    """The floats of rows: → out float32 [values]; the first row with another number, or -1."""
    start, to = address(data), address(out)
    span = address(spans)
    for row in range(len(spans)):
        count = spans[row, 2]
        at = start + base[row] + spans[row, 0]
        if spans[row, 3] == INT64:
            for place in range(offsets[row], offsets[row] + count):
                if count == 1:
                    number = load(span + 16 * row)
                else:
                    number, at = read_number(at)
                lowest = number & -number
                size = -number if number < 0 else number
                if 0 < lowest < 1 << 39 and size >= lowest << 24:
                    return row
                out[place] = number
        elif count == 1:
            copy(to + 4 * offsets[row], span + 16 * row, 4)
        elif count > 1:
            copy(to + 4 * offsets[row], at, 4 * count)
    return -1


@kernel
def strings(data: Array, base: Array, spans: Array, offsets: Array, ends: Array, out: Array) -> int:
    """The strings of rows: → their bytes, out uint8, and where each ends, int64 [values].

    Returns:
        The bytes that were written.
    """
    start, begin = address(data), address(out)
    to = begin
    for row in range(len(spans)):
        at = start + base[row] + spans[row, 0]
        end = start + base[row] + spans[row, 1]
        for place in range(offsets[row], offsets[row + 1]):
            if spans[row, 2] > 0:
                _, content, at = read_field(at, end)
                to = copy(to, content, at - content)
            ends[place] = to - begin
    return to - begin


@kernel
def inner_lists(
    data: Array, base: Array, spans: Array, offsets: Array, inner: Array, inner_base: Array
) -> None:
    """The inner lists of rows as rows: → inner int32 [lists, 4], inner_base int64 [lists]."""
    start, span = address(data), address(inner)
    for row in range(len(spans)):
        record = start + base[row]
        at, end = record + spans[row, 0], record + spans[row, 1]
        for place in range(offsets[row], offsets[row + 1]):
            inner_base[place] = base[row]
            inner[place, 2] = -1
            if spans[row, 2] > 0:
                _, content, at = read_field(at, end)
                kind, begin, last, count = list_of(content, at)
                if count >= 0:
                    put_span(span + 16 * place, record, kind, begin, last, count)
