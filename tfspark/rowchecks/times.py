"""Text → dates and timestamps, a column at a time: full ISO dates, zones that mean one thing.

date       YYYY-MM-DD, and after it as it may be midnight
timestamp  YYYY-MM-DD, or YYYY-MM-DD HH:MM[:SS[.fraction]][zone]: `T` or one space between them,
           the zone Z, UTC, GMT or an offset; UTC where there is none
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.rowchecks.arrays import only
from tfspark.tensors import Array

_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DATE = _DAY + r"(?:[ T]00:00(?::00(?:\.0+)?)?)?$"
_TIMESTAMP = (
    _DAY + r"(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::[0-9]{2})?))?)?$"
)
_AFTER_MINUTES = r"^(?::(?P<s>[0-9]{2})(?:\.(?P<f>[0-9]+))?)? ?(?P<z>[ZUG+-].*)?$"
_LENGTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_DAY_MICROS = 86_400_000_000
_LARGEST_OFFSET = 18 * 60


def parse_date(text: pa.Array) -> pa.Array:
    """Dates, null where a text is none."""
    text = only(text, _matching(text, _DATE))
    days, good = _days(text)
    return pa.array(days, pa.int32(), mask=~good).cast(pa.date32())


def parse_timestamp(text: pa.Array) -> pa.Array:
    """Instants in UTC, null where a text is none."""
    text = only(text, _matching(text, _TIMESTAMP))
    days, good = _days(text)
    micros = days * _DAY_MICROS
    timed = np.flatnonzero(numpy_bool(pc.greater(pc.binary_length(text), 10)))
    if len(timed):
        said = text.take(pa.array(timed))
        of_day, fits = _of_day(said)
        micros[timed] += of_day
        good[timed] &= fits
    return pa.array(micros, pa.int64(), mask=~good).cast(pa.timestamp("us", "UTC"))


def numpy_bool(mask: pa.Array) -> Array:
    values: Array = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return values


def _matching(text: pa.Array, pattern: str) -> pa.Array:
    return pc.fill_null(pc.match_substring_regex(text, pattern), False)


def _digits(text: pa.Array, width: int) -> Array:
    """The first bytes of texts that are at least so long, as digits; zeros of null."""
    rows = np.full((len(text), width), ord("0"), "uint8")
    valid = numpy_bool(text.is_valid())
    if valid.any():
        _, offsets, data = text.buffers()
        starts = np.frombuffer(offsets, "int32")[text.offset : text.offset + len(text)]
        rows[valid] = np.frombuffer(data, "uint8")[starts[valid][:, None] + np.arange(width)]
    return rows.astype("int64") - ord("0")


def _days(text: pa.Array) -> tuple[Array, Array]:
    """Days since 1970-01-01, and whether there is such a day."""
    d = _digits(text, 10)
    year = d[:, 0] * 1000 + d[:, 1] * 100 + d[:, 2] * 10 + d[:, 3]
    month, day = d[:, 5] * 10 + d[:, 6], d[:, 8] * 10 + d[:, 9]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    known = (month >= 1) & (month <= 12) & (year >= 1)
    longest = _LENGTHS[np.clip(month, 1, 12) - 1] + (leap & (month == 2))
    good = known & (day >= 1) & (day <= longest) & numpy_bool(text.is_valid())
    # Howard Hinnant's days_from_civil.
    y = year - (month <= 2)
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    return days, good


def _of_day(text: pa.Array) -> tuple[Array, Array]:
    """Microseconds since midnight UTC of the named day, and whether there is such a time."""
    d = _digits(text, 16)
    hours, minutes = d[:, 11] * 10 + d[:, 12], d[:, 14] * 10 + d[:, 15]
    rest = pc.extract_regex(pc.utf8_slice_codeunits(text, 16), _AFTER_MINUTES)
    seconds = _number(rest.field(0))
    fraction = pc.utf8_rtrim(rest.field(1), "0")
    short = numpy_bool(pc.less_equal(pc.binary_length(fraction), 6))
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(fraction, 6, "0"), 0, 6)
    offset, fits = _offset(rest.field(2))
    micros = ((hours * 60 + minutes - offset) * 60 + seconds) * 1_000_000 + _number(padded)
    return micros, (hours < 24) & (minutes < 60) & (seconds < 60) & short & fits


def _number(text: pa.Array) -> Array:
    text = pc.if_else(pc.equal(text, ""), "0", text)
    values: Array = pc.fill_null(text.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return values


def _offset(zone: pa.Array) -> tuple[Array, Array]:
    """Minutes east of Greenwich."""
    signed = _matching(zone, r"^[+-]")
    if not signed.true_count:
        return np.zeros(len(zone), "int64"), np.ones(len(zone), bool)
    digits = pc.replace_substring(pc.if_else(signed, zone, "+0000"), ":", "")
    padded = pc.utf8_rpad(digits, 5, "0")
    d: Any = _digits(pc.utf8_slice_codeunits(padded, 1), 4)
    hours, minutes = d[:, 0] * 10 + d[:, 1], d[:, 2] * 10 + d[:, 3]
    total = hours * 60 + minutes
    west = numpy_bool(pc.starts_with(digits, "-"))
    return np.where(west, -total, total), (minutes < 60) & (total <= _LARGEST_OFFSET)
