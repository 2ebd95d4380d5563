"""Spark settings of the process that scores, read and checked on the driver."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tfspark.errors import ConfigError
from tfspark.scoring.worker.limits import bytes_of
from tfspark.scoring.worker.wall import WALL

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ISOLATE = ("auto", "always", "never")
_PREFIX = "spark.tfspark."


def scorer_settings(spark: SparkSession) -> dict[str, Any]:
    """The settings of a session, by the names of `Scorer`'s fields.

    Raises:
        ConfigError: a value that is no such number or word; it is named.
    """
    conf, master = spark.sparkContext.getConf(), str(spark.sparkContext.master)
    cpus = conf.get("spark.task.cpus") or "1"
    rows = _number(spark, "batchRows", "0", 0)
    isolate = _word(spark, "isolate", ISOLATE)
    local = master == "local" or master.startswith("local[")
    heap = conf.get(f"spark.{'driver' if local else 'executor'}.memory") or "1g"
    if isolate == "auto" and not retries(master, conf.get("spark.task.maxFailures")):
        isolate = "always"
    return {
        "threads": int(_number(spark, "threads", cpus, 1)),
        "batch_bytes": int(_number(spark, "batchBytes", str(32 << 20), 1)),
        "batch_rows": int(rows) or None,
        "deadline": _number(spark, "deadline", "600", 0.001),
        "isolate": isolate,
        "wall": _word(spark, "wall", WALL),
        "memory": int(_number(spark, "memoryBytes", "0", 0)),
        "heap": bytes_of(heap),
    }


def retries(master: str, failures: str | None) -> bool:
    """Whether Spark runs a task again whose Python process has ended.

    Args:
        failures: `spark.task.maxFailures`, which a local master does not look at: its own second
            number is what counts, `local[4, 2]`.
    """
    if master == "local" or master.startswith("local["):
        found = re.fullmatch(r"local\[[^,]+,\s*(\d+)\s*\]", master)
        return found is not None and int(found[1]) > 1
    return int(failures or 4) > 1


def _word(spark: SparkSession, name: str, known: tuple[str, ...]) -> str:
    word = spark.conf.get(_PREFIX + name, "auto") or "auto"
    if word not in known:
        raise ConfigError(f"{_PREFIX}{name}: {word!r} is none of {', '.join(known)}")
    return word


def _number(spark: SparkSession, name: str, default: str, least: float) -> float:
    text = spark.conf.get(_PREFIX + name, default) or default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value >= least or value == float("inf"):
        raise ConfigError(f"{_PREFIX}{name}: must be a number of at least {least:g}, not {text!r}")
    return value
