"""A column of a record batch as flat arrays, as the loop that writes records walks them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.tensors import Array
from tfspark.tfrecord.codec.schema import Feature


class RefusedError(ValueError):
    """No record holds the value."""


@dataclass(frozen=True)
class Flat:
    """The values of one feature.

    Attributes:
        levels: rows, then inner lists: which are not null, bool [n] (None: all are), and where
            each one's elements begin, int64 [n + 1] (None: each is one value).
        numbers: int64: the integers, or where strings begin in `data`, [values + 1].
        data: the floats, float32 [values], or the bytes of strings, uint8.
    """

    levels: list[tuple[Array | None, Array | None]]
    numbers: Array | None
    data: Array | None


def flat(feature: Feature, batch: pa.RecordBatch) -> Flat:
    """The values of a feature in every row of a batch.

    Raises:
        RefusedError: a value that the file cannot hold: a null inside a list, a finite double
            beyond float, a uint64 beyond int64; says the column and the row of the batch.
    """
    try:
        array = batch.column(feature.path[0])
        for name in feature.path[1:]:
            array = pc.struct_field(array, name)
        array = _plain(array)
        if feature.marker:
            return Flat([(_marked(array), np.zeros(len(array) + 1, "int64"))], None, None)
        if not feature.depth:
            return Flat([(_valid(array), None)], *_values(feature, array, []))
        levels = []
        for _ in range(feature.depth):
            counts = pc.list_value_length(array).fill_null(0).to_numpy()
            bounds = np.zeros(len(counts) + 1, "int64")
            np.cumsum(counts, out=bounds[1:])
            levels.append((_valid(array), bounds))
            array = _plain(array.flatten())
        every = [bounds for _, bounds in levels]
        if array.null_count:
            null = array.is_null().to_numpy(zero_copy_only=False)
            hint = "a null inside its list, which a feature cannot hold: fill it or take it out"
            _refuse(null, every, hint)
        return Flat([*levels], *_values(feature, array, every))
    except (RefusedError, pa.ArrowException) as error:
        raise RefusedError(f"column {feature.name}: {error}") from None


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _valid(array: pa.Array) -> Array | None:
    if not array.null_count:
        return None
    valid: Array = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _marked(array: pa.StructArray) -> Array:
    """Where the struct is there and none of its fields."""
    here = array.is_valid()
    for number in range(array.type.num_fields):
        here = pc.and_(here, pc.struct_field(array, [number]).is_null())
    marked: Array = here.to_numpy(zero_copy_only=False)
    return marked


def _values(
    feature: Feature, values: pa.Array, bounds: list[Array]
) -> tuple[Array | None, Array | None]:
    """`Flat.numbers` and `Flat.data`; `bounds` are those of the levels."""
    if feature.kind == "float":
        return None, _floats(values, bounds)
    if feature.kind == "int64":
        return _integers(values, bounds), None
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.string())
    elif pa.types.is_fixed_size_binary(values.type):
        values = values.cast(pa.binary())
    values = values.cast(pa.large_binary())
    if not len(values):
        return None, None
    _, offsets, data = values.buffers()
    starts = np.frombuffer(offsets, "int64", len(values) + 1, 8 * values.offset)
    return starts, np.frombuffer(data, "uint8") if data is not None else None


def _floats(values: pa.Array, bounds: list[Array]) -> Array:
    if pa.types.is_float32(values.type):
        return _numpy(values)
    wide = _numpy(values.cast(pa.float64()))
    with np.errstate(over="ignore"):
        out = wide.astype("float32")
    _refuse(np.isinf(out) & np.isfinite(wide), bounds, "a number beyond the range of float")
    return out


def _integers(values: pa.Array, bounds: list[Array]) -> Array:
    t, kind = pa.types, values.type
    if t.is_boolean(kind):
        values = values.cast(pa.int8())
    elif t.is_date32(kind) or t.is_time32(kind):
        values = values.view(pa.int32())
    elif t.is_temporal(kind):
        values = values.view(pa.int64())
    plain = _numpy(values)
    if plain.dtype == "uint64":
        _refuse(plain > np.iinfo("int64").max, bounds, "a number beyond the range of int64")
    return plain.astype("int64", copy=False)


def _numpy(values: pa.Array) -> Array:
    """Numbers, 0 for null."""
    filled: Array = (values.fill_null(0) if values.null_count else values).to_numpy()
    return filled


def _refuse(wrong: Array, bounds: list[Array], what: str) -> None:
    found = np.flatnonzero(wrong)
    if len(found):
        row = int(found[0])
        for starts in reversed(bounds):
            row = int(np.searchsorted(starts, row, "right")) - 1
        raise RefusedError(f"row {row} of the batch has {what}: narrow the column before")
