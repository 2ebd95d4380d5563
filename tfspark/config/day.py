"""A day: everywhere the same texts are one, and no number is."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from pydantic_core import PydanticCustomError

from tfspark.errors import ConfigError
from tfspark.wording import say

_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]00:00(?::00)?Z?)?")


def as_day(day: Any) -> dt.date:
    """The day that is meant: a date, or YYYY-MM-DD (and after it as it may be midnight).

    Raises:
        ConfigError: it is neither; a number is not.
    """
    if (found := _day(day)) is None:
        raise ConfigError(f"day {day!r}: {say('date_type')}")
    return found


def day_setting(value: Any) -> dt.date | None:
    """A setting's value as a day: the validator of such fields."""
    if value is None:
        return None
    if isinstance(value, dt.datetime):  # YAML's: of other times, and of other zones, none is meant
        value = value.isoformat().replace("+00:00", "Z")
    if (found := _day(value)) is None:
        raise PydanticCustomError("date_type", "{said}", {"said": say("date_type")})
    return found


def _day(value: Any) -> dt.date | None:
    if isinstance(value, dt.date):
        return value.date() if isinstance(value, dt.datetime) else value
    match = _DAY.fullmatch(value) if isinstance(value, str) else None
    try:
        return dt.date.fromisoformat(match[1]) if match else None
    except ValueError:  # no such day
        return None
