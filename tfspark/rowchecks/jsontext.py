"""Lists that stand in a text, as JSON: see `jsonfiles.values` for what is refused."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from tfspark.config.textoptions import TextForms
from tfspark.jsonfiles.values import Number, read, text_of
from tfspark.rowchecks.arrays import is_broken, only, rows_with, utf8
from tfspark.rowchecks.forms import parser_of
from tfspark.textblocks import strings


def lists(texts: pa.Array, kind: pa.DataType, forms: TextForms) -> pa.Array:
    """Texts as lists of a type, null where one is not."""
    # JSON writes its numbers and booleans itself.
    inner = TextForms(forms.dates, forms.timestamps)
    made, broken = _lists([None if t is None else read(t) for t in texts.to_pylist()], kind, inner)
    return made if not broken.any() else only(made, pa.array(~broken))


def _lists(values: list[Any], kind: pa.ListType, forms: TextForms) -> tuple[pa.Array, Any]:
    inner = kind.value_type
    broken = np.array([not (v is None or isinstance(v, list)) for v in values], bool)
    shown = [v if isinstance(v, list) else None for v in values]
    sizes = np.array([0 if v is None else len(v) for v in shown], "int64")
    leaves = list(chain.from_iterable(v for v in shown if v is not None))
    if pa.types.is_list(inner):
        made, bad = _lists(leaves, inner, forms)
    else:
        fitting = [v if v is None or _fits(v, inner) else ... for v in leaves]
        bad = np.array([v is ... for v in fitting], bool)
        text = strings([None if v is None or v is ... else text_of(v) for v in fitting])
        if (damaged := is_broken(text)) is not None:
            bad |= damaged.to_numpy(zero_copy_only=False)
            text = utf8(text)
        made = parser_of(inner, forms)(text)
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
