"""Values of a feature as they were found, to the Arrow column that the schema declares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.tensors import Array
from tfspark.tfrecord import types
from tfspark.tfrecord.schema import Feature

RAW = {"bytes": pa.large_binary(), "float": pa.float32(), "int64": pa.int64()}
ABSENT = -1


class MisfitError(ValueError):
    """A record does not fit the schema: `row` of those that were given."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row, self.reason = row, reason


@dataclass(frozen=True)
class Values:
    """What rows hold of one feature.

    Attributes:
        counts: int64 [rows]: how many values, or lists; `ABSENT` without the feature.
        values: of type `RAW[kind]`, those of all rows, flat.
        inner: int64 [lists], for lists of lists: how many values each has, `ABSENT` if null.
    """

    counts: Array
    values: pa.Array
    inner: Array | None = None


def restore(feature: Feature, found: Values, nullable: bool) -> pa.Array:
    """The column of a feature: of type `feature.type` [rows].

    Raises:
        MisfitError: a record has no such feature where null is not allowed, has another number
            of values, or a value that the type does not hold.
    """
    counts = found.counts
    absent = counts == ABSENT
    missing = bool(absent.any())
    if missing and not nullable:
        raise MisfitError(int(np.argmax(absent)), f"has no feature {feature.name}")
    if feature.depth == 0:
        wrong = ~absent & (counts != 1)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise MisfitError(
                row, f"has {counts[row]} values in {feature.name}, the schema says one"
            )
        leaf = _leaf(feature, found, np.flatnonzero(~absent))
        if not missing:
            return leaf
        at = np.where(absent, 0, np.cumsum(~absent) - 1)
        return leaf.take(pa.array(at, mask=absent))
    owners = np.repeat(np.arange(len(counts)), np.maximum(counts, 0))
    kind = feature.type
    if feature.depth == 1:
        return _list(feature, kind, counts, _leaf(feature, found, owners), np.arange(len(counts)))
    inner = found.inner if found.inner is not None else np.empty(0, "int64")
    of_values = np.repeat(owners, np.maximum(inner, 0))
    lists = _list(feature, kind.value_type, inner, _leaf(feature, found, of_values), owners)
    return _list(feature, kind, counts, lists, np.arange(len(counts)))


def _list(
    feature: Feature, kind: pa.DataType, counts: Array, values: pa.Array, rows: Array
) -> pa.Array:
    """Lists of these counts; `rows` are the rows that they are of."""
    absent = counts == ABSENT
    sizes = np.maximum(counts, 0)
    missing = bool(absent.any())
    if pa.types.is_fixed_size_list(kind):
        size = kind.list_size
        wrong = ~absent & (counts != size)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise MisfitError(
                int(rows[at]), f"has {counts[at]} values in {feature.name}, the type says {size}"
            )
        if not missing:
            return pa.FixedSizeListArray.from_arrays(values, type=kind)
        place = np.cumsum(~absent) - 1
        every = np.where(absent[:, None], 0, place[:, None] * size + np.arange(size))
        none = np.repeat(absent, size)
        values = values.take(pa.array(every.reshape(-1), mask=none))
        return pa.FixedSizeListArray.from_arrays(values, type=kind, mask=pa.array(absent))
    large = pa.types.is_large_list(kind)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    if not large and ends[-1] > np.iinfo("int32").max:
        raise MisfitError(0, f"begins a batch with too many values of {feature.name}")
    offsets = pa.array(ends.astype("int64" if large else "int32"))
    make = pa.LargeListArray if large else pa.ListArray
    mask = pa.array(absent) if missing else None
    return make.from_arrays(offsets, values, type=kind, mask=mask)


def _leaf(feature: Feature, found: Values, owners: Array) -> pa.Array:
    try:
        return _typed(feature.leaf, found.values)
    except pa.ArrowException as error:
        row = int(owners[_first_wrong(feature.leaf, found.values)])
        raise MisfitError(row, f"{feature.name} is no {feature.leaf}: {error}") from None


def _first_wrong(leaf: pa.DataType, values: pa.Array) -> int:
    """The first value that is not of the type, by halves."""
    start, size = 0, len(values)
    while size > 1:
        try:
            _typed(leaf, values.slice(start, size // 2))
        except pa.ArrowException:
            size //= 2
        else:
            start, size = start + size // 2, size - size // 2
    return start


def _typed(leaf: pa.DataType, raw: pa.Array) -> pa.Array:
    """Flat values without nulls → the type, checked: never another value."""
    t = pa.types
    if raw.type == leaf:
        return raw
    if t.is_boolean(leaf):
        if len(raw) and (pc.min(raw).as_py() < 0 or pc.max(raw).as_py() > 1):
            raise pa.ArrowInvalid("a boolean is 0 or 1")
        return raw.cast(leaf)
    if t.is_date32(leaf) or t.is_time32(leaf):
        return raw.cast(pa.int32()).view(leaf)
    if t.is_temporal(leaf):
        return raw.view(leaf)
    if t.is_float16(leaf):
        with np.errstate(over="ignore"):
            half = raw.to_numpy().astype("float16")
        if not np.array_equal(half.astype("float32"), raw.to_numpy(), equal_nan=True):
            raise pa.ArrowInvalid("a number that half a float does not hold")
        return pa.array(half)
    if t.is_decimal(leaf):
        return raw.cast(pa.string()).cast(leaf)
    if t.is_fixed_size_binary(leaf):
        return raw.cast(pa.binary()).cast(leaf)
    if types.is_text(leaf):
        return raw.cast(pa.large_string()).cast(leaf)
    return raw.cast(leaf)
