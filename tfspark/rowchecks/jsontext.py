"""JSON: lines whose fields are taken out as text, and lists that stand in a text.

A number stays what the file says, digit by digit. What has more than one meaning is refused: a name
that is there twice, text after the value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from tfspark.rowchecks.arrays import only, rows_with
from tfspark.rowchecks.parse import parser


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


def _read(text: str) -> Any:
    """A JSON text, or `...` where it is none."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return ...


def fields(lines: pa.Array, names: Sequence[str]) -> tuple[list[pa.Array], pa.Array]:
    """The fields of lines as text, and those lines that are no objects with fields."""
    found: list[list[str | None]] = [[] for _ in names]
    broken: list[str | None] = []
    for line in lines.to_pylist():
        read = ... if line is None else _read(line)
        there: dict[str, Any] = read if isinstance(read, dict) else {}
        broken.append(None if there else line)
        for column, name in zip(found, names, strict=True):
            column.append(_text(there.get(name)))
    return [pa.array(column, pa.string()) for column in found], pa.array(broken, pa.string())


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, Number):
        return str(value)
    said = value if isinstance(value, str) else _written(value)
    # Half of a surrogate pair is no character.
    return (
        said
        if said.isascii()
        else said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def _written(value: Any) -> str:
    """JSON again, without spaces."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        pairs = (f"{json.dumps(k, ensure_ascii=False)}:{_written(v)}" for k, v in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def lists(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts as lists of a type, null where one is not."""
    read = [None if text is None else _read(text) for text in texts.to_pylist()]
    made, broken = _lists(read, kind)
    return made if not broken.any() else only(made, pa.array(~broken))


def _lists(values: list[Any], kind: pa.ListType) -> tuple[pa.Array, Any]:
    inner = kind.value_type
    broken = np.array([not (v is None or isinstance(v, list)) for v in values], bool)
    shown = [v if isinstance(v, list) else None for v in values]
    sizes = np.array([0 if v is None else len(v) for v in shown], "int64")
    leaves = list(chain.from_iterable(v for v in shown if v is not None))
    if pa.types.is_list(inner):
        made, bad = _lists(leaves, inner)
    else:
        fitting = [v if v is None or _fits(v, inner) else ... for v in leaves]
        bad = np.array([v is ... for v in fitting], bool)
        text = pa.array([None if v is None or v is ... else _text(v) for v in fitting], pa.string())
        made = parser(inner)(text)
        bad |= _lost(text, made)
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    mask = pa.array([v is None for v in shown], pa.bool_())
    field = pa.field("element", made.type)
    listed = pa.ListArray.from_arrays(offsets, made, pa.list_(field), mask=mask)
    if len(leaves) and bad.any():
        broken |= rows_with(listed, pa.array(bad)).to_numpy(zero_copy_only=False)
    return listed, broken


def _lost(text: pa.Array, made: pa.Array) -> Any:
    lost = text.is_valid().to_numpy(zero_copy_only=False)
    return lost & made.is_null().to_numpy(zero_copy_only=False)


def _fits(value: Any, kind: pa.DataType) -> bool:
    """Whether a value of JSON is one that the type is written as."""
    t = pa.types
    if t.is_string(kind):
        return True
    if t.is_boolean(kind):
        return isinstance(value, bool)
    if t.is_decimal(kind):
        return isinstance(value, str)
    if t.is_integer(kind):
        return isinstance(value, Number)
    if t.is_floating(kind):
        return isinstance(value, Number) or value in ("NaN", "Infinity", "-Infinity")
    return isinstance(value, str) and not isinstance(value, Number)
