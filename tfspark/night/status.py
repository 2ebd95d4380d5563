"""The recorded verdict of a day, for whoever schedules: without Spark, in under a second."""

from __future__ import annotations

import datetime as dt

from tfspark.config import Settings
from tfspark.console import print_summary
from tfspark.night.record import Records


def status(settings: Settings, day: dt.date) -> int:
    """Print what the last run of a day came to, and give its exit code; 75: it is not done."""
    records = Records(settings)
    record, run = records.find(day), records.running(day)
    if run is not None and run["run"] != (record or {}).get("run"):
        at = run["steps"][-1]["name"] if run["steps"] else "its start"
        said = f"the run of {run['started']} has not ended: it runs, or was stopped after {at}"
        print_summary(f"nightly {day}: not done", {"reason": said, "run_id": run["run"]})
        return 75
    if record is None:
        said = f"there is no record of {settings.name} for this day in {records.folder}"
        print_summary(f"nightly {day}: not done", {"reason": said})
        return 75
    fields = ("verdict", "message", "what_to_do", "exit_code", "ended", "seconds")
    about = {name: record[name] for name in fields}
    published = record["published"] or {}
    about |= {"table": published.get("table"), "table_version": published.get("version")}
    print_summary(f"nightly {day}: {record['verdict']}", {**about, "run_id": record["run"]})
    return int(record["exit_code"])
