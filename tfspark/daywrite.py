"""A day of a Delta table, written by Spark in one commit, beside others who write to the table."""

from __future__ import annotations

import datetime as dt
import random
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.deltalog import commit_of, is_empty, latest
from tfspark.errors import SourceMissing, StorageError
from tfspark.sparkerrors import failed, first_line, reading
from tfspark.tablenames import is_delta, is_path, quote, sql_string

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

_TRIES = 20
ODD = re.compile(r"[#?%\\]")
"""In a path: deltalake takes paths for URIs, and would commit to one folder and read another."""
_MAPPED = re.compile(r"[ ,;{}()\n\t=]")
# What Delta and the catalog say of two who write, or make a table, at once.
_OTHERS = re.compile(
    r"Concurrent\w*Exception|(?:Protocol|Metadata)ChangedException|DELTA_CONCURRENT"
    r"|DELTA_PROTOCOL_CHANGED|DELTA_METADATA_CHANGED|DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION"
    r"|FileAlreadyExistsException|ALREADY_EXISTS|DELTA_LOG_\w+EXIST|DELTA_TABLE_NOT_FOUND"
    r"|DELTA_SCHEMA_NOT_SET|already exists"
)


def is_there(spark: SparkSession, table: str) -> bool:
    """Whether there is a table of a name, or a Delta table in a folder."""
    if is_path(table):
        return is_delta(table) and not is_empty(table)
    return spark.catalog.tableExists(table)


def target_schema(spark: SparkSession, target: str) -> StructType | None:
    """The schema of an existing table; None where there is none yet."""
    if not is_there(spark, target):
        return None
    with reading(target):
        if is_path(target):
            return spark.read.format("delta").load(target).schema
        return spark.table(target).schema


def write_day(
    df: DataFrame,
    target: str,
    day: dt.date,
    *,
    run_id: str,
    where: dict[str, str] | None = None,
    allowed: Callable[[], None] = lambda: None,
) -> int:
    """Replace one day of a Delta table (made when it is not there) in one commit.

    Where others write at once, it is tried again.

    Args:
        df: the day's rows, without the column `day`.
        target: folder or catalog name.
        day: the value of the column `day`, by which the table is partitioned.
        run_id: recorded in the commit, as Delta's `userMetadata`.
        where: further columns of `df` that are constant; only rows of the day that have these
            values are replaced, and the table is partitioned by them too.
        allowed: called before each try; it may raise.

    Returns:
        The version of the table that the commit made; the latest one where the day had no rows and
        gets none, as Delta commits nothing then.

    Raises:
        StorageError: the table has other columns, or the write failed; the table is unchanged,
            unless the message says that the day is written.
    """
    from pyspark.sql import functions as F

    from tfspark.compat.spark import ERRORS

    spark = df.sparkSession
    rows = df.withColumn("day", F.lit(day))
    writer = _writer(rows, day, run_id, where or {})
    said = f"{target}: the day {day} could not be written, the table is unchanged: "
    since = _latest(spark, target) + 1
    failure: Exception | None = None
    for attempt in range(_TRIES):
        time.sleep(random.uniform(0, min(0.1 * 2**attempt, 5)) if attempt else 0)  # noqa: S311
        try:
            check_columns(target_schema(spark, target), rows.schema, target)
            allowed()
            if is_path(target):
                writer.save(target)
            else:
                writer.saveAsTable(target)
        except (*ERRORS, StorageError, SourceMissing) as error:
            failure = error
            if (version := _version(spark, target, day, run_id, since)) is not None:
                return version  # it failed after its commit
            if isinstance(error, SourceMissing) or _OTHERS.search(str(error)):
                continue  # another run makes the table, or has committed to it
            if isinstance(error, StorageError):
                raise
            raise failed(said + first_line(error), error) from error
        version = _version(spark, target, day, run_id, since)
        return _latest(spark, target) if version is None else version
    told = first_line(failure) if failure else ""
    raise StorageError(
        f"{said}gave up after {_TRIES} tries: other writers keep committing to this table: {told}"
    ) from failure


def _writer(rows: DataFrame, day: dt.date, run_id: str, where: dict[str, str]) -> Any:
    condition = " AND ".join(
        [f"day = DATE'{day.isoformat()}'"]
        + [f"{quote(name)} = {sql_string(value)}" for name, value in where.items()]
    )
    writer = (
        rows.write.format("delta")
        .mode("overwrite")
        .partitionBy("day", *where)
        .option("replaceWhere", condition)
        .option("userMetadata", run_id)
    )
    if any(_MAPPED.search(name) for name in rows.columns):
        # Delta's own names for Parquet columns, since Parquet's cannot hold these characters.
        writer = writer.option("delta.columnMapping.mode", "name")
    return writer


def check_columns(
    old: StructType | None,
    new: StructType,
    target: str,
    todo: str = "write to a new table, or migrate this one",
) -> None:
    """Refuse to write to a table of other columns (None: there is no table yet)."""
    if old is None:
        return
    before = {field.name: field.dataType.simpleString() for field in old}
    after = {field.name: field.dataType.simpleString() for field in new}
    if before == after:
        return
    differ = [
        f"{name}: {before.get(name, 'not there')} in the table, {after.get(name, 'not there')} now"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    raise StorageError(
        f"{target}: the table has other columns than this run ({'; '.join(differ)}); {todo}"
    )


def check_partitions(spark: SparkSession, target: str, by: list[str]) -> None:
    """Refuse to write to a table that is partitioned otherwise; one that is not there is not.

    Raises:
        StorageError: it is.
    """
    from delta.tables import DeltaTable

    if not is_there(spark, target) or _partitions(target) == by:
        return
    with reading(target):
        found = (DeltaTable.forPath if is_path(target) else DeltaTable.forName)(spark, target)
        detail = found.detail().head()
    there = list(detail["partitionColumns"])
    if there == by:
        return
    if clustered := detail.asDict().get("clusteringColumns"):
        how = f"clustered by {', '.join(clustered)}"
    else:
        how = f"partitioned by {', '.join(there)}" if there else "not partitioned"
    raise StorageError(
        f"{target}: the table is {how}, and its days are replaced by partitions ({', '.join(by)}); "
        "write to a new table, or migrate this one"
    )


def _partitions(target: str) -> list[str] | None:
    """As deltalake knows them, which takes no job; None: it does not."""
    from deltalake import DeltaTable

    if not is_path(target) or ODD.search(target):
        return None
    try:
        return list(DeltaTable(storage.for_delta(target)).metadata().partition_columns)
    except Exception:  # of a table that only Spark can open
        return None


def _place(spark: SparkSession, target: str) -> str | None:
    from tfspark.compat.catalyst import table_location

    return target if is_path(target) else table_location(spark, target)


def _latest(spark: SparkSession, target: str) -> int:
    """The newest version of a table; -1 where there is none, or none that can be told."""
    place = _place(spark, target)
    return -1 if place is None else latest(place)


def _version(spark: SparkSession, target: str, day: dt.date, run_id: str, since: int) -> int | None:
    """The version that the run's commit made; None: there is none.

    Raises:
        StorageError: it cannot be told.
    """
    from delta.tables import DeltaTable
    from pyspark.sql import functions as F

    from tfspark.compat.spark import ERRORS

    try:
        if (place := _place(spark, target)) is not None:
            return commit_of(place, since, lambda about: about.get("userMetadata") == run_id)
        history = DeltaTable.forName(spark, target).history(50)
        found = history.where(F.col("userMetadata") == run_id).select("version").head()
        return None if found is None else int(found[0])
    except (*ERRORS, StorageError, OSError) as error:
        raise failed(
            f"{target}: whether the day {day} is written cannot be told: its log cannot be read: "
            f"{first_line(error)}; look for the run {run_id} before it is written again",
            error,
        ) from error
