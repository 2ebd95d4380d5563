"""What the checks need of Arrow arrays: masks, bytes, lists taken apart and put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.tensors import Array


def flat(array: pa.Array) -> pa.Array:
    """Without dictionaries, and text with Arrow's plain type."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return flat(array.dictionary_decode())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return array.cast(pa.list_(pa.field("element", kind.value_type)))
    if (
        pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    ) and not pa.types.is_decimal(kind):
        return array.cast(pa.binary())
    return array


def bytes_of(array: pa.Array) -> Array:
    """The bytes of text, those of hidden values under nulls too."""
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return np.zeros(0, "uint8")
    ends = np.frombuffer(offsets, "int32")[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, "uint8")[ends[0] : ends[-1]]


def is_ascii(array: pa.Array) -> bool:
    data = bytes_of(array)
    return not len(data) or bool(data.max() < 0x80)


def utf8(array: pa.Array) -> pa.Array:
    """Text as it is; where bytes are none, the replacement character stands for them."""
    if is_ascii(array):
        return array
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        raw = array.cast(pa.binary(), safe=False)
        texts = [None if v is None else v.decode("utf-8", "replace") for v in raw.to_pylist()]
        return pa.array(texts, pa.string())
    return array


def is_broken(array: pa.Array) -> pa.Array | None:
    """Where bytes of a text are no UTF-8; None: nowhere."""
    if is_ascii(array):
        return None
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        raw = array.cast(pa.binary(), safe=False).to_pylist()
        return some(pa.array([v is not None and not _is_utf8(v) for v in raw], pa.bool_()))
    return None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def some(mask: pa.Array) -> pa.Array | None:
    """A mask without nulls; None where it holds for no row."""
    if mask.null_count:
        mask = pc.fill_null(mask, False)
    return mask if mask.true_count else None


def only(array: pa.Array, mask: pa.Array) -> pa.Array:
    """The values where a mask holds, null elsewhere."""
    return pc.if_else(mask, array, pa.scalar(None, array.type))


def from_numpy(values: Array, valid: Array, kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind, mask=None if valid.all() else ~valid)


def numpy_of(array: pa.Array) -> Array:
    """Numbers, whatever lies under nulls."""
    if array.null_count:
        array = pc.fill_null(array, pa.scalar(0, array.type))
    values: Array = array.to_numpy(zero_copy_only=False)
    return values


def is_number(kind: pa.DataType) -> bool:
    """Whether values lie side by side as NumPy's numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def with_hidden(array: pa.Array) -> Array:
    """Numbers without a copy; under nulls lies anything."""
    values = np.frombuffer(array.buffers()[1], array.type.to_pandas_dtype())
    return values[array.offset : array.offset + len(array)]


def relisted(like: pa.Array, leaves: pa.Array) -> pa.Array:
    """A list array of the same lengths and nulls over other values, those of `flatten()`."""
    sizes = numpy_of(pc.list_value_length(like)).astype("int64")
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    field: Any = pa.field("element", leaves.type)
    mask = like.is_null() if like.null_count else None
    return pa.ListArray.from_arrays(offsets, leaves, pa.list_(field), mask=mask)


def rows_with(like: pa.Array, broken: pa.Array) -> pa.Array:
    """Which lists hold a value of a mask over `flatten()`."""
    parents = pc.list_parent_indices(like).filter(broken)
    found = np.zeros(len(like), bool)
    found[parents.to_numpy(zero_copy_only=False)] = True
    return pa.array(found)
