"""A raw column → the contract's type: text is parsed, typed values are widened, never narrowed.

What cannot be is null.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.config.textoptions import USUAL, TextForms
from tfspark.contracts.dateformat import rewriting
from tfspark.rowchecks.arrays import is_broken, numpy_of, only, relisted, rows_with, some, utf8
from tfspark.rowchecks.forms import parser_of
from tfspark.rowchecks.jsontext import lists
from tfspark.rowchecks.parse import in_range
from tfspark.rowchecks.words import text
from tfspark.tensors import Array

Convert = Callable[[pa.Array], pa.Array]
_DAY_MICROS = 86_400_000_000
_WIDE = 76
"""Digits of decimal256: in it no value of a column overflows."""


def converter(source: pa.DataType, target: pa.DataType, forms: TextForms = USUAL) -> Convert | None:
    """How values of one type become those of another; None: they are the same.

    Args:
        source: a type that can be checked against the target.
        forms: how text is written.
    """
    t = pa.types
    if t.is_list(source) and t.is_list(target):
        return partial(_elements, convert=converter(source.value_type, target.value_type))
    if source == target:
        return None
    if t.is_string(source):
        if t.is_list(target):
            return partial(lists, kind=target, forms=forms)
        return parser_of(target, forms)
    if t.is_string(target):
        return text
    if t.is_integer(target):
        return partial(_to_whole, kind=target)
    if t.is_floating(target):
        return partial(_to_float, kind=target)
    if t.is_decimal(target):
        return partial(_to_decimal, kind=target)
    if t.is_timestamp(source) and t.is_date(target):
        return _to_date
    return partial(pc.cast, target_type=target)


def formatted(text: pa.Array, form: str, then: Convert) -> pa.Array:
    """Dates and timestamps that are written otherwise than ISO writes them."""
    kind = "timestamp" if any(letter in form for letter in "Hms") else "date"
    pattern, parts = rewriting(form, kind)
    whole = rf"\A{pattern}\z"
    iso = "".join(rf"\{part}" if isinstance(part, int) else part for part in parts)
    matched = pc.fill_null(pc.match_substring_regex(text, whole), False)
    return then(pc.replace_substring_regex(only(text, matched), whole, iso))


def _elements(array: pa.Array, convert: Convert | None) -> pa.Array:
    """A list of which one value cannot be is none."""
    leaves = array.flatten()
    made = leaves if convert is None else convert(leaves)
    broken = pc.and_(leaves.is_valid(), made.is_null()) if convert is not None else None
    if pa.types.is_string(made.type):
        damaged, made = is_broken(made), utf8(made)
        broken = damaged if broken is None or damaged is None else pc.or_(broken, damaged)
    listed = relisted(array, made)
    if broken is None or some(broken) is None:
        return listed
    return only(listed, pc.invert(rows_with(array, broken)))


def _to_whole(array: pa.Array, kind: pa.DataType) -> pa.Array:
    t = pa.types
    if t.is_integer(array.type):
        return in_range(array.cast(pa.int64()), kind)
    if t.is_decimal(array.type):
        wide = array.cast(pa.decimal256(_WIDE, array.type.scale))
        whole = _rescaled(wide, 0)
        limit = pa.decimal256(_WIDE, 0)
        most = pa.array([2**63 - 1, -(2**63)]).cast(limit)
        fits = pc.and_(pc.less_equal(whole, most[0]), pc.greater_equal(whole, most[1]))
        return in_range(only(whole, fits).cast(pa.int64()), kind)
    exact = pc.and_(
        pc.equal(pc.trunc(array), array),
        # 2**63 itself is a float, and no bigint.
        pc.and_(pc.less(array, 2.0**63), pc.greater_equal(array, -(2.0**63))),
    )
    return in_range(only(array, exact).cast(pa.int64(), safe=False), kind)


def _to_float(array: pa.Array, kind: pa.DataType) -> pa.Array:
    t = pa.types
    if t.is_decimal(array.type):
        # At most 15 digits: both numbers are exact, so the division rounds once, as it must.
        words = np.frombuffer(array.buffers()[1], "int64")
        units = words[2 * array.offset : 2 * (array.offset + len(array)) : 2]
        return pa.array(units / 10.0**array.type.scale, mask=_nulls(array))
    if not t.is_integer(array.type):
        return array.cast(kind)
    made = array.cast(kind, safe=False)
    if array.type != pa.int64():
        return made
    if not len(made) or _small(array):
        return made
    below = only(made, pc.less(made, 2.0**63))
    return only(below, pc.equal(below.cast(pa.int64(), safe=False), array))


def _small(array: pa.Array) -> bool:
    """Whether every integer is a double."""
    ends = pc.min_max(array)
    least, most = ends["min"].as_py(), ends["max"].as_py()
    return least is None or (least >= -(2**53) and most <= 2**53)


def _to_decimal(array: pa.Array, kind: pa.Decimal128Type) -> pa.Array:
    if pa.types.is_integer(array.type):
        wide = array.cast(pa.int64()).cast(pa.decimal256(_WIDE, 0))
    else:
        wide = array.cast(pa.decimal256(_WIDE, array.type.scale))
    made = _rescaled(wide, kind.scale)
    nines = Decimal((0, (9,) * kind.precision, -kind.scale))
    most = pa.scalar(nines, pa.decimal256(_WIDE, kind.scale))
    return only(made, pc.less_equal(pc.abs(made), most)).cast(kind)


def _rescaled(wide: pa.Array, scale: int) -> pa.Array:
    """Of another scale, null where digits would be lost."""
    if scale >= wide.type.scale:
        return wide.cast(pa.decimal256(_WIDE, scale))
    cut = wide.cast(pa.decimal256(_WIDE, scale), safe=False)
    return only(cut, pc.equal(cut.cast(wide.type), wide))


def _to_date(array: pa.Array) -> pa.Array:
    instants = numpy_of(array.cast(pa.timestamp("us", array.type.tz)).cast(pa.int64()))
    days = instants // _DAY_MICROS
    midnight = days * _DAY_MICROS == instants
    return pa.array(days, pa.int32(), mask=~midnight | _nulls(array)).cast(pa.date32())


def _nulls(array: pa.Array) -> Array:
    nulls: Array = array.is_null().to_numpy(zero_copy_only=False)
    return nulls
