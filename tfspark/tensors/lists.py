"""Lists as the values inside them and a shape; shorter ones with room for what pads them."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from tfspark.tensors.kinds import Array, is_list, known
from tfspark.tensors.rows import RaggedRows, refuse
from tfspark.tensors.spec import TensorSpec


def peel(array: pa.Array, spec: TensorSpec) -> tuple[pa.Array, tuple[int, ...]]:
    """The innermost values of lists, and the shape of one row.

    Raises:
        BadRows, RaggedRows: see `to_numpy`.
    """
    if not is_list(array.type):
        return array, known(spec.shape)
    flat = _is_flat(array.type, spec)
    sizes = (math.prod(known(spec.shape)),) if flat else spec.shape
    rows = len(array)
    shape: list[int] = []
    for size in sizes:
        per_row = math.prod(shape)
        if array.null_count:
            _refuse_null_lists(array, per_row)
        lengths = _lengths(array)
        if size is None:
            size = _common_length(lengths, rows)
        refuse(lengths != size, per_row, f"a list of another length than {size}")
        shape.append(int(size))
        array = _inside(array)
    return array, known(spec.shape) if flat else tuple(shape)


def pad(array: pa.Array, spec: TensorSpec) -> tuple[pa.Array, tuple[int, ...], Array | None]:
    """The innermost values of lists of any length, the shape of one row, and their places in it.

    A dimension that is known bounds its lists; one that is open is as long as the longest.

    Returns:
        The values; the shape; for every value its index in the padded tensor of all rows, or None
        where no list is shorter than its dimension, so that the values are the tensor.

    Raises:
        BadRows: lists that are longer than a known dimension, a null list inside another.
    """
    flat = _is_flat(array.type, spec)
    sizes = (math.prod(known(spec.shape)),) if flat else spec.shape
    shape: list[int] = []
    places: Array | None = None
    parents = len(array)
    for size in sizes:
        per_row = math.prod(shape)
        lengths = _lengths(array)
        owner = np.arange(parents) if places is None else places
        if array.null_count:
            null = array.is_null().to_numpy(zero_copy_only=False)
            refuse(_at(owner, null), per_row, "a null list inside")
        if size is None:
            size = int(lengths.max(initial=0))
        too_long = lengths > size
        if too_long.any():
            refuse(_at(owner, too_long), per_row, f"a list of more than {size} values")
        shape.append(int(size))
        if places is not None or (lengths != size).any():
            starts = np.cumsum(lengths) - lengths
            places = np.repeat(owner * size - starts, lengths) + np.arange(int(lengths.sum()))
        parents *= int(size)
        array = _inside(array)
    return array, known(spec.shape) if flat else tuple(shape), places


def _at(owner: Array, wrong: Array) -> Array:
    """Wrong lists by their places among all there could be."""
    found = owner[wrong]
    whole = np.zeros(int(found.max(initial=-1)) + 1, bool)
    whole[found] = True
    return whole


def _is_flat(kind: pa.DataType, spec: TensorSpec) -> bool:
    """One list that holds all values of a tensor of several dimensions."""
    return len(spec.shape) > 1 and not is_list(kind.value_type)


def _lengths(array: pa.Array) -> Array:
    if pa.types.is_fixed_size_list(array.type):
        return np.full(len(array), array.type.list_size)
    lengths: Array = np.diff(array.offsets.to_numpy())
    return lengths


def _inside(array: pa.Array) -> pa.Array:
    values = array.flatten()
    return values.dictionary_decode() if isinstance(values, pa.DictionaryArray) else values


def _refuse_null_lists(array: pa.Array, per_row: int) -> None:
    refuse(array.is_null().to_numpy(zero_copy_only=False), per_row, "a null list inside")


def _common_length(lengths: Array, rows: int) -> int:
    if len(lengths) == 0:
        return 0
    if (lengths == lengths[0]).all():
        return int(lengths[0])
    by_row = lengths.reshape(rows, -1)
    per_row = by_row.shape[1]
    refuse((by_row != by_row[:, :1]).any(axis=1), 1, "inner lists of different lengths")
    first = by_row[:, 0] if per_row else np.zeros(rows)
    raise RaggedRows([np.flatnonzero(first == size).tolist() for size in np.unique(first)])
