"""JSON values as tensors, with TensorFlow Serving's rules: nothing becomes what it is not.

Numbers are exact, but for what a float cannot hold. `fast` takes a whole list at once; what it
does not take is walked value by value, for the message.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from tfspark.serving.refused import UNIMPLEMENTED, Refused, mistyped, shown
from tfspark.tensors import Array

NAMES = {"float32": "float", "float64": "double", "float16": "half"}
"""What TensorFlow Serving calls a dtype, where it has another name."""
_FLOATS = ("float32", "float64")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")


def tensor(value: Any, dtype: str) -> Array:
    """A value, or nested lists of values.

    Raises:
        Refused: it is ragged, or holds a value of another type.
    """
    found = fast([value], dtype)
    if found is not None:
        return found[0] if dtype != "string" or found.ndim > 1 else np.array(found[0], object)
    walk(value, dtype)
    raise mistyped(value, NAMES.get(dtype, dtype))


def fast(items: list[Any], dtype: str) -> Array | None:
    """Values of one shape as a tensor [items, *shape]; None if they are none."""
    flat, shape = items, [len(items)]
    while flat and type(flat[0]) is list:
        size = len(flat[0])
        if not all(type(one) is list and len(one) == size for one in flat):
            return None
        shape.append(size)
        flat = list(chain.from_iterable(flat))
    found = _leaves(flat, dtype)
    return None if found is None else found.reshape(shape)


def walk(value: Any, dtype: str) -> tuple[int, list[int]]:
    """Look at every value.

    Returns:
        How many there are, and the shape.

    Raises:
        Refused: at the first one that is not where, or what, it must be.
    """
    shape = _shape(value)
    return _walked(value, 0, shape, dtype), shape


def is_base64(value: Any) -> bool:
    """Whether it is bytes: `{"b64": TEXT}`."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def _leaves(flat: list[Any], dtype: str) -> Array | None:
    kinds = set(map(type, flat))
    if dtype == "string":
        if not kinds <= {str, dict}:
            return None
        texts = np.empty(len(flat), object)
        texts[:] = [_bytes(value) for value in flat]
        return texts
    try:
        if dtype in _FLOATS and kinds <= {int, float}:
            with np.errstate(over="ignore"):  # above the largest float is infinity, as there
                return np.array(flat, "float64").astype(dtype)
        if (dtype in _INTEGERS and kinds <= {int}) or (dtype == "bool" and kinds <= {bool}):
            return np.array(flat, dtype)
    except OverflowError:
        return None
    if dtype not in (*_FLOATS, *_INTEGERS, "bool"):
        kind = NAMES.get(dtype, dtype)
        said = f"Conversion of JSON Value: {shown(flat[:1])} to type: {kind}"
        raise Refused(said, UNIMPLEMENTED)
    return None


def _bytes(value: Any) -> bytes:
    if type(value) is str:
        try:
            return value.encode()
        except UnicodeEncodeError:
            said = "JSON Parse error: The surrogate pair in string is invalid."
            raise Refused(said) from None
    if not is_base64(value):
        raise Refused(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split())
    bare = text.rstrip("=")
    try:
        if text != bare and (len(text) % 4 or len(text) - len(bare) > 2):
            raise binascii.Error("padding")
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Refused("Unable to base64 decode") from None


def _shape(value: Any) -> list[int]:
    shape = []
    while type(value) is list:
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _walked(value: Any, level: int, shape: Sequence[int], dtype: str) -> int:
    rank = len(shape)
    if type(value) is not list:
        if level != rank:
            raise Refused(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON "
                f"DOM. Expected at level: {rank}"
            )
        if _leaves([value], dtype) is None:
            raise mistyped(value, NAMES.get(dtype, dtype))
        return 1
    if level >= rank:
        raise Refused(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise Refused(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: "
            f"{shape[level]}"
        )
    return sum(_walked(one, level + 1, shape, dtype) for one in value)
