"""Tables: raw ones read, Delta ones written a day at a time."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tfspark import storage
from tfspark.config.textoptions import spark_options, text_options
from tfspark.errors import ConfigError, ContractViolation, StorageError
from tfspark.sparkerrors import first_line, reading
from tfspark.textfiles.files import local_path, partitions
from tfspark.textfiles.table import CORRUPT as CORRUPT
from tfspark.textfiles.table import JSON as JSON
from tfspark.textfiles.table import TextTable, text_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from tfspark.config import Source

RAW = "_tfspark_raw"
REASONS = "_tfspark_reasons"
_MAPPED = re.compile(r"[ ,;{}()\n\t=]")


def is_path(table: str) -> bool:
    """Whether a table is named by its folder; otherwise by its name in the catalog."""
    return "/" in table or storage.exists(table)


def quote(name: str) -> str:
    """A column's or table part's name as a quoted SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def sql_string(value: str) -> str:
    """A text as a SQL literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def is_delta(path: str) -> bool:
    return storage.is_dir(storage.join(path, "_delta_log"))


def read_source(
    spark: SparkSession,
    source: Source,
    day: dt.date | None = None,
    columns: Sequence[str] | None = None,
) -> DataFrame:
    """The raw table, or its rows of one day.

    Text formats (CSV, JSON) come as strings, so that the contract's checks see what is there; a
    record that does not have the table's fields stands in the column `_tfspark_corrupt`.

    Args:
        columns: those of a contract, which the fields of JSON are taken for, and by which values
            that stand in folders' names are left as text.

    Raises:
        SourceMissing: the table is not there.
        ConfigError: the source names no path, or no date where it needs one.
    """
    from pyspark.sql import functions as F

    if not source.path:
        raise ConfigError("source.path: names no table; set it in the file or with --source.path")
    if day is None and ("{date}" in source.path or source.day_column):
        raise ConfigError(f"source {source.path}: is by day: give --date YYYY-MM-DD")
    path = source.path.replace("{date}", str(day))
    with reading(path):
        if source.format in ("csv", "json"):
            table = _text(spark, source, path, columns or ())
            df = table.frame(spark, checked=columns is not None)
        elif source.format == "parquet":
            df = _read_parquet(spark, path, spark_options(source.options), columns is not None)
        else:
            df = _READERS[source.format](spark, path, spark_options(source.options))
    if source.day_column is None:
        return df
    if source.day_column not in df.columns:
        raise ContractViolation(
            f"{path}: no column {source.day_column} (source.day_column); there are: "
            + ", ".join(df.columns)
        )
    # A row whose day cannot be read is no day's: it stays, for the checks to refuse.
    this = F.col(quote(source.day_column)).try_cast("date")
    return df.where(this.isNull() | (this == F.lit(day)))


def source_rows(
    spark: SparkSession, source: Source, day: dt.date | None, columns: Sequence[str]
) -> DataFrame | TextTable:
    """As `read_source`; of text files the table itself, which tasks read."""
    if source.format in ("csv", "json") and source.day_column is None and source.path:
        path = source.path.replace("{date}", str(day))
        with reading(path):
            return _text(spark, source, path, columns)
    return read_source(spark, source, day, columns)


def _text(spark: SparkSession, source: Source, path: str, columns: Sequence[str]) -> TextTable:
    options = text_options(source.format, source.options)
    names = [*columns, *([source.day_column] if source.day_column else [])]
    return text_table(spark, source.format, path, options, names)


def read_table(spark: SparkSession, table: str) -> DataFrame:
    """A Parquet or Delta folder, or a table of the catalog.

    Raises:
        SourceMissing: it is not there.
    """
    with reading(table):
        if not is_path(table):
            return spark.table(table)
        if is_delta(table):
            return spark.read.format("delta").load(table)
        return spark.read.parquet(table)


def _read_parquet(
    spark: SparkSession, path: str, options: dict[str, str], as_text: bool = False
) -> DataFrame:
    """Parquet files; `as_text`: without a guess at what the values in folders' names are."""
    df = spark.read.options(**options).parquet(path)
    if not as_text or options.get("recursiveFileLookup", "").lower() == "true":
        return df
    first = next(iter(df.inputFiles()), "")
    names = {name.lower() for name in partitions(local_path(first), path)}
    by_folder = names & {field.name.lower() for field in df.schema}
    if not by_folder:
        return df
    from pyspark.sql import types as T

    fields = [
        T.StructField(f.name, T.StringType()) if f.name.lower() in by_folder else f
        for f in df.schema
    ]
    return spark.read.options(**options).schema(T.StructType(fields)).parquet(path)


def _read_delta(spark: SparkSession, path: str, options: dict[str, str]) -> DataFrame:
    return spark.read.format("delta").options(**options).load(path)


def _read_jdbc(spark: SparkSession, path: str, options: dict[str, str]) -> DataFrame:
    if "url" not in options:
        raise ConfigError("source.options.url: a jdbc source needs its JDBC URL")
    named = {} if "query" in options else {"dbtable": path}
    return spark.read.format("jdbc").options(**options, **named).load()


def _read_catalog(spark: SparkSession, path: str, options: dict[str, str]) -> DataFrame:
    return spark.read.options(**options).table(path)


_READERS = {
    "delta": _read_delta,
    "jdbc": _read_jdbc,
    "table": _read_catalog,
}


def is_there(spark: SparkSession, table: str) -> bool:
    """Whether there is a table of a name, or a Delta table in a folder."""
    return is_delta(table) if is_path(table) else spark.catalog.tableExists(table)


def target_schema(spark: SparkSession, target: str) -> StructType | None:
    """The schema of an existing table; None where there is none yet."""
    if not is_there(spark, target):
        return None
    return read_table(spark, target).schema


def write_day(
    df: DataFrame, target: str, day: dt.date, *, run_id: str, where: dict[str, str] | None = None
) -> int:
    """Replace one day of a Delta table (made when it is not there) in one commit.

    Args:
        df: the day's rows, without the column `day`.
        target: folder or catalog name.
        day: the value of the column `day`, by which the table is partitioned.
        run_id: recorded in the commit, as Delta's `userMetadata`.
        where: further columns of `df` that are constant; only rows of the day that have these
            values are replaced, and the table is partitioned by them too.

    Returns:
        The version of the table that the commit made; the latest one where the day had no rows and
        gets none, as Delta commits nothing then.

    Raises:
        StorageError: the table has other columns, or the write failed; the table is unchanged.
    """
    from pyspark.sql import functions as F

    from tfspark.compat.spark import ERRORS

    spark = df.sparkSession
    rows = df.withColumn("day", F.lit(day))
    check_columns(target_schema(spark, target), rows.schema, target)
    condition = " AND ".join(
        [f"day = DATE'{day.isoformat()}'"]
        + [f"{quote(name)} = {sql_string(value)}" for name, value in (where or {}).items()]
    )
    writer = (
        rows.write.format("delta")
        .mode("overwrite")
        .partitionBy("day", *(where or {}))
        .option("replaceWhere", condition)
        .option("userMetadata", run_id)
    )
    if any(_MAPPED.search(name) for name in rows.columns):
        # Delta's own names for Parquet columns, since Parquet's cannot hold these characters.
        writer = writer.option("delta.columnMapping.mode", "name")
    try:
        if is_path(target):
            writer.save(target)
        else:
            writer.saveAsTable(target)
        return _version_of(spark, target, run_id, rows.isEmpty)
    except ERRORS as error:
        raise StorageError(
            f"{target}: the day {day} could not be written, the table is unchanged: "
            f"{first_line(error)}"
        ) from error


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


def _version_of(spark: SparkSession, target: str, run_id: str, is_empty: Callable[[], bool]) -> int:
    from delta.tables import DeltaTable
    from pyspark.sql import functions as F

    named = DeltaTable.forPath if is_path(target) else DeltaTable.forName
    history = named(spark, target).history(50)
    found = history.where(F.col("userMetadata") == run_id).select("version").head()
    if found is None and is_empty():
        found = history.select("version").head()  # no rows in place of no rows: no commit
    if found is None:
        raise StorageError(f"{target}: the commit of run {run_id} is not in the table's history")
    return int(found[0])
