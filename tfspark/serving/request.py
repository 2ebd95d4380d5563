"""The body of a `predict` request as tensors by name: TensorFlow Serving's two formats."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from tfspark.serving.refused import Refused, shown
from tfspark.serving.values import fast, is_base64, tensor, walk
from tfspark.tensors import Array, TensorSpec


def parse(body: bytes) -> dict[str, Any]:
    """The object in a body. `NaN`, `Infinity` and `-Infinity` are numbers.

    Raises:
        Refused: it is no such object.
    """
    try:
        text = body.decode("utf-8-sig")
        start = len(text) - len(text.lstrip(" \t\n\r"))
        if start == len(text):
            raise _unparsed("The document is empty")
        found, _ = _DECODER.raw_decode(text, start)  # what follows is not looked at
    except json.JSONDecodeError as error:
        said = {"Expecting value": "Invalid value."}.get(error.msg, error.msg)
        raise _unparsed(f"{said} at offset: {error.pos}") from None
    except UnicodeDecodeError as error:
        raise _unparsed(f"Invalid encoding in string. at offset: {error.start}") from None
    except RecursionError:
        raise _unparsed("it is nested too deeply") from None
    except ValueError as error:  # an integer of thousands of digits
        raise _unparsed(str(error)) from None
    if type(found) is not dict:
        raise Refused(f"JSON Value: {shown(found)} Is not object")
    return found


def signature_of(asked: Mapping[str, Any], default: str) -> str:
    """The signature that a request names.

    Raises:
        Refused: its name is no text.
    """
    name = asked.get("signature_name", default)
    if type(name) is not str:
        raise Refused(
            f"JSON Value: {shown(asked)} not formatted correctly. 'signature_name' key must be a "
            "string value."
        )
    return name or default


def tensors_of(
    asked: Mapping[str, Any], inputs: Mapping[str, TensorSpec]
) -> tuple[dict[str, Array], bool]:
    """The tensors of a request, and whether it came in rows.

    Raises:
        Refused: they are not there, or not as the inputs are.
    """
    if "instances" in asked and "inputs" in asked:
        raise Refused(
            f"JSON Value: {shown(asked)} Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist "
        )
    if "instances" in asked:
        rows = asked["instances"]
        if type(rows) is not list:
            raise Refused(f"JSON Value: {shown(asked)} Expecting 'instances' to be an list/array")
        if not rows:
            raise Refused(f"JSON Value: {shown(asked)} No values in 'instances' array")
        return _from_rows(rows, inputs), True
    if "inputs" in asked:
        return _from_columns(asked["inputs"], inputs), False
    raise Refused("Missing 'inputs' or 'instances' key")


def _from_rows(rows: list[Any], inputs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    first = rows[0]
    if type(first) is not dict and len(inputs) > 1:
        raise Refused(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    named = type(first) is dict and not is_base64(first)
    if not named:
        name, spec = next(iter(inputs.items()))
        if len(inputs) > 1:
            raise Refused(f"Missing named input: {name} in 'instances' list.")
        found = None if any(map(_is_object, rows)) else fast(rows, spec.dtype)
        if found is None:
            _complain(rows, inputs, named=False)
        return {name: found}
    if not all(_is_object(row) and row.keys() == inputs.keys() for row in rows):
        _complain(rows, inputs, named=True)
    tensors: dict[str, Array] = {}
    for name, spec in inputs.items():
        column = fast([row[name] for row in rows], spec.dtype)
        if column is None:
            _complain(rows, inputs, named=True)
        tensors[name] = column
    return tensors


def _complain(rows: list[Any], inputs: Mapping[str, TensorSpec], named: bool) -> NoReturn:
    """Say what is wrong with the first row that is not as it must be."""
    seen: dict[str, tuple[int, list[int]]] = {}
    for number, row in enumerate(rows):
        if _is_object(row) != named:
            wanted, got = ("object", "list") if named else ("value/list", "object")
            raise Refused(f"Expecting {wanted} but got {got} at item {number} of input list")
        for name, value in row.items() if named else [(next(iter(inputs)), row)]:
            try:
                _look(name, value, inputs, seen)
            except Refused as refused:
                key = f" key: {name}" if named else ""
                raise Refused(
                    f"Failed to process element: {number}{key} of 'instances' list. Error: "
                    f"INVALID_ARGUMENT: {refused}",
                    refused.status,
                ) from None
        if named and row.keys() != inputs.keys():
            raise Refused(
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{shown(row)} keys must be equal to: {','.join(sorted(inputs))}"
            )
    raise Refused("the rows of 'instances' do not become tensors")


def _look(
    name: str,
    value: Any,
    inputs: Mapping[str, TensorSpec],
    seen: dict[str, tuple[int, list[int]]],
) -> None:
    if name not in inputs:
        raise Refused(f"JSON object: does not have named input: {name}")
    size, shape = walk(value, inputs[name].dtype)
    before = seen.setdefault(name, (size, shape))
    if before[0] != size:
        raise Refused(f"Expecting tensor size: {before[0]} but got: {size}")
    if before[1] != shape:
        raise Refused(f"Expecting shape {_shape(before[1])} but got: {_shape(shape)}")


def _from_columns(given: Any, inputs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    if type(given) is not dict or is_base64(given):
        if len(inputs) > 1:
            raise Refused(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        name, spec = next(iter(inputs.items()))
        return {name: tensor(given, spec.dtype)}
    for name in inputs:
        if name not in given:
            raise Refused(f"Missing named input: {name} in 'inputs' object.")
    return {name: tensor(given[name], spec.dtype) for name, spec in inputs.items()}


def _is_object(value: Any) -> bool:
    return type(value) is dict and not is_base64(value)


def _shape(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _unparsed(said: str) -> Refused:
    return Refused(f"JSON Parse error: {said}")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _unparsed("Number too big to be stored in double.")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _unparsed(f"an object has a key twice: {shown(list(found))}")
    return found


_DECODER = json.JSONDecoder(parse_float=_finite, object_pairs_hook=_once)
