"""`tfspark nightly`: which days, one after the other; what is said of them; one exit code."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable
from typing import Any

from tfspark.config import Settings, require_date
from tfspark.config.day import as_day
from tfspark.console import Steps, print_summary, printable
from tfspark.errors import ConfigError
from tfspark.night.status import status

_STOP = (1, 2, 6)
"""Exit codes that the next day would end with too."""


def nightly(settings: Settings, steps: Steps, flags: dict[str, Any]) -> int:
    """Do what the flags ask for; the exit code.

    Args:
        flags: those of `tfspark.commands.COMMANDS["nightly"].asks` that are given, as `ask_NAME`.

    Raises:
        ConfigError: flags that do not go together, or no day.
    """
    if not settings.name:
        raise ConfigError("nightly needs a configuration; give it with --config FILE")
    if flags.get("ask_model") not in (None, "recorded", "current"):
        raise ConfigError(f"--model {flags['ask_model']}: must be recorded or current")
    if flags.get("ask_to") and not flags.get("ask_from"):
        raise ConfigError("--to: give the first day too: --from YYYY-MM-DD")
    if flags.get("ask_from") and flags.get("ask_due"):
        raise ConfigError("--from and --due: give one of them")
    if flags.get("ask_status"):
        return status(settings, require_date(settings))
    if flags.get("ask_audit"):
        from tfspark.night.audit import audit

        return audit(settings)
    return _nights(settings, steps, flags, dt.datetime.now(dt.UTC))


def _nights(settings: Settings, steps: Steps, flags: dict[str, Any], now: dt.datetime) -> int:
    from tfspark.night.explain import explain
    from tfspark.night.night import Asked, Outcome, night
    from tfspark.night.select import Selected, select

    model, filled = flags.get("ask_model") or "recorded", bool(flags.get("ask_from"))
    asked = Asked(bool(flags.get("ask_force")), model, filled, now)
    due = bool(flags.get("ask_due"))
    first, last = (flags.get(name) and as_day(flags[name]) for name in ("ask_from", "ask_to"))
    if flags.get("ask_explain"):
        return explain(settings, select(settings, asked, first, last, due), asked)
    chosen: Selected = select(settings, asked, first, last, due, mend=True)
    for said in chosen.notes:
        steps.note(said)
    outcomes: list[Outcome] = []
    for day in chosen.days:
        outcomes.append(outcome := night(settings, day, steps, asked))
        _say(outcome)
        if outcome.code in _STOP and day != chosen.days[-1]:
            steps.note(f"stopped after {day}: the next day would fail alike; it was not tried")
            break
    if not outcomes:
        print_summary("nightly: nothing to do", {"reason": chosen.why})
    return worst([*chosen.codes, *(outcome.code for outcome in outcomes)])


def worst(codes: Iterable[int]) -> int:
    """One code for several days: what is final before what is tried again."""
    found = [code for code in codes if code]
    return next((code for code in found if code != 75), 75 if found else 0)


def _say(outcome: Any) -> None:
    record, day = outcome.record, outcome.day
    if outcome.error is not None:
        name = type(outcome.error).__name__
        lines = "\n".join(printable(line) for line in outcome.said.split("\n"))
        print(f"\nnightly {day}: {name}: {lines}", file=sys.stderr, flush=True)
    if record is None:
        if outcome.code == 0:
            reason = outcome.said.partition(": ")[2]
            print_summary(f"nightly {day}: nothing to do", {"reason": reason})
        return
    published = record["published"] or {}
    about = {
        "verdict": record["verdict"],
        "message": record["message"],
        "what_to_do": record["what_to_do"] or None,
        "rows_in": record["rows"]["in"],
        "scored": record["rows"]["scored"],
        "quarantined": record["rows"]["quarantined"],
        "table": published.get("table"),
        "table_version": published.get("version"),
        "model": _model(record),
        "degraded": ", ".join(_degraded(record)) or None,
        "seconds": record["seconds"],
        "run_id": record["run"],
        "page": record.get("page"),
    }
    ends = {0: "done", 75: "not done yet"}
    print_summary(f"nightly {day}: {ends.get(outcome.code, 'failed')}", about)


def _degraded(record: dict[str, Any]) -> list[str]:
    return [step["name"] for step in record["steps"] if step["state"] == "degraded"]


def _model(record: dict[str, Any]) -> str | None:
    model = (record["pin"] or {}).get("model")
    if not model:
        return None
    canary = model.get("canary")
    said = f", canary {canary['version']} on {canary['share']:.1%}" if canary else ""
    return f"{model['name']} {model['version']}".strip() + said
