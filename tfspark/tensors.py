"""Arrow to tensor and back, column by column, without a Python object per number.

    to_numpy(pa.array([1.0, None]), TensorSpec("float32", (), math.nan))  # array([1., nan])

What becomes what is written in `docs/scoring.md`; `misfit` answers it for a type alone, so that
a driver can refuse a column before any task runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.contracts import TensorSpec
from tfspark.errors import SignatureError

Array = npt.NDArray[Any]

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_ARROW = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.int16(),  # Spark has no unsigned numbers: the next wider type holds them
    "uint16": pa.int32(),
    "uint32": pa.int64(),
    "uint64": pa.int64(),
    "float16": pa.float32(),
    "bfloat16": pa.float32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
}
DTYPES = tuple(_ARROW)
"""Every dtype that a column can become or come from."""
NO_NULL = "null, and nothing stands for null in this input"


class BadRows(ValueError):
    """Rows that cannot become the tensor: `rows` are their indices, `reason` says why."""

    def __init__(self, rows: list[int], reason: str) -> None:
        super().__init__(f"{reason} (row {rows[0]}{' and others' if len(rows) > 1 else ''})")
        self.rows = rows
        self.reason = reason


class RaggedRows(BadRows):
    """Rows of different lengths where any one length is taken: `groups` can go one by one."""

    def __init__(self, groups: list[list[int]]) -> None:
        largest = max(groups, key=len)
        odd = sorted(row for group in groups if group is not largest for row in group)
        super().__init__(odd, "lists of different lengths in one batch")
        self.groups = groups


def to_numpy(array: pa.Array | pa.ChunkedArray, spec: TensorSpec) -> Array:
    """A column as a tensor of shape [rows, *spec.shape].

    Nulls become `spec.null`; NaN stays NaN. Strings become object arrays of bytes. A plain
    column without nulls in the tensor's dtype is not copied: the result may be read-only.

    Raises:
        TypeError: a column of this type never fits (see `misfit`).
        BadRows: rows that do not fit: a null without a rule, an integer or a finite float out of
            the dtype's range, a list of the wrong length.
        RaggedRows: lists of different lengths where `spec` leaves the length open.
    """
    array = _plain(array)
    if reason := misfit(array.type, spec):
        raise TypeError(reason)
    if _is_list(array.type) and array.null_count:
        return _with_null_rows(array, spec)
    values, shape = _peel(array, spec)
    return _leaves(values, spec, math.prod(shape)).reshape(len(array), *shape)


def to_arrow(tensor: Array, spec: TensorSpec) -> pa.Array:
    """A tensor [rows, *shape] as a column of `arrow_type(spec)`.

    Raises:
        SignatureError: the tensor's shape is not the one that `spec` promises.
        BadRows: uint64 values that no Spark type holds.
    """
    tensor = np.asarray(tensor)
    scalar = spec.shape in ((), (1,))
    if tensor.ndim == 0 or (scalar and tensor.size != len(tensor)):
        raise SignatureError(f"a tensor of shape {tensor.shape} does not hold one value a row")
    if scalar:
        tensor = tensor.reshape(len(tensor))
    elif not _fits(tensor.shape[1:], spec.shape):
        raise SignatureError(f"rows of shape {tensor.shape[1:]}, the signature says {spec.shape}")
    flat = np.ascontiguousarray(tensor).reshape(-1)
    per_row = math.prod(tensor.shape[1:])
    if spec.dtype == "string":
        values = pa.array(flat.astype(object, copy=False), pa.binary()).cast(pa.string())
    else:
        if spec.dtype == "uint64":
            _refuse(flat > np.iinfo("int64").max, per_row, "above the largest bigint")
        values = pa.array(flat.astype(_ARROW[spec.dtype].to_pandas_dtype(), copy=False))
    for depth in range(tensor.ndim - 1, 0, -1):
        count, size = math.prod(tensor.shape[:depth]), tensor.shape[depth]
        offsets = (np.arange(count + 1, dtype="int64") * size).astype("int32")
        values = pa.ListArray.from_arrays(pa.array(offsets), values)
    return values


def arrow_type(spec: TensorSpec) -> pa.DataType:
    """The Arrow type of an output: [rows] and [rows, 1] give a scalar column, else lists."""
    kind = _ARROW[spec.dtype]
    for _ in () if spec.shape == (1,) else spec.shape:
        kind = pa.list_(kind)
    return kind


def batch_to_tensors(
    batch: pa.RecordBatch | pa.Table, specs: Mapping[str, TensorSpec]
) -> dict[str, Array]:
    """The columns that `specs` names, each as its tensor.

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


def misfit(kind: pa.DataType, spec: TensorSpec) -> str | None:
    """Why no column of this Arrow type can become this tensor; None if it can.

    Numbers widen, narrow with a check of their range, and become floats; nothing becomes an
    integer, a boolean or a string that is not one (cast it before: that is your decision).
    """
    if spec.dtype not in _ARROW:
        return f"dtype {spec.dtype} cannot be fed from a column; use one of {', '.join(DTYPES)}"
    depth, leaf = 0, kind
    while _is_list(leaf):
        depth, leaf = depth + 1, leaf.value_type
    if pa.types.is_dictionary(leaf):
        leaf = leaf.value_type
    rank = len(spec.shape)
    flat = depth == 1 and rank > 1 and None not in spec.shape
    if depth != rank and not flat and not (depth == 0 and math.prod(_known(spec.shape)) == 1):
        wanted = f"{rank}" if rank else "none"
        return f"{kind} has {depth or 'no'} list level(s), shape {list(spec.shape)} needs {wanted}"
    if pa.types.is_null(leaf) or _leaf_fits(leaf, spec.dtype):
        return None
    return f"{kind} does not become {spec.dtype} by itself: cast the column to the type you mean"


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of TensorFlow's name (strings are objects)."""
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(object if name == "string" else name)


def _leaf_fits(leaf: pa.DataType, dtype: str) -> bool:
    t = pa.types
    if dtype == "string":
        return bool(_is_text(leaf))
    if dtype == "bool":
        return bool(t.is_boolean(leaf))
    if dtype in _FLOATS:
        return bool(t.is_floating(leaf) or t.is_integer(leaf) or t.is_boolean(leaf)) or bool(
            t.is_decimal(leaf)
        )
    return bool(t.is_integer(leaf) or t.is_boolean(leaf) or t.is_date(leaf)) or bool(
        t.is_timestamp(leaf)
    )


def _is_list(kind: pa.DataType) -> bool:
    t = pa.types
    return bool(t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    t = pa.types
    return bool(
        t.is_string(kind)
        or t.is_large_string(kind)
        or t.is_string_view(kind)
        or t.is_binary(kind)
        or t.is_large_binary(kind)
        or t.is_binary_view(kind)
        or t.is_fixed_size_binary(kind)
    )


def _known(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(0 if size is None else size for size in shape)


def _fits(actual: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(actual) == len(shape) and all(
        want in (None, size) for size, want in zip(actual, shape, strict=True)
    )


def _plain(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    return array


def _with_null_rows(array: pa.Array, spec: TensorSpec) -> Array:
    """Lists of which some rows are null: the others decide the length, nulls are filled."""
    null = array.is_null().to_numpy(zero_copy_only=False)
    if spec.null is None:
        _refuse(null, 1, NO_NULL)
    present = np.flatnonzero(~null)
    try:
        dense = to_numpy(array.drop_null(), spec)
    except RaggedRows as ragged:
        groups = [present[group].tolist() for group in ragged.groups]
        groups[0] += np.flatnonzero(null).tolist()
        raise RaggedRows(groups) from None
    except BadRows as bad:
        raise BadRows(present[bad.rows].tolist(), bad.reason) from None
    if len(dense) == 0 and None in spec.shape:
        _refuse(null, 1, "null, and no row says how long a list is")
    whole = np.empty((len(array), *dense.shape[1:]), dense.dtype)
    whole[~null] = dense
    whole[null] = _null_value(spec)
    return whole


def _peel(array: pa.Array, spec: TensorSpec) -> tuple[pa.Array, tuple[int, ...]]:
    """The innermost values of lists, and the shape of one row."""
    if not _is_list(array.type):
        return array, _known(spec.shape)
    flat = len(spec.shape) > 1 and not _is_list(array.type.value_type)
    sizes = (math.prod(_known(spec.shape)),) if flat else spec.shape
    rows = len(array)
    shape: list[int] = []
    for size in sizes:
        per_row = math.prod(shape)
        if array.null_count:
            _refuse(array.is_null().to_numpy(zero_copy_only=False), per_row, "a null list inside")
        if pa.types.is_fixed_size_list(array.type):
            lengths = np.full(len(array), array.type.list_size)
        else:
            lengths = np.diff(array.offsets.to_numpy())
        if size is None:
            size = _common_length(lengths, rows)
        _refuse(lengths != size, per_row, f"a list of another length than {size}")
        shape.append(int(size))
        array = _plain(array.flatten())
    return array, _known(spec.shape) if flat else tuple(shape)


def _common_length(lengths: Array, rows: int) -> int:
    if len(lengths) == 0:
        return 0
    if (lengths == lengths[0]).all():
        return int(lengths[0])
    by_row = lengths.reshape(rows, -1)
    per_row = by_row.shape[1]
    _refuse((by_row != by_row[:, :1]).any(axis=1), 1, "inner lists of different lengths")
    first = by_row[:, 0] if per_row else np.zeros(rows)
    raise RaggedRows([np.flatnonzero(first == size).tolist() for size in np.unique(first)])


def _leaves(values: pa.Array, spec: TensorSpec, per_row: int) -> Array:
    """A flat Arrow array as a flat NumPy array of the tensor's dtype."""
    null, out = None, np.empty(0)
    if values.null_count:
        null = values.is_null().to_numpy(zero_copy_only=False)
        if spec.null is None:
            _refuse(null, per_row, NO_NULL)
    if pa.types.is_null(values.type):
        return np.full(len(values), _null_value(spec), numpy_dtype(spec.dtype))
    if spec.dtype == "string":
        out = values.cast(pa.large_binary()).to_numpy(zero_copy_only=False)
    else:
        out = _narrow(_numbers(values), numpy_dtype(spec.dtype), per_row)
    if null is not None:
        out = out if out.flags.writeable else out.copy()
        out[null] = _null_value(spec)
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


def _narrow(plain: Array, target: np.dtype[Any], per_row: int) -> Array:
    """Change the dtype; what does not fit is a bad row, never another number."""
    if plain.dtype == target:
        return plain
    if target.kind in "iu":
        if not np.can_cast(plain.dtype, target):
            limits = np.iinfo(target)
            outside = (plain < limits.min) | (plain > limits.max)
            _refuse(outside, per_row, f"outside the range of {target.name}")
        return plain.astype(target)
    with np.errstate(over="ignore"):
        out = plain.astype(target)
    if not np.can_cast(plain.dtype, target) and (lost := np.isinf(out)).any():
        _refuse(lost & np.isfinite(plain), per_row, f"outside the range of {target.name}")
    return out


def _null_value(spec: TensorSpec) -> Any:
    if spec.dtype == "string":
        return spec.null.encode() if isinstance(spec.null, str) else spec.null
    try:
        value = np.array(spec.null, numpy_dtype(spec.dtype))[()]
        if spec.dtype in _FLOATS or value == spec.null:
            return value
    except (TypeError, ValueError, OverflowError):
        pass
    raise TypeError(f"the null value {spec.null!r} is no {spec.dtype}")


def _refuse(wrong: Array, per_row: int, reason: str) -> None:
    """Raise `BadRows` for the rows that hold the wrong elements, if there are any."""
    found = np.flatnonzero(wrong)
    if len(found):
        raise BadRows(np.unique(found // per_row).tolist(), reason)
