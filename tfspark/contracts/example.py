"""The columns of a contract as TensorFlow's feature specs: what tf.data parses our files with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfspark.contracts.column import Column
from tfspark.contracts.types import family
from tfspark.tensors.spec import default_null

_FLOATS = ("float", "double")
_TEXTS = ("string", "binary", "decimal")


def example_spec(
    columns: Sequence[Column], narrow: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """See `Contract.example_spec`."""
    return {
        column.name: _feature(column, *_leaf(column, narrow or {}))
        for column in columns
        if _leaf(column, {})[1] < 2
    }


def sequence_spec(
    columns: Sequence[Column], narrow: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """See `Contract.sequence_spec`."""
    import tensorflow as tf

    leaves = {column.name: _leaf(column, narrow or {}) for column in columns}
    return {
        name: tf.io.RaggedFeature(dtype) for name, (dtype, depth) in leaves.items() if depth == 2
    }


def _leaf(column: Column, narrow: Mapping[str, str]) -> tuple[str, int]:
    """The dtype of a column's values in the file, and how many list levels are around them."""
    kind, depth = column.physical_type, 0
    while family(kind) == "array":
        kind, depth = kind[len("array<") : -1].strip(), depth + 1
    kind = family(kind)
    if kind in _FLOATS or narrow.get(column.name) == "float":
        return "float32", depth
    return "string" if kind in _TEXTS else "int64", depth


def _feature(column: Column, dtype: str, depth: int) -> Any:
    import tensorflow as tf

    null = column.tensor.null_value
    shape = column.tensor.shape or ()
    if null is not None and dtype == "string":
        null = str(null)  # a decimal's is a number
    if not depth:
        null = default_null(dtype) if null is None else null
        default = None if column.required else tf.constant(null, dtype)
        return tf.io.FixedLenFeature([], dtype, default)
    if None in shape or not shape or (null is None and not column.required):
        return tf.io.RaggedFeature(dtype)
    default = None if column.required else tf.fill(shape, tf.constant(null, dtype))
    return tf.io.FixedLenFeature(shape, dtype, default)
