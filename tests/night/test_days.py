"""Which days are due: dates alone, and the time that is given."""

from __future__ import annotations

import datetime as dt

import pytest

from tfspark.errors import ConfigError
from tfspark.night.command import worst
from tfspark.night.days import before, between, due, is_late, yesterday


def day(number: int) -> dt.date:
    return dt.date(2026, 11, number)


def test_due_days_are_those_that_are_not_done_oldest_first() -> None:
    assert due(None, day(20), [], []) == [day(20)]
    assert due(None, day(20), [day(18)], [day(17), day(18)]) == [day(17), day(19), day(20)]
    assert due(day(19), day(20), [], [day(1)]) == [day(19), day(20)]
    assert due(day(21), day(20), [], []) == []
    assert due(None, day(20), [day(20)], [day(20), day(25)]) == []


def test_ranges_cross_months_and_clock_changes() -> None:
    assert between(dt.date(2026, 2, 27), dt.date(2026, 3, 1))[1:] == [
        dt.date(2026, 2, 28),
        dt.date(2026, 3, 1),
    ]
    assert len(between(dt.date(2026, 3, 28), dt.date(2026, 3, 30))) == 3
    with pytest.raises(ConfigError, match="the last day is before the first"):
        between(day(2), day(1))


def test_lookback_is_of_days_that_are_done() -> None:
    assert before(day(20), 3, [day(16), day(17), day(19), day(20)]) == [day(17), day(19)]
    assert before(day(20), 0, [day(19)]) == []


def test_the_deadline_is_of_the_day_after_utc() -> None:
    berlin = dt.timezone(dt.timedelta(hours=1))
    at = dt.datetime(2026, 11, 21, 12, 59, tzinfo=berlin)
    assert not is_late(day(20), "12:00", at)
    assert is_late(day(20), "12:00", at + dt.timedelta(minutes=1))
    assert not is_late(day(20), "", at + dt.timedelta(days=400))
    assert yesterday(dt.datetime(2026, 11, 21, 0, 30, tzinfo=berlin)) == day(19)


def test_one_code_tells_of_several_days() -> None:
    assert worst([0, 0]) == 0
    assert worst([0, 75, 0]) == 75
    assert worst([75, 3, 0]) == 3
