"""What a stream refuses before it reads a row, and what it says of Spark's errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tfspark.errors import ConfigError, TfsparkError
from tfspark.sparkerrors import failed, first_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CHANGES = ("readchangefeed", "readchangedata", "ignorechanges")
_ENDS_THE_FIRST = "spark.sql.streaming.stopActiveRunOnRestart"
_TWICE = (
    "ConcurrentModificationException",
    "CONCURRENT_STREAM",
    "already active",
    "CONCURRENT_QUERY",
)


def check_options(source: str, options: Mapping[str, str]) -> None:
    """Refuse options by which rows come that were not added.

    Raises:
        ConfigError: says which.
    """
    for name, value in options.items():
        if name.lower() in _CHANGES and str(value).lower() == "true":
            raise ConfigError(
                f"{source}: the option {name} brings rows that were deleted, changed or scored "
                "before; a stream scores rows that are added, each once. To pass over commits that "
                "change rows: options={'skipChangeCommits': 'true'}"
            )


@contextmanager
def starting(spark: SparkSession, every: str | None, checkpoint: str) -> Iterator[None]:
    """Spark's errors of a start as ours.

    Raises:
        ConfigError: no such interval, or the checkpoint is in use.
        StorageError: whatever else Spark raised.
    """
    from tfspark.compat.spark import ERRORS

    # Spark's default ends a stream without a word where a second one takes its checkpoint.
    before = spark.conf.get(_ENDS_THE_FIRST)
    spark.conf.set(_ENDS_THE_FIRST, "false")
    try:
        yield
    except ERRORS as error:
        if "IllegalArgumentException" in f"{type(error)} {error}" and every:
            raise ConfigError(
                f"every {every!r}: is no interval that Spark takes; write it as '30 seconds' or "
                "'5 minutes'"
            ) from None
        raise told(error, checkpoint, "the stream could not be started") from error
    finally:
        spark.conf.set(_ENDS_THE_FIRST, before or "true")


def told(error: Exception, checkpoint: str, what: str) -> TfsparkError:
    """What ended a stream, as one of our errors."""
    if any(word in str(error) for word in _TWICE):
        return ConfigError(
            f"{checkpoint}: another stream is using this checkpoint now; let one of them run, or "
            "give each its own checkpoint and its own source and target"
        )
    said = f"{what}: {first_line(error)}; the next start begins with the same rows"
    return failed(said, error)
