"""A tensor that stands in a file of TensorFlow's, without TensorFlow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tfspark.tensors import Array

_KINDS = {
    1: ("float32", "float_val"),
    2: ("float64", "double_val"),
    3: ("int32", "int_val"),
    4: ("uint8", "int_val"),
    5: ("int16", "int_val"),
    6: ("int8", "int_val"),
    7: ("object", "string_val"),
    9: ("int64", "int64_val"),
    10: ("bool", "bool_val"),
    17: ("uint16", "int_val"),
    22: ("uint32", "uint32_val"),
    23: ("uint64", "uint64_val"),
}


def value_of(proto: Any) -> Array | None:
    """The values of a `TensorProto`; None of a dtype that is not read here, or if it is damaged."""
    if proto.dtype not in _KINDS:
        return None
    dtype, where = _KINDS[proto.dtype]
    shape = [dim.size for dim in proto.tensor_shape.dim]
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count > 1 << 20:
        return None
    if proto.tensor_content and dtype != "object":
        content = np.frombuffer(proto.tensor_content, np.dtype(dtype).newbyteorder("<"))
        return content.reshape(shape).astype(dtype) if len(content) == count else None
    said = list(getattr(proto, where))
    if not said or len(said) > count:
        return None if count else np.empty(shape, dtype)
    values = np.empty(count, dtype)
    values[:] = said + [said[-1]] * (count - len(said))  # the last one fills up
    return values.reshape(shape)
