"""Rows of columns to framed records: the loops of `encode`, compiled."""

from __future__ import annotations

from tfspark.tensors import Array
from tfspark.tfrecord.codec.machine import (
    BYTES,
    FLOAT,
    HEADER,
    INT64,
    LONGEST,
    SLACK,
    TOPS,
    TRAILER,
    address,
    byte,
    copy,
    inlined,
    kernel,
    load,
    masked_sum,
    put,
    store,
    zeros_above,
)

FIELDS = 12
"""Numbers that describe a column: see `write_rows`."""
HEAD = 64
"""Bytes that suffice for what stands before a feature's values, but its key."""
_KIND, _NESTED, _VALID, _BOUNDS, _INNER_VALID, _INNER_BOUNDS = range(0, 48, 8)
_NUMBERS, _DATA, _KEY, _SIZE, _HEAD_FOR, _HEAD = range(48, 96, 8)


@inlined
def _width(number: int) -> int:
    """Bytes of a number as a varint: seven bits each."""
    return ((64 - zeros_above(number | 1)) * 9 + 64) >> 6


@inlined
def _put_number(at: int, number: int) -> int:
    """Write a varint; up to seven bytes behind it are written too."""
    if 0 <= number < 1 << 56:  # all at once: the groups of seven bits are moved apart
        bits = (number & 0xFFFFFFF) | (number & 0xFFFFFFF0000000) << 4
        bits = (bits & 0x3FFF00003FFF) | (bits & 0xFFFC0000FFFC000) << 2
        bits = (bits & 0x7F007F007F007F) | (bits & 0x3F803F803F803F80) << 1
        last = (63 - zeros_above(bits | 1)) & 56  # where the last group is
        store(at, bits | TOPS & ((1 << last) - 1))
        return at + (last >> 3) + 1
    while number < 0 or number > 127:
        at = put(at, number | 128)
        number = number >> 7 & 0x1FFFFFFFFFFFFFF
    return put(at, number)


@inlined
def _payload(column: int, first: int, last: int) -> int:
    """Bytes of a list's values, elements `first` to `last`, as they are in its message."""
    kind, numbers = load(column + _KIND), load(column + _NUMBERS)
    if kind == FLOAT:
        return 4 * (last - first)
    size = 0
    for place in range(numbers + 8 * first, numbers + 8 * last, 8):
        if kind == INT64:
            size += _width(load(place))
        else:
            length = load(place + 8) - load(place)
            size += 1 + _width(length) + length
    return size


@inlined
def _feature(kind: int, payload: int) -> int:
    """Bytes of a Feature message that holds so many bytes of values."""
    size = 1 + _width(payload) + payload
    if kind == BYTES:
        return size
    return 1 + _width(size) + size if payload else 2


@inlined
def _put_feature(at: int, kind: int, payload: int) -> int:
    """Write what stands in a Feature before its values."""
    at = put(at, kind)
    if kind != BYTES:
        if not payload:
            return put(at, 0)
        at = put(_put_number(at, 1 + _width(payload) + payload), 0x0A)
    return _put_number(at, payload)


@inlined
def _put_values(at: int, column: int, first: int, last: int) -> int:
    kind, numbers, data = load(column + _KIND), load(column + _NUMBERS), load(column + _DATA)
    if kind == FLOAT:
        if last - first == 1:
            return copy(at, data + 4 * first, 4)
        return copy(at, data + 4 * first, 4 * (last - first))
    for place in range(numbers + 8 * first, numbers + 8 * last, 8):
        if kind == INT64:
            at = _put_number(at, load(place))
        else:
            begin = load(place)
            size = load(place + 8) - begin
            at = copy(_put_number(put(at, 0x0A), size), data + begin, size)
    return at


@inlined
def _bounds(bounds: int, row: int) -> tuple[int, int]:
    """The elements of a row; without bounds every row is one."""
    if bounds:
        return load(bounds + 8 * row), load(bounds + 8 * row + 8)
    return row, row + 1


@inlined
def _inner(column: int, at: int) -> tuple[int, int]:
    """An inner list's payload and the bytes of its Feature, which a null leaves empty."""
    valid = load(column + _INNER_VALID)
    if valid and not byte(valid + at):
        return -1, 0
    first, last = _bounds(load(column + _INNER_BOUNDS), at)
    payload = _payload(column, first, last)
    return payload, _feature(load(column + _KIND), payload)


@inlined
def _size(column: int, row: int) -> int:
    """Bytes of a row's values, of a list of lists with the Features around them; -1 for null."""
    valid = load(column + _VALID)
    if valid and not byte(valid + row):
        return -1
    first, last = _bounds(load(column + _BOUNDS), row)
    if not load(column + _NESTED):
        return _payload(column, first, last)
    size = 0
    for at in range(first, last):
        feature = _inner(column, at)[1]
        size += 1 + _width(feature) + feature
    return size


@inlined
def _put_head(at: int, column: int, key: int, size: int) -> int:
    """Write what stands in the map before values of so many bytes."""
    nested, kind = load(column + _NESTED), load(column + _KIND)
    value = size if nested else _feature(kind, size)
    at = _put_number(put(at, 0x0A), load(column + _KEY) + _width(value) + value)
    at = _put_number(copy(at, key, load(column + _KEY)), value)
    return at if nested else _put_feature(at, kind, size)


@inlined
def _put_row(at: int, column: int, row: int) -> int:
    first, last = _bounds(load(column + _BOUNDS), row)
    if not load(column + _NESTED):
        return _put_values(at, column, first, last)
    for inner in range(first, last):
        payload, feature = _inner(column, inner)
        at = _put_number(put(at, 0x0A), feature)
        if payload >= 0:
            at = _put_feature(at, load(column + _KIND), payload)
            begin, end = _bounds(load(column + _INNER_BOUNDS), inner)
            at = _put_values(at, column, begin, end)
    return at


@inlined
def _put_frame(at: int, size: int) -> int:
    """Write what stands around a record of so many bytes; where the frame ends."""
    store(at, size)
    store(at + HEADER + size, masked_sum(at + HEADER, size))
    length_sum = masked_sum(at, 8)
    for place in range(4):
        put(at + 8 + place, length_sum >> 8 * place)
    return at + HEADER + size + TRAILER


@kernel
def write_rows(
    columns: Array, keys: Array, heads: Array, plain: int, row: int, rows: int, out: Array
) -> tuple[int, int, int]:
    """Write framed records from `row` on until the buffer is full.

    Args:
        columns: int64 [features, `FIELDS`]: the tag of the list; whether it is a list of lists;
            the addresses of bytes that are 0 for null (0: none is), of where each row's elements
            begin (0: a row is one), of the same two for inner lists, of integers or of where
            strings begin, of the bytes of floats or strings; the size of the key; and three
            numbers that are kept here, -1 before the first call.
        keys: uint8 [features, width]: an entry's first field, and the tag of its second.
        heads: uint8 [features, width + `HEAD`]: kept here.
        plain: features that are no lists of lists, which stand before those that are.
        out: uint8 [room].

    Returns:
        The row that was reached, the bytes that were written, the bytes of the row that found no
        room.
    """
    width, step = keys.shape[1], heads.shape[1]
    first, key = address(columns), address(keys)
    head, begin = address(heads), address(out)
    stop, at = begin + len(out) - SLACK, begin
    for reached in range(row, rows):
        totals = lists = 0
        for f in range(len(columns)):
            column = first + 8 * FIELDS * f
            size = _size(column, reached)
            store(column + _SIZE, size)
            if size >= 0:
                # A head is made once for a size and copied as long as the size stays.
                if size != load(column + _HEAD_FOR):
                    store(column + _HEAD_FOR, size)
                    end = _put_head(head + f * step, column, key + f * width, size)
                    store(column + _HEAD, end - head - f * step)
                size += load(column + _HEAD)
                totals += size
                if f >= plain:
                    lists += size
        single = totals - lists
        size = 1 + _width(single) + single
        if plain < len(columns):
            size += 1 + _width(lists) + lists
        if size > LONGEST or at + HEADER + size + TRAILER > stop:
            return reached, at - begin, size
        q = _put_number(put(at + HEADER, 0x0A), single)
        for f in range(len(columns)):
            if f == plain:
                q = _put_number(put(q, 0x12), lists)
            column = first + 8 * FIELDS * f
            if load(column + _SIZE) >= 0:
                made = load(column + _HEAD)
                for word in range(0, made, 8):
                    store(q + word, load(head + f * step + word))
                q = _put_row(q + made, column, reached)
        at = _put_frame(at, size)
    return rows, at - begin, 0


@kernel
def write_records(data: Array, starts: Array, row: int, out: Array) -> tuple[int, int, int]:
    """Frame records from `row` on until the buffer is full; the same as `write_rows` returns.

    Args:
        data: uint8: the records.
        starts: int64 [records + 1]: where each begins in it.
    """
    content, begin = address(data), address(out)
    stop, at = begin + len(out) - SLACK, begin
    for reached in range(row, len(starts) - 1):
        size = starts[reached + 1] - starts[reached]
        if size > LONGEST or at + HEADER + size + TRAILER > stop:
            return reached, at - begin, size
        copy(at + HEADER, content + starts[reached], size)
        at = _put_frame(at, size)
    return len(starts) - 1, at - begin, 0
