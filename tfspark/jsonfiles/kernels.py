"""Records of JSON cut into fields: the loops of `read`, compiled.

Only what is plain is taken here: of all else a record or a value is marked, and `values` reads it.
"""

from __future__ import annotations

import numpy as np

from tfspark.compiled import inlined, kernel
from tfspark.jsonfiles.cutting import blank
from tfspark.tensors import Array

NONE, PLAIN, ESCAPED, NESTED = 0, 1, 2, 3
"""What a value is: null or not there; its bytes as they are; a string, or a list, to be read."""
_SPACE = 32
_QUOTE, _BACK, _COMMA, _COLON = 34, 92, 44, 58
_OPEN, _CLOSE, _LIST, _ENDED = 123, 125, 91, 93
_DEEPEST = 64
_MOST_KEYS = 4096


@kernel
def fields(
    data: Array,
    begins: Array,
    ends: Array,
    names: Array,
    places: Array,
    starts: Array,
    stops: Array,
    kinds: Array,
    odd: Array,
) -> None:
    """The fields of records that are plain objects.

    Args:
        begins, ends: int64 [rows] of the records.
        names, places: uint8 [bytes], int64 [columns + 1]: the names that are looked for.
        starts, stops, kinds: → int64, int64, uint8 [rows, columns], zeros: where values are.
        odd: → bool [rows]: the record is no plain object: it may be none, or have a name twice or
            with escapes, or another object inside.
    """
    columns = len(places) - 1
    wanted = [_hash(names, places[n], places[n + 1]) for n in range(columns)]
    order = np.full(_MOST_KEYS, -1, np.int64)
    seen = np.empty(_MOST_KEYS, np.int64)
    for row in range(len(begins)):
        at, end, keys = _skip(data, begins[row], ends[row]), ends[row], 0
        good = at < end and data[at] == _OPEN
        at += 1
        while good:
            at = _skip(data, at, end)
            if at >= end or data[at] != _QUOTE or keys == _MOST_KEYS:
                good = False
                break
            key = at + 1
            at, escaped = _string(data, key, end)
            if at < 0 or escaped:
                good = False
                break
            found, known = _hash(data, key, at), keys
            for other in range(keys):
                if seen[other] == found:
                    good = False
            seen[keys] = found
            keys += 1
            column = order[known]
            if column < 0 or wanted[column] != found:
                column = -1
                for n in range(columns):
                    if wanted[n] == found:
                        column = n
                order[known] = column
            if column >= 0 and not _same(data, key, at, names, places[column], places[column + 1]):
                column = -1
            at = _skip(data, at + 1, end)
            if at >= end or data[at] != _COLON:
                good = False
                break
            start = _skip(data, at + 1, end)
            at, kind = _value(data, start, end)
            if at < 0:
                good = False
                break
            if column >= 0:
                inside = kind != NONE and data[start] == _QUOTE
                starts[row, column] = start + inside
                stops[row, column] = at - inside
                kinds[row, column] = kind
            at = _skip(data, at, end)
            if at < end and data[at] == _COMMA:
                at += 1
                continue
            good &= at < end and data[at] == _CLOSE and _skip(data, at + 1, end) == end
            break
        odd[row] = not good


@inlined
def _skip(data: Array, at: int, end: int) -> int:
    while at < end and blank(data[at]):
        at += 1
    return at


@inlined
def _hash(data: Array, begin: int, end: int) -> int:
    found = 1469598103934665603
    for at in range(begin, end):
        found = (found ^ data[at]) * 1099511628211
    return found


@inlined
def _same(data: Array, begin: int, end: int, names: Array, start: int, stop: int) -> bool:
    if end - begin != stop - start:
        return False
    for i in range(end - begin):  # noqa: SIM110 - compiled
        if data[begin + i] != names[start + i]:
            return False
    return True


@inlined
def _string(data: Array, at: int, end: int) -> tuple[int, bool]:
    """The closing quote of a string that begins here, -1 where it has none; if it has escapes."""
    escaped = False
    while at < end and data[at] != _QUOTE:
        if data[at] < _SPACE:
            return -1, escaped
        if data[at] == _BACK:
            escaped = True
            at += 1
            if at >= end or not _escape(data, at, end):
                return -1, escaped
        at += 1
    return (at if at < end else -1), escaped


@inlined
def _escape(data: Array, at: int, end: int) -> bool:
    """Whether it may stand behind a backslash."""
    c = data[at]
    if c == 117:  # u and four digits
        if at + 4 >= end:
            return False
        for i in range(at + 1, at + 5):
            d = data[i]
            if not ((d >= 48 and d <= 57) or (d >= 65 and d <= 70) or (d >= 97 and d <= 102)):
                return False
        return True
    # " / \ b f n r t
    return c in (34, 47, 92, 98, 102, 110, 114, 116)


@inlined
def _digits(data: Array, at: int, end: int) -> int:
    while at < end and data[at] >= 48 and data[at] <= 57:
        at += 1
    return at


@inlined
def _number(data: Array, at: int, end: int) -> int:
    """Behind a number; -1: it is none."""
    if data[at] == 45:
        at += 1
    stop = _digits(data, at, end)
    if stop == at or (data[at] == 48 and stop > at + 1):
        return -1
    at = stop
    if at < end and data[at] == 46:
        stop = _digits(data, at + 1, end)
        if stop == at + 1:
            return -1
        at = stop
    if at < end and (data[at] == 101 or data[at] == 69):
        at += 1
        if at < end and (data[at] == 43 or data[at] == 45):
            at += 1
        stop = _digits(data, at, end)
        if stop == at:
            return -1
        at = stop
    return at


@inlined
def _word(data: Array, at: int, end: int) -> int:
    """Behind true, false or null; -1: it is none."""
    if at + 4 <= end and data[at] == 116 and data[at + 1] == 114:
        return at + 4 if data[at + 2] == 117 and data[at + 3] == 101 else -1
    if at + 4 <= end and data[at] == 110 and data[at + 1] == 117:
        return at + 4 if data[at + 2] == 108 and data[at + 3] == 108 else -1
    if at + 5 <= end and data[at] == 102 and data[at + 1] == 97 and data[at + 2] == 108:
        return at + 5 if data[at + 3] == 115 and data[at + 4] == 101 else -1
    return -1


@inlined
def _value(data: Array, at: int, end: int) -> tuple[int, int]:
    """Behind a value, and its kind; -1: it is none, or has an object inside."""
    if at >= end:
        return -1, NONE
    if data[at] != _LIST:
        return _scalar(data, at, end)
    depth, kind, ready = 1, PLAIN, True  # ready: for a value, or for the end of an empty list
    at += 1
    empty = True
    while depth:
        if at < end and blank(data[at]):
            kind = NESTED
            at = _skip(data, at, end)
        if at >= end:
            return -1, kind
        c = data[at]
        if c == _ENDED and (empty or not ready):
            depth -= 1
            at, ready, empty = at + 1, False, False
        elif c == _COMMA and not ready:
            at, ready = at + 1, True
        elif c == _LIST and ready and depth < _DEEPEST:
            depth += 1
            at, empty = at + 1, True
            continue
        elif ready:
            at, inner = _scalar(data, at, end)
            if at < 0:
                return -1, kind
            if inner == ESCAPED:
                kind = NESTED
            ready = False
        else:
            return -1, kind
        empty = False
    return at, kind


@inlined
def _scalar(data: Array, at: int, end: int) -> tuple[int, int]:
    c = data[at]
    if c == _QUOTE:
        stop, escaped = _string(data, at + 1, end)
        return (stop + 1 if stop >= 0 else -1), (ESCAPED if escaped else PLAIN)
    if c == 45 or (c >= 48 and c <= 57):
        return _number(data, at, end), PLAIN
    return _word(data, at, end), (NONE if c == 110 else PLAIN)
