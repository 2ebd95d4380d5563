"""One record at a time, in Python: what the quick way does not take.

`parse` reads any encoding that protocol buffers allow: fields in any order, repeated, unknown,
split over several messages, packed or not; `usual` makes of it the one that writers use.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from tfspark.tfrecord.codec.varint import one

KINDS = {1: "bytes", 2: "float", 3: "int64"}  # fields of Feature's oneof, feature.proto
Values = tuple[str | None, list[Any]]
"""The kind that a Feature has, if it has one, and its bytes, floats or integers."""


class WireError(ValueError):
    """These bytes are no message."""


def fields(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Every field of a message: (number, wire type, where its value begins, where it ends).

    Raises:
        WireError: the bytes are no message.
    """
    while start < stop:
        tag, start = varint(data, start, stop)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise WireError(f"field number {number} at byte {start}")
        begin = start
        if wire == 0:
            _, end = varint(data, start, stop)
        elif wire == 2:
            size, begin = varint(data, start, stop)
            end = begin + size
        elif wire in (1, 5):
            end = start + (8 if wire == 1 else 4)
        else:
            raise WireError(f"wire type {wire} at byte {start}")
        if end > stop:
            raise WireError(f"a field ends at byte {end}, its message at {stop}")
        yield number, wire, begin, end
        start = end


def varint(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """An unsigned 64-bit integer and where it ends."""
    number = 0
    for place in range(10):
        if start + place >= stop:
            break
        byte = data[start + place]
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return number & (1 << 64) - 1, start + place + 1
    raise WireError(f"the integer at byte {start} does not end")


def parse(data: bytes) -> tuple[dict[bytes, Values], dict[bytes, list[Values]]]:
    """The features and the feature lists of a record, by name.

    Raises:
        WireError: it is neither an Example nor a SequenceExample.
    """
    features: dict[bytes, Values] = {}
    lists: dict[bytes, list[Values]] = {}
    for number, wire, begin, end in fields(data, 0, len(data)):
        if wire == 2 and number == 1:
            for key, spans in _entries(data, begin, end):
                features[key] = _feature(data, spans)
        elif wire == 2 and number == 2:
            for key, spans in _entries(data, begin, end):
                lists[key] = [
                    _feature(data, [(inner_begin, inner_end)])
                    for start, stop in spans
                    for inner, kind, inner_begin, inner_end in fields(data, start, stop)
                    if inner == 1 and kind == 2
                ]
    return features, lists


def _entries(data: bytes, begin: int, end: int) -> Iterator[tuple[bytes, list[tuple[int, int]]]]:
    """Every entry of a map: the key, and where the messages are that merged are its value."""
    for number, wire, start, stop in fields(data, begin, end):
        if number != 1 or wire != 2:
            continue
        key, spans = b"", []
        for inner, kind, inner_begin, inner_end in fields(data, start, stop):
            if inner == 1 and kind == 2:
                key = data[inner_begin:inner_end]
            elif inner == 2 and kind == 2:
                spans.append((inner_begin, inner_end))
        yield key, spans


def _feature(data: bytes, spans: list[tuple[int, int]]) -> Values:
    kind: str | None = None
    values: list[Any] = []
    for begin, end in spans:
        for number, wire, start, stop in fields(data, begin, end):
            if wire != 2 or number not in KINDS:
                continue
            if KINDS[number] != kind:
                kind, values = KINDS[number], []
            values += _list(data, number, start, stop)
    return kind, values


def _list(data: bytes, kind: int, begin: int, end: int) -> list[Any]:
    found: list[Any] = []
    for number, wire, start, stop in fields(data, begin, end):
        if number != 1:
            continue
        if kind == 1 and wire == 2:
            found.append(data[start:stop])
        elif kind == 2 and wire in (2, 5):
            if (stop - start) % 4:
                raise WireError(f"{stop - start} bytes of floats at byte {start}")
            found += struct.unpack(f"<{(stop - start) // 4}f", data[start:stop])
        elif kind == 3 and wire in (0, 2):
            while start < stop:
                unsigned, start = varint(data, start, stop)
                found.append(unsigned - (1 << 64) if unsigned >> 63 else unsigned)
    return found


def usual(data: bytes) -> bytes:
    """A record of any form in the form that writers give it: the same features and values.

    Raises:
        WireError: it is neither an Example nor a SequenceExample.
    """
    features, lists = parse(data)
    every = ((key, _made(*values)) for key, values in features.items())
    nested = (
        (key, b"".join(_delimited(1, _made(*values)) for values in found))
        for key, found in lists.items()
    )
    return b"".join(
        _delimited(number, _delimited(1, _delimited(1, key) + _delimited(2, value)))
        for number, entries in ((1, every), (2, nested))
        for key, value in entries
    )


def _made(kind: str | None, values: list[Any]) -> bytes:
    """A Feature."""
    if kind is None:
        return b""
    if kind == "bytes":
        return _delimited(1, b"".join(_delimited(1, value) for value in values))
    if kind == "float":
        packed = struct.pack(f"<{len(values)}f", *values)
    else:
        packed = b"".join(one(value & (1 << 64) - 1) for value in values)
    return _delimited(2 if kind == "float" else 3, _delimited(1, packed))


def _delimited(number: int, content: bytes) -> bytes:
    return one(number << 3 | 2) + one(len(content)) + content
