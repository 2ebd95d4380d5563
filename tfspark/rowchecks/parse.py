"""Text → a contract's type, strictly: a value is what the text says, exactly, or null.

Spaces around a value are the caller's to take away.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.rowchecks.arrays import bytes_of, only, some
from tfspark.rowchecks.times import parse_date, parse_timestamp
from tfspark.tensors import Array

_TRUE, _FALSE = pa.array(["t", "true", "y", "yes", "1"]), pa.array(["f", "false", "n", "no", "0"])
_WHOLE = r"^[+-]?[0-9]+$"
_FLOAT = r"(?i)^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity)$"
_DECIMAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?"
_BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$"
_LONG = 18
"""Digits that any bigint has room for."""


def parser(kind: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    """The function that reads text as a type that is no list."""
    t = pa.types
    if t.is_boolean(kind):
        return _boolean
    if t.is_integer(kind):
        return partial(_whole, kind=kind)
    if t.is_floating(kind):
        return partial(_float, kind=kind)
    if t.is_decimal(kind):
        return partial(_decimal, kind=kind)
    if t.is_date(kind):
        return parse_date
    if t.is_timestamp(kind):
        return parse_timestamp
    return _binary if t.is_binary(kind) else _same


def _same(text: pa.Array) -> pa.Array:
    return text


def _boolean(text: pa.Array) -> pa.Array:
    lower = pc.ascii_lower(text)
    yes, no = pc.is_in(lower, _TRUE), pc.is_in(lower, _FALSE)
    return only(yes, pc.or_(yes, no))


def _whole(text: pa.Array, kind: pa.DataType) -> pa.Array:
    if _has_only(text, _DIGITS):
        try:
            return text.cast(kind)
        except pa.ArrowInvalid:
            pass  # one of them is out of range, or no number
    fits = _matching(text, _WHOLE)
    short = pc.and_(fits, pc.less_equal(pc.binary_length(text), _LONG))
    values = pc.utf8_ltrim(only(text, short), "+").cast(pa.int64())
    if (long := some(pc.and_(fits, pc.invert(short)))) is not None:
        read = [int(said) for said in text.filter(long).to_pylist()]
        least, most = bounds_of(pa.int64())
        within = [number if least <= number <= most else None for number in read]
        values = pc.replace_with_mask(values, long, pa.array(within, pa.int64()))
    return in_range(values, kind)


def bounds_of(kind: pa.DataType) -> tuple[int, int]:
    """The least and the largest integer of a type."""
    about = np.iinfo(kind.to_pandas_dtype())
    return int(about.min), int(about.max)


def in_range(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Integers in a narrower type, null where it has no room."""
    if values.type == kind:
        return values
    least, most = bounds_of(kind)
    fits = pc.and_(pc.greater_equal(values, least), pc.less_equal(values, most))
    return only(values, fits).cast(kind)


def _float(text: pa.Array, kind: pa.DataType) -> pa.Array:
    if _has_only(text, _NUMBER):
        try:
            values = text.cast(kind)
        except pa.ArrowInvalid:
            values = None  # one of them is no number
        if values is not None and not _infinite(values):
            return values
    values = pc.utf8_ltrim(only(text, _matching(text, _FLOAT)), "+").cast(kind)
    if _infinite(values):
        # Of digits it is a number that the type has no room for.
        said = pc.match_substring(text, "inf", ignore_case=True)
        values = only(values, pc.or_(said, pc.invert(pc.is_inf(values))))
    return values


def _infinite(values: pa.Array) -> bool:
    return some(pc.is_inf(values)) is not None


def _decimal(text: pa.Array, kind: pa.Decimal128Type) -> pa.Array:
    whole, scale = kind.precision - kind.scale, kind.scale
    short = rf"^[+-]?(?:[0-9]{{1,{whole}}}(?:\.[0-9]{{0,{scale}}})?" if whole else r"^[+-]?(?:0?"
    short += (
        (rf"|0?\.[0-9]{{1,{scale}}})$" if scale else ")$")
        if whole
        else (rf"\.[0-9]{{1,{scale}}})$")
    )
    fits = _matching(text, short)
    values = pc.utf8_ltrim(only(text, fits), "+").cast(kind)
    if (rest := some(pc.and_(text.is_valid(), pc.invert(fits)))) is None:
        return values
    digits = re.compile(_DECIMAL)
    others = [
        _exact(v, kind) if digits.fullmatch(v) else None for v in text.filter(rest).to_pylist()
    ]
    return pc.replace_with_mask(values, rest, pa.array(others, kind))


def _exact(said: str, kind: pa.Decimal128Type) -> Decimal | None:
    """The number, if the type has all its digits."""
    sign, digits, power = Decimal(said).as_tuple()
    number = "".join(map(str, digits)).lstrip("0")
    while number.endswith("0"):
        number, power = number[:-1], int(power) + 1
    if not number:
        return Decimal(0)
    if -int(power) > kind.scale or len(number) + int(power) > kind.precision - kind.scale:
        return None
    return Decimal((sign, tuple(map(int, number)), int(power)))


def _binary(text: pa.Array) -> pa.Array:
    coded = only(text, _matching(text, _BASE64)).to_pylist()
    read = [None if v is None else base64.b64decode(v + "=" * (-len(v) % 4)) for v in coded]
    return pa.array(read, pa.binary())


def _matching(text: pa.Array, pattern: str) -> pa.Array:
    return pc.fill_null(pc.match_substring_regex(text, pattern), False)


def _table(allowed: bytes) -> Array:
    table = np.zeros(256, bool)
    table[list(allowed)] = True
    return table


_DIGITS, _NUMBER = _table(b"-0123456789"), _table(b"+-.eE0123456789")


def _has_only(text: pa.Array, table: Array) -> bool:
    """Whether all bytes are of a few: of these Arrow takes only what a number may be."""
    return bool(table[bytes_of(text)].all())
