"""Spark's tasks that read: a group of files each, record batches straight from the codec."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyspark.sql import datasource as spark
from pyspark.sql.types import StructType

from tfspark import storage
from tfspark.errors import ConfigError, IntegrityError, StorageError
from tfspark.tfrecord.codec.infer import infer_schema
from tfspark.tfrecord.codec.read import Reading, count_records, read_file
from tfspark.tfrecord.codec.schema import BYTES, Layout, layout_of, layout_to_read
from tfspark.tfrecord.folder.manifest import FileEntry, Folder
from tfspark.tfrecord.folder.prune import matching
from tfspark.tfrecord.spark import types as sparktypes
from tfspark.tfrecord.spark.options import Options
from tfspark.wording import say

_SAMPLED = 8  # files that a schema is taken from
_OPENING = 4 << 20  # bytes that opening a file costs as much as reading
_TASKS = 32  # so many at least where there are as many files
_ROWS = 1 << 16  # of a batch of constants
_log = logging.getLogger("tfspark.tfrecord")


def schema_of(folder: Folder, options: Options) -> StructType:
    """The Spark schema of a folder: records' columns, then partition columns.

    Raises:
        ConfigError: a column that is asked for is not there, or Spark has no type for one.
        IntegrityError, StorageError: no schema could be taken from the records.
    """
    layout = declared(folder, options)
    if layout is not None:
        found = layout.schema
    elif options.record_type == "ByteArray":
        found = BYTES
    else:
        paths = [entry.path for entry in folder.files if entry.bytes]
        paths = paths or [entry.path for entry in folder.files]
        if options.infer_records is not None:
            paths = paths[:: max(1, -(-len(paths) // _SAMPLED))]
        found = infer_schema(paths, options.infer_records, options.compression, options.on_corrupt)
        layout_of(found, record_type=options.record_type)
    records = [field for field in found if field.name not in folder.partition_by.names]
    schema = sparktypes.to_spark(pa.schema([*records, *folder.partition_by]))
    if options.columns is None:
        return schema
    if unknown := [name for name in options.columns if name not in schema.names]:
        raise ConfigError(f"{folder.path} has no column {unknown[0]}; it has {schema.names}")
    return StructType([schema[name] for name in options.columns])


def declared(folder: Folder, options: Options) -> Layout | None:
    """The layout of the folder's own schema, if it has one and records are read by it.

    Raises:
        ConfigError: its records are not of the type that is asked for.
    """
    layout, asked = folder.layout, options.record_type
    if layout is None or asked in (None, layout.record_type):
        return layout
    if asked == "ByteArray":
        return None
    if asked == "Example" or layout.raw:
        raise ConfigError(
            say("no_record_type", path=folder.path, found=layout.record_type, given=asked)
        )
    return layout  # SequenceExamples without lists of lists are Examples


class Reader(spark.DataSourceReader):
    """One scan. It gives the columns of the schema that Spark asks for, and decodes no others.

    Args:
        inferred: the schema is the one of `schema_of`.
    """

    def __init__(
        self, folder: Folder, schema: StructType, options: Options, inferred: bool = False
    ) -> None:
        self._folder, self._options = folder, options
        self._vectors = sparktypes.vectors(schema)
        self._schema = sparktypes.to_arrow(schema)
        if options.columns not in (None, schema.names):
            raise ConfigError(
                f"{folder.path}: the schema has the columns {schema.names}, the option columns "
                f"says {options.columns}: give one of the two"
            )
        constant = folder.partition_by.names
        self._columns = [name for name in self._schema.names if name not in constant]
        layout = declared(folder, options)
        if layout is None and self._columns:
            wanted = pa.schema([self._schema.field(name) for name in self._columns])
            layout = layout_to_read(sparktypes.stored(wanted), options.record_type)
            if inferred and options.columns is None:
                layout = replace(layout, sampled=tuple(constant))
        elif layout is not None:
            known = layout.schema.names
            if unknown := [name for name in self._columns if name not in known]:
                raise ConfigError(
                    f"{folder.path} has no column {unknown[0]}; it has {[*known, *constant]}"
                )
        self._layout = layout

    def __getstate__(self) -> dict[str, Any]:
        # What travels to the tasks: each has its own files.
        return self.__dict__ | {"_folder": replace(self._folder, manifest=None, files=[])}

    def partitions(self) -> Sequence[spark.InputPartition]:
        # Not by `pushFilters`: Spark 4.2 keeps what one query's filters left of the files and gives
        # it to the next query of the same DataFrame, which then misses rows.
        wanted = matching(self._folder, self._options.where)
        return [spark.InputPartition(group) for group in _grouped(wanted, self._options.task_bytes)]

    def read(self, partition: spark.InputPartition) -> Iterator[pa.RecordBatch]:
        for entry in partition.value or ():
            if not storage.exists(entry.path):
                raise StorageError(
                    f"{entry.path} was there when the folder was listed and is gone: the folder "
                    "was overwritten; load it again"
                )
            for batch in self._read(entry):
                yield self._finished(batch, entry)

    def _read(self, entry: FileEntry) -> Iterator[pa.RecordBatch]:
        options = self._options
        if not self._columns:
            counted = count_records(entry.path, options.on_corrupt, options.compression)
            self._account(entry, counted.rows, counted.corrupt, counted.lost)
            for start in range(0, counted.rows, _ROWS):
                rows = min(_ROWS, counted.rows - start)
                yield pa.RecordBatch.from_arrays([pa.nulls(rows)], ["rows"])
            return
        reading: Reading = read_file(
            entry.path, self._layout, self._columns, options.on_corrupt, options.compression
        )
        with closing(reading):
            yield from reading
        self._account(entry, reading.rows, reading.corrupt, reading.lost)

    def _account(self, entry: FileEntry, rows: int, corrupt: int, lost: int | None) -> None:
        """Compare with the manifest, and tell what was skipped."""
        if self._options.on_corrupt == "fail":
            if entry.rows not in (None, rows):
                raise IntegrityError(
                    f"{entry.path} has {rows} records, the manifest says {entry.rows}: it was cut "
                    "off or replaced; bring it back or write the folder again"
                )
        elif corrupt or entry.rows not in (None, rows):
            said = {"file": entry.path, "rows": rows, "expected": entry.rows}
            said |= {"corrupt": corrupt, "lost_from_byte": lost}
            _log.warning("corrupt records were skipped: %s", said)
            if self._options.corrupt_path:
                # Named by the file: a second attempt of the task says the same again.
                name = hashlib.sha256(entry.path.encode()).hexdigest()[:32] + ".json"
                storage.write_json(storage.join(self._options.corrupt_path, name), said)

    def _finished(self, batch: pa.RecordBatch, entry: FileEntry) -> pa.RecordBatch:
        columns = {name: batch.column(name) for name in self._columns}
        for name, value in entry.partition.items():
            kind = self._folder.partition_by.field(name).type
            columns[name] = pa.repeat(pa.scalar(value, kind), batch.num_rows)
        whole = pa.RecordBatch.from_arrays(
            [columns[name] for name in self._schema.names], self._schema.names
        )
        found = sparktypes.cast(whole, self._schema, entry.path)
        return sparktypes.with_vectors(found, self._vectors)


def _grouped(files: Sequence[FileEntry], size: int) -> list[list[FileEntry]]:
    """Files to tasks, in their order: small ones together, up to a size."""
    costs = [entry.bytes + _OPENING for entry in files]
    limit = min(size, max(_OPENING, sum(costs) // _TASKS))
    groups: list[list[FileEntry]] = []
    room = 0
    for entry, cost in zip(files, costs, strict=True):
        if cost > room or not groups:
            groups.append([])
            room = limit
        groups[-1].append(entry)
        room -= cost
    return groups
