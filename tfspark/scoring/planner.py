"""Which plan a run takes: whether its tasks may read the source, and write the target."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import types as T

from tfspark import storage, tables
from tfspark.config import Source
from tfspark.contracts import Contract
from tfspark.errors import ConfigError, StorageError
from tfspark.rowgroups import Footer, Group, divide, footers
from tfspark.scoring.binding import arrow_of
from tfspark.scoring.commit import differs
from tfspark.tfrecord.types import loose_type

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_TASK_BYTES = 1 << 30  # of Parquet, in memory: a task is tried again as a whole
_PLAIN = re.compile(r"[^ ,;{}()\n\t=.`]+")
_READER_FEATURES = {"timestampNtz", "deletionVectors", "v2Checkpoint", "vacuumProtocolCheck"}
_WRITER_FEATURES = {"appendOnly", "invariants", "timestampNtz"}
_LEGACY = (b"org.apache.spark.legacyDateTime", b"org.apache.spark.legacyINT96")


class NotPlain(Exception):
    """The scan does not apply; the message says why."""


@dataclass(frozen=True)
class Scan:
    """The rows of a scan: the columns with the types of Spark's Arrow, and their row groups."""

    columns: pa.Schema
    groups: list[Group]

    @property
    def rows(self) -> int:
        return sum(group.rows for group in self.groups)

    def shares(self, spark: SparkSession) -> list[list[Group]]:
        """A share a core, or a multiple of that where the shares would be large."""
        cores = spark.sparkContext.defaultParallelism
        waves = -(-sum(group.bytes for group in self.groups) // (_TASK_BYTES * cores))
        return divide(self.groups, cores * max(1, waves))


@dataclass(frozen=True)
class Choice:
    """How a run goes.

    Attributes:
        why: it is this plan.
        columns: that tasks read, with the types that they write; None: Spark writes the table.
        scan: of the plan of that name.
    """

    plan: str
    why: str
    columns: pa.Schema | None = None
    scan: Scan | None = None


def choose(
    plan: str,
    contract: Contract | None,
    df: DataFrame,
    source: Source | None,
    used: Sequence[str],
    target: str,
    schema: T.StructType,
) -> Choice:
    """The plan of a run.

    Args:
        df: the source as Spark reads it, checked.
        source: None where a DataFrame was given.
        used: the columns that are read.
        schema: of the target, with `day`.

    Raises:
        ConfigError: the scan is asked for and does not apply.
    """
    if plan == "pandas":
        return Choice(plan, "asked for")
    columns = None
    try:
        check_target(target, schema)
        columns = _columns(df, used)
        if plan == "arrow":
            return Choice(plan, "asked for", columns)
        if contract is not None:
            raise NotPlain("a contract is checked by Spark")
        if source is None:
            raise NotPlain("the source is a DataFrame")
        scan = scan_of(df, source, columns)
    except NotPlain as reason:
        if plan == "scan":
            where = source.path if source else "the DataFrame"
            raise ConfigError(
                f"plan 'scan' does not apply to {where}: {reason}; use plan 'auto'"
            ) from None
        why = f"no scan: {reason}" if plan == "auto" else f"asked for; Spark writes: {reason}"
        return Choice("arrow", why, columns)
    return Choice("scan", f"plain files: {len(scan.groups)} row groups", columns, scan)


def scan_of(df: DataFrame, source: Source, columns: pa.Schema) -> Scan:
    """The scan that gives columns of `df`, the source as Spark reads it.

    Raises:
        NotPlain: the scan does not apply.
    """
    try:
        looked = footers(_files(df, source, columns.names), columns.names)
    except StorageError as error:
        raise NotPlain(str(error)) from None
    for footer in looked:
        _check_file(footer, columns)
    return Scan(columns, [group for footer in looked for group in footer.groups])


def _columns(df: DataFrame, used: Sequence[str]) -> pa.Schema:
    columns = []
    for name in used:
        try:
            columns.append(pa.field(name, loose_type(arrow_of(df.schema[name].dataType))))
        except Exception:  # what Spark itself cannot hand to Python
            kind = df.schema[name].dataType.simpleString()
            raise NotPlain(f"the column {name} is {kind}") from None
    return pa.schema(columns)


def _files(df: DataFrame, source: Source, used: Sequence[str]) -> list[str]:
    options = {name for name in source.options if name != "versionAsOf"}
    if source.format not in ("parquet", "delta"):
        raise NotPlain(f"the source is no folder of Parquet or Delta, but {source.format}")
    if source.day_column:
        raise NotPlain("the source is filtered by its day_column")
    if options:
        raise NotPlain(f"the source has options: {', '.join(sorted(options))}")
    if source.format == "delta":
        return _files_of_delta(source, used)
    files = [
        storage.filesystem(uri)[1] if uri.startswith("file:") else uri for uri in df.inputFiles()
    ]
    root = storage.absolute(source.path)
    for path in files:
        below = path.removeprefix(root)
        if below == path:
            raise NotPlain("the source is named by a pattern")
        if "=" in below.rpartition("/")[0]:
            raise NotPlain("the source is partitioned by folders, name=value")
    return sorted(files)


def _files_of_delta(source: Source, used: Sequence[str]) -> list[str]:
    from deltalake import DeltaTable

    try:
        version = int(source.options["versionAsOf"])
        table = DeltaTable(source.path, version=version)
        features = set(table.protocol().reader_features or ()) - _READER_FEATURES
        mapped = table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
        paths = [str(path) for path in table.get_add_actions()["path"].to_pylist()]
        vectors = sum(batch.num_rows for batch in table.deletion_vectors())
    except Exception as error:
        raise NotPlain(f"deltalake cannot read the source: {tables.first_line(error)}") from None
    if mapped:
        raise NotPlain("the source has column mapping")
    if features:
        raise NotPlain(f"the source has {', '.join(sorted(features))}")
    if vectors:
        raise NotPlain("the source has deletion vectors")
    if by := [name for name in table.metadata().partition_columns if name in used]:
        raise NotPlain(f"the column {by[0]} is a partition of the source, so not in its files")
    if odd := [path for path in paths if "%" in path or "://" in path]:
        raise NotPlain(f"the source has a file of a name that is no plain path: {odd[0]}")
    return [storage.join(storage.absolute(source.path), path) for path in paths]


def _check_file(footer: Footer, columns: pa.Schema) -> None:
    for field in columns:
        at = footer.schema.get_all_field_indices(field.name)
        if len(at) != 1:
            raise NotPlain(f"{footer.path} has no column {field.name}")
        kind = footer.schema.field(at[0]).type
        if _as_spark(kind, field.type) != field.type:
            raise NotPlain(
                f"{footer.path} has {field.name} as {kind}, the table as {field.type}, and only "
                "Spark knows how the one becomes the other"
            )
    if any(key in footer.written_by for key in _LEGACY):
        raise NotPlain(f"{footer.path} has dates of the calendar before 1582")


def check_target(target: str, schema: T.StructType) -> None:
    """Whether deltalake can commit a day of files to the target.

    Raises:
        NotPlain: it cannot.
    """
    from deltalake import DeltaTable, Schema

    if not tables.is_path(target):
        raise NotPlain("the target is a table of the catalog")
    if odd := [name for name in _names(schema) if not _PLAIN.fullmatch(name)]:
        raise NotPlain(f"a column of the target has a name of special characters: {odd[0]}")
    if any(field.metadata for field in schema):
        raise NotPlain("columns carry metadata of Spark")
    try:
        Schema.from_json(json.dumps(delta_schema(schema)))
    except Exception as error:
        raise NotPlain(f"deltalake does not know a type: {tables.first_line(error)}") from None
    try:
        storage.filesystem(target)
        if not DeltaTable.is_deltatable(target):
            return
        table = DeltaTable(target)
        metadata, protocol = table.metadata(), table.protocol()
        vectors = sum(batch.num_rows for batch in table.deletion_vectors())
    except Exception as error:
        raise NotPlain(f"deltalake cannot open the target: {tables.first_line(error)}") from None
    if metadata.partition_columns != ["day"]:
        raise NotPlain("the target is not partitioned by day alone")
    features = {*(protocol.writer_features or ()), *(protocol.reader_features or ())}
    set_up = [
        name
        for name, value in metadata.configuration.items()
        if name.startswith("delta.constraints.")
        or (name == "delta.appendOnly" and value == "true")
        or (name == "delta.columnMapping.mode" and value != "none")
    ]
    fields = json.loads(table.schema().to_json())["fields"]
    set_up += [f"{f['name']}: {', '.join(f['metadata'])}" for f in fields if f["metadata"]]
    if unknown := sorted(features - _WRITER_FEATURES) + set_up:
        raise NotPlain(f"the target has {', '.join(unknown)}")
    if vectors:
        raise NotPlain("the target has deletion vectors")
    if differs(table, delta_schema(schema)):
        raise NotPlain("the target has columns that take no null")


def delta_schema(schema: T.StructType) -> dict[str, Any]:
    """A schema as Delta's log has it, everything nullable, as Spark makes it."""
    described: dict[str, Any] = json.loads(schema.json())
    _nullable(described)
    return described


def _nullable(described: Any) -> None:
    if isinstance(described, dict):
        for key in ("nullable", "containsNull", "valueContainsNull"):
            if key in described:
                described[key] = True
        for value in described.values():
            _nullable(value)
    elif isinstance(described, list):
        for value in described:
            _nullable(value)


def _names(kind: T.DataType) -> list[str]:
    """The names of the fields, at every level."""
    if isinstance(kind, T.ArrayType):
        return _names(kind.elementType)
    if isinstance(kind, T.MapType):
        return [*_names(kind.keyType), *_names(kind.valueType)]
    if isinstance(kind, T.StructType):
        return [name for field in kind for name in (field.name, *_names(field.dataType))]
    return []


def _as_spark(kind: pa.DataType, wanted: pa.DataType) -> pa.DataType:
    """The Arrow type in which Spark hands over what a file has."""
    t = pa.types
    if t.is_dictionary(kind):
        kind = kind.value_type
    if t.is_large_string(kind) or t.is_string_view(kind):
        return pa.string()
    if t.is_large_binary(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
        return pa.binary()
    if t.is_timestamp(kind) and t.is_timestamp(wanted) and kind.unit in ("ms", "us"):
        # Without a zone and yet an instant of Spark's: INT96.
        return wanted if wanted.tz or not kind.tz else kind
    wider = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64()}
    if kind in wider:
        return wider[kind]
    # Not of fixed size: Arrow cannot read a null one from Parquet.
    if (t.is_list(kind) or t.is_large_list(kind)) and t.is_list(wanted):
        return pa.list_(pa.field("element", _as_spark(kind.value_type, wanted.value_type)))
    return loose_type(kind)
