"""The column of a raw table that tells a row's day.

A row is in one day. One whose day is null, or cannot be read, is in none: it stays where a day is
read, for the checks to refuse.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfspark.errors import ContractViolation
from tfspark.tablenames import quote

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NO_DAY = " is no day, YYYY-MM-DD"
# A date, or a time, of which the day counts in the session's zone. DayColumn.scala has the same.
_TIME = (
    r"\A(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0*)?)?"
    r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::[0-9]{2})?))?)?\z"
)


@dataclass(frozen=True)
class DayColumn:
    """The column's name, and the day that is read."""

    name: str
    day: dt.date


def of_day(df: DataFrame, by: DayColumn, where: str) -> DataFrame:
    """The rows of the day, and those of no day.

    Args:
        where: the table's name in messages.

    Raises:
        ContractViolation: there is no such column, or it cannot tell days.
    """
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    if by.name not in df.columns:
        raise ContractViolation(
            f"{where}: no column {by.name} (source.day_column); there are: " + ", ".join(df.columns)
        )
    kind = df.schema[by.name].dataType
    if isinstance(kind, T.TimestampType | T.TimestampNTZType):
        # As bounds, by which files and row groups are skipped.
        value, start = F.col(quote(by.name)), F.lit(by.day)
        end = F.date_add(start, 1)
        within = (value >= start.cast(kind)) & (value < end.cast(kind))
        return df.where(value.isNull() | within)
    if not isinstance(kind, T.StringType | T.DateType):
        raise ContractViolation(
            f"{where}: column {by.name} (source.day_column) is {kind.simpleString()}, no date; "
            "have days as YYYY-MM-DD, in a column of dates, timestamps or text"
        )
    found = day_of(df, by.name)
    return df.where(found.isNull() | (found == F.lit(by.day)))


def day_of(df: DataFrame, name: str) -> Column:
    """The day of a row; null where there is none, or none that can be read: a number is none."""
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    if not isinstance(df.schema[name].dataType, T.StringType):
        return F.col(quote(name)).cast("date")
    text = F.trim(F.col(quote(name)))
    return F.when(text.rlike(_TIME), with_seconds(text).try_cast("timestamp").cast("date"))


def with_seconds(text: Column) -> Column:
    """A time with its seconds: Spark's casts take a zone only behind them."""
    from pyspark.sql import functions as F

    return F.regexp_replace(text, "^(.{16})([^:].*)$", "$1:00$2")
