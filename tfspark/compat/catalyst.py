"""Catalyst's plans and expressions, read through py4j, as plain Python data.

Spark names none of these classes in its public API. What is not known here keeps its name and its
text alone, so that a caller can refuse it.
"""

from __future__ import annotations

import decimal
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import types as T

_BINARY = {
    *("And", "Or", "EqualTo", "LessThan", "LessThanOrEqual", "GreaterThan", "GreaterThanOrEqual")
}
_UNARY = {"Not", "IsNull", "IsNotNull", "Cast", "Alias"}
_TYPED = {"AttributeReference", "Cast", "Literal"}
_WITH_NUMBER = {"AttributeReference", "Alias"}


@dataclass(frozen=True)
class Expression:
    """A node of an expression.

    Attributes:
        kind: the name of its class: `EqualTo`, `Literal`...
        text: as Spark prints it.
        type: Spark's name of the type of an attribute, a cast or a literal.
        children: what it is applied to; of `In` the column and then the values.
        number: by which Spark knows an attribute.
        values: of a literal (one) or an `InSet`: see `plain_value`.
    """

    kind: str
    text: str
    type: str = ""
    children: tuple[Expression, ...] = ()
    number: int = -1
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class ListedFile:
    """A file that a scan reads.

    Attributes:
        path: a path of this machine, or a URI.
        size: bytes.
        values: of the partition columns, in their order: see `plain_value`.
    """

    path: str
    size: int
    values: tuple[Any, ...]


class FileScan:
    """Spark's `FileSourceScanExec`."""

    def __init__(self, node: Any) -> None:
        self._node, self._relation = node, node.relation()

    @property
    def format(self) -> str:
        """The name of the format's class: `ParquetFileFormat`..."""
        return _name(self._relation.fileFormat())

    @property
    def column_mapping(self) -> str:
        """Delta's mode: `none`, `name` or `id`."""
        return str(self._relation.fileFormat().columnMappingMode().name())

    @property
    def options(self) -> list[str]:
        """The names of the reader's options."""
        keys = self._relation.options().keySet().iterator()
        return [str(key) for key in _items(keys)]

    @property
    def reads_metadata(self) -> bool:
        """Whether it gives columns that are not in the files."""
        return not self._node.fileConstantMetadataColumns().isEmpty()

    @property
    def output(self) -> dict[int, str]:
        """The name of each column by the number of its attribute."""
        return {int(a.exprId().id()): str(a.name()) for a in _sequence(self._node.output())}

    @cached_property
    def data_columns(self) -> list[str]:
        """The columns of the files."""
        return [str(name) for name in self._relation.dataSchema().fieldNames()]

    @cached_property
    def partition_columns(self) -> dict[str, str]:
        """The columns that are given by folders, with Spark's names of their types."""
        schema = self._relation.partitionSchema()
        return {
            str(name): str(schema.apply(place).dataType().catalogString())
            for place, name in enumerate(schema.fieldNames())
        }

    def type_of(self, column: str) -> T.DataType:
        """Spark's type of a column of the files or of the folders."""
        from pyspark.sql import types as T

        described = str(self._relation.schema().apply(column).dataType().json())
        return T._parse_datatype_json_value(json.loads(described))

    @property
    def file_count(self) -> int:
        return len(self._files)

    def files(self) -> Iterator[ListedFile]:
        """What is left of the table's files after partitions and files are pruned."""
        schema = self._relation.partitionSchema()
        kinds = list(self.partition_columns.values())
        for file in self._files:
            row = file.partitionValues()
            values = tuple(
                plain_value(row.get(place, schema.apply(place).dataType()), kind)
                for place, kind in enumerate(kinds)
            )
            yield ListedFile(_path(file), int(file.fileSize()), values)

    @cached_property
    def _files(self) -> Any:
        return self._node.selectedPartitions().toPartitionArray()


@dataclass(frozen=True)
class Physical:
    """A physical plan of choices and filters above one leaf.

    Attributes:
        output: the numbers of the columns that come out.
        steps: from the leaf upwards: a filter's condition, or the columns that are chosen.
        leaf: the name of the class below them.
        scan: the leaf, where it reads files.
    """

    output: tuple[int, ...]
    steps: tuple[Expression | tuple[Expression, ...], ...]
    leaf: str
    scan: FileScan | None


def logical_steps(df: DataFrame) -> Iterator[str]:
    """The names of the classes of the analyzed plan, from the top; no job is run for it."""
    yield from _steps(df._jdf.queryExecution().analyzed())


def root_paths(df: DataFrame) -> list[str]:
    """The files and folders that a DataFrame reads, as it names them; no job is run for it."""
    found = []
    for leaf in _sequence(df._jdf.queryExecution().analyzed().collectLeaves()):
        if _name(leaf) == "LogicalRelation" and _name(leaf.relation()) == "HadoopFsRelation":
            found += [_local(path) for path in _sequence(leaf.relation().location().rootPaths())]
    return found


def default_file_system(spark: SparkSession) -> str:
    """Hadoop's `fs.defaultFS`: where a path without a scheme is for Spark."""
    context: Any = spark.sparkContext
    return str(context._jsc.hadoopConfiguration().get("fs.defaultFS") or "")


def table_location(spark: SparkSession, name: str) -> str | None:
    """Where a table of Spark's own catalog lies, or would lie; None: it is of another catalog."""
    from tfspark.compat.spark import ERRORS

    state: Any = spark._jsparkSession.sessionState()
    try:
        table = state.sqlParser().parseTableIdentifier(name)
        if state.catalog().tableExists(table):
            return _uri(state.catalog().getTableMetadata(table).location())
        return _uri(state.catalog().defaultTablePath(table))
    except ERRORS:
        return None


def physical_plan(df: DataFrame) -> Physical:
    """The physical plan before it is prepared to run."""
    top = node = df._jdf.queryExecution().sparkPlan()
    steps: list[Expression | tuple[Expression, ...]] = []
    while (what := _name(node)) in ("ProjectExec", "FilterExec"):
        if what == "FilterExec":
            steps.append(_expression(node.condition()))
        else:
            steps.append(tuple(map(_expression, _sequence(node.projectList()))))
        node = node.child()
    output = tuple(int(attribute.exprId().id()) for attribute in _sequence(top.output()))
    scan = FileScan(node) if what == "FileSourceScanExec" else None
    return Physical(output, tuple(reversed(steps)), what, scan)


def plain_value(value: Any, data_type: str) -> Any:
    """Spark's inner value: text, days of a date, microseconds of a timestamp, a Decimal."""
    if value is None:
        return None
    if data_type == "string":
        return str(value.toString())
    if data_type.startswith("decimal("):
        return decimal.Decimal(str(value.toString()))
    return value


def _expression(node: Any) -> Expression:
    kind = _name(node)
    data_type = str(node.dataType().catalogString()) if kind in _TYPED else ""
    number = int(node.exprId().id()) if kind in _WITH_NUMBER else -1
    children: list[Any] = []
    values: list[Any] = []
    if kind in _BINARY:
        children = [node.left(), node.right()]
    elif kind in _UNARY:
        children = [node.child()]
    elif kind == "In":
        children = [node.value(), *_sequence(node.list())]
    elif kind == "InSet":
        children = [node.child()]
        inner = str(node.child().dataType().catalogString())
        values = [plain_value(value, inner) for value in _items(node.hset().iterator())]
    elif kind == "Literal":
        values = [plain_value(node.value(), data_type)]
    return Expression(
        kind,
        str(node.toString()),
        data_type,
        tuple(map(_expression, children)),
        number,
        tuple(values),
    )


def _steps(node: Any) -> Iterator[str]:
    yield _name(node)
    for child in _sequence(node.children()):
        yield from _steps(child)


def _name(node: Any) -> str:
    return str(node.getClass().getSimpleName())


def _sequence(found: Any) -> Iterator[Any]:
    """Of a Scala Seq."""
    return (found.apply(place) for place in range(found.size()))


def _items(iterator: Any) -> Iterator[Any]:
    """Of an iterator of the JVM."""
    while iterator.hasNext():
        yield iterator.next()


def _path(file: Any) -> str:
    return _local(file.toPath())


def _local(path: Any) -> str:
    return _uri(path.toUri())


def _uri(uri: Any) -> str:
    """Raw, as a path of Hadoop's is."""
    scheme, path = uri.getScheme(), str(uri.getPath())
    return path if scheme in (None, "file") else f"{scheme}://{uri.getAuthority() or ''}{path}"
