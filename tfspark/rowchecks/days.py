"""Rows of no day: see `tfspark.daycolumn`."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.daycolumn import NO_DAY, DayColumn
from tfspark.rowchecks.arrays import utf8
from tfspark.rowchecks.reasons import Reasons
from tfspark.rowchecks.times import parse_timestamp
from tfspark.rowchecks.words import text

_SHOWN = 100  # characters of a value in a reason


def no_day(values: pa.Array, by: DayColumn, found: Reasons) -> None:
    """Add the reason against rows without a day.

    Args:
        values: of rows that are of the day, or of none.
    """
    good = values.is_valid()
    if pa.types.is_string(values.type):
        values = utf8(values)
        days = parse_timestamp(pc.utf8_trim(values, " ")).cast(pa.timestamp("us"))
        # What is text to Spark and to us alike is in one day; anything else is told.
        good = pc.fill_null(pc.equal(days.cast(pa.date32(), safe=False), pa.scalar(by.day)), False)
    if not pc.all(good).as_py():
        bad = pc.invert(good)
        shown = pc.utf8_slice_codeunits(text(values.filter(bad)), 0, _SHOWN)
        found.add(bad, f"{by.name}: ", pc.fill_null(shown, "null"), NO_DAY)
