"""Spark's own plan of a DataFrame, taken apart: one read of files, what is chosen and filtered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfspark.compat.catalyst import Expression, FileScan, Physical, logical_steps
from tfspark.plainfiles.asread import NotPlain

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LOGICAL = {"SubqueryAlias", "View", "Project", "Filter", "LogicalRelation"}
_FORMATS = {"ParquetFileFormat", "DeltaParquetFileFormat"}
_OPTIONS = {
    *("path", "paths", "basepath", "serialization.format", "mergeschema", "recursivefilelookup"),
    *("pathglobfilter", "modifiedbefore", "modifiedafter", "versionasof", "timestampasof"),
}
# Settings that make Spark read other values than stand in the files, or leave some out.
_SETTINGS = {
    "spark.sql.files.ignoreCorruptFiles": "true",
    "spark.sql.files.ignoreMissingFiles": "true",
    "spark.sql.parquet.int96TimestampConversion": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "LEGACY",
    "spark.sql.parquet.int96RebaseModeInRead": "LEGACY",
}


def check_logical(df: DataFrame) -> None:
    """Refuse most DataFrames before Spark is asked for its plan, which may cost jobs.

    Raises:
        NotPlain: says what it is.
    """
    for step in logical_steps(df):
        if step not in _LOGICAL:
            raise NotPlain(f"it is not only read but also made by a step {step}")


def scan_of(plan: Physical) -> FileScan:
    """The scan at the bottom of a plan.

    Raises:
        NotPlain: there is none.
    """
    if plan.scan is None:
        raise NotPlain(f"Spark reads it by {plan.leaf}")
    return plan.scan


def named(plan: Physical, scan: FileScan) -> tuple[dict[int, str], list[Expression]]:
    """The files' name of every column by its number, and the filters.

    Raises:
        NotPlain: a column is computed.
    """
    names = scan.output
    conditions = []
    for step in plan.steps:
        if isinstance(step, Expression):
            conditions.append(step)
            continue
        for chosen in step:
            column = chosen.children[0] if chosen.kind == "Alias" else chosen
            if column.kind != "AttributeReference":
                raise NotPlain(f"a column is computed: {column.text[:200]}")
            names[chosen.number] = names[column.number]
    return names, conditions


def check_scan(spark: SparkSession, scan: FileScan) -> None:
    """Whether the scan reads Parquet files as they are.

    Raises:
        NotPlain: says what else it does.
    """
    kind = scan.format
    if kind not in _FORMATS:
        raise NotPlain(f"its files are {kind.removesuffix('FileFormat') or 'of another format'}")
    if kind.startswith("Delta") and scan.column_mapping != "none":
        raise NotPlain("the Delta table has column mapping")
    for name in scan.options:
        if name.lower() not in _OPTIONS:
            raise NotPlain(f"it is read with the option {name}")
    for name, value in _SETTINGS.items():
        if str(spark.conf.get(name)).upper() == value.upper():
            raise NotPlain(f"{name} is {value}")
    if scan.reads_metadata:
        raise NotPlain("it has deletion vectors, or _metadata is read")
