"""Tables: raw ones read, Delta ones written a day at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfspark.config.textoptions import spark_options, text_options
from tfspark.daycolumn import DayColumn, of_day
from tfspark.daywrite import check_columns as check_columns
from tfspark.daywrite import check_partitions as check_partitions
from tfspark.daywrite import is_there as is_there
from tfspark.daywrite import target_schema as target_schema
from tfspark.daywrite import write_day as write_day
from tfspark.errors import ConfigError
from tfspark.images.paths import with_images
from tfspark.images.table import ImageTable, image_table
from tfspark.sparkerrors import reading
from tfspark.storage import glob
from tfspark.tablenames import RAW as RAW
from tfspark.tablenames import REASONS as REASONS
from tfspark.tablenames import delta_around
from tfspark.tablenames import is_delta as is_delta
from tfspark.tablenames import is_path as is_path
from tfspark.tablenames import quote as quote
from tfspark.tablenames import sql_string as sql_string
from tfspark.targets import GLOB
from tfspark.textfiles.files import local_path, partitions
from tfspark.textfiles.table import CORRUPT as CORRUPT
from tfspark.textfiles.table import JSON as JSON
from tfspark.textfiles.table import TextTable, text_table
from tfspark.wording import say

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from tfspark.config import Source


def read_source(
    spark: SparkSession,
    source: Source,
    day: dt.date | None = None,
    columns: Sequence[str] | None = None,
    unread: bool = False,
) -> DataFrame:
    """The raw table, or its rows of one day.

    Text formats (CSV, JSON) come as strings, so that the contract's checks see what is there; a
    record that does not have the table's fields stands in the column `_tfspark_corrupt`.

    Args:
        columns: those of a contract, which the fields of JSON are taken for, and by which values
            that stand in folders' names are left as text.
        unread: whether it is said of images that a column names why they have no bytes.

    Raises:
        SourceMissing: the table is not there.
        ConfigError: the source names no path, or no date where it needs one.
    """
    if not source.path:
        raise ConfigError("source.path: names no table; set it in the file or with --source.path")
    if day is None and ("{date}" in source.path or source.day_column):
        raise ConfigError(f"source {source.path}: is by day: give --date YYYY-MM-DD")
    path = source.place(day)
    source = as_it_is(source, path)
    with reading(path):
        if source.format in ("csv", "json"):
            table = _text(spark, source, path, columns or ())
            df = table.frame(spark, checked=columns is not None)
        elif source.format == "images":
            df = image_table(path).frame(spark)
        elif source.format == "parquet":
            df = _read_parquet(spark, path, spark_options(source.options), columns is not None)
        else:
            df = _READERS[source.format](spark, path, spark_options(source.options))
    by = day_column(source, day)
    df = df if by is None else of_day(df, by, path)
    if (asked := source.images) is not None:
        df = with_images(df, asked.column, asked.folder, asked.into, unread)
    return df


def as_it_is(source: Source, path: str) -> Source:
    """Of the format that lies there: a Delta table's Parquet files are not all of them its rows.

    Raises:
        ConfigError: the path is a part of a Delta table.
    """
    if source.format != "parquet" or not path:
        return source
    if is_delta(path):
        return source.model_copy(update={"format": "delta"})
    refuse_part_of_delta(path)
    return source


def refuse_part_of_delta(path: str) -> None:
    """Refuse Parquet files of which only a Delta table's log knows which ones count.

    Raises:
        ConfigError: the path lies in a Delta table, or is a glob of some.
    """
    found = delta_around(path)
    if found is None and "://" not in path and GLOB.search(path):
        found = next((one for one in glob(path) if is_delta(one) or delta_around(one)), None)
    if found is not None:
        raise ConfigError(say("part_of_delta", path=path, table=found))


def day_column(source: Source, day: dt.date | None) -> DayColumn | None:
    """By which column the rows of a day are read; None: all are read."""
    return DayColumn(source.day_column, day) if source.day_column and day else None


def source_rows(
    spark: SparkSession, source: Source, day: dt.date | None, columns: Sequence[str]
) -> DataFrame | TextTable | ImageTable:
    """As `read_source`; of text files and images the table itself, which tasks read."""
    if source.images is not None:
        return read_source(spark, source, day, columns, unread=True)
    if source.format == "images" and source.day_column is None and source.path:
        return image_table(source.place(day))
    if source.format in ("csv", "json") and source.day_column is None and source.path:
        path = source.place(day)
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
        refuse_part_of_delta(table)
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
