"""Watching a day: count it, compare it, keep the counts. It never stops a night."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tfspark import storage
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.registry.resolve import ModelFolder
from tfspark.watch.counted import Counter, Counts
from tfspark.watch.day import count_scores, count_source, scored_files
from tfspark.watch.reference import Reference, reference, resolved
from tfspark.watch.store import Stored, read, replace
from tfspark.watch.verdict import Day, Watched, judge, not_computed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

T = TypeVar("T")
_PAST = 7 * 28  # days: 28 weekends


def counts_table(settings: Settings) -> str:
    """The Delta table of counts."""
    return storage.join(settings.warehouse, "watch", "counts")


def counter_of(spark: SparkSession, settings: Settings, model: ModelFolder | str) -> Counter | None:
    """What counts the columns while a day is scored; None where nothing can be compared."""
    try:
        found = resolved(settings, model)
        return Counter(reference(spark, settings, found).columns)
    except Exception:  # `watch` says it, after the day is published
        return None


def watch(
    spark: SparkSession,
    settings: Settings,
    steps: Steps,
    day: dt.date,
    target: str,
    model: ModelFolder | str,
    rows: int,
    bad: int,
    *,
    counted: Counts | None = None,
    backfilled: bool = False,
) -> Watched:
    """Compare a published day with what its model was trained on.

    Args:
        target: the scored table, which has the day.
        model: that scored it; a folder or an MLflow URI is looked up.
        rows, bad: that came in, and of them those that were refused.
        counted: what the model was fed, if it was counted while it was scored; None: the source
            is read for it.
        backfilled: the day was scored later than its night: no other day is compared with it.

    Returns:
        The verdict. What could not be computed is named in it; nothing is raised.
    """
    with steps.step("watch") as info:
        try:
            found = resolved(settings, model)
            watched = _watch(spark, settings, day, target, found, rows, bad, counted, backfilled)
        except Exception as error:  # the table is published, whatever breaks here
            watched = not_computed(_said(error))
        info["verdict"] = watched.verdict
    return watched


def _watch(
    spark: SparkSession,
    settings: Settings,
    day: dt.date,
    target: str,
    model: ModelFolder,
    rows: int,
    bad: int,
    counted: Counts | None,
    backfilled: bool,
) -> Watched:
    missing: list[str] = []

    def tried(what: str, call: Callable[[], T], instead: T) -> T:
        try:
            return call()
        except Exception as error:  # of one part: the others are still said
            missing.append(f"{what}: {_said(error)}")
            return instead

    nothing = Reference((), None, "", 0, 0)
    known = tried("drift", lambda: reference(spark, settings, model), nothing)
    columns, scores = counted, None
    if columns is None and known.columns:
        columns = tried(
            "drift of the columns",
            lambda: count_source(spark, settings, day, known.columns),
            None,
        )
    if (by := known.scores) is not None:
        scores = tried(
            "drift of the scores",
            lambda: count_scores(
                scored_files(spark, target, day),
                by,
                settings.score.outputs.get(by.name, by.name),
                model.version,
            ),
            None,
        )
    table = counts_table(settings)
    since = day - dt.timedelta(days=_PAST)
    nobody: list[Stored] = []
    past = tried("days before", lambda: read(table, model.name, since), nobody)
    before = [one for one in past if one.day < day]
    about = Day(day, model.version, rows, bad, columns, scores, tuple(missing), backfilled)
    watched, kept = judge(known, about, before)
    try:
        replace(table, model.name, day, model.version, kept)
    except Exception as error:
        watched.not_computed.append(f"counts are not kept: {_said(error)}")
    return watched


def _said(error: Exception) -> str:
    """An error in one line."""
    lines = str(error).strip().splitlines()
    return lines[0][:500] if lines else type(error).__name__
