"""The body of a `classify` or `regress` request as serialised `tf.train.Example`s."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tfspark.serving.refused import Refused, shown
from tfspark.serving.values import is_base64, tensor
from tfspark.tensors import Array
from tfspark.tfrecord.codec import varint

_BYTES, _FLOAT, _INT64 = 1, 2, 3  # the lists of a Feature
_NAMES = {_BYTES: "bytes", _FLOAT: "float", _INT64: "int64"}
_JSON = {type(None): "Null", dict: "Object", list: "Array"}


def examples_of(asked: Mapping[str, Any], method: str) -> Array:
    """A serialised example for each one in the request; what is in `context` is in all of them.

    Raises:
        Refused: they are not there, or a value becomes no feature.
    """
    context = _features(asked["context"]) if "context" in asked else {}
    where = f"JSON Value: {shown(asked)}"
    if "examples" not in asked:
        raise Refused(
            f"{where} When method is {method}, key 'examples' is expected and was not found"
        )
    given = asked["examples"]
    if type(given) is not list:
        raise Refused(f"{where} Expecting 'examples' value to be an list/array")
    if not given:
        raise Refused(f"{where} 'examples' value is an empty array")
    texts = np.empty(len(given), object)
    texts[:] = [_example({**context, **_features(one)}) for one in given]
    return texts


def field(number: int, content: bytes) -> bytes:
    """A field of a protobuf message that has a length: a text, bytes, a message, packed numbers."""
    return varint.one(number << 3 | 2) + varint.one(len(content)) + content


def _features(value: Any) -> dict[str, bytes]:
    if type(value) is not dict:
        kind = "Array" if type(value) is list else "String" if type(value) is str else "Number"
        raise Refused(f"Example must be JSON object but got JSON {_JSON.get(type(value), kind)}")
    return {name: _feature(name, one) for name, one in value.items()}


def _feature(name: str, value: Any) -> bytes:
    values = value if type(value) is list else [value]
    kinds = [_kind(name, one) for one in values]
    if not kinds:
        return b""
    kind = kinds[0]
    if set(kinds) != {kind}:
        raise Refused(f"Unexpected element type in feature: {name} expecting type: {_NAMES[kind]}")
    if kind == _BYTES:
        inside = b"".join(field(1, text) for text in tensor(values, "string"))
    elif kind == _FLOAT:
        inside = field(1, b"".join(struct.pack("<f", one) for one in tensor(values, "float32")))
    else:
        inside = field(1, b"".join(varint.one(int(value) % (1 << 64)) for value in values))
    return field(kind, inside)


def _kind(name: str, value: Any) -> int:
    if type(value) is str or is_base64(value):
        return _BYTES
    if type(value) is float:
        return _FLOAT
    if type(value) not in (int, bool):
        kind = _JSON[type(value)]
        raise Refused(f"Feature: {name} has element with unexpected JSON type: {kind}")
    if not -(2**63) <= value < 2**63:
        raise Refused(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    return _INT64


def _example(features: Mapping[str, bytes]) -> bytes:
    return field(1, _joined(field(1, name.encode()) + field(2, f) for name, f in features.items()))


def _joined(entries: Iterable[bytes]) -> bytes:
    return b"".join(field(1, entry) for entry in entries)
