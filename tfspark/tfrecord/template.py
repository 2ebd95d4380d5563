"""Records that are the same but for their values: one is taken apart, the others are compared.

Every byte of such a record that is not of a value must be equal, and of every integer the top
bits, which say how long it is. Then values are columns at fixed places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tfspark.tensors import Array
from tfspark.tfrecord import wire
from tfspark.tfrecord.payload import binary
from tfspark.tfrecord.restore import ABSENT, RAW, Values

_MOST_VALUES = 16  # integers or strings of a record from which a loop over them is slower
_BLOCK = 1 << 18  # bytes that are compared at once


@dataclass(frozen=True)
class Template:
    """Where the values are.

    Attributes:
        record: uint8 [width]: one such record.
        mask: uint8 [width]: the bits that all share.
        places: name → kind, and begin and end of every value (of floats: of all of them).
    """

    record: Array
    mask: Array
    places: dict[bytes, tuple[str, list[tuple[int, int]]]]


def template_of(record: bytes) -> Template | None:
    """The template of an Example; None where it has not the form that writers give it."""
    mask = np.full(len(record), 255, "uint8")
    places: dict[bytes, tuple[str, list[tuple[int, int]]]] = {}
    try:
        top = list(wire.fields(record, 0, len(record)))
        if len(top) != 1 or top[0][:2] != (1, 2):
            return None
        for number, kind, begin, end in wire.fields(record, *top[0][2:]):
            inner = list(wire.fields(record, begin, end))
            if (number, kind) != (1, 2) or [field[:2] for field in inner] != [(1, 2), (2, 2)]:
                return None
            key = record[inner[0][2] : inner[0][3]]
            found = _value(record, *inner[1][2:], mask)
            if found is None or key in places:
                return None
            places[key] = found
    except wire.WireError:
        return None
    return Template(np.frombuffer(record, "uint8"), mask, places)


def _value(
    record: bytes, begin: int, end: int, mask: Array
) -> tuple[str, list[tuple[int, int]]] | None:
    lists = list(wire.fields(record, begin, end))
    if len(lists) != 1 or lists[0][1] != 2 or lists[0][0] not in wire.KINDS:
        return None
    kind = wire.KINDS[lists[0][0]]
    inner = list(wire.fields(record, *lists[0][2:]))
    if any(field[:2] != (1, 2) for field in inner):
        return None
    spans = [(start, stop) for _, _, start, stop in inner]
    if kind == "bytes":
        if len(spans) > _MOST_VALUES:
            return None
        for start, stop in spans:
            mask[start:stop] = 0
        return kind, spans
    if len(spans) > 1:
        return None
    if kind == "float":
        if not spans:
            return kind, []
        start, stop = spans[0]
        mask[start:stop] = 0
        return None if (stop - start) % 4 else (kind, spans)
    numbers = []
    for start, stop in spans:
        mask[start:stop] = 128
        while start < stop:
            _, after = wire.varint(record, start, stop)
            numbers.append((start, after))
            if len(numbers) > _MOST_VALUES:
                return None
            start = after
    return kind, numbers


def fits(matrix: Array, template: Template) -> Array:
    """Which records, the first bytes of rows, have the template's form: uint8 [n, width] → bool."""
    rows, width = len(matrix), len(template.record)
    out = np.ones(rows, bool)
    words = width // 8
    tail = words * 8
    step = max(1, _BLOCK // max(width, 1))
    want, mask = template.record & template.mask, template.mask
    for at in range(0, rows, step):
        some = matrix[at : at + step]
        here = out[at : at + step]
        if words:
            shape, strides = (len(some), words), (some.strides[0], 8)
            whole: Array = np.ndarray(shape, "<u8", some, 0, strides)
            differs = (whole & mask[:tail].view("<u8")) ^ want[:tail].view("<u8")
            here &= ~np.bitwise_or.reduce(differs, axis=1).astype(bool)
        if tail < width:
            here &= ((some[:, tail:width] & mask[tail:]) == want[tail:]).all(axis=1)
    return out


def extract(matrix: Array, template: Template, name: bytes, kind: str) -> Values | str:
    """One feature of records that fit; the other kind's name where it is not of this kind."""
    rows = len(matrix)
    if name not in template.places:
        return Values(np.full(rows, ABSENT), pa.array([], RAW[kind]))
    found, spans = template.places[name]
    if found != kind:
        return found
    if kind == "float":
        begin, end = spans[0] if spans else (0, 0)
        floats = _columns(matrix, [(begin, end)]).view("<f4").reshape(-1)
        return Values(np.full(rows, (end - begin) // 4), pa.array(floats))
    counts = np.full(rows, len(spans))
    if kind == "bytes":
        data = _columns(matrix, spans)
        sizes = np.tile([end - begin for begin, end in spans], rows).astype("int64")
        starts = np.concatenate([np.zeros(1, "int64"), np.cumsum(sizes)])
        return Values(counts, binary(data.reshape(-1), starts))
    numbers = np.empty((rows, len(spans)), "uint64")
    for number, (begin, end) in enumerate(spans):
        total = (matrix[:, begin] & 127).astype("uint64")
        for place in range(1, end - begin):
            bits = (matrix[:, begin + place] & 127).astype("uint64")
            total |= bits << np.uint64(7 * place)
        numbers[:, number] = total
    return Values(counts, pa.array(numbers.reshape(-1).view("int64")))


def _columns(matrix: Array, spans: list[tuple[int, int]]) -> Array:
    """Ranges of columns side by side, copied: uint8 [rows, bytes]."""
    rows, width = len(matrix), sum(end - begin for begin, end in spans)
    out = np.empty((rows, width), "uint8")
    at = 0
    for begin, end in spans:
        if end > begin:
            dtype, size = f"V{end - begin}", end - begin
            target: Array = np.ndarray((rows,), dtype, out, at, (width,))
            target[:] = np.ndarray((rows,), dtype, matrix, begin, (matrix.strides[0],))
            at += size
    return out
