"""JSON that is not plain, read by Python: a number stays what the text says, digit by digit.

What has more than one meaning is refused: a name that is there twice, text after the value.
"""

from __future__ import annotations

import json
from typing import Any


class Number(str):
    """A number as it is written."""

    __slots__ = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=Number
)


def read(text: str) -> Any:
    """A JSON text, or `...` where it is none."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return ...


def text_of(value: Any) -> str | None:
    """A value as text: strings and numbers as they are, others as JSON without spaces."""
    if value is None or isinstance(value, str):
        return value
    return _written(value)


def _written(value: Any) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        pairs = (f"{json.dumps(k, ensure_ascii=False)}:{_written(v)}" for k, v in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
