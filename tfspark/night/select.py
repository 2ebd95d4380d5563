"""Which days a call does, from its flags, the records and the table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from tfspark import champions
from tfspark.config import Settings, require_date
from tfspark.errors import TfsparkError
from tfspark.night import days as pick
from tfspark.night.decide import current
from tfspark.night.night import Asked, pin
from tfspark.night.record import Record, Records, is_done
from tfspark.night.repair import repair_all
from tfspark.night.source import by_day, source_of
from tfspark.night.table import Day, published, target_of

_FINAL = (3, 4)
"""Exit codes of days that fail again unless what they read has changed."""


@dataclass
class Selected:
    """The days, in their order.

    Attributes:
        codes: exit codes of days that failed for good and are not tried again.
        notes: what is said of days that are left.
        why: what is said where there is no day.
    """

    days: list[dt.date]
    codes: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    why: str = ""


def select(
    settings: Settings,
    asked: Asked,
    first: dt.date | None,
    last: dt.date | None,
    due: bool,
    mend: bool = False,
) -> Selected:
    """The days of one call.

    Args:
        first, last: of `--from --to`.
        mend: repair the records first.
    """
    records, target = Records(settings), target_of(settings)
    there = published(target)
    if mend:
        _mirror(settings)
        repair_all(records, settings.name, target, there, settings.nightly.lease_seconds)
    if first is not None:
        return Selected(pick.between(first, last or require_date(settings)))
    if not due:
        end = require_date(settings)
        found = Selected([end])
    else:
        end = settings.date or pick.yesterday(asked.now)
        found = _due(settings, records, there, end, asked)
    _look_back(settings, records, there, end, found)
    return found


def _mirror(settings: Settings) -> None:
    """Have the registry's alias follow the table of promotions, where the registry can be asked."""
    with suppress(TfsparkError):
        champions.repair(settings, settings.name)


def _due(
    settings: Settings, records: Records, there: Mapping[dt.date, Day], end: dt.date, asked: Asked
) -> Selected:
    known = records.days()
    recorded = {day: records.find(day) for day in known}
    running = set(records.tried())
    done = [day for day, record in recorded.items() if is_done(record) and day not in running]
    start, kept = settings.nightly.start, records.kept_from()
    kept = kept or dt.date.min  # what `tfspark clean` has removed is not due again
    start = start and max(start, kept)
    found = Selected([], why=f"every day up to {end} is done")
    seen = [day for day in (*known, *running, *there) if day >= kept]
    for day in pick.due(start, end, done, seen):
        record = recorded.get(day)
        if day not in running and record and _final(settings, record, records, asked, there):
            code = int(record["exit_code"])
            found.codes.append(code)
            found.notes.append(f"{day}: failed with {code}, and nothing changed since: not tried")
        else:
            found.days.append(day)
    most = settings.nightly.at_most
    if most is not None and len(found.days) > most:
        found.notes.append(f"{len(found.days) - most} more days are due (--at-most {most})")
        del found.days[most:]
    if found.codes:
        found.why = "the days that are due failed for good: " + "; ".join(found.notes)
    return found


def _final(
    settings: Settings,
    record: Record,
    records: Records,
    asked: Asked,
    there: Mapping[dt.date, Day],
) -> bool:
    """Whether a day failed on what it still would read."""
    if record["exit_code"] not in _FINAL or record["pin"] is None or asked.force:
        return False
    day = dt.date.fromisoformat(record["date"])
    now = pin(settings, day, records, asked, there.get(day)).to_json()
    names = ("contract", "settings", "code")
    same = all(now[name] == record["pin"][name] for name in names)
    return same and all(
        now[part][value] == record["pin"][part][value]
        for part, value in (("source", "value"), ("model", "digest"))
    )


def _look_back(
    settings: Settings,
    records: Records,
    there: Mapping[dt.date, Day],
    end: dt.date,
    found: Selected,
) -> None:
    """Add published days whose source has changed since; say of older ones that they are left."""
    back = settings.nightly.lookback
    if not back or not by_day(settings):
        return
    for day in pick.before(end, back, there):
        said = current(records.find(day), there.get(day)) or {}
        if not said.get("pin") or day in found.days:
            continue
        now = source_of(settings, day)
        if not now["missing"] and now["value"] != said["pin"]["source"]["value"]:
            found.days.append(day)
            found.notes.append(f"{day}: its source changed since it was published")
