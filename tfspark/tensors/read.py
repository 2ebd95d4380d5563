"""An Arrow column as a tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.tensors.kinds import (
    FLOATS,
    Array,
    holds_values,
    is_list,
    known,
    misfit,
    numpy_dtype,
)
from tfspark.tensors.lists import pad, peel
from tfspark.tensors.rows import NAN, NO_NULL, BadRows, RaggedRows, refuse
from tfspark.tensors.spec import TensorSpec


def to_numpy(array: pa.Array | pa.ChunkedArray, spec: TensorSpec) -> Array:
    """A column as a tensor of shape [rows, *spec.shape].

    Nulls become `spec.null`; NaN stays NaN unless `spec.refuse_nan`. Strings become object arrays
    of bytes. A plain column without nulls in the tensor's dtype is not copied, nor is a binary
    column that holds the values of a row end to end: the result may be read-only.

    Args:
        array: the column.
        spec: of the tensor, without the dimension of the rows.

    Raises:
        TypeError: a column of this type never fits (see `misfit`).
        BadRows: rows that do not fit: a null without a rule, a refused NaN, an integer or a finite
            float out of the dtype's range, a list or a binary of the wrong length.
        RaggedRows: lists of different lengths where `spec` leaves the length open and has no pad.
    """
    array = _plain(array)
    if reason := misfit(array.type, spec):
        raise TypeError(reason)
    values_in_binary = holds_values(array.type, spec)
    if array.null_count and (values_in_binary or is_list(array.type)):
        return _with_null_rows(array, spec)
    if values_in_binary:
        return _from_bytes(array, spec)
    if spec.pad is not None and is_list(array.type):
        values, shape, places = pad(array, spec)
        leaves = _leaves(values, spec, math.prod(shape), places)
        if places is not None:
            whole = np.full(len(array) * math.prod(shape), constant(spec.pad, spec), leaves.dtype)
            whole[places] = leaves
            leaves = whole
    else:
        values, shape = peel(array, spec)
        leaves = _leaves(values, spec, math.prod(shape))
    return leaves.reshape(len(array), *shape)


def batch_to_tensors(
    batch: pa.RecordBatch | pa.Table, specs: Mapping[str, TensorSpec]
) -> dict[str, Array]:
    """The columns that `specs` names, each as its tensor.

    Args:
        batch: the rows.
        specs: name of a column → its tensor.

    Returns:
        Name of a column → tensor [rows, *shape].

    Raises:
        BadRows: as `to_numpy`; the reason names the column.
    """
    tensors = {}
    for name, spec in specs.items():
        try:
            tensors[name] = to_numpy(batch.column(name), spec)
        except RaggedRows:
            raise
        except BadRows as bad:
            raise BadRows(bad.rows, f"{name}: {bad.reason}") from None
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
    return tensors


def constant(value: Any, spec: TensorSpec) -> Any:
    """What stands for null, or pads a list, in the tensor's dtype.

    Raises:
        TypeError: it is no such value.
    """
    if spec.dtype == "string":
        return value.encode() if isinstance(value, str) else value
    try:
        found = np.array(value, numpy_dtype(spec.dtype))[()]
        if spec.dtype in FLOATS or found == value:
            return found
    except (TypeError, ValueError, OverflowError):
        pass
    raise TypeError(f"the null or pad value {value!r} is no {spec.dtype}")


def _plain(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    return array


def _with_null_rows(array: pa.Array, spec: TensorSpec) -> Array:
    """Rows of which some are null: nulls are filled.

    Where a length is open, a null row is one null: never as long as the rows beside it.
    """
    null = array.is_null().to_numpy(zero_copy_only=False)
    if spec.null is None:
        refuse(null, 1, NO_NULL)
    if None in spec.shape:
        one = pa.array([_of_nulls(array.type, spec.shape)], array.type)
        rows = np.where(null, len(array), np.arange(len(array)))
        return to_numpy(pa.concat_arrays([array, one]).take(pa.array(rows)), spec)
    present = np.flatnonzero(~null)
    try:
        dense = to_numpy(array.drop_null(), spec)
    except BadRows as bad:
        raise BadRows(present[bad.rows].tolist(), bad.reason) from None
    whole = np.empty((len(array), *dense.shape[1:]), dense.dtype)
    whole[~null] = dense
    whole[null] = constant(spec.null, spec)
    return whole


def _of_nulls(kind: pa.DataType, shape: tuple[int | None, ...]) -> Any:
    """A row full of nulls, of one in each dimension that nothing gives a length."""
    if not shape:
        return None
    size = kind.list_size if pa.types.is_fixed_size_list(kind) else shape[0] or 1
    return [_of_nulls(kind.value_type, shape[1:])] * size


def _from_bytes(array: pa.Array, spec: TensorSpec) -> Array:
    """Binary values that hold the tensor's values, little endian, row by row, end to end."""
    dtype = numpy_dtype(spec.dtype)
    width = math.prod(known(spec.shape)) * dtype.itemsize
    t = pa.types
    if t.is_fixed_size_binary(array.type):
        lengths = np.full(len(array), array.type.byte_width)
        start, content = array.offset * array.type.byte_width, array.buffers()[1]
    else:
        if t.is_binary_view(array.type):
            array = array.cast(pa.large_binary())
        _, offsets, content = array.buffers()
        size = np.dtype("int64" if t.is_large_binary(array.type) else "int32")
        if len(array):
            places = np.frombuffer(offsets, size, len(array) + 1, array.offset * size.itemsize)
        else:
            places = np.zeros(1, size)
        lengths, start = np.diff(places), int(places[0])
    wrong = lengths != width
    if wrong.any():
        first = int(lengths[wrong][0])
        refuse(lengths == first, 1, f"holds {first} bytes, {width} needed")
    count = len(array) * width
    raw = np.frombuffer(content, "uint8", count, start) if count else np.empty(0, "uint8")
    if spec.dtype == "bool":
        values: Array = raw != 0
    else:
        values = raw.view(dtype.newbyteorder("<"))
    if not values.flags.aligned or not values.dtype.isnative:
        values = values.astype(dtype)
    _check_nan(values, spec, width // dtype.itemsize)
    return values.reshape(len(array), *known(spec.shape))


def _leaves(values: pa.Array, spec: TensorSpec, per_row: int, places: Array | None = None) -> Array:
    """A flat Arrow array as a flat NumPy array of the tensor's dtype.

    Args:
        per_row: elements of a row, of the tensor.
        places: the values' places in the tensor; None: as they come.
    """
    try:
        return _typed(values, spec, per_row if places is None else 1)
    except BadRows as bad:
        if places is None:
            raise
        rows = np.unique(places[bad.rows] // per_row)
        raise BadRows(rows.tolist(), bad.reason) from None


def _typed(values: pa.Array, spec: TensorSpec, per_row: int) -> Array:
    null, out = None, np.empty(0)
    if values.null_count:
        null = values.is_null().to_numpy(zero_copy_only=False)
        if spec.null is None:
            refuse(null, per_row, NO_NULL)
    if pa.types.is_null(values.type):
        return np.full(len(values), constant(spec.null, spec), numpy_dtype(spec.dtype))
    if spec.dtype == "string":
        out = values.cast(pa.large_binary()).to_numpy(zero_copy_only=False)
    else:
        plain = _numbers(values)
        _check_nan(plain, spec, per_row)
        out = _narrow(plain, numpy_dtype(spec.dtype), per_row)
    if null is not None:
        out = out if out.flags.writeable else out.copy()
        out[null] = constant(spec.null, spec)
    return out


def _numbers(values: pa.Array) -> Array:
    """Numbers as NumPy has them; nulls are zeros."""
    t, kind = pa.types, values.type
    if t.is_date(kind):
        values = values.cast(pa.date32()).cast(pa.int32())
    elif t.is_timestamp(kind):
        micros = pc.cast(values, pa.timestamp("us", kind.tz), safe=False)
        values = micros.cast(pa.int64())
    elif t.is_decimal(kind):
        values = values.cast(pa.float64())
    elif t.is_float16(kind):
        values = values.cast(pa.float32())
    if values.null_count:
        values = values.fill_null(False if t.is_boolean(kind) else 0)
    plain: Array = values.to_numpy(zero_copy_only=False)
    return plain


def _check_nan(plain: Array, spec: TensorSpec, per_row: int) -> None:
    if spec.refuse_nan and spec.dtype in FLOATS and plain.dtype.kind not in "iub":
        refuse(np.isnan(plain), per_row, NAN)


def _narrow(plain: Array, target: np.dtype[Any], per_row: int) -> Array:
    """Change the dtype; what does not fit is a bad row, never another number."""
    if plain.dtype == target:
        return plain
    if target.kind in "iu":
        if not np.can_cast(plain.dtype, target):
            limits = np.iinfo(target)
            outside = (plain < limits.min) | (plain > limits.max)
            refuse(outside, per_row, f"outside the range of {target.name}")
        return plain.astype(target)
    with np.errstate(over="ignore"):
        out = plain.astype(target)
    if not np.can_cast(plain.dtype, target) and (lost := np.isinf(out)).any():
        refuse(lost & np.isfinite(plain), per_row, f"outside the range of {target.name}")
    return out
