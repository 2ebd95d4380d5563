"""Tensors as the JSON of an answer, as TensorFlow Serving writes it: every number exact."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfspark.serving.refused import INTERNAL, Refused
from tfspark.serving.values import NAMES
from tfspark.tensors import Array

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")
_BYTES = "_bytes"
"""Outputs whose names end so are sent as base64."""


def predictions(outputs: Mapping[str, Array]) -> str:
    """The answer to a request in rows.

    Raises:
        Refused: the outputs have no row each, or a dtype that JSON has no value for.
    """
    rows = -1
    for name, tensor in outputs.items():
        if tensor.ndim == 0:
            raise Refused(f"Tensor name: {name} has no shape information ")
        if rows not in (-1, len(tensor)):
            raise Refused(
                f"Tensor name: {name} has inconsistent batch size: {len(tensor)} expecting: {rows}"
            )
        rows = len(tensor)
    columns = [_nested(_values(name, t), t.shape, 1) for name, t in outputs.items()]
    if len(columns) == 1:
        return _object("predictions", _list(columns[0]))
    keys = [json.dumps(name, ensure_ascii=False) for name in outputs]
    items = [_members(keys, row) for row in zip(*columns, strict=True)]
    return _object("predictions", _list(items))


def columns(outputs: Mapping[str, Array]) -> str:
    """The answer to a request in columns.

    Raises:
        Refused: a dtype that JSON has no value for.
    """
    texts = [_nested(_values(name, t), t.shape, 0)[0] for name, t in outputs.items()]
    if len(texts) == 1:
        return _object("outputs", texts[0])
    keys = [json.dumps(name, ensure_ascii=False) for name in outputs]
    return _object("outputs", _members(keys, texts))


def classifications(classes: Array | None, scores: Array | None) -> str:
    """The answer to `classify`: label and score of every class, by example."""
    shape = (classes if classes is not None else scores).shape  # type: ignore[union-attr]
    count = math.prod(shape)
    labels = _values("classes", classes) if classes is not None else ['""'] * count
    numbers = _values("scores", scores) if scores is not None else ["0.0"] * count
    pairs = [_list(pair) for pair in zip(labels, numbers, strict=True)]
    return _object("results", _nested(pairs, shape, 0)[0])


def regressions(values: Array) -> str:
    """The answer to `regress`: a number by example."""
    return _object("results", _list(_values("outputs", values.reshape(-1))))


def _values(name: str, tensor: Array) -> list[str]:
    """Every value of a tensor as JSON."""
    kind, flat = tensor.dtype, tensor.reshape(-1)
    if kind.kind == "O":
        return [_text(name, value) for value in flat]
    if kind.name == "bool":
        return ["true" if value else "false" for value in flat.tolist()]
    if kind.name in _INTEGERS:
        return [str(value) for value in flat.tolist()]
    if kind.name in ("float32", "float64"):
        again: Callable[[str], Any] = np.float32 if kind.name == "float32" else float
        digits = 9 if kind.name == "float32" else 17
        return [_decimal(value, digits, again) for value in flat.tolist()]
    said = f"Failed to write JSON value for tensor type: {NAMES.get(kind.name, kind.name)}"
    raise Refused(said)


def _text(name: str, value: Any) -> str:
    content = value if isinstance(value, bytes) else str(value).encode()
    if name.endswith(_BYTES):
        return _object("b64", json.dumps(base64.b64encode(content).decode()))
    try:
        return json.dumps(content.decode(), ensure_ascii=False)
    except UnicodeDecodeError:
        raise Refused(
            f"Tensor name: {name} holds bytes that are no text; only outputs whose names end in "
            f"{_BYTES} are sent as bytes",
            INTERNAL,
        ) from None


def _decimal(value: float, digits: int, again: Callable[[str], Any]) -> str:
    if not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    text = f"{value:g}"
    if again(text) != value:
        text = f"{value:.{digits}g}"
    return text if "." in text or "e" in text else text + ".0"


def _nested(texts: list[str], shape: Sequence[int], keep: int) -> list[str]:
    """Values in lists of lists, but for the first `keep` dimensions."""
    for depth in range(len(shape) - 1, keep - 1, -1):
        count, size = math.prod(shape[:depth]), shape[depth]
        texts = [_list(texts[at * size : (at + 1) * size]) for at in range(count)]
    return texts


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(texts)}]"


def _members(keys: Sequence[str], texts: Sequence[str]) -> str:
    return f"{{{', '.join(f'{key}: {text}' for key, text in zip(keys, texts, strict=True))}}}"


def _object(key: str, text: str) -> str:
    return f'{{"{key}": {text}}}'
