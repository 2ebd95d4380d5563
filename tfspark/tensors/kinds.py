"""Which Arrow types become which tensors, told by the types alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfspark.tensors.spec import TensorSpec

Array = npt.NDArray[Any]

FLOATS = ("float16", "bfloat16", "float32", "float64")
ARROW = {
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
DTYPES = tuple(ARROW)
"""Every dtype that a column can become or come from."""


def arrow_type(spec: TensorSpec) -> pa.DataType:
    """The Arrow type of an output: [rows] and [rows, 1] give a scalar column, else lists.

    Args:
        spec: of the output, without the dimension of the rows.
    """
    kind = pa.binary() if spec.binary else ARROW[spec.dtype]
    for _ in () if spec.shape == (1,) else spec.shape:
        kind = pa.list_(kind)
    return kind


def misfit(kind: pa.DataType, spec: TensorSpec) -> str | None:
    """Why no column of this Arrow type can become this tensor; None if it can.

    Numbers widen, narrow with a check of their range, and become floats; nothing becomes an
    integer, a boolean or a string that is not one (cast it before: that is your decision).

    Args:
        kind: the column's type.
        spec: of the input, without the dimension of the rows.

    Returns:
        The reason, as messages say it, or None.
    """
    if spec.dtype not in ARROW:
        return f"dtype {spec.dtype} cannot be fed from a column; use one of {', '.join(DTYPES)}"
    if holds_values(kind, spec):
        return None
    depth, leaf = 0, kind
    while is_list(leaf):
        depth, leaf = depth + 1, leaf.value_type
    if pa.types.is_dictionary(leaf):
        leaf = leaf.value_type
    rank = len(spec.shape)
    flat = depth == 1 and rank > 1 and None not in spec.shape
    if depth != rank and not flat and not (depth == 0 and math.prod(known(spec.shape)) == 1):
        wanted = f"{rank}" if rank else "none"
        return f"{kind} has {depth or 'no'} list level(s), shape {list(spec.shape)} needs {wanted}"
    if pa.types.is_null(leaf) or _leaf_fits(leaf, spec.dtype):
        return None
    return f"{kind} does not become {spec.dtype} by itself: cast the column to the type you mean"


def holds_values(kind: pa.DataType, spec: TensorSpec) -> bool:
    """Whether a binary column holds a tensor's values end to end: pixels, mostly."""
    return (
        is_binary(kind) and spec.dtype != "string" and bool(spec.shape) and None not in spec.shape
    )


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of TensorFlow's name (strings are objects).

    Args:
        name: of a dtype, as TensorFlow says it.

    Returns:
        NumPy's dtype.
    """
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(object if name == "string" else name)


def is_list(kind: pa.DataType) -> bool:
    t = pa.types
    return bool(t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind))


def is_binary(kind: pa.DataType) -> bool:
    t = pa.types
    return bool(
        t.is_binary(kind)
        or t.is_large_binary(kind)
        or t.is_binary_view(kind)
        or t.is_fixed_size_binary(kind)
    )


def known(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(0 if size is None else size for size in shape)


def _leaf_fits(leaf: pa.DataType, dtype: str) -> bool:
    t = pa.types
    if dtype == "string":
        text = t.is_string(leaf) or t.is_large_string(leaf) or t.is_string_view(leaf)
        return bool(text or is_binary(leaf))
    if dtype == "bool":
        return bool(t.is_boolean(leaf))
    number = bool(t.is_integer(leaf) or t.is_boolean(leaf))
    if dtype in FLOATS:
        return number or bool(t.is_floating(leaf) or t.is_decimal(leaf))
    return number or bool(t.is_date(leaf) or t.is_timestamp(leaf))
