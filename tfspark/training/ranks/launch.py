"""Where a training runs: in this process, or as ranks of one Spark barrier stage.

Lost ranks and executors cost a try: the stage starts again, with a fresh rendezvous, and the work
goes on from its last checkpoint. What a rank raises on purpose, and a rank that hangs, end the
training at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfspark.errors import ConfigError, TrainingError
from tfspark.extras import need
from tfspark.training.ranks.attempt import Attempt, Lost, OnReport
from tfspark.training.ranks.stage import (
    ATTEMPT,
    named,
    wait_for_slots,
)
from tfspark.training.ranks.talk import Direct
from tfspark.training.ranks.world import World, join_ranks

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tfspark.config import Distributed

WORK = "tfspark.training.loop.work:work"
MEET = "tfspark.training.ranks.rank:meet"


def launch(
    spec: dict[str, Any],
    settings: Distributed,
    on_report: OnReport,
    spark: Callable[[], SparkSession] | None = None,
    *,
    run: str = WORK,
    meet: str = MEET,
) -> None:
    """Run a training to its end.

    Started by horovodrun (HOROVOD_RANK in the environment), this process is one of its ranks.

    Args:
        spec: the training, as JSON.
        on_report: gets every `{"kind": ..., "rank": ..., ...}` in this thread; what it returns is
            the answer. Besides what the work says: `attempt` {attempt, tries, ranks} and `note`
            {text}, with rank None, of the launcher itself.
        spark: gives the session, if one is needed.
        run: the work, `module:function` of (spec, world, talk).
        meet: `module:function` of (talk) that gives the world.

    Raises:
        ConfigError: no Horovod, too few slots, or Spark's settings do not allow a barrier stage.
        TrainingError: a rank hangs, or the last try was lost too.
        TfsparkError: the class that a rank raised; without one, a fault of ours in a rank.
    """
    horovodrun = "HOROVOD_RANK" in os.environ and ATTEMPT not in os.environ
    if horovodrun or (settings.ranks == 1 and settings.launcher != "spark"):
        world = join_ranks() if horovodrun else World()
        named(run)(spec, world, Direct(on_report, world.rank))
        world.close()
        return
    if settings.ranks > 1:
        need("horovod", "distributed.ranks above 1")
    if spark is None:
        from tfspark.session import spark_session

        sc = spark_session("tfspark train").sparkContext
    else:
        sc = spark().sparkContext
    lost: list[str] = []
    for attempt in range(1, settings.tries + 1):
        try:
            size = wait_for_slots(sc, settings)
        except ConfigError as error:
            if not lost:
                raise
            raise TrainingError(f"{_history(lost)}\nThen: {error}") from error
        news = {"attempt": attempt, "tries": settings.tries, "ranks": size}
        on_report({"kind": "attempt", "rank": None, **news})
        if size < settings.ranks:
            text = f"{size} ranks instead of {settings.ranks}: Spark has no more slots"
            on_report({"kind": "note", "rank": None, "text": text})
        child = {"run": run, "connect": meet, "spec": spec, "attempt": attempt}
        try:
            Attempt(sc, size, settings, on_report, child).run()
            return
        except Lost as error:
            lost.append(str(error))
            text = f"try {attempt} of {settings.tries} was lost: {error}"
            on_report({"kind": "note", "rank": None, "text": text})
    raise TrainingError(
        f"{_history(lost)}\nThe last checkpoint is kept: the same command goes on from there; "
        "distributed.tries allows more"
    )


def _history(lost: list[str]) -> str:
    tries = "\n".join(f"try {number}: {text}" for number, text in enumerate(lost, 1))
    return f"training lost its ranks {len(lost)} times\n{tries}"
