"""Spark's own plan of a DataFrame, taken apart: one read of files, what is chosen and filtered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfspark.scoring.plans.asread import NotPlain

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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


def check_logical(node: Any) -> None:
    """Refuse most DataFrames before Spark is asked for its plan, which may cost jobs.

    Raises:
        NotPlain: says what it is.
    """
    what = str(node.getClass().getSimpleName())
    if what not in _LOGICAL:
        raise NotPlain(f"it is not only read but also made by a step {what}")
    children = node.children()
    for place in range(children.size()):
        check_logical(children.apply(place))


def take_apart(node: Any) -> tuple[Any, list[Any]]:
    """The scan at the bottom, and the steps above it, the lowest last."""
    steps = []
    while (what := str(node.getClass().getSimpleName())) in ("ProjectExec", "FilterExec"):
        steps.append(node)
        node = node.child()
    if what != "FileSourceScanExec":
        raise NotPlain(f"Spark reads it by {what}")
    return node, steps


def named(scan: Any, steps: Sequence[Any]) -> tuple[dict[int, str], list[Any]]:
    """The files' name of every column by its number, and the filters."""
    output = scan.output()
    names = {
        int(output.apply(i).exprId().id()): str(output.apply(i).name())
        for i in range(output.size())
    }
    conditions = []
    for step in reversed(steps):
        if step.getClass().getSimpleName() == "FilterExec":
            conditions.append(step.condition())
            continue
        columns = step.projectList()
        for place in range(columns.size()):
            column = columns.apply(place)
            number = int(column.exprId().id())
            if column.getClass().getSimpleName() == "Alias":
                column = column.child()
            if column.getClass().getSimpleName() != "AttributeReference":
                raise NotPlain(f"a column is computed: {str(column.toString())[:200]}")
            names[number] = names[int(column.exprId().id())]
    return names, conditions


def check_scan(spark: SparkSession, scan: Any) -> None:
    """Whether the scan reads Parquet files as they are.

    Raises:
        NotPlain: says what else it does.
    """
    relation = scan.relation()
    kind = str(relation.fileFormat().getClass().getSimpleName())
    if kind not in _FORMATS:
        raise NotPlain(f"its files are {kind.removesuffix('FileFormat') or 'of another format'}")
    if kind.startswith("Delta") and relation.fileFormat().columnMappingMode().name() != "none":
        raise NotPlain("the Delta table has column mapping")
    options = relation.options().keySet().iterator()
    while options.hasNext():
        name = str(options.next())
        if name.lower() not in _OPTIONS:
            raise NotPlain(f"it is read with the option {name}")
    for name, value in _SETTINGS.items():
        if str(spark.conf.get(name)).upper() == value.upper():
            raise NotPlain(f"{name} is {value}")
    if not scan.fileConstantMetadataColumns().isEmpty():
        raise NotPlain("it has deletion vectors, or _metadata is read")
