"""The gate of a night: a challenger beside the champion, and who scores from the next night on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tfspark
from tfspark.champions import current, promote
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.errors import TfsparkError
from tfspark.judge import judge
from tfspark.night.pin import key
from tfspark.night.record import Records, step_of
from tfspark.registry.connect import sqlite_file
from tfspark.registry.tracking import CHALLENGER, CHAMPION, Store, Version
from tfspark.session import open_session

_LATEST = 60
"""Nights whose verdicts are looked through: a pair that was judged is not judged again."""


@dataclass(frozen=True)
class Gate:
    """What became of the gate: the step, and the verdict for the record."""

    state: str
    said: str
    key: str | None = None
    verdict: dict[str, Any] | None = None


def gate(settings: Settings, steps: Steps, records: Records) -> Gate:
    """Judge the challenger of now, and promote it where the verdict allows it.

    Tonight's rows are scored by the pinned champion: a new one scores from the next night on.
    """
    pair = pair_of(settings)
    if pair is None:
        return Gate("skipped", "there is no challenger that is newer than the champion")
    champion, challenger = pair
    against = champion.number if champion else None
    named = key(against, challenger.number, settings.gate.model_dump(mode="json"))
    if before := _before(records, named):
        return Gate("skipped", f"version {challenger.number} was judged on {before}", named)
    spark = open_session(f"tfspark nightly {settings.name}", settings.spark)
    found = judge(spark, settings, steps, champion, challenger)
    said = f"version {challenger.number} beside {against or 'none'}: {found.verdict}"
    verdict = {**found.to_json(), "champion": against, "challenger": challenger.number}
    reason = settings.nightly.reason if found.verdict == "not worse" else ""
    if found.verdict != "better" and not reason:
        return Gate("done", f"{said}; the champion stays", named, {**verdict, "promoted": False})
    about = f"tfspark {tfspark.__version__} nightly"
    try:
        promote(
            settings,
            settings.name,
            challenger.number,
            expected=against,
            by=about,
            reason=reason or found.reason,
            verdict=found.verdict,
        )
    except TfsparkError as error:
        said = f"{said}; not promoted: {error}"
        return Gate("degraded", said, None, {**verdict, "promoted": False})
    said = f"{said}; promoted: it scores from the next night on"
    return Gate("done", said, named, {**verdict, "promoted": True})


def pair_of(settings: Settings) -> tuple[Version | None, Version] | None:
    """The champion and a challenger that came after it; None: there is no such challenger."""
    file = sqlite_file(settings.tracking_uri)
    ours = ("", f"models:/{settings.name}@{CHAMPION}")
    if settings.score.model not in ours or (file is not None and not file.exists()):
        return None
    store = Store(settings.tracking_uri, settings.name)
    known = store.every()
    number = store.aliases().get(CHALLENGER) if known else None
    if number is None:
        return None
    now, challenger = current(settings, settings.name), known.get(number)
    if challenger is None or not challenger.complete or (now and now.version >= number):
        return None
    return (known.get(now.version) if now else None), challenger


def _before(records: Records, named: str) -> str | None:
    """The day whose night has judged this pair."""
    for day in reversed(records.days()[-_LATEST:]):
        step = step_of(records.find(day), "gate")
        if step and step["key"] == named and step["state"] == "done":
            return day.isoformat()
    return None
