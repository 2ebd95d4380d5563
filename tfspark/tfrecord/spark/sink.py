"""Spark's tasks that write, and the driver's commit of what they wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from tfspark.tensors.arrowtypes import loose
from tfspark.tfrecord.codec.schema import layout_of
from tfspark.tfrecord.folder.commit import Mode, StagedFile, begin
from tfspark.tfrecord.folder.parts import partition_schema, write_parts
from tfspark.tfrecord.spark import types as sparktypes
from tfspark.tfrecord.spark.options import Options


@dataclass(frozen=True)
class Message(WriterCommitMessage):
    """The files of a task that has ended well."""

    parts: list[StagedFile]


class Writer(DataSourceArrowWriter):
    """One write. It begins when it is made, on the driver, so that a wrong one ends at once."""

    def __init__(self, schema: StructType, options: Options, overwrite: bool) -> None:
        self._vectors = sparktypes.vectors(schema)
        self._schema = loose(sparktypes.to_arrow(schema))
        records, partition_by = partition_schema(self._schema, options.partition_by)
        layout = layout_of(records, options.narrow, options.record_type)
        mode: Mode = "new" if options.must_be_new else "append"
        if overwrite:
            mode = "partitions" if options.dynamic and partition_by.names else "overwrite"
        self._cut = options.cut
        self._commit = begin(options.path, layout, partition_by, mode, _driver())

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Message:
        context = cast(TaskContext, TaskContext.get())
        task, attempt = context.partitionId(), f"attempt-{context.taskAttemptId()}"
        where = f"{self._commit.path}, task {task}"
        plain = (sparktypes.without_vectors(batch, self._vectors) for batch in iterator)
        batches = (sparktypes.cast(batch, self._schema, where) for batch in plain)
        return Message(write_parts(self._commit, batches, self._cut, task, attempt))

    def commit(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        self._commit.commit(
            [part for message in messages if isinstance(message, Message) for part in message.parts]
        )

    def abort(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        # A failed task's message is None: what it staged is found by the job's folder.
        self._commit.abort()


def _driver() -> int:
    """The process id of the driver's JVM: this one is its short-lived helper."""
    pid = os.getpid()
    while pid > 1:
        stat = Path(f"/proc/{pid}/stat").read_text()
        name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :]
        if name == "java":
            return pid
        pid = int(rest.split()[1])
    return os.getppid()
