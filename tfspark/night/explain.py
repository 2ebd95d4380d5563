"""What a call would do, and why; nothing is done."""

from __future__ import annotations

import datetime as dt

from tfspark.config import Settings
from tfspark.console import printable
from tfspark.errors import TfsparkError
from tfspark.night.after import after
from tfspark.night.decide import decide, skips_prepare
from tfspark.night.night import Asked, pin
from tfspark.night.record import Records, step_of
from tfspark.night.select import Selected
from tfspark.night.source import where
from tfspark.night.table import Day, published, target_of


def explain(settings: Settings, selected: Selected, asked: Asked) -> int:
    """Print the days and the steps of a call."""
    records, there = Records(settings), published(target_of(settings))
    for said in selected.notes:
        print(f"note: {printable(said)}")
    if not selected.days:
        print(f"nothing to do: {printable(selected.why)}")
    for day in selected.days:
        print(
            "\n".join(
                printable(line) for line in _day(settings, records, asked, there.get(day), day)
            )
        )
    return 0


def _day(
    settings: Settings, records: Records, asked: Asked, found: Day | None, day: dt.date
) -> list[str]:
    record = records.find(day)
    try:
        pinned = pin(settings, day, records, asked, found)
        decision = decide(record, found, pinned, asked.force)
    except TfsparkError as error:
        return [f"{day}: would stop: {error}"]
    model = f"{pinned.model['name']} {pinned.model['version']}".strip()
    lines = [f"{day}: {'score with ' + model if decision.score else 'leave'}: {decision.why}"]
    if decision.score and pinned.source["missing"]:
        lines.append(f"  source    {where(settings, day)}: is not there")
    before = records.running(day) or record
    if decision.score:
        done = skips_prepare(before, pinned, asked.force)
        makes = settings.contract and settings.nightly.prepare
        prepares = f"skip: {done['said']}" if done else "do" if makes else "skip: not asked for"
        lines += [f"  prepare   {prepares}", "  score     do", "  publish   do"]
    for name in after(pinned.to_json()):
        step = step_of(record, name)
        again = decision.score or asked.force or step is None or step["state"] == "degraded"
        why = "" if decision.score or step is None else f": it was {step['state']} last time"
        lines.append(f"  {name:<10}" + (f"do{why}" if again else "skip: it is done"))
    return lines
