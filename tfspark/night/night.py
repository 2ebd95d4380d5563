"""One day's night: lease → repair → decide → chain → record."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from dataclasses import dataclass
from typing import Any

from tfspark import storage
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.errors import TfsparkError
from tfspark.night.after import page_of, report, tell
from tfspark.night.beside import with_challenger
from tfspark.night.chain import Chain
from tfspark.night.decide import Decision, current, decide
from tfspark.night.lease import Lease, LeaseLost
from tfspark.night.pin import Pin, pin_of, pinned_model
from tfspark.night.record import Record, Records, new
from tfspark.night.repair import repair
from tfspark.night.table import Day, published, target_of


@dataclass(frozen=True)
class Asked:
    """How a night is asked for.

    Attributes:
        force: do again what is done.
        model: of a day that is done again: `recorded` or `current`.
        backfilled: the day is filled long after.
        now: the time; nothing below reads the clock to decide.
    """

    force: bool
    model: str
    backfilled: bool
    now: dt.datetime


@dataclass(frozen=True)
class Outcome:
    """What became of a day.

    Attributes:
        record: None where nothing was to do.
        error: what stopped it.
    """

    day: dt.date
    code: int
    said: str
    record: Record | None = None
    error: Exception | None = None


def pin(settings: Settings, day: dt.date, records: Records, asked: Asked, there: Day | None) -> Pin:
    """What a night of the day would use.

    Raises:
        TfsparkError: there is no model, or the contract cannot be used.
    """
    said = current(records.find(day), there)
    if said and said.get("pin") and asked.model == "recorded":
        model = {part: value for part, value in said["pin"]["model"].items() if part != "said"}
        return pin_of(settings, day, model)
    model = pinned_model(settings, _last_model(records))
    if not asked.backfilled:
        model = with_challenger(settings, model, records, day)
    return pin_of(settings, day, model)


def night(settings: Settings, day: dt.date, steps: Steps, asked: Asked) -> Outcome:
    """Do a day's night; its record is written unless another run has the day."""
    records, target, run = Records(settings), target_of(settings), uuid.uuid4().hex
    form = steps.form if steps.form in ("json", "plain") else None
    own = Steps(steps.job, run, form)
    try:
        with Lease(records.leases, day.isoformat(), run, settings.nightly.lease_seconds) as lease:
            there = published(target).get(day)
            repair(records, settings.name, target, day, there)
            return _night(settings, day, own, asked, records, lease, there)
    except LeaseLost as error:
        return Outcome(day, error.exit_code, str(error), error=error)


def _night(
    settings: Settings,
    day: dt.date,
    steps: Steps,
    asked: Asked,
    records: Records,
    lease: Lease,
    there: Day | None,
) -> Outcome:
    last = records.find(day)
    record = new(settings.name, day, steps.run_id, asked.backfilled, asked.now)
    kept = current(last, there)
    if last and kept:
        for name in ("rows", "published", "quarantine_examples", "gate", "watch", "labels"):
            record[name] = last[name]
        record["backfilled"] = last["backfilled"] or asked.backfilled
        record["token"] = kept["token"]
    decision = Decision(True, "")
    try:
        found = pin(settings, day, records, asked, there)
        decision = decide(last, there, found, asked.force)
        record["pin"] = found.to_json()
        before = records.running(day) if decision.score else None
        record["dataset"] = (before or last or {}).get("dataset")
        chain = Chain(settings, steps, records, lease, record, before or last, found)
        if decision.score:
            record["token"] = record["run"]
            chain.publish(decision, asked.force, asked.now)
        elif last is not None:
            record["pin"] = (kept or {}).get("pin") or record["pin"]
            record["steps"] = [dict(step) for step in last["steps"]]
        did = chain.follow(asked.force) or decision.score
        if not did and storage.exists(page_of(records, record)):
            records.drop(day)
            return Outcome(day, 0, f"nothing to do: {decision.why}")
        _close(record, steps.seconds())
        lease.check()
        _told(settings, steps, records, record)
        return Outcome(day, 0, record["message"], record)
    except LeaseLost:
        raise
    except Exception as error:
        code = code_of(error)
        if record["published"] is not None and (kept is None or record["published"] != kept):
            raise  # the table has the day: the next start makes its record
        _fail(record, code, error, steps.seconds(), kept)
        lease.check()
        _told(settings, steps, records, record)
        return Outcome(day, code, record["message"], record, error)


def _told(settings: Settings, steps: Steps, records: Records, record: Record) -> None:
    """Write the record of a run that has ended, its page and the index."""
    began, note = time.monotonic(), {"name": "report", "state": "done", "said": "", "key": None}
    record["steps"] = [step for step in record["steps"] if step["name"] != "report"]
    try:
        record["page"] = page_of(records, record)
        took = {"seconds": round(time.monotonic() - began, 2)}
        record["steps"].append({**note, **took, "said": record["page"]})
        report(settings, records, record)
        records.end(record)
        tell(settings, steps, records, record)
    except Exception as error:  # the table is what it is, told of or not
        said = f"{type(error).__name__}: {error}"
        del record["steps"][-1]
        record["steps"].append({**note, "state": "degraded", "seconds": 0.0, "said": said})
        if record["exit_code"] == 0:
            _close(record, record["seconds"])
        records.end(record)


def code_of(error: BaseException) -> int:
    """The exit code of what stopped a night."""
    if isinstance(error, TfsparkError):
        return error.exit_code
    from tfspark.compat.spark import ERRORS
    from tfspark.sparkerrors import failed

    return failed("", error).exit_code if isinstance(error, (*ERRORS, OSError)) else 1


_TODO = {
    1: "this is a fault of tfspark: report it",
    2: "mend the configuration, then run the day again",
    3: "look at the quarantine and ask whoever makes the table; then run the day again",
    4: "look at what the gate says of the model",
    6: "mend what the message says, then run the day again",
    75: "nothing: the schedule runs the day again",
}


def _close(record: Record, seconds: float) -> None:
    """The verdict of a day that is published."""
    degraded = [step for step in record["steps"] if step["state"] == "degraded"]
    again = [step for step in degraded if step["name"] != "pin"]
    verdicts = {name: (record[name] or {}).get("verdict", "ok") for name in ("watch", "labels")}
    odd = {name: verdict for name, verdict in verdicts.items() if verdict not in ("ok", "off")}
    said = [f"{step['name']}: {step['said']}" for step in degraded]
    said += [f"{name}: {verdict}" for name, verdict in odd.items()]
    rows = record["published"]["rows"]
    record |= {
        "verdict": "yellow" if said else "green",
        "exit_code": 0,
        "message": "; ".join([f"{rows} rows are published", *said]),
        "what_to_do": "run the day again: it does what is missing" if again else "",
    }
    if degraded and not again:
        record["what_to_do"] = "see why not all could be had that the night wanted"
    elif odd and not degraded:
        record["what_to_do"] = f"look at what {' and '.join(odd)} say of the day on its page"
    _end(record, seconds)


def _fail(
    record: Record, code: int, error: Exception, seconds: float, kept: dict[str, Any] | None
) -> None:
    said = str(error).strip() or type(error).__name__
    was = "; the day stays as it was published before" if kept else ""
    about = {"verdict": "red", "exit_code": code, "message": said + was}
    record |= {**about, "what_to_do": _TODO.get(code, _TODO[6])}
    names = [step["name"] for step in record["steps"]]
    at = next((s for s in ("pin", "prepare", "gate", "score", "publish") if s not in names), "pin")
    step = {"name": at, "state": "failed", "seconds": None, "said": said, "key": None}
    record["steps"] = [*record["steps"], step]
    _end(record, seconds)


def _end(record: Record, seconds: float) -> None:
    ended = dt.datetime.fromisoformat(record["started"]) + dt.timedelta(seconds=seconds)
    record |= {"ended": ended.isoformat(timespec="seconds"), "seconds": round(seconds, 2)}


def _last_model(records: Records) -> dict[str, Any] | None:
    for day in reversed(records.days()):
        said = (records.find(day) or {}).get("published") or {}
        if said.get("pin"):
            model: dict[str, Any] = said["pin"]["model"]
            return model
    return None
