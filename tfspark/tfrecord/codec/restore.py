"""Values as a record holds them, to the type that the schema declares: never another value."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.tensors import arrowtypes

RAW = {"bytes": pa.large_binary(), "float": pa.float32(), "int64": pa.int64()}


class MisfitError(ValueError):
    """A record does not fit the schema: `row` of those that were given."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row, self.reason = row, reason


def restore(name: str, leaf: pa.DataType, raw: pa.Array) -> pa.Array:
    """Flat values of one of the types `RAW` as another type; `name` is for messages.

    Raises:
        MisfitError: a value that the type does not hold; `row` is its place.
    """
    try:
        return _typed(leaf, raw)
    except pa.ArrowException as error:
        raise MisfitError(_first_wrong(leaf, raw), f"{name} is no {leaf}: {error}") from None


def _first_wrong(leaf: pa.DataType, raw: pa.Array) -> int:
    """The first value that is not of the type, by halves."""
    start, size = 0, len(raw)
    while size > 1:
        try:
            _typed(leaf, raw.slice(start, size // 2))
        except pa.ArrowException:
            size //= 2
        else:
            start, size = start + size // 2, size - size // 2
    return start


def _typed(leaf: pa.DataType, raw: pa.Array) -> pa.Array:
    t = pa.types
    if raw.type == leaf:
        return raw
    if t.is_boolean(leaf):
        if pc.any(pc.greater(raw.view(pa.uint64()), 1)).as_py():
            raise pa.ArrowInvalid("a boolean is 0 or 1")
        return raw.cast(leaf)
    if t.is_date32(leaf) or t.is_time32(leaf):
        return raw.cast(pa.int32()).view(leaf)
    if t.is_temporal(leaf):
        return raw.view(leaf)
    if t.is_float16(leaf):
        half = raw.cast(leaf, safe=False)
        again, wanted = (a.to_numpy(zero_copy_only=False) for a in (half.cast(raw.type), raw))
        if not np.array_equal(again, wanted, equal_nan=True):
            raise pa.ArrowInvalid("a number that half a float does not hold")
        return half
    if t.is_decimal(leaf) and t.is_float32(raw.type):
        return _rounded(leaf, raw)
    if t.is_decimal(leaf):
        return raw.cast(pa.string()).cast(leaf)
    if t.is_fixed_size_binary(leaf):
        return raw.cast(pa.binary()).cast(leaf)
    if arrowtypes.is_text(leaf):
        return raw.cast(pa.large_string()).cast(leaf)
    return raw.cast(leaf)


def _rounded(leaf: pa.DataType, raw: pa.Array) -> pa.Array:
    """Floats as decimals: the number that a float is, rounded to the scale."""
    exact = Context(prec=leaf.precision, rounding=ROUND_HALF_UP)
    step = Decimal(1).scaleb(-leaf.scale)
    made = []
    for value in raw.to_pylist():
        try:
            found = None if value is None else Decimal(value).quantize(step, context=exact)
        except InvalidOperation:
            found = Decimal("nan")
        if found is not None and found.is_nan():
            raise pa.ArrowInvalid("a number that it does not hold")
        made.append(found)
    return pa.array(made, leaf)
