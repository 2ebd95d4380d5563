"""Arrow strings to TensorFlow strings without a Python object per row.

A `TensorProto` with one `string_val` per row is written by Arrow's own kernels: tag, length and
value joined row by row are, one after the other in the joined array's data buffer, the field's
encoding. TensorFlow parses it in C++.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.tensors import Array
from tfspark.tfrecord.codec import varint

_TAG = b"\x42"  # string_val: field 8, length-delimited
_MOST_BYTES = 1 << 30  # a protocol buffer ends at 2 GiB
_SAMPLE, _FEW = 1024, 64


def to_tf_strings(array: pa.Array | pa.ChunkedArray, rows: Array | None = None) -> Any:
    """A string or binary column as a tf.string tensor [rows]; a null is an empty string.

    Args:
        array: an array of any text or binary type, dictionary-encoded or not.
        rows: take these rows, in this order; None: all.

    Raises:
        TypeError: the column is of another type.
    """
    import tensorflow as tf

    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
    array = _as_binary(array)
    if _repeats(array):
        array = array.dictionary_encode()
    if rows is not None:
        array = array.take(pa.array(rows))
    if isinstance(array, pa.DictionaryArray):
        codes = pc.fill_null(array.indices, len(array.dictionary)).to_numpy()
        values = pa.concat_arrays([array.dictionary, pa.array([b""], array.dictionary.type)])
        return tf.gather(_parse(_filled(values)), codes)
    pieces = [_parse(piece) for piece in _pieces(_filled(array))]
    return pieces[0] if len(pieces) == 1 else tf.concat(pieces, 0)


def _as_binary(array: pa.Array) -> pa.Array:
    t, kind = pa.types, array.type
    coded = t.is_dictionary(kind)
    leaf = kind.value_type if coded else kind
    texts = (t.is_string, t.is_large_string, t.is_string_view, t.is_fixed_size_binary)
    bytes_ = (t.is_binary, t.is_large_binary, t.is_binary_view)
    if not any(is_one(leaf) for is_one in (*texts, *bytes_)):
        raise TypeError(f"{kind} is neither text nor binary")
    if coded:
        values = array.dictionary.cast(pa.large_binary())
        return pa.DictionaryArray.from_arrays(array.indices, values)
    return array.cast(pa.large_binary())


def _filled(array: pa.Array) -> pa.Array:
    return array.fill_null(b"") if array.null_count else array


def _repeats(array: pa.Array) -> bool:
    """Whether a column looks like one of few values: then they are made once and gathered."""
    if len(array) <= _SAMPLE or pa.types.is_dictionary(array.type):
        return False
    return len(array.slice(0, _SAMPLE).unique()) <= _FEW


def _pieces(array: pa.Array) -> list[pa.Array]:
    """The array, in halves of halves where it is too long for one message."""
    if array.nbytes <= _MOST_BYTES or len(array) < 2:
        return [array]
    half = len(array) // 2
    return [*_pieces(array.slice(0, half)), *_pieces(array.slice(half))]


def _parse(array: pa.Array) -> Any:
    import tensorflow as tf

    lengths = pc.binary_length(array).dictionary_encode()
    table = [_TAG + varint.one(length) for length in lengths.dictionary.to_pylist()]
    prefixes = pa.array(table, pa.large_binary()).take(lengths.indices)
    joined = pc.binary_join_element_wise(prefixes, array, pa.scalar(b"", pa.large_binary()))
    dim = b"\x08" + varint.one(len(array))
    shape = b"\x12" + varint.one(len(dim)) + dim  # TensorShapeProto.dim
    header = b"\x08\x07\x12" + varint.one(len(shape)) + shape  # dtype: DT_STRING, tensor_shape
    _, offsets, data = joined.buffers()
    ends = np.frombuffer(offsets, "int64")[[joined.offset, joined.offset + len(joined)]]
    values = memoryview(data)[ends[0] : ends[1]] if data is not None else b""
    return tf.io.parse_tensor(b"".join([header, values]), tf.string)
