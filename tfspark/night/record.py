"""The records of the nights: one JSON file a day, one of every run, one of the run under way.

    <warehouse>/nights/<NAME>/<DAY>.json              what the day's last run came to
    <warehouse>/nights/<NAME>/runs/<DAY>.<RUN>.json   the same, of every run
    <warehouse>/nights/<NAME>/running/<DAY>.json      as far as a run has come that has not ended
    <warehouse>/nights/<NAME>/cleaned.json            the first day that is still kept

Each is written whole or not at all.
"""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from typing import Any

from tfspark import storage
from tfspark.config import Settings

Record = dict[str, Any]
STEPS = ("pin", "prepare", "gate", "score", "publish", "watch", "labels", "shadow", "report")
BEFORE = STEPS[:5]
_CLEANED = "cleaned.json"
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})\.json")


class Records:
    """The records of the nights of one name."""

    def __init__(self, settings: Settings) -> None:
        self.root = storage.join(settings.warehouse, "nights")
        self.folder = storage.join(self.root, settings.name)
        self.leases = storage.join(self.folder, "leases")

    def find(self, day: dt.date) -> Record | None:
        """What the day's last run came to; None: none has ended."""
        return self._find(storage.join(self.folder, f"{day}.json"))

    def running(self, day: dt.date) -> Record | None:
        """How far a run came that has not ended: it still runs, or was killed."""
        return self._find(storage.join(self.folder, "running", f"{day}.json"))

    def days(self) -> list[dt.date]:
        """The days that have a record, oldest first."""
        return _days(storage.names(self.folder))

    def tried(self) -> list[dt.date]:
        """The days of runs that have not ended."""
        return _days(storage.names(storage.join(self.folder, "running")))

    def kept_from(self) -> dt.date | None:
        """The first day that is kept; None: all are. Those before it are due no more."""
        found = storage.find_json(path := storage.join(self.folder, _CLEANED))
        if found is None:
            return None
        return dt.date.fromisoformat(storage.checked(found, path, kept_from=str)["kept_from"])

    def forget_before(self, day: dt.date) -> None:
        """Note that days before this one are removed."""
        day = max(day, self.kept_from() or day)
        storage.write_json(storage.join(self.folder, _CLEANED), {"kept_from": day.isoformat()})

    def forget(self, day: dt.date) -> None:
        """Remove the record of a day."""
        with suppress(FileNotFoundError):
            storage.delete_file(storage.join(self.folder, f"{day}.json"))
        self.drop(day)

    def begin(self, record: Record) -> None:
        """Note how far a run has come."""
        storage.write_json(storage.join(self.folder, "running", f"{record['date']}.json"), record)

    def end(self, record: Record) -> None:
        """Write what a run came to; then it is no more under way."""
        name = f"{record['date']}.{record['run']}.json"
        storage.write_json(storage.join(self.folder, "runs", name), record)
        self.put(record)
        self.drop(dt.date.fromisoformat(record["date"]))

    def put(self, record: Record) -> None:
        """Write the record of a day."""
        storage.write_json(storage.join(self.folder, f"{record['date']}.json"), record)

    def drop(self, day: dt.date) -> None:
        with suppress(FileNotFoundError):
            storage.delete_file(storage.join(self.folder, "running", f"{day}.json"))

    def _find(self, path: str) -> Record | None:
        found = storage.find_json(path)
        if found is None:
            return None
        return storage.checked(found, path, name=str, date=str, run=str, steps=list)


def new(name: str, day: dt.date, run: str, backfilled: bool, now: dt.datetime) -> Record:
    """The record of a run that begins."""
    return {
        "name": name,
        "date": day.isoformat(),
        "run": run,
        "token": run,
        "started": now.isoformat(timespec="seconds"),
        "ended": None,
        "seconds": None,
        "verdict": "red",
        "exit_code": 75,
        "message": "the run has not ended",
        "what_to_do": "run the day again",
        "pin": None,
        "steps": [],
        "dataset": None,
        "rows": {"in": None, "scored": None, "quarantined": None},
        "quarantine_examples": [],
        "gate": None,
        "watch": None,
        "labels": None,
        "published": None,
        "backfilled": backfilled,
    }


def step_of(record: Record | None, name: str) -> dict[str, Any] | None:
    """What a record says of a step; None: nothing."""
    return next((s for s in (record or {}).get("steps", []) if s["name"] == name), None)


def is_done(record: Record | None) -> bool:
    """Whether the day is published and its last run says so."""
    return record is not None and record["exit_code"] == 0 and record["published"] is not None


def _days(names: list[str]) -> list[dt.date]:
    found = []
    for name in names:
        if match := _DAY.fullmatch(name):
            with suppress(ValueError):
                found.append(dt.date.fromisoformat(match[1]))
    return found
