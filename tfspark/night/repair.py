"""The records follow the scored table: what a kill, or another program, has left behind."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping

from tfspark import storage
from tfspark.dayfiles.commit import end
from tfspark.night.decide import current
from tfspark.night.lease import Lease, LeaseLost
from tfspark.night.pin import Pin
from tfspark.night.record import Record, Records, new
from tfspark.night.table import Day, version_of


def repair_all(
    records: Records, name: str, target: str, there: Mapping[dt.date, Day], seconds: float
) -> list[dt.date]:
    """Repair the record of every day that needs it and that no other run has.

    Args:
        there: what the table has.
        seconds: of a lease.

    Returns:
        The days whose records were repaired.
    """
    _sweep(target)
    repaired = []
    for day in sorted({*there, *records.days(), *records.tried()}):
        if not _needs(records, day, there.get(day)):
            continue
        try:
            with Lease(records.leases, day.isoformat(), uuid.uuid4().hex, seconds):
                if repair(records, name, target, day, there.get(day)):
                    repaired.append(day)
        except LeaseLost:
            continue  # its night runs
    return repaired


def _sweep(target: str) -> None:
    """Remove what killed runs have staged: after a commit nothing else would come by."""
    parent, _, name = target.rpartition("/")
    if storage.exists(root := storage.join(parent, "_staging")):
        with storage.locked(root, must=False):
            for left in storage.abandoned(parent, f"score-{name}"):
                end(left)


def repair(records: Records, name: str, target: str, day: dt.date, there: Day | None) -> bool:
    """Repair the record of a day, which must be this process's; whether it had to be."""
    if not _needs(records, day, there):
        return False
    record, run = records.find(day), records.running(day)
    if run is not None and (record or {}).get("run") == run["run"]:
        records.drop(day)  # killed after its last word
        return True
    if run is not None and there is not None and there.tokens == {run["run"]}:
        mended = {**run, "published": _published(target, day, there, run)}
        said = "the run was stopped after it had published the day"
        records.put(_yellow(mended, said, "run the day again: it does what is missing"))
        records.drop(day)
        return True
    mended = record or new(name, day, "", False, dt.datetime.now(dt.UTC))
    if there is None:
        mended |= {
            "published": None,
            "verdict": "red",
            "exit_code": 75,
            "message": "the scored table no longer has the day",
            "what_to_do": "run the day again",
        }
        records.put(mended)
        return True
    published = _published(target, day, there, None)
    mended |= {"published": published, "token": published["token"], "steps": []}
    mended["run"] = mended["run"] or published["token"]
    said = f"the day was published by run {published['token']}, which is no night's"
    records.put(_yellow(mended, said, "run the day again to have it as a night makes it"))
    return True


def _needs(records: Records, day: dt.date, there: Day | None) -> bool:
    record, run = records.find(day), records.running(day)
    if run is not None:
        if (record or {}).get("run") == run["run"]:
            return True
        if there is not None and there.tokens == {run["run"]}:
            return True
    if record is None or record["published"] is None:
        return there is not None
    return current(record, there) is None


def _published(target: str, day: dt.date, there: Day, run: Record | None) -> Record:
    token, pin = min(there.tokens, default=""), run and run["pin"]
    return {
        "table": target,
        "day": day.isoformat(),
        "version": version_of(target, token),
        "rows": there.rows,
        "token": token,
        "key": Pin(**pin).scored if pin else None,
        "pin": pin,
    }


def _yellow(record: Record, said: str, todo: str) -> Record:
    about = {"verdict": "yellow", "exit_code": 0, "message": said, "what_to_do": todo}
    return {**record, **about, "ended": record["ended"] or record["started"]}
