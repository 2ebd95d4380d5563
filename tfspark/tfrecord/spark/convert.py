"""Plain Parquet files to a TFRecord folder, with nothing in Spark's rows.

    convert(spark, "parquet/", "records/", columns=["id", "x"], narrow={"x": "float"})

Each task reads row groups of its own with pyarrow and writes files of its own through the codec;
the commit is the same as that of the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from tfspark import storage
from tfspark.errors import ConfigError, SourceMissing, StorageError
from tfspark.rowgroups import Group, divide, footers, opened
from tfspark.targets import refuse_others, refuse_overlap
from tfspark.tensors.arrowtypes import loose
from tfspark.tfrecord.codec.schema import layout_of
from tfspark.tfrecord.codec.stream import Compression
from tfspark.tfrecord.codec.write import Written
from tfspark.tfrecord.folder.commit import Commit, Mode, StagedFile, begin
from tfspark.tfrecord.folder.parts import FILE_BYTES, Cut, partition_schema, write_parts
from tfspark.tfrecord.spark.source import holds_data, holds_records, own_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ROWS = 1 << 14  # of a batch
_TASK_BYTES = 128 << 20  # of Parquet, in memory


def convert(
    spark: SparkSession,
    source: str | Sequence[str],
    target: str,
    mode: Literal["error", "ignore", "append", "overwrite"] = "error",
    *,
    columns: Sequence[str] | None = None,
    narrow: Mapping[str, str] | None = None,
    partition_by: Sequence[str] = (),
    compression: Compression = "none",
    max_file_bytes: int = FILE_BYTES,
    max_records_per_file: int | None = None,
    tasks: int | None = None,
) -> Written:
    """Write the rows of Parquet files as a TFRecord folder, by one commit.

    Args:
        spark: the session whose tasks convert.
        source: a folder of Parquet files, or files; of one schema. No Delta table and no folders
            `name=value`: those need Spark's readers, see `write_tfrecord`.
        target: the folder to write.
        mode: `error`, `ignore`, `append` or `overwrite`, where the folder holds data.
        columns: only these.
        narrow: column → what its values become: a double `float`, a decimal `string` or
            `float`.
        partition_by: columns that become folders `name=value`.
        compression: none, gzip or zlib.
        max_file_bytes: a file is ended when it is as large on disk.
        max_records_per_file: most records of a file; None: any number.
        tasks: how many; default: one per 128 MiB, and one per core where there are row groups.

    Returns:
        The rows and bytes that were written.

    Raises:
        SourceMissing: there is no Parquet file.
        ConfigError: as for `write_tfrecord`, or the source needs another reader, or the target is
            the source, or lies in or around it, or holds files of others.
        StorageError: as for `write_tfrecord`, a file cannot be read, or the rows written are not
            those of the Parquet footers. In each case the folder is as it was.
    """
    if mode not in ("error", "ignore", "append", "overwrite"):
        raise ConfigError(f"mode {mode!r} is unknown: use error, ignore, append or overwrite")
    if mode == "ignore" and holds_data(target):
        return Written(0, 0)
    refuse_overlap(target, [source] if isinstance(source, str) else source, "TARGET")
    if not holds_records(target):
        refuse_others(target)
    schema, groups = _row_groups(_files(source), columns)
    records, by = partition_schema(schema, partition_by)
    folder_mode: Mode = mode if mode in ("append", "overwrite") else "new"
    layout = layout_of(records, narrow)
    shares = _shares(groups, tasks, spark.sparkContext.defaultParallelism)
    cut = Cut(compression, max_file_bytes, max_records_per_file)
    commit = begin(target, layout, by, folder_mode)
    try:
        parts = _run(spark, commit, cut, schema, shares)
        rows, expected = sum(p.rows for p in parts), sum(group.rows for group in groups)
        if rows != expected:
            raise StorageError(
                f"{target}: the Parquet footers say {expected} rows, {rows} were written: the "
                "source changed while it was read; run again"
            )
        commit.commit(parts)
    except BaseException:
        commit.abort()
        raise
    return Written(rows, sum(part.bytes for part in parts))


def _run(
    spark: SparkSession, commit: Commit, cut: Cut, schema: pa.Schema, shares: list[list[Group]]
) -> list[StagedFile]:
    """The parts of the attempts whose results Spark took: of each task one."""

    def write(task: int, share: Iterable[list[Group]]) -> Iterable[list[StagedFile]]:
        from pyspark import TaskContext

        context: Any = TaskContext.get()
        batches = (batch for groups in share for batch in _read(groups, schema))
        yield write_parts(commit, batches, cut, task, f"attempt-{context.taskAttemptId()}")

    with own_errors(f"writing {commit.path}"):
        shared = spark.sparkContext.parallelize(shares, max(1, len(shares)))
        return [part for parts in shared.mapPartitionsWithIndex(write).collect() for part in parts]


def _read(groups: Sequence[Group], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for path in dict.fromkeys(group.path for group in groups):
        numbers = [group.number for group in groups if group.path == path]
        with opened(path) as file:
            for batch in file.iter_batches(_ROWS, row_groups=numbers, columns=schema.names):
                # By name and loosely typed, as the layout is: a cast copies nothing here.
                yield batch.select(schema.names).cast(schema)


def _files(source: str | Sequence[str]) -> list[str]:
    found = []
    for path in [source] if isinstance(source, str) else source:
        if not storage.exists(path):
            raise SourceMissing(f"{path} is not there")
        if not storage.is_dir(path):
            found.append(storage.absolute(path))
            continue
        if storage.is_dir(storage.join(path, "_delta_log")):
            raise ConfigError(
                f"{path} is a Delta table, not all of its files count: write what Spark reads of "
                "it (write_tfrecord)"
            )
        for name, _ in storage.files(path):
            parts = name.split("/")
            if any(part.startswith(("_", ".")) for part in parts):
                continue
            if any("=" in part for part in parts[:-1]):
                raise ConfigError(
                    f"{path} is partitioned, {name} holds but a part of its columns: write what "
                    "Spark reads of it (write_tfrecord)"
                )
            found.append(storage.join(storage.absolute(path), name))
    if not found:
        raise SourceMissing(f"{source} holds no Parquet file")
    return found


def _row_groups(
    files: Sequence[str], columns: Sequence[str] | None
) -> tuple[pa.Schema, list[Group]]:
    """The schema that all files have, and their row groups, from the footers."""
    looked = []
    for footer in footers(files, columns):
        schema = loose(footer.schema)
        if unknown := [name for name in columns or () if name not in schema.names]:
            raise ConfigError(f"{footer.path} has no column {unknown[0]}; it has {schema.names}")
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        looked.append((schema, footer.groups))
    first = looked[0][0]
    for path, (schema, _) in zip(files, looked, strict=True):
        if schema != first:
            raise ConfigError(
                f"{path} has other columns than {files[0]}: {schema.to_string()}; convert files of "
                "one schema at a time"
            )
    return first, [group for _, groups in looked for group in groups]


def _shares(groups: Sequence[Group], tasks: int | None, cores: int) -> list[list[Group]]:
    total = sum(group.bytes for group in groups)
    return divide(groups, tasks or max(cores, -(-total // _TASK_BYTES))) or [[]]
