"""Whether a table may be scored into a target, before anything is read or written."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from tfspark import tables
from tfspark.compat.catalyst import root_paths, table_location
from tfspark.config import Source
from tfspark.errors import ConfigError, SourceMissing, StorageError
from tfspark.places import one_meaning
from tfspark.scoring.table.asked import TableAsked
from tfspark.targets import refuse_foreign, refuse_overlap
from tfspark.wording import say

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OUTPUT = "output, --output"


def check_places(asked: TableAsked) -> None:
    """Refuse a run that would destroy what it reads, or others' files.

    Raises:
        ConfigError: see `refuse_places`.
    """
    source, model = asked.source, asked.model.single()
    named, read = [], []
    if not isinstance(source, Source):
        read = root_paths(source)
    elif source.format != "jdbc" and source.path:
        named = [source.place(asked.day)]
    if model is not None:
        read.append(model.path)
    refuse_places(asked.spark, asked.target, asked.quarantine, named, read)


def refuse_places(
    spark: SparkSession, target: str, quarantine: str, named: Iterable[str], read: Iterable[str]
) -> None:
    """Refuse a target, or a table of bad rows, that would destroy what is read, or others' files.

    Args:
        named: paths (globs too) and names of the tables that are read.
        read: paths that are read.

    Raises:
        ConfigError: one is, or lies in or around, what is read; or it holds files of others; or a
            path is another place for Spark than for Python.
    """
    paths, given = list(read), [table for table in named if table]
    one_meaning(spark, [(table, table) for table in (*given, target) if tables.is_path(table)])
    for table in given:
        if tables.is_path(table):
            paths.append(table)
            continue
        if table.lower() in (target.lower(), quarantine.lower()):
            raise ConfigError(say("target_source", target=table, source=table, option=OUTPUT))
        with suppress(SourceMissing, StorageError, ConfigError):  # reading it says so
            paths += root_paths(tables.read_table(spark, table))
    for table, option in ((target, OUTPUT), (quarantine, "quarantine")):
        place = table if tables.is_path(table) else table_location(spark, table)
        if place is None:
            continue
        refuse_overlap(place, paths, option)
        if not tables.is_there(spark, table):
            refuse_foreign(place, option)


def refuse_lost(spark: SparkSession, target: str) -> None:
    """Refuse a new table of a catalog that ends with this job: nobody would find it.

    Raises:
        ConfigError: it would be one.
    """
    if tables.is_path(target):
        return
    lasts = spark.conf.get("spark.sql.catalogImplementation") != "in-memory"
    if lasts or tables.is_there(spark, target):
        return
    if table_location(spark, target) is not None:
        raise ConfigError(say("target_lost", target=target))
