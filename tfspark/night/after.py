"""The steps behind the bar: what is seen of a day that is published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfspark import run, storage
from tfspark.champions import history
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.errors import ConfigError, SourceMissing
from tfspark.night.hook import call_hook
from tfspark.night.lineage import send_lineage
from tfspark.night.prometheus import write_prometheus
from tfspark.night.record import Record, Records
from tfspark.night.source import source_of, where
from tfspark.registry.manifest import read_manifest
from tfspark.session import open_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tfspark.watch.counted import Counts


_WINDOW = 400


@dataclass(frozen=True)
class Context:
    """What a step is given; it puts what it finds into the record.

    Attributes:
        settings: those by which the day was scored.
        counted: what the model was fed, if this run has scored the day.
        check: whether the day is still this run's.
    """

    settings: Settings
    steps: Steps
    records: Records
    record: Record
    counted: Counts | None
    check: Callable[[], None]

    @property
    def spark(self) -> SparkSession:
        return open_session(f"tfspark nightly {self.settings.name}", self.settings.spark)

    @property
    def day(self) -> dt.date:
        return dt.date.fromisoformat(self.record["date"])

    @property
    def model(self) -> str:
        """The one that scored the day.

        Raises:
            ConfigError: there are several, or it is not known.
        """
        pin = self.record["published"]["pin"]
        if pin is None:
            raise ConfigError("no night has scored the day, so its model is not known")
        uri = pin["model"]["uri"]
        if not isinstance(uri, str):
            raise ConfigError("several models have scored the day; one alone is watched")
        return uri


def watched(context: Context) -> str:
    from tfspark.watch import watch

    record, settings = context.record, context.settings
    rows, bad = record["rows"]["in"], record["rows"]["quarantined"]
    found = watch(
        context.spark,
        settings,
        context.steps,
        context.day,
        settings.scored,
        context.model,
        record["published"]["rows"] if rows is None else rows,
        bad or 0,
        counted=context.counted,
        backfilled=record["backfilled"],
    )
    record["watch"] = found.to_json()
    return found.said


def labelled(context: Context) -> str:
    from tfspark.watch import labels

    settings = context.settings
    found = labels(
        context.spark,
        settings,
        context.steps,
        context.day,
        settings.scored,
        context.model,
        backfilled=_backfilled(context.records),
    )
    record = context.record
    record["labels"] = found.to_json()
    return found.said


def shadowed(context: Context) -> str:
    """Have the challenger score the day's rows, into a table of its own.

    Raises:
        SourceMissing: they are no more what was published.
    """
    pin, settings = context.record["published"]["pin"], context.settings
    target, model = f"{settings.scored}_shadow", pin["model"]["shadow"]

    def check() -> None:
        context.check()
        if source_of(settings, context.day)["value"] != pin["source"]["value"]:
            raise SourceMissing("the source changed since the day was published")

    score = settings.score.model_copy(update={"model": model["uri"], "output": target})
    settings = settings.model_copy(update={"score": score})
    made = run.score(settings, context.steps, check, quarantine=f"{target}_quarantine")
    return f"version {model['version']} scored {made['scored']} rows into {target}"


def after(pin: dict[str, Any] | None) -> dict[str, Callable[[Context], str]]:
    """Name → step, which gives a sentence; what it raises makes the night yellow.

    Args:
        pin: what has scored the day; None: it is not known.
    """
    steps: dict[str, Callable[[Context], str]] = {"watch": watched, "labels": labelled}
    if pin and pin["model"].get("shadow"):
        steps["shadow"] = shadowed
    return steps


def _backfilled(records: Records) -> list[dt.date]:
    """Days that were scored later than their nights, of those that labels may be told of."""
    found = {day: records.find(day) for day in records.days()[-_WINDOW:]}
    return [day for day, record in found.items() if record and record["backfilled"]]


def page_of(records: Records, record: Record) -> str:
    return storage.join(records.folder, f"{record['date']}.html")


def report(settings: Settings, records: Records, record: Record) -> str:
    """Write the page of a night; its path."""
    from tfspark.page import write_card, write_night

    model = ((record["pin"] or {}).get("model")) or {"name": "", "version": ""}
    folder = storage.join(settings.models, model["name"], model["version"])
    card = storage.join(records.root, model["name"], f"model-{model['version']}.html")
    new = model["version"] and storage.is_dir(folder) and not storage.exists(card)
    if manifest := read_manifest(folder) if new else None:
        write_card(manifest, records.root)
    return write_night({**record, "history": _history(settings)}, records.root)


def tell(settings: Settings, steps: Steps, records: Records, record: Record) -> None:
    """What others read of a night: the index, Prometheus' file, the hook, OpenLineage's events."""
    from tfspark.page import write_index

    write_index(records.root)
    if record["date"] == str(max(records.days())):
        write_prometheus(record, records.root)
    day = dt.date.fromisoformat(record["date"])
    asked = settings.nightly
    source = where(settings, day)
    if settings.source.format not in ("jdbc", "table"):
        source = storage.absolute(source)
    for said in (
        call_hook(asked.hook, record),
        send_lineage(asked.lineage, record, source, settings.scored),
    ):
        if said:
            steps.note(said)


def _history(settings: Settings) -> list[dict[str, Any]]:
    """The champions, the newest first; none where there is no registry."""
    try:
        past = history(settings, settings.name)
    except Exception:  # for the page alone
        return []
    return [
        {
            "at": champion.since.isoformat() if champion.since else "",
            "version": champion.version,
            "by": champion.by,
            "reason": champion.reason,
        }
        for champion in reversed(past)
    ]
