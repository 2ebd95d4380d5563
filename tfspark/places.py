"""Whether the places of a job's settings are one thing for Python and Spark.

Looked at when a job begins: what would fail after an hour is said in the first seconds.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.compat.catalyst import default_file_system
from tfspark.config import Settings
from tfspark.errors import ConfigError, StorageError
from tfspark.sparkerrors import failed, first_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PROBE = "tfspark-probe"  # no `_` before it: Spark would not read it
_LOCAL_FS = ("file", "")


def of(settings: Settings) -> Iterator[tuple[str, str]]:
    """The settings that name places of tables and files, and what they say."""
    asked = settings
    yield "warehouse", asked.warehouse
    if asked.source.format not in ("jdbc", "table"):
        yield "source.path", asked.source.path
    for name, value in (
        ("score.input", asked.score.input),
        ("score.output", asked.score.output),
        ("stream.input", asked.stream.input),
        ("stream.output", asked.stream.output),
        ("stream.checkpoint", asked.stream.checkpoint),
    ):
        if "/" in value:  # otherwise a name of the catalog
            yield name, value


def on_s3(settings: Settings) -> bool:
    return any(storage.parse(path).scheme == "s3" for _, path in of(settings) if path)


def check(spark: SparkSession, settings: Settings, job: str) -> None:
    """See to it that the places are usable.

    Args:
        job: `prepare`, `train`, `tune`, `score` or `stream`.

    Raises:
        ConfigError: a place is another one for Spark than for Python.
        StorageError: the warehouse cannot be written, read, or tells no first writer from a second.
    """
    one_meaning(spark, of(settings))
    written = settings.warehouse
    if job in ("score", "stream"):
        output = settings.stream.output if job == "stream" else ""
        table = output or settings.scored
        if "/" not in table:
            return  # the catalog knows where it is
        written = table.rstrip("/").rpartition("/")[0] or "/"
    if not storage.is_local(written):
        probe(spark, written)


def one_meaning(spark: SparkSession, named: Any) -> None:
    """Refuse a path without a scheme where Spark's default file system is not this machine's.

    Raises:
        ConfigError: with the URIs that may be meant.
    """
    default = default_file_system(spark)
    if default.partition(":")[0] in _LOCAL_FS:
        return
    for name, path in named:
        if path and "://" not in path and not path.startswith("file:"):
            there = f"{default.rstrip('/')}/{path.lstrip('/')}"
            here = storage.parse(path).for_spark
            named = "" if name == path else f"{name}: "
            raise ConfigError(
                f"{named}{path} is a path of {default} for Spark and of this machine for Python; "
                f"write {there}, or {here}"
            )


def probe(spark: SparkSession, warehouse: str) -> None:
    """Write there with Python, read it with Spark, and ask for a second first one.

    Raises:
        StorageError: says which of these failed.
    """
    path = f"{storage.join(warehouse, _PROBE)}-{uuid.uuid4().hex}"
    storage.write_new(path, b"tfspark\n")
    try:
        try:
            storage.write_new(path, b"again\n")
        except FileExistsError:
            pass
        else:
            raise StorageError(
                f"{warehouse}: a file was written twice though it was asked for only where there "
                "is none: two jobs could not tell who was first; use a store that keeps "
                "If-None-Match"
            )
        _read_by_spark(spark, path, warehouse)
    finally:
        storage.delete_file(path)


def _read_by_spark(spark: SparkSession, path: str, warehouse: str) -> None:
    from tfspark.compat.spark import ERRORS

    try:
        found = [row[0] for row in spark.read.text(storage.parse(path).for_spark).collect()]
    except ERRORS as error:
        said = str(error)
        todo = ""
        if "S3AFileSystem not found" in said or "No FileSystem for scheme" in said:
            todo = " (a jar is missing: org.apache.hadoop:hadoop-aws, see `make stores`)"
        raise failed(
            f"{warehouse}: Python writes there, Spark cannot read it: {first_line(error)}{todo}",
            error,
        ) from error
    if found != ["tfspark"]:
        raise StorageError(f"{warehouse}: Spark reads something else there than Python wrote")
