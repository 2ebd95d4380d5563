"""Values as text: as Spark casts them to string, and as its to_json writes them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.rowchecks.arrays import flat, numpy_of, only, relisted, some, utf8

_ESCAPES = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}


def text(array: pa.Array) -> pa.Array:
    """As Spark's cast to string."""
    array, t = flat(array), pa.types
    kind = array.type
    if t.is_string(kind):
        return utf8(array)
    if t.is_binary(kind):
        return utf8(
            pa.Array.from_buffers(pa.string(), len(array), array.buffers(), -1, array.offset)
        )
    if t.is_floating(kind):
        return _floats(array)
    if t.is_decimal(kind):
        return _decimals(array, "f")
    if t.is_timestamp(kind):
        plain = array.cast(pa.timestamp("us", kind.tz)).cast(pa.timestamp("us"))
        return _short(plain.cast(pa.string()))
    if t.is_list(kind):
        leaves = pc.fill_null(text(array.flatten()), "null")
        return _around("[", pc.binary_join(relisted(array, leaves), ", "), "]")
    if t.is_null(kind) or t.is_nested(kind):
        return pa.array([None if v is None else str(v) for v in array.to_pylist()], pa.string())
    return array.cast(pa.string())


def spelled(value: object) -> str:
    """One value of a contract, as Spark writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return java_float(value) if isinstance(value, float) else str(value)


def rows_as_json(rows: pa.RecordBatch, names: Iterable[str]) -> pa.Array:
    """Each row as one JSON object, without its nulls."""
    chosen = list(names)
    return _object([rows.column(name) for name in chosen], chosen, rows.num_rows)


def _object(columns: Sequence[pa.Array], names: Sequence[str], rows: int) -> pa.Array:
    parts: list[Any] = []
    for name, column in zip(names, columns, strict=True):
        said, quote = _bare(column)
        before = f",{json.dumps(name, ensure_ascii=False)}:{quote}"
        # A null leaves its name out too.
        parts += [before, said, quote] if not said.null_count else [_around(before, said, quote)]
    parts.append(pa.array(["}"] * rows, pa.string()))
    joined = pc.binary_join_element_wise(*parts, "", null_handling="replace")
    return _around("{", pc.utf8_ltrim(joined, ","), "")


def _json(array: pa.Array) -> pa.Array:
    """Null where a value is null."""
    said, quote = _bare(array)
    return _around(quote, said, quote) if quote else said


def _bare(array: pa.Array) -> tuple[pa.Array, str]:
    """Values in JSON, and what they are all quoted by."""
    array, t = flat(array), pa.types
    kind = array.type
    if t.is_boolean(kind) or t.is_integer(kind):
        return array.cast(pa.string()), ""
    if t.is_floating(kind):
        said, odd = _floats(array), pc.invert(pc.is_finite(array))
        return (pc.if_else(odd, _around('"', said, '"'), said) if pc.any(odd).as_py() else said), ""
    if t.is_decimal(kind):
        return _decimals(array, ""), ""
    if t.is_timestamp(kind):
        form = "%Y-%m-%dT%H:%M:%S" + ("Z" if kind.tz else "")
        floored = pc.floor_temporal(array.cast(pa.timestamp("us")), unit="millisecond")
        return pc.strftime(floored.cast(pa.timestamp("ms")), form), '"'
    if t.is_list(kind):
        leaves = pc.fill_null(_json(array.flatten()), "null")
        return _around("[", pc.binary_join(relisted(array, leaves), ","), "]"), ""
    if t.is_binary(kind):
        coded = [None if v is None else base64.b64encode(v).decode() for v in array.to_pylist()]
        return pa.array(coded, pa.string()), '"'
    if t.is_struct(kind):
        names = [field.name for field in kind]
        return only(_object(array.flatten(), names, len(array)), array.is_valid()), ""
    if t.is_map(kind):
        return pa.array([_map(entries, kind) for entries in array.to_pylist()], pa.string()), ""
    return _escaped(text(array)), '"'


def _map(entries: list[tuple[Any, Any]] | None, kind: pa.MapType) -> str | None:
    if entries is None:
        return None
    keys = _escaped(text(pa.array([k for k, _ in entries], kind.key_type))).to_pylist()
    values = _json(pa.array([v for _, v in entries], kind.item_type)).to_pylist()
    pairs = zip(keys, values, strict=True)
    return "{" + ",".join(f'"{k}":{"null" if v is None else v}' for k, v in pairs) + "}"


def _escaped(said: pa.Array) -> pa.Array:
    said = pc.replace_substring(pc.replace_substring(said, "\\", "\\\\"), '"', '\\"')
    if pc.any(pc.match_substring_regex(said, "[\\x00-\\x1f]")).as_py():
        for code in range(32):
            short = _ESCAPES.get(code, f"\\u{code:04X}")
            said = pc.replace_substring(said, chr(code), short)
    return said


def _around(before: str, said: pa.Array, after: str) -> pa.Array:
    return pc.binary_join_element_wise(before, said, after, "")


def _short(said: pa.Array) -> pa.Array:
    """A time without the zeros at the end of its fraction."""
    return pc.replace_substring_regex(said, r"\.?0*$", "") if len(said) else said


def _floats(array: pa.Array) -> pa.Array:
    """As Java writes them."""
    said = pc.cast(array, pa.string())
    values = np.abs(numpy_of(array))
    plain = ((values >= 1e-3) & (values < 1e7)) | (values == 0)
    if (whole := some(pc.invert(pc.match_substring(said, ".")))) is not None:
        said = pc.if_else(whole, _around("", said, ".0"), said)
    if plain.all():
        return said
    odd = pa.array(~plain)
    wide = array.type == pa.float64()
    shown = [java_float(v if wide else np.float32(v)) for v in array.filter(odd).to_pylist()]
    return pc.replace_with_mask(said, odd, pa.array(shown, pa.string()))


def java_float(value: Any) -> str:
    """A float as Java's toString writes it."""
    number = float(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "-0.0" if math.copysign(1, number) < 0 else "0.0"
    shortest = str(value)
    _, digits, exponent = Decimal(shortest).normalize().as_tuple()
    if len(digits) == 1:  # of two digits the nearest: 4.9E-324
        two = f"{number:.1e}"
        if type(value)(two) == value:
            _, digits, exponent = Decimal(two).normalize().as_tuple()
    said = "".join(map(str, digits))
    point = len(said) + int(exponent)  # where the point stands in the digits
    sign = "-" if number < 0 else ""
    if not 1e-3 <= abs(number) < 1e7:
        return f"{sign}{said[0]}.{said[1:] or '0'}E{point - 1}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{said}"
    whole, rest = said[:point].ljust(point, "0"), said[point:]
    return f"{sign}{whole}.{rest or '0'}"


def _decimals(array: pa.Array, form: str) -> pa.Array:
    """Form `f`: all digits; none: as Java's toString, which may use an exponent."""
    said = array.cast(pa.string())
    if not pc.any(pc.match_substring(said, "E")).as_py():
        return said
    return pa.array(
        [None if v is None else format(v, form) for v in array.to_pylist()], pa.string()
    )
