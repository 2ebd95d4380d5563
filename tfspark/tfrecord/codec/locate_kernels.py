"""Where the values of each feature lie in a record: the first loop of `decode`, compiled."""

from __future__ import annotations

from tfspark.tensors import Array
from tfspark.tfrecord.codec.machine import (
    BYTES,
    FLOAT,
    INT64,
    TOPS,
    address,
    byte,
    inlined,
    kernel,
    load,
    ones,
    store,
    zeros_above,
    zeros_below,
)

_NAME, _WANTED, _NESTED, _NEXT, _STEP = 0, 8, 16, 24, 32  # of the rows of `features`
OTHER_SIDE = 1
"""The tag, beside -1 values, of a feature that is there among the features of the other depth."""
_ABSENT = -1
_ELSEWHERE = OTHER_SIDE << 32 | 0xFFFFFFFF
UNUSUAL, STRANGE = 1, 2


@inlined
def read_field(at: int, end: int) -> tuple[int, int, int]:
    """The tag of a length-delimited field, where its content begins and ends; 0 for others."""
    if end - at < 2:
        return 0, at, at
    tag, size = byte(at), byte(at + 1)
    at += 2
    if size > 127:
        size, shift, more = size & 127, 7, 128
        while more > 127 and shift < 35 and at < end:
            more = byte(at)
            size |= (more & 127) << shift
            shift += 7
            at += 1
        if more > 127:
            return 0, at, at
    if tag & 0x87 != 2 or tag < 8 or size > end - at:
        return 0, at, at
    return tag, at, at + size


@inlined
def _count_numbers(at: int, end: int) -> int:
    """How many varints; -1 if one does not end or may be longer than ten bytes."""
    if at < end and byte(end - 1) > 127:
        return -1
    count, run, place = 0, 0, at
    while place < end:
        word = ~load(place)
        if end - place < 8:
            word &= (1 << 8 * (end - place)) - 1
        ends = word & TOPS
        count += ones(ends)
        if ends:
            if run + (zeros_below(ends) >> 3) > 9:
                return -1
            run = zeros_above(ends) >> 3 if end - place >= 8 else 0
        else:
            run += 8
        place += 8
    return count


@inlined
def list_of(at: int, end: int) -> tuple[int, int, int, int]:
    """A Feature's kind (0: none, -1: unusual), where its values begin and end, how many."""
    if at == end:
        return 0, at, at, -1
    kind, at, last = read_field(at, end)
    if last != end or (kind != BYTES and kind != FLOAT and kind != INT64):
        return -1, at, at, -1
    if kind == BYTES:
        count, place = 0, at
        while place < end:
            tag, _, place = read_field(place, end)
            if tag != 0x0A:
                return -1, at, at, -1
            count += 1
        return kind, at, end, count
    if at == end:
        return kind, at, end, 0
    tag, at, last = read_field(at, end)
    if tag != 0x0A or last != end:
        return -1, at, at, -1
    count = _count_numbers(at, end) if kind == INT64 else (end - at) >> 2
    if count < 0 or (kind == FLOAT and (end - at) & 3):
        return -1, at, at, -1
    return kind, at, end, count


@inlined
def _lists_of(at: int, end: int) -> int:
    """How many inner lists a FeatureList has; -1: unusual."""
    count = 0
    while at < end:
        tag, begin, at = read_field(at, end)
        if tag != 0x0A or list_of(begin, at)[0] < 0:
            return -1
        count += 1
    return count


@inlined
def read_number(at: int) -> tuple[int, int]:
    """A varint that ends, of ten bytes at most, and where it ends."""
    word = load(at)
    ends = ~word & TOPS
    if ends:
        size = (zeros_below(ends) >> 3) + 1
        word &= ends ^ (ends - 1)
        word = (word & 0x7F007F007F007F) | (word & 0x7F007F007F007F00) >> 1
        word = (word & 0x3FFF00003FFF) | (word & 0x3FFF00003FFF0000) >> 2
        return (word & 0xFFFFFFF) | (word & 0xFFFFFFF00000000) >> 4, at + size
    number, shift, more = 0, 0, 128
    while more > 127:
        more = byte(at)
        number |= (more & 127) << shift
        shift += 7
        at += 1
    return number, at


@inlined
def put_span(span: int, begin: int, kind: int, at: int, end: int, count: int) -> None:
    """Write a row of `spans`: see `locate`."""
    word = at - begin | (end - begin) << 32
    if count == 1 and kind == INT64:
        word = read_number(at)[0]
    if count == 1 and kind == FLOAT:
        word = load(at)
    store(span, word)
    store(span + 8, count | kind << 32)


@inlined
def _same(one: int, other: int, size: int) -> bool:
    """Whether bytes are equal; reads up to seven behind them."""
    while size >= 8:
        if load(one) != load(other):
            return False
        one, other, size = one + 8, other + 8, size - 8
    return not size or (load(one) ^ load(other)) << (64 - 8 * size) == 0


@inlined
def _find(name: int, size: int, keys: int, table: int, features: int, guess: int) -> int:
    """The feature of this name, looked for from a guess on; -1: none."""
    f = guess
    for _ in range(features):
        key = load(table + _STEP * f + _NAME)
        if load(table + _STEP * (f + 1) + _NAME) - key == size and _same(name, keys + key, size):
            return f
        f = f + 1 if f + 1 < features else 0
    return -1


@inlined
def _locate(
    begin: int, end: int, keys: int, table: int, features: int, span: int, step: int
) -> int:
    """One record of `locate`, whose spans are `step` bytes apart: its form."""
    place, last, form = begin, table + _STEP * features, 0
    while place < end:
        side, entry, place = read_field(place, end)
        if side != 0x0A and side != 0x12:
            return UNUSUAL
        while entry < place:
            tag, at, entry = read_field(entry, place)
            if tag != 0x0A:
                return UNUSUAL
            tag, name, name_end = read_field(at, entry)
            if tag != 0x0A:
                return UNUSUAL
            tag, value, value_end = read_field(name_end, entry)
            if tag != 0x12 or value_end != entry:
                return UNUSUAL
            f = _find(name, name_end - name, keys, table, features, load(last + _NEXT))
            if f < 0:
                if value < value_end:
                    form = STRANGE
                continue
            store(last + _NEXT, f)
            last = table + _STEP * f
            nested, wanted = load(last + _NESTED), load(last + _WANTED)
            if wanted < 0:
                continue
            found = load(span + wanted * step + 8)
            if nested != (side == 0x12):
                if value < value_end and found == _ABSENT:
                    store(span + wanted * step + 8, _ELSEWHERE)
                continue
            if nested:
                kind, count = 0, _lists_of(value, value_end)
                if count < 0:
                    return UNUSUAL
            else:
                kind, value, value_end, count = list_of(value, value_end)
                if kind < 0:
                    return UNUSUAL
            if found != _ABSENT and found != _ELSEWHERE:  # twice
                return UNUSUAL
            if count >= 0:
                put_span(span + wanted * step, begin, kind, value, value_end, count)
    return form


@kernel
def locate(
    data: Array,
    begin: Array,
    end: Array,
    keys: Array,
    features: Array,
    spans: Array,
    forms: Array,
) -> None:
    """Find the features of records.

    Args:
        data: uint8, with `SLACK` bytes behind the last end.
        begin: int64 [records], in `data`.
        end: int64 [records].
        keys: uint8: the names of all features, `SLACK` bytes behind them.
        features: int64 [features + 1, 4]: where the name begins; the place in `spans`, or -1; 1
            for a list of lists; which feature comes after it in most records, kept up to date.
            The last row is where the last name ends, and before the first feature of a record.
        spans: int32 [wanted, records, 4], made here: where the values begin and end in the
            record, how many values (or inner lists) there are, the tag of their list. One number
            alone stands itself in the first two places. Without the feature the third is -1, and
            the fourth `OTHER_SIDE` where one of its name is there, of lists for lists of lists or
            the other way round.
        forms: uint8 [records], made here: `UNUSUAL`: in an unusual form, or no message; its spans
            are not to be used. `STRANGE`: it holds a feature that is none of `features`.
    """
    base, name = address(data), address(keys)
    table, place = address(features), address(spans)
    rows = len(begin)
    for row in range(rows):
        span = place + 16 * row
        for number in range(len(spans)):
            store(span + 16 * rows * number + 8, -1)
        first, last = base + begin[row], base + end[row]
        forms[row] = _locate(first, last, name, table, len(features) - 1, span, 16 * rows)
