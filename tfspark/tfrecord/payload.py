"""A column of a record batch as the bytes of its values, row by row: what no header needs to know.

Integers are packed varints, floats packed little-endian, as `feature.proto` declares its lists;
a single string is its bytes alone, of a list of strings every element has its tag and length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.errors import StorageError
from tfspark.tensors import Array
from tfspark.tfrecord import varint
from tfspark.tfrecord.schema import Feature

KIND_TAG = {"bytes": b"\x0a", "float": b"\x12", "int64": b"\x1a"}  # of Feature's oneof
ABSENT = -1
_EMPTY = pa.scalar(b"", pa.large_binary())


@dataclass(frozen=True)
class Payload:
    """The values of one feature.

    Attributes:
        lengths: int64 [rows]: bytes of each row, `ABSENT` where there is no feature.
        data: uint8 [bytes], one row after the other.
        starts: int64 [rows + 1]: where each row begins in `data`.
    """

    lengths: Array
    data: Array
    starts: Array

    def array(self) -> pa.Array:
        """The rows as large_binary [rows], not copied."""
        return binary(self.data, self.starts)


def payload(feature: Feature, batch: pa.RecordBatch) -> Payload:
    """The values of a feature in every row of a batch.

    Raises:
        StorageError: a value that the file cannot hold: a null inside a list, a finite double
            beyond float, a uint64 beyond int64; says the column and the row of the batch.
    """
    try:
        array = _column(feature, batch)
        if feature.marker:
            return _marker(array)
        if feature.depth == 0:
            valid = array.drop_null() if array.null_count else array
            starts, data = _values(feature, valid, np.arange(len(valid) + 1), single=True)
            return _spread(array, data, starts)
        if feature.depth == 1:
            return _list(feature, array)
        return _list_of_lists(feature, array)
    except (_RefusedError, pa.ArrowException) as error:
        raise StorageError(f"column {feature.name}: {error}") from None


def body_header(feature: Feature, length: int, depth: int) -> bytes:
    """What stands in a Feature before a payload of `length` bytes."""
    if feature.kind == "bytes" and depth > 0:
        return KIND_TAG["bytes"] + varint.one(length)
    if not length and feature.kind != "bytes":
        return KIND_TAG[feature.kind] + b"\x00"
    inner = b"\x0a" + varint.one(length)
    return KIND_TAG[feature.kind] + varint.one(len(inner) + length) + inner


def by_length(lengths: Array, make: Callable[[int], bytes]) -> pa.Array:
    """`make(length)` of every row, b"" where the length is `ABSENT`: large_binary [rows]."""
    coded = pa.array(lengths).dictionary_encode()
    table = [b"" if n == ABSENT else make(n) for n in coded.dictionary.to_pylist()]
    return pa.array(table, pa.large_binary()).take(coded.indices)


def binary(data: Array, starts: Array) -> pa.Array:
    """Ranges of a buffer, one after the other, as large_binary [rows]."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(starts, "int64")), pa.py_buffer(data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(starts) - 1, buffers)


def parts(array: pa.Array) -> tuple[Array, Array]:
    """(data, starts) of a large_binary array."""
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, "int64")[array.offset : array.offset + len(array) + 1]
    return (np.frombuffer(data, "uint8") if data is not None else np.empty(0, "uint8")), starts


class _RefusedError(ValueError):
    pass


def _column(feature: Feature, batch: pa.RecordBatch) -> pa.Array:
    array = batch.column(feature.path[0])
    for name in feature.path[1:]:
        array = pc.struct_field(array, name)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array


def _marker(array: pa.StructArray) -> Payload:
    """There where the struct is and none of its fields."""
    here = array.is_valid()
    for number in range(array.type.num_fields):
        here = pc.and_(here, pc.struct_field(array, [number]).is_null())
    lengths = np.where(here.to_numpy(zero_copy_only=False), 0, ABSENT)
    return Payload(lengths, np.empty(0, "uint8"), np.zeros(len(array) + 1, "int64"))


def _spread(array: pa.Array, data: Array, starts: Array, per_row: Array | None = None) -> Payload:
    """Values of the rows that are not null → of all rows."""
    if not array.null_count:
        return Payload(np.diff(starts), data, starts)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    lengths = np.full(len(array), ABSENT)
    lengths[valid] = np.diff(starts)
    every = starts[0] + np.concatenate([[0], np.cumsum(np.maximum(lengths, 0))])
    return Payload(lengths, data, every)


def _list(feature: Feature, array: pa.Array) -> Payload:
    values, bounds = _flat(array)
    if values.null_count:
        null = values.is_null().to_numpy(zero_copy_only=False)
        row = int(np.searchsorted(bounds, np.flatnonzero(null)[0], "right")) - 1
        raise _RefusedError(
            f"row {row} of the batch has a null inside its list, which a feature cannot hold: "
            "fill it or take it out"
        )
    starts, data = _values(feature, values, bounds, single=False)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    return Payload(np.where(valid, np.diff(starts), ABSENT), data, starts)


def _list_of_lists(feature: Feature, array: pa.Array) -> Payload:
    """What `FeatureList` holds: a Feature for every inner list, without kind for null."""
    inner, bounds = _flat(array)
    lists = _list(feature, inner)

    def make(length: int) -> bytes:
        head = body_header(feature, length, 1)
        return b"\x0a" + varint.one(len(head) + length) + head

    heads = by_length(lists.lengths, make)
    if inner.null_count:
        heads = pc.if_else(inner.is_null(), pa.scalar(b"\x0a\x00", pa.large_binary()), heads)
    data, starts = parts(pc.binary_join_element_wise(heads, lists.array(), _EMPTY))
    starts = starts[bounds]
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    return Payload(np.where(valid, np.diff(starts), ABSENT), data, starts)


def _flat(array: pa.Array) -> tuple[pa.Array, Array]:
    """The elements of all lists, and where each row's begin: int64 [rows + 1]."""
    counts = pc.list_value_length(array).fill_null(0).to_numpy().astype("int64")
    return _plain(array.flatten()), np.concatenate([[0], np.cumsum(counts)])


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _values(feature: Feature, values: pa.Array, bounds: Array, single: bool) -> tuple[Array, Array]:
    """Where each row begins, int64 [rows + 1], and all bytes of its values.

    `bounds` are the elements at which rows begin.
    """
    if feature.kind == "float":
        return bounds * 4, _floats(values, bounds).view("uint8")
    if feature.kind == "int64":
        data, starts = varint.encode(_integers(values, bounds))
        return starts[bounds], data
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.string())
    elif pa.types.is_fixed_size_binary(values.type):
        values = values.cast(pa.binary())
    values = values.cast(pa.large_binary())
    if not single:
        heads = by_length(
            np.diff(parts(values)[1]) if len(values) else np.empty(0, "int64"),
            lambda length: b"\x0a" + varint.one(length),
        )
        values = pc.binary_join_element_wise(heads, values, _EMPTY)
    data, starts = parts(values)
    return starts[bounds], data


def _floats(values: pa.Array, bounds: Array) -> Array:
    if pa.types.is_float32(values.type):
        return np.ascontiguousarray(values.to_numpy(zero_copy_only=False), "<f4")
    wide = (values.cast(pa.float64()) if pa.types.is_decimal(values.type) else values).to_numpy(
        zero_copy_only=False
    )
    with np.errstate(over="ignore"):
        out = np.ascontiguousarray(wide, "<f4")
    _refuse(np.isinf(out) & np.isfinite(wide), bounds, "a number beyond the range of float")
    return out


def _integers(values: pa.Array, bounds: Array) -> Array:
    t, kind = pa.types, values.type
    if t.is_boolean(kind):
        values = values.cast(pa.int8())
    elif t.is_date32(kind) or t.is_time32(kind):
        values = values.view(pa.int32())
    elif t.is_temporal(kind):
        values = values.view(pa.int64())
    plain = values.to_numpy(zero_copy_only=False)
    if plain.dtype == "uint64":
        _refuse(plain > np.iinfo("int64").max, bounds, "a number beyond the range of int64")
    return np.ascontiguousarray(plain.astype("int64", copy=False))


def _refuse(wrong: Array, bounds: Array, what: str) -> None:
    found = np.flatnonzero(wrong)
    if len(found):
        row = int(np.searchsorted(bounds, found[0], "right")) - 1
        raise _RefusedError(f"row {row} of the batch has {what}: narrow the column before")
