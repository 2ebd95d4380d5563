"""A tensor as an Arrow column."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from tfspark.errors import SignatureError
from tfspark.tensors.kinds import ARROW, Array
from tfspark.tensors.rows import refuse
from tfspark.tensors.spec import TensorSpec


def to_arrow(tensor: Array, spec: TensorSpec) -> pa.Array:
    """A tensor [rows, *shape] as a column of `arrow_type(spec)`.

    Args:
        tensor: the output of a model.
        spec: of the output, without the dimension of the rows.

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
        values = pa.array(flat.astype(object, copy=False), pa.binary())
        values = values if spec.binary else values.cast(pa.string())
    else:
        if spec.dtype == "uint64":
            refuse(flat > np.iinfo("int64").max, per_row, "above the largest bigint")
        values = pa.array(flat.astype(ARROW[spec.dtype].to_pandas_dtype(), copy=False))
    for depth in range(tensor.ndim - 1, 0, -1):
        count, size = math.prod(tensor.shape[:depth]), tensor.shape[depth]
        offsets = (np.arange(count + 1, dtype="int64") * size).astype("int32")
        values = pa.ListArray.from_arrays(pa.array(offsets), values)
    return values


def _fits(actual: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(actual) == len(shape) and all(
        want in (None, size) for size, want in zip(actual, shape, strict=True)
    )
