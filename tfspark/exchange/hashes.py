"""Hashes of Arrow columns: the same values, the same hash, in every task and on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark import lazy
from tfspark.splitmix import STEP, mixed
from tfspark.tensors import Array
from tfspark.tensors.arrowtypes import is_bytes, is_list, is_text

kernels: Any = lazy.Module("tfspark.exchange.kernels")
_EMPTY = np.empty(0, bool)
_AT_ONCE = 1 << 15
_NULL = np.uint64(0x6A09E667F3BCC909)


def row_hashes(columns: Sequence[pa.Array]) -> Array:
    """A hash of 64 bits of each row: uint64 [rows]. A null differs from every value.

    NaN is one value whatever its bits, and -0.0 is not 0.0.
    """
    whole = np.zeros(len(columns[0]), np.uint64)
    if not any(_has_bytes(column.type) for column in columns):
        for start in range(0, len(whole), _AT_ONCE):
            some = whole[start : start + _AT_ONCE]
            for number, column in enumerate(columns):
                _join(some, column.slice(start, _AT_ONCE), number)
        return whole
    for number, column in enumerate(columns):
        valid = _EMPTY
        if column.null_count:
            valid = column.is_valid().to_numpy(zero_copy_only=False)
        kernels.join(whole, _values(column), valid, number)
    return whole


def _has_bytes(kind: pa.DataType) -> bool:
    return bool(is_text(kind) or is_bytes(kind) or is_list(kind))


def _join(whole: Array, column: pa.Array, number: int) -> None:
    """As `kernels.hash_words` and `kernels.join`, without what compiles those."""
    found = np.zeros(len(whole), np.uint64)
    for word in _words(column).T:
        found = mixed(found ^ word)
    if column.null_count:
        found[column.is_null().to_numpy(zero_copy_only=False)] = _NULL
    seed = np.uint64(number * STEP % 2**64)
    whole[:] = mixed(whole ^ mixed(found ^ seed))


def same_values(column: pa.Array, other: pa.Array) -> Array:
    """Where two columns, no lists, of one type and without nulls have the same values.

    As `row_hashes` tells them apart.

    Returns:
        bool [rows]
    """
    kind = column.type
    if is_text(kind) or is_bytes(kind):
        texts: Array = pc.equal(column, other).to_numpy(zero_copy_only=False)
        return texts
    same: Array = (_words(column) == _words(other)).all(axis=1)
    return same


def md5_hashes(texts: pa.Array, prefix: str) -> tuple[Array, Array]:
    """MD5 of a prefix and each text: its first and its last eight bytes, uint64 [rows] each."""
    high, low = np.empty(len(texts), np.uint64), np.empty(len(texts), np.uint64)
    offsets, data = _bytes(texts)
    kernels.md5(np.frombuffer(prefix.encode(), np.uint8), offsets, data, high, low)
    return high, low


def _values(column: pa.Array) -> Array:
    """uint64 [rows]; of a null, anything."""
    kind, out = column.type, np.empty(len(column), np.uint64)
    if is_text(kind) or is_bytes(kind):
        kernels.hash_bytes(*_bytes(column), out)
    elif is_list(kind):
        offsets = column.offsets.to_numpy()
        first = int(offsets[0])
        items = column.values.slice(first, int(offsets[-1]) - first)
        kernels.hash_lists(offsets - first, row_hashes([items]), out)
    else:
        kernels.hash_words(_words(column), out)
    return out


def _bytes(column: pa.Array) -> tuple[Array, Array]:
    """Offsets [rows + 1] and all bytes. What a null's offsets cut does not matter."""
    kind = column.type
    if pa.types.is_fixed_size_binary(kind):
        column = column.cast(pa.binary())
    elif pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        column = column.cast(pa.large_binary())
    large = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    _, offsets, data = column.buffers()
    places = np.frombuffer(offsets, np.int64 if large else np.int32)
    places = places[column.offset : column.offset + len(column) + 1]
    return places, np.frombuffer(data or b"", np.uint8)


def _words(column: pa.Array) -> Array:
    """The bits of numbers: uint64 [rows, n]."""
    kind = column.type
    if pa.types.is_decimal(kind):
        wide = column.cast(pa.decimal128(38, kind.scale))
        words: Array = np.frombuffer(wide.buffers()[1], np.uint64).reshape(-1, 2)
        return words[wide.offset : wide.offset + len(wide)]
    filled: pa.Array = pc.fill_null(column, False if pa.types.is_boolean(kind) else _zero(kind))
    if pa.types.is_floating(kind):
        numbers = filled.cast(pa.float64()).to_numpy(zero_copy_only=False)
        numbers = np.where(np.isnan(numbers), np.nan, numbers)
        return numbers.view(np.uint64).reshape(-1, 1)
    if pa.types.is_boolean(kind):
        filled = filled.cast(pa.uint8())
    elif not pa.types.is_integer(kind):
        filled = filled.view(pa.int32() if kind.bit_width == 32 else pa.int64())
    whole: Array = filled.to_numpy(zero_copy_only=False).astype(np.int64)
    return whole.view(np.uint64).reshape(-1, 1)


def _zero(kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return pa.scalar(0, kind)
    return pa.scalar(0, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
