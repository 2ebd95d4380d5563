"""Which days a night does. Days are days: no clock but the one that is given, no time zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from tfspark.errors import ConfigError


def yesterday(now: dt.datetime) -> dt.date:
    """The newest day that has ended, UTC."""
    return now.astimezone(dt.UTC).date() - dt.timedelta(days=1)


def between(first: dt.date, last: dt.date) -> list[dt.date]:
    """Every day from the first to the last.

    Raises:
        ConfigError: the last is before the first.
    """
    if last < first:
        raise ConfigError(f"--from {first} --to {last}: the last day is before the first")
    return [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]


def due(
    first: dt.date | None, last: dt.date, done: Iterable[dt.date], known: Iterable[dt.date]
) -> list[dt.date]:
    """The days up to the last that are not done, oldest first.

    Args:
        first: the first one; None: the first that is known, else the last alone.
        known: days that a night has tried, or that are published.
    """
    first = first or min((day for day in known if day <= last), default=last)
    if first > last:
        return []
    finished = set(done)
    return [day for day in between(first, last) if day not in finished]


def before(last: dt.date, lookback: int, done: Iterable[dt.date]) -> list[dt.date]:
    """The days that are looked at again, oldest first: those done of the `lookback` before it."""
    earliest = last - dt.timedelta(days=lookback)
    return sorted(day for day in set(done) if earliest <= day < last)


def is_late(day: dt.date, deadline: str, now: dt.datetime) -> bool:
    """Whether a day's source, missing now, is no more to be waited for.

    Args:
        deadline: HH:MM, UTC, of the day after; "": it may always come.
    """
    if not deadline:
        return False
    at = dt.datetime.combine(day + dt.timedelta(days=1), dt.time.fromisoformat(deadline), dt.UTC)
    return now >= at
